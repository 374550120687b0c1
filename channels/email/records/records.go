package records

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Resolver asks DNS; *net.Resolver is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupAddr(ctx context.Context, address string) ([]string, error)
}

// Problem is what is wrong; "" = nothing.
type Problem string

// The problems.
const (
	NoSPF       Problem = "no SPF record"
	ManySPF     Problem = "more than one SPF record"
	OpenSPF     Problem = "the SPF record lets everybody send"
	LongSPF     Problem = "the SPF record needs more than 10 questions"
	BrokenSPF   Problem = "the SPF record includes one that is not there"
	NoKey       Problem = "no DKIM key"
	RevokedKey  Problem = "the DKIM key is revoked"
	OtherKey    Problem = "the DKIM key is another one"
	WeakKey     Problem = "the DKIM key is short"
	NoName      Problem = "the name has no address"
	NoReverse   Problem = "the address has no name"
	OtherName   Problem = "the address has another name"
	spfMost             = 10 // questions, RFC 7208 section 4.6.4
	weakKeyBits         = 2048
)

// ErrUnasked says that DNS gave no answer: there is none, or it could not be reached.
var ErrUnasked = errors.New("DNS could not be asked")

// missing turns an answer that there is nothing into none, and every other failure into ErrUnasked.
func missing(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); err == nil || ok && dns.IsNotFound {
		return nil
	}
	return ErrUnasked
}

// txt returns the TXT records of a name that begin so.
func txt(ctx context.Context, r Resolver, name, begin string) (found []string, err error) {
	all, err := r.LookupTXT(ctx, name)
	if err := missing(err); err != nil {
		return nil, err
	}
	for _, one := range all {
		if len(one) >= len(begin) && strings.EqualFold(one[:len(begin)], begin) {
			found = append(found, one)
		}
	}
	return found, nil
}

// SPF looks at the record of the domain of the envelope's sender. what is the name that is at fault.
func SPF(ctx context.Context, r Resolver, domain string) (p Problem, what string, err error) {
	asked := 0
	return spf(ctx, r, domain, &asked, true)
}

func spf(ctx context.Context, r Resolver, domain string, asked *int, top bool) (Problem, string, error) {
	found, err := txt(ctx, r, domain, "v=spf1")
	switch {
	case err != nil:
		return "", domain, err
	case len(found) == 0 && top:
		return NoSPF, domain, nil
	case len(found) == 0:
		return BrokenSPF, domain, nil
	case len(found) > 1:
		return ManySPF, domain, nil
	}
	ended, redirect := false, ""
	for _, term := range strings.Fields(strings.ToLower(found[0]))[1:] {
		bare := strings.TrimLeft(term, "+-~?")
		name, value, _ := strings.Cut(bare, ":")
		name, _, _ = strings.Cut(name, "/")
		switch {
		case name == "all":
			if ended = true; top && !strings.ContainsAny(term[:1], "-~?") {
				return OpenSPF, domain, nil
			}
		case strings.HasPrefix(bare, "redirect="):
			redirect = strings.TrimPrefix(bare, "redirect=")
		case slices.Contains([]string{"include", "a", "mx", "ptr", "exists"}, name):
			if *asked++; *asked > spfMost {
				return LongSPF, domain, nil
			}
			if name == "include" && !strings.Contains(value, "%") {
				if p, what, err := spf(ctx, r, value, asked, false); p != "" || err != nil {
					return p, what, err
				}
			}
		}
	}
	if redirect == "" || ended || strings.Contains(redirect, "%") {
		return "", domain, nil
	}
	if *asked++; *asked > spfMost {
		return LongSPF, domain, nil
	}
	p, what, err := spf(ctx, r, redirect, asked, top)
	if p == NoSPF {
		p = BrokenSPF
	}
	return p, what, err
}

// tags reads a record of tags, such as v=DKIM1; k=rsa; p=…
func tags(record string) map[string]string {
	out := map[string]string{}
	for _, tag := range strings.Split(record, ";") {
		name, value, _ := strings.Cut(tag, "=")
		out[strings.ToLower(strings.TrimSpace(name))] = strings.Join(strings.Fields(value), "")
	}
	return out
}

