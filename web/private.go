package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/carebell/carebell/web/api"
	"github.com/carebell/carebell/web/auth"
	"github.com/carebell/carebell/web/console"
	"github.com/carebell/carebell/web/httpx"
	"github.com/carebell/carebell/web/page"
)

// Service is what the console and the API ask (operate.Console).
type Service interface {
	console.Service
	api.Service
}

// Private is what the private listener serves.
type Private struct {
	// Ready tells why the daemon cannot do its work now; nil = it can.
	Ready   func(ctx context.Context) error
	Metrics http.Handler
	Token   string      // CARE_CONSOLE_TOKEN; "" = the listener is on loopback and asks for none
	Hosts   httpx.Hosts // the names it answers to besides loopback's
	Service Service     // nil = there are no pages of our own
	// Pages are more pages, by the mux's pattern; they win over ours of the same pattern. They may bring styles of their own.
	Pages          map[string]http.Handler
	TrustedProxies []netip.Prefix
	Now            func() time.Time // nil = no limit on guesses
	Log            *slog.Logger
}

// guestPolicy is the policy of pages that others hang into the private listener: they may bring styles and frames of their own.
const guestPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'self'; frame-src 'self'"

// Handler returns the private listener's routes. /healthz, /readyz and /metrics are open; everything else has to be asked for under
// one of the listener's own names, and asks for the token.
func (p *Private) Handler() http.Handler {
	guard := auth.NewGuard(p.Token, p.TrustedProxies, p.Now)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", p.ready)
	mux.Handle("GET /metrics", p.Metrics)
	for pattern, guest := range p.Pages {
		mux.Handle(pattern, guard.Protect(httpx.Secure(guestPolicy, guest)))
	}
	for _, r := range p.routes() {
		if _, taken := p.Pages[r.Pattern]; !taken {
			mux.Handle(r.Pattern, guard.Protect(r.Handler))
		}
	}
	// A browser that is logged in must not be made to act by another site's page, nor to read for one.
	return httpx.Secure(page.Policy, p.Hosts.Guard(http.NewCrossOriginProtection().Handler(mux), "/healthz", "/readyz", "/metrics"))
}

// routes are the pages of our own and the API.
func (p *Private) routes() []httpx.Route {
	if p.Service == nil {
		return nil
	}
	return slices.Concat(console.New(p.Service, p.Log).Routes(), api.New(p.Service, p.Log).Routes())
}

// healthy says that the process is alive.
func healthy(w http.ResponseWriter, _ *http.Request) { httpx.Plain(w, http.StatusOK, "alive\n") }

func (p *Private) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		httpx.Plain(w, http.StatusServiceUnavailable, fmt.Sprintf("not ready: %v\n", err))
		return
	}
	httpx.Plain(w, http.StatusOK, "ready\n")
}
