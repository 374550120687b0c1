package delivery

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// soon is how long a message that is begun may be expected to wait for a sender: `sending` is for what is about to be sent.
const soon = 50 * time.Millisecond

// A pool sends the messages of one gateway: one sender for each connection, and a feeder that records the intents of many messages at a
// time before they reach a sender.
//
// The pool has twice as many permits as connections. A message takes one before its intent is recorded and gives it back when its outcome
// is. So what is on record as begun is never more than the permits, and that bounds what a crash can make uncertain.
type pool struct {
	r       *runner
	name    string // the gateway's
	senders int
	limiter *limiter
	breaker breaker
	guard   guard
	ready   chan *job     // begun, on their way to a sender
	wake    chan struct{} // the feeder may have something to do
	group   *sync.WaitGroup

	mu       sync.Mutex
	queue    []*job        // prepared, in the order in which they go
	target   int           // how many are to wait there
	taken    int           // permits
	apart    int           // messages that wait so long for an answer that another has their sender's place
	took     time.Duration // a moving average of how long an attempt takes; 0 = there was none yet
	deferred deferrals
}

func newPool(r *runner, name string, senders int, limit *limiter) *pool {
	if senders <= 0 {
		senders = 16
	}
	return &pool{r: r, name: name, senders: senders, limiter: limit, ready: make(chan *job, 2*senders), wake: make(chan struct{}, 1)}
}

// start runs the feeder and the senders. They end, and group with them, when claiming has ended and what is begun has an outcome.
func (p *pool) start(claiming, sending context.Context, group *sync.WaitGroup) {
	p.group = group
	group.Go(func() { p.feed(claiming) })
	for range p.senders {
		p.sender(claiming, sending)
	}
}

// sender sends what is begun, until another has its place or there is nothing more.
func (p *pool) sender(claiming, sending context.Context) {
	p.group.Go(func() {
		for j := range p.ready {
			if p.r.send(claiming, sending, p, j, nil) {
				return
			}
		}
	})
}

// slow is how long a message may wait for its answer before another sender takes its place: a server may take minutes for one mail
// (RFC 5321 section 4.5.3.2), and the others must not wait for it.
const slow = 30 * time.Second

// setApart gives the place and the permit of a message that waits for its answer to another. At most as many wait apart as there are
// senders; then the gateway as a whole is slow.
func (p *pool) setApart(claiming, sending context.Context, j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.ended || p.apart >= p.senders || p.group == nil {
		return
	}
	j.apart = true
	p.apart++
	p.taken--
	p.sender(claiming, sending)
	p.kick()
}

// ahead is how many messages may be begun although no sender is free for them: those that a sender will take soon. That bounds the
// permits that are in use.
func (p *pool) ahead() int {
	switch {
	case p.took <= 0:
		return 0
	case p.took <= soon:
		return p.senders
	}
	return int(int64(p.senders) * int64(soon) / int64(p.took))
}

// may is how many messages are to be begun now, and whether those that wait are to be deferred because the gateway is in trouble.
// While many go, it waits until half of a trip can be filled. The caller holds mu.
func (p *pool) may() (n int, rest bool) {
	if len(p.queue) == 0 {
		return 0, false
	}
	ahead := p.ahead()
	room := p.senders + ahead - p.taken
	n = min(room, len(p.queue))
	if n <= 0 || n < len(p.queue) && room < ahead/2 {
		return 0, false
	}
	now := p.r.e.cfg.Machine()
	if n = p.breaker.allows(now, n, p.taken); n == 0 && p.breaker.closedFor(now) > 0 {
		return 0, true
	}
	return n, false
}

