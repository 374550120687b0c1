package sweep

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/scheduler"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Whatever changes between two sweeps, also without a word in care:changes: after a sweep that goes on from the last one as many messages
// of each car wait as after one that knows nothing. Whose they are may differ: who of a household is met first is served.
func TestASweepThatGoesOnFindsWhatAFirstOneFinds(t *testing.T) {
	t.Parallel()
	planner := welcomes(t)
	now := at(t, "2000-01-01 08:00")
	rapid.Check(t, func(r *rapid.T) {
		sweeper := func(s *shop) *Sweeper {
			sw, err := New(Config{
				Planner: func() *scheduler.Planner { return planner }, Source: s, Queue: s, Operators: s, Leader: s, Brake: s, Holder: "one",
				Now: func() time.Time { return now },
			})
			if err != nil {
				r.Fatal(err)
			}
			return sw
		}
		pass := func(sw *Sweeper, s *shop) {
			if p, err := sw.Sweep(r.Context()); err != nil || p.Customers != len(s.facts) {
				r.Fatalf("%d of %d customers, %v", p.Customers, len(s.facts), err)
			}
		}
		s := newShop()
		goesOn := sweeper(s)
		for i := range rapid.IntRange(2, 4).Draw(r, "sweeps") {
			for range rapid.IntRange(1, 6).Draw(r, "changes") {
				s.set(stranger(r))
			}
			other := newShop()
			other.facts = maps.Clone(s.facts)
			scans := s.scans
			pass(goesOn, s)
			if i > 0 && s.scans != scans+1 {
				r.Fatalf("it read everybody %d times", s.scans-scans)
			}
			pass(sweeper(other), other)
			if diff := cmp.Diff(other.pending(), s.pending()); diff != "" {
				r.Fatalf("sweep %d queues (-as a first one would +as one that goes on):\n%s", i+1, diff)
			}
		}
	})
}

// pending counts what is in the queue for each car.
func (s *shop) pending() map[string]int {
	out := map[string]int{}
	for _, f := range s.facts {
		for _, e := range f.Ledger {
			if e.State.Pending() {
				out[e.Vehicle]++
			}
		}
	}
	return out
}

// stranger is a customer with one of a few cars, numbers and households.
func stranger(r *rapid.T) *care.Facts {
	n := func(what string, most int) int { return rapid.IntRange(0, most).Draw(r, what) }
	id := fmt.Sprint("C", n("id", 6))
	household := ""
	if n("household", 1) == 1 {
		household = `"household":"H",`
	}
	c, defects, err := record.Decode(fmt.Appendf(nil, `{"id":%q,%s"phone":"+861380013800%d","vehicles":[{"id":"LSGHXRT911E8RM77%d","delivered_on":"2000-01-0%d"}]}`,
		id, household, n("phone", 3), n("car", 2), 1+n("day", 2)))
	if err != nil || len(defects) > 0 {
		r.Fatal(err, defects)
	}
	return &care.Facts{ID: id, Customer: c}
}

// set writes a record without a word in the changes.
func (s *shop) set(f *care.Facts) {
	if old := s.facts[f.ID]; old != nil {
		f.Ledger = old.Ledger
	}
	s.facts[f.ID] = f
}
