package config

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config/yaml"
)

// festivals and solarTerms are the names that a calendar trigger may have (design A4).
var (
	festivals  = []string{"spring_festival", "lantern", "dragon_boat", "qixi", "mid_autumn", "double_ninth", "laba", "new_years_eve"}
	solarTerms = []string{
		"立春", "雨水", "惊蛰", "春分", "清明", "谷雨", "立夏", "小满", "芒种", "夏至", "小暑", "大暑",
		"立秋", "处暑", "白露", "秋分", "寒露", "霜降", "立冬", "小雪", "大雪", "冬至", "小寒", "大寒",
	}
	kinds = []string{"recall", "policy", "how_to"}
	// holdReasons are those that carebell and its documents speak of.
	holdReasons = []string{"complaint", "accident", "mourning"}
)

// fileCheck checks one file of the folders programs, events or bulletins.
type fileCheck struct {
	*reader
	file string
}

func (c fileCheck) bad(ok bool, at, message, remedy string) {
	if !ok {
		c.add(c.file, at, "bad-value", message, remedy)
	}
}

func (c fileCheck) missing(ok bool, field, remedy string) {
	if !ok {
		c.add(c.file, "$."+field, "missing-field", field+" is missing", remedy)
	}
}

func (c fileCheck) known(word, at, what string, known []string) {
	if !slices.Contains(known, word) {
		c.add(c.file, at, "unknown-name", fmt.Sprintf("%q is no %s", word, what), yaml.Suggest(word, known))
	}
}

// name checks the name of a program, event or bulletin: it is part of what makes a message unique, and the file is called by it.
func (c fileCheck) name(field, name string) {
	base := strings.TrimSuffix(path.Base(c.file), ".yaml")
	switch {
	case name == "":
		c.missing(false, field, fmt.Sprintf("write %s: %s", field, base))
	case !care.ValidID(name):
		c.bad(false, "$."+field, fmt.Sprintf("%q cannot be the name of a %s", name, field), idRemedy)
	case name != base:
		c.add(c.file, "$."+field, "file-name", fmt.Sprintf("the file is called %s.yaml, but %s is %q", base, field, name),
			fmt.Sprintf("call both alike; a new name for a %s makes its messages new too", field))
	}
}

func (r *reader) checkPrograms() {
	for _, p := range r.book.Programs {
		c := fileCheck{r, p.File}
		c.name("program", p.Program)
		c.known(string(p.Class), "$.class", "class", words(care.Classes))
		c.bad(p.Priority >= 0 && p.Priority <= 100, "$.priority", "priority is out of range", "write a number from 0 to 100; larger goes first")
		c.bad(p.From.IsZero() || p.Until.IsZero() || !p.Until.Before(p.From), "$.until", "until lies before from", "write the later date in until")
		c.bad(p.Capacity.PerDay >= 0, "$.capacity.per_day", "capacity is negative", "write the most messages a day, or leave it out")
		c.bad(p.Topic == p.Program || care.ValidID(p.Topic), "$.topic", "topic cannot be this", idRemedy)
		c.bad(p.Merge == "" || care.ValidID(p.Merge), "$.merge", "merge cannot be this", idRemedy)
		c.channels(p)
		c.trigger(p.Trigger)
		c.steps(p.Steps)
	}
}

func (c fileCheck) channels(p *care.Program) {
	c.missing(len(p.Channels) > 0, "channels", "write [preferred, sms, email], or leave it out")
	seen := map[string]bool{}
	for i, ch := range p.Channels {
		at := yaml.Index("$.channels", i)
		c.known(ch, at, "channel", append([]string{"preferred"}, words(care.Channels)...))
		if seen[ch] {
			c.add(c.file, at, "duplicate", fmt.Sprintf("the channel %s is there twice", ch), "keep one of them")
		}
		seen[ch] = true
	}
	for _, ch := range slices.Sorted(maps.Keys(p.Uncertain)) {
		at := yaml.Key("$.uncertain", string(ch))
		c.known(string(ch), at, "channel", words(care.Channels))
		c.known(p.Uncertain[ch], at, "way to go on", []string{"resend", "hold"})
	}
}