// Published is what must stand in DNS for a key.
func Published(key crypto.Signer) string {
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	case *rsa.PublicKey:
		if der, err := x509.MarshalPKIXPublicKey(public); err == nil {
			return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
		}
	}
	return ""
}

// DKIM holds the key that a selector of a domain publishes against ours.
func DKIM(ctx context.Context, r Resolver, domain, selector string, key crypto.Signer) (Problem, error) {
	found, err := txt(ctx, r, selector+"._domainkey."+domain, "")
	if err != nil {
		return "", err
	}
	ours := tags(Published(key))
	problem := NoKey
	for _, record := range found {
		theirs := tags(record)
		p, there := theirs["p"]
		switch {
		case !there:
			continue
		case p == "":
			problem = RevokedKey
		case !same(p, ours["p"]):
			problem = OtherKey
		default:
			if public, ok := key.Public().(*rsa.PublicKey); ok && public.N.BitLen() < weakKeyBits {
				return WeakKey, nil
			}
			return "", nil
		}
	}
	return problem, nil
}

// same compares two public keys. An RSA key may stand there without its wrapping (RFC 6376 section 3.6.1 names both forms).
func same(theirs, ours string) bool {
	if theirs == ours {
		return true
	}
	a, err1 := base64.StdEncoding.DecodeString(theirs)
	b, err2 := base64.StdEncoding.DecodeString(ours)
	return err1 == nil && err2 == nil && len(a) > 64 && bytes.HasSuffix(b, a)
}

// DMARC is what a domain asks of mail in its name.
type DMARC struct {
	Policy     string // none, quarantine or reject
	strictSPF  bool
	strictDKIM bool
}

// FindDMARC reads the record of a From domain, else that of the domain that its owner registered; nil = there is none.
func FindDMARC(ctx context.Context, r Resolver, from string) (*DMARC, error) {
	for _, domain := range slices.Compact([]string{from, Organisation(from)}) {
		found, err := txt(ctx, r, "_dmarc."+domain, "v=DMARC1")
		if err != nil {
			return nil, err
		}
		if len(found) == 1 {
			t := tags(found[0])
			policy := t["p"]
			if domain != from && t["sp"] != "" {
				policy = t["sp"]
			}
			return &DMARC{Policy: strings.ToLower(policy), strictSPF: t["aspf"] == "s", strictDKIM: t["adkim"] == "s"}, nil
		}
	}
	return nil, nil
}

// Aligned reports whether the envelope's domain or the signing domain ("" = none is known) speaks for the From domain.
func (d *DMARC) Aligned(from, envelope, signer string) bool {
	return speaks(from, envelope, d.strictSPF) || speaks(from, signer, d.strictDKIM)
}

func speaks(from, other string, strict bool) bool {
	return other != "" && (strings.EqualFold(from, other) || !strict && Organisation(from) == Organisation(other))
}

// Organisation is the domain that the owner of a domain registered: dealer.com.cn of care.dealer.com.cn.
func Organisation(domain string) string {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	if registered, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return registered
	}
	return domain
}

// Names holds that the name of a machine that sends leads to an address, and the address back to a name that leads to it.
func Names(ctx context.Context, r Resolver, name string) (p Problem, address string, err error) {
	addresses := []string{strings.TrimPrefix(strings.Trim(name, "[]"), "IPv6:")} // a literal is its own address
	if net.ParseIP(addresses[0]) == nil {
		addresses, err = r.LookupHost(ctx, name)
		if err := missing(err); err != nil {
			return "", "", err
		}
		if len(addresses) == 0 {
			return NoName, name, nil
		}
	}
	for _, address = range addresses {
		names, err := r.LookupAddr(ctx, address)
		if err := missing(err); err != nil {
			return "", address, err
		}
		if len(names) == 0 {
			return NoReverse, address, nil
		}
		back := false
		for _, one := range names {
			to, err := r.LookupHost(ctx, strings.TrimSuffix(one, "."))
			back = back || err == nil && slices.Contains(to, address)
		}
		if !back {
			return OtherName, address, nil
		}
	}
	return "", address, nil
}
