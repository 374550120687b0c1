package scheduler

import (
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler/calendar"
	"github.com/carebell/carebell/scheduler/odometer"
)

// run is the planning of one customer. It is reused, so that a customer for whom nothing is due costs no allocation.
type run struct {
	p        *Planner
	facts    *care.Facts
	customer *care.Customer
	dealer   *dealer
	loc      *time.Location // nil until something is due
	request  Request
	reached  [2]reached   // by e-mail and by SMS, once it was asked for
	search   *search      // the round that is looked for, if one alone is
	looking  search       // where search points to
	focus    *care.Record // the message that is about to be sent, when the plan is asked for it alone

	alone      [1]*run // the party of one
	seen       *visits // what an audience sees, used again
	turns      int     // of the loops of an audience
	candidates []*candidate
	spare      []*candidate // to be used again
	odometers  []*instrument
	prefs      care.Preferences
	closed     bool
}

// instrument is a vehicle's odometer, known once it was read for this run.
type instrument struct {
	odometer.Odometer
	known bool
}

// reached is where a customer is reached on a channel.
type reached struct {
	known, ok bool
	address   string
}

// candidate is an occurrence on its way to a verdict.
type candidate struct {
	run     *run
	occ     *care.Occurrence
	program *program
	step    int
	vehicle int // index in the record, -1 for none
	due     due

	channels []care.Channel // those that pass every gate but the ones of time
	held     []care.Channel // those that would, were they not held back for now
	emptied  *channelGate   // the gate that left none
	lead     care.Channel   // the channel whose quiet hours count

	planned time.Time  // the release before it was overdue
	shown   time.Time  // the release before the cap
	done    bool       // the ledger says that it is over
	sending bool       // it is being handed over right now
	merged  *candidate // the message it goes with
	capped  bool       // the cap leaves no room before it expires

	address string // where it goes, where several customers are planned together
	sharer  string // who gets it for this customer, too
	serves  bool   // it goes for others, too
	barred  bool   // it would, but finds no room under the cap
	lost    bool   // so does it although others were to go with it
}

// spareMost is how many candidates a run keeps for the next: a customer rarely has more.
const spareMost = 16

// begin prepares a run; nil if the customer is not planned at all.
func (p *Planner) begin(f *care.Facts, r Request) *run {
	if f == nil || f.Customer == nil || f.Err != nil {
		return nil
	}
	d := p.dealerOf(f.Customer)
	if d == nil {
		return nil
	}
	out := p.runs.Get().(*run)
	out.p, out.facts, out.customer, out.dealer, out.request = p, f, f.Customer, d, r
	out.closed = f.Customer.Closed
	out.prefs = Preferences(f)
	for len(out.odometers) < len(f.Customer.Vehicles) {
		out.odometers = append(out.odometers, new(instrument))
	}
	return out
}

// end gives the run back. Its occurrences live on; nothing else of it may.
func (r *run) end() {
	for _, o := range r.odometers {
		o.known = false
	}
	for _, c := range r.candidates[:min(len(r.candidates), spareMost-len(r.spare))] {
		*c = candidate{}
		r.spare = append(r.spare, c)
	}
	clear(r.candidates)
	*r = run{candidates: r.candidates[:0], spare: r.spare, odometers: r.odometers, seen: r.seen, p: r.p}
	r.p.runs.Put(r)
}

// Preferences returns the customer's wishes: what the overlay says comes before the record. What was never said in the overlay
// stays as it is in the record, except for the topics that are off, of which the overlay holds the whole list.
func Preferences(f *care.Facts) care.Preferences {
	out := f.Customer.Preferences
	if f.Overlay == nil || f.Overlay.Preferences == nil {
		return out
	}
	own := f.Overlay.Preferences
	if len(own.Channels) > 0 {
		out.Channels = own.Channels
	}
	if own.MaxPerWeek != nil {
		out.MaxPerWeek = own.MaxPerWeek
	}
	if !own.Quiet.IsZero() {
		out.Quiet = own.Quiet
	}
	out.Off = own.Off
	return out
}

