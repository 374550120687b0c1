package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Private is what the private listener serves.
type Private struct {
	// Ready tells why the daemon cannot do its work now; nil = it can.
	Ready   func(ctx context.Context) error
	Metrics http.Handler
	Token   string // CARE_CONSOLE_TOKEN; "" = the listener is on loopback and asks for none
	Pages   map[string]http.Handler
	Log     *slog.Logger
}

// Handler returns the private listener's routes. /healthz, /readyz and /metrics are open; everything else asks for the token.
func (p *Private) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "alive\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := p.Ready(ctx); err != nil {
			plain(w, http.StatusServiceUnavailable, fmt.Sprintf("not ready: %v\n", err))
			return
		}
		plain(w, http.StatusOK, "ready\n")
	})
	mux.Handle("GET /metrics", p.Metrics)
	for pattern, page := range p.Pages {
		mux.Handle(pattern, p.guard(page))
	}
	return secure(mux)
}

// guard asks for the token as a bearer (RFC 6750) or as the password of basic authentication, for browsers.
func (p *Private) guard(next http.Handler) http.Handler {
	if p.Token == "" {
		return next
	}
	want := sha256.Sum256([]byte(p.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := ""
		if _, password, ok := r.BasicAuth(); ok {
			got = password
		} else if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			got = bearer
		}
		// Hashes have one length, so the comparison takes the same time whatever was guessed.
		sum := sha256.Sum256([]byte(got))
		if subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="carebell", charset="UTF-8"`)
			plain(w, http.StatusUnauthorized, "this page needs CARE_CONSOLE_TOKEN\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// secure sets the headers that every answer carries: nothing is framed, sniffed, cached or loaded from elsewhere.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; frame-src 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// Server returns an HTTP server with the limits that a server on a network needs.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           http.MaxBytesHandler(handler, 1<<20),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
