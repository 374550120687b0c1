package delivery

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
)

// trips delivers what a queue has, and returns how long it took until the last outcome was written.
func trips(t *testing.T, q *counted, send senderFunc) time.Duration {
	t.Helper()
	e, err := New(Config{
		Queue: q, Customers: q, Operator: q, Book: func() Book { return yes{} }, Senders: map[care.Channel]Sender{care.Webhook: send},
		Now: time.Now, Connections: map[care.Channel]int{care.Webhook: 16},
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	e.Start()
	<-q.all
	took := time.Since(began)
	if err := e.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return took
}

func newCounted(n int, trip time.Duration) *counted {
	q := &counted{trip: trip, all: make(chan struct{})}
	q.left.Store(int64(n))
	q.open.Store(int64(n))
	return q
}

// Intents and outcomes of a steady flow share their trips.
func TestTripsAreShared(t *testing.T) {
	t.Parallel()
	for sending, least := range map[time.Duration]float64{time.Millisecond: 7, 5 * time.Millisecond: 4.5, 20 * time.Millisecond: 2.2} {
		synctest.Test(t, func(t *testing.T) {
			const n = 5000
			q := newCounted(n, time.Millisecond)
			var turn atomic.Int64
			trips(t, q, func(context.Context, *care.Message) (care.Receipt, error) {
				time.Sleep(sending/2 + sending*time.Duration(turn.Add(1)%7)/7) // no two alike
				return care.Receipt{}, nil
			})
			begun, completed := n/float64(q.begins.Load()), n/float64(q.completes.Load())
			if begun < least || completed < least {
				t.Errorf("%v each: %.1f intents and %.1f outcomes in a trip, want %.1f", sending, begun, completed, least)
			}
		})
	}
}

// Slow trips (an append-only file that is synced each time) are what the rate of a quick provider depends on: intents, outcomes and
// attempts overlap.
func TestTripsOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newCounted(1600, 5*time.Millisecond)
		took := trips(t, q, func(context.Context, *care.Message) (care.Receipt, error) {
			time.Sleep(time.Millisecond)
			return care.Receipt{}, nil
		})
		if took > 900*time.Millisecond { // 32 permits, and at the least 5 + 1 + 5 ms for each
			t.Errorf("1600 messages took %v", took)
		}
	})
}

// With nothing else to do a message waits for no other: its intent and its outcome are written at once.
func TestASingleMessageWaitsForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newCounted(1, time.Millisecond)
		if took := trips(t, q, ok); took != 4*time.Millisecond {
			t.Errorf("a claim, the customer, the intent and the outcome took %v at a millisecond each", took)
		}
	})
}

// Nothing is `sending` long before it is sent: neither at a slow provider nor under a rate.
func TestOnlyWhatIsAboutToGoIsSending(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		takes time.Duration
		rate  float64
		most  int
	}{
		"a provider that takes a second":       {time.Second, 0, 4},
		"a provider that takes a tenth":        {100 * time.Millisecond, 0, 4 + 2},
		"a quick provider":                     {time.Millisecond, 0, 2 * 4},
		"a quick provider and 10 a second":     {time.Millisecond, 10, 1},
		"a slow provider and 100 in a second":  {20 * time.Millisecond, 100, 4 + 3},
		"a quick provider and 60 in a second":  {time.Millisecond, 60, 3},
		"a slow provider and 1000 in a second": {time.Second, 1000, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(200)
			e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
				time.Sleep(tt.takes)
				return care.Receipt{}, nil
			}, func(c *Config) { c.Rates = map[care.Channel]float64{care.Email: tt.rate} })
			most := 0
			for range 80 {
				time.Sleep(37 * time.Millisecond)
				synctest.Wait()
				most = max(most, m.states()[care.StateSending])
			}
			if err := e.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if most > tt.most || most == 0 && tt.takes > time.Millisecond {
				t.Errorf("%s: %d were sending at a time, want at most %d", name, most, tt.most)
			}
		})
	}
}

