package scheduler

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler/calendar"
	"github.com/carebell/carebell/scheduler/odometer"
)

// cycle names the round of a trigger that an occurrence belongs to. It is written out only for what is really planned.
type cycle struct {
	name string    // "once", an order, an event; else
	date care.Date // the date, or with year set its year
	year bool
	nth  int // the second in one civil year
}

func (c cycle) String() string {
	switch {
	case c.name != "":
		return c.name
	case !c.year:
		return c.date.String()
	case c.nth > 1:
		return strconv.Itoa(c.date.Year()) + "-" + strconv.Itoa(c.nth)
	}
	return strconv.Itoa(c.date.Year())
}

// is compares without writing the name out, where most cycles are dates.
func (c cycle) is(name string) bool {
	if c.name != "" || c.year || c.date.IsZero() {
		return c.String() == name
	}
	d, err := care.ParseDate(name)
	return err == nil && d == c.date
}

// due is one round of a trigger: its date, its cycle and what it is about.
type due struct {
	on       care.Date
	at       time.Time // the trigger's moment, where it has one
	cycle    cycle
	vehicle  int // index in the record; -1 for customer triggers
	visit    *care.Visit
	event    *event
	bulletin *care.Bulletin
	signal   *care.Signal
}

// span is an inclusive range of trigger dates; dates hold those of a calendar trigger in it.
type span struct {
	lo, hi     care.Date      // of triggers
	onLo, onHi care.Date      // of steps
	dates      [2][]care.Date // with 29 February kept on 28 February, and on 1 March
}

func (s *span) has(d care.Date) bool { return !d.Before(s.lo) && !d.After(s.hi) && !d.IsZero() }

// triggers finds the rounds of the program whose date lies in the span and calls found with each.
func (r *run) triggers(p *program, s *span) {
	switch p.Trigger.On {
	case care.OnBirthday:
		r.birthdays(p, s)
		return
	case care.OnCalendar:
		for _, d := range s.dates[r.dealer.leapDay()] {
			r.found(p, s, due{on: d, cycle: cycle{date: d}, vehicle: -1})
		}
		return
	case care.OnEvent:
		for _, e := range p.events {
			if s.has(e.On) && (len(e.Dealers) == 0 || slices.Contains(e.Dealers, r.dealer.Dealer.Dealer)) {
				r.found(p, s, due{on: e.On, cycle: cycle{name: e.Event.Event}, vehicle: -1, event: e})
			}
		}
		return
	case care.OnHoldEnd:
		r.holdEnds(p, s)
		return
	case care.OnSignal:
		r.signals(p, s)
		return
	}
	for i := range r.customer.Vehicles {
		r.vehicleTriggers(p, s, i)
	}
}

func (r *run) birthdays(p *program, s *span) {
	b := r.customer.Birthday
	if b.IsZero() {
		return
	}
	for year := s.lo.Year(); year <= s.hi.Year(); year++ {
		if b.Year > 0 && year < int(b.Year)+16 {
			continue // a child has no car: the date is a mistake
		}
		dates, n := calendar.Birthdays(b, year, r.dealer.mar1)
		for i, d := range dates[:n] {
			if s.has(d) {
				r.found(p, s, due{on: d, cycle: cycle{date: d, year: true, nth: i + 1}, vehicle: -1})
			}
		}
	}
}

// holdEnds finds the day after each hold of the program's reason. Where two began on the same day the longer one counts.
func (r *run) holdEnds(p *program, s *span) {
	holds := r.customer.Holds
	if r.facts.Overlay != nil && len(r.facts.Overlay.Holds) > 0 {
		holds = slices.Concat(r.facts.Overlay.Holds, holds)
	}
	for i := range holds {
		h, last := &holds[i], i
		for j := range holds {
			if o := &holds[j]; o.Reason == h.Reason && o.Since == h.Since && o.Until != holds[last].Until && outlasts(o, &holds[last]) {
				last = j
			}
		}
		same := func(o care.Hold) bool { return o == *h }
		if h.Reason != p.Trigger.Reason || h.Until.IsZero() || holds[last].Until != h.Until || slices.ContainsFunc(holds[:i], same) {
			continue
		}
		if on := h.Until.AddDays(1); s.has(on) {
			since := h.Since
			if since.IsZero() {
				since = h.Until
			}
			r.found(p, s, due{on: on, cycle: cycle{date: since}, vehicle: -1})
		}
	}
}

