package httpclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
)

// begunError marks an error after which something of the request had been written.
type begunError struct{ error }

// Unwrap returns what went wrong.
func (e begunError) Unwrap() error { return e.error }

func begun(err error) bool {
	_, ok := errors.AsType[begunError](err)
	return ok
}

// tripper makes single tries, as Do does.
type tripper struct {
	*transport
	client *Client
}

// RoundTrip implements http.RoundTripper.
func (t *tripper) RoundTrip(r *http.Request) (*http.Response, error) {
	state := &call{}
	state.trace.GotConn = state.got
	r = r.WithContext(httptrace.WithClientTrace(context.WithValue(r.Context(), callKey{}, state), &state.trace))
	unrepeated(r)
	resp, err := t.transport.RoundTrip(r)
	if err != nil && state.reached {
		err = begunError{err}
	}
	return resp, err
}

// dialled makes a client use a test's connections.
func (c *Client) dialled(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	c.transport.http.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: raw}, nil
	}
}

// testTransport is a transport that a test dials for.
func testTransport(t testing.TB, most int, keep time.Duration, dial func(ctx context.Context, network, address string) (net.Conn, error)) *tripper {
	t.Helper()
	c := New(Config{Connections: most, IdleTimeout: keep})
	t.Cleanup(func() { c.Close() })
	c.dialled(dial)
	return &tripper{c.transport, c}
}

// patience is how long a test waits for what must happen: a fault then fails the test instead of holding up all others.
const patience = 20 * time.Second

// wait waits for what a test's server does.
func wait[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
	return v
}

// peer answers the requests of connections in memory, which tell of every byte and its end.
type peer struct {
	answer func(c net.Conn, n int, r *http.Request) bool // to the nth connection; false ends it
	ends   chan int                                      // the connections that ended
	dials  atomic.Int32
	all    sync.WaitGroup

	mu   sync.Mutex
	open []net.Conn
}

func newPeer(t testing.TB, answer func(c net.Conn, n int, r *http.Request) bool) *peer {
	t.Helper()
	p := &peer{answer: answer, ends: make(chan int, 100)}
	t.Cleanup(func() {
		p.mu.Lock()
		for _, c := range p.open {
			c.Close()
		}
		p.mu.Unlock()
		p.all.Wait()
	})
	return p
}

func (p *peer) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	n := int(p.dials.Add(1))
	p.mu.Lock()
	p.open = append(p.open, theirs)
	p.mu.Unlock()
	p.all.Go(func() {
		in := bufio.NewReader(theirs)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				break
			}
			if _, err = io.Copy(io.Discard, r.Body); err != nil || !p.answer(theirs, n, r) {
				break
			}
		}
		theirs.Close()
		p.ends <- n
	})
	return ours, nil
}

// yes tells the connection's number.
func yes(c net.Conn, n int, _ *http.Request) bool {
	_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n)
	return err == nil
}

func newRequest(ctx context.Context, t testing.TB, method, url, body string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.GetBody = nil
	return r
}

