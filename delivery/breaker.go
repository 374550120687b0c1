package delivery

import (
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// breaker stops claiming for a channel whose provider answers nothing but passing faults: its messages keep their places and
// their attempts instead of burning them. After a pause a few go as a probe; an answer closes it.
type breaker struct {
	mu    sync.Mutex
	fails int
	until time.Time
	pause time.Duration
}

const (
	breakAfter = 20
	breakFirst = 2 * time.Second
	breakMost  = time.Minute
	probes     = 4
)

// allows returns how many messages may be claimed now: 0 while it is open, a few as a probe.
func (b *breaker) allows(now time.Time, most int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.fails < breakAfter:
		return most
	case now.Before(b.until):
		return 0
	default:
		return min(probes, most)
	}
}

// record takes the kind of an attempt's answer. Whatever a provider says about one message shows that the provider is there.
func (b *breaker) record(now time.Time, kind care.Kind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if kind != care.KindRetry && kind != care.KindUncertain {
		b.fails, b.pause = 0, 0
		return
	}
	b.fails++
	if b.fails >= breakAfter && !now.Before(b.until) {
		b.pause = min(max(2*b.pause, breakFirst), breakMost)
		b.until = now.Add(b.pause)
	}
}
