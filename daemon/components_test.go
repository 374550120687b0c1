package daemon

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// startStopTest holds that a component may be started and stopped in any order, any number of times and side by side, and that nothing
// runs after Stop.
func startStopTest(t *testing.T, runs func() int64, fresh func() component) {
	t.Helper()
	c := fresh()
	for range 2 { // before Start
		if err := c.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.Start(t.Context())
	if runs() != 0 {
		t.Error("it runs although it was stopped before")
	}
	for range 200 {
		c := fresh()
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if i%2 == 0 {
					c.Start(t.Context())
				} else if err := c.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := c.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if runs() != 0 {
			t.Fatal("it runs after Stop")
		}
	}
}

func TestLoopsStartAndStop(t *testing.T) {
	t.Parallel()
	var running atomic.Int64
	startStopTest(t, running.Load, func() component {
		return newLoop(func(ctx context.Context) {
			running.Add(1)
			defer running.Add(-1)
			<-ctx.Done()
		})
	})
}

// Stop waits for what runs, but no longer than it may.
func TestALoopThatDoesNotEndIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(func(context.Context) { time.Sleep(time.Minute) })
		l.Start(t.Context())
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStopLate)
		defer cancel()
		began := time.Now()
		if err := l.Stop(ctx); !errors.Is(err, errStopLate) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := l.Stop(t.Context()); err != nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestAComponentHasItsShareOfTheTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ whole, most, spare, want time.Duration }{
		{24 * time.Second, 0, time.Second, 23 * time.Second},
		{24 * time.Second, 3 * time.Second, 0, 3 * time.Second},
		{2 * time.Second, 3 * time.Second, 0, 2 * time.Second},
		{0, 3 * time.Second, time.Second, 3 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if tt.whole > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, tt.whole, errStopLate)
				defer cancel()
			}
			began := time.Now()
			c := within(startStop{func() {}, func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }}, tt.most, tt.spare)
			if err := c.Stop(ctx); !errors.Is(err, errStopLate) || time.Since(began) != tt.want {
				t.Errorf("%+v: %v after %v", tt, err, time.Since(began))
			}
		})
	}
}