// signals finds what other systems said: of the customer, or of a car of theirs.
func (r *run) signals(p *program, s *span) {
	if r.facts.Overlay == nil {
		return
	}
	for i := range r.facts.Overlay.Signals {
		sig := &r.facts.Overlay.Signals[i]
		if sig.Signal != p.Trigger.Signal {
			continue
		}
		vehicle := -1
		if sig.Vehicle != "" {
			vehicle = slices.IndexFunc(r.customer.Vehicles, func(v care.Vehicle) bool { return v.ID == sig.Vehicle })
			if vehicle < 0 {
				continue // the record may come to have it
			}
		}
		if on := care.DateOf(sig.At.In(r.location())); s.has(on) {
			r.found(p, s, due{on: on, at: sig.At, cycle: cycle{name: sig.ID}, vehicle: vehicle, signal: sig})
		}
	}
}

// SignalUntil returns until when a message can come of a signal that is given at a moment; false if no program listens to it.
func (p *Planner) SignalUntil(name string, at time.Time) (until time.Time, known bool) {
	for _, prog := range p.programs {
		if prog.Trigger.On != care.OnSignal || prog.Trigger.Signal != name {
			continue
		}
		known = true
		for i := range prog.Steps {
			offset := prog.Steps[i].Offset
			on := prog.schedule.Next(offset.From(care.DateOf(at.Add(offset.Length()).UTC())).AddDays(1))
			until = care.Later(until, prog.schedule.At(on, time.UTC).Add(prog.longest()+week))
		}
	}
	return until, known
}

func (r *run) vehicleTriggers(p *program, s *span, i int) {
	v := &r.customer.Vehicles[i]
	switch p.Trigger.On {
	case care.OnDelivery:
		r.once(p, s, i, v.DeliveredOn, cycle{name: "once"})
	case care.OnAnniversary:
		if v.DeliveredOn.IsZero() {
			return
		}
		for year := max(s.lo.Year(), v.DeliveredOn.Year()+1); year <= s.hi.Year(); year++ {
			d := calendar.Annual(int(v.DeliveredOn.Month()), v.DeliveredOn.Day(), year, r.dealer.mar1)
			r.once(p, s, i, d, cycle{date: d, year: true})
		}
	case care.OnMaintenanceDue:
		r.maintenance(p, s, i)
	case care.OnVisit:
		r.visits(p, s, i)
	case care.OnLastVisit:
		last := LatestVisit(v)
		on := lastVisit(v)
		if s.has(on) {
			r.found(p, s, due{on: on, cycle: cycle{date: on}, vehicle: i, visit: last})
		}
	case care.OnWarrantyEnd:
		r.warranty(p, s, i)
	case care.OnInsuranceEnd:
		r.once(p, s, i, v.InsuranceUntil, cycle{date: v.InsuranceUntil})
	case care.OnInspectionDue:
		r.once(p, s, i, v.InspectionDue, cycle{date: v.InspectionDue})
	case care.OnAppointment:
		r.appointments(p, s, i)
	case care.OnBulletin:
		for _, b := range p.news {
			switch {
			case b.Kind == recall:
				if !b.PublishedOn.After(s.hi) && matches(r.dealer.Dealer, b, v) {
					r.recall(p, s, i, b)
				}
			case s.has(b.PublishedOn) && matches(r.dealer.Dealer, b, v):
				r.found(p, s, due{on: b.PublishedOn, cycle: cycle{name: b.Bulletin}, vehicle: i, bulletin: b})
			}
		}
	}
}

