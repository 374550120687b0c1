package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/scheduler/calendar"
	"github.com/carebell/carebell/scheduler/schedule"
)

// Values that a book leaves out (design A3).
const (
	defaultSchedule = "0 9 * * *"
	defaultExpiry   = 72 * time.Hour
	preferred       = "preferred"
	appointment     = "appointment"
	visit           = "visit"
)

// againAfter is, by trigger, the days within which a date that was corrected is the same round (design A4).
var againAfter = map[string]int{
	care.OnDelivery: 30, care.OnAnniversary: 30, care.OnBirthday: 30, care.OnWarrantyEnd: 30, care.OnInsuranceEnd: 30, care.OnInspectionDue: 30,
	care.OnMaintenanceDue: 7, care.OnLastVisit: 7, care.OnVisit: 3,
}

// dealer is a dealer made ready.
type dealer struct {
	*care.Dealer
	loc     *time.Location
	mar1    bool
	locales []string // to look for a text in, for customers of the dealer's own locale
}

// leapDay is the index of the dealer's rule among span.dates.
func (d *dealer) leapDay() int {
	if d.mar1 {
		return 1
	}
	return 0
}

// program is a program made ready.
type program struct {
	*care.Program
	class    care.Class
	topic    string
	schedule schedule.Schedule
	expiry   care.Expiry
	before   []care.Channel // channels before "preferred"
	prefer   bool
	after    []care.Channel    // and after it, or all of them
	dates    []calendarDate    // trigger calendar
	days     schedule.Schedule // trigger calendar with cron
	events   []*event
	news     []*care.Bulletin
	audience *audience
	vehicles bool
	again    int // days within which a step does not go to the same car or customer again; 0 = it may
}

// event is an owners' event made ready.
type event struct {
	*care.Event
	audience *audience
	broken   bool
}

// calendarDate is a date, or with year 0 a day of every year.
type calendarDate struct{ year, month, day int }

// longest returns how long after its release a message of the program may still go; same_day is at most a day of 25 hours.
func (p *program) longest() time.Duration {
	switch {
	case p.expiry.SameDay:
		return 25 * time.Hour
	case p.expiry.Hours > 0:
		return time.Duration(p.expiry.Hours) * time.Hour
	}
	return defaultExpiry
}

// expires returns the moment from which a message with this release, before quiet hours, is stale.
func (p *program) expires(release time.Time, loc *time.Location) time.Time {
	if p.expiry.SameDay {
		return care.DateOf(release.In(loc)).AddDays(1).At(0, 0, loc)
	}
	return release.Add(p.longest())
}

// compiler turns a book into what plans are made from and gathers what is wrong with it, in words for its writer.
type compiler struct {
	book     *care.Book
	compiled map[*care.Event]*event
	problems []problem.Problem
}

func (c *compiler) fault(file, path, rule, message, remedy string) {
	found := problem.Problem{Severity: problem.Fault, Rule: rule, File: file, Message: message, Remedy: remedy}
	if c.book.Locate != nil {
		found.Line, found.Column, found.Excerpt = c.book.Locate(file, path)
	}
	c.problems = append(c.problems, found)
}

const dealersFile = "dealers.yaml"

func (c *compiler) dealer(d *care.Dealer, i int) *dealer {
	out := &dealer{Dealer: d, loc: loadZone(d.TimeZone), mar1: d.LeapDay == "mar1"}
	if out.loc == nil {
		c.fault(dealersFile, fmt.Sprintf("$.dealers[%d].time_zone", i), "time-zone",
			fmt.Sprintf("%q is no time zone", d.TimeZone), "write an IANA name such as Asia/Shanghai or America/New_York")
		out.loc = time.UTC
	}
	if d.Locale != "" && !validLocale(d.Locale) {
		c.fault(dealersFile, fmt.Sprintf("$.dealers[%d].locale", i), "locale",
			fmt.Sprintf("%q is no locale", d.Locale), "write zh-CN or en")
	}
	out.locales = localeChain("", d.Locale)
	return out
}

func (c *compiler) events() {
	c.compiled = map[*care.Event]*event{}
	for _, e := range c.book.Events {
		out := &event{Event: e}
		if e.Enabled && e.On.IsZero() {
			c.fault(e.File, "$.on", "event-date", "the event has no date", "write on: YYYY-MM-DD")
		}
		var found *problem.Problem
		if out.audience, found = compileAudience(c.book, e.File, e.Audience, audienceOf(false, false)); found != nil {
			c.problems = append(c.problems, *found)
			out.broken = true // nobody is invited rather than everybody
		}
		c.compiled[e] = out
	}
}

