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

// signers makes go-mail's signers, with the domains they are for.
func (cfg *Config) signers() ([]*mail.DKIMSigner, error) {
	var out []*mail.DKIMSigner
	for i, k := range cfg.DKIM {
		s := mail.NewDKIMSigner(strings.ToLower(k.Domain), k.Selector, k.Key)
		s.NowFunc = cfg.Clock
		s.SignHeaders(signed...)
		// One more of each than there is: a second one cannot be added later (RFC 6376 section 8.15).
		s.OversignHeaders("From", "To", "Subject", "Date", "List-Unsubscribe", "List-Unsubscribe-Post")
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
