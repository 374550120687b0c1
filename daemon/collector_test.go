package daemon

import (
	"math"
	"runtime/debug"
	"testing"
)

// TestTuneCollector changes a setting of the whole process: not parallel.
func TestTuneCollector(t *testing.T) {
	before, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	defer func() {
		debug.SetGCPercent(before)
		debug.SetMemoryLimit(limit)
	}()
	for name, tt := range map[string]struct {
		gogc, limit string
		percent     int
		most        int64
	}{
		"by itself":           {"", "", collectPercent, softLimit},
		"the operator's GOGC": {"50", "", 100, math.MaxInt64},
		"and GOMEMLIMIT":      {"", "1GiB", 100, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			debug.SetGCPercent(100)
			debug.SetMemoryLimit(math.MaxInt64)
			t.Setenv("GOGC", tt.gogc)
			t.Setenv("GOMEMLIMIT", tt.limit)
			TuneCollector(t.Context())
			if got := debug.SetGCPercent(100); got != tt.percent {
				t.Errorf("GOGC %d, want %d", got, tt.percent)
			}
			if got := debug.SetMemoryLimit(-1); got != tt.most {
				t.Errorf("limit %d, want %d", got, tt.most)
			}
		})
	}
}

func TestLimitGrowsWithWhatIsInUse(t *testing.T) {
	t.Parallel()
	for live, want := range map[int64]int64{0: softLimit, 20 << 20: softLimit, 33 << 20: 80 << 20, 100 << 20: 214 << 20, 1 << 30: 2062 << 20} {
		if got := limitFor(live); got != want {
			t.Errorf("%d MB in use: limit %d MB, want %d", live>>20, got>>20, want>>20)
		}
	}
}