func (c fileCheck) trigger(t care.Trigger) {
	if t.On == "" {
		c.missing(false, "trigger.on", "write trigger: {on: maintenance_due} or another of: "+strings.Join(care.Triggers, ", "))
		return
	}
	c.known(t.On, "$.trigger.on", "trigger", care.Triggers)
	given := 0
	for _, f := range []struct {
		name  string
		given bool
		of    []string
	}{
		{"dates", len(t.Dates) > 0, []string{care.OnCalendar}},
		{"festival", t.Festival != "", []string{care.OnCalendar}},
		{"solar_term", t.SolarTerm != "", []string{care.OnCalendar}},
		{"cron", t.Cron != "", []string{care.OnCalendar}},
		{"event", t.Event != "", []string{care.OnEvent}},
		{"bulletin", t.Bulletin != "", []string{care.OnBulletin}},
		{"kind", t.Kind != "", []string{care.OnEvent, care.OnBulletin}},
		{"missed", t.Missed, []string{care.OnAppointment}},
		{"reason", t.Reason != "", []string{care.OnHoldEnd}},
		{"signal", t.Signal != "", []string{care.OnSignal}},
	} {
		if !f.given {
			continue
		}
		if slices.Contains(f.of, care.OnCalendar) {
			given++
		}
		c.bad(slices.Contains(f.of, t.On) || !slices.Contains(care.Triggers, t.On), "$.trigger."+f.name,
			fmt.Sprintf("%s does not go with on: %s", f.name, t.On), "leave it out, or write on: "+strings.Join(f.of, " or "))
	}
	if t.On == care.OnCalendar && given != 1 {
		c.bad(false, "$.trigger", "a calendar trigger needs exactly one of dates, festival, solar_term, cron", `write dates: ["--12-24"] or festival: spring_festival`)
	}
	c.calendar(t)
	if t.Event != "" && !slices.ContainsFunc(c.book.Events, func(e *care.Event) bool { return e.Event == t.Event }) {
		c.add(c.file, "$.trigger.event", "unknown-name", fmt.Sprintf("the book has no event %q", t.Event), "write its file in events/, or leave it out for all events")
	}
	if t.Bulletin != "" && !slices.ContainsFunc(c.book.Bulletins, func(b *care.Bulletin) bool { return b.Bulletin == t.Bulletin }) {
		c.add(c.file, "$.trigger.bulletin", "unknown-name", fmt.Sprintf("the book has no bulletin %q", t.Bulletin), "write its file in bulletins/, or leave it out for all bulletins")
	}
	switch t.On {
	case care.OnHoldEnd:
		c.holdReason(t.Reason)
	case care.OnSignal:
		c.missing(t.Signal != "", "trigger.signal", "write the name by which the other system calls it: signal: car_ready")
		c.bad(t.Signal == "" || care.ValidID(t.Signal), "$.trigger.signal", fmt.Sprintf("%q cannot be the name of a signal", t.Signal), idRemedy)
	}
	if t.On == care.OnBulletin && t.Kind != "" {
		c.known(t.Kind, "$.trigger.kind", "kind of bulletin", kinds)
	}
}

// holdReason checks of which hold a program waits for the end. Records may have reasons of their own; one that is nearly one of ours is a
// slip.
func (c fileCheck) holdReason(reason string) {
	const at = "$.trigger.reason"
	near := problem.Nearest(reason, holdReasons)
	switch {
	case reason == "":
		c.missing(false, "trigger.reason", "write which hold: reason: complaint")
	case reason == care.Deceased:
		c.bad(false, at, "nothing goes to a customer who has died", "write another reason, such as complaint")
	case !care.ValidID(reason):
		c.bad(false, at, fmt.Sprintf("%q cannot be the reason of a hold", reason), idRemedy)
	case !slices.Contains(holdReasons, reason) && near != "":
		c.add(c.file, at, "unknown-name", fmt.Sprintf("%q is no reason of a hold", reason), "did you mean "+near+"?")
	}
}

func (c fileCheck) calendar(t care.Trigger) {
	for i, d := range t.Dates {
		text := d
		if yearly, ok := strings.CutPrefix(d, "--"); ok {
			text = "2000-" + yearly // a leap year: --02-29 is a date
		}
		_, err := care.ParseDate(text)
		c.bad(err == nil, yaml.Index("$.trigger.dates", i), fmt.Sprintf("%q is no date", d), `write 2026-11-01 for one day, "--12-24" for every year`)
	}
	if t.Festival != "" {
		c.known(t.Festival, "$.trigger.festival", "festival", festivals)
	}
	if t.SolarTerm != "" {
		c.known(t.SolarTerm, "$.trigger.solar_term", "solar term", solarTerms)
	}
}

