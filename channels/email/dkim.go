package email

import (
	"fmt"
	"strings"

	"github.com/wneessen/go-mail"
)

// signed are the headers under the signature. RFC 8058 section 4 wants the List-Unsubscribe pair there; RFC 6376 section 5.4.1
// lists the rest.
var signed = []string{
	"From", "To", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"Content-Language", "Auto-Submitted", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "X-Carebell-Id",
}

// absent are signed once more than they are there: none can be added later (RFC 6376 section 8.15).
var absent = []string{
	"From", "To", "Cc", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "Content-Type", "List-Unsubscribe", "List-Unsubscribe-Post",
}

// signedList joins the two lists so that go-mail's folding does no harm. go-mail signs the h= tag in one line and then breaks it
// after every 75 characters, in the middle of a name if need be, and the blank that comes in makes the signature wrong. Blanks that
// were there before are folded away (RFC 6376 section 3.4.2), so each break is made to fall into blanks in front of a name. Those
// names are of headers that are absent, because go-mail would not find a header by a name with blanks; a verifier cuts them off.
func signedList() []string {
	const line = 75
	var out []string
	spare := absent
	at := len("h=")
	add := func(name string) {
		out = append(out, name)
		at += len(name) + 1
	}
	next := func(name string) {
		if at%line == 0 || at%line+len(name)+len("; ") > line {
			add(strings.Repeat(" ", max(1, (line-at%line)%line)) + spare[0])
			spare = spare[1:]
		}
		add(name)
	}
	for _, name := range signed {
		next(name)
	}
	for len(spare) > 1 { // the last one is left for a break that the one before may need
		name := spare[0]
		spare = spare[1:]
		next(name)
	}
	return out
}

// signers makes go-mail's signers, with the domains they are for.
func (cfg *Config) signers() ([]*mail.DKIMSigner, error) {
	var out []*mail.DKIMSigner
	for i, k := range cfg.DKIM {
		s := mail.NewDKIMSigner(strings.ToLower(k.Domain), k.Selector, k.Key)
		s.NowFunc = cfg.Clock
		s.SignHeaders(signedList()...)
		if err := s.ValidateConfig(); err != nil {
			return nil, fmt.Errorf("email: DKIM key %d: %w", i+1, err)
		}
		// The first signature makes the signer remember its algorithm. Done here, connections that sign at once do not race.
		if _, err := s.Sign([]byte("From: a\r\n"), nil); err != nil {
			return nil, fmt.Errorf("email: DKIM key %d: %w", i+1, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// signer returns the signer for a From address: the one of its domain or a domain above, else the first; nil without keys.
func (s *Sender) signer(from string) *mail.DKIMSigner {
	if len(s.dkim) == 0 {
		return nil
	}
	domain := strings.ToLower(from[strings.LastIndexByte(from, '@')+1:])
	var best *mail.DKIMSigner
	for _, d := range s.dkim {
		if (domain == d.Domain || strings.HasSuffix(domain, "."+d.Domain)) && (best == nil || len(d.Domain) > len(best.Domain)) {
			best = d
		}
	}
	if best == nil {
		best = s.dkim[0]
	}
	return best
}
