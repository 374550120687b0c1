package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/store"
	"github.com/carebell/carebell/store/redistest"
)

// openStore starts a redis-server and opens a store on it.
func openStore(t testing.TB) (st *store.Store, url string) {
	t.Helper()
	url = redistest.Run(t).URL()
	return openAnother(t, url), url
}

// openAnother opens one more replica's store on the same Redis.
func openAnother(t testing.TB, url string) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), store.Options{URL: url, AllowUnsafe: true, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

// queue plans n e-mails that are due, each of a customer of its own.
func queue(t testing.TB, st *store.Store, n int) {
	t.Helper()
	now := time.Now()
	for from := 0; from < n; from += 500 {
		var changes []care.Change
		for i := from; i < min(n, from+500); i++ {
			o := &care.Occurrence{
				Customer: fmt.Sprintf("C%06d", i), Dealer: "sh-pudong", Program: "birthday", Step: "day", Cycle: "2026", On: care.DateOf(now),
				Class: care.Care, Topic: "birthday", Template: "birthday", Release: now.Add(-time.Minute), Scheduled: now.Add(-time.Minute),
				Expires: now.Add(72 * time.Hour), Channel: care.Email, Verdict: care.Send,
			}
			o.ID = care.OccurrenceID(o.Customer, o.Vehicle, o.Program, o.Step, o.Cycle)
			changes = append(changes, care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}})
		}
		if _, err := st.Apply(context.Background(), changes); err != nil {
			t.Fatal(err)
		}
	}
}

// allowed is a book in which everything may go.
type allowed struct{}

func (allowed) Check(_ *care.Facts, rec *care.Record, _ time.Time, _ *care.Operator) *care.Occurrence {
	return &care.Occurrence{ID: rec.ID, Verdict: care.Send, Release: rec.Release, Channel: rec.Channel, Channels: []care.Channel{rec.Channel}}
}

func (allowed) Compose(_ *care.Facts, occ *care.Occurrence, ch care.Channel, _ time.Time) (*care.Message, error) {
	return &care.Message{ID: occ.ID, Channel: ch, To: "x@example.com"}, nil
}
func (allowed) Program(string) *care.Program { return nil }

// running is nothing that an operator has stopped.
type running struct{}

func (running) Operator(context.Context) (*care.Operator, error)         { return &care.Operator{}, nil }
func (running) PauseChannel(context.Context, care.Channel, string) error { return nil }

type sendFunc func(ctx context.Context, m *care.Message) (care.Receipt, error)

func (f sendFunc) Send(ctx context.Context, m *care.Message) (care.Receipt, error) { return f(ctx, m) }

func newEngine(t testing.TB, st *store.Store, send sendFunc, change ...func(*delivery.Config)) *delivery.Engine {
	t.Helper()
	cfg := delivery.Config{
		Queue: st, Customers: st, Operator: running{}, Book: func() delivery.Book { return allowed{} }, Now: time.Now,
		Senders: map[care.Channel]delivery.Sender{care.Email: send}, Connections: map[care.Channel]int{care.Email: 16},
		Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&cfg)
	}
	e, err := delivery.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// BenchmarkExecutor is a backlog over 16 connections to a provider that takes no time, on a real Redis.
