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
	"github.com/carebell/carebell/care/texts"
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
	l := texts.For(locale)
	pages, err := template.New("").Funcs(template.FuncMap{
		"t": l.T,
		"n": texts.Number,
		"f": func(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) },
	}).Parse(forecastHTML)
	if err != nil {
		return fmt.Errorf("the page of the forecast: %w", err)
	}
	return pages.ExecuteTemplate(w, "forecast", f.page(l))
}

func (f *Forecast) page(l *texts.Language) *page {
	p := &page{Lang: l.Tag(), F: f, Total: f.Total(), Title: l.T("forecast.title"), Made: f.Now.Format("2006-01-02 15:04 -0700")}
	tone := map[string]int{}
	for i, name := range f.Programs {
		tone[name] = min(i, tones)
		if i < tones {
			p.Legend = append(p.Legend, legend{i, f.title(name, l)})
		}
	}
	if len(f.Programs) > tones {
		p.Legend = append(p.Legend, legend{tones, l.T("forecast.other")})
	}
	p.Tiles = f.tiles(p, l)
	p.Bars = f.bars(tone, l)
	p.Heat = f.heat(l)
	p.programs(tone, l)
	p.held(l)
	p.days(l)
	return p
}

func (f *Forecast) title(program string, l *texts.Language) string {
	return cmp.Or(f.Titles[program].In(l.Tag()), program)
}

func (f *Forecast) tiles(p *page, l *texts.Language) []tile {
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
		{l.T("forecast.messages"), texts.Number(p.Total.Messages), l.T("forecast.per_day", "number", perDay)},
		{l.T("forecast.served"), texts.Number(f.Planned), l.T("forecast.of_customers", "number", f.Customers)},
		{l.T("forecast.parts"), texts.Number(p.Total.Parts), l.T("forecast.of_sms", "number", p.Total.By[care.SMS])},
		{l.T("forecast.cost"), p.Total.CostText(), l.T("forecast.by_prices")},
		{l.T("forecast.put_off"), texts.Number(putOff), l.T("forecast.put_off_note")},
		{l.T("forecast.unreachable"), texts.Number(far), l.T("forecast.unreachable_note")},
	}
}

// bars stacks each day's messages by program, the largest program at the bottom. A day that towers over the others is cut off
// and carries its figure, so that a festival does not flatten a quarter.
func (f *Forecast) bars(tone map[string]int, l *texts.Language) bars {
	byDay := f.ByDay()
	ceiling, step := ceilingOf(byDay)
	var out bars
	height := plotHeight - plotTop - plotBottom
	for n := 0; n <= ceiling; n += step {
		out.Ticks = append(out.Ticks, tick{plotTop + height - height*float64(n)/float64(ceiling), texts.Number(n)})
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
			d.Over, d.CutX = texts.Number(all), x+slot/2
		}
		y := func(n int) float64 { return plotTop + height - height*float64(n)/float64(full) }
		said := []string{fmt.Sprintf("%s %s: %s", day, weekday(day.Weekday(), l), texts.Number(all))}
		for _, name := range f.Programs {
			s := perDay[volumeKey{day: day, program: name}]
			if s == nil {
				continue
			}
			from := y(sum)
			sum += s.Messages
			d.Parts = append(d.Parts, bar{x + slot*0.12, y(sum), slot * 0.76, from - y(sum), tone[name]})
			said = append(said, f.title(name, l)+" "+texts.Number(s.Messages))
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

func weekday(d time.Weekday, l *texts.Language) string {
	return l.Word("weekday_short", strings.ToLower(d.String()))
}

// heat draws each day as a cell of a calendar, weeks from left to right, Monday on top.
func (f *Forecast) heat(l *texts.Language) heat {
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
		c := heatCell{X: x, Y: y, TX: x + out.Cell/2, TY: y + high/2 + 3.5, Title: fmt.Sprintf("%s %s: %s", day, weekday(day.Weekday(), l), texts.Number(n))}
		if n > 0 {
			c.Level = heatLevel(n, least, out.Max)
			if out.Cell >= 34 {
				c.Text = texts.Number(n)
			}
		}
		out.Cells = append(out.Cells, c)
		if day.Month() != month && (day.Day() <= 7 || day == f.First) {
			month = day.Month()
			out.Months = append(out.Months, label{x, l.Word("month_short", strings.ToLower(month.String()))})
		}
	}
	for row := range 7 {
		out.Weekdays = append(out.Weekdays, tick{heatTop + float64(row)*(high+heatGap) + high/2 + 4, weekday(time.Weekday((row+1)%7), l)})
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

func (p *page) programs(tone map[string]int, l *texts.Language) {
	f := p.F
	byProgram := f.ByProgram()
	share := func(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	for _, name := range f.Programs {
		s := byProgram[name]
		p.Rows = append(p.Rows, programRow{
			Tone: tone[name], Name: name, Title: f.title(name, l), Messages: s.Messages, Email: s.By[care.Email], SMS: s.By[care.SMS],
			Parts: s.Parts, Webhook: s.By[care.Webhook], Cost: s.CostText(), Share: share(s.Messages, byProgram[f.Programs[0]].Messages),
		})
	}
	byChannel := sumBy(f.Volumes, func(v *Volume) care.Channel { return v.Channel })
	for _, ch := range care.Channels {
		if s := byChannel[ch]; s != nil {
			p.Ways = append(p.Ways, wayRow{ChannelName(ch, l.Tag()), string(ch), s.Messages, s.Parts, s.CostText(), share(s.Messages, p.Total.Messages)})
		}
	}
	byDealer := f.ByDealer()
	for _, name := range slices.Sorted(maps.Keys(byDealer)) {
		s := byDealer[name]
		p.Dealer = append(p.Dealer, dealerRow{name, s.CostText(), s.Messages, s.By[care.Email], s.By[care.SMS], s.Parts, s.By[care.Webhook]})
	}
}

func (p *page) held(l *texts.Language) {
	f, top := p.F, 1
	groups := f.HeldGroups()
	for _, g := range groups {
		top = max(top, g.Messages)
	}
	for _, g := range groups {
		var names []string
		for _, h := range g.Programs {
			names = append(names, f.title(h.Program, l)+" "+texts.Number(h.Messages))
		}
		p.Held = append(p.Held, heldRow{
			l.Word("forecast.outcome", g.Outcome), Reason(g.Reason, l.Tag()), strings.Join(names, " · "), g.Messages, 100 * float64(g.Messages) / float64(top),
		})
	}
	for _, c := range f.Caps {
		p.Caps = append(p.Caps, capRow{CapName(c.Cap, l.Tag()), c.Dealer, c.Cap.Limit, c.Customers, c.PutOff, c.Lost})
	}
	for _, c := range f.Capped {
		p.Capped = append(p.Capped, capRow{c.Customer, c.Dealer, c.Cap.Limit, 1, c.PutOff, c.Lost})
	}
	for _, u := range f.Unreachable {
		who := strings.Join(u.Some, " ")
		if u.Customers > len(u.Some) {
			who += " …"
		}
		p.Far = append(p.Far, farRow{u.Dealer, Reason(u.Reason, l.Tag()), who, u.Customers})
	}
	p.Aside = f.Unwritten
}

func (p *page) days(l *texts.Language) {
	byDay := p.F.ByDay()
	for _, day := range p.F.Days {
		if s := byDay[day]; s != nil {
			p.Days = append(p.Days, dayRow{
				day.String(), weekday(day.Weekday(), l), s.Messages, s.By[care.Email], s.By[care.SMS], s.Parts, s.By[care.Webhook], s.CostText(),
			})
		}
	}
}
