package delivery

import (
	"context"
	"time"

	"github.com/carebell/carebell/care"
)

// Gateway is one way out of a channel, with limits of its own.
type Gateway struct {
	Name        string
	Connections int     // 0 = the channel's
	Rate        float64 // attempts per second, all replicas together; 0 = the channel's
}

// Router is a Sender with several gateways. Send is expected to try the message's Gateway first.
type Router interface {
	// Route names the gateway that a message is to go through, "" if none is meant for it. open reports whether a gateway takes
	// messages now; where several are equally good, an open one is the better choice.
	Route(m *care.Message, open func(gateway string) bool) string
}

// Why a message goes back to the queue although it could go by the plan.
const (
	WhyFull    = "full"    // its gateway has as many as it can take
	WhyResting = "resting" // its gateway is in trouble, or asked for a pause
	WhyDomain  = "domain"  // its domain has had as many as it may
	WhyWarmup  = "warmup"  // its domain has had all of the day, while it gets to know the sender
)

// newPools makes a pool for each gateway of a channel. A channel whose sender cannot choose has one. A gateway that was there before with
// the same rate goes on with its limiter: no second has more than the rate across the change.
func newPools(r *runner, gateways []Gateway, before *runner) []*pool {
	e := r.e
	if len(gateways) == 0 {
		return []*pool{newPool(r, string(r.ch), e.cfg.Connections[r.ch], e.limiters[r.ch])}
	}
	r.router, _ = r.sender.(Router)
	if r.router == nil {
		gateways = gateways[:1]
	}
	var pools []*pool
	for _, g := range gateways {
		if g.Connections <= 0 {
			g.Connections = e.cfg.Connections[r.ch]
		}
		limit := e.limiters[r.ch]
		if len(gateways) > 1 || g.Rate > 0 {
			if g.Rate <= 0 {
				g.Rate = e.cfg.Rates[r.ch]
			}
			if limit = before.limiterOf(g); limit == nil {
				limit = newLimiter(g.Rate, e.cfg.Share, e.cfg.Machine)
			}
		}
		pools = append(pools, newPool(r, g.Name, g.Connections, limit))
	}
	return pools
}

// limiterOf returns the limiter that a gateway had, nil if there is none with its rate.
func (r *runner) limiterOf(g Gateway) *limiter {
	if r == nil {
		return nil
	}
	for _, p := range r.pools {
		if p.name == g.Name && p.limiter.rate == g.Rate && p.limiter != r.e.limiters[r.ch] {
			return p.limiter
		}
	}
	return nil
}

// poolOf finds the pool for a message. One that no gateway is meant for is refused by any.
func (r *runner) poolOf(m *care.Message) *pool {
	found := r.pools[0]
	if len(r.pools) > 1 {
		name := r.router.Route(m, r.open)
		for _, p := range r.pools {
			if p.name == name {
				found = p
			}
		}
	}
	if r.router != nil {
		m.Gateway = found.name
	}
	return found
}

func (r *runner) open(gateway string) bool {
	for _, p := range r.pools {
		if p.name == gateway {
			return p.full(0) == ""
		}
	}
	return false
}

// admit queues prepared messages at their gateways. One whose gateway has no place goes back to the queue for a while, so that it
// is in nobody's way; the only gateway of a channel takes everything, since the channel claims no more than it can take.
func (r *runner) admit(ctx context.Context, jobs []*job) {
	if len(r.pools) == 1 {
		for _, j := range jobs {
			r.poolOf(j.message)
		}
		r.pools[0].put(r.announce(ctx, jobs))
		return
	}
	by := make(map[*pool][]*job, len(r.pools))
	placed := jobs[:0]
	for _, j := range jobs {
		p := r.poolOf(j.message)
		if why := p.full(len(by[p])); why != "" {
			r.later(p, j.claim, p.away(), why)
			continue
		}
		by[p] = append(by[p], j)
		placed = append(placed, j)
	}
	if len(r.announce(ctx, placed)) == 0 {
		return
	}
	for p, own := range by {
		p.put(own)
	}
}

// later defers a message for a while: that is no attempt.
func (r *runner) later(p *pool, c *care.Claim, wait time.Duration, why string) {
	r.e.cfg.Observer.Deferred(r.ch, p.name, why)
	r.deferTo(c, r.e.cfg.Now().Add(wait))
}

// most is how many messages are to be claimed now: as many as the gateways have places for.
func (r *runner) most() int {
	n := 0
	for _, p := range r.pools {
		n += p.places(len(r.pools) > 1)
	}
	return min(n, batchMost)
}
