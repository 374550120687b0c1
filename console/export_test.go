package console

import (
	"net/netip"
	"time"
)

// Routes lists the patterns of both listeners, so that a test can walk over all of them.
func (p *Public) Routes() []string { return patterns(p.routes()) }

// Routes lists the patterns of the pages of our own and of the API.
func (p *Private) Routes() []string { return patterns(p.routes()) }

func patterns(routes []route) []string {
	var out []string
	for _, r := range routes {
		out = append(out, r.pattern)
	}
	return out
}

// Clean, ReadKM and Complains are the pure parts that the tests try with anything.
var (
	Clean     = clean
	ReadKM    = readKM
	Complains = complaintWords.in
)

// Limiter is a limiter that the tests can count.
type Limiter struct{ *limiter }

// NewLimiter returns one that remembers few clients.
func NewLimiter(size int, now func() time.Time) Limiter {
	l := newLimiter(1, 1, now)
	l.size = size
	return Limiter{l}
}

// Take counts one.
func (l Limiter) Take(a netip.Addr) bool { return l.take(a) }

// Len is how many clients are remembered.
func (l Limiter) Len() int { return max(len(l.byAddr), l.recent.Len()) }
