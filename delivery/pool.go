package delivery

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// soon is how long a message that is begun may be expected to wait for a worker: `sending` is for what is about to be handed over.
const soon = 50 * time.Millisecond

// A pool hands the messages of one gateway over: workers, one for each connection, and a feeder that records the intents of many
// messages at a time before they reach a worker. What is begun holds one of twice as many credits as there are connections until its
// outcome is on its way into the store, before what is begun next: that bounds what a crash can make uncertain.
type pool struct {
	r       *runner
	name    string // the gateway's
	workers int
	pace    *pace
	breaker breaker
	ready   chan *job     // begun, on their way to a worker
	look    chan struct{} // the feeder may have something to do

	mu    sync.Mutex
	queue []*job        // prepared, in the order in which they go
	want  int           // how many are to wait there
	out   int           // begun and not answered yet
	begun int           // begun, and their outcomes are not on their way into the store yet
	took  time.Duration // a moving average of how long a message takes; 0 = none went yet
	gone  spread        // what was given back
}

func newPool(r *runner, name string, workers int, limit *pace) *pool {
	if workers <= 0 {
		workers = 16
	}
	return &pool{r: r, name: name, workers: workers, pace: limit, ready: make(chan *job, 2*workers), look: make(chan struct{}, 1)}
}

// start runs the feeder and the workers. They end, and group with them, when claiming has ended and what is begun has an outcome.
func (p *pool) start(claiming, sending context.Context, group *sync.WaitGroup) {
	group.Go(func() { p.feed(claiming) })
	for range p.workers {
		group.Go(func() {
			a := p.r.allowance(sending)
			for j := range p.ready {
				p.r.hand(claiming, a, p, j)
			}
		})
	}
}

// half is how many outcomes or intents are enough for one trip.
func (p *pool) half() int { return max(1, p.workers/2) }

// ahead is how many messages may be begun although no worker is free for them: those that a worker will take soon.
func (p *pool) ahead() int {
	switch {
	case p.took <= 0:
		return 0
	case p.took <= soon:
		return p.workers
	}
	return int(int64(p.workers) * int64(soon) / int64(p.took))
}

// may is how many messages are to be begun now, and whether those that wait are to be given back because the gateway is in trouble.
// While many go, it waits until half of a trip can be filled. The caller holds mu.
func (p *pool) may() (n int, back bool) {
	if len(p.queue) == 0 {
		return 0, false
	}
	ahead := p.ahead()
	room := min(2*p.workers-p.begun, p.workers+ahead-p.out)
	n = min(room, len(p.queue))
	if n <= 0 || n < len(p.queue) && room < ahead/2 {
		return 0, false
	}
	now := p.r.e.cfg.Machine()
	if n = p.breaker.allows(now, n, p.out); n == 0 && p.breaker.closedFor(now) > 0 {
		return 0, true
	}
	return n, false
}

// kick wakes the feeder if it has something to do. The caller holds mu.
func (p *pool) kick() {
	if n, back := p.may(); n > 0 || back {
		signal(p.look)
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
	case p.breaker.allows(p.r.e.cfg.Machine(), 1, p.out+waiting) == 0:
		return WhyResting
	case waiting >= p.want+p.want/2:
		return WhyFull
	}
	return ""
}

// places is how many messages are to be claimed for the gateway: what goes in a second, a few while it is in trouble, none while half of
// that waits already. Where several gateways share what is claimed, each has less in hand.
func (p *pool) places(shared bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want = p.pace.most(batchMost)
	switch {
	case shared && p.took <= 0:
		p.want = min(p.want, 2*p.workers)
	case shared:
		p.want = min(p.want, batchMost/2, max(p.workers, p.goes(time.Second/2)))
	case p.took <= 0:
		p.want = min(p.want, batchMost/2) // nobody knows yet how fast they go
	default:
		p.want = min(p.want, max(p.workers, p.goes(time.Second)))
	}
	n := p.breaker.allows(p.r.e.cfg.Machine(), p.want, p.out+len(p.queue))
	if n == 0 || len(p.queue) > p.want/2 {
		return 0
	}
	return n
}

// goes is how many messages the gateway takes in a while, as fast as it is now. The caller holds mu.
func (p *pool) goes(in time.Duration) int { return int(int64(p.workers) * int64(in) / int64(p.took)) }

// away is how long a message stays away that has no place now.
func (p *pool) away() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.r.e.cfg.Machine()
	step := backStep
	if p.took > 0 {
		step = p.took / time.Duration(2*p.workers) // twice as fast as they go: they may go faster then
	}
	if mine := p.pace.mine(); mine > 0 {
		step = max(step, time.Duration(float64(time.Second)/(2*mine)))
	}
	closed := p.breaker.closedFor(now)
	if closed > 0 {
		step = max(step, backStep)
	}
	return p.gone.next(now, closed, step)
}

