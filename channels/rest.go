package channels

import (
	"sync/atomic"
	"time"
)

// restFor is how long a server that could not be used goes last.
const restFor = 30 * time.Second

// Rest makes one of several servers of a sender go last for a while after it could not be used, so that not every message waits for a
// dead one before its stand-in sends it. The zero value is a server that never failed.
//
// It is no circuit breaker: it refuses nothing, and a server that rests is still asked when no other is left. Delivery's breaker cannot do
// this. It sees what became of a message, and where a stand-in sent it, that is a yes, whoever failed before.
type Rest struct{ until atomic.Int64 }

// Begin notes a failure.
func (r *Rest) Begin(now time.Time) { r.until.Store(now.Add(restFor).UnixNano()) }

// Lasts reports whether the server failed a short while ago.
func (r *Rest) Lasts(now time.Time) bool { return r.until.Load() > now.UnixNano() }

// RestingLast returns servers in their order, those that rest behind the others.
func RestingLast[S any](servers []S, rest func(S) *Rest, now time.Time) []S {
	out := make([]S, 0, len(servers))
	var resting []S
	for _, s := range servers {
		if rest(s).Lasts(now) {
			resting = append(resting, s)
			continue
		}
		out = append(out, s)
	}
	return append(out, resting...)
}
