package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
)

// teller is a queue that looks at what it is told, and refuses to be told at first.
type teller struct {
	*memory
	refuse int // so many trips with events
	early  []string
	at     time.Time // of the last trip with events
}

func (q *teller) Commit(ctx context.Context, c care.Commit) care.Committed {
	states := make(map[string]care.State)
	q.mu.Lock()
	for id, r := range q.records {
		states[id] = r.State
	}
	q.mu.Unlock()
	for _, e := range c.Events {
		if states[e.ID] != e.State {
			q.early = append(q.early, fmt.Sprintf("%s told as %s while it was %s", e.ID, e.State, states[e.ID]))
		}
	}
	if len(c.Events) > 0 {
		q.at = time.Now()
		if q.refuse > 0 {
			q.refuse--
			done := q.memory.Commit(ctx, care.Commit{Intents: c.Intents, Results: c.Results})
			done.NotTold = errors.New("care:events is of the wrong type")
			return done
		}
	}
	return q.memory.Commit(ctx, c)
}

// Every outcome is told once, and only when it is on record.
func TestEventsFollowTheirOutcomes(t *testing.T) {
	t.Parallel()
	for _, refuse := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			q := &teller{memory: newMemory(300), refuse: refuse}
			e := start(t, q.memory, yes{}, ok, func(c *Config) { c.Queue = q })
			time.Sleep(time.Minute)
			if err := e.Stop(); err != nil {
				t.Fatal(err)
			}
			told := make(map[string]int)
			for _, ev := range q.told {
				told[ev.ID]++
			}
			want := make(map[string]int)
			for id := range q.records {
				want[id] = 1
			}
			if diff := cmp.Diff(want, told); diff != "" || len(q.early) > 0 {
				t.Errorf("refused %d times (-want +got):\n%s\n%v", refuse, diff, q.early)
			}
		})
	}
}

// With nothing to go with, an event goes by itself.
func TestAnEventDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &teller{memory: newMemory(1)}
		began := time.Now()
		e := start(t, q.memory, yes{}, ok, func(c *Config) { c.Queue = q })
		time.Sleep(time.Minute)
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		if len(q.told) != 1 || q.at.Sub(began) > 5*time.Millisecond {
			t.Errorf("%d told, after %v", len(q.told), q.at.Sub(began))
		}
	})
}

// unsettled is a queue that records no outcomes for a while.
type unsettled struct {
	*memory
	until time.Time
}

func (q *unsettled) Commit(ctx context.Context, c care.Commit) care.Committed {
	if time.Now().After(q.until) || len(c.Results) == 0 {
		return q.memory.Commit(ctx, c)
	}
	done := q.memory.Commit(ctx, care.Commit{Intents: c.Intents, Events: c.Events})
	done.NotSettled = errors.New("a shard does not answer")
	return done
}

// While outcomes cannot be recorded although intents can, no more is begun than there are credits.
func TestWhatCannotBeSettledHoldsItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &unsettled{memory: newMemory(300), until: time.Now().Add(3 * time.Second)}
		e := start(t, q.memory, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			time.Sleep(time.Millisecond)
			return care.Receipt{}, nil
		}, func(c *Config) { c.Queue = q })
		time.Sleep(time.Minute)
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		if n := q.states()[care.StateSent]; n != 300 {
			t.Errorf("%d sent", n)
		}
		if q.most > 2*2*4 { // those of the first trip that failed had given their places away
			t.Errorf("%d were recorded as sending at a time; the channel has 4 connections", q.most)
		}
	})
}

// What is begun during a fault is not handed over, and outcomes wait until they can be written: none is lost, none goes twice.
func TestOutcomesOutlastAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(400)
		sent := make(map[string]int)
		e := start(t, m, yes{}, func(_ context.Context, msg *care.Message) (care.Receipt, error) {
			m.mu.Lock()
			sent[msg.ID]++
			m.mu.Unlock()
			time.Sleep(time.Millisecond)
			return care.Receipt{}, nil
		})
		for range 5 {
			time.Sleep(7 * time.Millisecond)
			m.mu.Lock()
			m.broken = errors.New("Redis is away")
			m.mu.Unlock()
			time.Sleep(5 * time.Second)
			m.mu.Lock()
			m.broken = nil
			m.mu.Unlock()
		}
		time.Sleep(time.Minute)
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		if n := m.states()[care.StateSent]; n != 400 || len(m.told) != 400 {
			t.Errorf("%v, %d told: want 400 sent and told", m.states(), len(m.told))
		}
		for id, n := range sent {
			if n != 1 {
				t.Errorf("%s went %d times", id, n)
			}
		}
	})
}
