package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/carebell/carebell/store"
)

// How far this replica's clock may be from Redis' before it is said, and before nothing is sent: a fast one would send early.
const (
	clockSaid   = 2 * time.Second
	clockHalted = 30 * time.Second
)

// clock compares the clock by which messages become due with Redis'. Between two looks at Redis' the machine's monotonic clock tells
// whether it jumped.
type clock struct {
	now     func() time.Time // nil = it is not compared: the demo's runs faster than any other
	machine func() time.Time
	log     *slog.Logger

	mu    sync.Mutex
	ahead time.Duration // when it was last compared
	wall  time.Time     // then; zero = never
	mono  time.Time     // then
	said  bool          // that it is off by clockSaid
	stood bool          // that nothing is sent
}

// off returns how far the clock is ahead now, as far as is known.
func (c *clock) off() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offNow()
}

func (c *clock) offNow() time.Duration {
	if c.wall.IsZero() {
		return 0
	}
	// Round takes the monotonic reading off, by which no clock ever jumps.
	return c.ahead + c.now().Round(0).Sub(c.wall.Round(0)) - c.machine().Sub(c.mono)
}

// compare asks Redis for its time and says what changed. A look that took long says too little.
func (c *clock) compare(ctx context.Context, redis func(context.Context) (time.Time, error)) time.Duration {
	if c.now == nil {
		return 0
	}
	asked := c.machine()
	there, err := redis(ctx)
	mono, wall := c.machine(), c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if took := mono.Sub(asked); err == nil && took < clockSaid {
		c.ahead, c.wall, c.mono = wall.Round(0).Sub(there)-took/2, wall, mono
	}
	off := c.offNow()
	attrs := []any{slog.Duration("ahead", off.Round(time.Millisecond))}
	switch halted, said := off.Abs() > clockHalted, off.Abs() > clockSaid; {
	case halted && !c.stood:
		c.log.Error("nothing is sent: this replica's clock and Redis' differ; set the wrong one right (NTP)", attrs...)
		c.stood, c.said = true, true
	case !halted && c.stood:
		c.log.Warn("the clocks agree well enough again: going on", attrs...)
		c.stood, c.said = false, said
	case said && !c.said:
		c.log.Warn("this replica's clock and Redis' differ: set the wrong one right (NTP)", attrs...)
		c.said = true
	case !said && c.said && !c.stood:
		c.log.Info("the clocks agree again", attrs...)
		c.said = false
	}
	return off
}

// fault says why nothing may be sent, nil if it may.
func (c *clock) fault() error {
	off := c.off()
	if off.Abs() <= clockHalted {
		return nil
	}
	way := "ahead of"
	if off < 0 {
		way = "behind"
	}
	return fmt.Errorf("this replica's clock is %s %s Redis': it sends nothing until the wrong one is set right (NTP)", off.Abs().Round(time.Second), way)
}

// lead is the leader's lease, which a replica with a wrong clock does not take: it would give messages up that are not late.
type lead struct {
	*store.Store
	clock *clock
}

// Lead takes or keeps the lease.
func (l lead) Lead(ctx context.Context, holder string, ttl time.Duration) (fence int64, ok bool, err error) {
	if l.clock.fault() != nil {
		return 0, false, l.Resign(ctx, holder)
	}
	return l.Store.Lead(ctx, holder, ttl)
}
