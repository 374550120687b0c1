package intake

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

func TestHashesAreASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		twice := rapid.IntRange(1, 100).Draw(rt, "how many of 100 are new")
		var s hashes
		want := map[uint64]struct{}{}
		var all []uint64
		for range rapid.IntRange(0, 50_000).Draw(rt, "n") {
			h := random.Uint64() | 1<<8
			if len(all) > 0 && random.IntN(100) >= twice {
				h = all[random.IntN(len(all))]
			}
			all = append(all, h)
			want[h] = struct{}{}
			s.add(h)
		}
		if s.n != len(want) {
			rt.Fatalf("counted %d of %d", s.n, len(want))
		}
	})
}

// TestSeenIsSmall holds the memory of a million customers with a vehicle each.
func TestSeenIsSmall(t *testing.T) { //nolint:paralleltest // it measures what the process holds
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := newSeen()
	random := rand.New(rand.NewPCG(1, 2))
	const n = 1_000_000
	for range n {
		s.customers.add(random.Uint64())
		s.vehicles.add(random.Uint64())
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := after.HeapAlloc - before.HeapAlloc; grown > 34<<20 {
		t.Errorf("%d MB for %d customers", grown>>20, n)
	}
	if s.customers.n != n || s.vehicles.n != n {
		t.Errorf("counted %d and %d", s.customers.n, s.vehicles.n)
	}
}