// ask makes a request and reads the answer.
func ask(t testing.TB, rt http.RoundTripper, method, url string) string {
	t.Helper()
	resp, err := rt.RoundTrip(newRequest(t.Context(), t, method, url, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestThePoolIsBoundedAndTheLastUsedGoesFirst(t *testing.T) {
	t.Parallel()
	p := newPeer(t, yes)
	rt := testTransport(t, 2, time.Hour, p.dial)
	open := make([]*http.Response, 3)
	for i := range open {
		resp, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodGet, "http://a.example/", ""))
		if err != nil {
			t.Fatal(err)
		}
		open[i] = resp
	}
	for _, i := range []int{2, 0, 1} { // given back in this order; there is no place for the last
		io.Copy(io.Discard, open[i].Body)
		open[i].Body.Close()
	}
	if n := wait(t, p.ends, "the end of a connection"); n != 2 {
		t.Errorf("connection %d was closed, want the second", n)
	}
	if got := ask(t, rt, http.MethodGet, "http://a.example/"); got != "1" {
		t.Errorf("connection %s, want the one that was used last", got)
	}
	if got := ask(t, rt, http.MethodGet, "http://b.example/"); got != "4" {
		t.Errorf("another place over connection %s", got)
	}
	if got := ask(t, rt, http.MethodGet, "http://a.example:8080/"); got != "5" {
		t.Errorf("another port over connection %s", got)
	}
	if got := ask(t, rt, http.MethodGet, "http://a.example/"); got != "1" || p.dials.Load() != 5 {
		t.Errorf("connection %s of %d", got, p.dials.Load())
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, yes)
		rt := testTransport(t, 4, 4*time.Second, p.dial)
		start := time.Now()
		ask(t, rt, http.MethodGet, "http://a.example/")
		time.Sleep(3 * time.Second)
		ask(t, rt, http.MethodGet, "http://b.example/")
		if n := wait(t, p.ends, "the end of a connection"); n != 1 || time.Since(start) != 4*time.Second {
			t.Errorf("connection %d ended after %v", n, time.Since(start))
		}
		if n := wait(t, p.ends, "the end of a connection"); n != 2 || time.Since(start) != 7*time.Second {
			t.Errorf("connection %d ended after %v", n, time.Since(start))
		}
		if got := ask(t, rt, http.MethodGet, "http://a.example/"); got != "3" {
			t.Errorf("connection %s was used after its time", got)
		}
	})
}

func TestAfterCloseNothingIsKept(t *testing.T) {
	t.Parallel()
	p := newPeer(t, yes)
	rt := testTransport(t, 4, time.Hour, p.dial)
	resp, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodGet, "http://a.example/", ""))
	if err != nil {
		t.Fatal(err)
	}
	ask(t, rt, http.MethodGet, "http://a.example/")
	rt.client.Close()
	if n := wait(t, p.ends, "the end of a connection"); n != 2 {
		t.Errorf("connection %d ended first, want the idle one", n)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if n := wait(t, p.ends, "the end of a connection"); n != 1 {
		t.Errorf("connection %d ended", n)
	}
}

// TestUnfitConnectionsEnd: after these answers another exchange would be on thin ice.
func TestUnfitConnectionsEnd(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]struct {
		text string
		read int64
	}{
		"Connection: close":   {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nyes", 3},
		"HTTP/1.0":            {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nyes", 3},
		"bytes behind":        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyesHTTP/1.1 200 OK\r\n\r\n", 3},
		"bytes behind none":   {"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 0},
		"not read to its end": {"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nyes", 3},
		"a wrong chunk":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 1},
		"no status":           {"HTTP/1.1 099 OK\r\nContent-Length: 3\r\n\r\nyes", 3},
		"unread":              {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, func(c net.Conn, _ int, _ *http.Request) bool {
				_, err := io.WriteString(c, answer.text)
				return err == nil
			})
			rt := testTransport(t, 4, time.Hour, p.dial)
			resp, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodPost, "http://a.example/", "x"))
			if err != nil {
				t.Fatal(err)
			}
			io.CopyN(io.Discard, resp.Body, answer.read)
			resp.Body.Close()
			wait(t, p.ends, "the end of a connection")
			if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
				t.Error("there is more of a body that was closed")
			}
			resp, err = rt.RoundTrip(newRequest(t.Context(), t, http.MethodPost, "http://a.example/", "x"))
			if err != nil || p.dials.Load() != 2 {
				t.Fatalf("the next request: %v over connection %d, want a second one", err, p.dials.Load())
			}
			resp.Body.Close()
		})
	}
}

func TestNoOtherProtocol(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c net.Conn, _ int, _ *http.Request) bool {
		_, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		return err == nil
	})
	rt := testTransport(t, 4, time.Hour, p.dial)
	_, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodPost, "http://a.example/", "x"))
	if !errors.Is(err, errSwitched) || !begun(err) {
		t.Errorf("101: %v", err)
	}
	wait(t, p.ends, "the end of a connection")
}

