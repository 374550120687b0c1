package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/insight"
	"github.com/clipperhouse/displaywidth"
	"github.com/spf13/cobra"
)

func newExplain() *cobra.Command {
	var opt insight.ExplainOptions
	var on, book string
	cmd := &cobra.Command{
		Use:   "explain CUSTOMER",
		Short: "Say what went to a customer, what will, and why not: every gate with its answer",
		Long: "Say of any customer, also one who never got anything: the facts that count, what went, what the coming year brings with\n" +
			"every gate's answer, and for a program that brings nothing the reason. With --program the answers come with their details.\n" +
			"With --customers it reads the record from a file and needs no Redis; what went before is then not known.",
		Args: cobra.ExactArgs(1),
	}
	format := formatFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&opt.Program, "program", "", "only this program, with every gate on a line of its own")
	f.StringVar(&on, "on", "", "as of this day (default: now)")
	f.StringVar(&opt.File, "customers", "", "a file of customer records, one JSON document per line; - is standard input")
	f.StringVar(&book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	f.StringVar(&opt.Locale, "locale", "", "language: zh-CN or en (default: that of the environment)")
	f.BoolVar(&opt.Others, "others", false, "read all other customers too: what a household shares and a workshop's full day depend on them")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if opt.Locale, err = language(opt.Locale); err != nil {
			return &misuse{err}
		}
		if on != "" {
			if opt.On, err = care.ParseDate(on); err != nil {
				return &misuse{fmt.Errorf("--on %s: %w", on, err)}
			}
		}
		if *format != "table" && *format != "jsonl" {
			return &misuse{fmt.Errorf("--format %s: it is table or jsonl", *format)}
		}
		service, s, err := ask(cmd, book, opt.File)
		if err != nil {
			return err
		}
		defer s.close()
		bar := newCount(cmd.ErrOrStderr())
		opt.Customer, opt.Progress = args[0], bar.at
		x, err := service.Explain(cmd.Context(), s.who, opt)
		bar.end()
		if err != nil {
			return err
		}
		if *format == "jsonl" {
			return explainLines(cmd.OutOrStdout(), x)
		}
		t := teller{w: cmd.OutOrStdout(), x: x, locale: opt.Locale, details: opt.Program != ""}
		return t.tell()
	}
	return cmd
}

// explainLines writes one fact per line: customer, past, next and nothing.
func explainLines(w io.Writer, x *insight.Explanation) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	var failed error
	put := func(kind string, fact any) {
		raw, err := json.Marshal(fact)
		if err == nil {
			err = enc.Encode(json.RawMessage(`{"kind":"` + kind + `",` + string(raw[1:])))
		}
		if failed == nil {
			failed = err
		}
	}
	put("customer", x)
	for _, e := range x.Past {
		// The timeline has a field kind of its own.
		put("past", struct {
			care.EventEntry
			Kind string `json:"about,omitempty"`
		}{e, e.Kind})
	}
	for _, p := range x.Programs {
		for _, n := range p.Next {
			put("next", n)
		}
		if len(p.Next) == 0 {
			put("nothing", p)
		}
	}
	return failed
}

// teller writes an explanation for a person, on one screen.
type teller struct {
	w       io.Writer
	x       *insight.Explanation
	locale  string
	details bool
}

// say picks the text in the language asked for.
func (t *teller) say(en, zh string) string {
	if t.locale == "zh-CN" {
		return zh
	}
	return en
}

func (t *teller) line(parts ...string) {
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(parts, ""), " "))
}

