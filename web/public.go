package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/hooks"
	"github.com/carebell/carebell/web/httpx"
	"github.com/carebell/carebell/web/page"
	"github.com/carebell/carebell/web/public"
)

// requestsPerSecond and requestsBurst guard the machine: the requests of one client, whatever they are for.
const requestsPerSecond, requestsBurst = 500, 10_000

// Public is what the public listener serves: the customers' pages and the callbacks of gateways.
type Public struct {
	Signer         *token.Signer
	Feedback       *feedback.Service
	Gateways       hooks.Gateways // nil = there is no /hooks
	BounceSecrets  []string       // for /hooks/email/bounce, any of them; none = there is no such address
	Mail           hooks.Mail     // what mail providers post
	TrustedProxies []netip.Prefix
	Now            func() time.Time
	Log            *slog.Logger
}

// Handler returns the public listener's routes.
func (p *Public) Handler() http.Handler {
	routes, notFound := p.routes()
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.Pattern, r.Handler)
	}
	mux.HandleFunc("/", notFound)
	requests := httpx.NewLimiter(requestsPerSecond, requestsBurst, p.Now)
	return httpx.Secure(page.Policy, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !requests.Take(httpx.ClientOf(r, p.TrustedProxies)) {
			httpx.TooMany(w)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// routes lists everything that the listener answers to, and what answers for the rest. Wrong links and wrong secrets count together.
func (p *Public) routes() ([]httpx.Route, http.HandlerFunc) {
	guesses := httpx.NewGuesses(p.TrustedProxies, p.Now)
	pages := public.New(p.Signer, p.Feedback, guesses, p.Log)
	list := []httpx.Route{
		{Pattern: "GET /healthz", Handler: healthy},
		{Pattern: "GET /robots.txt", Handler: func(w http.ResponseWriter, _ *http.Request) {
			httpx.Plain(w, http.StatusOK, "User-agent: *\nDisallow: /\n")
		}},
	}
	list = slices.Concat(list, pages.Routes())
	if p.Gateways != nil {
		list = slices.Concat(list, hooks.New(p.Gateways, p.Feedback, p.BounceSecrets, p.Mail, guesses, p.Log).Routes())
	}
	return list, pages.NotFound
}
