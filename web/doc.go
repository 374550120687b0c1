// Package web is what people and other programs reach carebell by over HTTP. It joins two listeners: the private one with health,
// readiness, metrics, the console (web/console) and the JSON API (web/api), and the public one with the customers' pages (web/public)
// and the callbacks of gateways and mail servers (web/hooks).
//
// What it promises: the private listener answers only under its own names and to who has the token; probes and Prometheus need
// neither. No other site's page can act in the name of a browser that is logged in. Every answer carries the security headers, no
// cookie is set, and who asks too much is slowed down. No address, name, text or token is logged. What it does not do: read the
// answers of gateways (channels), decide anything (service) or keep anything (store).
package web