// program makes a program ready; nil if it is switched off or has a fault.
func (c *compiler) program(p *care.Program) *program {
	faults := len(c.problems)
	out := &program{Program: p, class: p.Class, topic: p.Topic, expiry: p.Expires, vehicles: p.Trigger.PerVehicle()}
	if out.class == "" {
		out.class = care.Service
	}
	if out.again = againAfter[p.Trigger.On]; p.AgainAfter != nil {
		out.again = int(*p.AgainAfter)
	}
	if !out.class.Known() {
		c.fault(p.File, "$.class", "class", fmt.Sprintf("%q is no class", p.Class), "write safety, service, care or commercial")
	}
	if out.topic == "" {
		out.topic = p.Program
	}
	c.schedule(p, out)
	c.channels(p, out)
	c.trigger(p, out)
	c.steps(p)
	var found *problem.Problem
	visits := p.Trigger.On == care.OnVisit || p.Trigger.On == care.OnLastVisit
	if out.audience, found = compileAudience(c.book, p.File, p.Audience, audienceOf(out.vehicles, visits)); found != nil {
		c.problems = append(c.problems, *found)
	}
	if len(c.problems) > faults || !p.Enabled {
		return nil
	}
	return out
}

const scheduleRemedy = `write five fields, minute hour day month weekday, such as "30 9 * * MON-SAT" (weekdays are 0-6 or SUN-SAT)`

func (c *compiler) schedule(p *care.Program, out *program) {
	spec := p.Schedule
	if spec == "" {
		spec = defaultSchedule
	}
	s, err := schedule.Parse(spec)
	switch {
	case errors.Is(err, schedule.ErrNoZone):
		c.fault(p.File, "$.schedule", "schedule-zone", err.Error(), `leave the zone out: "0 9 * * *" is nine in the morning wherever the customer lives`)
	case err != nil:
		c.fault(p.File, "$.schedule", "schedule", "the schedule cannot be read: "+err.Error(), scheduleRemedy)
	case s.Gap() > 366:
		c.fault(p.File, "$.schedule", "schedule-never", fmt.Sprintf("%q is not due every year", spec), "choose a day that every year has")
	}
	out.schedule = s
}

func (c *compiler) channels(p *care.Program, out *program) {
	names := p.Channels
	if len(names) == 0 {
		names = []string{preferred, string(care.SMS), string(care.Email)}
	}
	for i, name := range names {
		ch := care.Channel(name)
		switch {
		case name == preferred:
			out.prefer = true
		case !ch.Known():
			c.fault(p.File, fmt.Sprintf("$.channels[%d]", i), "channel", fmt.Sprintf("%q is no channel", name), "write preferred, email, sms, webhook or task")
		case out.prefer:
			out.after = append(out.after, ch)
		default:
			out.before = append(out.before, ch)
		}
	}
}

func (c *compiler) steps(p *care.Program) {
	if len(p.Steps) == 0 {
		c.fault(p.File, "$.steps", "steps", "the program has no steps", "write at least one step: {step: due, template: maintenance}")
	}
	for i, s := range p.Steps {
		at := fmt.Sprintf("$.steps[%d]", i)
		if s.Step == "" {
			c.fault(p.File, at, "step-name", "the step has no name", "write step: and a short name; it must never change once messages went")
		}
		if slices.ContainsFunc(p.Steps[:i], func(o care.Step) bool { return o.Step == s.Step }) {
			c.fault(p.File, at+".step", "step-name", fmt.Sprintf("another step of this program is called %q", s.Step), "give each step a name of its own")
		}
		for j, u := range s.Unless {
			if u != appointment && u != visit {
				c.fault(p.File, fmt.Sprintf("%s.unless[%d]", at, j), "unless", fmt.Sprintf("%q is nothing a step can wait for", u), "write unless: [appointment, visit], or leave it out")
			}
		}
		if s.Offset.Hours != 0 && (p.Trigger.On != care.OnAppointment && p.Trigger.On != care.OnSignal || p.Trigger.Missed) {
			c.fault(p.File, at+".offset", "offset-hours", fmt.Sprintf("%q counts hours, but %s has a date and no hour", s.Offset, p.Trigger.On), "write the offset in days, such as -1d")
		}
	}
}

