package delivery

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
)

const (
	commitMost = 256
	// commitRoom is how many outcomes wait for the next trip; with these a trip has 500 at the most.
	commitRoom = 500 - commitMost
	// commitWindow is how long an outcome waits for others that are on their way, and an event for a trip that it can go with.
	commitWindow = 2 * time.Millisecond
	// untoldMost is how many events wait while care:events cannot be written although the outcomes can.
	untoldMost = 16 * commitMost
	// commitGiveUp is how long a shutdown goes on trying to record outcomes.
	commitGiveUp = 5 * time.Second
)

// outcome is how a claim ends, on its way into the store.
type outcome struct {
	result care.Result
	pool   *pool         // got its credit back; nil = nothing was begun
	owed   bool          // the credit was taken again, because the outcome could not be written
	done   chan struct{} // closed when it is written; nil = nobody waits
}

// opening is what a pool wants to begin, on its way into the store.
type opening struct {
	intents []care.Intent
	begun   []bool // the answer: what may be handed over
	err     error  // why some may not
	done    chan struct{}
}

// A committer writes outcomes, intents and events in common trips: what came while the last trip was under way goes with the next. While
// more outcomes are on their way than have come it waits for them, for at most commitWindow, unless intents are waiting. An idle system
// pays one trip's latency, a busy one spreads a trip over many messages. An event goes with the trip after the one that recorded its
// outcome, or by itself when none follows. Submit blocks while commitRoom wait: back-pressure instead of a buffer.
//
// A pool has the credit of an outcome back as soon as that is handed in. What it begins with it is recorded in the same trip as the
// outcome, behind it, or in a later one, so that what is recorded as begun is never more than the pool's credits.
type committer struct {
	queue   Queue
	log     *slog.Logger
	written func(batch []care.Result, oks []bool)
	lost    func(batch []care.Result) // they could not be recorded before the end
	ending  func() bool
	now     func() time.Time // the machine's clock
	flight  *atomic.Int64    // messages that are begun and have no outcome yet
	in      chan *outcome
	opens   chan *opening
	done    chan struct{}

	items    <-chan *outcome // in, until it is closed
	batch    []*outcome      // to be written next
	openings []*opening
	untold   []*care.EventEntry
	commit   care.Commit
	again    time.Duration // until what could not be written is tried again
	giveUp   time.Time
}

func newCommitter(cfg *Config, flight *atomic.Int64) *committer {
	c := &committer{
		queue: cfg.Queue, log: cfg.Log, now: cfg.Machine, flight: flight, in: make(chan *outcome, commitRoom), opens: make(chan *opening), done: make(chan struct{}),
	}
	c.items = c.in
	return c
}

// run writes until close was called and everything handed in is written. ctx bounds the single writes only.
func (c *committer) run(ctx context.Context) {
	defer close(c.done)
	window := time.NewTimer(commitWindow)
	defer window.Stop()
	for c.gather(window) {
		c.trip(ctx)
	}
}

// gather collects what goes with the next trip; false = there will be nothing more.
func (c *committer) gather(window *time.Timer) bool {
	if c.again > 0 {
		time.Sleep(c.again)
	} else {
		runtime.Gosched() // who was just told that something is written, or begun, may have something for the next trip
		if !c.first(window) {
			return false
		}
	}
	c.collect(window)
	if len(c.openings) > 0 {
		c.drain() // of what made room for them
	}
	return true
}

// collect takes what is there, and waits while that is worth it.
func (c *committer) collect(window *time.Timer) {
	waiting := false
	for len(c.batch) < commitMost {
		select {
		case o, ok := <-c.items:
			c.take(o, ok)
			continue
		case o := <-c.opens:
			c.openings = append(c.openings, o)
			continue
		default:
		}
		if c.enough() {
			return
		}
		if !waiting {
			waiting = true
			window.Reset(commitWindow)
		}
		select {
		case o, ok := <-c.items:
			c.take(o, ok)
		case o := <-c.opens:
			c.openings = append(c.openings, o)
		case <-window.C:
			return
		}
	}
}

// drain takes the outcomes that are there.
func (c *committer) drain() {
	for {
		select {
		case o, ok := <-c.items:
			c.take(o, ok)
		default:
			return
		}
	}
}

// first waits until there is something to write; false = there will be nothing more.
func (c *committer) first(window *time.Timer) bool {
	for len(c.batch) == 0 && len(c.openings) == 0 {
		var alone <-chan time.Time
		if len(c.untold) > 0 {
			if c.items == nil || c.flight.Load() == 0 && len(c.in) == 0 {
				return true
			}
			window.Reset(commitWindow)
			alone = window.C
		} else if c.items == nil {
			return false
		}
		select {
		case o, ok := <-c.items:
			c.take(o, ok)
		case o := <-c.opens:
			c.openings = append(c.openings, o)
		case <-alone:
			return true
		}
	}
	return true
}

