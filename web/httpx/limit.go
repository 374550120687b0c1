package httpx

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ClientOf returns who asks: the address of the connection or, behind trusted proxies, the last address of X-Forwarded-For that is
// not one of theirs. What a stranger writes into that header is never believed. IPv6 customers own a /64, so it counts as one.
func ClientOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(addr, trusted); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = next
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

func within(a netip.Addr, nets []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	for _, n := range nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// Limiter bounds how often a client may do something. It remembers a bounded number of clients; who was not seen for longest is
// forgotten first.
type Limiter struct {
	mu     sync.Mutex
	every  rate.Limit
	burst  int
	size   int
	now    func() time.Time
	byAddr map[netip.Addr]*list.Element
	recent *list.List // *seen, the latest first
}

type seen struct {
	addr   netip.Addr
	bucket *rate.Limiter
}

const clientsKept = 10_000

// NewLimiter returns a limiter of every events a second for each client, after a first burst.
func NewLimiter(every rate.Limit, burst int, now func() time.Time) *Limiter {
	return &Limiter{every: every, burst: burst, size: clientsKept, now: now, byAddr: map[netip.Addr]*list.Element{}, recent: list.New()}
}

func (l *Limiter) bucket(a netip.Addr) *rate.Limiter {
	if e, ok := l.byAddr[a]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*seen).bucket
	}
	for len(l.byAddr) >= l.size {
		last := l.recent.Back()
		delete(l.byAddr, last.Value.(*seen).addr)
		l.recent.Remove(last)
	}
	s := &seen{addr: a, bucket: rate.NewLimiter(l.every, l.burst)}
	l.byAddr[a] = l.recent.PushFront(s)
	return s.bucket
}

// Take counts one and reports whether it was within the limit.
func (l *Limiter) Take(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket(a).AllowN(l.now(), 1)
}

// Spent reports whether the client has used its limit up, without counting.
func (l *Limiter) Spent(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.byAddr[a]; !known {
		return false
	}
	return l.bucket(a).TokensAt(l.now()) < 1
}

// Guesses slows down who tries links or secrets: only one that is wrong counts, because a mail provider opts out thousands of its
// customers from one address.
type Guesses struct {
	limit   *Limiter
	proxies []netip.Prefix // whose X-Forwarded-For is believed
}

// Guesses per second and client, after a first burst.
const guessesPerSecond, guessesBurst = 0.5, 20

// NewGuesses returns the bound on guesses of a public listener.
func NewGuesses(proxies []netip.Prefix, now func() time.Time) *Guesses {
	return &Guesses{limit: NewLimiter(guessesPerSecond, guessesBurst, now), proxies: proxies}
}

// Wrong counts a wrong link or secret, and answers: as otherwise does, or with 429 after too many.
func (g *Guesses) Wrong(w http.ResponseWriter, r *http.Request, otherwise func()) {
	if !g.limit.Take(ClientOf(r, g.proxies)) {
		TooMany(w)
		return
	}
	otherwise()
}
