package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
)

// measureQueue takes messages in batches through claim, intent and result, without customers, templates or providers, and counts the
// processor time of both sides. The limit is one ZADD of redis-benchmark, counted in the same way.
func measureQueue(ctx context.Context, w *world) (run, error) {
	n := 3 * w.opt.Messages // they take little time each, and the growth of the heap at the beginning is not the queue's
	if err := w.backlog(ctx, n, care.Email); err != nil {
		return run{}, err
	}
	runtime.GC() // what loading leaves behind is not the queue's work
	redisBefore, err := w.redis.cpu(ctx)
	if err != nil {
		return run{}, err
	}
	before := cpu()
	if err := w.drain(ctx, n, queueBatch); err != nil {
		return run{}, err
	}
	ours := cpu() - before
	redisAfter, err := w.redis.cpu(ctx)
	if err != nil {
		return run{}, err
	}
	const calls = 1_000_000
	_, theirs, err := w.redis.benchmark(ctx, "-n", strconv.Itoa(calls), "-P", "16", "-c", "16", "-r", "1000000", "ZADD", "bench:z", "1", "m:__rand_int__")
	if err != nil {
		return run{}, err
	}
	redisEnd, err := w.redis.cpu(ctx)
	if err != nil {
		return run{}, err
	}
	out := run{ours: micros(ours+redisAfter-redisBefore, n), limit: micros(theirs+redisEnd-redisAfter, calls)}
	out.score = out.ours
	out.note = fmt.Sprintf("claim, intent and result of a message: ours %.1f µs, Redis %.1f µs", micros(ours, n), micros(redisAfter-redisBefore, n))
	return out, nil
}

// queueBatch is how many messages a replica claims at a time.
const queueBatch = 256

// drain takes n messages out of the queue and sends them in thought: as in the daemon the intents of a batch, its outcomes and their events
// are a trip each.
func (w *world) drain(ctx context.Context, n, batch int) error {
	for done := 0; done < n; {
		claims, err := w.store.Claim(ctx, care.Lanes, min(batch, n-done), time.Minute)
		if err != nil {
			return err
		}
		if len(claims) == 0 {
			return fmt.Errorf("the queue gave %d of %d", done, n)
		}
		done += len(claims)
		now := w.now()
		intents, results := make([]care.Intent, len(claims)), make([]care.Result, len(claims))
		events := make([]*care.EventEntry, len(claims))
		for i, claim := range claims {
			intents[i], results[i] = care.Intent{Claim: claim, At: now}, accepted(claim, now)
			events[i] = results[i].Event
		}
		begun, err := w.store.Begin(ctx, intents)
		if err != nil {
			return err
		}
		completed, err := w.store.Complete(ctx, results)
		if err := errors.Join(err, w.store.Publish(ctx, events)); err != nil {
			return err
		}
		if slices.Contains(begun, false) || slices.Contains(completed, false) {
			return errors.New("a claim was lost although nobody else claims")
		}
	}
	return nil
}

// accepted is the result of a message that its provider took.
func accepted(c *care.Claim, at time.Time) care.Result {
	rec := c.Record
	rec.State, rec.UpdatedAt, rec.FirstTry = care.StateSent, at, at
	rec.Attempts = []care.Attempt{{N: 1, At: at, Channel: rec.Channel, Gateway: "smtp", Took: time.Millisecond, Provider: "4XBENCH00"}}
	return care.Result{Claim: c, Record: rec, Event: &care.EventEntry{
		At: at, ID: rec.ID, Customer: rec.Customer, Dealer: rec.Dealer, Vehicle: rec.Vehicle, Program: rec.Program,
		Step: rec.Step, Channel: rec.Channel, State: rec.State,
	}}
}

// measureIdle queues single messages on a system that has nothing to do, and takes the time from a message's release to the moment
// the mail server has it whole.
func measureIdle(ctx context.Context, w *world) (run, error) {
	ctx, cancel := within(ctx, 5*time.Minute)
	defer cancel()
	s, err := startMail(ctx)
	if err != nil {
		return run{}, err
	}
	defer s.close()
	arrived := make(chan time.Time, 1)
	s.taken = func() { arrived <- time.Now() }
	n := min(200, 1+w.opt.Messages/50)
	if err := w.empty(ctx); err != nil {
		return run{}, err
	}
	if err := w.load(ctx, n, care.Email); err != nil {
		return run{}, err
	}
	var written atomic.Int64
	d, err := w.daemon(ctx, mailSettings(s.address()), func(k int) { written.Add(int64(k)) })
	if err != nil {
		return run{}, err
	}
	d.Start()
	lags := make([]float64, 0, n)
	for i := range n {
		o := w.due(i, person(w.day, i, care.Email), "maintenance")
		if o == nil {
			err = errors.New("the plan has nothing for a customer of the bench")
			break
		}
		// Messages become due at moments that have nothing to do with the daemon's looks at the queue.
		o.Release = w.now().Add(time.Duration(20+rand.IntN(60)) * time.Millisecond)
		if _, err = w.store.Apply(ctx, []care.Change{{Customer: o.Customer, Add: []*care.Occurrence{o}}}); err != nil {
			break
		}
		select {
		case at := <-arrived:
			lags = append(lags, millis(w.base.Add(at.Sub(w.began)).Sub(o.Release)))
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			break
		}
	}
	if err := errors.Join(err, d.Stop(context.WithoutCancel(ctx))); err != nil {
		return run{}, err
	}
	slices.Sort(lags)
	p99 := lags[(len(lags)*99+99)/100-1]
	return run{ours: p99, score: p99, note: fmt.Sprintf("p50 %.1f ms, p99 %.1f ms of %d messages, one at a time", lags[len(lags)/2], p99, len(lags))}, nil
}

// mailSize returns how long a mail of the backlog is on the wire.
func (w *world) mailSize(ctx context.Context) (int, error) {
	if n, ok := w.extra.(int); ok {
		return n, nil
	}
	s, err := startMail(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if err := w.backlog(ctx, 1, care.Email); err != nil {
		return 0, err
	}
	if _, err := w.deliver(ctx, config.Settings{SMTP: config.SMTP{
		URL: config.Secrets{config.NewSecret("smtp://" + s.address())}, Connections: 1,
	}}, 1); err != nil {
		return 0, err
	}
	n := int(s.bytes.Load())
	w.extra = n
	return n, nil
}
