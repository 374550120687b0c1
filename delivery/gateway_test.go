package delivery

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
)

// exits is a sender with several gateways; each message's gateway is in its id.
type exits struct {
	send func(ctx context.Context, gateway string) error
	mu   sync.Mutex
	took map[string][]time.Duration // by gateway, when a message was accepted
	came map[string]int             // by gateway, all attempts
	now  map[string]int             // by gateway, attempts at this moment
	most map[string]int
	from time.Time
}

func newExits(send func(context.Context, string) error) *exits {
	return &exits{send: send, took: map[string][]time.Duration{}, came: map[string]int{}, now: map[string]int{}, most: map[string]int{}, from: time.Now()}
}

func (x *exits) Route(m *care.Message, _ func(string) bool) string { return m.ID[:2] }

func (x *exits) Send(ctx context.Context, m *care.Message) (care.Receipt, error) {
	g := m.Gateway
	x.mu.Lock()
	x.came[g]++
	x.now[g]++
	x.most[g] = max(x.most[g], x.now[g])
	x.mu.Unlock()
	err := x.send(ctx, g)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now[g]--
	if err == nil {
		x.took[g] = append(x.took[g], time.Since(x.from))
	}
	return care.Receipt{}, err
}

// end is when the nth message of a gateway was accepted.
func (x *exits) end(gateway string, n int) time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.took[gateway]) < n {
		return time.Hour
	}
	return x.took[gateway][n-1]
}

func (x *exits) tried(gateway string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.came[gateway]
}

// deferred counts what its engine gave back.
type deferred struct {
	nobody
	n map[string]*atomic.Int64
}

func newDeferred() deferred {
	return deferred{n: map[string]*atomic.Int64{WhyFull: {}, WhyResting: {}, WhyDomain: {}, WhyWarmup: {}}}
}

func (p deferred) Deferred(_ care.Channel, _, why string) { p.n[why].Add(1) }

// distant is a queue whose calls take a while.
type distant struct{ *memory }

const trip = 500 * time.Microsecond

func (d distant) Claim(ctx context.Context, lanes []care.Lane, most int, lease time.Duration) ([]*care.Claim, error) {
	time.Sleep(trip)
	return d.memory.Claim(ctx, lanes, most, lease)
}

func (d distant) Begin(ctx context.Context, intents []care.Intent) ([]bool, error) {
	time.Sleep(trip)
	return d.memory.Begin(ctx, intents)
}

func (d distant) Complete(ctx context.Context, results []care.Result) ([]bool, error) {
	time.Sleep(trip)
	return d.memory.Complete(ctx, results)
}

func gatewayNames(n int) []Gateway {
	all := make([]Gateway, n)
	for i := range all {
		all[i] = Gateway{Name: fmt.Sprintf("g%d", i)}
	}
	return all
}

// spreadOver gives each gateway as many messages.
func spreadOver(gateways []Gateway, each int) *memory {
	m := newMemory(0)
	now := time.Now()
	for i := range each * len(gateways) {
		id := fmt.Sprintf("%s-%05d", gateways[i%len(gateways)].Name, i)
		m.records[id] = &care.Record{
			ID: id, Customer: "C" + id, Program: "birthday", Class: care.Care, Channel: care.SMS, State: care.StateDue,
			Release: now, Expires: now.Add(72 * time.Hour),
		}
		m.due[id] = now
	}
	return m
}

func startExits(t *testing.T, m *memory, x *exits, gateways []Gateway, change ...func(*Config)) *Engine {
	t.Helper()
	change = append([]func(*Config){func(c *Config) {
		c.Queue, c.Senders = distant{m}, map[care.Channel]Sender{care.SMS: x}
		c.Gateways = map[care.Channel][]Gateway{care.SMS: gateways}
		c.Connections = map[care.Channel]int{care.SMS: 4}
	}}, change...)
	return start(t, m, yes{}, nil, change...)
}

// Reliability row 26: of ten gateways one is dead and one slow. The others keep their speed.
func TestADeadAndASlowGatewayCostTheOthersNothing(t *testing.T) {
	t.Parallel()
	const each = 200
	fine := func(context.Context, string) error { time.Sleep(20 * time.Millisecond); return nil }
	last := func(t *testing.T, send func(context.Context, string) error) (slowest time.Duration, x *exits, m *memory) {
		gateways := gatewayNames(10)
		m, x = spreadOver(gateways, each), newExits(send)
		e := startExits(t, m, x, gateways)
		time.Sleep(15 * time.Second)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, g := range gateways[2:] {
			slowest = max(slowest, x.end(g.Name, each))
		}
		return slowest, x, m
	}
	for name, dead := range map[string]func(context.Context) error{
		"refuses": func(context.Context) error {
			time.Sleep(time.Millisecond)
			return &care.Error{Kind: care.KindRetry, Code: "connect"}
		},
		"hangs": func(ctx context.Context) error {
			<-ctx.Done()
			return &care.Error{Kind: care.KindUncertain, Code: "timeout"}
		},
	} {
		var alone time.Duration
		synctest.Test(t, func(t *testing.T) { alone, _, _ = last(t, fine) })
		synctest.Test(t, func(t *testing.T) {
			beside, x, m := last(t, func(ctx context.Context, gateway string) error {
				switch gateway {
				case "g0":
					return dead(ctx)
				case "g1":
					time.Sleep(3 * time.Second)
					return nil
				}
				return fine(ctx, gateway)
			})
			if share := float64(alone) / float64(beside); share < 0.9 {
				t.Errorf("one %s, one is slow: the others need %v instead of %v: %.0f %% of their speed", name, beside, alone, 100*share)
			}
			t.Logf("one %s: %v alone, %v beside", name, alone, beside)
			if x.came["g1"] < 16 {
				t.Errorf("the slow one was given %d in 15 s, it takes 4 in 3 s", x.came["g1"])
			}
			tried := 0
			for _, r := range m.records {
				tried += len(r.Attempts)
			}
			if came := func() (n int) {
				for _, k := range x.came {
					n += k
				}
				return n
			}(); tried != came {
				t.Errorf("%d attempts on record, %d were made: being deferred is none", tried, came)
			}
		})
	}
}

