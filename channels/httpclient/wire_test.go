package httpclient_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/httpclient"
)

// TestOnTheWire holds the bytes of requests: where there is no body, nothing is said of one.
func TestOnTheWire(t *testing.T) {
	t.Parallel()
	const tail = "X-A: 1\r\n\r\n"
	for name, tt := range map[string]struct {
		method, body, host, want string
	}{
		"GET":                {http.MethodGet, "", "", "GET /a?b=c%20d HTTP/1.1\r\nHost: HOST\r\nUser-Agent: Go-http-client/1.1\r\n" + tail},
		"no method":          {"", "", "", "GET /a?b=c%20d HTTP/1.1\r\nHost: HOST\r\nUser-Agent: Go-http-client/1.1\r\n" + tail},
		"HEAD":               {http.MethodHead, "", "", "HEAD /a?b=c%20d HTTP/1.1\r\nHost: HOST\r\nUser-Agent: Go-http-client/1.1\r\n" + tail},
		"DELETE":             {http.MethodDelete, "", "", "DELETE /a?b=c%20d HTTP/1.1\r\nHost: HOST\r\nUser-Agent: Go-http-client/1.1\r\n" + tail},
		"DELETE with a body": {http.MethodDelete, "xyz", "", "DELETE /a?b=c%20d HTTP/1.1\r\nHost: HOST\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 3\r\n" + tail + "xyz"},
		"POST":               {http.MethodPost, "xyz", "", "POST /a?b=c%20d HTTP/1.1\r\nHost: HOST\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 3\r\n" + tail + "xyz"},
		"POST of nothing":    {http.MethodPost, "", "", "POST /a?b=c%20d HTTP/1.1\r\nHost: HOST\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 0\r\n" + tail},
		"another host":       {http.MethodPost, "xyz", "x.example", "POST /a?b=c%20d HTTP/1.1\r\nHost: x.example\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 3\r\n" + tail + "xyz"},
	} {
		for _, read := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read before: %t", name, read), func(t *testing.T) {
				t.Parallel()
				c := client(t, httpclient.Config{})
				got := make(chan string, 1)
				at := recorded(t, func(text string) { got <- text })
				for range 2 { // the second on a connection that was used
					r := &httpclient.Request{Method: tt.method, URL: at + "/a?b=c%20d", Header: http.Header{"X-A": {"1"}}, Body: []byte(tt.body)}
					if tt.host != "" {
						r.Header.Set("Host", tt.host)
					}
					if read {
						u, err := url.Parse(r.URL)
						if err != nil {
							t.Fatal(err)
						}
						r.Target = u
					}
					a, err := c.Do(t.Context(), r)
					if err != nil || a.Status != http.StatusOK || string(a.Body) != "yes" && tt.method != http.MethodHead {
						t.Fatalf("%+v, %v", a, err)
					}
					want := strings.ReplaceAll(tt.want, "HOST", strings.TrimPrefix(at, "http://"))
					if diff := cmp.Diff(want, <-got); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				}
			})
		}
	}
}

// recorded is a server that hands over each request as it came.
func recorded(t *testing.T, take func(text string)) string {
	t.Helper()
	var came bytes.Buffer
	return serve(t, &came, func(c net.Conn, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		take(came.String())
		came.Reset()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
		if r.Method != http.MethodHead {
			_, _ = io.WriteString(c, "yes")
		}
		return true
	})
}

// serve answers the requests of each connection until answer says no.
func serve(t *testing.T, came io.Writer, answer func(c net.Conn, r *http.Request) bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var open atomic.Pointer[net.Conn]
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			open.Store(&c)
			in := bufio.NewReader(io.TeeReader(c, came))
			for {
				r, err := http.ReadRequest(in)
				if err != nil || !answer(c, r) {
					break
				}
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		if c := open.Load(); c != nil {
			(*c).Close()
		}
		<-done
	})
	return "http://" + ln.Addr().String()
}

// TestUnansweredRequestIsNotRepeatedInSecret: on a connection that was used before, net/http repeats what it takes for harmless, such as
// a GET, on its own. To an SMS gateway that would be a second message.
func TestUnansweredRequestIsNotRepeatedInSecret(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			at := serve(t, io.Discard, func(c net.Conn, _ *http.Request) bool {
				if requests.Add(1) > 1 {
					return false // taken, and no word about it
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				return true
			})
			c := client(t, httpclient.Config{})
			send := func() error {
				_, err := c.Do(context.Background(), &httpclient.Request{Method: method, URL: at, Header: http.Header{"Idempotency-Key": {"1"}}})
				return err
			}
			if err := send(); err != nil {
				t.Fatal(err)
			}
			if err := send(); care.KindOf(err) != care.KindUncertain {
				t.Errorf("%v, want uncertain", err)
			}
			if n := requests.Load(); n != 2 {
				t.Errorf("%d requests arrived", n)
			}
		})
	}
}
