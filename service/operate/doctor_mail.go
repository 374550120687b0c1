package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/email/records"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
	"github.com/wneessen/go-mail"
)

const (
	clipped  = 102 << 10 // Gmail shows no more of a mail's HTML
	heavy    = 1 << 20   // many companies' servers and phones dislike more
	tooHeavy = 10 << 20  // and many servers refuse more
	lookMost = 20        // domains that are looked at
)

// mail tries what has to be right for mail to arrive: each server up to the sender's name, what the dealers' domains publish, and the
// book's mails themselves.
func (d *Doctor) mail(ctx context.Context, book *carebook.Compiled, s *email.Sender, servers []email.Server, tell func(store.Finding)) {
	var from []string // one address of each domain
	seen := map[string]bool{}
	for _, dealer := range book.Book.Dealers {
		if domain := care.DomainOf(dealer.From.Email); domain != "" && !seen[domain] && len(from) < lookMost {
			from, seen[domain] = append(from, dealer.From.Email), true
		}
	}
	if len(from) == 0 {
		d.reach(ctx, servers, tell)
	}
	for _, server := range servers {
		for _, address := range from {
			f := d.try(ctx, s, server, address)
			if tell(f); !f.OK {
				break // the others would hear the same
			}
		}
	}
	d.published(ctx, s, servers, from, tell)
	d.looks(book, s, tell)
}

// try makes a dialogue with a server that sends nothing.
func (d *Doctor) try(ctx context.Context, s *email.Sender, server email.Server, from string) store.Finding {
	ctx, cancel := context.WithTimeout(ctx, 4*DialTimeout)
	defer cancel()
	w, domain := d.words(), care.DomainOf(from)
	err := s.Try(ctx, server.Name, from)
	if e, ok := errors.AsType[*care.Error](err); ok {
		return store.Finding{
			What:   w.T("doctor.smtp.refused", "server", server.Address(), "domain", domain, "why", e.Error()),
			Remedy: w.T("doctor.smtp.refused.remedy"),
		}
	}
	return store.Finding{OK: true, What: w.T("doctor.smtp.ok", "server", server.Address(), "domain", domain)}
}

// reserved are ends of names that are never in DNS (RFC 2606, RFC 6761).
var reserved = []string{".example", ".test", ".invalid", ".localhost", ".local"}

// published looks at what the domains publish, as far as DNS can be asked.
func (d *Doctor) published(ctx context.Context, s *email.Sender, servers []email.Server, from []string, tell func(store.Finding)) {
	ctx, cancel := context.WithTimeout(ctx, 4*DialTimeout)
	defer cancel()
	local := slices.IndexFunc(servers, func(s email.Server) bool { return s.Local() })
	for _, address := range from {
		domain := care.DomainOf(address)
		if slices.ContainsFunc(reserved, func(end string) bool { return strings.HasSuffix("."+domain, end) }) {
			continue
		}
		checks := []func() (store.Finding, error){
			func() (store.Finding, error) { return d.spf(ctx, s.EnvelopeDomain(address)) },
			func() (store.Finding, error) { return d.dkim(ctx) },
			func() (store.Finding, error) { return d.dmarc(ctx, domain, s.EnvelopeDomain(address)) },
		}
		if local >= 0 { // this machine's server sends to the world by itself
			checks = append(checks, func() (store.Finding, error) { return d.names(ctx, s.Greets(servers[local], address)) })
		}
		for _, check := range checks {
			f, err := check()
			if err != nil {
				tell(store.Finding{OK: true, What: d.words().T("doctor.dns.unasked", "domain", domain)})
				return
			}
			if f.What != "" {
				tell(f)
			}
		}
	}
}

func (d *Doctor) spf(ctx context.Context, domain string) (store.Finding, error) {
	p, what, err := records.SPF(ctx, d.resolver(), domain)
	w := d.words()
	f := store.Finding{Remedy: w.T("doctor.spf.remedy", "domain", what)}
	switch p {
	case records.NoSPF:
		f.What = w.T("doctor.spf.none", "domain", what)
	case records.ManySPF:
		f.What = w.T("doctor.spf.many", "domain", what)
	case records.OpenSPF:
		f.What = w.T("doctor.spf.open", "domain", what)
	case records.LongSPF:
		f.What = w.T("doctor.spf.long", "domain", domain)
	case records.BrokenSPF:
		f.What = w.T("doctor.spf.broken", "domain", domain, "other", what)
	default:
		f = store.Finding{OK: true, What: w.T("doctor.spf.ok", "domain", domain)}
	}
	return f, err
}

