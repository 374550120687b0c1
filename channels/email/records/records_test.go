package records_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/carebell/carebell/channels/email/records"
)

// zone answers from a table; what begins with ! cannot be asked.
type zone map[string][]string

func (z zone) ask(kind, name string) ([]string, error) {
	all, ok := z[kind+" "+name]
	switch {
	case len(all) > 0 && all[0] == "!":
		return nil, &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true}
	case !ok:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return all, nil
}

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) { return z.ask("TXT", name) }

func (z zone) LookupHost(_ context.Context, name string) ([]string, error) { return z.ask("A", name) }

func (z zone) LookupAddr(_ context.Context, a string) ([]string, error) { return z.ask("PTR", a) }

func TestSPF(t *testing.T) {
	t.Parallel()
	z := zone{
		"TXT well.example":     {"google-site-verification=x", "v=spf1 ip4:192.0.2.1 include:spf.mail.example -all"},
		"TXT spf.mail.example": {"v=spf1 ip4:198.51.100.0/24 ?all"},
		"TXT soft.example":     {"V=SPF1 a mx ~ALL"},
		"TXT none.example":     {"v=spf2.0/pra ?all", "hello"},
		"TXT two.example":      {"v=spf1 -all", "v=spf1 mx -all"},
		"TXT open.example":     {"v=spf1 mx +all"},
		"TXT bare.example":     {"v=spf1 mx all"},
		"TXT gone.example":     {"v=spf1 include:nowhere.example -all"},
		"TXT long.example":     {"v=spf1 " + strings.Repeat("a:a.example ", 11) + "-all"},
		"TXT ten.example":      {"v=spf1 " + strings.Repeat("a:a.example ", 10) + "-all"},
		"TXT deep.example":     {"v=spf1 include:l1.example include:l1.example -all"},
		"TXT l1.example":       {"v=spf1 mx mx:a mx:b mx:c exists:%{i}.x.example -all"},
		"TXT loop.example":     {"v=spf1 include:loop.example -all"},
		"TXT to.example":       {"v=spf1 redirect=well.example"},
		"TXT toopen.example":   {"v=spf1 redirect=open.example"},
		"TXT tonone.example":   {"v=spf1 redirect=nowhere.example"},
		"TXT macro.example":    {"v=spf1 include:%{d}.spf.example redirect=%{d}.x"},
		"TXT dead.example":     {"!"},
		"TXT half.example":     {"v=spf1 include:dead.example -all"},
	}
	for name, want := range map[string]records.Problem{
		"well": "", "soft": "", "none": records.NoSPF, "nothing": records.NoSPF, "two": records.ManySPF, "open": records.OpenSPF, "bare": records.OpenSPF,
		"gone": records.BrokenSPF, "long": records.LongSPF, "ten": "", "deep": records.LongSPF, "loop": records.LongSPF, "to": "", "toopen": records.OpenSPF,
		"tonone": records.BrokenSPF, "macro": "",
	} {
		if got, what, err := records.SPF(t.Context(), z, name+".example"); got != want || err != nil || what == "" {
			t.Errorf("%s: %q (%s) %v, want %q", name, got, what, err, want)
		}
	}
	for _, name := range []string{"dead.example", "half.example"} {
		if _, _, err := records.SPF(t.Context(), z, name); !errors.Is(err, records.ErrUnasked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDKIM(t *testing.T) {
	t.Parallel()
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spaced := strings.ReplaceAll(records.Published(strong), "; ", " ;\t")
	spaced = spaced[:60] + " " + spaced[60:]
	z := zone{
		"TXT rsa._domainkey.d.example": {records.Published(strong)}, "TXT spaced._domainkey.d.example": {spaced},
		"TXT short._domainkey.d.example": {records.Published(short)}, "TXT ed._domainkey.d.example": {records.Published(edwards)},
		"TXT revoked._domainkey.d.example": {"v=DKIM1; k=rsa; p="}, "TXT text._domainkey.d.example": {"hello"},
		"TXT dead._domainkey.d.example": {"!"}, "TXT bare._domainkey.d.example": {strings.TrimPrefix(records.Published(strong), "v=DKIM1; k=rsa; ")},
	}
	for _, tt := range []struct {
		selector string
		key      crypto.Signer
		want     records.Problem
	}{
		{"rsa", strong, ""},
		{"spaced", strong, ""},
		{"bare", strong, ""},
		{"ed", edwards, ""},
		{"short", short, records.WeakKey},
		{"rsa", edwards, records.OtherKey},
		{"rsa", short, records.OtherKey},
		{"revoked", strong, records.RevokedKey},
		{"text", strong, records.NoKey},
		{"none", strong, records.NoKey},
	} {
		if got, err := records.DKIM(t.Context(), z, "d.example", tt.selector, tt.key); got != tt.want || err != nil {
			t.Errorf("%s: %q %v, want %q", tt.selector, got, err, tt.want)
		}
	}
	if _, err := records.DKIM(t.Context(), z, "d.example", "dead", strong); !errors.Is(err, records.ErrUnasked) {
		t.Error(err)
	}
}

func TestDMARC(t *testing.T) {
	t.Parallel()
	z := zone{
		"TXT _dmarc.dealer.com.cn":   {"v=DMARC1; p=reject; sp=none; adkim=r"},
		"TXT _dmarc.strict.example":  {"v=DMARC1; p=quarantine; aspf=s; adkim=s"},
		"TXT _dmarc.two.example":     {"v=DMARC1; p=none", "v=DMARC1; p=reject"},
		"TXT _dmarc.dead.example":    {"!"},
		"TXT _dmarc.sub.own.example": {"v=DMARC1; p=none"},
		"TXT _dmarc.own.example":     {"v=DMARC1; p=reject"},
	}
	for from, want := range map[string]string{
		"dealer.com.cn": "reject", "care.dealer.com.cn": "none", "strict.example": "quarantine", "two.example": "", "nothing.example": "", "sub.own.example": "none",
		"a.own.example": "reject",
	} {
		d, err := records.FindDMARC(t.Context(), z, from)
		if err != nil || (d == nil) != (want == "") || (d != nil && d.Policy != want) {
			t.Errorf("%s: %+v %v, want %q", from, d, err, want)
		}
	}
	if _, err := records.FindDMARC(t.Context(), z, "dead.example"); !errors.Is(err, records.ErrUnasked) {
		t.Error(err)
	}
	relaxed, _ := records.FindDMARC(t.Context(), z, "dealer.com.cn")
	strict, _ := records.FindDMARC(t.Context(), z, "strict.example")
	for _, tt := range []struct {
		d                      *records.DMARC
		from, envelope, signer string
		want                   bool
	}{
		{relaxed, "dealer.com.cn", "bounce.dealer.com.cn", "", true},
		{relaxed, "dealer.com.cn", "relay.example", "care.dealer.com.cn", true},
		{relaxed, "dealer.com.cn", "other.com.cn", "", false}, // com.cn is nobody's own
		{relaxed, "dealer.com.cn", "", "", false},
		{strict, "strict.example", "bounce.strict.example", "", false},
		{strict, "strict.example", "bounce.strict.example", "STRICT.example", true},
	} {
		if got := tt.d.Aligned(tt.from, tt.envelope, tt.signer); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	z := zone{
		"A mail.d.example": {"192.0.2.1", "2001:db8::1"}, "PTR 192.0.2.1": {"mail.d.example."}, "PTR 2001:db8::1": {"mail.d.example."},
		"A no.d.example": {"192.0.2.2"}, "A other.d.example": {"192.0.2.3"}, "PTR 192.0.2.3": {"host3.provider.example."}, "A host3.provider.example": {"203.0.113.1"},
		"A alias.d.example": {"192.0.2.4"}, "PTR 192.0.2.4": {"host4.provider.example."}, "A host4.provider.example": {"192.0.2.4"},
		"A dead.d.example": {"!"},
	}
	for name, want := range map[string]records.Problem{
		"mail.d.example": "", "no.d.example": records.NoReverse, "other.d.example": records.OtherName, "alias.d.example": "", "nowhere.d.example": records.NoName,
		"[192.0.2.4]": "", "[IPv6:2001:db8::9]": records.NoReverse,
	} {
		if got, what, err := records.Names(t.Context(), z, name); got != want || err != nil || what == "" {
			t.Errorf("%s: %q %s %v, want %q", name, got, what, err, want)
		}
	}
	if _, _, err := records.Names(t.Context(), z, "dead.d.example"); !errors.Is(err, records.ErrUnasked) {
		t.Error(err)
	}
}
