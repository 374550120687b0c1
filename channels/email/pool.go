package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/carebell/carebell/channels"
)

// upstream is one server with its connections.
type upstream struct {
	Server
	client  *mail.Client
	slots   chan struct{} // one per connection that may be in use
	idleFor time.Duration
	rest    channels.Rest // after it could not be reached
	tls     *tls.Config

	mu     sync.Mutex
	idle   []*link // the last used is taken first, so that few stay warm when there is little to do
	closed bool
}

// link is one connection, greeted and authenticated.
type link struct {
	client     *smtp.Client
	wire       *wire
	timer      *time.Timer // closes it when it is idle for too long
	pipelining bool        // the server takes several commands at a time (RFC 2920)
}

func newUpstream(srv Server, cfg *Config) (*upstream, error) {
	if srv.Name == "" {
		srv.Name = srv.Address()
	}
	if srv.Connections <= 0 {
		srv.Connections = cfg.Connections
	}
	up := &upstream{Server: srv, slots: make(chan struct{}, srv.Connections), idleFor: cfg.IdleTimeout}
	up.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TLS != nil {
		up.tls = cfg.TLS.Clone()
	}
	if up.tls.ServerName == "" {
		up.tls.ServerName = srv.Host
	}
	policy := srv.StartTLS
	if srv.Implicit {
		policy = mail.TLSOpportunistic // go-mail then sees that the connection is encrypted already
	}
	options := []mail.Option{
		mail.WithPort(srv.Port), mail.WithTimeout(cfg.Timeout), mail.WithTLSPolicy(policy), mail.WithTLSConfig(up.tls),
		mail.WithDialContextFunc(up.connect),
		// A message needs MAIL, RCPT and DATA. NOOP before and RSET after it only cost time, and a RSET that fails after the
		// server's yes looks like a failed message.
		mail.WithoutNoop(), mail.WithoutRset(),
	}
	if cfg.HELO != "" {
		options = append(options, mail.WithHELO(cfg.HELO))
	}
	if srv.User != "" {
		auth := mail.SMTPAuthAutoDiscover
		if srv.StartTLS == mail.NoTLS && !srv.Implicit && loopback(srv.Host) {
			auth = mail.SMTPAuthPlainNoEnc // the password does not leave the machine
		}
		options = append(options, mail.WithSMTPAuth(auth), mail.WithUsername(srv.User), mail.WithPassword(srv.Password))
	}
	client, err := mail.NewClient(srv.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("email: server %s: the settings cannot be used: %w", srv.Address(), err)
	}
	up.client = client
	return up, nil
}

type wireKey struct{}

// dialling carries the caller's own context to connect, and the connection back. go-mail's context ends with the dial.
type dialling struct {
	ctx  context.Context // lives as long as the dial
	made *wire
}

// connect dials for go-mail. It hands the connection back through the context, because go-mail does not close it when the
// greeting or the log-in fails.
func (up *upstream) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	raw, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: raw}
	if d, ok := ctx.Value(wireKey{}).(*dialling); ok {
		d.made = w
		// go-mail's context ends the dialling, but not the greeting and the log-in.
		w.release = w.bind(d.ctx)
	}
	if !up.Implicit {
		return w, nil
	}
	secure := tls.Client(w, up.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return secure, nil
}

// dial opens a new connection.
func (up *upstream) dial(ctx context.Context) (*link, error) {
	d := &dialling{ctx: ctx}
	client, err := up.client.DialToSMTPClientWithContext(context.WithValue(ctx, wireKey{}, d))
	if d.made != nil {
		d.made.release()
	}
	if err != nil {
		if d.made != nil {
			d.made.Close()
		}
		return nil, err
	}
	l := &link{client: client, wire: d.made}
	l.pipelining, _ = client.Extension("PIPELINING")
	return l, nil
}

var errClosed = errors.New("the sender is closed")

// take returns an idle connection, or nil if there is none.
func (up *upstream) take() (*link, error) {
	up.mu.Lock()
	defer up.mu.Unlock()
	if up.closed {
		return nil, errClosed
	}
	for n := len(up.idle); n > 0; n = len(up.idle) {
		l := up.idle[n-1]
		up.idle = up.idle[:n-1]
		if l.timer.Stop() { // else it is being closed just now
			return l, nil
		}
	}
	return nil, nil
}

// put keeps a connection for the next message.
func (up *upstream) put(l *link) {
	up.mu.Lock()
	if !up.closed {
		if l.timer == nil {
			l.timer = time.AfterFunc(up.idleFor, func() { up.expire(l) })
		} else {
			l.timer.Reset(up.idleFor) // take has stopped it
		}
		up.idle = append(up.idle, l)
		up.mu.Unlock()
		return
	}
	up.mu.Unlock()
	l.quit()
}

func (up *upstream) expire(l *link) {
	up.mu.Lock()
	for i, other := range up.idle {
		if other == l {
			up.idle = append(up.idle[:i], up.idle[i+1:]...)
			break
		}
	}
	up.mu.Unlock()
	l.quit()
}

func (up *upstream) close() {
	up.mu.Lock()
	idle := up.idle
	up.idle, up.closed = nil, true
	up.mu.Unlock()
	var wg sync.WaitGroup
	for _, l := range idle {
		if l.timer.Stop() {
			wg.Go(l.quit)
		}
	}
	wg.Wait()
}

// quit says goodbye, for at most two seconds, and closes.
func (l *link) quit() {
	if l.client.UpdateDeadline(2*time.Second) == nil {
		_ = l.client.Quit()
	}
	l.wire.Close()
}

// wire is a connection that a context can end and that remembers how it failed.
type wire struct {
	net.Conn
	broke   atomic.Bool
	late    atomic.Bool // a deadline passed
	heard   atomic.Int64
	release func() // ends the dial's hold on the connection

	mu    sync.Mutex
	limit time.Time // no deadline may be later
}

// maxHeard is how much a server may say for one message, in bytes. A dialogue is a few hundred; an answer without end would be kept
// in memory until the deadline.
const maxHeard = 256 << 10

var errBabble = errors.New("the server does not stop talking")

// past is a deadline that ends every read and write.
var past = time.Unix(1, 0)

// bind ends reads and writes with the context, until the returned function is called.
func (w *wire) bind(ctx context.Context) (release func()) {
	released := false
	w.heard.Store(0)
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
func (w *wire) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.limit.IsZero() && w.limit.Before(t) {
		t = w.limit
	}
	return w.Conn.SetDeadline(t)
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.broke.Store(true)
		w.note(err)
	}
	return n, err
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.note(err)
	if w.heard.Add(int64(n)) > maxHeard {
		return 0, errBabble
	}
	return n, err
}

func (w *wire) note(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.late.Store(true)
	}
}
