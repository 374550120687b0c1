package daemon

import (
	"context"
	"os"
	"runtime/debug"
	gometrics "runtime/metrics"
	"time"
)

// How the daemon's garbage is collected. What a message leaves behind is much more than what stays, so that a collector at Go's own
// setting works for a fifth of the processor time; at this one for a twentieth, while the process stays at some 80 MB. A limit 12 MB
// lower costs a mail 2 µs more, one 20 MB lower 10 µs.
const (
	collectPercent = 400
	softLimit      = 56 << 20 // all that Go takes from the system, in bytes; the binary's own pages (28 MB) come on top
	softLimitEvery = 10 * time.Second
)

// TuneCollector sets the collector up until ctx ends. An operator who sets GOGC or GOMEMLIMIT knows better.
func TuneCollector(ctx context.Context) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if os.Getenv(name) != "" {
			return
		}
	}
	debug.SetGCPercent(collectPercent)
	debug.SetMemoryLimit(softLimit)
	go func() {
		tick := time.NewTicker(softLimitEvery)
		defer tick.Stop()
		live := []gometrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			gometrics.Read(live)
			debug.SetMemoryLimit(limitFor(int64(live[0].Value.Uint64())))
		}
	}()
}

// limitFor returns the limit for so many bytes that are in use: a book of thousands of dealers must not make the collector run all the
// time. It then has as much room as Go would give it by itself.
func limitFor(live int64) int64 { return max(softLimit, 2*live+softLimit/4) }
