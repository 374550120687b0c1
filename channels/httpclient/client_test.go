package httpclient_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/httpclient"
)

func client(t testing.TB, cfg httpclient.Config) *httpclient.Client {
	t.Helper()
	c := httpclient.New(cfg)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	const month = 30 * 24 * time.Hour
	tests := map[string]time.Duration{
		"": 0, "0": 0, "17": 17 * time.Second, " 17 ": 17 * time.Second, "-5": 0, "1.5": 0, "soon": 0, "17 seconds": 0,
		"99999999999999999999999": month, "9223372036854775807": month,
		"Sun, 22 Nov 2026 09:01:00 GMT": time.Minute, "Sun, 22 Nov 2026 08:00:00 GMT": 0, "Sunday, 22-Nov-26 09:02:00 GMT": 2 * time.Minute,
		"Sun Nov 22 09:03:00 2026": 3 * time.Minute, "Fri, 31 Dec 9999 23:59:59 GMT": month, "2026-11-22": 0,
	}
	for value, want := range tests {
		if got := httpclient.RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"1", "-1", "Sun, 22 Nov 2026 09:01:00 GMT", "999999999999999999999"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d := httpclient.RetryAfter(http.Header{"Retry-After": {s}}, now); d < 0 || d > 30*24*time.Hour {
			t.Errorf("%q: %v", s, d)
		}
	})
}

// raw answers each connection with fixed bytes after the request's head has come.
func raw(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				serve(c)
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return "http://" + ln.Addr().String() + "/canary?password=canary"
}

func get(ctx context.Context, c *httpclient.Client, url string, repeat bool) (*httpclient.Answer, error) {
	return c.Do(ctx, &httpclient.Request{Method: http.MethodPost, URL: url, Body: []byte("canary"), Repeat: repeat})
}

func TestFaultyPeers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		serve  func(net.Conn)
		kind   care.Kind
		status int
		cut    bool
	}{
		"closed without an answer": {func(net.Conn) {}, care.KindUncertain, 0, false},
		"reset": {func(c net.Conn) {
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
		}, care.KindUncertain, 0, false},
		"half a status line": {func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 2") }, care.KindUncertain, 0, false},
		"no HTTP":            {func(c net.Conn) { fmt.Fprint(c, "220 hello ESMTP\r\n") }, care.KindUncertain, 0, false},
		"1xx, then nothing":  {func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 103 Early Hints\r\n\r\n") }, care.KindUncertain, 0, false},
		"1xx without end": {func(c net.Conn) {
			for range 100 {
				fmt.Fprint(c, "HTTP/1.1 103 Early Hints\r\n\r\n")
			}
		}, care.KindUncertain, 0, false},
		"1xx, then yes": {func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}, "", 200, false},
		"endless headers": {func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n")
			for range 20000 {
				fmt.Fprint(c, "X-A: bbbbbbbbbbbbbbbbbbbbbb\r\n")
			}
		}, care.KindUncertain, 0, false},
		"200, then reset": {func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0: Acc") }, "", 200, true},
		"redirect": {func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
		}, "", 302, false},
		"redirect, no location": {func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n") }, "", 302, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := get(t.Context(), client(t, httpclient.Config{Timeout: 5 * time.Second}), raw(t, tt.serve), false)
			if care.KindOf(err) != tt.kind {
				t.Fatalf("got %v, want %q", err, tt.kind)
			}
			if err != nil {
				if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "127.0.0.1") {
					t.Errorf("the request is in the error: %v", err)
				}
				if e := new(care.Error); errors.As(err, &e) && e.Tries != 0 {
					t.Errorf("%d tries of what may have arrived", e.Tries)
				}
				return
			}
			if a.Status != tt.status || a.Cut != tt.cut {
				t.Errorf("status %d, cut %v", a.Status, a.Cut)
			}
		})
	}
}