// feed begins what waits until claiming ends.
func (p *pool) feed(claiming context.Context) {
	defer close(p.ready)
	var open opening
	var batch []*job
	for {
		n, back := p.room(claiming)
		if back {
			p.retreat()
			continue
		}
		if n == 0 {
			return
		}
		batch = p.limited(p.pop(batch[:0], p.pace.chunk(n)))
		for left := batch; len(left) > 0; {
			k, err := p.pace.take(claiming, len(left))
			if err != nil {
				k = len(left) // begin gives them back
			}
			for _, j := range p.begin(claiming, left[:k:k], &open) {
				p.ready <- j // which has a place for every credit
			}
			left = left[k:]
		}
		clear(batch)
		clear(open.intents)
	}
}

// room returns how many messages are to be begun when there are any, 0 when ctx has ended; or that what waits is to be given back.
func (p *pool) room(ctx context.Context) (n int, back bool) {
	for ctx.Err() == nil {
		p.mu.Lock()
		n, back = p.may()
		p.mu.Unlock()
		if n > 0 || back {
			return n, back
		}
		select {
		case <-ctx.Done():
		case <-p.look:
		}
	}
	return 0, false
}

// pop takes the first n off the queue.
func (p *pool) pop(into []*job, n int) []*job {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, len(p.queue))
	into = append(into, p.queue[:n]...)
	left := copy(p.queue, p.queue[n:])
	clear(p.queue[left:])
	p.queue = p.queue[:left]
	if left <= p.want/2 {
		signal(p.r.space)
	}
	return into
}

// limited gives back what its domain cannot take now, and returns the others.
func (p *pool) limited(jobs []*job) []*job {
	if p.r.domains == nil {
		return jobs
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
	return going
}

// leave is told that a message is not being handed over any more, and how long it took; 0 = it did not go.
func (p *pool) leave(j *job, took time.Duration) {
	if j.domain != nil {
		p.r.domains.give(j.domain, took)
		j.domain = nil
	}
}

// begin records the intents of jobs in one trip and returns those that may be handed over. The others are settled: nothing of them
// went.
func (p *pool) begin(claiming context.Context, jobs []*job, open *opening) []*job {
	r := p.r
	if jobs = p.fresh(claiming, jobs); len(jobs) == 0 {
		return jobs
	}
	if r.e.cfg.DryRun {
		for _, j := range jobs {
			p.leave(j, 0)
			r.end(j.claim, care.StateSkipped, "dry_run")
		}
		return jobs[:0]
	}
	now, began := r.e.cfg.Now(), r.e.cfg.Machine()
	open.intents = open.intents[:0]
	for _, j := range jobs {
		rec := &j.claim.Record
		j.repeats = rec.Repeats
		if afterUncertain(rec) {
			rec.Repeats++
		}
		rec.State, rec.Channel = care.StateSending, r.ch
		open.intents = append(open.intents, care.Intent{Claim: j.claim, At: now})
	}
	r.e.settle.open(open)
	if open.err != nil {
		r.log.Warn("intents could not be recorded", slog.Any("error", open.err), slog.Int("messages", len(jobs)))
	}
	granted := jobs[:0]
	for i, j := range jobs {
		if open.err != nil || !open.begun[i] {
			// Nothing was handed over. If the claim is no longer ours its new owner goes on; else it is given back as it was.
			p.leave(j, 0)
			j.claim.Record.Repeats = j.repeats
			r.putBack(j.claim, r.e.cfg.Now())
			continue
		}
		j.began, j.out.pool = began, p
		granted = append(granted, j)
	}
	p.mu.Lock()
	p.out += len(granted)
	p.begun += len(granted)
	p.mu.Unlock()
	r.e.flight.Add(int64(len(granted)))
	return granted
}

// single begins one message, hands it over and returns when its outcome is written.
func (p *pool) single(claiming, sending context.Context, j *job) {
	if p.pace.wait(claiming) != nil {
		p.r.putBack(j.claim, p.r.e.cfg.Now())
		return
	}
	for _, j := range p.begin(claiming, p.limited([]*job{j}), &opening{}) {
		j.out.done = make(chan struct{})
		p.r.hand(claiming, p.r.allowance(sending), p, j)
		<-j.out.done
	}
}

// answered is told that a message has an outcome, and how long it took; 0 = it was not handed over.
func (p *pool) answered(j *job, took time.Duration) {
	p.leave(j, took)
	p.r.e.flight.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	p.took = average(p.took, took)
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

// credit gives credits back, or takes them.
func (p *pool) credit(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun -= n
	p.kick()
}

// giveBack puts back what waits.
func (p *pool) giveBack() {
	for _, j := range p.drain() {
		p.r.putBack(j.claim, p.r.e.cfg.Now())
	}
}

// retreat gives back what waits for a gateway that is in trouble.
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

// fresh prepares again what was prepared too long ago, and returns what still goes. What does not is settled.
func (p *pool) fresh(ctx context.Context, jobs []*job) []*job {
	r := p.r
	if ctx.Err() != nil { // a shutdown is no attempt
		for _, j := range jobs {
			p.leave(j, 0)
			r.putBack(j.claim, r.e.cfg.Now())
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
			r.putBack(c, r.e.cfg.Now())
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
