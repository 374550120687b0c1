package email

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/carebell/carebell/channels"
)

// upstream is one server with its connections.
type upstream struct {
	Server
	helo    string
	slots   chan struct{} // one per connection that may be in use
	waiting atomic.Int64  // connections that wait so long for an answer that they have no place there
	timeout time.Duration // of each answer; 0 = the RFC's
	idleFor time.Duration
	rest    channels.Rest // after it could not be reached
	tls     *tls.Config
	tokens  *Tokens                // for who logs in without a password
	method  atomic.Pointer[string] // of logging in, which the server took last

	mu     sync.Mutex
	idle   []*connection // the last used goes first, so that few stay warm when there is little to do
	closed bool
}

// connection is one connection, greeted and authenticated.
type connection struct {
	client     *smtp.Client
	conn       *boundConn
	timer      *time.Timer // closes it when it is idle for too long
	pipelining bool        // the server takes several commands at a time (RFC 2920)
	timeout    time.Duration
}

func newUpstream(srv Server, cfg *Config) (*upstream, error) {
	if srv.Name == "" {
		srv.Name = srv.Address()
	}
	if srv.Connections <= 0 {
		srv.Connections = cfg.Connections
	}
	up := &upstream{
		Server: srv, helo: cfg.HELO, slots: make(chan struct{}, srv.Connections), timeout: cfg.Timeout, idleFor: cfg.IdleTimeout,
	}
	up.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TLS != nil {
		up.tls = cfg.TLS.Clone()
	}
	if up.tls.ServerName == "" {
		up.tls.ServerName = cmp.Or(srv.Host, "localhost")
	}
	var err error
	if up.tls.RootCAs, err = Roots(srv.CA, up.tls.RootCAs); err != nil {
		return nil, fmt.Errorf("email: server %s: %w", srv.Address(), err)
	}
	up.tls.InsecureSkipVerify = up.tls.InsecureSkipVerify || srv.Unverified
	if srv.User != "" && srv.Password == "" {
		if up.tokens = cfg.Tokens; up.tokens == nil {
			return nil, fmt.Errorf("email: server %s: its URL has a user and no password: add one, or set CARE_SMTP_TOKEN_URL or CARE_SMTP_TOKEN_COMMAND", srv.Address())
		}
	}
	return up, nil
}

var errClosed = errors.New("the sender is closed")

// idleConnection returns an idle connection, or nil if there is none.
func (up *upstream) idleConnection() (*connection, error) {
	up.mu.Lock()
	defer up.mu.Unlock()
	if up.closed {
		return nil, errClosed
	}
	for n := len(up.idle); n > 0; n = len(up.idle) {
		c := up.idle[n-1]
		up.idle = up.idle[:n-1]
		if c.timer.Stop() { // else it is being closed just now
			return c, nil
		}
	}
	return nil, nil
}

// keep keeps a connection for the next message.
func (up *upstream) keep(c *connection) {
	up.mu.Lock()
	if !up.closed {
		if c.timer == nil {
			c.timer = time.AfterFunc(up.idleFor, func() { up.expire(c) })
		} else {
			c.timer.Reset(up.idleFor) // idleConnection has stopped it
		}
		up.idle = append(up.idle, c)
		up.mu.Unlock()
		return
	}
	up.mu.Unlock()
	c.quit()
}

func (up *upstream) expire(c *connection) {
	up.mu.Lock()
	for i, other := range up.idle {
		if other == c {
			up.idle = append(up.idle[:i], up.idle[i+1:]...)
			break
		}
	}
	up.mu.Unlock()
	c.quit()
}

func (up *upstream) close() {
	up.mu.Lock()
	idle := up.idle
	up.idle, up.closed = nil, true
	up.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range idle {
		if c.timer.Stop() {
			wg.Go(c.quit)
		}
	}
	wg.Wait()
}

// quit says goodbye, for at most two seconds, and closes.
func (c *connection) quit() {
	if c.client.UpdateDeadline(2*time.Second) == nil {
		_ = c.client.Quit()
	}
	c.conn.Close()
}

// boundConn is a connection that a context can end and that remembers how it failed.
type boundConn struct {
	net.Conn
	writeFailed atomic.Bool
	timedOut    atomic.Bool // a deadline passed
	received    atomic.Int64

	mu    sync.Mutex
	limit time.Time // no deadline may be later
}

// maxReceived is how much a server may say for one message, in bytes. A dialogue is a few hundred; an answer without end would be kept
// in memory until the deadline.
const maxReceived = 256 << 10

var errEndless = errors.New("the server does not stop talking")

// past is a deadline that ends every read and write.
var past = time.Unix(1, 0)

// bind ends reads and writes with the context, until the returned function is called.
func (w *boundConn) bind(ctx context.Context) (release func()) {
	released := false
	w.received.Store(0)
	limit := func(t time.Time) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !released {
			w.limit = t
			_ = w.Conn.SetDeadline(t)
		}
	}
	if deadline, ok := ctx.Deadline(); ok {
		limit(deadline)
	}
	stop := context.AfterFunc(ctx, func() { limit(past) })
	return func() {
		stop()
		w.mu.Lock()
		defer w.mu.Unlock()
		released, w.limit = true, time.Time{}
	}
}

// SetDeadline implements net.Conn.
func (w *boundConn) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.limit.IsZero() && w.limit.Before(t) {
		t = w.limit
	}
	return w.Conn.SetDeadline(t)
}

// Write implements net.Conn.
func (w *boundConn) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.writeFailed.Store(true)
		w.note(err)
	}
	return n, err
}

// Read implements net.Conn.
func (w *boundConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.note(err)
	if w.received.Add(int64(n)) > maxReceived {
		return 0, errEndless
	}
	return n, err
}

func (w *boundConn) note(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.timedOut.Store(true)
	}
}
