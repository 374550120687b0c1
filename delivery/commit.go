package delivery

import (
	"context"
	"sync"
)

// A committer collects what workers hand in and writes it in batches: everything that came while the last batch was being
// written goes into the next, up to most. That is group commit without a timer: an idle system pays one trip's latency, a busy
// one spreads a trip over many messages. Submit blocks while more than most wait: back-pressure instead of a buffer.
type committer[T any] struct {
	write func(ctx context.Context, batch []T) ([]bool, error)
	items chan pending[T]
	most  int
	done  chan struct{}
	once  sync.Once
}

type pending[T any] struct {
	item T
	// answer gets whether the item was still ours, and why it could not be written; nil = nobody waits.
	answer func(ok bool, err error)
}

func newCommitter[T any](most int, write func(context.Context, []T) ([]bool, error)) *committer[T] {
	return &committer[T]{write: write, items: make(chan pending[T], most), most: most, done: make(chan struct{})}
}

// run writes until close was called and everything handed in is written. ctx bounds the single writes only.
func (c *committer[T]) run(ctx context.Context) {
	defer close(c.done)
	batch := make([]pending[T], 0, c.most)
	items := make([]T, 0, c.most)
	for first := range c.items {
		batch, items = append(batch[:0], first), items[:0]
	collect:
		for len(batch) < c.most {
			select {
			case p, ok := <-c.items:
				if !ok {
					break collect
				}
				batch = append(batch, p)
			default:
				break collect
			}
		}
		for _, p := range batch {
			items = append(items, p.item)
		}
		oks, err := c.write(ctx, items)
		for i, p := range batch {
			if p.answer != nil {
				p.answer(err == nil && i < len(oks) && oks[i], err)
			}
		}
		clear(batch)
		clear(items)
	}
}

// submit hands an item in; answer is called once, from the committer's goroutine.
func (c *committer[T]) submit(item T, answer func(ok bool, err error)) {
	c.items <- pending[T]{item, answer}
}

// wait hands an item in and returns when it was written.
func (c *committer[T]) wait(item T) (bool, error) {
	var ok bool
	var err error
	done := make(chan struct{})
	c.submit(item, func(o bool, e error) { ok, err = o, e; close(done) })
	<-done
	return ok, err
}

// close lets run end after the last item. No submit may follow.
func (c *committer[T]) close() {
	c.once.Do(func() { close(c.items) })
	<-c.done
}
