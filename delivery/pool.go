package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// soon is how long a message that is begun may be expected to wait for a worker: `sending` is for what is about to be handed over.
const soon = 50 * time.Millisecond

// A pool hands messages over: workers, one for each connection, and a feeder that records the intents of many messages at a time
// before they reach a worker. What is begun holds one of twice as many credits as there are connections until its outcome is
// written: that bounds what a crash can make uncertain.
type pool struct {
	r       *runner
	workers int
	pace    *pace
	breaker breaker
	ready   chan *job     // begun, on their way to a worker
	look    chan struct{} // the feeder may begin some
	space   chan struct{} // the queue has become shorter

	mu    sync.Mutex
	queue []*job        // prepared, in the order in which they go
	out   int           // begun and not answered yet
	begun int           // begun, and their outcomes are not written yet
	took  time.Duration // a moving average of how long a message takes; 0 = none went yet
}

func newPool(r *runner, workers int, limit *pace) *pool {
	if workers <= 0 {
		workers = 16
	}
	return &pool{
		r: r, workers: workers, pace: limit, ready: make(chan *job, 2*workers),
		look: make(chan struct{}, 1), space: make(chan struct{}, 1),
	}
}

// start runs the feeder and the workers. They end, and group with them, when claiming has ended and what is begun has an outcome.
func (p *pool) start(claiming, sending context.Context, group *sync.WaitGroup) {
	group.Go(func() { p.feed(claiming, sending) })
	for range p.workers {
		group.Go(func() {
			for j := range p.ready {
				p.r.hand(claiming, sending, p, j)
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

// may is how many messages are to be begun now. While many go, it waits until half of a trip can be filled.
func (p *pool) may() int {
	ahead := p.ahead()
	room := min(2*p.workers-p.begun, p.workers+ahead-p.out)
	n := min(room, len(p.queue))
	if n <= 0 || n < len(p.queue) && room < ahead/2 {
		return 0
	}
	return n
}

// kick wakes the feeder if it has something to do. The caller holds mu.
func (p *pool) kick() {
	if p.may() > 0 {
		signal(p.look)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put queues prepared messages and returns when at most slack wait, or when ctx ends.
func (p *pool) put(ctx context.Context, jobs []*job, slack int) {
	if len(jobs) == 0 {
		return
	}
	p.mu.Lock()
	p.queue = append(p.queue, jobs...)
	p.kick()
	p.mu.Unlock()
	for {
		p.mu.Lock()
		waiting := len(p.queue)
		p.mu.Unlock()
		if waiting <= slack {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-p.space:
		}
	}
}

// most bounds a claim: to a few while the provider is in trouble, and to what goes in a second.
func (p *pool) most(n int) int {
	n = p.breaker.allows(p.r.e.cfg.Machine(), p.pace.most(n))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.took > 0 {
		n = min(n, max(p.workers, int(int64(p.workers)*int64(time.Second)/int64(p.took))))
	}
	return n
}

// feed begins what waits until claiming ends.
func (p *pool) feed(claiming, sending context.Context) {
	defer close(p.ready)
	var intents []care.Intent
	var batch []*job
	for {
		n, err := p.pace.take(claiming, p.room(claiming))
		if err != nil {
			return
		}
		batch = p.pop(batch[:0], n)
		batch, intents = p.begin(claiming, sending, batch, intents[:0])
		for _, j := range batch {
			p.ready <- j // which has a place for every credit
		}
		clear(batch)
		clear(intents)
	}
}

// room returns how many messages are to be begun when there are any, 0 when ctx has ended.
func (p *pool) room(ctx context.Context) int {
	for {
		p.mu.Lock()
		n := p.may()
		p.mu.Unlock()
		if n > 0 {
			return n
		}
		select {
		case <-ctx.Done():
			return 0
		case <-p.look:
		}
	}
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
	signal(p.space)
	return into
}

// begin records the intents of jobs in one trip and returns those that may be handed over. The others are settled: nothing of them
// went.
func (p *pool) begin(claiming, sending context.Context, jobs []*job, intents []care.Intent) ([]*job, []care.Intent) {
	r := p.r
	if jobs = r.fresh(claiming, jobs); len(jobs) == 0 {
		return jobs, intents
	}
	if r.e.cfg.DryRun {
		for _, j := range jobs {
			r.end(j.claim, care.StateSkipped, "dry_run")
		}
		return jobs[:0], intents
	}
	now := r.e.cfg.Now()
	for _, j := range jobs {
		rec := &j.claim.Record
		j.repeats = rec.Repeats
		if afterUncertain(rec) {
			rec.Repeats++
		}
		rec.State, rec.Channel = care.StateSending, r.ch
		intents = append(intents, care.Intent{Claim: j.claim, At: now})
	}
	oks, err := r.e.cfg.Queue.Begin(sending, intents)
	began, granted := r.e.cfg.Machine(), jobs[:0]
	for i, j := range jobs {
		if err != nil || i >= len(oks) || !oks[i] {
			// Nothing was handed over. If the claim is no longer ours its new owner goes on; else it is given back as it was.
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
	return granted, intents
}

// single begins one message, hands it over and returns when its outcome is written.
func (p *pool) single(claiming, sending context.Context, j *job) {
	if p.pace.wait(claiming) != nil {
		p.r.putBack(j.claim, p.r.e.cfg.Now())
		return
	}
	begun, _ := p.begin(claiming, sending, []*job{j}, nil)
	for _, j := range begun {
		j.out.done = make(chan struct{})
		p.r.hand(claiming, sending, p, j)
		<-j.out.done
	}
}

// answered is told that a message has an outcome, and how long it took; 0 = it was not handed over.
func (p *pool) answered(took time.Duration) {
	p.r.e.flight.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	switch {
	case took <= 0:
	case p.took == 0:
		p.took = took
	default:
		p.took += (took - p.took) / 8
	}
	p.kick()
}

// written gives a credit back.
func (p *pool) written() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun--
	p.kick()
}

// giveBack puts back what waits.
func (p *pool) giveBack() {
	p.mu.Lock()
	waiting := p.queue
	p.queue = nil
	p.mu.Unlock()
	for _, j := range waiting {
		p.r.putBack(j.claim, p.r.e.cfg.Now())
	}
}