func BenchmarkExecutor(b *testing.B) {
	st, _ := openStore(b)
	queue(b, st, b.N)
	var left atomic.Int64
	left.Store(int64(b.N))
	all := make(chan struct{})
	e := newEngine(b, st, func(context.Context, *care.Message) (care.Receipt, error) { return care.Receipt{}, nil }, func(c *delivery.Config) {
		c.Busy = func(delta int) {
			if delta < 0 && left.Add(int64(delta)) == 0 {
				close(all)
			}
		}
	})
	b.ReportAllocs()
	b.ResetTimer()
	e.Start()
	<-all
	b.StopTimer()
	if err := e.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// messages counts what is on record by state.
func messages(t testing.TB, st *store.Store) map[care.State]int {
	t.Helper()
	records, err := st.Messages(context.Background(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	states := map[care.State]int{}
	for _, r := range records {
		states[r.State]++
	}
	return states
}

// await waits for a condition.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// Two replicas on one Redis: each message goes once, is on record, and has one event.
func TestTwoReplicasShareAQueue(t *testing.T) {
	t.Parallel()
	const n = 600
	st, url := openStore(t)
	queue(t, st, n)
	var mu sync.Mutex
	sent := map[string]int{}
	send := func(_ context.Context, m *care.Message) (care.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		sent[m.ID]++
		return care.Receipt{}, nil
	}
	engines := []*delivery.Engine{newEngine(t, st, send), newEngine(t, openAnother(t, url), send)}
	for _, e := range engines {
		e.Start()
	}
	await(t, "all are sent", func() bool { return messages(t, st)[care.StateSent] == n })
	for _, e := range engines {
		if err := e.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for id, times := range sent {
		if times != 1 {
			t.Errorf("%s went %d times", id, times)
		}
	}
	events, err := st.Events(t.Context(), "", 2*n)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for _, e := range events {
		if e.State == care.StateSent {
			told[e.ID]++
		}
	}
	if len(told) != n || len(events) != n {
		t.Errorf("%d events of %d messages, want one of each of %d", len(events), len(told), n)
	}
}

// What is begun when a replica stops has an outcome on record; the rest is due as it was, and goes from another.
func TestStopLeavesNothingBegun(t *testing.T) {
	t.Parallel()
	const n = 200
	st, url := openStore(t)
	queue(t, st, n)
	var sent atomic.Int64
	e := newEngine(t, st, func(context.Context, *care.Message) (care.Receipt, error) {
		sent.Add(1)
		time.Sleep(50 * time.Millisecond)
		return care.Receipt{}, nil
	}, func(c *delivery.Config) { c.Connections = map[care.Channel]int{care.Email: 4} })
	e.Start()
	await(t, "some are sent", func() bool { return sent.Load() >= 20 })
	if err := e.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := int(sent.Load())
	if got := messages(t, st); got[care.StateSent] != first || got[care.StateDue] != n-first {
		t.Errorf("%d were sent: %v", first, got)
	}
	e = newEngine(t, openAnother(t, url), func(context.Context, *care.Message) (care.Receipt, error) {
		sent.Add(1)
		return care.Receipt{}, nil
	})
	e.Start()
	await(t, "the rest is sent", func() bool { return messages(t, st)[care.StateSent] == n })
	if err := e.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sent.Load() != n {
		t.Errorf("%d were sent, want %d", sent.Load(), n)
	}
}

// deafened is a replica's queue that Redis does not answer for a while.
type deafened struct {
	delivery.Queue
	cut atomic.Bool
}

var errCut = errors.New("the network is cut")

func (q *deafened) Renew(ctx context.Context, claims []*care.Claim, lease time.Duration) ([]bool, error) {
	if q.cut.Load() {
		return nil, errCut
	}
	return q.Queue.Renew(ctx, claims, lease)
}

func (q *deafened) Complete(ctx context.Context, results []care.Result) ([]bool, error) {
	if q.cut.Load() {
		return nil, errCut
	}
	return q.Queue.Complete(ctx, results)
}

func (q *deafened) Claim(ctx context.Context, lanes []care.Lane, most int, lease time.Duration) ([]*care.Claim, error) {
	if q.cut.Load() {
		return nil, errCut
	}
	return q.Queue.Claim(ctx, lanes, most, lease)
}

// observed keeps what was refused and recorded.
type observed struct {
	fenced, dropped atomic.Int64
}

func (*observed) Attempt(care.Channel, string, care.Kind, time.Duration) {}
func (*observed) Deferred(care.Channel, string, string)                  {}
func (*observed) Completed(*care.Record, time.Duration)                  {}
func (o *observed) Fenced(n int)                                         { o.fenced.Add(int64(n)) }
func (o *observed) Dropped(n int)                                        { o.dropped.Add(int64(n)) }

// A replica that is cut off while it sends loses its lease: another repeats the message, on record, and what the first one says of it
// later is refused.
func TestAnExpiredLeaseIsFenced(t *testing.T) {
	t.Parallel()
	st, url := openStore(t)
	queue(t, st, 1)
	cut, seen := &deafened{Queue: st}, &observed{}
	sending, proceed := make(chan struct{}), make(chan struct{})
	first := newEngine(t, st, func(context.Context, *care.Message) (care.Receipt, error) {
		cut.cut.Store(true)
		close(sending)
		<-proceed
		return care.Receipt{}, nil
	}, func(c *delivery.Config) { c.Queue, c.Observer, c.Lease = cut, seen, time.Second })
	first.Start()
	<-sending
	other := openAnother(t, url)
	second := newEngine(t, other, func(context.Context, *care.Message) (care.Receipt, error) { return care.Receipt{}, nil })
	second.Start()
	await(t, "the other replica has repeated it", func() bool { return messages(t, other)[care.StateSent] == 1 })
	if err := second.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	close(proceed)
	cut.cut.Store(false)
	await(t, "the first replica's outcome is refused", func() bool { return seen.fenced.Load() == 1 })
	if err := first.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	records, err := other.Messages(t.Context(), store.Filter{})
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	if r := records[0]; r.State != care.StateSent || r.Repeats != 1 || len(r.Attempts) != 2 || r.Attempts[0].Kind != care.KindUncertain {
		t.Errorf("it is %s after %d repeats: %+v", r.State, r.Repeats, r.Attempts)
	}
}
