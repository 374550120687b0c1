package demo

import (
	"context"
	"sync"
	"time"
)

// clock runs speed times as fast as the machine's, in small steps, and only while nothing holds it. After it was held it runs
// faster for a while, so that a day takes the time that was promised.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	from  time.Time
	end   time.Time
	speed float64
}

const (
	step    = 10 * time.Millisecond
	catchUp = 4 // steps that one tick may make up for
)

func newClock(from, to time.Time, speed float64) *clock {
	return &clock{now: from, from: from, end: to, speed: speed}
}

// Now returns the demo's time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advance moves the clock to where it should be after so much time on the machine's, in steps of a bounded size and not past limit
// (the next thing that is due), and reports whether the end is reached.
func (c *clock) advance(machine time.Duration, limit time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.from.Add(time.Duration(float64(machine) * c.speed))
	if most := c.now.Add(time.Duration(float64(catchUp*step) * c.speed)); next.After(most) {
		next = most
	}
	if limit.After(c.now) && limit.Before(next) {
		next = limit
	}
	if next.After(c.end) {
		next = c.end
	}
	if next.After(c.now) {
		c.now = next
	}
	return !c.now.Before(c.end)
}

// run drives the clock until its end: it advances when quiet says that nothing that is due by now is still on its way.
// quiet also returns when the next thing is due, zero for never.
func (c *clock) run(ctx context.Context, quiet func(now time.Time) (ok bool, next time.Time, err error)) error {
	began := time.Now()
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
		if ok && c.advance(time.Since(began), next) {
			// What became due at the last instant still has to go.
			if done, _, err := quiet(c.Now()); err != nil || done {
				return err
			}
		}
	}
}
