// Package auth tells who asks on the private listener.
//
// What it promises: with a token set, nothing is answered without it, and who guesses has to wait; the principal of each request is in
// its context. A request without one is nobody's, and the services show nobody anything. It knows one token so far and no users.
package auth

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/web/httpx"
)

type key struct{}

// Of returns who asks; nobody if the request came through no guard.
func Of(r *http.Request) care.Principal {
	who, _ := r.Context().Value(key{}).(care.Principal)
	return who
}

// as makes a request one of a principal.
func as(who care.Principal, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, who)))
	})
}

// Guard asks for CARE_CONSOLE_TOKEN.
type Guard struct {
	token   string
	proxies []netip.Prefix
	guesses *httpx.Limiter
}

// Wrong tokens per second and client, after a first burst, before it has to wait.
const (
	tokensPerSecond = 0.2
	tokensBurst     = 10
)

// NewGuard returns a guard that asks for the token; "" = the listener is on loopback and asks for none. proxies are those whose
// X-Forwarded-For is believed. Without a clock guesses are not bounded.
func NewGuard(token string, proxies []netip.Prefix, now func() time.Time) *Guard {
	g := &Guard{token: token, proxies: proxies}
	if now != nil {
		g.guesses = httpx.NewLimiter(tokensPerSecond, tokensBurst, now)
	}
	return g
}

// Protect asks for the token as a bearer (RFC 6750) or as the password of basic authentication, for browsers. After a number of wrong
// ones a client waits: until then even the right token is not looked at, so that guessing tells nothing. Who has the token may do
// everything; without one the operator at this machine asks.
func (g *Guard) Protect(next http.Handler) http.Handler {
	if g.token == "" {
		return as(care.Principal{Name: "this machine", Role: "operator"}, next)
	}
	next = as(care.Principal{Name: "console token", Role: "admin"}, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := httpx.ClientOf(r, g.proxies)
		if g.guesses != nil && g.guesses.Spent(client) {
			httpx.TooMany(w)
			return
		}
		if !httpx.SameSecret(httpx.SecretOf(r), g.token) {
			// A browser's first request carries no password at all: that is no guess.
			if g.guesses != nil && r.Header.Get("Authorization") != "" {
				g.guesses.Take(client)
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="carebell", charset="UTF-8"`)
			httpx.Plain(w, http.StatusUnauthorized, "this page needs CARE_CONSOLE_TOKEN\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}
