package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/net/http/httpguts"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
)

// MaxAnswer is how much of an answer's body is read, in bytes. Every provider's answer fits into a fraction of it.
const MaxAnswer = 64 << 10

// Config says how a Client connects. The zero value works.
type Config struct {
	Connections int           // kept open per host; 0 = 32. At least as many as there are senders, or each burst dials anew
	Timeout     time.Duration // for one call with its repeats, to the end of the answer; 0 = 30 s
	// IdleTimeout is how long an unused connection is kept, 0 = 4 s. A request that may not be repeated must not meet a
	// connection that the server is just closing (Node and Apache do after 5 s): its outcome would be unknown.
	IdleTimeout time.Duration
	Guard       *Guard      // nil: any address may be dialled
	TLS         *tls.Config // nil: the system's roots or SSL_CERT_FILE's, TLS 1.2 and up
	// Now is the clock of the contexts' deadlines; nil = time.Now.
	Now func() time.Time
}

// Client sends requests over kept connections, through go-retryablehttp. It is safe for many goroutines.
type Client struct {
	retry     *retryablehttp.Client
	transport *transport
	timeout   time.Duration
	now       func() time.Time
}

// New returns a client, with the proxies that the environment names now. Close it when it is no longer used.
func New(cfg Config) *Client {
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
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Client{transport: newTransport(&cfg), timeout: cfg.Timeout, now: cfg.Now}
	c.retry = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     c.transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Logger:       nil,
		RetryMax:     2,
		RetryWaitMin: 50 * time.Millisecond,
		RetryWaitMax: 200 * time.Millisecond,
		CheckRetry:   checkRetry,
		Backoff:      retryablehttp.LinearJitterBackoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		PrepareRetry: func(r *http.Request) error {
			// The last try's connection may still be reading its header.
			r.Header = r.Header.Clone()
			return prepare(r)
		},
	}
	return c
}

// Close closes the connections that are not in use, and the others when they no longer are.
func (c *Client) Close() error {
	c.transport.http.CloseIdleConnections()
	return nil
}

// Request is one request. It is made for one Do, which takes Header over.
type Request struct {
	Method string
	URL    string
	Target *url.URL // the URL, for who has read it already; it is not changed. nil = URL is read
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

// Do sends a request, at most three times, and reads the answer. An error is a *care.Error: KindRetry if nothing reached the
// receiver, KindUncertain if something may have, KindContent if the guard refused the address or the URL is none, KindOperator if the
// proxy wants another log-in.
func (c *Client) Do(ctx context.Context, r *Request) (*Answer, error) {
	if deadline, ok := ctx.Deadline(); !ok || deadline.Sub(c.now()) > c.timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	state := &call{repeat: r.Repeat, prepare: r.Prepare}
	state.trace.GotConn = state.got
	req, err := request(httptrace.WithClientTrace(context.WithValue(ctx, callKey{}, state), &state.trace), r)
	if err != nil {
		return nil, &care.Error{Kind: care.KindContent, Code: "bad_url", Err: errors.New("the URL cannot be requested")}
	}
	if err = prepare(req.Request); err == nil {
		err = printable(req.Header)
	}
	if err != nil {
		return nil, &care.Error{Kind: care.KindContent, Code: "bad_request", Err: err}
	}
	unrepeated(req.Request)
	resp, err := c.retry.Do(req)
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, state.failure(ctx, err)
	}
	return readAnswer(resp, state), nil
}

