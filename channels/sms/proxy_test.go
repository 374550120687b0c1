package sms_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/channels/channeltest"
	"github.com/carebell/carebell/channels/sms"
)

// TestTextsGoThroughTheProxy sends to a gateway that only the proxy can find, in the clear and over TLS, and past the proxy to one that
// NO_PROXY names.
func TestTextsGoThroughTheProxy(t *testing.T) {
	taken := 0
	handle := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		taken++
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "0: Accepted for delivery")
	})
	plain, secure := httptest.NewServer(handle), httptest.NewUnstartedServer(handle)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	proxy := channeltest.NewProxy(t)
	proxy.Knows("sms.example.com:13013", plain.Listener.Addr().String())
	proxy.Knows("sms.example.com:443", secure.Listener.Addr().String())
	t.Setenv("HTTP_PROXY", proxy.URL())
	t.Setenv("HTTPS_PROXY", proxy.URL())
	t.Setenv("NO_PROXY", "none.example.com")
	for _, url := range []string{"http://sms.example.com:13013/", "https://sms.example.com/"} {
		s := newSender(t, sms.Config{
			Gateways: []sms.Gateway{{Name: "kannel", User: "care", URL: url}}, TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		})
		for range 2 {
			if _, err := s.Send(t.Context(), testMessage()); err != nil {
				t.Fatal(err)
			}
		}
	}
	asked := proxy.Asked()
	if len(asked) != 3 || taken != 4 {
		t.Fatalf("%d texts arrived, the proxy was asked for %q", taken, asked)
	}
	if diff := cmp.Diff([]string{"GET sms.example.com:13013", "GET sms.example.com:13013", "CONNECT sms.example.com:443"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	s := newSender(t, sms.Config{Gateways: []sms.Gateway{{Name: "kannel", User: "care", URL: "http://none.example.com/"}}})
	if _, err := s.Send(t.Context(), testMessage()); err == nil || len(proxy.Asked()) != 3 {
		t.Errorf("NO_PROXY: %v, the proxy was asked for %q", err, proxy.Asked()[3:])
	}
}