// kick wakes the feeder if it has something to do. The caller holds mu.
func (p *pool) kick() {
	if n, rest := p.may(); n > 0 || rest {
		signal(p.wake)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put queues prepared messages.
func (p *pool) put(jobs []*job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, jobs...)
	p.kick()
}

// full says why one more message has no place besides those that are coming; "" = it has one.
func (p *pool) full(coming int) (why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := len(p.queue) + coming
	switch {
	case p.breaker.allows(p.r.e.cfg.Machine(), 1, p.taken+waiting) == 0:
		return WhyResting
	case waiting >= p.target+p.target/2:
		return WhyFull
	}
	return ""
}

// places is how many messages are to be claimed for the gateway: what goes in a second, a few while it is in trouble, none while half of
// that waits already. Where several gateways share what is claimed, each has less waiting.
func (p *pool) places(shared bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = p.limiter.most(batchMost)
	switch {
	case shared && p.took <= 0:
		p.target = min(p.target, 2*p.senders)
	case shared:
		p.target = min(p.target, batchMost/2, max(p.senders, p.goes(time.Second/2)))
	case p.took <= 0:
		p.target = min(p.target, batchMost/2) // nobody knows yet how fast they go
	default:
		p.target = min(p.target, max(p.senders, p.goes(time.Second)))
	}
	n := p.breaker.allows(p.r.e.cfg.Machine(), p.target, p.taken+len(p.queue))
	if n == 0 || len(p.queue) > p.target/2 {
		return 0
	}
	return n
}

// goes is how many messages the gateway takes in a while, as fast as it is now. The caller holds mu.
func (p *pool) goes(in time.Duration) int { return int(int64(p.senders) * int64(in) / int64(p.took)) }

// away is how long a message stays away that has no place now.
func (p *pool) away() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.r.e.cfg.Machine()
	step := backStep
	if p.took > 0 {
		step = p.took / time.Duration(2*p.senders) // twice as fast as they go: they may go faster then
	}
	if mine := p.limiter.mine(); mine > 0 {
		step = max(step, time.Duration(float64(time.Second)/(2*mine)))
	}
	closed := p.breaker.closedFor(now)
	if closed > 0 {
		step = max(step, backStep)
	}
	return p.deferred.next(now, closed, step)
}

// feed begins what waits until claiming ends.
func (p *pool) feed(claiming context.Context) {
	defer close(p.ready)
	for {
		n, rest := p.room(claiming)
		if rest {
			p.retreat()
			continue
		}
		if n == 0 {
			return
		}
		jobs := p.withinDomains(claiming, p.pop(p.limiter.chunk(min(n, batchMost))))
		for len(jobs) > 0 {
			k, err := p.limiter.take(claiming, len(jobs))
			if err != nil {
				k = len(jobs) // begin defers them
			}
			for _, j := range p.begin(claiming, jobs[:k:k]) {
				p.ready <- j // which has a place for every permit
			}
			jobs = jobs[k:]
		}
	}
}

// room returns how many messages are to be begun when there are any, 0 when ctx has ended; or that what waits is to be deferred.
func (p *pool) room(ctx context.Context) (n int, rest bool) {
	for ctx.Err() == nil {
		p.mu.Lock()
		n, rest = p.may()
		p.mu.Unlock()
		if n > 0 || rest {
			return n, rest
		}
		select {
		case <-ctx.Done():
		case <-p.wake:
		}
	}
	return 0, false
}

// pop takes the first n off the queue.
func (p *pool) pop(n int) []*job {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, len(p.queue))
	first := slices.Clone(p.queue[:n])
	p.queue = slices.Delete(p.queue, 0, n)
	if len(p.queue) <= p.target/2 {
		signal(p.r.space)
	}
	return first
}

// withinDomains defers what its domain cannot take now, and returns the others.
func (p *pool) withinDomains(ctx context.Context, jobs []*job) []*job {
	if p.r.domains == nil {
		return p.warm(ctx, jobs)
	}
	going := jobs[:0]
	for _, j := range jobs {
		one, wait := p.r.domains.take(p.r.e.cfg.Machine(), j.message.To, j.claim.Lane.Urgent)
		if wait > 0 {
			p.r.later(p, j.claim, wait, WhyDomain)
			continue
		}
		j.domain = one
		going = append(going, j)
	}
	return p.warm(ctx, going)
}

// leave is told that a message is not being sent any more, and how long it took; 0 = it did not go.
func (p *pool) leave(j *job, took time.Duration) {
	if j.domain != nil {
		p.r.domains.give(j.domain, took)
		j.domain = nil
	}
}

