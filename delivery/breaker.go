package delivery

import (
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// A breaker holds back what would go through a gateway that answers nothing but passing faults, or that asked for a pause: the messages keep their places
// and their attempts instead of burning them. After a pause a few go as a probe; an answer closes it.
type breaker struct {
	mu    sync.Mutex
	fails int
	until time.Time
	pause time.Duration
	asked int       // how often in a row the gateway itself asked for a pause
	rests time.Time // until when it gets one
	open  bool      // as record said last
}

const (
	breakAfter = 20
	breakFirst = 2 * time.Second
	breakMost  = time.Minute
	probes     = 4
)

// allows returns how many messages may go now: 0 while it is open, a few as a probe. out is how many are being sent.
func (b *breaker) allows(now time.Time, most, out int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case now.Before(b.rests):
		return 0
	case b.fails < breakAfter:
		return most
	case now.Before(b.until):
		return 0
	default:
		return min(max(probes-out, 0), most)
	}
}

// closedFor returns how long nothing may go, 0 when something may.
func (b *breaker) closedFor(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait := b.rests.Sub(now)
	if b.fails >= breakAfter {
		wait = max(wait, b.until.Sub(now))
	}
	return max(wait, 0)
}

// rest holds everything back for a while: the account has sent enough for now.
func (b *breaker) rest(now time.Time, pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rests = care.Later(b.rests, now.Add(pause))
}

// record takes the kind of an attempt's answer and the pause that it asked for (Retry-After; 0 = none). Whatever a provider says about one
// message shows that the provider is there.
//
// Who asks for a pause once may mean that one message, which waits for as long as it was told to. A gateway that asks twice in a row
// gets one, of a minute at the most, whatever it said. record reports whether the gateway is in trouble now, and whether that is new.
func (b *breaker) record(now time.Time, kind care.Kind, pause time.Duration) (open, changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() {
		open = b.fails >= breakAfter || now.Before(b.rests)
		changed, b.open = open != b.open, open
	}()
	if kind != care.KindRetry || pause <= 0 {
		b.asked = 0
	} else if b.asked++; b.asked >= 2 {
		b.rests = care.Later(b.rests, now.Add(min(pause, breakMost)))
	}
	if kind != care.KindRetry && kind != care.KindUncertain {
		b.fails, b.pause = 0, 0
		return open, changed
	}
	b.fails++
	if b.fails >= breakAfter && !now.Before(b.until) {
		b.pause = min(max(2*b.pause, breakFirst), breakMost)
		b.until = now.Add(b.pause)
	}
	return open, changed
}
