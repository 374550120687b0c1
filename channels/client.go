package channels

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/carebell/carebell/care"
)

// MaxAnswer is how much of an answer's body is read, in bytes. Every provider's answer fits into a fraction of it.
const MaxAnswer = 64 << 10

// ClientConfig says how a Client connects. The zero value works.
type ClientConfig struct {
	Connections int           // kept open per host; 0 = 32. At least as many as there are senders, or each burst dials anew
	Timeout     time.Duration // for one call with its repeats, to the end of the answer; 0 = 30 s
	// IdleTimeout is how long an unused connection is kept, 0 = 4 s. A request that may not be repeated must not meet a
	// connection that the server is just closing (Node and Apache do after 5 s): its outcome would be unknown.
	IdleTimeout time.Duration
	Guard       *Guard      // nil: any address may be dialled
	TLS         *tls.Config // nil: the system's roots, TLS 1.2 and up
}

// Client sends requests over kept connections, through go-retryablehttp. It follows no redirect, uses no proxy of the environment
// and asks for no compression. HTTP/1.1 only: on a connection of its own it is known exactly whether a request was begun.
type Client struct {
	retry     *retryablehttp.Client
	transport *http.Transport
	timeout   time.Duration
}

// NewClient returns a client. Close it when it is no longer used.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Connections <= 0 {
		cfg.Connections = 32
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = 4 * time.Second
	}
	if cfg.TLS == nil {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t := &http.Transport{
		DialContext:            cfg.Guard.dial,
		TLSClientConfig:        cfg.TLS,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           0,
		MaxIdleConnsPerHost:    cfg.Connections,
		IdleConnTimeout:        cfg.IdleTimeout,
		ResponseHeaderTimeout:  cfg.Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // an answer of 64 KiB stays one
	}
	c := &Client{transport: t, timeout: cfg.Timeout}
	c.retry = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     tripper{t},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Logger:       nil,
		RetryMax:     2,
		RetryWaitMin: 50 * time.Millisecond,
		RetryWaitMax: 200 * time.Millisecond,
		CheckRetry:   checkRetry,
		Backoff:      retryablehttp.LinearJitterBackoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		PrepareRetry: func(r *http.Request) error { return prepare(r) },
	}
	return c
}

// Close closes the connections that are not in use.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// Request is one request.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	// Repeat says that the receiver recognises a repeat (it carries an id that is checked), so that a broken connection may be
	// answered by another try even if the first may have arrived. Without it only a request of which nothing was sent is repeated.
	Repeat bool
	// Prepare is called before each try with the request that will be sent, to sign it.
	Prepare func(*http.Request) error
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // at most MaxAnswer
	Cut    bool   // the body was longer, or broke off
	Tries  int    // requests made; 0 = one
	// Reached says that a try before the one that was answered may have been taken.
	Reached bool
}

// call is what is known of one Do.
type call struct {
	tries   int
	conn    *countingConn // the connection of the current try
	start   int64         // bytes written on it before
	reached bool          // a try may have reached the receiver
	earlier bool          // one before the current try may have
	repeat  bool
	prepare func(*http.Request) error
}

type callKey struct{}

// Do sends a request, at most three times, and reads the answer. An error is a *care.Error: KindRetry if nothing reached the
// receiver, KindUncertain if something may have, KindContent if the guard refused the address or the URL is none.
func (c *Client) Do(ctx context.Context, r *Request) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	state := &call{repeat: r.Repeat, prepare: r.Prepare}
	var body any
	if len(r.Body) > 0 {
		body = r.Body
	}
	req, err := retryablehttp.NewRequestWithContext(context.WithValue(ctx, callKey{}, state), r.Method, r.URL, body)
	if err != nil || req.URL.Host == "" || (req.URL.Scheme != "http" && req.URL.Scheme != "https") {
		return nil, &care.Error{Kind: care.KindContent, Code: "bad_url", Err: errors.New("the URL cannot be requested")}
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
		if h := req.Header.Get("Host"); h != "" {
			req.Host = h
		}
	}
	if err = prepare(req.Request); err == nil {
		err = printable(req.Header)
	}
	if err != nil {
		return nil, &care.Error{Kind: care.KindContent, Code: "bad_request", Err: err}
	}
	resp, err := c.retry.Do(req)
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, state.failure(ctx, err)
	}
	return readAnswer(resp, state), nil
}

