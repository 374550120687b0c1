package demo

import (
	"context"
	"sync"
	"time"
)

// clock runs speed times as fast as the machine's, in small steps, and only while nothing holds it.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	end   time.Time
	speed float64
}

const step = 20 * time.Millisecond

func newClock(from, to time.Time, speed float64) *clock {
	return &clock{now: from, end: to, speed: speed}
}

// Now returns the demo's time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advance moves the clock by one step, but not past limit (the next thing that is due), and reports whether the end is reached.
func (c *clock) advance(limit time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.now.Add(time.Duration(float64(step) * c.speed))
	if !limit.IsZero() && limit.After(c.now) && limit.Before(next) {
		next = limit
	}
	if next.After(c.end) {
		next = c.end
	}
	c.now = next
	return !c.now.Before(c.end)
}

// run drives the clock until its end: it advances when quiet says that nothing that is due by now is still on its way.
// quiet also returns when the next thing is due, zero for never.
func (c *clock) run(ctx context.Context, quiet func(now time.Time) (ok bool, next time.Time, err error)) error {
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		ok, next, err := quiet(c.Now())
		if err != nil {
			return err
		}
		if ok && c.advance(next) {
			// What became due at the last instant still has to go.
			if done, _, err := quiet(c.Now()); err != nil || done {
				return err
			}
		}
	}
}