// TestALongHeadIsBroken counts what is taken of a header without end, before and after interim answers.
func TestALongHeadIsBroken(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][2]string{
		"a long header":       {"HTTP/1.1 200 OK\r\n", "X-A: " + strings.Repeat("b", 1000) + "\r\n"},
		"one long field":      {"HTTP/1.1 200 OK\r\nX-A: ", strings.Repeat("b", 1000)},
		"a long status":       {"HTTP/1.1 200 ", strings.Repeat("b", 1000)},
		"1xx without an end":  {"", "HTTP/1.1 103 Early Hints\r\n\r\n"},
		"1xx with long words": {"", "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("b", 1000) + "\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := 0
			p := newPeer(t, func(c net.Conn, _ int, _ *http.Request) bool {
				sent, _ = io.WriteString(c, parts[0])
				for {
					n, err := io.WriteString(c, parts[1])
					sent += n
					if err != nil {
						return false
					}
				}
			})
			rt := testTransport(t, 4, time.Hour, p.dial)
			_, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodPost, "http://a.example/", "x"))
			wait(t, p.ends, "the end of a connection")
			if err == nil || !begun(err) || sent > maxHead {
				t.Errorf("%v after %d bytes", err, sent)
			}
		})
	}
}

// TestACancelFreesTheCaller in every phase, at once, and ends the connection.
func TestACancelFreesTheCaller(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		begun  bool
	}{
		"before the answer": {"", true}, "in the header": {"HTTP/1.1 200 OK\r\nX-", true}, "in the body": {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			p := newPeer(t, func(conn net.Conn, _ int, _ *http.Request) bool {
				io.WriteString(conn, c.answer)
				if c.begun {
					cancel()
				}
				return true
			})
			rt := testTransport(t, 4, time.Hour, p.dial)
			resp, err := rt.RoundTrip(newRequest(ctx, t, http.MethodPost, "http://a.example/", "x"))
			if err == nil {
				cancel()
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if !errors.Is(err, context.Canceled) || begun(err) != c.begun {
				t.Errorf("%v, begun %v", err, begun(err))
			}
			wait(t, p.ends, "the end of a connection")
		})
	}
	t.Run("while it connects", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		rt := testTransport(t, 4, time.Hour, func(ctx context.Context, _, _ string) (net.Conn, error) {
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		})
		_, err := rt.RoundTrip(newRequest(ctx, t, http.MethodPost, "http://a.example/", "x"))
		if !errors.Is(err, context.Canceled) || begun(err) {
			t.Errorf("%v, begun %v", err, begun(err))
		}
	})
	t.Run("in the handshake", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			theirs.Read(make([]byte, 1))
			cancel()
			io.Copy(io.Discard, theirs) // until the connection ends
		}()
		rt := testTransport(t, 4, time.Hour, func(context.Context, string, string) (net.Conn, error) { return ours, nil })
		_, err := rt.RoundTrip(newRequest(ctx, t, http.MethodPost, "https://a.example/", "x"))
		if !errors.Is(err, context.Canceled) || begun(err) {
			t.Errorf("%v, begun %v", err, begun(err))
		}
		ours.Close() // net/http leaves it to handshakeLimit: another request may want it
		wait(t, done, "the end of the server")
	})
}

// TestACancelAfterwardsHarmsNobody: the connection belongs to the next exchange then.
func TestACancelAfterwardsHarmsNobody(t *testing.T) {
	t.Parallel()
	p := newPeer(t, yes)
	rt := testTransport(t, 4, time.Hour, p.dial)
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := rt.RoundTrip(newRequest(ctx, t, http.MethodPost, "http://a.example/", "x"))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	cancel()
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if got := ask(t, rt, http.MethodGet, "http://a.example/"); got != "1" {
		t.Errorf("connection %s", got)
	}
}

// mute is a connection on which nothing can be written.
type mute struct{ net.Conn }

func (mute) Write([]byte) (int, error) { return 0, net.ErrClosed }

