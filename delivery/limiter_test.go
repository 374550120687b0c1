package delivery

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
)

// All replicas together stay within the rate, whoever comes and goes, however many workers wait.
func TestAReplicaKeepsToItsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var share atomic.Uint64
		set := func(part float64) { share.Store(math.Float64bits(part)) }
		l := newLimiter(100, func() float64 { return math.Float64frombits(share.Load()) }, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		var went atomic.Int64
		var workers sync.WaitGroup
		for range 16 {
			workers.Go(func() {
				for l.wait(ctx) == nil {
					went.Add(1)
				}
			})
		}
		within := func(d time.Duration, least, most int64) {
			t.Helper()
			before := went.Load()
			time.Sleep(d)
			synctest.Wait()
			if got := went.Load() - before; got < least || got > most {
				t.Errorf("%d in %v with a share of %v; want %d to %d", got, d, math.Float64frombits(share.Load()), least, most)
			}
		}
		within(10*time.Second, 0, 0) // not known yet how many there are
		set(1)
		within(10*time.Second, 960, 1000)
		set(0.25)
		within(10*time.Second, 240, 250)
		set(0)
		within(10*time.Second, 0, 1) // the one that was waiting
		set(0.5)
		within(10*time.Second, 480, 500)
		cancel()
		workers.Wait()
	})
}

// Whoever counts the messages that leave in a second, wherever the second begins, finds no more than the rate: with two replicas, with
// intents that are recorded in batches, and with a store that takes its time now and then.
func TestNoSecondHasMoreThanTheRate(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []float64{1, 10, 25, 300, 1000} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var mu sync.Mutex
			var left []time.Time
			var workers sync.WaitGroup
			for range 2 {
				l := newLimiter(perSecond, func() float64 { return 0.5 }, time.Now)
				began := time.Now()
				for range 64 {
					workers.Go(func() {
						for l.wait(ctx) == nil {
							// The store answers every 20 ms, and not at all for a second of each five.
							time.Sleep(time.Until(time.Now().Truncate(20 * time.Millisecond).Add(20 * time.Millisecond)))
							if into := time.Since(began) % (5 * time.Second); into < time.Second {
								time.Sleep(time.Second - into)
							}
							if l.pass(ctx) != nil {
								return
							}
							mu.Lock()
							left = append(left, time.Now())
							mu.Unlock()
						}
					})
				}
			}
			time.Sleep(30 * time.Second)
			cancel()
			workers.Wait()
			busiest, from := 0, 0
			for i, at := range left {
				for at.Sub(left[from]) >= time.Second {
					from++
				}
				busiest = max(busiest, i-from+1)
			}
			if float64(busiest) > max(perSecond, 2) { // a replica's turn that takes longer than a second may meet another's
				t.Errorf("%v a second: %d left within a second", perSecond, busiest)
			}
			if least := perSecond * 30 * 0.7; float64(len(left)) < least {
				t.Errorf("%v a second: %d left in 30 s, want %v at least", perSecond, len(left), least)
			}
		})
	}
}

// What cannot be sent within a second is left to the others.
func TestClaimsAreBoundedByTheRate(t *testing.T) {
	t.Parallel()
	part := 0.5
	for _, tt := range []struct {
		rate, part float64
		want       int
	}{{0, 0.5, 128}, {1, 0.25, 1}, {30, 0.5, 15}, {1000, 1, 128}, {30, 0, 0}} {
		part = tt.part
		if got := newLimiter(tt.rate, func() float64 { return part }, time.Now).most(128); got != tt.want {
			t.Errorf("rate %v, share %v: %d, want %d", tt.rate, tt.part, got, tt.want)
		}
	}
}

func TestRateOfAChannelHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(300)
		var went atomic.Int64
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			went.Add(1)
			return care.Receipt{}, nil
		}, func(c *Config) {
			c.Rates = map[care.Channel]float64{care.Email: 20}
			c.Share = func() float64 { return 0.5 }
		})
		time.Sleep(10 * time.Second)
		if got := went.Load(); got < 90 || got > 105 {
			t.Errorf("%d sent in 10 s at 20 a second shared by two", got)
		}
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
