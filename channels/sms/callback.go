package sms

import (
	"crypto/subtle"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/carebell/carebell/care"
)

// maxCallback is the largest callback that is read, in bytes: Tencent sends up to 100 receipts at once.
const maxCallback = 256 << 10

// Callback is what a gateway posted.
type Callback struct {
	Receipts []care.Receipt
	Replies  []Reply
	// Answer is what the gateway wants to hear, with status 200, so that it does not post again.
	Answer      []byte
	ContentType string
}

// Reply is a text that a customer sent.
type Reply struct {
	Gateway string
	ID      string // the gateway's id of the reply; the same on a repeat; "" if it has none
	From    string // the customer's number as the gateway writes it: contact.Readings reads it
	To      string // the number it was sent to
	Text    string
	OptOut  bool // it says stop: by its words, or because the gateway already took it so
	OptIn   bool
	More    bool // and something else, for a person
	At      time.Time

	Countries []string // that the account is for; none = every country
}

// Errors of Callback.
var (
	ErrForged         = errors.New("the callback's signature or token is wrong")
	ErrUnreadable     = errors.New("the callback cannot be read")
	ErrUnknownGateway = errors.New("there is no such gateway")
)

// inbound is a callback as it came, with its body.
type inbound struct {
	*http.Request
	body  []byte
	query url.Values
}

// form returns the fields of a form body; nil if it is none.
func (in *inbound) form() url.Values {
	kind, _, _ := mime.ParseMediaType(in.Header.Get("Content-Type"))
	if in.Method != http.MethodPost || (kind != "application/x-www-form-urlencoded" && kind != "") {
		return nil
	}
	v, err := url.ParseQuery(string(in.body))
	if err != nil {
		return nil
	}
	return v
}

// Callback reads and checks what was posted to /hooks/sms/<gateway>: receipts or replies. It fails with ErrUnknownGateway,
// ErrForged (answer 403) or ErrUnreadable (answer 400). Receipts may come in any order, early, and more than once.
func (s *Sender) Callback(gateway string, r *http.Request) (*Callback, error) {
	route := s.route(gateway)
	if route == nil {
		return nil, ErrUnknownGateway
	}
	in := &inbound{Request: r, query: r.URL.Query()}
	if r.Body != nil {
		var err error
		if in.body, err = io.ReadAll(io.LimitReader(r.Body, maxCallback+1)); err != nil || len(in.body) > maxCallback {
			return nil, ErrUnreadable
		}
	}
	return route.gateway.callback(in)
}

// ParseReceipts is Callback for those who want receipts only.
func (s *Sender) ParseReceipts(gateway string, r *http.Request) ([]care.Receipt, error) {
	c, err := s.Callback(gateway, r)
	if err != nil {
		return nil, err
	}
	return c.Receipts, nil
}

// ParseReplies is Callback for those who want replies only.
func (s *Sender) ParseReplies(gateway string, r *http.Request) ([]Reply, error) {
	c, err := s.Callback(gateway, r)
	if err != nil {
		return nil, err
	}
	return c.Replies, nil
}

// trusted checks the token of gateways that do not sign: that of any of the keys, so that a new key cuts nobody off. Without a secret
// nothing is trusted.
func (p *provider) trusted(in *inbound) error {
	got, ok := []byte(in.query.Get("token")), 0
	for _, token := range p.tokens {
		ok |= subtle.ConstantTimeCompare([]byte(token), got)
	}
	if ok != 1 {
		return ErrForged
	}
	return nil
}

// receipt begins a receipt of this gateway.
func (p *provider) receipt(wireID, providerID string) care.Receipt {
	return care.Receipt{ID: occurrence(wireID), Channel: care.SMS, Gateway: p.Name, ProviderID: providerID, At: p.clock()}
}

// occurrence returns the occurrence's id of an id on the wire; "" if it is none of ours.
func occurrence(wireID string) string {
	id, channel := wireID, ""
	if n := len(wireID) - len("-sms"); n > 0 {
		id, channel = wireID[:n], wireID[n:]
	}
	if channel != "-sms" || care.ShardOf(id) < 0 {
		return ""
	}
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return ""
		}
	}
	return id
}
