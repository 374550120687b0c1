package delivery

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
)

// counts is an observer of what did not get on record.
type counts struct {
	nobody
	dropped, fenced atomic.Int64
}

func (c *counts) Dropped(n int) { c.dropped.Add(int64(n)) }
func (c *counts) Fenced(n int)  { c.fenced.Add(int64(n)) }

// Outcomes that cannot be recorded before the end are counted, logged and returned as an error.
func TestStopSaysHowManyOutcomesAreLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(3), &counts{}
		var log strings.Builder
		busy := 0
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.broken = errors.New("Redis is away")
			return care.Receipt{}, nil
		}, func(c *Config) {
			c.Observer, c.Log, c.Busy = seen, logTo(&log), func(d int) { busy += d }
		})
		time.Sleep(time.Second)
		began := time.Now()
		err := e.Stop(t.Context())
		if err == nil || !strings.Contains(err.Error(), "3 outcomes could not be recorded") || time.Since(began) > 10*time.Second {
			t.Errorf("Stop took %v and says: %v", time.Since(began), err)
		}
		if seen.dropped.Load() != 3 || seen.fenced.Load() != 0 || busy != 0 {
			t.Errorf("%d counted as dropped, %d as fenced, %d still busy", seen.dropped.Load(), seen.fenced.Load(), busy)
		}
		if !strings.Contains(log.String(), "outcomes are lost") {
			t.Errorf("the log says:\n%s", log.String())
		}
		if again := e.Stop(t.Context()); again == nil || again.Error() != err.Error() {
			t.Errorf("the second Stop says: %v", again)
		}
	})
}

// deaf is a queue that does not answer any more: each call takes as long as the store's time-outs and does not look at its context.
type deaf struct {
	*memory
	now atomic.Bool
}

func (q *deaf) call() error {
	if !q.now.Load() {
		return nil
	}
	time.Sleep(12 * time.Second) // 3 s, and three more tries
	return errors.New("i/o timeout")
}

func (q *deaf) Claim(ctx context.Context, lanes []care.Lane, most int, lease time.Duration) ([]*care.Claim, error) {
	if err := q.call(); err != nil {
		return nil, err
	}
	return q.memory.Claim(ctx, lanes, most, lease)
}

func (q *deaf) Renew(ctx context.Context, claims []*care.Claim, lease time.Duration) ([]bool, error) {
	if err := q.call(); err != nil {
		return nil, err
	}
	return q.memory.Renew(ctx, claims, lease)
}

func (q *deaf) Begin(ctx context.Context, intents []care.Intent) ([]bool, error) {
	if err := q.call(); err != nil {
		return nil, err
	}
	return q.memory.Begin(ctx, intents)
}

func (q *deaf) Complete(ctx context.Context, results []care.Result) ([]bool, error) {
	if err := q.call(); err != nil {
		return nil, err
	}
	return q.memory.Complete(ctx, results)
}

// A provider that hangs and a Redis that times out, both at once: Stop is over when its context is, and says what it left behind.
func TestStopIsBoundedByItsContext(t *testing.T) {
	t.Parallel()
	for name, heeds := range map[string]bool{"a provider that heeds its context": true, "a provider that does not": false} {
		synctest.Test(t, func(t *testing.T) {
			q, seen := &deaf{memory: newMemory(100)}, &counts{}
			e := start(t, q.memory, yes{}, func(ctx context.Context, _ *care.Message) (care.Receipt, error) {
				if heeds {
					<-ctx.Done()
				} else {
					time.Sleep(2 * time.Minute)
				}
				return care.Receipt{}, &care.Error{Kind: care.KindUncertain, Err: context.Cause(ctx)}
			}, func(c *Config) { c.Queue, c.Timeout, c.Observer = q, time.Hour, seen })
			time.Sleep(time.Second)
			q.now.Store(true)
			began := time.Now()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 25*time.Second, errors.New("test"))
			defer cancel()
			err := e.Stop(ctx)
			if took := time.Since(began); err == nil || took > 25*time.Second {
				t.Errorf("%s: Stop took %v and says: %v", name, took, err)
			}
			if seen.dropped.Load() < 4 {
				t.Errorf("%s: %d counted as dropped, at least the 4 in flight are", name, seen.dropped.Load())
			}
			time.Sleep(5 * time.Minute) // what hangs ends by itself
		})
	}
}

// With time enough attempts have their grace, and the time for recording is kept of a short context.
func TestAttemptsHaveTheirGrace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ within, least, most time.Duration }{
		{time.Hour, 20 * time.Second, 20*time.Second + 100*time.Millisecond},
		{24 * time.Second, 19 * time.Second, 20 * time.Second},
		{10 * time.Second, 5 * time.Second, 6 * time.Second},
		{time.Second, 0, 100 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(8)
			e := start(t, m, yes{}, func(ctx context.Context, _ *care.Message) (care.Receipt, error) {
				<-ctx.Done()
				return care.Receipt{}, &care.Error{Kind: care.KindUncertain, Err: context.Cause(ctx)}
			}, func(c *Config) { c.Timeout = time.Hour })
			time.Sleep(time.Second)
			ctx, cancel := context.WithTimeoutCause(t.Context(), tt.within, errors.New("test"))
			defer cancel()
			began := time.Now()
			err := e.Stop(ctx)
			if took := time.Since(began); err != nil || took < tt.least || took > tt.most {
				t.Errorf("within %v: %v after %v, want %v to %v", tt.within, err, took, tt.least, tt.most)
			}
			if n := m.states()[care.StateSending]; n != 0 {
				t.Errorf("within %v: %d are not recorded", tt.within, n)
			}
		})
	}
}

// Every context of an attempt says why it ended.
func TestAnAttemptKnowsWhyItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(2)
		var mu sync.Mutex
		var causes []error
		e := start(t, m, yes{}, func(ctx context.Context, _ *care.Message) (care.Receipt, error) {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			causes = append(causes, context.Cause(ctx))
			if len(causes) == 1 && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("the time of the attempt is over: %v", ctx.Err())
			}
			return care.Receipt{}, &care.Error{Kind: care.KindUncertain}
		}, func(c *Config) {
			c.Connections, c.Timeouts, c.Grace = map[care.Channel]int{care.Email: 1}, map[care.Channel]time.Duration{care.Email: 10 * time.Second}, time.Second
		})
		time.Sleep(12 * time.Second)
		_ = e.Stop(t.Context())
		if len(causes) != 2 || !errors.Is(causes[0], errAttempt) || !errors.Is(causes[1], errCutOff) {
			t.Errorf("ended by %v", causes)
		}
	})
}

// Start and Stop are safe in any order, any number of times and side by side.
func TestStartAndStopInAnyOrder(t *testing.T) {
	t.Parallel()
	for range 50 {
		m := newMemory(0)
		e, err := New(Config{Queue: m, Customers: m, Operator: m, Book: func() Book { return yes{} }, Now: time.Now, DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if i%2 == 0 {
					e.Start()
				} else if err := e.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		e.Start()
		if err := e.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
