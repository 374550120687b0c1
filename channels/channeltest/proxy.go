package channeltest

import (
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Proxy is a forward proxy for HTTP, with CONNECT, that knows some names. It keeps what it was asked for.
type Proxy struct {
	address string
	server  *http.Server
	running sync.WaitGroup

	mu      sync.Mutex
	hosts   map[string]string // host:port → where it really is
	asked   []string          // "METHOD host:port"
	log     []string          // Proxy-Authorization of each
	refuse  int               // the status that CONNECT is refused with, 0 = none
	tunnels []net.Conn
}

// NewProxy starts a proxy that knows no host yet: it answers 502.
func NewProxy(t T) *Proxy {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	p := &Proxy{address: ln.Addr().String(), hosts: map[string]string{}}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: 5 * time.Second}
	p.running.Go(func() { _ = p.server.Serve(ln) })
	t.Cleanup(func() {
		p.server.Close()
		p.mu.Lock()
		for _, c := range p.tunnels {
			c.Close()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
	return p
}

// URL is what HTTP_PROXY and HTTPS_PROXY name.
func (p *Proxy) URL() string { return "http://" + p.address }

// Address is the proxy's host:port.
func (p *Proxy) Address() string { return p.address }

// Knows makes the proxy reach host:port at another address.
func (p *Proxy) Knows(host, at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts[host] = at
}

// Refuse makes the proxy answer CONNECT with a status.
func (p *Proxy) Refuse(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = status
}

// Asked returns what the proxy was asked for, as "METHOD host:port".
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Credentials returns the Proxy-Authorization headers that came.
func (p *Proxy) Credentials() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if r.Method != http.MethodConnect {
		host = r.URL.Host
	}
	if !strings.Contains(host, ":") {
		host += ":80"
	}
	p.mu.Lock()
	p.asked, p.log = append(p.asked, r.Method+" "+host), append(p.log, r.Header.Get("Proxy-Authorization"))
	at, refuse := p.hosts[host], p.refuse
	p.mu.Unlock()
	switch {
	case refuse != 0 && r.Method == http.MethodConnect:
		w.WriteHeader(refuse)
	case at == "":
		w.WriteHeader(http.StatusBadGateway)
	case r.Method == http.MethodConnect:
		p.tunnel(w, r, at)
	default:
		p.forward(w, r, at)
	}
}

// tunnel joins two connections until one of them ends.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request, at string) {
	there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", at)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	h, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	here, buffered, err := h.Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	p.mu.Lock()
	p.tunnels = append(p.tunnels, here, there)
	p.mu.Unlock()
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(here, there)
		here.Close()
	})
	_, _ = io.Copy(there, buffered)
	there.Close()
	back.Wait()
}

// forward passes a request on, without what is the connection's own.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, at string) {
	out := r.Clone(r.Context())
	out.URL.Host, out.RequestURI = at, ""
	out.Header.Del("Proxy-Authorization")
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler) // whether the target has it nobody knows: the client sees its connection end
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}
