package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"
)

const (
	handshakeLimit = 10 * time.Second
	// maxHead is how many bytes an answer may have before its body, interim answers included.
	maxHead = 64 << 10
)

// errSwitched is what becomes of a 101, whose body would be a connection.
var errSwitched = errors.New("the server changed to another protocol, which nobody asked for")

// proxyError is a proxy's no to CONNECT. The target has seen nothing.
type proxyError struct{ status int }

// Error implements error.
func (e *proxyError) Error() string {
	return "the proxy refused the connection with status " + strconv.Itoa(e.status)
}

// transport makes one try of a request with net/http and notes what became of it. It has no CloseIdleConnections: go-retryablehttp would
// call that after each failure and close every other sender's connections.
type transport struct {
	http  *http.Transport
	guard *Guard
	proxy func(*url.URL) (*url.URL, error)
}

// newTransport sets net/http up. HTTP/1.1 only: HTTP/2 shares one connection between requests, on which nobody can tell whether one of
// them was begun, and repeats some by itself.
func newTransport(cfg *Config) *transport {
	t := &transport{guard: cfg.Guard, proxy: httpproxy.FromEnvironment().ProxyFunc()}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	secure := cfg.TLS.Clone()
	secure.NextProtos = nil // RFC 7301: what is not offered cannot be chosen
	t.http = &http.Transport{
		Proxy:                  proxyOfCall,
		DialContext:            t.dial,
		TLSClientConfig:        secure,
		TLSHandshakeTimeout:    handshakeLimit,
		MaxIdleConnsPerHost:    cfg.Connections,
		IdleConnTimeout:        cfg.IdleTimeout,
		MaxResponseHeaderBytes: maxHead, // how long an answer may take is Do's to say
		DisableCompression:     true,    // an answer of 64 KiB stays one
		Protocols:              protocols,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return &proxyError{r.StatusCode}
			}
			return nil
		},
	}
	return t
}

// RoundTrip implements http.RoundTripper for requests of Do.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	state, ok := r.Context().Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("httpclient: a request without a call")
	}
	state.begin()
	proxy, err := t.proxy(r.URL)
	if err != nil {
		return nil, err
	}
	if state.proxy = proxy; proxy != nil {
		if err := t.guard.judge(r.Context(), r.URL.Hostname()); err != nil {
			return nil, err
		}
	}
	resp, err := t.http.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body.Close()
		err = errSwitched
		state.reached = true
	}
	if err != nil {
		state.reached = state.begun() || state.reached
		return nil, err
	}
	state.reached = true
	return resp, nil
}

// proxyOfCall is the proxy that RoundTrip found for a request, nil for none.
func proxyOfCall(r *http.Request) (*url.URL, error) {
	if state, ok := r.Context().Value(callKey{}).(*call); ok {
		return state.proxy, nil
	}
	return nil, errors.New("httpclient: a request without a call")
}

// dial makes a connection for a request, to its proxy or to its target. The proxy's address is the operator's: the guard has judged the
// target already. net/http shares a connection only between requests of the same target over the same proxy.
func (t *transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	state, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("httpclient: a connection without a call")
	}
	guard := t.guard
	if state.proxy != nil {
		guard = nil
	}
	raw, err := guard.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: raw}, nil
}

// conn is a connection that knows whether something was written, so that "nothing was sent" is known and not guessed.
type conn struct {
	net.Conn
	mu      sync.Mutex
	written int64
	writing bool
	sealed  bool
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.sealed {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	c.writing = true
	c.mu.Unlock()
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	c.written += int64(n)
	c.writing = false
	c.mu.Unlock()
	return n, err
}

// position is how much was written so far.
func (c *conn) position() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// seal ends writing and reports whether more than since was written, or may be just now: net/http may return from a cancelled request
// while its writer still waits for the processor.
func (c *conn) seal(since int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.writing || c.written > since
}

// call is what is known of one Do.
type call struct {
	trace   httptrace.ClientTrace
	proxy   *url.URL // of the current try, nil = none
	conn    *conn    // of the current try, nil = none yet
	start   int64    // written on it before
	tries   int
	reached bool // a try may have reached the receiver
	earlier bool // one before the current try may have
	repeat  bool
	prepare func(*http.Request) error
}

type callKey struct{}

// begin starts a try.
func (s *call) begin() {
	s.tries++
	s.earlier = s.reached
	s.conn, s.start = nil, 0
}

// got notes the connection of a try. What was written before is a proxy's CONNECT, TLS' handshake, and earlier requests. net/http may
// choose another connection within a try, but only if nothing was written on the one before (see unrepeated).
func (s *call) got(info httptrace.GotConnInfo) {
	under := info.Conn
	for {
		secure, ok := under.(*tls.Conn)
		if !ok {
			break
		}
		under = secure.NetConn()
	}
	if c, ok := under.(*conn); ok {
		s.conn, s.start = c, c.position()
	}
}

// begun reports whether something of the request that failed was written. Nothing more will be.
func (s *call) begun() bool { return s.conn != nil && s.conn.seal(s.start) }
