// Package httpx has what every listener of carebell owes a network: security headers, bounds on bodies, requests and guesses, the
// check of the Host header, and whose request it is behind proxies.
//
// What it promises: a body is bounded, who sends or reads too slowly is cut off, what a stranger writes into X-Forwarded-For is never
// believed, and secrets are compared in constant time. It knows no page and no route.
package httpx
