package insight

import (
	"cmp"
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

//go:embed forecast.html
var forecastHTML string

// The page's plots are drawn in these sizes, in units of the viewBox.
const (
	plotWidth, plotHeight = 1080.0, 300.0
	plotLeft, plotTop     = 62.0, 22.0
	plotBottom            = 30.0
	heatLeft, heatTop     = 62.0, 22.0
	heatGap               = 3.0
	heatHigh              = 30.0
	tones                 = 8 // programs with a colour of their own; the rest share one
)

// page is what the template draws.
type page struct {
	Lang   string
	Words  map[string]string
	Title  string
	Made   string
	F      *Forecast
	Total  *Sum
	Tiles  []tile
	Legend []legend
	Bars   bars
	Heat   heat
	Rows   []programRow
	Ways   []wayRow
	Dealer []dealerRow
	Held   []heldRow
	Caps   []capRow
	Capped []capRow
	Far    []farRow
	Aside  []Unwritten
	Days   []dayRow
}

type (
	tile   struct{ Name, Value, Note string }
	legend struct {
		Tone int
		Name string
	}
	bars struct {
		Ticks  []tick
		Days   []barDay
		Labels []label
		Weeks  []band
	}
	tick struct {
		Y    float64
		Name string
	}
	label struct {
		X    float64
		Name string
	}
	band   struct{ X, W float64 }
	barDay struct {
		Title string
		Parts []bar
		Over  string // the figure above a bar that is cut off
		X     float64
		CutX  float64
	}
	bar struct {
		X, Y, W, H float64
		Tone       int
	}
	heat struct {
		Height   float64
		Cell     float64
		High     float64
		Cells    []heatCell
		Months   []label
		Weekdays []tick
		Max      int
	}
	heatCell struct {
		X, Y, TX, TY float64
		Level        int
		Text, Title  string
	}
	programRow struct {
		Tone                                 int
		Name, Title                          string
		Messages, Email, SMS, Parts, Webhook int
		Cost                                 string
		Share                                float64
	}
	wayRow struct {
		Name, Class     string
		Messages, Parts int
		Cost            string
		Share           float64
	}
	dealerRow struct {
		Name, Cost                            string
		Messages, Email, SMS, Parts, Webhooks int
	}
	heldRow struct {
		Outcome, Reason, Programs string
		Messages                  int
		Share                     float64
	}
	capRow struct {
		Who, Dealer             string
		Limit                   int
		Customers, PutOff, Lost int
	}
	farRow struct {
		Dealer, Reason, Some string
		Customers            int
	}
	dayRow struct {
		Day, Weekday                         string
		Messages, Email, SMS, Parts, Webhook int
		Cost                                 string
	}
)

// WritePage writes the forecast as one HTML page in zh-CN or en that needs nothing else: no script, font, picture or style from
// anywhere.
func (f *Forecast) WritePage(w io.Writer, locale string) error {
	t, err := template.New("forecast").Funcs(template.FuncMap{
		"n": func(n int) string { return thousands(n) },
		"f": func(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) },
	}).Parse(forecastHTML)
	if err != nil {
		return fmt.Errorf("the page of the forecast: %w", err)
	}
	return t.Execute(w, f.page(locale))
}

func (f *Forecast) page(locale string) *page {
	words := map[string]string{}
	for name, w := range pagePhrases {
		words[name] = w.in(locale)
	}
	p := &page{Lang: locale, Words: words, F: f, Total: f.Total(), Title: words["title"], Made: f.Now.Format("2006-01-02 15:04 -0700")}
	tone := map[string]int{}
	for i, name := range f.Programs {
		tone[name] = min(i, tones)
		if i < tones {
			p.Legend = append(p.Legend, legend{i, f.title(name, locale)})
		}
	}
	if len(f.Programs) > tones {
		p.Legend = append(p.Legend, legend{tones, words["other"]})
	}
	p.Tiles = f.tiles(p)
	p.Bars = f.bars(tone, locale)
	p.Heat = f.heat(locale)
	p.programs(tone, locale)
	p.held(locale)
	p.days(locale)
	return p
}

func (f *Forecast) title(program, locale string) string {
	return cmp.Or(f.Titles[program].In(locale), program)
}

