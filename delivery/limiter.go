package delivery

import (
	"context"
	"math"
	"time"

	"golang.org/x/time/rate"
)

// A limiter spreads the attempts of a channel over time: so many per second for all replicas together, of which this one has a share.
// It asks for the share with every attempt, so that a replica that comes or goes counts at once.
type limiter struct {
	rate   float64 // of all replicas; 0 = no limit
	share  func() float64
	turn   chan struct{} // one waits at a time: nobody holds a place that an older share gave
	even   *rate.Limiter
	window window
}

// A window is the last thing that a message passes. It counts what has left, so that no second has more than the rate, however long the
// store or the machine held up what was let through and whatever goes on at once then.
type window struct {
	now  func() time.Time // the machine's clock
	turn chan struct{}
	left []time.Time // when the last ones left, in their order
}

// belowRate is how much of the rate is let through. The rest is for the way to the provider: what leaves evenly arrives a little bunched.
const belowRate = 0.97

// fewPerSecond is the rate below which there is one message per interval, and not so many per second: whole numbers are too coarse.
const fewPerSecond = 10

// shareLook is how often a replica without a share looks for one.
const shareLook = 50 * time.Millisecond

func newLimiter(perSecond float64, share func() float64, now func() time.Time) *limiter {
	return &limiter{
		rate: perSecond, share: share, turn: make(chan struct{}, 1), even: rate.NewLimiter(0, 0),
		window: window{now: now, turn: make(chan struct{}, 1)},
	}
}

// wait returns when one attempt may be made; an error means that ctx ended first.
func (l *limiter) wait(ctx context.Context) error {
	_, err := l.take(ctx, 1)
	return err
}

// together is how long attempts are saved up, so that they share a trip.
const together = 50 * time.Millisecond

// chunk bounds n to what goes together, one at the least.
func (l *limiter) chunk(n int) int {
	if l.rate <= 0 {
		return n
	}
	return min(n, max(1, int(l.mine()*together.Seconds())))
}

// take returns how many of n attempts may be made, when they may be made: not more than go together, but one at the least. An error
// means that ctx ended first.
func (l *limiter) take(ctx context.Context, n int) (int, error) {
	if l.rate <= 0 {
		return n, ctx.Err()
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case l.turn <- struct{}{}:
	}
	defer func() { <-l.turn }()
	for {
		if mine := belowRate * l.mine(); mine > 0 {
			burst := max(1, int(mine*together.Seconds()))
			if burst != l.even.Burst() {
				l.even.SetBurst(burst)
			}
			if limit := rate.Limit(mine); limit != l.even.Limit() {
				l.even.SetLimit(limit)
			}
			n = min(n, burst)
			return n, l.even.WaitN(ctx, n)
		}
		look := time.NewTimer(shareLook)
		select {
		case <-ctx.Done():
			look.Stop()
			return 0, ctx.Err()
		case <-look.C:
		}
	}
}

// pass returns when one attempt that was let through may leave: mostly at once. An error means that ctx ended first.
func (l *limiter) pass(ctx context.Context) error {
	if l.rate <= 0 {
		return ctx.Err()
	}
	w := &l.window
	select {
	case <-ctx.Done():
		return ctx.Err()
	case w.turn <- struct{}{}:
	}
	defer func() { <-w.turn }()
	for ctx.Err() == nil {
		now, wait := w.now(), shareLook
		if mine := l.mine(); mine > 0 {
			most, span := 1, time.Duration(float64(time.Second)/mine)
			if mine >= fewPerSecond {
				most, span = int(mine), time.Second
			}
			if wait = w.full(now, most, span); wait <= 0 {
				w.left = append(w.left, now)
				return nil
			}
		}
		look := time.NewTimer(min(wait, shareLook)) // the share may change meanwhile
		select {
		case <-ctx.Done():
		case <-look.C:
		}
		look.Stop()
	}
	return ctx.Err()
}

// passSoon is pass for what has begun: rather than wait for long it is deferred.
func (l *limiter) passSoon(ctx context.Context) error {
	if l.rate <= 0 {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stale, errTurn)
	defer cancel()
	return l.pass(ctx)
}

// full returns how long it is until fewer than most have left within span; 0 or less = that is so now.
func (w *window) full(now time.Time, most int, span time.Duration) time.Duration {
	if len(w.left) >= 4*most {
		w.left = append(w.left[:0], w.left[len(w.left)-most:]...)
	}
	if len(w.left) < most {
		return 0
	}
	return w.left[len(w.left)-most].Add(span).Sub(now)
}

// mine is how many attempts per second this replica may make.
func (l *limiter) mine() float64 {
	if l.share == nil {
		return l.rate
	}
	return l.rate * l.share()
}

// most bounds a claim to what can be sent in a second: what this replica keeps waiting for longer could go from another, and what is more
// urgent would wait behind it.
func (l *limiter) most(n int) int {
	if l.rate <= 0 {
		return n
	}
	return min(n, int(math.Ceil(l.mine())))
}
