package webhook_test

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/channeltest"
	"github.com/carebell/carebell/channels/webhook"
)

// TestWebhooksGoThroughTheProxy posts to endpoints that only the proxy can find. What the book names must still be public.
func TestWebhooksGoThroughTheProxy(t *testing.T) {
	taken := 0
	handle := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { taken++ })
	plain, secure := httptest.NewServer(handle), httptest.NewUnstartedServer(handle)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	proxy := channeltest.NewProxy(t)
	proxy.Knows("hooks.example.com:80", plain.Listener.Addr().String())
	proxy.Knows("hooks.example.com:443", secure.Listener.Addr().String())
	proxy.Knows("10.0.0.9:80", plain.Listener.Addr().String())
	proxy.Knows("10.0.0.9:443", secure.Listener.Addr().String())
	t.Setenv("HTTP_PROXY", proxy.URL())
	t.Setenv("HTTPS_PROXY", proxy.URL())
	t.Setenv("NO_PROXY", "")
	for _, url := range []string{"http://hooks.example.com/canary", "https://hooks.example.com/canary"} {
		s, err := webhook.New(webhook.Config{
			URL: url, Secrets: []string{secret1}, Clock: testClock, TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if _, err := s.Send(t.Context(), testMessage()); err != nil {
			t.Fatal(err)
		}
		for _, inside := range []string{"http://10.0.0.9/", "https://10.0.0.9/", "http://metadata.google.internal/", "http://2130706433/"} {
			m := testMessage()
			m.To = inside
			if _, err := s.Send(t.Context(), m); care.KindOf(err) != care.KindContent {
				t.Errorf("%s: %v", inside, err)
			}
		}
	}
	if diff := cmp.Diff([]string{"POST hooks.example.com:80", "CONNECT hooks.example.com:443"}, proxy.Asked()); diff != "" || taken != 2 {
		t.Errorf("%d arrived; asked (-want +got):\n%s", taken, diff)
	}
}
