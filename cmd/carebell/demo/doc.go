// Package demo runs a whole dealership on one machine with nothing installed: an embedded Redis-compatible store, an SMTP server,
// an SMS gateway and a webhook endpoint on loopback, three hundred made-up customers of two dealers, and a clock that runs a day
// a second and stands still while messages are in flight. What it sends goes through the same planner, queue, templates and
// channels as in production, over real sockets; only the store's and the providers' processes are inside this one.
package demo
