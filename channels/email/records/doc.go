// Package records looks at what a domain publishes for the mail that is sent in its name: SPF (RFC 7208), the DKIM key (RFC 6376), DMARC
// (RFC 7489), and the names of the machine that sends.
//
// What it promises: it asks nothing but the resolver that is handed in, each question once; an answer that could not be had is an error
// and no finding. What it does not do: it sends nothing, and it does not judge whether a mail would be taken.
package records
