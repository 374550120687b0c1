package channels

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// loopback is a server that is told what to do with each connection, over real sockets.
type loopback struct {
	net.Listener
	requests, dials atomic.Int32
}

func listen(t testing.TB, serve func(s *loopback, c *net.TCPConn)) *loopback {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &loopback{Listener: ln}
	var all, accepting sync.WaitGroup
	var open []net.Conn
	accepting.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.dials.Add(1)
			open = append(open, c)
			all.Go(func() {
				defer c.Close()
				serve(s, c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		accepting.Wait()
		for _, c := range open {
			c.Close()
		}
		all.Wait()
	})
	return s
}

func (s *loopback) url() string { return "http://" + s.Addr().String() + "/" }

// answering writes the same to every request; with last it closes the connection then.
func answering(text string, last bool) func(*loopback, *net.TCPConn) {
	return func(s *loopback, c *net.TCPConn) {
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			s.requests.Add(1)
			if _, err := io.WriteString(c, text); err != nil || last {
				return
			}
		}
	}
}

// said is what a transport says of an exchange.
type said struct {
	Status   int
	Proto    string
	Header   http.Header
	Length   int64
	Body     string
	Trailer  http.Header
	Failed   bool
	CutShort bool
}

func exchanged(t testing.TB, rt http.RoundTripper, method, url, body string) said {
	t.Helper()
	resp, err := rt.RoundTrip(newRequest(t.Context(), t, method, url, body))
	if err != nil {
		return said{Failed: true}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return said{resp.StatusCode, resp.Proto, resp.Header, resp.ContentLength, string(text), resp.Trailer, false, err != nil}
}

// oracle is net/http's transport, set as ours is.
func oracle(t testing.TB) *http.Transport {
	t.Helper()
	o := &http.Transport{MaxIdleConnsPerHost: 4, MaxResponseHeaderBytes: maxHead, DisableCompression: true}
	t.Cleanup(o.CloseIdleConnections)
	return o
}

// answers are those of servers of every kind. With last the server closes the connection behind it.
var answers = map[string]struct {
	text string
	last bool
}{
	"length":                     {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: 1\r\nx-a: 2\r\n\r\nyes", false},
	"length, closed":             {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nyes", true},
	"no length, closed":          {"HTTP/1.1 200 OK\r\n\r\nyes", true},
	"of length 0":                {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false},
	"longer than said":           {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nyes", true},
	"shorter than said":          {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nyes", true},
	"chunked":                    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nye\r\n1\r\ns\r\n0\r\n\r\n", false},
	"chunked, with a trailer":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nyes\r\n0\r\nX-T: 1\r\n\r\n", false},
	"chunked, cut":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n", true},
	"chunked, wrong":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nyes\r\n0\r\n\r\n", true},
	"chunked and a length":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n3\r\nyes\r\n0\r\n\r\n", false},
	"a status of nothing":        {"HTTP/1.1 000 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nyes", true},
	"another encoding":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nyes", true},
	"two lengths, the same":      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nyes", false},
	"two lengths":                {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 2\r\n\r\nyes", true},
	"a negative length":          {"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nyes", true},
	"a length of words":          {"HTTP/1.1 200 OK\r\nContent-Length: three\r\n\r\nyes", true},
	"HTTP/1.0":                   {"HTTP/1.0 200 OK\r\n\r\nyes", true},
	"HTTP/1.0 with a length":     {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nyes", true},
	"HTTP/1.0, kept":             {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nyes", false},
	"HTTP/0.9":                   {"yes", true},
	"HTTP/2":                     {"HTTP/2 200 OK\r\n\r\n", true},
	"HTTP/3.1":                   {"HTTP/3.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", false},
	"204":                        {"HTTP/1.1 204 No Content\r\n\r\n", false},
	"204 with a length":          {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes", true},
	"304 with a length":          {"HTTP/1.1 304 Not Modified\r\nContent-Length: 30\r\n\r\n", false},
	"302":                        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", false},
	"413":                        {"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", true},
	"429":                        {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno", false},
	"no reason":                  {"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nyes", false},
	"an empty reason":            {"HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nyes", false},
	"100":                        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", false},
	"103 with fields":            {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", false},
	"many of 1xx":                {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 50) + "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", false},
	"too many of 1xx":            {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 5000) + "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", true},
	"1xx and the end":            {"HTTP/1.1 103 Early Hints\r\n\r\n", true},
	"a head that just fits":      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: " + strings.Repeat("a", maxHead-100) + "\r\n\r\nyes", false},
	"a head that is too long":    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: " + strings.Repeat("a", maxHead) + "\r\n\r\nyes", true},
	"a long body":                {"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("a", 1000000), false},
	"nothing":                    {"", true},
	"half a line":                {"HTTP/1.1 2", true},
	"half a header":              {"HTTP/1.1 200 OK\r\nX-A: 1\r\n", true},
	"no HTTP":                    {"220 mail.example ESMTP\r\n\r\n", true},
	"a status of four digits":    {"HTTP/1.1 2000 OK\r\n\r\n", true},
	"a status of words":          {"HTTP/1.1 yes OK\r\n\r\n", true},
	"bare line feeds":            {"HTTP/1.1 200 OK\nContent-Length: 3\n\nyes", false},
	"a folded field":             {"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 3\r\n\r\nyes", false},
	"a field without a colon":    {"HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 3\r\n\r\nyes", true},
	"a space before the colon":   {"HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 3\r\n\r\nyes", false},
	"a control character":        {"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 3\r\n\r\nyes", true},
	"an empty line before":       {"\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", true},
	"an answer of fields alone":  {"HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\n\r\n", true},
	"a redirect to another name": {"HTTP/1.1 301 Moved Permanently\r\nLocation: //b.example/\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
}

// TestSaysWhatNetHTTPSays makes the same requests of the same servers through both, each twice, and compares what is said, and over how
// many connections.
func TestSaysWhatNetHTTPSays(t *testing.T) {
	t.Parallel()
	for name, answer := range answers {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodDelete} {
			if method == http.MethodHead && (!strings.HasSuffix(answer.text, "\r\n\r\n") || strings.Contains(answer.text, "chunked")) {
				continue // what follows is an answer to nothing; net/http sees that later than we do
			}
			t.Run(name+", "+method, func(t *testing.T) {
				t.Parallel()
				type account struct {
					Said            [2]said
					Requests, Dials int32
				}
				var both [2]account
				for i, rt := range []http.RoundTripper{oracle(t), testTransport(t, 4, time.Hour, nil)} {
					s := listen(t, answering(answer.text, answer.last))
					body := ""
					if method == http.MethodPost {
						body = "hello"
					}
					for n := range both[i].Said {
						both[i].Said[n] = exchanged(t, rt, method, s.url(), body)
						if answer.last {
							break // who of the two sees the end of the connection first is nobody's promise
						}
					}
					both[i].Requests, both[i].Dials = s.requests.Load(), s.dials.Load()
				}
				if diff := cmp.Diff(both[0], both[1]); diff != "" {
					t.Errorf("(-net/http +ours):\n%.2000s", diff)
				}
			})
		}
	}
}

// TestSaysWhatNetHTTPSaysOfRubbish does the same with answers that a generator spoils.
func TestSaysWhatNetHTTPSaysOfRubbish(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, a := range answers {
		if len(a.text) < 500 {
			texts = append(texts, a.text)
		}
	}
	texts = append(texts, "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nyes")
	slices.Sort(texts)
	rapid.Check(t, func(rt *rapid.T) {
		text := []byte(rapid.SampledFrom(texts).Draw(rt, "answer"))
		for range rapid.IntRange(0, 3).Draw(rt, "changes") {
			at := rapid.IntRange(0, len(text)).Draw(rt, "at")
			bit := rapid.SampledFrom([]string{"", "\r", "\n", "\r\n", "\x00", ":", " ", "0", "5", ";", "a", "HTTP/1.1 103 x\r\n\r\n", "Content-Length: 1\r\n"}).Draw(rt, "bit")
			cut := rapid.IntRange(0, min(3, len(text)-at)).Draw(rt, "cut")
			text = append(text[:at:at], append([]byte(bit), text[at+cut:]...)...)
		}
		if bytes.Contains(text, []byte(" 101")) {
			rt.Skip("101 is an error to us")
		}
		var both [2]said
		for i, tr := range []http.RoundTripper{oracle(t), testTransport(t, 4, time.Hour, nil)} {
			s := listen(t, answering(string(text), true))
			both[i] = exchanged(t, tr, http.MethodGet, s.url(), "")
		}
		if diff := cmp.Diff(both[0], both[1]); diff != "" {
			rt.Errorf("%q (-net/http +ours):\n%s", text, diff)
		}
	})
}

// TestAStaleConnectionIsSeenBeforeAnythingIsWritten: a request that may not be repeated must not be lost on it.
func TestAStaleConnectionIsSeenBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	for name, parting := range map[string]struct {
		text  string
		reset bool
	}{
		"closed": {"", false}, "reset": {"", true}, "408": {"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", false},
		"an answer to nothing": {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %t", name, secure), func(t *testing.T) {
				t.Parallel()
				leave, left := make(chan struct{}), make(chan struct{})
				s := listen(t, func(s *loopback, c *net.TCPConn) {
					var stream net.Conn = c
					if secure {
						stream = tls.Server(c, testTLS(t))
					}
					in := bufio.NewReader(stream)
					for {
						r, err := http.ReadRequest(in)
						if err != nil {
							return
						}
						io.Copy(io.Discard, r.Body)
						first := s.requests.Add(1) == 1
						io.WriteString(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						if first {
							<-leave
							io.WriteString(stream, parting.text)
							if parting.reset {
								c.SetLinger(0)
							}
							if parting.text == "" {
								c.Close()
							}
							close(left)
						}
					}
				})
				url := s.url()
				rt := testTransport(t, 4, time.Hour, nil)
				if secure {
					url, rt.tls = "https"+strings.TrimPrefix(url, "http"), &tls.Config{InsecureSkipVerify: true}
				}
				if got := exchanged(t, rt, http.MethodPost, url, "x"); got.Status != http.StatusOK {
					t.Fatalf("%+v", got)
				}
				close(leave)
				<-left
				if got := exchanged(t, rt, http.MethodPost, url, "x"); got.Status != http.StatusOK {
					t.Errorf("%+v", got)
				}
				if s.requests.Load() != 2 || s.dials.Load() != 2 {
					t.Errorf("%d requests over %d connections", s.requests.Load(), s.dials.Load())
				}
			})
		}
	}
}

// TestAnEarlyNoIsHeard: the server has read nothing of a body that is too long for it, and closes.
func TestAnEarlyNoIsHeard(t *testing.T) {
	t.Parallel()
	s := listen(t, func(_ *loopback, c *net.TCPConn) {
		c.Read(make([]byte, 10))
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
	})
	rt := testTransport(t, 4, time.Hour, nil)
	for range 5 {
		got := exchanged(t, rt, http.MethodPost, s.url(), strings.Repeat("x", 16<<20))
		if got.Status != http.StatusRequestEntityTooLarge || got.Body != "no" {
			t.Errorf("%+v", got)
		}
	}
	if s.dials.Load() != 5 {
		t.Errorf("%d connections: one on which a request was not written to its end is used again", s.dials.Load())
	}
}

// testTLS is a server's certificate.
var testTLS = func() func(t testing.TB) *tls.Config {
	once := sync.OnceValue(func() *tls.Config {
		srv := httptest.NewUnstartedServer(nil)
		srv.StartTLS()
		defer srv.Close()
		return &tls.Config{Certificates: srv.TLS.Certificates}
	})
	return func(testing.TB) *tls.Config { return once() }
}()
