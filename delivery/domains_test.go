package delivery

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
)

// mailbox is a book in which each customer's address is in the message's id: what stands behind the dash.
type mailbox struct{ yes }

func (mailbox) Compose(_ *care.Facts, occ *care.Occurrence, ch care.Channel, _ time.Time) (*care.Message, error) {
	_, domain, _ := strings.Cut(occ.ID, "-")
	return &care.Message{ID: occ.ID, Channel: ch, To: "x@" + domain}, nil
}

// mails are messages to domains, so many to each.
func mails(to map[string]int) *memory {
	m := newMemory(0)
	now := time.Now()
	for domain, n := range to {
		for i := range n {
			id := fmt.Sprintf("m%05d-%s", i, domain)
			m.records[id] = &care.Record{
				ID: id, Customer: "C" + id, Program: "birthday", Class: care.Care, Channel: care.Email, State: care.StateDue,
				Release: now, Expires: now.Add(72 * time.Hour),
			}
			m.due[id] = now
		}
	}
	return m
}

// post counts what arrives by domain.
type post struct {
	mu    sync.Mutex
	from  time.Time
	at    map[string][]time.Duration
	now   map[string]int
	most  map[string]int
	takes time.Duration
}

func newPost(takes time.Duration) *post {
	return &post{from: time.Now(), takes: takes, at: map[string][]time.Duration{}, now: map[string]int{}, most: map[string]int{}}
}

func (p *post) Send(_ context.Context, m *care.Message) (care.Receipt, error) {
	_, domain, _ := strings.Cut(m.To, "@")
	p.mu.Lock()
	p.at[domain] = append(p.at[domain], time.Since(p.from))
	p.now[domain]++
	p.most[domain] = max(p.most[domain], p.now[domain])
	p.mu.Unlock()
	time.Sleep(p.takes)
	p.mu.Lock()
	p.now[domain]--
	p.mu.Unlock()
	return care.Receipt{}, nil
}

// busiest is the most that came within a second.
func (p *post) busiest(domain string) int {
	at, most := p.at[domain], 0
	for i, from := range at {
		n := i
		for n < len(at) && at[n] < from+time.Second {
			n++
		}
		most = max(most, n-i)
	}
	return most
}

func TestADomainKeepsToItsLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := mails(map[string]int{"QQ.com": 400, "slow.example": 200, "free.example": 2000})
		p, seen := newPost(10*time.Millisecond), newDeferred()
		e := start(t, m, yes{}, nil, func(c *Config) {
			c.Queue, c.Book, c.Observer = distant{m}, func() Book { return mailbox{} }, seen
			c.Senders = map[care.Channel]Sender{care.Email: p}
			c.Connections = map[care.Channel]int{care.Email: 8}
			c.Domains = Domains{Rates: map[string]float64{"qq.com": 40}, Connections: map[string]int{"slow.example": 2, "*": 100}}
			c.Share = func() float64 { return 0.5 }
		})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		p.mu.Lock()
		if n := len(p.at["QQ.com"]); n < 150 || n > 205 || p.busiest("QQ.com") > 22 {
			t.Errorf("40 a second shared by two: %d in 10 s, %d in the busiest", n, p.busiest("QQ.com"))
		}
		if p.most["slow.example"] != 2 || len(p.at["slow.example"]) != 200 {
			t.Errorf("two at a time: %d at a time, %d in 10 s", p.most["slow.example"], len(p.at["slow.example"]))
		}
		// Eight connections take 800 a second; what the others wait for costs them none of it.
		if at := p.at["free.example"]; len(at) != 2000 || at[1999] > 4*time.Second {
			t.Errorf("without a limit: %d, the last after %v", len(at), at[len(at)-1])
		}
		if n := seen.n[WhyDomain].Load(); n > 2000 {
			t.Errorf("%d times deferred for 600 messages", n)
		}
		p.mu.Unlock()
		time.Sleep(20 * time.Second)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.states()[care.StateSent]; n != 2600 {
			t.Errorf("%v: want 2600 sent", m.states())
		}
		for _, r := range m.records {
			if len(r.Attempts) != 1 {
				t.Errorf("%s: %d attempts: being deferred is none", r.ID, len(r.Attempts))
			}
		}
	})
}