func TestNothingWrittenIsKnown(t *testing.T) {
	t.Parallel()
	c := New(Config{})
	defer c.Close()
	dials := 0
	c.dialled(func(context.Context, string, string) (net.Conn, error) {
		dials++
		ours, theirs := net.Pipe()
		theirs.Close()
		return mute{ours}, nil
	})
	_, err := c.Do(t.Context(), &Request{Method: http.MethodPost, URL: "http://a.example/", Body: []byte("x")})
	if e, ok := errors.AsType[*care.Error](err); !ok || e.Kind != care.KindRetry || e.Code != "connect" || dials != 3 {
		t.Errorf("%v after %d connections", err, dials)
	}
}

// brittle is a connection on which a write fails after some bytes.
type brittle struct{ net.Conn }

func (b brittle) Write(p []byte) (int, error) {
	n, _ := b.Conn.Write(p[:min(len(p), 100)])
	return n, net.ErrClosed
}

// TestHalfARequestIsBegun: what the receiver makes of it is not known.
func TestHalfARequestIsBegun(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, theirs) // until the connection ends
	}()
	rt := testTransport(t, 4, time.Hour, func(context.Context, string, string) (net.Conn, error) { return brittle{ours}, nil })
	_, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodPost, "http://a.example/", strings.Repeat("x", 1000)))
	if err == nil || !begun(err) {
		t.Errorf("%v, begun %v", err, begun(err))
	}
	wait(t, done, "the end of the server")
}

// TestAnEarlyAnswerIsHeard: a server that will not have a request says so before it has read all of it (RFC 9112 section 9.6).
func TestAnEarlyAnswerIsHeard(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 100))
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, c) // until the connection ends
	}()
	c := New(Config{Timeout: 10 * time.Second})
	a, err := c.Do(t.Context(), &Request{Method: http.MethodPost, URL: "http://" + ln.Addr().String(), Body: bytes.Repeat([]byte("x"), 8<<20)})
	if err != nil || a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("%+v, %v", a, err)
	}
	c.Close()
	wait(t, done, "the end of the server")
}

// TestASealedConnectionWritesNothing: net/http may return from a cancelled request before its writer runs. What was reported as not begun
// must not begin then.
func TestASealedConnectionWritesNothing(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	came := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, theirs)
		came <- n
	}()
	c := &conn{Conn: ours}
	if _, err := c.Write([]byte("CONNECT")); err != nil || c.position() != 7 {
		t.Fatalf("%v, at %d", err, c.position())
	}
	if c.seal(c.position()) {
		t.Error("nothing was written since, and it says so")
	}
	if _, err := c.Write([]byte("POST")); err == nil {
		t.Error("it writes on")
	}
	ours.Close()
	if n := wait(t, came, "the end of the connection"); n != 7 {
		t.Errorf("%d bytes came", n)
	}
	if !(&conn{Conn: ours, written: 8}).seal(7) || !(&conn{Conn: ours, writing: true}).seal(0) {
		t.Error("a request that was begun counts as not begun")
	}
}

func TestOverTLS(t *testing.T) {
	t.Parallel()
	var dials atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %q", r.Proto, r.TLS.ServerName, r.TLS.NegotiatedProtocol)
	}))
	srv.EnableHTTP2, srv.Config.ErrorLog = true, slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	c := New(Config{TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}}})
	defer c.Close()
	c.dialled(func(ctx context.Context, network, _ string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
	})
	for range 3 { // the certificate is for this name
		a, err := c.Do(t.Context(), &Request{Method: http.MethodPost, URL: "https://www.example.com/", Body: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(`HTTP/1.1 www.example.com ""`, string(a.Body)); diff != "" {
			t.Error(diff)
		}
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections for three requests", n)
	}
	_, err := c.Do(t.Context(), &Request{Method: http.MethodPost, URL: "https://www.example.org/", Body: []byte("x")})
	if e, ok := errors.AsType[*care.Error](err); !ok || e.Kind != care.KindRetry || e.Code != "tls" || !errors.Is(err, channels.ErrCertificate) {
		t.Errorf("another name: %v", err)
	}
	// The server speaks TLS, and is asked without.
	_, err = c.Do(t.Context(), &Request{Method: http.MethodPost, URL: "http://www.example.com/", Body: []byte("x")})
	if err != nil && care.KindOf(err) != care.KindUncertain {
		t.Errorf("without TLS: %v", err)
	}
}
