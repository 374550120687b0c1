package channels

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/net/idna"
)

// handshakeLimit is how long a server may take for the TLS handshake.
const handshakeLimit = 10 * time.Second

// transport is an http.RoundTripper for HTTP/1.1 (RFC 9112). Each exchange runs on the goroutine of its caller: net/http's own hands every
// request to a goroutine that writes and one that reads, and waking them costs as much as the request itself.
//
// It knows no proxy, no HTTP/2, no compression and no redirect, sends bodies of a known length only, never repeats a request, and reads
// the answer only after the whole request was written, or could not be. So a body must fit into the buffers of a socket if its
// receiver is to answer before it has read all of it; ours have 64 KiB at most.
type transport struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error) // where the guard looks at the address
	tls  *tls.Config
	most int           // idle connections to each place
	keep time.Duration // how long they are kept
	now  func() time.Time

	mu     sync.Mutex
	idle   map[place][]*link // the one used last stands last
	timer  *time.Timer       // set while a connection is idle
	closed bool
}

// place is where a connection leads. Connections are shared by what has the same.
type place struct{ scheme, host string }

// address is what is dialled for a place: the host in ASCII, with a port.
func (p place) address() string {
	u := url.URL{Host: p.host}
	host, port := u.Hostname(), u.Port()
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[p.scheme]
	}
	return net.JoinHostPort(host, port)
}

// begunError is a failure after the first byte of the request was written: the receiver may have it.
type begunError struct{ error }

// Unwrap returns what went wrong.
func (e begunError) Unwrap() error { return e.error }

// begun reports whether something of a request was written before it failed.
func begun(err error) bool {
	_, ok := errors.AsType[begunError](err)
	return ok
}

// RoundTrip implements http.RoundTripper. An error is a begunError if anything was written.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	to := place{r.URL.Scheme, r.URL.Host}
	l := t.take(to)
	if l == nil {
		var err error
		if l, err = t.connect(ctx, to); err != nil {
			return nil, err
		}
	}
	// At the deadline and at a cancel the connection is closed under whoever reads or writes.
	stop := context.AfterFunc(ctx, l.cut)
	resp, whole, err := l.exchange(r)
	if err != nil {
		stop()
		l.abandon()
		if over := ctx.Err(); over != nil {
			err = over
		}
		if l.wire.wrote {
			err = begunError{err}
		}
		return nil, err
	}
	keep := whole && !resp.Close && resp.StatusCode >= 200
	if resp.Body == http.NoBody {
		l.done(stop, keep)
	} else {
		resp.Body = &answerBody{src: resp.Body, ctx: ctx, link: l, stop: stop, keep: keep}
	}
	return resp, nil
}

// connect makes a connection. The caller's goroutine does it: nobody else could take over what comes of it any sooner.
func (t *transport) connect(ctx context.Context, to place) (*link, error) {
	address := to.address()
	conn, err := t.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn}
	if to.scheme != "https" {
		return newLink(t, to, w, w), nil
	}
	cfg := t.tls.Clone()
	cfg.NextProtos = nil // RFC 7301: what is not offered cannot be chosen
	if cfg.ServerName == "" {
		if cfg.ServerName, _, err = net.SplitHostPort(address); err != nil {
			w.Close()
			return nil, err
		}
	}
	secure := tls.Client(w, cfg)
	limited, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	if err := secure.HandshakeContext(limited); err != nil {
		w.Close()
		return nil, err
	}
	return newLink(t, to, w, secure), nil
}

// take returns the idle connection that was used last, if it still stands, ready for an exchange; nil = there is none.
func (t *transport) take(to place) *link {
	for {
		l := t.pop(to)
		if l == nil || l.stands() {
			return l
		}
		l.abandon()
	}
}

// pop takes the connection that was used last out of the pool.
func (t *transport) pop(to place) *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := t.idle[to]
	n := len(idle) - 1
	if n < 0 || t.now().Sub(idle[n].since) >= t.keep {
		return nil // the sweep closes what has been idle for too long
	}
	l := idle[n]
	idle[n] = nil
	t.idle[to] = idle[:n]
	return l
}

// put keeps a connection for the next exchange. One that is too much is closed.
func (t *transport) put(l *link) {
	t.mu.Lock()
	if idle := t.idle[l.to]; !t.closed && len(idle) < t.most {
		l.since = t.now()
		t.idle[l.to] = append(idle, l)
		if t.timer == nil {
			t.timer = time.AfterFunc(t.keep, t.sweep)
		}
		l = nil
	}
	t.mu.Unlock()
	if l != nil {
		l.close()
	}
}

// sweep closes the connections that have been idle for too long. One timer does for all of them: the time of each changes with every
// request.
func (t *transport) sweep() {
	t.mu.Lock()
	var over []*link
	next, now := time.Duration(-1), t.now()
	for to, idle := range t.idle {
		n := 0
		for n < len(idle) && now.Sub(idle[n].since) >= t.keep {
			n++
		}
		over = append(over, idle[:n]...)
		if n == len(idle) {
			delete(t.idle, to) // or what is remembered of places would grow with each new one
			continue
		}
		t.idle[to] = append([]*link(nil), idle[n:]...)
		if left := t.keep - now.Sub(idle[n].since); next < 0 || left < next {
			next = left
		}
	}
	if next < 0 || t.closed {
		t.timer = nil
	} else {
		t.timer.Reset(max(next, time.Millisecond)) // a clock that is set by hand may stand still just before
	}
	t.mu.Unlock()
	for _, l := range over {
		l.close()
	}
}

// newTransport returns the transport of a client. What it is not told is set already.
func newTransport(cfg *ClientConfig) *transport {
	return &transport{
		dial: cfg.Guard.dial, tls: cfg.TLS, most: cfg.Connections, keep: cfg.IdleTimeout, now: cfg.Now, idle: map[place][]*link{},
	}
}

// close closes the idle connections, and each other one when its exchange is over. It is not called CloseIdleConnections:
// go-retryablehttp would call that after a failure and close every other sender's connections.
func (t *transport) close() {
	t.mu.Lock()
	idle := t.idle
	t.idle, t.closed = map[place][]*link{}, true
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.mu.Unlock()
	for _, links := range idle {
		for _, l := range links {
			l.close()
		}
	}
}