func (c *compiler) trigger(p *care.Program, out *program) {
	t := p.Trigger
	if !slices.Contains(care.Triggers, t.On) {
		c.fault(p.File, "$.trigger.on", "trigger", fmt.Sprintf("%q is no trigger", t.On), "write one of "+strings.Join(care.Triggers, ", "))
		return
	}
	switch t.On {
	case care.OnCalendar:
		c.calendar(p, out)
	case care.OnHoldEnd:
		if t.Reason == "" || t.Reason == care.Deceased {
			c.fault(p.File, "$.trigger", "hold-reason", "the trigger hold_end does not say the end of which hold", "write reason: and the hold's reason as the records have it, such as complaint")
		}
	case care.OnSignal:
		if t.Signal == "" {
			c.fault(p.File, "$.trigger", "signal-name", "the trigger signal does not say which signal", "write signal: and its name, such as car_ready")
		}
	case care.OnEvent:
		for _, e := range c.book.Events {
			if fits(t.Event, e.Event) && fits(t.Kind, e.Kind) && e.Enabled && !e.On.IsZero() && !c.compiled[e].broken {
				out.events = append(out.events, c.compiled[e])
			}
		}
		if t.Event != "" && !slices.ContainsFunc(c.book.Events, func(e *care.Event) bool { return e.Event == t.Event }) {
			c.fault(p.File, "$.trigger.event", "event", fmt.Sprintf("there is no event %q", t.Event), "write the name of a file in events/, or leave it out for all events")
		}
	case care.OnBulletin:
		for _, b := range c.book.Bulletins {
			if fits(t.Bulletin, b.Bulletin) && fits(t.Kind, b.Kind) && b.Enabled && !b.PublishedOn.IsZero() {
				out.news = append(out.news, b)
			}
		}
		if t.Bulletin != "" && !slices.ContainsFunc(c.book.Bulletins, func(b *care.Bulletin) bool { return b.Bulletin == t.Bulletin }) {
			c.fault(p.File, "$.trigger.bulletin", "bulletin", fmt.Sprintf("there is no bulletin %q", t.Bulletin), "write the name of a file in bulletins/, or leave it out for all bulletins")
		}
	}
}

// fits reports whether a name is the wanted one; no wish fits everything.
func fits(want, have string) bool { return want == "" || want == have }

func (c *compiler) calendar(p *care.Program, out *program) {
	t := p.Trigger
	if len(t.Dates) == 0 && t.Festival == "" && t.SolarTerm == "" && t.Cron == "" {
		c.fault(p.File, "$.trigger", "calendar", "the calendar trigger says no date", `write dates: ["--12-24"], festival:, solar_term: or cron:`)
	}
	for i, s := range t.Dates {
		d, ok := parseCalendarDate(s)
		if !ok {
			c.fault(p.File, fmt.Sprintf("$.trigger.dates[%d]", i), "calendar-date", fmt.Sprintf("%q is no date", s), `write 2026-11-01, or "--12-24" for every year`)
			continue
		}
		out.dates = append(out.dates, d)
	}
	if t.Festival != "" && !slices.Contains(calendar.Festivals(), t.Festival) {
		c.fault(p.File, "$.trigger.festival", "festival", fmt.Sprintf("%q is no festival", t.Festival), "write one of "+strings.Join(calendar.Festivals(), ", "))
	}
	if t.SolarTerm != "" && !slices.Contains(calendar.Terms[:], t.SolarTerm) {
		c.fault(p.File, "$.trigger.solar_term", "solar-term", fmt.Sprintf("%q is no solar term", t.SolarTerm), "write one of "+strings.Join(calendar.Terms[:], " "))
	}
	if t.Cron == "" {
		return
	}
	s, err := schedule.Parse(t.Cron)
	switch {
	case errors.Is(err, schedule.ErrNoZone):
		c.fault(p.File, "$.trigger.cron", "schedule-zone", err.Error(), "leave the zone out")
	case err != nil:
		c.fault(p.File, "$.trigger.cron", "schedule", "the cron expression cannot be read: "+err.Error(), scheduleRemedy)
	case s.Gap() > schedule.LongestGap:
		c.fault(p.File, "$.trigger.cron", "schedule-never", fmt.Sprintf("%q is never due", t.Cron), "choose a day that exists")
	}
	out.days = s
}

func parseCalendarDate(s string) (calendarDate, bool) {
	if rest, yearly := strings.CutPrefix(s, "--"); yearly {
		d, err := care.ParseDate("2000-" + rest) // a leap year: --02-29 is a day
		return calendarDate{0, int(d.Month()), d.Day()}, err == nil
	}
	d, err := care.ParseDate(s)
	return calendarDate{d.Year(), int(d.Month()), d.Day()}, err == nil
}
