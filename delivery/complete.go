package delivery

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
)

const (
	// batchWindow is the longest time that an outcome waits for others which are on their way.
	batchWindow = 2 * time.Millisecond
	// completeFirst and completeMost bound the pause between two tries to record outcomes. After a failover no pool goes on before one
	// succeeds.
	completeFirst = 50 * time.Millisecond
	completeMost  = 500 * time.Millisecond
	// publishAgain is how long events wait that could not be published, if no outcome comes meanwhile.
	publishAgain = 500 * time.Millisecond
	// unpublishedMost is how many events wait while care:events cannot be written although outcomes can.
	unpublishedMost = 16 * batchMost
)

// outcome is how a claim ends, on its way into the store.
type outcome struct {
	result care.Result
	pool   *pool         // has lent a permit, which comes back when the outcome is recorded; nil = nothing was begun
	done   chan struct{} // closed when it is recorded; nil = nobody waits
}

// A completer records outcomes in batches and then publishes their events. A batch is what came while the trip before was under way.
// It waits for more for at most batchWindow, and only while more messages are being sent than it holds already: an idle system pays for
// one trip and no waiting. Submit blocks while a whole batch waits: back-pressure instead of a buffer.
//
// An outcome that could not be recorded is tried again until it is, or until the shutdown's time is over: one that is known must not be
// lost. The lease may end meanwhile. Then the store refuses it, and another replica has the message as uncertain.
type completer struct {
	cfg      *Config
	inFlight *atomic.Int64                                       // messages that are begun and have no outcome yet
	ended    func(results []care.Result, ours []bool, err error) // recorded, or dropped because of err
	in       chan *outcome
	done     chan struct{}
	pending  atomic.Int64 // submitted, and neither recorded nor dropped
	dropped  atomic.Int64 // could not be recorded before the end

	unpublished []*care.EventEntry
}

func newCompleter(cfg *Config, inFlight *atomic.Int64) *completer {
	return &completer{cfg: cfg, inFlight: inFlight, in: make(chan *outcome, batchMost), done: make(chan struct{})}
}

// run records until close was called and everything submitted is recorded. When ctx ends, what is not recorded by then is dropped.
func (c *completer) run(ctx context.Context) {
	defer close(c.done)
	window := time.NewTimer(batchWindow)
	defer window.Stop()
	batch := make([]*outcome, 0, batchMost)
	for open := true; open; {
		if batch, open = c.collect(batch[:0], window); len(batch) > 0 {
			c.complete(ctx, batch)
			clear(batch)
		}
		if len(c.unpublished) >= batchMost || len(c.in) == 0 {
			c.publish(ctx)
		}
	}
	if n := len(c.unpublished); n > 0 {
		c.cfg.Log.Error("events are lost: care:events lacks them", slog.Int("events", n))
	}
}

// collect waits for the next batch; false = there will be no other. It returns without one when events are to be published again.
func (c *completer) collect(batch []*outcome, window *time.Timer) ([]*outcome, bool) {
	var timeout <-chan time.Time
	if len(c.unpublished) > 0 {
		window.Reset(publishAgain)
		timeout = window.C
	}
	select {
	case o, ok := <-c.in:
		if !ok {
			return batch, false
		}
		batch = append(batch, o)
	case <-timeout:
		return batch, true
	}
	window.Reset(batchWindow)
	for len(batch) < batchMost {
		select {
		case o, ok := <-c.in:
			if !ok {
				return batch, false
			}
			batch = append(batch, o)
			continue
		default:
		}
		if int64(len(batch)) >= c.inFlight.Load() {
			return batch, true
		}
		select {
		case o, ok := <-c.in:
			if !ok {
				return batch, false
			}
			batch = append(batch, o)
		case <-window.C:
			return batch, true
		}
	}
	return batch, true
}

// complete records a batch, however often that must be tried, and gives its permits back.
func (c *completer) complete(ctx context.Context, batch []*outcome) {
	results := make([]care.Result, len(batch))
	for i, o := range batch {
		results[i] = o.result
	}
	ours, err := c.record(ctx, results)
	if err != nil {
		c.dropped.Add(int64(len(batch)))
		c.cfg.Observer.Dropped(len(batch))
		c.cfg.Log.Error(lostOutcomes, slog.Any("error", err), slog.Int("messages", len(batch)))
	}
	for i := range batch {
		if i < len(ours) && ours[i] && results[i].Event != nil {
			c.unpublished = append(c.unpublished, results[i].Event)
		}
	}
	c.ended(results, ours, err)
	c.pending.Add(int64(-len(batch)))
	permits := map[*pool]int{}
	for _, o := range batch {
		if o.pool != nil {
			permits[o.pool]++
		}
	}
	for p, n := range permits {
		p.release(n)
	}
	for _, o := range batch {
		if o.done != nil {
			close(o.done)
		}
	}
}

// record writes results until the queue has answered. An error means that ctx has ended first.
func (c *completer) record(ctx context.Context, results []care.Result) (ours []bool, err error) {
	for pause := completeFirst; ctx.Err() == nil; pause = min(2*pause, completeMost) {
		if ours, err = c.cfg.Queue.Complete(ctx, results); err == nil {
			return ours, nil
		}
		c.cfg.Log.Warn("outcomes could not be recorded yet", slog.Any("error", err), slog.Int("messages", len(results)))
		care.Sleep(ctx, pause)
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	return nil, err
}

// publish tells care:events of what is on record. What cannot be written waits; when that becomes too much the oldest is lost: what it
// tells of is on record.
func (c *completer) publish(ctx context.Context) {
	if len(c.unpublished) == 0 || ctx.Err() != nil {
		return
	}
	err := c.cfg.Queue.Publish(ctx, c.unpublished)
	if err == nil {
		clear(c.unpublished)
		c.unpublished = c.unpublished[:0]
		return
	}
	c.cfg.Log.Warn("events could not be written yet", slog.Any("error", err), slog.Int("events", len(c.unpublished)))
	if over := len(c.unpublished) - unpublishedMost; over > 0 {
		c.cfg.Log.Error("events are lost: care:events lacks them", slog.Int("events", over))
		c.unpublished = append(c.unpublished[:0], c.unpublished[over:]...)
	}
}

// submit takes an outcome.
func (c *completer) submit(o *outcome) {
	c.pending.Add(1)
	c.in <- o
}

// close lets run end after the last outcome. No submit may follow.
func (c *completer) close() { close(c.in) }