// appointments finds the vehicle's appointment, or the day after one that no visit followed.
func (r *run) appointments(p *program, s *span, i int) {
	v := &r.customer.Vehicles[i]
	if v.AppointmentAt.IsZero() {
		return
	}
	on := care.DateOf(v.AppointmentAt.In(r.location()))
	c := cycle{date: on}
	if !p.Trigger.Missed {
		if s.has(on) {
			r.found(p, s, due{on: on, at: v.AppointmentAt, cycle: c, vehicle: i})
		}
		return
	}
	for j := range v.Visits {
		if !v.Visits[j].ClosedOn.Before(on) {
			return
		}
	}
	r.once(p, s, i, on.AddDays(1), c)
}

// once finds a round on a date that is the vehicle's own.
func (r *run) once(p *program, s *span, i int, on care.Date, c cycle) {
	if s.has(on) {
		r.found(p, s, due{on: on, cycle: c, vehicle: i})
	}
}

// maintenance finds the vehicle's next service. The date rule bounds it from above and the baseline from below, so that most
// vehicles need no look at their readings.
func (r *run) maintenance(p *program, s *span, i int) {
	v := &r.customer.Vehicles[i]
	base, ok := odometer.BaselineOf(v, r.dealer.Dealer)
	if !ok || base.On.After(s.hi) {
		return
	}
	if base.Interval.Months > 0 && base.On.AddMonths(base.Interval.Months).Before(s.lo) {
		return
	}
	if on := r.odometer(i).Due(&base, v, r.dealer.Dealer); s.has(on) {
		r.found(p, s, due{on: on, cycle: cycle{date: base.On}, vehicle: i})
	}
}

func (r *run) warranty(p *program, s *span, i int) {
	v := &r.customer.Vehicles[i]
	w := v.Warranty
	name := cycle{date: w.Until}
	if w.Until.IsZero() {
		name.date = v.DeliveredOn
	}
	if name.date.IsZero() || !w.Until.IsZero() && w.Until.Before(s.lo) {
		return
	}
	if on := r.odometer(i).WarrantyEnd(v, r.dealer.Dealer); s.has(on) {
		r.found(p, s, due{on: on, cycle: name, vehicle: i})
	}
}

// visits finds each visit. Orders that were closed within two days of each other are one, dated by the latest; its cycle is the first.
func (r *run) visits(p *program, s *span, i int) {
	list := r.customer.Vehicles[i].Visits
	if !slices.ContainsFunc(list, func(v care.Visit) bool { return s.has(v.ClosedOn) }) {
		return
	}
	orders := make([]*care.Visit, 0, len(list))
	for j := range list {
		if !replaced(list, j) {
			orders = append(orders, &list[j])
		}
	}
	slices.SortFunc(orders, func(a, b *care.Visit) int {
		return cmp.Or(a.ClosedOn.Compare(b.ClosedOn), strings.Compare(a.Order, b.Order), compareVisits(a, b))
	})
	for len(orders) > 0 {
		first, n := orders[0], 1
		for n < len(orders) && orders[n].ClosedOn.Sub(first.ClosedOn) <= oneVisitDays {
			n++
		}
		if visit := oneVisit(orders[:n]); s.has(visit.ClosedOn) {
			r.found(p, s, due{on: visit.ClosedOn, cycle: cycle{name: first.Order, date: first.ClosedOn}, vehicle: i, visit: visit})
		}
		orders = orders[n:]
	}
}

// oneVisitDays is how far apart the orders of one visit are closed at most.
const oneVisitDays = 2

// oneVisit joins the orders of one visit, which are in their order of time: what one says and another leaves out counts.
func oneVisit(orders []*care.Visit) *care.Visit {
	last := orders[len(orders)-1]
	if len(orders) == 1 {
		return last
	}
	out := *last
	out.Order, out.Declined = orders[0].Order, nil
	for _, o := range orders {
		if odometer.MoreKM(o.KM, out.KM) {
			out.KM = o.KM
		}
		if o.Maintenance() {
			out.Kind = o.Kind
		}
		out.Technician = cmp.Or(out.Technician, o.Technician)
		for _, work := range o.Declined {
			if !slices.Contains(out.Declined, work) {
				out.Declined = append(out.Declined, work)
			}
		}
	}
	return &out
}

