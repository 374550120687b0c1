package delivery

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
)

// A channel runs one runner after the other: a replacement of its gateways makes a new one when the old one has drained.
type channel struct {
	e    *Engine
	name care.Channel

	mu   sync.Mutex
	next *exit
	stop context.CancelCauseFunc // of the runner that claims
}

// An exit is the way out of a channel.
type exit struct {
	sender   Sender
	gateways []Gateway
	drained  func() // called when the exit before it is out of use; nil = there was none
}

func (c *channel) replace(next *exit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if skipped := c.next; skipped != nil && skipped.drained != nil {
		last := next.drained
		next.drained = func() {
			skipped.drained()
			if last != nil {
				last()
			}
		}
	}
	c.next = next
	if c.stop != nil {
		c.stop(errReplaced)
	}
}

// take returns the next exit and a context for it; nil = there is none.
func (c *channel) take(claiming context.Context) (context.Context, *exit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.next
	c.next = nil
	ctx, stop := context.WithCancelCause(claiming)
	c.stop = stop
	return ctx, next
}

// run runs until claiming ends. Attempts end by themselves, or with sending.
func (c *channel) run(claiming, sending context.Context) {
	var r *runner
	for {
		ctx, next := c.take(claiming)
		if next != nil && next.drained != nil {
			next.drained()
		}
		if next == nil || claiming.Err() != nil {
			c.stop(errStopping)
			return
		}
		r = newRunner(c.e, c.name, next, r)
		r.run(ctx, sending)
	}
}

// A runner delivers one channel, with a pool for each of its gateways: what befalls one costs no other one.
type runner struct {
	e       *Engine
	ch      care.Channel
	sender  Sender
	router  Router // nil = the sender has one gateway
	lanes   []care.Lane
	pools   []*pool
	domains *domains      // nil = no domain has a limit
	warmups *warmups      // nil = there is no warm-up
	timeout time.Duration // of one attempt
	space   chan struct{} // some gateway's queue has become short
	pauses  atomic.Int64  // answers after which the channel was to be paused, since it last went on
	known   atomic.Int64  // of them those of which the operators' stops know
	held    bool          // nothing was claimed at the last look, because of a stop
	log     *slog.Logger
}

// job is a message that is ready to be sent.
type job struct {
	claim    *care.Claim
	occ      *care.Occurrence
	message  *care.Message
	policy   string
	next     []care.Channel
	prepared time.Time // on the machine's clock
	began    time.Time // when its intent was about to be recorded, on the same clock
	repeats  int       // the record's before the intent
	ended    bool      // it has an outcome; guarded by its pool, as is apart
	apart    bool      // another has its sender's place
	domain   *domain   // counts it while it is being sent; nil = its domain has no limit
}

// newRunner makes a runner for an exit. What the one before it knows of limits goes on; nil = there was none.
func newRunner(e *Engine, ch care.Channel, out *exit, before *runner) *runner {
	r := &runner{
		e: e, ch: ch, timeout: cmp.Or(e.cfg.Timeouts[ch], e.cfg.Timeout), sender: out.sender,
		log: e.cfg.Log.With(slog.String("channel", string(ch))), space: make(chan struct{}, 1),
	}
	r.pools = newPools(r, out.gateways, before)
	switch {
	case ch != care.Email:
	case before != nil:
		r.domains, r.warmups = before.domains, before.warmups
	default:
		r.domains, r.warmups = newDomains(e.cfg.Domains, e.cfg.Share), newWarmups(e.cfg.Warmup)
	}
	for _, l := range care.Lanes {
		if l.Channel == ch {
			r.lanes = append(r.lanes, l)
		}
	}
	return r
}

// run claims until claiming ends. Attempts end by themselves, or with sending.
func (r *runner) run(claiming, sending context.Context) {
	var senders sync.WaitGroup
	for _, p := range r.pools {
		p.start(claiming, sending, &senders)
	}
	for claiming.Err() == nil {
		// Back-pressure: a slow provider holds up this channel's claiming and nothing else.
		most := r.most()
		if most > 0 && r.round(claiming, sending, most) {
			continue
		}
		space := r.space
		if most > 0 {
			space = nil // there was room, but nothing to do
		}
		idle := time.NewTimer(r.e.cfg.Idle)
		select {
		case <-claiming.Done():
		case <-space:
		case <-idle.C:
		}
		idle.Stop()
	}
	for _, p := range r.pools {
		p.deferAll()
	}
	senders.Wait()
}