func (t *teller) tell() error {
	x := t.x
	t.line(x.Customer, " · ", t.say("dealer ", "门店 "), x.Dealer, " · ", t.say("as of ", "截至 "), x.At.Format("2006-01-02 15:04 -0700"))
	if x.Problem != "" {
		t.line(t.say("Nothing is planned: ", "无法计划："), x.Problem)
		return t.past()
	}
	t.facts()
	for _, part := range []func() error{t.channels, t.vehicles, t.past, t.next, t.nothing} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) facts() {
	x := t.x
	limit := t.say("no cap", "不限量")
	if x.Cap != nil {
		limit = fmt.Sprintf(t.say("cap %d in 7 days (%s)", "7 天内最多 %d 条（%s）"), x.Cap.Limit, insight.CapName(*x.Cap, t.locale))
	}
	facts := []string{x.TimeZone, x.Locale, t.say("grade ", "等级 ") + or(x.Grade), limit, t.say("birthday ", "生日 ") + or(x.Birthday.String())}
	if x.Advisor != "" {
		facts = append(facts, t.say("advisor ", "顾问 ")+x.Advisor)
	}
	t.line(strings.Join(facts, " · "))
	p := x.Preferences
	var wishes []string
	if len(p.Channels) > 0 {
		names := make([]string, len(p.Channels))
		for i, ch := range p.Channels {
			names[i] = insight.ChannelName(ch, t.locale)
		}
		wishes = append(wishes, strings.Join(names, " › "))
	}
	if !p.Quiet.IsZero() {
		wishes = append(wishes, t.say("quiet ", "免打扰 ")+p.Quiet.String())
	}
	if p.MaxPerWeek != nil {
		wishes = append(wishes, fmt.Sprintf(t.say("at most %d a week", "每周最多 %d 条"), *p.MaxPerWeek))
	}
	if len(p.Off) > 0 {
		wishes = append(wishes, t.say("off: ", "已关闭：")+strings.Join(p.Off, ", "))
	}
	if len(wishes) > 0 {
		t.line(t.say("wishes: ", "偏好："), strings.Join(wishes, " · "))
	}
	for _, h := range x.Holds {
		t.line(t.say("hold: ", "暂停联系："), h.Reason, " ", or(h.Since.String()), " – ", or(h.Until.String()))
	}
	if x.Erased {
		t.line(t.say("ERASED: never served again", "已删除：不再联系"))
	}
	if x.SafetyOnly {
		t.line(t.say("The record has a defect where none may be: only safety goes.", "记录的关键字段有缺陷：只发安全通知。"))
	}
	for _, d := range x.Defects {
		t.line(t.say("defect: ", "缺陷："), d.Path, " ", d.Message)
	}
}