func (c *committer) take(o *outcome, ok bool) {
	if !ok {
		c.items = nil
		return
	}
	c.batch = append(c.batch, o)
}

// enough reports whether waiting for more would not be worth it.
func (c *committer) enough() bool {
	if len(c.openings) > 0 || len(c.batch) == 0 || c.again > 0 || c.flight.Load() == 0 {
		return true
	}
	p := c.batch[0].pool
	return p == nil || len(c.batch) >= p.half()
}

// trip writes what was gathered, and tells those who wait for it. Outcomes that could not be written stay for the next trip: one that is known must
// not be lost. The lease may end meanwhile; then the store refuses the result and another replica has it as uncertain.
func (c *committer) trip(ctx context.Context) {
	c.commit.Intents, c.commit.Results, c.commit.Events = c.commit.Intents[:0], c.commit.Results[:0], c.untold
	for _, o := range c.openings {
		c.commit.Intents = append(c.commit.Intents, o.intents...)
	}
	for _, o := range c.batch {
		c.commit.Results = append(c.commit.Results, o.result)
	}
	done := c.queue.Commit(ctx, c.commit)
	c.answer(&done)
	c.told(done.NotTold)
	if done.NotSettled != nil {
		c.failed(done.NotSettled)
		return
	}
	c.again, c.giveUp = 0, time.Time{}
	for i, o := range c.batch {
		if i < len(done.Settled) && done.Settled[i] && o.result.Event != nil {
			c.untold = append(c.untold, o.result.Event)
		}
	}
	if len(c.batch) > 0 {
		c.written(c.commit.Results, done.Settled)
	}
	c.release()
}

// answer tells the pools what they may hand over.
func (c *committer) answer(done *care.Committed) {
	at := 0
	for _, o := range c.openings {
		o.begun, o.err = o.begun[:0], done.NotBegun
		for range o.intents {
			o.begun = append(o.begun, at < len(done.Begun) && done.Begun[at])
			at++
		}
		o.done <- struct{}{}
	}
	clear(c.openings)
	c.openings = c.openings[:0]
	clear(c.commit.Intents)
}

// told forgets the events that were written. Others stay for the next trip, and when they become too many the oldest are lost: what they told of
// is on record.
func (c *committer) told(err error) {
	if err == nil {
		clear(c.untold)
		c.untold = c.untold[:0]
		return
	}
	c.log.Warn("events could not be written yet", slog.Any("error", err), slog.Int("events", len(c.untold)))
	if over := len(c.untold) - untoldMost; c.items == nil || over > 0 {
		if c.items == nil {
			over = len(c.untold)
		}
		c.log.Error("events are lost: care:events lacks them", slog.Int("events", over))
		c.untold = append(c.untold[:0], c.untold[over:]...)
	}
}

// failed keeps outcomes for another try, and lets go of them when the end has waited long enough.
func (c *committer) failed(err error) {
	c.log.Warn("outcomes could not be recorded yet", slog.Any("error", err), slog.Int("messages", len(c.batch)))
	for _, o := range c.batch {
		if o.pool != nil && !o.owed {
			o.owed = true
			o.pool.credit(-1)
		}
	}
	c.again = min(max(2*c.again, 50*time.Millisecond), writeAgain)
	if !c.ending() {
		return
	}
	if c.giveUp.IsZero() {
		c.giveUp = c.now().Add(commitGiveUp)
	}
	if c.now().After(c.giveUp) {
		c.lost(c.commit.Results)
		c.again = 0
		c.release()
	}
}

// release gives the credits back that were taken again, and forgets the batch.
func (c *committer) release() {
	for _, o := range c.batch {
		if o.owed {
			o.pool.credit(1)
		}
		if o.done != nil {
			close(o.done)
		}
	}
	clear(c.batch)
	c.batch = c.batch[:0]
	clear(c.commit.Results)
}

// submit hands an outcome in.
func (c *committer) submit(o *outcome) {
	c.in <- o
	if o.pool != nil {
		o.pool.credit(1)
	}
}

// open records intents and returns when it is known which of them may be handed over.
func (c *committer) open(o *opening) {
	if o.done == nil {
		o.done = make(chan struct{}, 1)
	}
	c.opens <- o
	<-o.done
}

// close lets run end after the last item. No submit and no open may follow.
func (c *committer) close() {
	close(c.in)
	<-c.done
}