func (c fileCheck) steps(steps []care.Step) {
	c.missing(len(steps) > 0, "steps", "write at least one: [{step: first, template: "+strings.TrimSuffix(path.Base(c.file), ".yaml")+"}]")
	seen := map[string]bool{}
	for i, s := range steps {
		at := yaml.Index("$.steps", i)
		switch {
		case s.Step == "":
			c.missing(false, at[2:]+".step", "give the step a short name; it must stay, because it tells messages apart")
		case !care.ValidID(s.Step):
			c.bad(false, at+".step", fmt.Sprintf("%q cannot be the name of a step", s.Step), idRemedy)
		case seen[s.Step]:
			c.add(c.file, at+".step", "duplicate", fmt.Sprintf("step %q is there twice", s.Step), "give each step a name of its own")
		}
		seen[s.Step] = true
		c.missing(s.Template != "", at[2:]+".template", "write the name of a folder in templates/")
		for j, u := range s.Unless {
			c.known(u, yaml.Index(at+".unless", j), "reason to leave a step out", []string{"appointment", "visit"})
		}
	}
}

func (r *reader) checkEvents() {
	for _, e := range r.book.Events {
		c := fileCheck{r, e.File}
		c.name("event", e.Event)
		c.missing(len(e.Title) > 0, "title", "write what the event is called")
		c.missing(!e.On.IsZero(), "on", "write the date, such as 2027-05-16")
		c.bad(e.StartsAt == "" || isClock(e.StartsAt), "$.starts_at", fmt.Sprintf("%q is no time of day", e.StartsAt), `write it in quotes: "10:00"`)
		c.bad(e.EndsAt == "" || isClock(e.EndsAt), "$.ends_at", fmt.Sprintf("%q is no time of day", e.EndsAt), `write it in quotes: "15:00"`)
		c.bad(e.Seats >= 0, "$.seats", "seats are negative", "write how many can come, or leave it out")
		c.bad(e.RSVPUntil.IsZero() || e.On.IsZero() || !e.RSVPUntil.After(e.On), "$.rsvp_until", "the last day for an answer lies after the event", "write an earlier date")
		for i, d := range e.Dealers {
			if len(r.book.Dealers) > 0 && (r.book.Dealer(d) == nil || d == "") {
				var ids []string
				for _, dealer := range r.book.Dealers {
					ids = append(ids, dealer.Dealer)
				}
				c.add(e.File, yaml.Index("$.dealers", i), "unknown-name", fmt.Sprintf("the book has no dealer %q", d), yaml.Suggest(d, ids))
			}
		}
	}
}

func (r *reader) checkBulletins() {
	for _, b := range r.book.Bulletins {
		c := fileCheck{r, b.File}
		c.name("bulletin", b.Bulletin)
		c.missing(len(b.Title) > 0, "title", "write what it is about")
		c.missing(!b.PublishedOn.IsZero(), "published_on", "write the date, such as 2027-01-11")
		c.missing(b.Kind != "", "kind", "write recall, policy or how_to")
		if b.Kind != "" {
			c.known(b.Kind, "$.kind", "kind of bulletin", kinds)
		}
		c.bad(b.Repeat == nil || b.Kind == "recall", "$.repeat", "only a recall is told again", "leave it out, or write kind: recall")
		c.bad(b.URL == "" || isURL(b.URL), "$.url", "this is no address of a page", "write https://…, or leave it out")
		c.missing(len(b.Match) > 0, "match", `write which cars it is about: [{make: Buick, model: "*"}]`)
		for i, m := range b.Match {
			at := yaml.Index("$.match", i)
			years := len(m.ModelYears) == 0 || len(m.ModelYears) == 2 && m.ModelYears[0] <= m.ModelYears[1] && m.ModelYears[0] > 1900
			c.bad(years, at+".model_years", "these are no model years", "write the first and the last: [2023, 2024]")
			c.bad(len(m.VIN.From) == len(m.VIN.To) && m.VIN.From <= m.VIN.To, at+".vin", "this is no range of VINs", "write the first and the last in full, both of one length: {from: …, to: …}")
			nothing := m.Make == "" && m.Model == "" && len(m.ModelYears) == 0 && m.VIN == care.VINRange{}
			c.bad(!nothing, at, "this line matches every car by saying nothing", `write {make: "*"} if you mean every car`)
		}
	}
}

// isClock reports whether s is a local time of day HH:MM.
func isClock(s string) bool {
	w, ok := care.ParseWindow(s + "-00:00")
	return ok && len(s) == 5 && w.From >= 0
}