func (f *Forecast) tiles(p *page) []tile {
	far, putOff := 0, 0
	for _, u := range f.Unreachable {
		far += u.Customers
	}
	for _, h := range f.Held {
		if h.Outcome == "put_off" {
			putOff += h.Messages
		}
	}
	perDay := 0
	if len(f.Days) > 0 {
		perDay = int(math.Round(float64(p.Total.Messages) / float64(len(f.Days))))
	}
	return []tile{
		{p.Words["messages"], thousands(p.Total.Messages), fmt.Sprintf(p.Words["per_day"], thousands(perDay))},
		{p.Words["served"], thousands(f.Planned), fmt.Sprintf(p.Words["of_customers"], thousands(f.Customers))},
		{p.Words["parts"], thousands(p.Total.Parts), fmt.Sprintf(p.Words["of_sms"], thousands(p.Total.By[care.SMS]))},
		{p.Words["cost"], p.Total.CostText(), p.Words["by_prices"]},
		{p.Words["put_off"], thousands(putOff), p.Words["put_off_note"]},
		{p.Words["unreachable"], thousands(far), p.Words["unreachable_note"]},
	}
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bars stacks each day's messages by program, the largest program at the bottom. A day that towers over the others is cut off
// and carries its figure, so that a festival does not flatten a quarter.
func (f *Forecast) bars(tone map[string]int, locale string) bars {
	byDay := f.ByDay()
	ceiling, step := ceilingOf(byDay)
	var out bars
	height := plotHeight - plotTop - plotBottom
	for n := 0; n <= ceiling; n += step {
		out.Ticks = append(out.Ticks, tick{plotTop + height - height*float64(n)/float64(ceiling), thousands(n)})
	}
	perDay := sumBy(f.Volumes, func(v *Volume) volumeKey { return volumeKey{day: v.Day, program: v.Program} })
	slot := (plotWidth - plotLeft) / float64(max(len(f.Days), 1))
	for i, day := range f.Days {
		x := plotLeft + slot*float64(i)
		if wd := day.Weekday(); wd == time.Saturday || wd == time.Sunday {
			out.Weeks = append(out.Weeks, band{x, slot})
		}
		if name := dayLabel(day, len(f.Days), i); name != "" {
			out.Labels = append(out.Labels, label{x + slot/2, name})
		}
		if byDay[day] == nil {
			continue
		}
		all := byDay[day].Messages
		d, sum := barDay{X: min(x+slot/2, plotWidth-22)}, 0
		full := max(ceiling, all)
		if all > ceiling {
			d.Over, d.CutX = thousands(all), x+slot/2
		}
		y := func(n int) float64 { return plotTop + height - height*float64(n)/float64(full) }
		said := []string{fmt.Sprintf("%s %s: %s", day, weekday(day, locale), thousands(all))}
		for _, name := range f.Programs {
			s := perDay[volumeKey{day: day, program: name}]
			if s == nil {
				continue
			}
			from := y(sum)
			sum += s.Messages
			d.Parts = append(d.Parts, bar{x + slot*0.12, y(sum), slot * 0.76, from - y(sum), tone[name]})
			said = append(said, f.title(name, locale)+" "+thousands(s.Messages))
		}
		d.Title = strings.Join(said, "\n")
		out.Days = append(out.Days, d)
	}
	return out
}

// ceilingOf returns the top of the axis and the step of its grid: above the busiest day, unless a few days tower over all others.
func ceilingOf(byDay map[care.Date]*Sum) (ceiling, step int) {
	heights := make([]int, 0, len(byDay))
	for _, s := range byDay {
		heights = append(heights, s.Messages)
	}
	if len(heights) == 0 {
		return 1, 1
	}
	slices.Sort(heights)
	top := heights[len(heights)-1]
	for i := len(heights) - 1; i >= len(heights)*9/10 && i > 0; i-- {
		if heights[i] > 3*heights[i-1] {
			top = heights[i-1]
		}
	}
	step = niceStep(top)
	return step * int(math.Ceil(float64(top)/float64(step))), step
}

// niceStep returns 1, 2 or 5 times a power of ten so that about four steps reach the top.
func niceStep(top int) int {
	step := 1
	for ; ; step *= 10 {
		for _, m := range []int{1, 2, 5} {
			if step*m*4 >= top {
				return step * m
			}
		}
	}
}

// dayLabel names some of the days below the axis: all of a fortnight, the Mondays of a quarter, the months of a year.
func dayLabel(day care.Date, days, i int) string {
	short := fmt.Sprintf("%d-%02d", int(day.Month()), day.Day())
	switch {
	case days <= 15, days <= 110 && day.Weekday() == time.Monday && i < days-1:
		return short
	case days > 110 && day.Day() == 1:
		return fmt.Sprintf("%d-%02d", day.Year(), int(day.Month()))
	}
	return ""
}

var weekdays = [7]phrase{{"Sun", "周日"}, {"Mon", "周一"}, {"Tue", "周二"}, {"Wed", "周三"}, {"Thu", "周四"}, {"Fri", "周五"}, {"Sat", "周六"}}

func weekday(d care.Date, locale string) string { return weekdays[d.Weekday()].in(locale) }

// heat draws each day as a cell of a calendar, weeks from left to right, Monday on top.
func (f *Forecast) heat(locale string) heat {
	var out heat
	if len(f.Days) == 0 {
		return out
	}
	monday := func(d care.Date) care.Date { return d.AddDays(-((int(d.Weekday()) + 6) % 7)) }
	first := monday(f.First)
	weeks := monday(f.Last).Sub(first)/7 + 1
	out.Cell = min(max((plotWidth-heatLeft)/float64(weeks)-heatGap, 4), 90)
	high := min(max(out.Cell, 12), heatHigh)
	out.High = high
	byDay, least := f.ByDay(), math.MaxInt
	for _, s := range byDay {
		out.Max, least = max(out.Max, s.Messages), min(least, s.Messages)
	}
	month := time.Month(0)
	for _, day := range f.Days {
		week, row := day.Sub(first)/7, (int(day.Weekday())+6)%7
		x, y := heatLeft+float64(week)*(out.Cell+heatGap), heatTop+float64(row)*(high+heatGap)
		n := 0
		if s := byDay[day]; s != nil {
			n = s.Messages
		}
		c := heatCell{X: x, Y: y, TX: x + out.Cell/2, TY: y + high/2 + 3.5, Title: fmt.Sprintf("%s %s: %s", day, weekday(day, locale), thousands(n))}
		if n > 0 {
			c.Level = heatLevel(n, least, out.Max)
			if out.Cell >= 34 {
				c.Text = thousands(n)
			}
		}
		out.Cells = append(out.Cells, c)
		if day.Month() != month && (day.Day() <= 7 || day == f.First) {
			month = day.Month()
			out.Months = append(out.Months, label{x, monthName(day, locale)})
		}
	}
	for row := range 7 {
		out.Weekdays = append(out.Weekdays, tick{heatTop + float64(row)*(high+heatGap) + high/2 + 4, weekdays[(row+1)%7].in(locale)})
	}
	out.Height = heatTop + 7*(high+heatGap)
	if n := len(out.Months); n > 1 && out.Months[1].X-out.Months[0].X < 40 {
		out.Months = out.Months[1:]
	}
	return out
}

// heatLevel returns 1 to 4 on a logarithmic scale: days differ by factors.
func heatLevel(n, least, most int) int {
	if most <= least {
		return 3
	}
	return 1 + min(int(4*math.Log(float64(n)/float64(least))/math.Log(float64(most)/float64(least))), 3)
}

func monthName(d care.Date, locale string) string {
	if strings.HasPrefix(locale, "zh") {
		return fmt.Sprintf("%d月", int(d.Month()))
	}
	return d.Month().String()[:3]
}

func (p *page) programs(tone map[string]int, locale string) {
	f := p.F
	byProgram := f.ByProgram()
	share := func(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	for _, name := range f.Programs {
		s := byProgram[name]
		p.Rows = append(p.Rows, programRow{
			Tone: tone[name], Name: name, Title: f.title(name, locale), Messages: s.Messages, Email: s.By[care.Email], SMS: s.By[care.SMS],
			Parts: s.Parts, Webhook: s.By[care.Webhook], Cost: s.CostText(), Share: share(s.Messages, byProgram[f.Programs[0]].Messages),
		})
	}
	byChannel := sumBy(f.Volumes, func(v *Volume) care.Channel { return v.Channel })
	for _, ch := range care.Channels {
		if s := byChannel[ch]; s != nil {
			p.Ways = append(p.Ways, wayRow{ChannelName(ch, locale), string(ch), s.Messages, s.Parts, s.CostText(), share(s.Messages, p.Total.Messages)})
		}
	}
	byDealer := f.ByDealer()
	for _, name := range slices.Sorted(maps.Keys(byDealer)) {
		s := byDealer[name]
		p.Dealer = append(p.Dealer, dealerRow{name, s.CostText(), s.Messages, s.By[care.Email], s.By[care.SMS], s.Parts, s.By[care.Webhook]})
	}
}

func (p *page) held(locale string) {
	f, top := p.F, 1
	groups := f.HeldGroups()
	for _, g := range groups {
		top = max(top, g.Messages)
	}
	for _, g := range groups {
		var names []string
		for _, h := range g.Programs {
			names = append(names, f.title(h.Program, locale)+" "+thousands(h.Messages))
		}
		p.Held = append(p.Held, heldRow{
			p.Words["outcome_"+g.Outcome], Reason(g.Reason, locale), strings.Join(names, " · "), g.Messages, 100 * float64(g.Messages) / float64(top),
		})
	}
	for _, c := range f.Caps {
		p.Caps = append(p.Caps, capRow{CapName(c.Cap, locale), c.Dealer, c.Cap.Limit, c.Customers, c.PutOff, c.Lost})
	}
	for _, c := range f.Capped {
		p.Capped = append(p.Capped, capRow{c.Customer, c.Dealer, c.Cap.Limit, 1, c.PutOff, c.Lost})
	}
	for _, u := range f.Unreachable {
		who := strings.Join(u.Some, " ")
		if u.Customers > len(u.Some) {
			who += " …"
		}
		p.Far = append(p.Far, farRow{u.Dealer, Reason(u.Reason, locale), who, u.Customers})
	}
	p.Aside = f.Unwritten
}

func (p *page) days(locale string) {
	byDay := p.F.ByDay()
	for _, day := range p.F.Days {
		if s := byDay[day]; s != nil {
			p.Days = append(p.Days, dayRow{
				day.String(), weekday(day, locale), s.Messages, s.By[care.Email], s.By[care.SMS], s.Parts, s.By[care.Webhook], s.CostText(),
			})
		}
	}
}

var pagePhrases = map[string]phrase{
	"title":            {"What the coming weeks bring", "未来几周的关怀计划"},
	"span":             {"%s to %s", "%s 至 %s"},
	"made":             {"Planned at", "生成于"},
	"messages":         {"Messages", "消息"},
	"per_day":          {"%s a day", "平均每天 %s 条"},
	"served":           {"Customers served", "覆盖客户"},
	"of_customers":     {"of %s", "共 %s 位"},
	"parts":            {"SMS parts", "短信计费条数"},
	"of_sms":           {"in %s SMS", "来自 %s 条短信"},
	"cost":             {"Cost", "费用"},
	"by_prices":        {"by the prices in dealers.yaml", "按 dealers.yaml 中的价格"},
	"put_off":          {"Put off", "延后"},
	"put_off_note":     {"they go later", "稍后发送"},
	"unreachable":      {"Out of reach", "无法联系"},
	"unreachable_note": {"no channel reaches them", "没有任何可用渠道"},
	"per_program":      {"Messages per day, by program", "每日消息（按项目）"},
	"bars_desc":        {"Stacked bars, one per day; the table “Day by day” at the end has the figures.", "堆叠柱状图，每天一根；页末“逐日”表中有全部数字。"},
	"calendar":         {"Calendar", "日历"},
	"heat_desc":        {"One cell per day; the darker, the more messages. The busiest day has %s.", "每天一格，颜色越深消息越多，最忙的一天 %s 条。"},
	"less":             {"fewer", "少"},
	"more":             {"more", "多"},
	"programs":         {"Programs", "项目"},
	"program":          {"Program", "项目"},
	"channels":         {"Channels", "渠道"},
	"channel":          {"Channel", "渠道"},
	"dealers":          {"Dealers", "门店"},
	"dealer":           {"Dealer", "门店"},
	"email":            {"E-mail", "邮件"},
	"sms":              {"SMS", "短信"},
	"webhook":          {"Webhook", "接口"},
	"other":            {"other programs", "其他项目"},
	"held":             {"What does not go as planned", "延后、合并与不发送"},
	"what":             {"What", "结果"},
	"why":              {"Why", "原因"},
	"outcome_put_off":  {"put off", "延后"},
	"outcome_merged":   {"merged", "合并"},
	"outcome_stopped":  {"does not go", "不发送"},
	"caps":             {"Who meets a limit", "触达上限"},
	"cap":              {"Whose limit", "谁的上限"},
	"limit":            {"In 7 days", "7 天内"},
	"customers":        {"Customers", "客户"},
	"customer":         {"Customer", "客户"},
	"lost":             {"No room before expiry", "到期前无名额"},
	"capped":           {"Limited most", "受限最多的客户"},
	"far":              {"Whom nothing reaches", "无法联系的客户"},
	"who":              {"Who", "客户编号"},
	"aside":            {"Texts that cannot be made", "无法生成的短信"},
	"template":         {"Template", "模板"},
	"days":             {"Day by day", "逐日"},
	"day":              {"Day", "日期"},
	"none":             {"Nothing is due in this time.", "这段时间没有到期的消息。"},
	"broken":           {"%d records cannot be planned; carebell hygiene names them.", "有 %d 条记录无法纳入计划；carebell hygiene 会列出。"},
	"foot":             {"What the plan shows is what will be sent: both ask one function. Nothing here is personal but the ids.", "计划即发送：两者出自同一函数。本页除编号外不含个人信息。"},
}
