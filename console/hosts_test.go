package console_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/carebell/carebell/console"
)

// TestAStrangersNameIsRefused asks the console as a page does that has its own name resolve to this machine (DNS rebinding).
func TestAStrangersNameIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		listen, url, host, local string
		want                     bool
	}{
		{"127.0.0.1:8080", "", "127.0.0.1:8080", "", true},
		{"127.0.0.1:8080", "", "127.0.0.1", "", true},
		{"127.0.0.1:8080", "", "127.8.9.10:1", "", true},
		{"127.0.0.1:8080", "", "localhost:9999", "", true},
		{"127.0.0.1:8080", "", "LOCALHOST", "", true},
		{"127.0.0.1:8080", "", "localhost.", "", true},
		{"127.0.0.1:8080", "", "[::1]", "", true},
		{"127.0.0.1:8080", "", "[::1]:8080", "", true},
		{"127.0.0.1:8080", "", "[::ffff:127.0.0.1]:8080", "", true},
		{"127.0.0.1:8080", "", "attacker.example:8080", "", false},
		{"127.0.0.1:8080", "", "attacker.example", "127.0.0.1:8080", false},
		{"127.0.0.1:8080", "", "127.0.0.1.nip.io", "127.0.0.1:8080", false},
		{"127.0.0.1:8080", "", "127.0.0.1.nip.io:8080", "127.0.0.1:8080", false},
		{"127.0.0.1:8080", "", "localhost.attacker.example", "127.0.0.1:8080", false},
		{"127.0.0.1:8080", "", "attacker.example.", "127.0.0.1:8080", false},
		{"127.0.0.1:8080", "", "", "127.0.0.1:8080", false},
		{"127.0.0.1:8080", "", ":8080", "127.0.0.1:8080", false},
		{"127.0.0.1:8080", "", "127.0.0.1:x", "", false},
		{"127.0.0.1:8080", "", "127.0.0.1:80@attacker.example", "", false},
		{"127.0.0.1:8080", "", "[localhost]", "", false},
		{"127.0.0.1:8080", "", "::1", "", false}, // an address with colons stands in brackets
		{"127.0.0.1:8080", "", "2130706433", "", false},
		{"127.0.0.1:8080", "", "0.0.0.0:8080", "127.0.0.1:8080", false},
		{"127.0.0.1:8080", "", "[::ffff:192.0.2.1]", "127.0.0.1:8080", false},
		{"192.0.2.7:8080", "", "192.0.2.7", "", true},
		{"192.0.2.7:8080", "", "[::ffff:192.0.2.7]:8080", "", true},
		{"192.0.2.7:8080", "", "192.0.2.8", "", false},
		{"desk.internal:8080", "", "Desk.Internal.:80", "", true},
		{"0.0.0.0:8080", "", "10.1.2.3:8080", "10.1.2.3:8080", true},
		{"[::]:8080", "", "10.1.2.3:8080", "[::ffff:10.1.2.3]:8080", true},
		{"[::]:8080", "", "[fe80::1]:8080", "[fe80::1%eth0]:8080", true},
		{":8080", "", "10.1.2.4:8080", "10.1.2.3:8080", false},
		{":8080", "", "attacker.example", "10.1.2.3:8080", false},
		{"127.0.0.1:8080", "https://Care.Dealer.example/console", "care.dealer.example", "", true},
		{"127.0.0.1:8080", "https://care.dealer.example:8443", "care.dealer.example:1", "", true},
		{"127.0.0.1:8080", "https://care.dealer.example", "dealer.example", "", false},
		{"127.0.0.1:8080", "https://care.dealer.example", "x.care.dealer.example", "", false},
	} {
		p := private(staffed(), "")
		p.Hosts = console.NewHosts(tt.listen, tt.url)
		h := p.Handler()
		for _, path := range []string{"/", "/api/v1/customers/C1/timeline", "/tasks", "/nothing", "/healthz/"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			if r.Host = tt.host; tt.local != "" {
				at, err := net.ResolveTCPAddr("tcp", tt.local)
				if err != nil {
					t.Fatal(err)
				}
				r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(at)))
			}
			if w := serve(t, h, r); (w.Code != http.StatusMisdirectedRequest) != tt.want {
				t.Errorf("%s, console at %q: Host %q, connection to %q: %s gives %d", tt.listen, tt.url, tt.host, tt.local, path, w.Code)
			}
		}
	}
}

// TestProbesComeUnderAnyName: the kubelet and Prometheus ask a pod by its address.
func TestProbesComeUnderAnyName(t *testing.T) {
	t.Parallel()
	p := private(staffed(), "token")
	p.Ready = func(context.Context) error { return nil }
	p.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	p.Hosts = console.NewHosts("0.0.0.0:8080")
	h := p.Handler()
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		for _, host := range []string{"10.1.2.3:8080", "carebell.care.svc", ""} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = host
			if w := serve(t, h, r); w.Code != http.StatusOK {
				t.Errorf("%s under %q: %d", path, host, w.Code)
			}
		}
	}
}

// TestAStrangersNameIsNoGuess: who has the wrong name neither spends guesses nor learns whether a token is right.
func TestAStrangersNameIsNoGuess(t *testing.T) {
	t.Parallel()
	h := private(staffed(), "right").Handler()
	for _, token := range []string{"right", "wrong"} {
		for range 30 {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Host = "attacker.example"
			r.Header.Set("Authorization", "Bearer "+token)
			if w := serve(t, h, r); w.Code != http.StatusMisdirectedRequest {
				t.Fatalf("%s: %d", token, w.Code)
			}
		}
	}
}
