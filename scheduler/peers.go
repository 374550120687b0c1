package scheduler

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler/schedule"
)

// Peers is who else wants the workshop's capacity on a day. It is built by adding everybody once; the plan proper is then given it in
// the Request.
//
// It keeps a few words for each message of a program with a capacity that will go, and nothing for any other, so its size follows the
// messages of the window and not the number of customers. Safe for many goroutines.
type Peers struct {
	planner *Planner

	mu       sync.Mutex
	queues   map[dealerProgram]*queue
	assigned bool
}

type dealerProgram struct{ dealer, program string }

// queue is who wants the capacity of a dealer's program.
type queue struct {
	wants []want
	days  map[string]care.Date // occurrence → the day it was given; no day = none before it expires
	used  map[care.Date]int
}

// want is an occurrence that competes for capacity.
type want struct {
	id    string
	day   care.Date // the local day it would leave on
	due   care.Date
	last  care.Date // the last local day it could still leave on
	order string
	fixed bool // it went on that day already
}

// NewPeers returns an empty record of peers.
func (p *Planner) NewPeers() *Peers {
	return &Peers{planner: p, queues: map[dealerProgram]*queue{}}
}

// NeedsPeers reports whether any message of the window depends on other customers: if not, one pass is enough.
func (p *Planner) NeedsPeers(from, to time.Time) bool {
	return slices.ContainsFunc(p.windowFor(from, to).programs, func(prog *program) bool { return prog.Capacity.PerDay > 0 })
}

// perHousehold reports whether a household gets the program's message once.
func (p *program) perHousehold() bool {
	return p.Trigger.On == care.OnCalendar || p.Trigger.On == care.OnEvent
}

// Add plans a customer without regard to others and takes in what would go. Adding the same again changes nothing.
func (s *Peers) Add(f *care.Facts, r Request) {
	if !s.planner.NeedsPeers(care.Later(r.From, r.Now), r.To) {
		return
	}
	r.Peers, r.Explain = nil, false
	for _, o := range s.planner.Plan(f, r) {
		prog := s.planner.byName[o.Program]
		if o.Verdict != care.Send || prog == nil {
			continue
		}
		if prog.Capacity.PerDay > 0 {
			s.addWant(f, o, prog, r.Now)
		}
	}
}

func (s *Peers) addWant(f *care.Facts, o *care.Occurrence, prog *program, now time.Time) {
	last := care.DateOf(o.Expires)
	if !prog.schedule.At(last, o.Release.Location()).Before(o.Expires) {
		last = last.AddDays(-1)
	}
	w := want{
		id: o.ID, day: care.DateOf(care.Later(o.Release, now).In(o.Release.Location())), due: o.Due, last: last,
		order: o.Customer + "\x00" + o.Vehicle + "\x00" + o.Step,
	}
	if e, ok := f.Ledger[o.ID]; ok && e.State.Counts() {
		w.fixed, w.day = true, care.DateOf(e.At.In(o.Release.Location()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := dealerProgram{o.Dealer, o.Program}
	q := s.queues[key]
	if q == nil {
		q = &queue{days: map[string]care.Date{}, used: map[care.Date]int{}}
		s.queues[key] = q
	}
	if _, ok := q.days[w.id]; ok {
		return
	}
	if !s.assigned {
		q.days[w.id] = w.day
		q.wants = append(q.wants, w)
		return
	}
	// After everybody has a day, a latecomer takes the first that is free.
	q.days[w.id] = q.free(&prog.schedule, prog.Capacity.PerDay, w)
	q.used[q.days[w.id]]++
}

// free returns the first day with room from the one wanted; no date if there is none before the message expires.
func (q *queue) free(s *schedule.Schedule, perDay int, w want) care.Date {
	for day := w.day; !day.After(w.last) && !day.IsZero(); day = s.Next(day.AddDays(1)) {
		if q.used[day] < perDay {
			return day
		}
	}
	return care.Date{}
}

// place gives everybody a day: each day goes to the most overdue of those who want it, the rest wait for the schedule's next day
// (design A5.5).
func (q *queue) place(s *schedule.Schedule, perDay int) {
	slices.SortFunc(q.wants, func(a, b want) int {
		return cmp.Or(a.day.Compare(b.day), cmp.Compare(a.order, b.order))
	})
	for _, w := range q.wants {
		if w.fixed {
			q.used[w.day]++
		}
	}
	rest := slices.DeleteFunc(q.wants, func(w want) bool { return w.fixed })
	var line []want
	for day := (care.Date{}); len(rest) > 0 || len(line) > 0; {
		if len(line) == 0 {
			day = rest[0].day
		}
		for len(rest) > 0 && !rest[0].day.After(day) {
			line, rest = append(line, rest[0]), rest[1:]
		}
		line = slices.DeleteFunc(line, func(w want) bool {
			late := w.last.Before(day)
			if late {
				q.days[w.id] = care.Date{}
			}
			return late
		})
		slices.SortFunc(line, func(a, b want) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.order, b.order)) })
		n := min(max(perDay-q.used[day], 0), len(line))
		for _, w := range line[:n] {
			q.days[w.id] = day
		}
		q.used[day] += n
		line = line[n:]
		day = s.Next(day.AddDays(1))
		if len(rest) > 0 && rest[0].day.Before(day) {
			day = rest[0].day // somebody's own day, e.g. after quiet hours, lies between two of the schedule's
		}
	}
	q.wants = nil
}

// assign gives everybody a day, once.
func (s *Peers) assign() {
	if s.assigned {
		return
	}
	s.assigned = true
	for key, q := range s.queues {
		prog := s.planner.byName[key.program]
		q.place(&prog.schedule, prog.Capacity.PerDay)
	}
}

// day returns the day an occurrence was given.
func (s *Peers) day(o *care.Occurrence) (day care.Date, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assign()
	q := s.queues[dealerProgram{o.Dealer, o.Program}]
	if q == nil {
		return care.Date{}, false
	}
	day, known = q.days[o.ID]
	return day, known
}

// capacity puts a message off to the day it was given.
func (r *run) capacity(c *candidate, t time.Time) answer {
	if r.request.Peers == nil || c.program.Capacity.PerDay <= 0 {
		return answer{}
	}
	day, known := r.request.Peers.day(c.occ)
	switch {
	case !known:
		return answer{}
	case day.IsZero():
		return stopped()
	case day.After(care.DateOf(care.Later(t, r.request.Now).In(r.location()))):
		return answer{stop: true, until: c.program.schedule.At(day, r.location()), detail: day.String()}
	}
	return answer{}
}
