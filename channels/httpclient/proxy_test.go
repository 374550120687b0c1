package httpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/channeltest"
)

// throughProxy sets the environment to a proxy that knows two servers, one of which speaks TLS.
func throughProxy(t *testing.T, handle http.HandlerFunc) (*channeltest.Proxy, *tls.Config) {
	t.Helper()
	proxy := channeltest.NewProxy(t)
	plain, secure := httptest.NewServer(handle), httptest.NewUnstartedServer(handle)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	proxy.Knows("plain.example.com:80", plain.Listener.Addr().String())
	proxy.Knows("secure.example.com:443", secure.Listener.Addr().String())
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, strings.Replace(proxy.URL(), "http://", "http://care:canary@", 1))
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	return proxy, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}

func post(ctx context.Context, c *Client, url string) (*Answer, error) {
	return c.Do(ctx, &Request{Method: http.MethodPost, URL: url, Body: []byte("canary")})
}

func TestRequestsGoThroughTheProxy(t *testing.T) {
	proxy, trust := throughProxy(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	c := New(Config{TLS: trust})
	defer c.Close()
	for _, url := range []string{"http://plain.example.com/send", "https://secure.example.com/send", "https://secure.example.com/send"} {
		a, err := post(t.Context(), c, url)
		if err != nil || a.Status != http.StatusOK || string(a.Body) != "canary" {
			t.Fatalf("%s: %+v, %v", url, a, err)
		}
	}
	if diff := cmp.Diff([]string{"POST plain.example.com:80", "CONNECT secure.example.com:443"}, proxy.Asked()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	for _, got := range proxy.Credentials() {
		if got != "Basic Y2FyZTpjYW5hcnk=" {
			t.Errorf("Proxy-Authorization %q", got)
		}
	}
	// A client is bound to the environment that it was made in.
	t.Setenv("NO_PROXY", "example.com")
	t.Setenv("no_proxy", "example.com")
	if _, err := post(t.Context(), c, "http://plain.example.com/"); err != nil {
		t.Error(err)
	}
	direct := New(Config{})
	defer direct.Close()
	var dialled string
	direct.dialled(func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = address
		return nil, errors.New("enough")
	})
	if _, err := post(t.Context(), direct, "https://secure.example.com/"); err == nil || dialled != "secure.example.com:443" {
		t.Errorf("NO_PROXY: %q was dialled, %v", dialled, err)
	}
}

// TestWhatAProxyDoes holds what is known of a request when a proxy stands between.
func TestWhatAProxyDoes(t *testing.T) { //nolint:paralleltest // it sets the environment
	var taken atomic.Int32
	drop := func(w http.ResponseWriter, _ *http.Request) {
		taken.Add(1)
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			c.Close()
		}
	}
	proxy, trust := throughProxy(t, drop)
	for name, tt := range map[string]struct {
		url    string
		refuse int
		kind   care.Kind
		code   string
		asked  int
	}{
		"CONNECT refused":           {"https://secure.example.com/", http.StatusForbidden, care.KindRetry, "proxy 403", 1},
		"CONNECT without a log-in":  {"https://secure.example.com/", http.StatusProxyAuthRequired, care.KindOperator, "proxy 407", 1},
		"no such host behind it":    {"https://other.example.com/", 0, care.KindRetry, "proxy 502", 1},
		"dropped behind CONNECT":    {"https://secure.example.com/", 0, care.KindUncertain, "broken", 1},
		"dropped behind plain HTTP": {"http://plain.example.com/", 0, care.KindUncertain, "broken", 1},
	} {
		before, had := len(proxy.Asked()), taken.Load()
		proxy.Refuse(tt.refuse)
		c := New(Config{TLS: trust, Timeout: 10 * time.Second})
		_, err := post(t.Context(), c, tt.url)
		e, ok := errors.AsType[*care.Error](err)
		if !ok || e.Kind != tt.kind || e.Code != tt.code || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "example") {
			t.Errorf("%s: %v, want %s %s", name, err, tt.kind, tt.code)
		}
		if n := len(proxy.Asked()) - before; n != tt.asked {
			t.Errorf("%s: the proxy was asked %d times", name, n)
		}
		if reached := taken.Load() > had; reached != (tt.kind == care.KindUncertain) {
			t.Errorf("%s: the target was reached: %v", name, reached)
		}
		c.Close()
	}
}

func TestADeadAndASilentProxy(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = http.ReadRequest(bufio.NewReader(c))
		<-stop
	}()
	t.Setenv("HTTPS_PROXY", "http://"+ln.Addr().String())
	c := New(Config{Timeout: 300 * time.Millisecond})
	_, err = post(t.Context(), c, "https://secure.example.com/")
	if e, ok := errors.AsType[*care.Error](err); !ok || e.Kind != care.KindRetry || e.Code != "timeout" || e.Tries != 0 {
		t.Errorf("silent: %v", err)
	}
	close(stop)
	wait(t, done, "the end of the proxy")
	ln.Close()
	_, err = post(t.Context(), c, "https://secure.example.com/")
	if e, ok := errors.AsType[*care.Error](err); !ok || e.Kind != care.KindRetry || e.Code != "connect" && e.Code != "timeout" {
		t.Errorf("dead: %v", err)
	}
	c.Close()
}

