// Package console is what people and other programs reach carebell by over HTTP: on the private listener health, readiness,
// metrics, the start page, the customers' timelines and a small JSON API; on the public one the customers' own pages, the
// calendar file of an event, and the callbacks of gateways and mail servers.
//
// What it promises: GET and HEAD change nothing, but for the receipts of gateways that know no other method (Kannel), which need
// their secret; a link works only with a token we signed; pages need no script and no cookie; nothing on a public page names a
// customer or shows a whole number plate, because links are forwarded; an opt-out is on record before the page says so, and is
// taken even for a customer whose record is gone; a body is bounded, and who guesses is slowed down. No address, name, text or
// token is logged. What it does not do: read the answers of gateways (channels) or keep anything itself (store).
package console
