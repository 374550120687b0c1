package email

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// absent are signed once more than they are there: none can be added later (RFC 6376 section 8.15).
var absent = []string{
	"From", "To", "Cc", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "List-Unsubscribe",
	"List-Unsubscribe-Post",
}

// signingKey signs the mails of a domain.
type signingKey struct {
	domain  string
	options dkim.SignOptions
}

// keys makes the signing keys, and tries each.
func (cfg *Config) keys() ([]*signingKey, error) {
	var out []*signingKey
	for i, k := range cfg.DKIM {
		domain := strings.ToLower(k.Domain)
		key := &signingKey{domain, dkim.SignOptions{
			Domain: domain, Selector: k.Selector, Signer: k.Key,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		}}
		if _, err := key.sign([]byte("From: a\r\n\r\n")); err != nil {
			return nil, fmt.Errorf("email: DKIM key %d: %w", i+1, err)
		}
		out = append(out, key)
	}
	return out, nil
}

// key returns the key for a From address: that of its domain or a domain above, else the first; nil without keys.
func (s *Sender) key(from string) *signingKey {
	if len(s.keys) == 0 {
		return nil
	}
	domain := strings.ToLower(from[strings.LastIndexByte(from, '@')+1:])
	var best *signingKey
	for _, k := range s.keys {
		if (domain == k.domain || strings.HasSuffix(domain, "."+k.domain)) && (best == nil || len(k.domain) > len(best.domain)) {
			best = k
		}
	}
	if best == nil {
		best = s.keys[0]
	}
	return best
}

// sign returns the DKIM-Signature field for a finished mail, with its line end. Every header field that is there is under it, among them
// the List-Unsubscribe pair, as RFC 8058 section 4 wants, and so is the absence of a second one of those that receivers act on. The time in
// it is the machine's.
func (k *signingKey) sign(message []byte) (string, error) {
	options := k.options
	options.HeaderKeys = append(headerNames(message), absent...)
	signer, err := dkim.NewSigner(&options)
	if err != nil {
		return "", err
	}
	_, err = signer.Write(message)
	if closed := signer.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return "", err
	}
	return signer.Signature(), nil
}

// headerNames lists the names of a mail's header fields, in their order.
func headerNames(message []byte) []string {
	var names []string
	for len(message) > 0 && !bytes.HasPrefix(message, crlf) {
		line, rest, _ := bytes.Cut(message, crlf)
		if name, _, ok := bytes.Cut(line, []byte{':'}); ok && line[0] != ' ' && line[0] != '\t' {
			names = append(names, string(name))
		}
		message = rest
	}
	return names
}