// TestTheGuardHoldsThroughAProxy: the proxy lies inside of the network, and so does what it can reach.
func TestTheGuardHoldsThroughAProxy(t *testing.T) { //nolint:paralleltest // it sets the environment
	proxy, trust := throughProxy(t, func(http.ResponseWriter, *http.Request) {})
	resolved := map[string][]string{
		"plain.example.com": {"8.8.8.8", "2606:4700::1111"}, "rebound.example.com": {"8.8.8.8", "169.254.169.254"},
		"intern.example.com": {"10.0.0.7"}, "six.example.com": {"64:ff9b::a00:7"},
	}
	guard := NewGuard([]string{"allowed.internal", "10.1.1.1"})
	guard.resolve = func(_ context.Context, _, host string) ([]netip.Addr, error) {
		var all []netip.Addr
		for _, s := range resolved[host] {
			all = append(all, netip.MustParseAddr(s))
		}
		if len(all) == 0 {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}
		return all, nil
	}
	c := New(Config{TLS: trust, Guard: guard})
	defer c.Close()
	for _, host := range []string{
		"10.0.0.7", "169.254.169.254", "192.168.1.1:8080", "[fd00::1]", "[::ffff:10.0.0.7]", "[fe80::1%25eth0]", "100.100.100.200", "127.0.0.1", "localhost",
		"2130706433", "127.1", "10.7", "0x7f000001", "0x7f.0.0.1", "017700000001", "10.0.0.7.", "１０.0.0.7", "10。0。0。7", "①0.0.0.7",
		"printer", "metadata.google.internal", "METADATA.GOOGLE.INTERNAL.", "a.localhost", "nas.local", "router.lan", "x.home.arpa", "x.corp",
		"rebound.example.com", "intern.example.com", "six.example.com",
	} {
		for _, scheme := range []string{"http", "https"} {
			_, err := post(t.Context(), c, scheme+"://"+host+"/canary")
			if e, ok := errors.AsType[*care.Error](err); !ok || e.Kind != care.KindContent || e.Code != "blocked_address" && e.Code != "bad_url" {
				t.Errorf("%s://%s: %v", scheme, host, err)
			}
		}
	}
	if asked := proxy.Asked(); len(asked) != 0 {
		t.Fatalf("the proxy was asked for %q", asked)
	}
	for _, host := range []string{"plain.example.com", "unknown.example.com", "allowed.internal", "ALLOWED.internal.", "10.1.1.1", "8.8.8.8", "[2606:4700::1111]"} {
		if _, err := post(t.Context(), c, "http://"+host+"/"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if asked := proxy.Asked(); len(asked) != 7 {
		t.Errorf("the proxy was asked for %q", asked)
	}
	// The proxy's own address is allowed as a proxy, and no target: not over itself, and not past it.
	own := proxy.URL() + "/canary"
	if _, err := post(t.Context(), c, own); care.KindOf(err) != care.KindContent {
		t.Errorf("the proxy as a target: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := post(ctx, c, "http://plain.example.com/"); care.KindOf(err) != care.KindRetry || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestProbe(t *testing.T) { //nolint:paralleltest // it sets the environment
	requests := 0
	proxy, _ := throughProxy(t, func(http.ResponseWriter, *http.Request) { requests++ })
	probe := func(raw string) (string, error) {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return Probe(ctx, u)
	}
	for raw, want := range map[string]struct {
		via string
		ok  bool
	}{
		"https://secure.example.com/canary": {proxy.Address(), true}, "https://unknown.example.com/": {proxy.Address(), false},
		"http://plain.example.com/canary": {proxy.Address(), true}, proxy.URL(): {"", true}, "http://127.0.0.1:1/": {"", false},
	} {
		via, err := probe(raw)
		if via != want.via || (err == nil) != want.ok || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %q, %v", raw, via, err)
		}
	}
	if requests != 0 {
		t.Errorf("%d requests", requests)
	}
}

// TestPrivateCertificateAuthority asks a server with SSL_CERT_FILE and without. Roots are read once per process.
func TestPrivateCertificateAuthority(t *testing.T) {
	t.Parallel()
	const at = "CAREBELL_TEST_SERVER"
	if server := os.Getenv(at); server != "" {
		c := New(Config{})
		defer c.Close()
		_, err := post(t.Context(), c, server)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.StartTLS()
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, trusted := range []bool{true, false} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPrivateCertificateAuthority$")
		cmd.Env = append(os.Environ(), at+"="+srv.URL)
		if trusted {
			cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+file)
		}
		out, err := cmd.CombinedOutput()
		if (err == nil) != trusted || !trusted && !strings.Contains(string(out), "retry tls") {
			t.Errorf("trusted %v: %v\n%s", trusted, err, out)
		}
	}
}