// replaced reports whether another visit of the list has the same cycle and counts instead of the j-th.
func replaced(list []care.Visit, j int) bool {
	mine := &list[j]
	for k := range list {
		other := &list[k]
		if k == j || other.Order != mine.Order || mine.Order == "" && other.ClosedOn != mine.ClosedOn {
			continue
		}
		if c := compareVisits(other, mine); c > 0 || c == 0 && k < j {
			return true
		}
	}
	return false
}

// compareVisits orders visits by date and then by everything a message may say of them.
func compareVisits(a, b *care.Visit) int {
	if c := a.ClosedOn.Compare(b.ClosedOn); c != 0 {
		return c
	}
	if odometer.MoreKM(a.KM, b.KM) != odometer.MoreKM(b.KM, a.KM) {
		if odometer.MoreKM(a.KM, b.KM) {
			return 1
		}
		return -1
	}
	return cmp.Or(strings.Compare(a.Order, b.Order), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Technician, b.Technician),
		strings.Compare(strings.Join(a.Declined, "\n"), strings.Join(b.Declined, "\n")))
}

// LatestVisit returns the vehicle's latest visit, nil if it has none.
func LatestVisit(v *care.Vehicle) *care.Visit {
	var last *care.Visit
	for i := range v.Visits {
		if last == nil || compareVisits(&v.Visits[i], last) > 0 {
			last = &v.Visits[i]
		}
	}
	return last
}

// lastVisit returns the date of the latest visit, else of the delivery.
func lastVisit(v *care.Vehicle) care.Date {
	if last := LatestVisit(v); last != nil {
		return last.ClosedOn
	}
	return v.DeliveredOn
}

// matches reports whether a bulletin is about the vehicle. A bulletin without conditions is about none: a recall that forgot
// them must not alarm everybody.
func matches(d *care.Dealer, b *care.Bulletin, v *care.Vehicle) bool {
	for i := range b.Match {
		m := &b.Match[i]
		if d.Covers(m.Make, m.Model, v) && sameYear(m.ModelYears, v.ModelYear) && inRange(m.VIN, v.ID) {
			return true
		}
	}
	return false
}

func sameYear(years []int, year int) bool {
	if len(years) == 0 {
		return true
	}
	return year != 0 && year >= years[0] && year <= years[len(years)-1]
}

// inRange compares as text, among ids of equal length: a VIN's serial number stands at its end.
func inRange(r care.VINRange, id string) bool {
	if r.From != "" && (len(id) != len(r.From) || id < r.From) {
		return false
	}
	return r.To == "" || len(id) == len(r.To) && id <= r.To
}

// window holds, for one request, the programs that can have a round at all, each with its span.
type window struct {
	from, to time.Time
	programs []*program
	spans    []span
}

// grouped is how far from each other merged dues may lie (design A5.5).
const grouped = 72 * time.Hour

// windowsKept is how many windows are remembered: midnight comes at some forty different moments around the earth.
const windowsKept = 48

// windowFor returns the spans of a request, the same for every customer: an occurrence in any zone on earth that has not expired
// at from and whose release can lie before to has its step's date in its program's span.
func (p *Planner) windowFor(from, to time.Time) *window {
	kept := p.windows.Load()
	if kept != nil {
		for _, w := range *kept {
			if w.from.Equal(from) && w.to.Equal(to) {
				return w
			}
		}
	}
	w := &window{from: from, to: to}
	for _, prog := range p.programs {
		if s := prog.span(from, to); prog.within(&s) {
			w.programs, w.spans = append(w.programs, prog), append(w.spans, s)
		}
	}
	// Two goroutines may forget each other's window; it is only computed once more then.
	list := []*window{w}
	if kept != nil {
		list = append(list, (*kept)[:min(len(*kept), windowsKept-1)]...)
	}
	p.windows.Store(&list)
	return w
}