// odometer returns what is known of a vehicle's mileage, the customer's own reports included.
func (r *run) odometer(i int) *instrument {
	o := r.odometers[i]
	if !o.known {
		v := &r.customer.Vehicles[i]
		o.Read(v, Reported(r.facts, v.ID))
		o.known = true
	}
	return o
}

// Reported returns the readings the customer told us.
func Reported(f *care.Facts, vehicle string) []care.Reading {
	if f.Overlay == nil {
		return nil
	}
	var out []care.Reading
	for _, fact := range f.Overlay.Readings {
		if fact.Vehicle == vehicle && !fact.On.IsZero() && fact.KM >= 0 {
			out = append(out, care.Reading{On: fact.On, KM: fact.KM})
		}
	}
	return out
}

// location is the recipient's zone, looked up when something is due.
func (r *run) location() *time.Location {
	if r.loc == nil {
		r.loc = r.p.location(r.customer, r.dealer)
	}
	return r.loc
}

// collect gathers every occurrence that can have its release in the window.
func (r *run) collect(w *window) {
	for i, p := range w.programs {
		r.triggers(p, &w.spans[i])
	}
}

// steps makes a candidate of each step of a round whose date lies in the span.
func (r *run) steps(p *program, s *span, d due) {
	for i := range p.Steps {
		on := r.stepDate(p, i, d)
		if on.Before(s.onLo) || on.After(s.onHi) || !r.exists(p, d, on) {
			continue
		}
		r.add(p, i, d, on)
	}
}

// exists reports whether there is an occurrence at all on a step's date: within the program's dates, the vehicle not yet sold.
func (r *run) exists(p *program, d due, on care.Date) bool {
	if on.IsZero() || !p.From.IsZero() && on.Before(p.From) || !p.Until.IsZero() && on.After(p.Until) {
		return false
	}
	if d.vehicle < 0 {
		return true
	}
	sold := SoldOn(r.facts, &r.customer.Vehicles[d.vehicle])
	return sold.IsZero() || on.Before(sold)
}

// add makes a candidate of a step, unless it is stale when it is first seen, as if it had never been, or of a later window.
func (r *run) add(p *program, step int, d due, on care.Date) {
	scheduled, expires := r.times(p, step, d, on)
	if expires.After(r.request.Now) && scheduled.Before(r.request.To.Add(p.ahead())) {
		r.candidates = append(r.candidates, r.candidate(p, step, d, on, scheduled, expires))
	}
}

func (r *run) candidate(p *program, step int, d due, on care.Date, scheduled, expires time.Time) *candidate {
	var c *candidate
	if n := len(r.spare); n > 0 {
		c, r.spare = r.spare[n-1], r.spare[:n-1]
	} else {
		c = new(candidate)
	}
	c.program, c.step, c.vehicle, c.due = p, step, d.vehicle, d
	o := &care.Occurrence{
		Customer: r.facts.ID, Dealer: r.dealer.Dealer.Dealer, Program: p.Program.Program, Step: p.Steps[step].Step,
		On: on, Due: d.on, Class: p.class, Topic: p.topic, Template: p.Steps[step].Template, Priority: p.Priority,
		Scheduled: scheduled, Release: scheduled, Expires: expires,
	}
	if o.Customer == "" {
		o.Customer = r.customer.ID
	}
	o.Subject.Visit, o.Subject.Bulletin, o.Subject.Signal = d.visit, d.bulletin, d.signal
	if d.event != nil {
		o.Subject.Event = d.event.Event
	}
	if d.vehicle >= 0 {
		o.Subject.Vehicle = &r.customer.Vehicles[d.vehicle]
		o.Vehicle = o.Subject.Vehicle.ID
	}
	if rec := r.focus; rec != nil && rec.Program == o.Program && rec.Step == o.Step && rec.Vehicle == o.Vehicle && d.cycle.is(rec.Cycle) {
		o.Cycle, o.ID = rec.Cycle, rec.ID // that is how it was named
	} else {
		o.Cycle = d.cycle.String()
		o.ID = care.OccurrenceID(o.Customer, o.Vehicle, o.Program, o.Step, o.Cycle)
	}
	c.occ = o
	return c
}

