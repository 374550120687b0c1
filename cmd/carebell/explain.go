package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
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
		t := teller{Language: texts.For(opt.Locale), w: cmd.OutOrStdout(), x: x, details: opt.Program != ""}
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
			Said string `json:"said,omitempty"`
		}{e, e.Kind, x.Said[e.ID]})
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

// teller writes an explanation for a person, on one screen and in their language.
type teller struct {
	*texts.Language
	w       io.Writer
	x       *insight.Explanation
	details bool
}

func (t *teller) line(parts ...string) {
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(parts, ""), " "))
}

func (t *teller) tell() error {
	x := t.x
	t.line(t.T("explain.head", "customer", x.Customer, "dealer", x.Dealer, "at", x.At.Format("2006-01-02 15:04 -0700")))
	if x.Problem != "" {
		t.line(t.T("explain.problem", "problem", x.Problem))
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
	limit := t.T("explain.no_cap")
	if x.Cap != nil {
		limit = t.T("explain.cap", "limit", strconv.Itoa(x.Cap.Limit), "whose", insight.CapName(*x.Cap, t.Tag()))
	}
	facts := []string{
		x.TimeZone, x.Locale, t.T("explain.grade", "grade", or(x.Grade)), limit, t.T("explain.birthday", "birthday", or(x.Birthday.String())),
	}
	if x.Advisor != "" {
		facts = append(facts, t.T("explain.advisor", "advisor", x.Advisor))
	}
	t.line(strings.Join(facts, " · "))
	p := x.Preferences
	var wishes []string
	if len(p.Channels) > 0 {
		names := make([]string, len(p.Channels))
		for i, ch := range p.Channels {
			names[i] = insight.ChannelName(ch, t.Tag())
		}
		wishes = append(wishes, strings.Join(names, " › "))
	}
	if !p.Quiet.IsZero() {
		wishes = append(wishes, t.T("explain.wish.quiet", "window", p.Quiet.String()))
	}
	if p.MaxPerWeek != nil {
		wishes = append(wishes, t.T("explain.wish.limit", "limit", strconv.Itoa(*p.MaxPerWeek)))
	}
	if len(p.Off) > 0 {
		wishes = append(wishes, t.T("explain.wish.off", "topics", strings.Join(p.Off, ", ")))
	}
	if len(wishes) > 0 {
		t.line(t.T("explain.wishes", "wishes", strings.Join(wishes, " · ")))
	}
	for _, h := range x.Holds {
		t.line(t.T("explain.hold", "reason", h.Reason, "since", or(h.Since.String()), "until", or(h.Until.String())))
	}
	if x.Erased {
		t.line(t.T("explain.erased"))
	}
	if x.Withheld {
		t.line(t.T("explain.address_erased", "customer", x.Customer))
	}
	if x.SafetyOnly {
		t.line(t.T("explain.safety_only"))
	}
	for _, d := range x.Defects {
		t.line(t.T("explain.defect", "path", d.Path, "message", d.Message))
	}
}

func or(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func (t *teller) channels() error {
	header := []string{t.T("explain.column.channel"), t.T("explain.column.address")}
	var cells [][]string
	for i, ch := range t.x.Channels {
		address := "✓"
		if ch.Address != "" {
			address = "✗ " + insight.Reason(ch.Address, t.Tag())
		}
		row := []string{insight.ChannelName(ch.Channel, t.Tag()), address}
		for _, c := range ch.Consent {
			if i == 0 {
				header = append(header, strings.ToUpper(insight.ClassName(c.Class, t.Tag())))
			}
			row = append(row, t.consent(c))
		}
		var stops []string
		for _, s := range ch.Stops {
			stops = append(stops, fmt.Sprintf("%s (%s %s)", s.Scope, s.Source, s.At.In(t.x.At.Location()).Format("2006-01-02")))
		}
		cells = append(cells, append(row, or(strings.Join(stops, ", "))))
	}
	return section(t.w, append(header, t.T("explain.column.opted_out")), cells)
}

func (t *teller) consent(c insight.ConsentFacts) string {
	mark := "✗"
	if c.Allowed {
		mark = "✓"
	}
	return strings.TrimRight(strings.Join([]string{mark, t.Word("explain.consent", c.From), c.Source, c.At}, " "), " ")
}

func (t *teller) vehicles() error {
	header := []string{
		t.T("explain.column.car"), t.T("explain.column.delivered"), t.T("explain.column.last_visit"), t.T("explain.column.km_a_day"),
		t.T("explain.column.readings"), t.T("explain.column.baseline"), t.T("explain.column.by_date"), t.T("explain.column.by_km"),
		t.T("explain.column.service_due"), "10–90 %",
	}
	per := 1.0
	if t.x.Miles {
		header[3], per = t.T("explain.column.mi_a_day"), care.KMPerMile
	}
	var cells [][]string
	for _, v := range t.x.Vehicles {
		row := []string{strings.TrimSpace(v.ID + " " + v.Model), or(v.DeliveredOn.String()), or(v.LastVisit.String())}
		if !v.SoldOn.IsZero() {
			row[0] = t.T("explain.car.sold", "car", row[0], "date", v.SoldOn.String())
		}
		if f := v.Forecast; f == nil {
			row = append(row, "–", "–", "–", "–", "–", t.T("explain.car.no_forecast"), "–")
		} else {
			row = append(row, strconv.FormatFloat(f.Rate/per, 'f', 1, 64), t.readings(f), f.Baseline.String(), or(f.DateRuleOn.String()), or(f.KMRuleOn.String()),
				t.due(f), span(f.Low, f.High))
		}
		if !v.Appointment.IsZero() {
			row[2] = t.T("explain.car.appointment", "visit", row[2], "date", v.Appointment.In(t.x.At.Location()).Format("2006-01-02"))
		}
		cells = append(cells, row)
	}
	return section(t.w, header, cells)
}

// due says when the service is due, and which rule comes first.
func (t *teller) due(f *care.Forecast) string {
	if f.Winner == "km" {
		return t.T("explain.due.km", "due", f.Due.String())
	}
	return t.T("explain.due.date", "due", f.Due.String())
}

func (t *teller) readings(f *care.Forecast) string {
	if f.Readings == 0 {
		return t.T("explain.readings.none")
	}
	s := strconv.Itoa(f.Readings)
	if f.Dropped > 0 {
		s = t.T("explain.readings.dropped", "readings", s, "dropped", strconv.Itoa(f.Dropped))
	}
	if f.Stale {
		return t.T("explain.readings.stale", "readings", s, "date", f.Newest.String())
	}
	return t.T("explain.readings.newest", "readings", s, "date", f.Newest.String())
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
		t.line(t.T("explain.past.unknown"))
		return nil
	}
	if len(t.x.Past) == 0 {
		fmt.Fprintln(t.w)
		t.line(t.T("explain.past.none"))
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
			reason = insight.Reason(e.Reason, t.Tag())
		}
		if said := t.x.Said[e.ID]; said != "" && e.Kind == "" {
			reason = strings.TrimSpace(fmt.Sprintf("%s %q", reason, said))
		}
		cells = append(cells, []string{e.At.In(t.x.At.Location()).Format("2006-01-02 15:04"), what, tail(e.Vehicle), string(e.Channel), care.Shown(e.State, e.Reason), reason})
	}
	if more := len(t.x.Past) - pastShown; more > 0 {
		cells = append(cells, []string{t.T("explain.past.more", "number", strconv.Itoa(more)), "", "", "", "", ""})
	}
	return section(t.w, []string{
		t.T("explain.column.past"), t.T("explain.column.message"), t.T("explain.column.car"),
		t.T("explain.column.by"), t.T("explain.column.state"), t.T("explain.column.why"),
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
	return section(t.w, []string{t.T("explain.column.nothing"), t.T("explain.column.program"), t.T("explain.column.why")}, cells)
}

// pad fills a text with blanks to a width in the cells of a terminal.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-displaywidth.String(s), 0))
}