// span returns the trigger and step dates that can matter for messages that live on at from and leave before to.
func (p *program) span(from, to time.Time) span {
	back, ahead := p.longest(), p.ahead()
	if p.merging() != "" {
		back += grouped
	}
	var s span
	// Zones reach from -12 to +14 hours, so that a day more on either side is enough.
	s.onLo = p.schedule.Since(care.DateOf(from.UTC().Add(-back)).AddDays(-1))
	s.onHi = care.DateOf(to.UTC().Add(ahead)).AddDays(1)
	if p.Greeting {
		s.onHi = s.onHi.AddDays(1) // it may move to the day before
	}
	for i := range p.Steps {
		lo, hi := inverse(p.Steps[i].Offset, s.onLo, s.onHi)
		if i == 0 || lo.Before(s.lo) {
			s.lo = lo
		}
		if hi.After(s.hi) {
			s.hi = hi
		}
	}
	if p.Trigger.On == care.OnCalendar {
		s.calendar(p)
	}
	return s
}

// within reports whether the program can have a round in the span: what hangs on days of the book alone mostly has none.
func (p *program) within(s *span) bool {
	if s.lo.IsZero() {
		return false
	}
	switch p.Trigger.On {
	case care.OnCalendar:
		return len(s.dates[0])+len(s.dates[1]) > 0
	case care.OnEvent:
		return slices.ContainsFunc(p.events, func(e *event) bool { return s.has(e.On) })
	case care.OnBulletin:
		return slices.ContainsFunc(p.news, func(b *care.Bulletin) bool {
			return s.has(b.PublishedOn) || b.Kind == recall && !b.PublishedOn.After(s.hi)
		})
	}
	return true
}

// ahead is how far after a window the program's messages can still have to do with it: a later due can be the one that carries an
// earlier one it is merged with.
func (p *program) ahead() time.Duration {
	if p.merging() != "" {
		return grouped
	}
	return 0
}

// inverse returns the trigger dates whose step can fall in [lo, hi]. Months are clamped to their end, so a few days more are
// allowed for; the step's own date is compared again later.
func inverse(o care.Offset, lo, hi care.Date) (care.Date, care.Date) {
	switch {
	case o.Months != 0:
		return lo.AddMonths(-o.Months).AddDays(-3), hi.AddMonths(-o.Months).AddDays(3)
	case o.Hours != 0: // a day more on either side
		days := o.Hours / 24
		return lo.AddDays(-days - 1), hi.AddDays(-days + 1)
	}
	return lo.AddDays(-o.Days), hi.AddDays(-o.Days)
}

func (s *span) calendar(p *program) {
	s.dates = [2][]care.Date{p.calendarDates(s.lo, s.hi, false), p.calendarDates(s.lo, s.hi, true)}
}

// calendarDates returns the dates of a calendar trigger in [lo, hi], in order and each once.
func (p *program) calendarDates(lo, hi care.Date, mar1 bool) []care.Date {
	set := map[care.Date]bool{}
	add := func(d care.Date, ok bool) {
		if ok && !d.IsZero() && !d.Before(lo) && !d.After(hi) {
			set[d] = true
		}
	}
	t := p.Trigger
	for year := lo.Year() - 1; year <= hi.Year(); year++ { // a lunar year's festivals reach into the next civil one
		for _, d := range p.dates {
			if d.year == 0 {
				add(calendar.Annual(d.month, d.day, year, mar1), true)
			}
		}
		if t.Festival != "" {
			add(calendar.Festival(t.Festival, year))
		}
		if t.SolarTerm != "" {
			add(calendar.Term(t.SolarTerm, year))
		}
	}
	for _, d := range p.dates {
		if d.year != 0 {
			add(care.NewDate(d.year, time.Month(d.month), d.day), true)
		}
	}
	if t.Cron != "" {
		for d := p.days.Next(lo); !d.IsZero() && !d.After(hi); d = p.days.Next(d.AddDays(1)) {
			set[d] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), care.Date.Compare)
}