// stepDate returns the date of a step of a round.
func (r *run) stepDate(p *program, step int, d due) care.Date {
	if offset := p.Steps[step].Offset; offset.Hours != 0 && !d.at.IsZero() {
		return care.DateOf(d.at.Add(offset.Length()).In(r.location()))
	}
	return p.Steps[step].Offset.From(d.on)
}

// times returns the release of a step before quiet hours, and the moment from which it is stale. A step hours from an appointment leaves at
// its own moment, and what comes before it is stale once it has begun. A signal is answered at the program's hour, or at once if that has
// passed.
func (r *run) times(p *program, step int, d due, on care.Date) (release, expires time.Time) {
	offset := p.Steps[step].Offset
	switch moment := d.at.Add(offset.Length()); {
	case p.Trigger.On == care.OnAppointment && offset.Hours != 0:
		release = moment
	case p.Trigger.On == care.OnSignal && offset.Days == 0 && offset.Months == 0:
		release = care.Later(r.scheduled(p, on), moment)
	default:
		release = r.scheduled(p, on)
	}
	expires = p.expires(release, r.location())
	if p.Trigger.On == care.OnAppointment && release.Before(d.at) {
		expires = earliest(expires, d.at)
	}
	return release, expires
}

// scheduled returns the release of a step's date before quiet hours: the first activation of the schedule on or after it. A
// greeting moves off a day for the dead to the day before (design A5.1), whatever the schedule says of that day.
func (r *run) scheduled(p *program, on care.Date) time.Time {
	day := p.schedule.Next(on)
	if p.Greeting && r.chinese() && calendar.ForTheDead(day) {
		day = day.AddDays(-1)
	}
	return p.schedule.At(day, r.location())
}

// chinese reports whether the recipient reads Chinese.
func (r *run) chinese() bool {
	locale := r.customer.Locale
	if !validLocale(locale) {
		locale = r.dealer.Locale
	}
	return len(locale) >= 2 && locale[0]|0x20 == 'z' && locale[1]|0x20 == 'h' && (len(locale) == 2 || locale[2] == '-')
}

// locate finds the one round of a trigger that a recorded message belongs to, wherever its date lies now.
func (r *run) locate(p *program, vehicle, cycleName string) (found due, ok bool) {
	s := span{lo: care.NewDate(1, 1, 1), hi: care.NewDate(9999, 12, 31)}
	switch p.Trigger.On {
	case care.OnBirthday, care.OnAnniversary:
		year, err := strconv.Atoi(cycleName[:min(4, len(cycleName))])
		if err != nil || year < 1 {
			return due{}, false
		}
		s.lo, s.hi = care.NewDate(year, 1, 1), care.NewDate(year, 12, 31)
	case care.OnCalendar:
		d, err := care.ParseDate(cycleName)
		if err != nil {
			return due{}, false
		}
		s.lo, s.hi = d, d
		s.calendar(p)
	}
	r.looking = search{vehicle: vehicle, cycle: cycleName}
	r.search = &r.looking
	r.triggers(p, &s)
	found, ok = r.search.found, r.search.ok
	r.search = nil
	return found, ok
}

// search is the one round that locate looks for.
type search struct {
	vehicle, cycle string
	found          due
	ok             bool
}

// found takes a round: its steps become candidates, unless one round alone is looked for.
func (r *run) found(p *program, s *span, d due) {
	if r.search == nil {
		r.steps(p, s, d)
		return
	}
	mine := d.vehicle < 0 && r.search.vehicle == "" || d.vehicle >= 0 && r.customer.Vehicles[d.vehicle].ID == r.search.vehicle
	if mine && d.cycle.is(r.search.cycle) {
		r.search.found, r.search.ok = d, true
	}
}
