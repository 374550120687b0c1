package console

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// Private is what the private listener serves.
type Private struct {
	// Ready tells why the daemon cannot do its work now; nil = it can.
	Ready   func(ctx context.Context) error
	Metrics http.Handler
	Token   string // CARE_CONSOLE_TOKEN; "" = the listener is on loopback and asks for none
	Hosts   Hosts  // the names it answers to besides loopback's
	Desk    Desk   // nil = there are no pages of our own
	// Pages are more pages, by the mux's pattern; they win over ours of the same pattern. They may bring styles of their own.
	Pages          map[string]http.Handler
	TrustedProxies []netip.Prefix
	Now            func() time.Time // nil = no limit on guesses
	Log            *slog.Logger

	guesses *limiter
}

// Wrong tokens per client, before it has to wait.
const (
	tokensPerSecond = 0.2
	tokensBurst     = 10
)

// Handler returns the private listener's routes. /healthz, /readyz and /metrics are open; everything else has to be asked for under
// one of the listener's own names, and asks for the token.
func (p *Private) Handler() http.Handler {
	if p.Now != nil {
		p.guesses = newLimiter(rate.Limit(tokensPerSecond), tokensBurst, p.Now)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "alive\n") })
	mux.HandleFunc("GET /readyz", p.ready)
	mux.Handle("GET /metrics", p.Metrics)
	for pattern, page := range p.Pages {
		mux.Handle(pattern, p.guard(secure(guestPolicy, page)))
	}
	for _, r := range p.routes() {
		if _, taken := p.Pages[r.pattern]; !taken {
			mux.Handle(r.pattern, p.guard(r.handler))
		}
	}
	// A browser that is logged in must not be made to act by another site's page, nor to read for one.
	return secure(policy, p.Hosts.Guard(http.NewCrossOriginProtection().Handler(mux), "/healthz", "/readyz", "/metrics"))
}

// routes are the pages of our own and the API.
func (p *Private) routes() []route {
	if p.Desk == nil {
		return nil
	}
	return []route{
		{"GET /{$}", p.start},
		{"GET /console", p.start}, // also where a page of the same name took the start
		{"GET /customers/{id}", p.customer},
		{"GET /tasks", p.tasks},
		{"POST /tasks/done", p.tickOff},
		{"GET /api/v1/status", p.apiStatus},
		{"GET /api/v1/messages", p.apiMessages},
		{"GET /api/v1/customers/{id}/timeline", p.apiTimeline},
		{"GET /api/v1/tasks", p.apiTasks},
		{"POST /api/v1/tasks/done", p.apiTickOff},
		{"GET /api/v1/openapi.json", p.apiDocument},
	}
}

func (p *Private) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		plain(w, http.StatusServiceUnavailable, fmt.Sprintf("not ready: %v\n", err))
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

// guard asks for the token as a bearer (RFC 6750) or as the password of basic authentication, for browsers. After a number of wrong
// ones a client waits: until then even the right token is not looked at, so that guessing tells nothing.
func (p *Private) guard(next http.Handler) http.Handler {
	if p.Token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := clientOf(r, p.TrustedProxies)
		if p.guesses != nil && p.guesses.spent(client) {
			tooMany(w)
			return
		}
		if !sameSecret(secretOf(r), p.Token) {
			// A browser's first request carries no password at all: that is no guess.
			if p.guesses != nil && r.Header.Get("Authorization") != "" {
				p.guesses.take(client)
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="carebell", charset="UTF-8"`)
			plain(w, http.StatusUnauthorized, "this page needs CARE_CONSOLE_TOKEN\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}
