package delivery

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
)

const (
	settleMost = 256
	// settleWindow is how long an outcome waits for others that are on their way.
	settleWindow = 2 * time.Millisecond
)

// outcome is how a claim ends, on its way into the store.
type outcome struct {
	result care.Result
	pool   *pool         // gets its credit back when the outcome is written; nil = nothing was begun
	done   chan struct{} // closed when it is written; nil = nobody waits
}

// A committer writes outcomes in batches: what came while the last batch was being written goes into the next, and while more are on
// their way than have come it waits for them, for at most settleWindow. An idle system pays one trip's latency, a busy one spreads a trip over
// many messages. Submit blocks while settleMost wait: back-pressure instead of a buffer.
type committer struct {
	write  func(ctx context.Context, batch []care.Result) ([]bool, error)
	items  chan *outcome
	flight *atomic.Int64 // messages that are begun and have no outcome yet
	done   chan struct{}
}

func newCommitter(flight *atomic.Int64, write func(context.Context, []care.Result) ([]bool, error)) *committer {
	return &committer{write: write, items: make(chan *outcome, settleMost), flight: flight, done: make(chan struct{})}
}

// run writes until close was called and everything handed in is written. ctx bounds the single writes only.
func (c *committer) run(ctx context.Context) {
	defer close(c.done)
	batch := make([]*outcome, 0, settleMost)
	results := make([]care.Result, 0, settleMost)
	window := time.NewTimer(settleWindow)
	defer window.Stop()
	for first := range c.items {
		batch = c.gather(append(batch[:0], first), window)
		results = results[:0]
		for _, o := range batch {
			results = append(results, o.result)
		}
		// write goes on until it has written or nobody can: either way nobody waits for these any more.
		_, _ = c.write(ctx, results)
		for _, o := range batch {
			if o.pool != nil {
				o.pool.written()
			}
			if o.done != nil {
				close(o.done)
			}
		}
		clear(batch)
		clear(results)
	}
}

// gather adds to a batch what is there, and what comes soon while it is worth waiting for.
func (c *committer) gather(batch []*outcome, window *time.Timer) []*outcome {
	enough, waiting := 0, false
	if p := batch[0].pool; p != nil {
		enough = p.half()
	}
	for len(batch) < settleMost {
		select {
		case o, ok := <-c.items:
			if !ok {
				return batch
			}
			batch = append(batch, o)
			continue
		default:
		}
		if len(batch) >= enough || c.flight.Load() == 0 {
			return batch
		}
		if !waiting {
			waiting = true
			window.Reset(settleWindow)
		}
		select {
		case o, ok := <-c.items:
			if !ok {
				return batch
			}
			batch = append(batch, o)
		case <-window.C:
			return batch
		}
	}
	return batch
}

// submit hands an outcome in.
func (c *committer) submit(o *outcome) { c.items <- o }

// close lets run end after the last item. No submit may follow.
func (c *committer) close() {
	close(c.items)
	<-c.done
}
