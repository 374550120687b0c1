package delivery

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
)

// dayCounts counts mails by day and domain, for all replicas.
type dayCounts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *dayCounts) count(_ context.Context, day time.Time, domain string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[day.Format(time.DateOnly)+domain]++
	return c.n[day.Format(time.DateOnly)+domain], nil
}

// Two replicas share the ceiling of each day; the rest waits for the next one, and nothing is lost.
func TestANewSenderIsWarmedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := mails(map[string]int{"qq.com": 60, "163.com": 8}), mails(map[string]int{"QQ.com": 60})
		p, seen, shared := newPost(time.Millisecond), newDeferred(), &dayCounts{}
		var engines []*Engine
		for _, m := range []*memory{first, second} {
			engines = append(engines, start(t, m, yes{}, nil, func(c *Config) {
				c.Queue, c.Book, c.Observer = distant{m}, func() Book { return mailbox{} }, seen
				c.Senders = map[care.Channel]Sender{care.Email: p}
				c.Idle, c.Lease = 5*time.Minute, 2*time.Hour
				c.Warmup = Warmup{From: time.Now(), First: 10, Growth: 2, Count: shared.count}
			}))
		}
		arrived := func() (qq, netease int) {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			for domain, at := range p.at {
				if strings.EqualFold(domain, "qq.com") {
					qq += len(at)
				} else {
					netease += len(at)
				}
			}
			return qq, netease
		}
		time.Sleep(time.Minute)
		for day, want := range []int{10, 30, 70, 120, 120} { // 10, 20, 40, and of 80 the last 50
			if qq, netease := arrived(); qq != want || netease != 8 {
				t.Errorf("day %d: %d and %d, want %d and 8", day, qq, netease, want)
			}
			if day == 0 {
				first.mu.Lock()
				for _, r := range first.records {
					if r.State == care.StateDue && r.Reason != ReasonWarmup && !strings.Contains(r.ID, "163") {
						t.Errorf("%s waits for %q", r.ID, r.Reason)
					}
				}
				first.mu.Unlock()
			}
			time.Sleep(24 * time.Hour)
		}
		for _, e := range engines {
			if err := e.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range []*memory{first, second} {
			for _, r := range m.records {
				if r.State == care.StateSent && (len(r.Attempts) != 1 || r.Reason == ReasonWarmup) {
					t.Errorf("%s: %d attempts, %q", r.ID, len(r.Attempts), r.Reason)
				}
			}
		}
		if seen.n[WhyWarmup].Load() == 0 {
			t.Error("nothing was counted as deferred")
		}
	})
}

func TestTheCeilingGrowsByTheDay(t *testing.T) {
	t.Parallel()
	w := Warmup{From: noon, First: 50, Growth: 1.5}
	day := noon.UTC().Truncate(24 * time.Hour)
	for after, want := range map[int]int{-3: 50, 0: 50, 1: 75, 2: 112, 10: 2883, 24: 841_705, 25: 0, 4000: 0} {
		if got := w.ceiling(day.AddDate(0, 0, after)); got != want {
			t.Errorf("day %d: %d, want %d", after, got, want)
		}
	}
}

func TestWarmupOfWhatIsUrgentAndOfAFailingCount(t *testing.T) {
	t.Parallel()
	shared := &dayCounts{}
	w := newWarmups(Warmup{From: noon, First: 1, Growth: 2, Count: shared.count})
	for i, step := range []struct {
		urgent bool
		waits  bool
	}{{false, false}, {false, true}, {true, false}, {false, true}} {
		wait, err := w.take(t.Context(), noon, "a@QQ.com.", step.urgent)
		if err != nil || (wait > 0) != step.waits || wait > 24*time.Hour {
			t.Errorf("%d: %v %v", i, wait, err)
		}
	}
	broken := newWarmups(Warmup{From: noon, First: 1, Growth: 2, Count: func(context.Context, time.Time, string) (int, error) { return 0, errors.New("away") }})
	if wait, err := broken.take(t.Context(), noon, "a@qq.com", false); err == nil || wait <= 0 {
		t.Errorf("a count that cannot be kept lets mail go: %v", wait)
	}
	if newWarmups(Warmup{}) != nil {
		t.Error("a warm-up that nobody asked for")
	}
}