// Each gateway keeps to its own connections and its own rate.
func TestLimitsOfAGateway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gateways := []Gateway{{Name: "g0", Connections: 2}, {Name: "g1", Rate: 40}, {Name: "g2"}}
		m := spreadOver(gateways, 1000)
		x := newExits(func(context.Context, string) error { time.Sleep(20 * time.Millisecond); return nil })
		e := startExits(t, m, x, gateways, func(c *Config) { c.Share = func() float64 { return 0.5 } })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if x.most["g0"] != 2 || x.came["g0"] < 900 {
			t.Errorf("two connections: %d at a time, %d in 10 s", x.most["g0"], x.came["g0"])
		}
		if x.came["g1"] < 180 || x.came["g1"] > 210 {
			t.Errorf("40 a second shared by two: %d in 10 s", x.came["g1"])
		}
		if x.most["g2"] != 4 || x.end("g2", 1000) > 6*time.Second {
			t.Errorf("no limit of its own: %d at a time, done after %v", x.most["g2"], x.end("g2", 1000))
		}
	})
}

// A dead gateway's messages are not tried over and over, and go when it is back.
func TestADeadGatewayComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gateways := gatewayNames(2)
		m := spreadOver(gateways, 500)
		began := time.Now()
		x := newExits(func(_ context.Context, gateway string) error {
			time.Sleep(time.Millisecond)
			if gateway == "g0" && time.Since(began) < time.Minute {
				return &care.Error{Kind: care.KindRetry, Code: "connect"}
			}
			return nil
		})
		seen := newDeferred()
		e := startExits(t, m, x, gateways, func(c *Config) { c.Observer = seen })
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if n := x.tried("g0"); n > 60 {
			t.Errorf("%d attempts at a dead gateway in 50 s", n)
		}
		if n := seen.n[WhyResting].Load(); n < 450 || n > 25_000 {
			t.Errorf("%d times deferred in 50 s", n)
		}
		time.Sleep(4 * time.Minute)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.states()[care.StateSent]; n != 1000 {
			t.Errorf("%v: want 1000 sent", m.states())
		}
	})
}

// The only gateway of a channel gives nothing back: the channel claims what it can take.
func TestTheOnlyGatewayGivesNothingBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gateways := gatewayNames(1)
		m, seen := spreadOver(gateways, 200), newDeferred()
		x := newExits(func(context.Context, string) error { time.Sleep(300 * time.Millisecond); return nil })
		e := startExits(t, m, x, gateways, func(c *Config) { c.Observer = seen })
		time.Sleep(10 * time.Second) // the first claim did not know yet
		synctest.Wait()
		if n := len(e.leases.list()); n > 40 {
			t.Errorf("%d leased at a gateway that takes 13 a second", n)
		}
		time.Sleep(time.Minute)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.states()[care.StateSent]; n != 200 || seen.n[WhyFull].Load() > 0 || m.trips["claim"] > 2000 {
			t.Errorf("%d sent, %d deferred, %d claims", n, seen.n[WhyFull].Load(), m.trips["claim"])
		}
	})
}

// A gateway that asks for a pause gets one.
func TestRetryAfterRestsTheGateway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gateways := gatewayNames(2)
		m := spreadOver(gateways, 300)
		began := time.Now()
		var early atomic.Int64
		x := newExits(func(_ context.Context, gateway string) error {
			since := time.Since(began)
			time.Sleep(10 * time.Millisecond)
			if gateway == "g0" && since < 20*time.Second {
				if since > 100*time.Millisecond {
					early.Add(1)
				}
				return &care.Error{Kind: care.KindRetry, Code: "http 429", RetryAfter: 20 * time.Second}
			}
			return nil
		})
		e := startExits(t, m, x, gateways)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if early.Load() > 0 || x.end("g1", 300) > 2*time.Second {
			t.Errorf("%d attempts while it rests; the other gateway was done after %v", early.Load(), x.end("g1", 300))
		}
		time.Sleep(2 * time.Minute)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.states()[care.StateSent]; n != 600 {
			t.Errorf("%v: want 600 sent", m.states())
		}
	})
}
