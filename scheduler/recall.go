package scheduler

import (
	"slices"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
)

const (
	recall      = "recall" // the kind of bulletin that is told until it is done
	repeatAfter = 90       // days, unless the bulletin says
	roundsMost  = 1000     // of one recall that are looked for
)

// recallRound is what the ledger knows of a round of a recall.
type recallRound struct {
	nth     int       // 1 is the first
	on      care.Date // the trigger's date
	last    care.Date // of what went, if any did
	expired bool      // something could not go in time
}

// recall finds the rounds of a recall: the first on its publication, or today for a car that was never told; then one so long after the last
// was told, until the car has had it. What could not go in time is told today.
func (r *run) recall(p *program, s *span, i int, b *care.Bulletin) {
	v := &r.customer.Vehicles[i]
	if slices.ContainsFunc(v.CampaignsDone, func(done string) bool { return strings.EqualFold(strings.TrimSpace(done), b.Bulletin) }) {
		return
	}
	round := func(nth int, on care.Date) due {
		name := b.Bulletin
		if nth > 1 {
			name += "/" + strconv.Itoa(nth) // no bulletin is called so
		}
		return due{on: on, cycle: cycle{name: name}, vehicle: i, bulletin: b}
	}
	known := r.recallRounds(p, v.ID, b.Bulletin)
	for _, t := range known {
		if s.has(t.on) {
			r.found(p, s, round(t.nth, t.on))
		}
	}
	every := repeatAfter
	if b.Repeat != nil {
		every = int(*b.Repeat)
	}
	nth, next := 1, b.PublishedOn
	today := care.DateOf(r.request.Now.In(r.location()))
	if len(known) > 0 {
		switch t := known[len(known)-1]; {
		case t.last.IsZero() && t.expired:
			nth, next = t.nth+1, today
		case every == 0:
			return
		default:
			nth, next = t.nth+1, later(t.on, t.last).AddDays(every)
		}
	}
	for ; nth < roundsMost; nth++ {
		d := round(nth, next)
		if !r.alive(p, d) && next.Before(today) {
			d.on = today
		}
		if d.on.After(s.hi) {
			return
		}
		if s.has(d.on) {
			r.found(p, s, d)
		}
		if next = d.on.AddDays(every); every == 0 {
			return
		}
	}
}

// alive reports whether any step of a round can still go.
func (r *run) alive(p *program, d due) bool {
	for i := range p.Steps {
		if _, expires := r.times(p, i, d, r.stepDate(p, i, d)); expires.After(r.request.Now) {
			return true
		}
	}
	return false
}

// recallRounds returns the rounds of a recall that the ledger knows for a car, in their order.
func (r *run) recallRounds(p *program, vehicle, bulletin string) []recallRound {
	var out []recallRound
	for _, e := range r.facts.Ledger {
		if e.Program != p.Program.Program || e.Vehicle != vehicle {
			continue
		}
		nth := 1
		if e.Cycle != bulletin {
			number, ok := strings.CutPrefix(e.Cycle, bulletin+"/")
			if nth, _ = strconv.Atoi(number); !ok || nth < 2 || strconv.Itoa(nth) != number {
				continue
			}
		}
		step := slices.IndexFunc(p.Steps, func(s care.Step) bool { return s.Step == e.Step })
		if step < 0 || e.On.IsZero() {
			continue
		}
		k := slices.IndexFunc(out, func(t recallRound) bool { return t.nth == nth })
		if k < 0 {
			k, out = len(out), append(out, recallRound{nth: nth})
		}
		t, offset := &out[k], p.Steps[step].Offset
		t.on = later(t.on, e.On.AddMonths(-offset.Months).AddDays(-offset.Days))
		t.expired = t.expired || e.State == care.StateExpired
		if r.went(e) {
			t.last = later(t.last, care.DateOf(e.At.In(r.location())))
		} else if e.State.Pending() {
			t.last = later(t.last, t.on)
		}
	}
	slices.SortFunc(out, func(a, b recallRound) int { return a.nth - b.nth })
	return out
}

func later(a, b care.Date) care.Date {
	if b.After(a) {
		return b
	}
	return a
}
