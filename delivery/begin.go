package delivery

import (
	"context"

	"github.com/carebell/carebell/care"
)

// batchMost is how many messages are claimed, begun or completed in one trip.
const batchMost = 256

// A beginRequest asks to record the intents of one pool.
type beginRequest struct {
	intents []care.Intent
	granted []bool // the answer: what may be sent
	err     error  // why some may not
	done    chan struct{}
}

// A beginner records intents. What several pools ask for while a trip is under way goes together with the next one, up to batchMost.
// Nobody waits for others to ask: a pool gathers its intents itself.
type beginner struct {
	queue    Queue
	requests chan *beginRequest
	done     chan struct{}
}

func newBeginner(q Queue) *beginner {
	return &beginner{queue: q, requests: make(chan *beginRequest), done: make(chan struct{})}
}

// run records what is asked for until close was called. ctx bounds the trips.
func (b *beginner) run(ctx context.Context) {
	defer close(b.done)
	first, open := <-b.requests
	for open {
		batch, n := []*beginRequest{first}, len(first.intents)
		first = nil
		for gathering := true; gathering && n < batchMost; {
			select {
			case next, ok := <-b.requests:
				switch {
				case !ok:
					gathering = false
				case n+len(next.intents) > batchMost:
					first, gathering = next, false
				default:
					batch, n = append(batch, next), n+len(next.intents)
				}
			default:
				gathering = false
			}
		}
		b.trip(ctx, batch, n)
		if first == nil {
			first, open = <-b.requests
		}
	}
}

// trip records the intents of a batch and tells each pool what it may send.
func (b *beginner) trip(ctx context.Context, batch []*beginRequest, n int) {
	intents := make([]care.Intent, 0, n)
	for _, r := range batch {
		intents = append(intents, r.intents...)
	}
	granted, err := b.queue.Begin(ctx, intents)
	for _, r := range batch {
		k := min(len(r.intents), len(granted))
		r.granted, r.err = granted[:k], err
		granted = granted[k:]
		close(r.done)
	}
}

// begin records intents and returns which of them may be sent. Those without an answer may not.
func (b *beginner) begin(intents []care.Intent) (granted []bool, err error) {
	r := &beginRequest{intents: intents, done: make(chan struct{})}
	b.requests <- r
	<-r.done
	granted = make([]bool, len(intents))
	copy(granted, r.granted)
	return granted, r.err
}

// close lets run end. No begin may follow.
func (b *beginner) close() { close(b.requests) }
