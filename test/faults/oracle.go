package faults

import (
	"fmt"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
)

// Figures are what the books of both sides say after a run.
type Figures struct {
	Planned int // what had to be planned

	// The records, each counted once.
	Sent      int // sent, delivered, undelivered
	Failed    int
	Expired   int
	Skipped   int
	Uncertain int
	Pending   int // due, claimed, sending, retry

	Accepts    int // by the sinks
	Duplicates int // Σ max(0, accepts − 1)
	Repeats    int // hand-overs after the first that the records own up to
}

// String is the line that a test prints. States that no record is in are left out.
func (f Figures) String() string {
	var states []string
	for _, s := range []struct {
		name string
		n    int
	}{{"sent", f.Sent}, {"failed", f.Failed}, {"expired", f.Expired}, {"skipped", f.Skipped}, {"uncertain", f.Uncertain}, {"pending", f.Pending}} {
		if s.n > 0 {
			states = append(states, fmt.Sprintf("%s %d", s.name, s.n))
		}
	}
	return fmt.Sprintf("planned %d = %s; accepts %d, duplicates %d, repeats recorded %d", f.Planned, strings.Join(states, " + "), f.Accepts, f.Duplicates, f.Repeats)
}

// Planned names an occurrence that had to be planned: of a customer by a program that has one step and one cycle.
type Planned struct{ Customer, Program string }

// Judge holds the daemon's records against the sinks' journal (accepts per id on the wire, <occurrence>-<channel>). It returns
// the figures and everything that breaks a promise, a line each:
//
//   - everything planned has exactly one record, and nothing else has one;
//   - what is recorded as sent was accepted;
//   - what was accepted is not recorded as failed, expired, skipped or never tried;
//   - a message that was accepted n times is recorded with at least n − 1 repeats: none is repeated in silence.
func Judge(planned []Planned, records []care.Record, accepts map[string]int) (Figures, []string) {
	f := Figures{Planned: len(planned)}
	var broken []string
	say := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }

	want := make(map[Planned]int, len(planned))
	for _, p := range planned {
		want[p] = 0
	}
	arrived := map[string]int{}
	for wire, n := range accepts {
		id, _, _ := strings.Cut(wire, "-")
		arrived[id] += n
		f.Accepts += n
	}
	for _, n := range arrived {
		f.Duplicates += max(0, n-1) // on whatever channels: it is the customer who gets it twice
	}
	known := make(map[string]bool, len(records))
	for i := range records {
		r := &records[i]
		p := Planned{r.Customer, r.Program}
		if _, ok := want[p]; !ok {
			say("%s: recorded, but nothing of the kind had to be planned (customer %s, program %s)", r.ID, r.Customer, r.Program)
			continue
		}
		if want[p]++; want[p] > 1 {
			say("%s: planned twice (customer %s, program %s)", r.ID, r.Customer, r.Program)
		}
		known[r.ID] = true
		f.Repeats += r.Repeats
		n := arrived[r.ID]
		if n > 1+r.Repeats {
			say("%s: accepted %d times, but %d repeats are recorded", r.ID, n, r.Repeats)
		}
		if wrong := f.count(r, n); wrong != "" {
			say("%s: %s (%s, reason %q, %d attempts, %d crashes)", r.ID, wrong, r.State, r.Reason, len(r.Attempts), r.Crashes)
		}
	}
	for p, n := range want {
		if n == 0 {
			say("lost: customer %s, program %s has no record", p.Customer, p.Program)
		}
	}
	for id, n := range arrived {
		if !known[id] {
			say("accepted %d times without any record: %q", n, id)
		}
	}
	if sum := f.Sent + f.Failed + f.Expired + f.Skipped + f.Uncertain + f.Pending; sum != f.Planned {
		say("planned %d, but the states add up to %d", f.Planned, sum)
	}
	slices.Sort(broken)
	return f, broken
}

// count adds a record to its state and says what is wrong with it, given how often it was accepted.
func (f *Figures) count(r *care.Record, accepts int) string {
	never := ""
	if accepts > 0 {
		never = fmt.Sprintf("accepted %d times, but recorded as never sent", accepts)
	}
	switch r.State {
	case care.StateSent, care.StateDelivered, care.StateUndelivered:
		f.Sent++
		if accepts == 0 {
			return "recorded as sent, but never accepted"
		}
		return ""
	case care.StateFailed:
		f.Failed++
		return never
	case care.StateExpired:
		f.Expired++
		return never
	case care.StateSkipped:
		f.Skipped++
		return never
	case care.StateUncertain:
		f.Uncertain++
		return ""
	case care.StateSending:
		f.Pending++
		return ""
	case care.StateDue, care.StateClaimed, care.StateRetry:
		f.Pending++
		if mayHaveArrived(r) {
			return ""
		}
		return never
	default:
		return "in a state that is none"
	}
}

// mayHaveArrived reports whether the record itself says that the message may be with the customer already.
func mayHaveArrived(r *care.Record) bool {
	return r.Repeats > 0 || slices.ContainsFunc(r.Attempts, func(a care.Attempt) bool { return a.Kind == care.KindUncertain })
}