// What was begun but has not reached a sender at a shutdown has not gone: it is deferred as it was.
func TestBegunButNotSentIsDeferredAsItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(400)
		for _, r := range m.records {
			// The last try may have arrived: an attempt would be a repeat.
			r.State = care.StateRetry
			r.Attempts = []care.Attempt{{N: 1, Channel: care.Email, Kind: care.KindUncertain, Code: "timeout"}}
		}
		var slow atomic.Bool
		var handed atomic.Int64
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			handed.Add(1)
			if slow.Load() {
				time.Sleep(4 * time.Second)
			}
			time.Sleep(time.Millisecond)
			return care.Receipt{}, nil
		})
		time.Sleep(20 * time.Millisecond)
		slow.Store(true)
		time.Sleep(time.Second)
		if n := m.states()[care.StateSending]; n <= 4 {
			t.Fatalf("%d are begun: none waits for a worker", n)
		}
		_ = e.Stop(t.Context())
		states := m.states()
		if states[care.StateSending] != 0 || states[care.StateSent] != int(handed.Load()) || states[care.StateRetry] != 400-int(handed.Load()) {
			t.Errorf("%d sent: %v", handed.Load(), states)
		}
		for _, r := range m.records {
			if r.State == care.StateRetry && (len(r.Attempts) != 1 || r.Repeats != 0) {
				t.Errorf("%d attempts and %d repeats on record: nothing went", len(r.Attempts), r.Repeats)
			}
		}
	})
}

// A message that was begun when its provider stopped answering is looked at again instead of going long after its gates were asked.
func TestBegunForTooLongIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(300)
		began := time.Now()
		checked := make(map[string]time.Time)
		b := yes{check: func(rec *care.Record, now time.Time) *care.Occurrence {
			m.mu.Lock()
			checked[rec.ID] = now
			m.mu.Unlock()
			return yes{}.Check(nil, rec, now, nil)
		}}
		hang := func(ctx context.Context, msg *care.Message) (care.Receipt, error) {
			m.mu.Lock()
			if old := time.Since(checked[msg.ID]); old > 2*stale {
				t.Errorf("a message goes %v after its gates were asked", old)
			}
			m.mu.Unlock()
			if since := time.Since(began); since > 10*time.Millisecond && since < time.Minute {
				time.Sleep(12 * time.Second)
			}
			time.Sleep(time.Millisecond)
			return care.Receipt{}, nil
		}
		e := start(t, m, b, hang)
		time.Sleep(5 * time.Minute)
		_ = e.Stop(t.Context())
		if n := m.states()[care.StateSent]; n != 300 {
			t.Errorf("%v: want 300 sent", m.states())
		}
		for _, r := range m.records {
			if len(r.Attempts) != 1 {
				t.Errorf("%s: %d attempts", r.ID, len(r.Attempts))
			}
		}
	})
}

// Begin may fail or grant only some: what it did not grant is not sent, and holds no permit.
func TestWhatIsNotGrantedDoesNotGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(200)
		q := &grudging{memory: m}
		e := start(t, m, yes{}, ok, func(c *Config) { c.Queue = q })
		time.Sleep(time.Minute)
		_ = e.Stop(t.Context())
		if n := m.states()[care.StateSent]; n != 200 || q.refused == 0 {
			t.Errorf("%v after %d refusals: want 200 sent", m.states(), q.refused)
		}
		for _, r := range m.records {
			if len(r.Attempts) != 1 {
				t.Errorf("%s: %d attempts", r.ID, len(r.Attempts))
			}
		}
	})
}

// grudging refuses some intents, and fails now and then.
type grudging struct {
	*memory
	calls, refused int
}

func (g *grudging) Begin(ctx context.Context, intents []care.Intent) ([]bool, error) {
	g.calls++
	if g.calls%5 == 0 {
		g.refused += len(intents)
		return nil, fmt.Errorf("no replica has confirmed %d intents", len(intents))
	}
	oks, err := g.memory.Begin(ctx, intents)
	for i := range oks {
		if (g.calls+i)%7 == 0 {
			oks[i] = false
			g.refused++
		}
	}
	return oks, err
}
