package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/store"
)

// openStore starts a redis-server on a free port of the loopback and opens a store on it.
func openStore(t testing.TB) (st *store.Store, url string) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("these tests need redis-server: apt-get install -y --no-install-recommends redis-server (%v)", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	dir := t.TempDir()
	cmd := exec.Command(program, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "everysec", "--logfile", dir+"/redis.log")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	url = fmt.Sprintf("redis://127.0.0.1:%d", port)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(25 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("redis-server did not come up")
		}
	}
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