func or(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func (t *teller) channels() error {
	header := []string{t.say("CHANNEL", "渠道"), t.say("ADDRESS", "地址")}
	var cells [][]string
	for i, ch := range t.x.Channels {
		address := "✓"
		if ch.Address != "" {
			address = "✗ " + insight.Reason(ch.Address, t.locale)
		}
		row := []string{insight.ChannelName(ch.Channel, t.locale), address}
		for _, c := range ch.Consent {
			if i == 0 {
				header = append(header, strings.ToUpper(insight.ClassName(c.Class, t.locale)))
			}
			row = append(row, t.consent(c))
		}
		var stops []string
		for _, s := range ch.Stops {
			stops = append(stops, fmt.Sprintf("%s (%s %s)", s.Scope, s.Source, s.At.In(t.x.At.Location()).Format("2006-01-02")))
		}
		cells = append(cells, append(row, or(strings.Join(stops, ", "))))
	}
	return section(t.w, append(header, t.say("OPTED OUT", "退订")), cells)
}

func (t *teller) consent(c insight.ConsentFacts) string {
	mark := "✗"
	if c.Allowed {
		mark = "✓"
	}
	from := map[string]string{
		"record": t.say("record", "记录"), "dealer": t.say("dealer's default", "门店默认"), "overlay": t.say("the customer", "客户本人"), "law": t.say("law", "法定"),
	}[c.From]
	return strings.TrimRight(strings.Join([]string{mark, from, c.Source, c.At}, " "), " ")
}

func (t *teller) vehicles() error {
	header := []string{
		t.say("CAR", "车辆"), t.say("DELIVERED", "交车"), t.say("LAST VISIT", "上次进厂"), t.say("KM/DAY", "公里/天"), t.say("READINGS", "里程读数"),
		t.say("FROM", "起点"), t.say("BY DATE", "按日期"), t.say("BY KM", "按里程"), t.say("SERVICE DUE", "保养到期"), "10–90 %",
	}
	var cells [][]string
	for _, v := range t.x.Vehicles {
		row := []string{strings.TrimSpace(v.ID + " " + v.Model), or(v.DeliveredOn.String()), or(v.LastVisit.String())}
		if !v.SoldOn.IsZero() {
			row[0] += t.say(" (sold ", "（已售 ") + v.SoldOn.String() + t.say(")", "）")
		}
		if f := v.Forecast; f == nil {
			row = append(row, "–", "–", "–", "–", "–", t.say("no interval or start", "无间隔或起点"), "–")
		} else {
			row = append(row, strconv.FormatFloat(f.Rate, 'f', 1, 64), t.readings(f), f.Baseline.String(), or(f.DateRuleOn.String()), or(f.KMRuleOn.String()),
				f.Due.String()+" "+map[string]string{"date": t.say("by date", "按日期"), "km": t.say("by km", "按里程")}[f.Winner], span(f.Low, f.High))
		}
		if !v.Appointment.IsZero() {
			row[2] += t.say(", appointment ", "，预约 ") + v.Appointment.In(t.x.At.Location()).Format("2006-01-02")
		}
		cells = append(cells, row)
	}
	return section(t.w, header, cells)
}

func (t *teller) readings(f *care.Forecast) string {
	if f.Readings == 0 {
		return t.say("none", "无")
	}
	s := strconv.Itoa(f.Readings)
	if f.Dropped > 0 {
		s += fmt.Sprintf(t.say(", %d dropped", "，弃 %d"), f.Dropped)
	}
	switch {
	case f.Stale:
		s += t.say(", stale since ", "，过旧 ") + f.Newest.String()
	default:
		s += t.say(", newest ", "，最新 ") + f.Newest.String()
	}
	return s
}

func span(low, high care.Date) string {
	if low.IsZero() || high.IsZero() {
		return "–"
	}
	return low.String() + " – " + high.String()
}

// pastShown is how much of what went stands on the screen; customer show has all of it.
const pastShown = 6

func (t *teller) past() error {
	if !t.x.Ledger {
		fmt.Fprintln(t.w)
		t.line(t.say("What went is not known from a file.", "从文件无法得知此前发送的内容。"))
		return nil
	}
	if len(t.x.Past) == 0 {
		fmt.Fprintln(t.w)
		t.line(t.say("Nothing has gone or is queued.", "尚无发送或排队的消息。"))
		return nil
	}
	var cells [][]string
	for _, e := range t.x.Past[:min(len(t.x.Past), pastShown)] {
		what := e.Program + "/" + e.Step
		if e.Program == "" {
			what = strings.TrimSpace(e.Kind + " " + e.Value)
		}
		reason := ""
		if e.Reason != "" {
			reason = insight.Reason(e.Reason, t.locale)
		}
		cells = append(cells, []string{e.At.In(t.x.At.Location()).Format("2006-01-02 15:04"), what, tail(e.Vehicle), string(e.Channel), string(e.State), reason})
	}
	if more := len(t.x.Past) - pastShown; more > 0 {
		cells = append(cells, []string{fmt.Sprintf(t.say("… %d more", "… 另有 %d 条"), more), "", "", "", "", ""})
	}
	return section(t.w, []string{
		t.say("WENT OR WAITS", "已发或排队"), t.say("MESSAGE", "消息"), t.say("CAR", "车辆"), t.say("BY", "渠道"), t.say("STATE", "状态"), t.say("WHY", "原因"),
	}, cells)
}

// tail shortens a VIN to what people tell cars apart by.
func tail(id string) string {
	if len(id) <= 10 {
		return id
	}
	return "…" + id[len(id)-6:]
}

func (t *teller) nothing() error {
	var cells [][]string
	for _, p := range t.x.Programs {
		if len(p.Next) == 0 {
			cells = append(cells, []string{p.Title, p.Program, p.Why})
		}
	}
	return section(t.w, []string{t.say("NOTHING WITHIN A YEAR", "一年内没有"), t.say("PROGRAM", "项目"), t.say("WHY", "原因")}, cells)
}

// pad fills a text with blanks to a width in the cells of a terminal.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-displaywidth.String(s), 0))
}
