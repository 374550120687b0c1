package delivery

import (
	"context"
	"math"
	"time"

	"golang.org/x/time/rate"
)

// A pace spreads the attempts of a channel over time: so many per second for all replicas together, of which this one has a share.
// The share is asked for with every attempt, so that a replica that comes or goes is heeded at once.
type pace struct {
	rate  float64 // of all replicas; 0 = no limit
	share func() float64
	turn  chan struct{} // one waits at a time: nobody holds a place that an older share gave
	limit *rate.Limiter
	gate  gate
}

// A gate is the last thing that a message passes. It counts what has left, so that no second has more than the rate, however long the
// store or the machine held up what was let through and whatever goes on at once then.
type gate struct {
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

func newPace(perSecond float64, share func() float64, now func() time.Time) *pace {
	return &pace{
		rate: perSecond, share: share, turn: make(chan struct{}, 1), limit: rate.NewLimiter(0, 0),
		gate: gate{now: now, turn: make(chan struct{}, 1)},
	}
}

// wait returns when one attempt may be made; an error means that ctx ended first.
func (p *pace) wait(ctx context.Context) error {
	_, err := p.take(ctx, 1)
	return err
}

// together is how long attempts are saved up, so that they share a trip.
const together = 50 * time.Millisecond

// chunk bounds n to what goes together, one at the least.
func (p *pace) chunk(n int) int {
	if p.rate <= 0 {
		return n
	}
	return min(n, max(1, int(p.mine()*together.Seconds())))
}

// take returns how many of n attempts may be made, when they may be made: not more than go together, but one at the least. An error
// means that ctx ended first.
func (p *pace) take(ctx context.Context, n int) (int, error) {
	if p.rate <= 0 {
		return n, ctx.Err()
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case p.turn <- struct{}{}:
	}
	defer func() { <-p.turn }()
	for {
		if mine := belowRate * p.mine(); mine > 0 {
			burst := max(1, int(mine*together.Seconds()))
			if burst != p.limit.Burst() {
				p.limit.SetBurst(burst)
			}
			if limit := rate.Limit(mine); limit != p.limit.Limit() {
				p.limit.SetLimit(limit)
			}
			n = min(n, burst)
			return n, p.limit.WaitN(ctx, n)
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
func (p *pace) pass(ctx context.Context) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	g := &p.gate
	select {
	case <-ctx.Done():
		return ctx.Err()
	case g.turn <- struct{}{}:
	}
	defer func() { <-g.turn }()
	for ctx.Err() == nil {
		now, wait := g.now(), shareLook
		if mine := p.mine(); mine > 0 {
			most, span := 1, time.Duration(float64(time.Second)/mine)
			if mine >= fewPerSecond {
				most, span = int(mine), time.Second
			}
			if wait = g.full(now, most, span); wait <= 0 {
				g.left = append(g.left, now)
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

// passSoon is pass for what has begun: rather than wait for long it is given back.
func (p *pace) passSoon(ctx context.Context) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, stale)
	defer cancel()
	return p.pass(ctx)
}

// full returns how long it is until fewer than most have left within span; 0 or less = that is so now.
func (g *gate) full(now time.Time, most int, span time.Duration) time.Duration {
	if len(g.left) >= 4*most {
		g.left = append(g.left[:0], g.left[len(g.left)-most:]...)
	}
	if len(g.left) < most {
		return 0
	}
	return g.left[len(g.left)-most].Add(span).Sub(now)
}

// mine is how many attempts per second this replica may make.
func (p *pace) mine() float64 {
	if p.share == nil {
		return p.rate
	}
	return p.rate * p.share()
}

// most bounds a claim to what can be sent in a second: what waits longer in this replica's hand could go from another, and what is more
// urgent would wait behind it.
func (p *pace) most(n int) int {
	if p.rate <= 0 {
		return n
	}
	return min(n, int(math.Ceil(p.mine())))
}
