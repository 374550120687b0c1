package channeltest

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// HTTPPeer is a fake provider or endpoint.
type HTTPPeer struct {
	yes       func(w http.ResponseWriter)
	server    *http.Server
	elsewhere *http.Server
	url, away string
	stop      chan struct{}
	running   sync.WaitGroup

	mu         sync.Mutex
	behaviour  Behaviour
	taken      int
	strayed    int
	forged     string
	retryAfter string
}

// NewHTTPPeer starts a peer; yes writes the provider's answer to a message that it takes.
func NewHTTPPeer(t T, yes func(w http.ResponseWriter)) *HTTPPeer {
	t.Helper()
	bomb() // made before a deadline runs
	p := &HTTPPeer{yes: yes, stop: make(chan struct{})}
	p.server, p.url = p.listen(t, p.serve)
	p.elsewhere, p.away = p.listen(t, func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		p.strayed++
		p.mu.Unlock()
		yes(w)
	})
	t.Cleanup(func() {
		close(p.stop)
		p.server.Close()
		p.elsewhere.Close()
		p.running.Wait()
	})
	return p
}

func (p *HTTPPeer) listen(t T, handle http.HandlerFunc) (*http.Server, string) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	srv := &http.Server{Handler: handle, ReadHeaderTimeout: 5 * time.Second}
	p.running.Go(func() { _ = srv.Serve(ln) })
	return srv, "http://" + ln.Addr().String()
}

// URL implements Peer.
func (p *HTTPPeer) URL() string { return p.url }

// Behave implements Peer.
func (p *HTTPPeer) Behave(b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = b
}

// RetryAfter sets the header that TooMany sends.
func (p *HTTPPeer) RetryAfter(value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retryAfter = value
}

// Received implements Peer.
func (p *HTTPPeer) Received() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// Elsewhere implements Peer.
func (p *HTTPPeer) Elsewhere() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.strayed
}

// Forged implements Peer.
func (p *HTTPPeer) Forged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forged
}

func (p *HTTPPeer) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.taken++
	b, retryAfter := p.behaviour, p.retryAfter
	p.forged += forgery(r, string(body))
	p.mu.Unlock()
	switch b {
	case Yes:
		p.yes(w)
	case Busy:
		w.WriteHeader(http.StatusServiceUnavailable)
	case TooLarge:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case LockedOut:
		w.WriteHeader(http.StatusForbidden)
	case Redirect:
		w.Header().Set("Location", p.away)
		w.WriteHeader(http.StatusFound)
	case TooMany:
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(http.StatusTooManyRequests)
	case Silent:
		select {
		case <-p.stop:
		case <-r.Context().Done():
		}
	default:
		p.misbehave(w, b)
	}
}

// misbehave answers as no server should.
func (p *HTTPPeer) misbehave(w http.ResponseWriter, b Behaviour) {
	switch b {
	case Drop:
		hijacked(w, "")
	case Cut:
		hijacked(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"a")
	case Headers:
		hijacked(w, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Long: "+strings.Repeat("x", 1000)+"\r\n", 2000)+"\r\n")
	case Endless:
		pour(w)
	case Bomb:
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb())
	case Rubbish:
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "<html>\x00 it works")
	}
}

func hijacked(w http.ResponseWriter, answer string) {
	h, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	conn, _, err := h.Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, answer)
	conn.Close()
}

// bomb is 64 MiB in a few KiB.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	pour(z)
	z.Close()
	return b.Bytes()
})

// pour writes 64 MiB.
func pour(w io.Writer) {
	chunk := make([]byte, 64<<10)
	for range 1024 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// forgery looks for what a value may have made of itself: a header, a form field, a path or a JSON member.
func forgery(r *http.Request, body string) string {
	for name := range r.Header {
		if strings.Contains(strings.ToLower(name), "evil") {
			return "header " + name
		}
	}
	if r.URL.Query().Has("evil") || strings.Contains(r.URL.Path, "..") || strings.Contains(r.RequestURI, "#") {
		return "query " + r.RequestURI
	}
	if strings.Contains(body, `, "evil": "1`) && !strings.Contains(body, `\" , \"evil\": \"1`) || strings.Contains(body, "&evil=1") && strings.Contains(r.Header.Get("Content-Type"), "form") {
		return "field " + body
	}
	return ""
}
