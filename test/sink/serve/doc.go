// Package serve is the sink's server: an SMTP server and an HTTP server (webhooks and SMS gateways) that write down whatever they accept
// before they say so, and do wrong what they are told to.
//
// It promises that an accept is on the disk (fsync) before its answer leaves, whatever the faults, and that the journal can be read
// after the process was killed. It doesn't promise to be a good mail server: it knows the verbs that a client of one message after
// another needs, neither TLS nor authentication, and relays nothing.
package serve
