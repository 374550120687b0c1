package scheduler

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/carebell/carebell/care"
)

// Runaway reports whether a dealer's program is about to send so much more in a day than it usually does that a person should
// look first: more than five times, and more than a hundred above (design A8).
func Runaway(planned int, usual float64) bool {
	return float64(planned) > 5*usual && float64(planned) > usual+100
}

// Brake stops a dealer's program until an operator says go.
type Brake interface {
	// Usual is how many messages the dealer's program sent per day, over the last 14 days.
	Usual(ctx context.Context, dealer, program string) (float64, error)
	// EngageBrake engages the brake and reports whether it is engaged now: not if an operator said go a short while ago.
	EngageBrake(ctx context.Context, dealer, program string, planned int, usual float64) (engaged bool, err error)
}

// tally counts what each dealer's program sends on each local day, as far as a sweep has come. An engaged brake holds back what is
// counted after it, and at sending also what was queued before: at most what the brake allows slips through.
type tally struct {
	mu     sync.Mutex
	days   map[dealerProgram]map[care.Date]int
	usual  map[dealerProgram]float64
	judged map[dealerProgram]bool // engaged, or let go by the operator
}

func newTally() *tally {
	return &tally{days: map[dealerProgram]map[care.Date]int{}, usual: map[dealerProgram]float64{}, judged: map[dealerProgram]bool{}}
}

// add counts a message for the local day it leaves on and returns that day's number.
func (t *tally) add(o *care.Occurrence, day care.Date) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := dealerProgram{o.Dealer, o.Program}
	days := t.days[key]
	if days == nil {
		days = map[care.Date]int{}
		t.days[key] = days
	}
	days[day]++
	return days[day]
}

// judge engages the brake for every program of the batch that is running away. It returns the operator's stops with those that
// stand now, and whether there are any.
func (t *tally) judge(ctx context.Context, b Brake, op *care.Operator, busiest map[dealerProgram]int) (*care.Operator, bool, error) {
	engaged := map[dealerProgram]bool{}
	for key, planned := range busiest {
		// Nothing is asked of the store for the many programs that could not run away whatever is usual.
		if planned <= 100 || t.known(key) || op.Braked(key.dealer, key.program) {
			continue
		}
		usual, err := t.usually(ctx, b, key)
		if err != nil {
			return op, false, err
		}
		if !Runaway(planned, usual) {
			continue
		}
		on, err := b.EngageBrake(ctx, key.dealer, key.program, planned, usual)
		if err != nil {
			return op, false, fmt.Errorf("engage the brake of %s/%s: %w", key.dealer, key.program, err)
		}
		t.mu.Lock()
		t.judged[key] = true
		t.mu.Unlock()
		engaged[key] = on
	}
	out := &care.Operator{}
	if op != nil {
		*out = *op
	}
	out.Brakes = maps.Clone(out.Brakes)
	holds := false
	for key, on := range engaged {
		if on {
			if out.Brakes == nil {
				out.Brakes = map[string]bool{}
			}
			out.Brakes[key.dealer+"/"+key.program] = true
			holds = true
		}
	}
	if !holds {
		return op, false, nil
	}
	return out, true, nil
}

func (t *tally) known(key dealerProgram) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.judged[key]
}

func (t *tally) usually(ctx context.Context, b Brake, key dealerProgram) (float64, error) {
	t.mu.Lock()
	usual, ok := t.usual[key]
	t.mu.Unlock()
	if ok {
		return usual, nil
	}
	usual, err := b.Usual(ctx, key.dealer, key.program)
	if err != nil {
		return 0, fmt.Errorf("the usual day of %s/%s: %w", key.dealer, key.program, err)
	}
	t.mu.Lock()
	t.usual[key] = usual
	t.mu.Unlock()
	return usual, nil
}
