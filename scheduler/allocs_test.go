//go:build !race

package scheduler

import (
	"strings"
	"testing"
)

// A customer for whom nothing is due costs no memory at all: most are such in every sweep. (With the race detector a sync.Pool forgets
// on purpose, so there it says nothing.)
func TestPlanningNothingAllocatesNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts what all goroutines allocate
	programs, dealer := trade()
	p := newPlanner(t, dealer, programs...)
	f := facts(t, strings.NewReplacer("2027-02-10", "2030-02-10", "2026-12-24", "2020-05-05").Replace(wang))
	now := at(t, "2026-11-22 10:00")
	r := Request{From: now.Add(-p.LongestExpiry()), To: now.Add(Horizon), Now: now}
	if n := testing.AllocsPerRun(100, func() {
		if len(p.Plan(f, r)) > 0 {
			t.Fatal("something is due")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
