package feedback

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/channels/email"
)

// ReadReport reads a mail that came back: a bounce or a complaint (RFC 5965), whose Kind is opted_out. Under keys a report must show the
// proof that went with the mail. A mail that is neither gives no receipts. The errors are those of email.Reports.
func ReadReport(raw []byte, now time.Time, keys ...[]byte) ([]care.Receipt, error) {
	var reports email.Reports
	if len(keys) > 0 {
		reports.Proven = email.NewProofs(keys...).Proven
	}
	receipts, err := reports.Parse(bytes.NewReader(raw), now)
	if errors.Is(err, email.ErrNoReport) {
		return nil, nil // some other mail: an answer, an out-of-office note
	}
	return receipts, err
}

// HashOf returns the fingerprint of an address that a provider names, as those of customers are made; "" if it is none.
func HashOf(key []byte, ch care.Channel, address string) string {
	ok := false
	switch ch {
	case care.Email:
		address, ok = contact.Email(address)
	case care.SMS:
		if n := contact.Readings(address); strings.HasPrefix(address, "+") && len(n) > 0 {
			address, ok = n[0], true // also one that no plan assigns: a no may come from it
		}
	}
	if !ok {
		return ""
	}
	return contact.Hash(key, address)
}

// Redirect is the one address of each channel that everything goes to while carebell is tried out; "" = customers' own.
type Redirect map[care.Channel]string

// Strip takes from receipts what they say of the redirect's address: nothing follows from it for the customer.
func (r Redirect) Strip(receipts []care.Receipt) []care.Receipt {
	for i := range receipts {
		rc := &receipts[i]
		to := r[rc.Channel]
		// Compared as fingerprints are, under no key: an address is written in several ways.
		if to != "" && rc.To != "" && HashOf(nil, rc.Channel, rc.To) == HashOf(nil, rc.Channel, to) {
			rc.Kind = ""
		}
	}
	return receipts
}