// request makes the request that is sent.
func request(ctx context.Context, r *Request) (*retryablehttp.Request, error) {
	var base *http.Request
	if r.Target == nil {
		var err error
		if base, err = http.NewRequestWithContext(ctx, r.Method, r.URL, http.NoBody); err != nil {
			return nil, err
		}
	} else {
		if r.Method != "" && !httpguts.ValidHeaderFieldName(r.Method) { // a method is a token, too: RFC 9110 section 9.1
			return nil, errors.New("no method")
		}
		target := r.Target
		if host, empty := strings.CutSuffix(target.Host, ":"); empty {
			clone := *target
			clone.Host, target = host, &clone
		}
		base = (&http.Request{Method: r.Method, URL: target, Host: target.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	}
	if base.URL.Host == "" || (base.URL.Scheme != "http" && base.URL.Scheme != "https") {
		return nil, errors.New("no http(s) URL")
	}
	if base.Header = r.Header; r.Header == nil {
		base.Header = http.Header{}
	}
	if h := base.Header.Get("Host"); h != "" {
		base.Host = h
	}
	req := &retryablehttp.Request{Request: base}
	if len(r.Body) > 0 {
		if err := req.SetBody(r.Body); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// unrepeated keeps net/http from repeating a request by itself. On a kept connection that breaks it repeats what it takes for harmless: a
// GET, and whatever has an Idempotency-Key, if it can have the body again. To an SMS gateway that would be a second message, unseen.
func unrepeated(r *http.Request) {
	r.GetBody = nil
	if r.Body != nil && r.Body != http.NoBody {
		return
	}
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		// A body that is empty is not http.NoBody. "identity" says that there is no length to tell, and changes nothing on the wire.
		r.Body, r.TransferEncoding = io.NopCloser(strings.NewReader("")), identity
	default:
		// net/http looks for the key in this spelling only. To the receiver all spellings are one (RFC 9110 section 5.1).
		for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			if values, ok := r.Header[name]; ok {
				delete(r.Header, name)
				r.Header[strings.ToLower(name)] = values
			}
		}
	}
}

var identity = []string{"identity"}

// printable refuses a header that could not be told from more than one, or from none (RFC 9110 sections 5.1 and 5.5).
func printable(h http.Header) error {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) {
			return errors.New("a header's name has a character that is not allowed")
		}
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
	if resp.Body == http.NoBody {
		a.Body = []byte{}
		return a
	}
	body, err := readAll(io.LimitReader(resp.Body, MaxAnswer+1), resp.ContentLength)
	if len(body) > MaxAnswer {
		a.Cut, body = true, body[:MaxAnswer]
		// A little more is read so that the connection can be used again; an endless answer costs the connection.
		_, _ = io.CopyN(io.Discard, resp.Body, MaxAnswer)
	}
	a.Cut = a.Cut || err != nil
	a.Body = body
	return a
}

// readAll reads what comes, with room for as much as is announced.
func readAll(r io.Reader, announced int64) ([]byte, error) {
	b := make([]byte, 0, max(64, min(announced, 4<<10)+1))
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
	}
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
	e := &care.Error{Kind: care.KindRetry, Code: "connect", Tries: several(s.tries), Reached: s.earlier, Err: channels.Cause(err)}
	no, refused := errors.AsType[*proxyError](err)
	switch {
	case errors.Is(err, errBlocked):
		e.Kind, e.Code, e.Err = care.KindContent, "blocked_address", errBlocked
		return e
	case refused:
		e.Code, e.Err = "proxy "+strconv.Itoa(no.status), no
		if no.status == http.StatusProxyAuthRequired {
			e.Kind = care.KindOperator
		}
	case errors.Is(err, context.Canceled):
		e.Code = "canceled"
	case errors.Is(e.Err, context.DeadlineExceeded) || ctx.Err() != nil:
		e.Code = "timeout"
	case s.reached:
		e.Code = "broken"
	case errors.Is(e.Err, channels.ErrCertificate):
		e.Code = "tls"
	}
	if s.reached {
		e.Kind = care.KindUncertain
	}
	return e
}

// checkRetry repeats at once only what is harmless, and never an answer: what a provider or a proxy said is for delivery to act on.
func checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	_, refused := errors.AsType[*proxyError](err)
	if err == nil || refused || ctx.Err() != nil || errors.Is(err, errBlocked) || errors.Is(channels.Cause(err), context.DeadlineExceeded) {
		return false, nil
	}
	state, ok := ctx.Value(callKey{}).(*call)
	return ok && (!state.reached || state.repeat), nil
}