func (d *Doctor) dkim(ctx context.Context) (store.Finding, error) {
	set, w := d.Settings.DKIM, d.words()
	if set.Key.IsZero() {
		return store.Finding{OK: true, What: w.T("doctor.dkim.server")}, nil
	}
	key, err := mail.PrivKeyFromPEM([]byte(set.Key.Reveal()))
	if err != nil {
		return store.Finding{}, nil // setting the channels up says so
	}
	name := set.Selector + "._domainkey." + set.Domain
	p, err := records.DKIM(ctx, d.resolver(), set.Domain, set.Selector, key)
	f := store.Finding{Remedy: w.T("doctor.dkim.remedy", "name", name, "record", records.Published(key))}
	switch p {
	case records.NoKey:
		f.What = w.T("doctor.dkim.none", "name", name)
	case records.RevokedKey:
		f.What = w.T("doctor.dkim.revoked", "name", name)
	case records.OtherKey:
		f.What = w.T("doctor.dkim.other", "name", name)
	case records.WeakKey:
		f.What, f.Remedy = w.T("doctor.dkim.weak", "name", name), w.T("doctor.dkim.weak.remedy")
	default:
		f = store.Finding{OK: true, What: w.T("doctor.dkim.ok", "name", name)}
	}
	return f, err
}

func (d *Doctor) dmarc(ctx context.Context, from, envelope string) (store.Finding, error) {
	found, err := records.FindDMARC(ctx, d.resolver(), from)
	w, signer := d.words(), d.Settings.DKIM.Domain
	switch {
	case err != nil:
		return store.Finding{}, err
	case found == nil:
		return store.Finding{What: w.T("doctor.dmarc.none", "domain", from), Remedy: w.T("doctor.dmarc.none.remedy", "domain", from)}, nil
	case !found.Aligned(from, envelope, signer):
		return store.Finding{What: w.T("doctor.dmarc.unaligned", "domain", from, "envelope", envelope), Remedy: w.T("doctor.dmarc.unaligned.remedy", "domain", from)}, nil
	}
	return store.Finding{OK: true, What: w.T("doctor.dmarc.ok", "domain", from, "policy", found.Policy)}, nil
}

func (d *Doctor) names(ctx context.Context, name string) (store.Finding, error) {
	p, what, err := records.Names(ctx, d.resolver(), name)
	w := d.words()
	f := store.Finding{Remedy: w.T("doctor.names.remedy")}
	switch p {
	case records.NoName:
		f.What = w.T("doctor.names.unknown", "name", name)
	case records.NoReverse:
		f.What = w.T("doctor.names.none", "address", what)
	case records.OtherName:
		f.What = w.T("doctor.names.other", "address", what)
	default:
		f = store.Finding{OK: true, What: w.T("doctor.names.ok", "name", name)}
	}
	return f, err
}

// looks writes the book's mails as they would go: whether one click ends them under a signature, and how large they are.
func (d *Doctor) looks(book *carebook.Compiled, s *email.Sender, tell func(store.Finding)) {
	w := d.words()
	var asked, uncovered bool
	var large []string
	most := 0
	for _, name := range book.Templates.Names() {
		shown, err := book.Preview(carebook.PreviewOptions{Template: name, Channel: care.Email, Now: d.Now()})
		if err != nil || len(shown) == 0 || shown[0].Message == nil {
			continue // lint says why, or there is no mail
		}
		m := *shown[0].Message
		m.ID, m.Channel, m.To, m.At = "doctor", care.Email, m.From.Address, d.Now()
		if strings.HasPrefix(d.Settings.PublicURL, "https://") {
			m.Unsubscribe = d.Settings.PublicURL + "/u/doctor"
		}
		looks, err := s.Look(&m)
		if err != nil {
			continue
		}
		most = max(most, looks.Size)
		asked = asked || looks.OneClick
		uncovered = uncovered || looks.OneClick && looks.Signed && !looks.Covered
		if len(m.HTML) > clipped || looks.Size > heavy {
			large = append(large, fmt.Sprintf("%s (%d KB)", name, looks.Size>>10))
		}
	}
	switch {
	case uncovered:
		tell(store.Finding{What: w.T("doctor.unsubscribe.unsigned"), Remedy: w.T("doctor.unsubscribe.unsigned.remedy")})
	case asked && d.Settings.DKIM.Key.IsZero():
		tell(store.Finding{OK: true, What: w.T("doctor.unsubscribe.server")})
	case asked:
		tell(store.Finding{OK: true, What: w.T("doctor.unsubscribe.ok")})
	}
	switch {
	case len(large) > 0:
		tell(store.Finding{OK: most <= tooHeavy, What: w.T("doctor.size.large", "mails", some(large, 5)), Remedy: w.T("doctor.size.large.remedy")})
	case most > 0:
		tell(store.Finding{OK: true, What: w.T("doctor.size.ok", "size", most>>10)})
	}
}
