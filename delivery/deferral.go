package delivery

import (
	"time"

	"github.com/carebell/carebell/care"
)

const (
	backFirst = 50 * time.Millisecond // the shortest wait of a message that has no place
	backStep  = 2 * time.Millisecond  // between two that come back, at the most: looking at them again stays a small part of the work
	backMost  = time.Minute           // the longest wait, unless more wait than come back in it
)

// deferrals say when messages that have no place now are looked at again: one after the other, not all at once. So the wait grows with
// what waits already, and looking in vain costs the others little.
type deferrals struct {
	quick, slow time.Time // when the last one is due that was deferred
}

// next returns the wait of one more message: first at the least, step after the one before it. What would wait longer than backMost
// comes in between the others, while they are not too many for that.
func (d *deferrals) next(now time.Time, first, step time.Duration) time.Duration {
	from := now.Add(max(first, backFirst))
	d.quick = care.Later(d.quick.Add(min(step, backStep)), from)
	if d.slow = care.Later(d.slow.Add(step), from); d.slow.After(from.Add(backMost)) {
		d.slow = from
	}
	return care.Later(d.quick, d.slow).Sub(now)
}