// begin records the intents of jobs in one trip and returns those that may be sent, each with a permit. The others have an outcome:
// nothing of them went.
func (p *pool) begin(claiming context.Context, jobs []*job) []*job {
	r := p.r
	if jobs = p.fresh(claiming, jobs); len(jobs) == 0 {
		return nil
	}
	if r.e.cfg.DryRun {
		for _, j := range jobs {
			p.leave(j, 0)
			r.end(j.claim, care.StateSkipped, "dry_run")
		}
		return nil
	}
	p.take(len(jobs))
	now, began := r.e.cfg.Now(), r.e.cfg.Machine()
	intents := make([]care.Intent, len(jobs))
	for i, j := range jobs {
		rec := &j.claim.Record
		j.repeats, j.began = rec.Repeats, began
		if afterUncertain(rec) {
			rec.Repeats++
		}
		rec.State, rec.Channel = care.StateSending, r.ch
		intents[i] = care.Intent{Claim: j.claim, At: now}
	}
	granted, err := r.e.begins.begin(intents)
	if err != nil {
		r.log.Warn("intents could not be recorded", slog.Any("error", err), slog.Int("messages", len(jobs)))
	}
	going := jobs[:0]
	for i, j := range jobs {
		if err != nil || !granted[i] {
			p.unsent(j, nil) // if the claim is no longer ours its new owner goes on
			continue
		}
		going = append(going, j)
	}
	return going
}

// unsent gives a message back that has a permit and was not sent: its record is as it was. done is closed when that is recorded.
func (p *pool) unsent(j *job, done chan struct{}) {
	j.claim.Record.Repeats = j.repeats
	rec := j.claim.Record
	rec.State, rec.UpdatedAt = backInQueue(rec), p.r.e.cfg.Now()
	p.answered(j, 0)
	p.r.submit(&outcome{result: care.Result{Claim: j.claim, Record: rec, Next: rec.UpdatedAt}, pool: p, done: done})
}

// single begins one message, sends it and returns when its outcome is recorded.
func (p *pool) single(claiming, sending context.Context, j *job) {
	if p.limiter.wait(claiming) != nil {
		p.r.deferTo(j.claim, p.r.e.cfg.Now())
		return
	}
	for _, j := range p.begin(claiming, p.withinDomains(claiming, []*job{j})) {
		done := make(chan struct{})
		p.r.send(claiming, sending, p, j, done)
		<-done
	}
}

// take takes permits.
func (p *pool) take(n int) {
	p.r.e.inFlight.Add(int64(n))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken += n
}

// answered is told that a message with a permit has an outcome, and how long the attempt took; 0 = it was not sent. It reports whether
// the message's place and permit are another's.
func (p *pool) answered(j *job, took time.Duration) (replaced bool) {
	p.leave(j, took)
	p.r.e.inFlight.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	j.ended = true
	if j.apart {
		p.apart--
		return true
	}
	p.took = average(p.took, took)
	return false
}

// release gives permits back: so many outcomes are recorded.
func (p *pool) release(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken -= n
	p.kick()
}

// average moves an average by one more value; without any it is 0, and a value of 0 is none.
func average(old, value time.Duration) time.Duration {
	switch {
	case value <= 0:
		return old
	case old == 0:
		return value
	}
	return old + (value-old)/8
}

// deferAll defers what waits.
func (p *pool) deferAll() {
	for _, j := range p.drain() {
		p.r.deferTo(j.claim, p.r.e.cfg.Now())
	}
}

// retreat defers what waits for a gateway that is in trouble.
func (p *pool) retreat() {
	for _, j := range p.drain() {
		p.r.later(p, j.claim, p.away(), WhyResting)
	}
	signal(p.r.space)
}

func (p *pool) drain() []*job {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := p.queue
	p.queue = nil
	return waiting
}

// fresh prepares again what was prepared too long ago, and returns what still goes. What does not has an outcome.
func (p *pool) fresh(ctx context.Context, jobs []*job) []*job {
	r := p.r
	if ctx.Err() != nil { // a shutdown is no attempt
		for _, j := range jobs {
			p.leave(j, 0)
			r.deferTo(j.claim, r.e.cfg.Now())
		}
		return jobs[:0]
	}
	old := r.e.cfg.Machine().Add(-stale)
	if !slices.ContainsFunc(jobs, func(j *job) bool { return j.prepared.Before(old) }) {
		return jobs
	}
	var claims []*care.Claim
	good := jobs[:0]
	for _, j := range jobs {
		if j.prepared.Before(old) {
			p.leave(j, 0) // its address may be another now; what little goes over a domain's limit here is not worth a second round
			claims = append(claims, j.claim)
			continue
		}
		good = append(good, j)
	}
	op, err := r.e.cfg.Operator.Operator(ctx)
	if err != nil {
		for _, c := range claims {
			r.deferTo(c, r.e.cfg.Now())
		}
		return good
	}
	for _, j := range r.prepare(ctx, claims, op) {
		if r.router != nil {
			j.message.Gateway = p.name
		}
		good = append(good, j)
	}
	return good
}