// printable refuses what net/http would refuse too, but as if the connection had failed.
func printable(h http.Header) error {
	for _, values := range h {
		for _, v := range values {
			for i := range len(v) {
				if c := v[i]; (c < ' ' && c != '\t') || c == 0x7f {
					return errors.New("a header has a control character")
				}
			}
		}
	}
	return nil
}

func prepare(r *http.Request) error {
	if state, ok := r.Context().Value(callKey{}).(*call); ok && state.prepare != nil {
		return state.prepare(r)
	}
	return nil
}

func readAnswer(resp *http.Response, state *call) *Answer {
	defer resp.Body.Close()
	a := &Answer{Status: resp.StatusCode, Header: resp.Header, Tries: several(state.tries), Reached: state.earlier}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if len(body) > MaxAnswer {
		a.Cut, body = true, body[:MaxAnswer]
		// A little more is read so that the connection can be used again; an endless answer costs the connection.
		_, _ = io.CopyN(io.Discard, resp.Body, MaxAnswer)
	}
	a.Cut = a.Cut || err != nil
	a.Body = body
	return a
}

// several is how tries are reported: nothing is said of a single one.
func several(tries int) int {
	if tries == 1 {
		return 0
	}
	return tries
}

// failure classes a request without an answer.
func (s *call) failure(ctx context.Context, err error) *care.Error {
	e := &care.Error{Kind: care.KindRetry, Code: "connect", Tries: several(s.tries), Reached: s.earlier, Err: Cause(err)}
	switch {
	case errors.Is(err, errBlocked):
		e.Kind, e.Code = care.KindContent, "blocked_address"
		return e
	case errors.Is(err, context.Canceled):
		e.Code = "canceled"
	case isTimeout(err) || ctx.Err() != nil:
		e.Code = "timeout"
	case s.reached:
		e.Code = "broken"
	case isTLS(err):
		e.Code = "tls"
	}
	if s.reached {
		e.Kind = care.KindUncertain
	}
	return e
}

// checkRetry repeats at once only what is harmless, and never an answer: what a provider said is for delivery to act on.
func checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, errBlocked) || isTimeout(err) {
		return false, nil
	}
	state, ok := ctx.Value(callKey{}).(*call)
	return ok && (!state.reached || state.repeat), nil
}

// tripper makes one try and notes what became of it. It hides the transport's CloseIdleConnections from go-retryablehttp, which
// would close every other sender's connections after each failure.
type tripper struct{ transport *http.Transport }

// RoundTrip implements http.RoundTripper.
func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) {
	state, ok := r.Context().Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("channels: request without a call")
	}
	state.tries++
	state.earlier, state.conn = state.reached, nil
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn := info.Conn
		if secure, ok := conn.(*tls.Conn); ok {
			conn = secure.NetConn()
		}
		if counted, ok := conn.(*countingConn); ok {
			state.conn, state.start = counted, counted.written.Load()
		}
	}}
	once := r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
	// net/http repeats a request on its own if it can have the body again, and any GET without one: a GET to an SMS gateway
	// would send the message twice, unseen. Without GetBody it does not.
	once.GetBody = nil
	if once.Body == nil || once.Body == http.NoBody {
		once.Body = io.NopCloser(bytes.NewReader(nil))
	}
	resp, err := t.transport.RoundTrip(once)
	// After a cancel the transport may still be writing, so that the count proves nothing.
	if state.conn != nil && (err == nil || r.Context().Err() != nil || state.conn.written.Load() > state.start) {
		state.reached = true
	}
	return resp, err
}

// countingConn counts what is written, so that "nothing was sent" is known and not guessed.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

// Write implements net.Conn.
func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}
