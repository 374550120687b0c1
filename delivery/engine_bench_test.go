package delivery

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// counted is a queue that always has more, and whose calls take as long as trips do. It counts what it is asked.
type counted struct {
	trip              time.Duration
	left              atomic.Int64
	open              atomic.Int64
	begins, completes atomic.Int64
	shards            atomic.Int64
	all               chan struct{}
}

func (q *counted) Claim(_ context.Context, lanes []care.Lane, most int, lease time.Duration) ([]*care.Claim, error) {
	time.Sleep(q.trip)
	n := min(int64(most), max(q.left.Load(), 0))
	claims := make([]*care.Claim, n)
	now := time.Now()
	for i := range claims {
		k := q.left.Add(-1)
		claims[i] = &care.Claim{Record: care.Record{
			ID: fmt.Sprintf("%c%025d", 'a'+i*care.Shards/int(n), k), Customer: fmt.Sprintf("C%d", k), Program: "birthday", Class: care.Care,
			Channel: lanes[0].Channel, State: care.StateClaimed, Release: now, Expires: now.Add(time.Hour),
		}, Lane: lanes[0], Token: 1, Was: care.StateDue, Until: now.Add(lease)}
	}
	return claims, nil
}

func (q *counted) Renew(_ context.Context, claims []*care.Claim, _ time.Duration) ([]bool, error) {
	return yeses(len(claims)), nil
}

func (q *counted) Begin(_ context.Context, intents []care.Intent) ([]bool, error) {
	time.Sleep(q.trip)
	q.begins.Add(1)
	q.scripts(len(intents), func(i int) byte { return intents[i].Claim.Record.ID[0] })
	return yeses(len(intents)), nil
}

func (q *counted) Complete(_ context.Context, results []care.Result) ([]bool, error) {
	time.Sleep(q.trip)
	q.completes.Add(1)
	q.scripts(len(results), func(i int) byte { return results[i].Record.ID[0] })
	if q.open.Add(int64(-len(results))) == 0 {
		close(q.all)
	}
	return yeses(len(results)), nil
}

func (q *counted) Publish(context.Context, []*care.EventEntry) error {
	time.Sleep(q.trip)
	return nil
}

// scripts counts the shards that a batch touches: the store calls a script for each.
func (q *counted) scripts(n int, shard func(int) byte) {
	seen := map[byte]bool{}
	for i := range n {
		seen[shard(i)] = true
	}
	q.shards.Add(int64(len(seen)))
}

func (q *counted) Facts(_ context.Context, ids []string) ([]*care.Facts, error) {
	time.Sleep(q.trip)
	facts := make([]*care.Facts, len(ids))
	for i, id := range ids {
		facts[i] = &care.Facts{ID: id, Customer: &care.Customer{ID: id}}
	}
	return facts, nil
}

func (q *counted) Operator(context.Context) (*care.Operator, error)         { return &care.Operator{}, nil }
func (q *counted) PauseChannel(context.Context, care.Channel, string) error { return nil }

var always = func() []bool {
	all := make([]bool, batchMost)
	for i := range all {
		all[i] = true
	}
	return all
}()

func yeses(n int) []bool { return always[:n] }

// BenchmarkEngine is a backlog over 16 connections, against a queue that answers within a millisecond: what one message costs delivery
// itself, and how many messages share a trip and a script.
func BenchmarkEngine(b *testing.B) {
	for _, sending := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
		b.Run(fmt.Sprintf("sending=%v", sending), func(b *testing.B) {
			q := &counted{trip: 500 * time.Microsecond, all: make(chan struct{})}
			q.left.Store(int64(b.N))
			q.open.Store(int64(b.N))
			var once sync.Once
			send := senderFunc(func(context.Context, *care.Message) (care.Receipt, error) {
				once.Do(b.ResetTimer)
				if sending > 0 {
					time.Sleep(sending)
				}
				return care.Receipt{}, nil
			})
			e, err := New(Config{
				Queue: q, Customers: q, Operator: q, Book: func() Book { return yes{} }, Senders: map[care.Channel]Sender{care.Webhook: send},
				Now: time.Now, Connections: map[care.Channel]int{care.Webhook: 16},
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			e.Start()
			<-q.all
			b.StopTimer()
			if err := e.Stop(b.Context()); err != nil {
				b.Fatal(err)
			}
			n := float64(b.N)
			b.ReportMetric(n/float64(q.begins.Load()), "messages/begin")
			b.ReportMetric(n/float64(q.completes.Load()), "messages/complete")
			b.ReportMetric(float64(q.shards.Load())/n, "scripts/message")
		})
	}
}