// What is urgent does not wait behind what is not.
func TestAnUrgentMessageDoesNotWaitBehindTheOthersOfItsDomain(t *testing.T) {
	t.Parallel()
	d := newDomains(Domains{Rates: map[string]float64{"*": 10}}, nil)
	for range 1000 {
		d.take(noon, "a@qq.com", false)
	}
	if _, wait := d.take(noon, "b@qq.com", false); wait < time.Minute || wait > 2*time.Minute {
		t.Errorf("behind 1000 at 10 a second it waits %v", wait)
	}
	if _, wait := d.take(noon, "c@QQ.COM.", true); wait <= 0 || wait > 200*time.Millisecond {
		t.Errorf("an urgent one waits %v", wait)
	}
	if _, wait := d.take(noon, "a@163.com", false); wait != 0 {
		t.Errorf("another domain waits %v", wait)
	}
}

func TestNoShareNoMessage(t *testing.T) {
	t.Parallel()
	d := newDomains(Domains{Rates: map[string]float64{"qq.com": 10}}, func() float64 { return 0 })
	if _, wait := d.take(noon, "a@qq.com", true); wait != domainShare {
		t.Errorf("without a share it waits %v", wait)
	}
	if one, wait := d.take(noon, "a@163.com", true); one != nil || wait != 0 {
		t.Errorf("without a limit it waits %v", wait)
	}
	if newDomains(Domains{}, nil) != nil {
		t.Error("no limit needs no account")
	}
}

// However many domains there are, only so many are kept in mind, and no limit is broken for it.
func TestDomainsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDomains(Domains{Connections: map[string]int{"*": 1}}, nil)
	d.most = 10
	var busy []*domain
	for i := range 10 {
		one, wait := d.take(noon, fmt.Sprintf("a@d%d.example", i), false)
		if wait != 0 {
			t.Fatalf("the first message to domain %d waits", i)
		}
		busy = append(busy, one)
	}
	first, _ := d.take(noon, "a@late.example", false)
	if _, wait := d.take(noon, "a@later.example", false); first == nil || wait == 0 || len(d.known) != 10 {
		t.Errorf("%d are known; what has no place of its own shares one, and waits %v", len(d.known), wait)
	}
	d.give(busy[3], time.Second)
	if one, wait := d.take(noon, "a@latest.example", false); one == nil || wait != 0 || len(d.known) != 10 {
		t.Errorf("%d are known; a domain that nothing goes to makes room", len(d.known))
	}
}

func TestDeferrals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		first, step time.Duration
		n           int
		from, to    time.Duration // of the last one
		most        int           // within any second
	}{
		{"one", 0, time.Second, 1, backFirst, backFirst, 1},
		{"a few of a slow gateway", 0, time.Second, 10, 9 * time.Second, 10 * time.Second, 2},
		{"many of a slow gateway", 0, time.Second, 6000, 0, backMost + backStep*6000, 501},
		{"many of a quick gateway", 0, 100 * time.Microsecond, 5000, 500 * time.Millisecond, 600 * time.Millisecond, 5000},
		{"many of a dead gateway", 20 * time.Second, backStep, 50_000, 119 * time.Second, 121 * time.Second, 501},
	} {
		var s deferrals
		var wait time.Duration
		within := map[time.Duration]int{}
		for range tt.n {
			wait = s.next(noon, tt.first, tt.step)
			if wait < max(tt.first, backFirst) {
				t.Fatalf("%s: waits %v", tt.name, wait)
			}
			within[wait/time.Second]++
		}
		if wait < tt.from || wait > tt.to {
			t.Errorf("%s: the last waits %v, want %v to %v", tt.name, wait, tt.from, tt.to)
		}
		for second, n := range within {
			if n > tt.most {
				t.Errorf("%s: %d come back in second %d", tt.name, n, second/time.Nanosecond)
			}
		}
	}
}
