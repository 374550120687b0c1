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
		p := newPace(100, func() float64 { return math.Float64frombits(share.Load()) })
		ctx, cancel := context.WithCancel(t.Context())
		var went atomic.Int64
		var workers sync.WaitGroup
		for range 16 {
			workers.Go(func() {
				for p.wait(ctx) == nil {
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
		within(10*time.Second, 980, 1010)
		set(0.25)
		within(10*time.Second, 245, 255)
		set(0)
		within(10*time.Second, 0, 1) // the one that was waiting
		set(0.5)
		within(10*time.Second, 490, 510)
		cancel()
		workers.Wait()
	})
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
		if got := newPace(tt.rate, func() float64 { return part }).most(128); got != tt.want {
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
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
	})
}
