package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// healthcheck says what /readyz says, wherever on this machine the daemon listens.
func TestHealthcheckAsksTheDaemon(t *testing.T) {
	t.Parallel()
	ready := true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/readyz":
			w.WriteHeader(http.StatusNotFound)
		case ready:
			_, _ = w.Write([]byte("ready\n"))
		default:
			http.Error(w, "waiting for Redis", http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	at, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{at.Host, ":" + at.Port(), "0.0.0.0:" + at.Port(), "[::]:" + at.Port(), "localhost:" + at.Port()} {
		if said, err := askReady(t.Context(), listen); err != nil || said != "ready" {
			t.Errorf("%s: %q, %v", listen, said, err)
		}
	}
	ready = false
	if _, err := askReady(t.Context(), at.Host); err == nil || err.Error() != "waiting for Redis" {
		t.Errorf("not ready: %v", err)
	}
	srv.Close()
	if _, err := askReady(t.Context(), at.Host); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("away: %v", err)
	}
}