// round claims and prepares one batch of at most so many; false = there was nothing to do.
func (r *runner) round(ctx, sending context.Context, most int) bool {
	paused := r.known.Load()
	op, err := r.e.cfg.Operator.Operator(ctx)
	if err != nil || op != nil && (op.All || op.Channels[r.ch]) {
		r.held = true
		return false
	}
	r.goOn(paused)
	claims, err := r.e.cfg.Queue.Claim(ctx, r.lanes, most, r.e.cfg.Lease)
	if err != nil {
		if ctx.Err() == nil {
			r.log.Warn("nothing could be claimed", slog.Any("error", err))
		}
		return false
	}
	if len(claims) == 0 {
		return false
	}
	// Everything claimed is leased until its outcome is recorded. A customer of whom another batch has a message waits a moment: two at
	// once could both pass a cap.
	mine := claims[:0:0]
	r.e.cfg.Busy(len(claims))
	for _, c := range claims {
		if c.Record.Channel.ToPerson() && r.e.leases.busy(c.Record.Customer) && !inBatch(mine, c) {
			r.deferTo(c, r.e.cfg.Now().Add(busyCustomer))
			continue
		}
		r.e.leases.add(c)
		if r.refused(c) {
			continue
		}
		mine = append(mine, c)
	}
	suspects := slices.Clone(mine)
	suspects = slices.DeleteFunc(suspects, func(c *care.Claim) bool { return c.Record.Crashes < suspectAfter })
	mine = slices.DeleteFunc(mine, func(c *care.Claim) bool { return c.Record.Crashes >= suspectAfter })
	r.admit(ctx, r.prepare(ctx, mine, op))
	if len(suspects) > 0 {
		for _, p := range r.pools {
			p.deferAll() // else a suspect would wait for what a slow gateway has before it
		}
	}
	for _, c := range suspects {
		r.alone(ctx, sending, c, suspects, op)
	}
	return true
}

// goOn notes that nothing stops the channel. paused is how many pauses of its own the stops knew of when they were asked.
func (r *runner) goOn(paused int64) {
	if r.held {
		r.held = false
		r.e.lifted[r.ch].Store(r.e.cfg.Now().UnixMilli())
	}
	if paused > 0 {
		r.log.Warn("the channel goes on", slog.Int64("refused", r.pauses.Swap(0)))
		r.known.Add(-paused)
	}
}

// alone prepares and sends a message that was there at several crashes while the channel has nothing else leased: if it is the one that
// crashes the process, no innocent one is set aside with it. Suspects are rare, so nobody minds that the channel waits.
func (r *runner) alone(claiming, sending context.Context, c *care.Claim, waiting []*care.Claim, op *care.Operator) {
	for r.e.leases.others(r.lanes, waiting) && claiming.Err() == nil {
		care.Sleep(claiming, aloneLook)
	}
	for _, j := range r.prepare(claiming, []*care.Claim{c}, op) {
		r.poolOf(j.message).single(claiming, sending, j)
	}
}

// announce tells Config.Batch of what is about to be sent. Without its word nothing goes.
func (r *runner) announce(ctx context.Context, jobs []*job) []*job {
	if r.e.cfg.Batch == nil || len(jobs) == 0 {
		return jobs
	}
	messages := make([]*care.Message, len(jobs))
	for i, j := range jobs {
		messages[i] = j.message
	}
	err := r.e.cfg.Batch(ctx, messages)
	if err == nil {
		return jobs
	}
	r.log.Warn("a batch is deferred", slog.Any("error", err), slog.Int("messages", len(jobs)))
	for _, j := range jobs {
		r.deferTo(j.claim, r.e.cfg.Now().Add(retryBase))
	}
	return nil
}

func inBatch(claims []*care.Claim, c *care.Claim) bool {
	return slices.ContainsFunc(claims, func(o *care.Claim) bool { return o.Record.Customer == c.Record.Customer })
}