func TestSlowPeersMeetTheDeadline(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	defer close(stop)
	dribble := func(c net.Conn, head string) {
		fmt.Fprint(c, head)
		for range 200 {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if _, err := fmt.Fprint(c, "x"); err != nil {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		head string
		kind care.Kind
	}{
		"nothing": {"", care.KindUncertain}, "headers": {"HTTP/1.1 200 OK\r\nX-", care.KindUncertain},
		"body": {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", ""},
	} {
		c := client(t, httpclient.Config{Timeout: time.Second})
		a, err := get(t.Context(), c, raw(t, func(conn net.Conn) { dribble(conn, tt.head) }), true)
		if care.KindOf(err) != tt.kind {
			t.Errorf("%s: got %v, want %q", name, err, tt.kind)
		}
		if err == nil && (!a.Cut || a.Status != 200) {
			t.Errorf("%s: %+v", name, a)
		}
		if e := new(care.Error); errors.As(err, &e) && (e.Code != "timeout" || e.Tries != 0) {
			t.Errorf("%s: %q after %d tries; a time-out is not repeated at once", name, e.Code, e.Tries)
		}
	}
}

func TestCancelBeforeAndAfterTheRequest(t *testing.T) {
	t.Parallel()
	c := client(t, httpclient.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := get(ctx, c, "http://127.0.0.1:1/", true)
	if care.KindOf(err) != care.KindRetry || !errors.Is(err, context.Canceled) {
		t.Errorf("before: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	_, err = get(ctx, c, raw(t, func(conn net.Conn) {
		cancel()
		_, _ = conn.Read(make([]byte, 100))
	}), true)
	if care.KindOf(err) != care.KindUncertain || !errors.Is(err, context.Canceled) {
		t.Errorf("after: %v", err)
	}
}

// TestLargeAnswersCostLittle lets a peer answer without end, plain and as a gzip bomb.
func TestLargeAnswersCostLittle(t *testing.T) { //nolint:paralleltest // it measures what all tests of the process take
	var member bytes.Buffer // one of many that follow each other (RFC 1952 section 2.2)
	z := gzip.NewWriter(&member)
	_, _ = z.Write(make([]byte, 64<<10))
	z.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 64<<10)
		if r.URL.Path == "/bomb" {
			w.Header().Set("Content-Encoding", "gzip")
			chunk = member.Bytes()
		}
		for range 4096 { // 256 MiB
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	c := client(t, httpclient.Config{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, path := range []string{"/plain", "/bomb"} {
		a, err := get(t.Context(), c, srv.URL+path, false)
		if err != nil || !a.Cut || len(a.Body) != httpclient.MaxAnswer {
			t.Fatalf("%s: %v", path, err)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.HeapInuse - min(before.HeapInuse, after.HeapInuse); grown > 10<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var dials atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, strings.Repeat("x", 100<<10)) // more than is read: the rest is drained
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			dials.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c := client(t, httpclient.Config{})
	for range 5 {
		if _, err := get(t.Context(), c, srv.URL, false); err != nil {
			t.Fatal(err)
		}
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections for five requests", n)
	}
}

func TestBadURLs(t *testing.T) {
	t.Parallel()
	c := client(t, httpclient.Config{})
	for _, url := range []string{"", "canary", "ftp://canary.example/", "http://", "http://a b/", "http://canary\r\n.example/", "http:///x", "file:///etc/passwd"} {
		_, err := get(t.Context(), c, url, false)
		if care.KindOf(err) != care.KindContent || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestBadMethodsAndHeaders(t *testing.T) {
	t.Parallel()
	c := client(t, httpclient.Config{})
	at := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	for name, r := range map[string]*httpclient.Request{
		"method":              {Method: "GET /canary HTTP/1.1\r\nX-Evil: 1\r\n\r\n", URL: at.String()},
		"method, read before": {Method: "GET /canary HTTP/1.1\r\nX-Evil: 1\r\n\r\n", Target: at},
		"name":                {Target: at, Header: http.Header{"X-A: canary\r\nX-Evil": {"1"}}},
		"no name":             {Target: at, Header: http.Header{"": {"canary"}}},
		"value":               {Target: at, Header: http.Header{"X-A": {"canary\r\nX-Evil: 1"}}},
	} {
		if _, err := c.Do(t.Context(), r); care.KindOf(err) != care.KindContent || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
