package email_test

import (
	"mime"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/idna"
	"pgregory.net/rapid"

	"github.com/wneessen/go-mail"

	"github.com/carebell/carebell/channels/email"
)

// TestShortWays holds the short ways, for what nearly every message has, against the long ones.
func TestShortWays(t *testing.T) {
	t.Parallel()
	label := rapid.StringOfN(rapid.RuneFrom([]rune("abxnz0189-A.é_")), 0, 70, -1)
	rapid.Check(t, func(t *rapid.T) {
		domain := strings.Join(rapid.SliceOfN(label, 1, 6).Draw(t, "labels"), ".")
		if email.PlainDomain(domain) {
			if got, err := idna.Lookup.ToASCII(domain); err != nil || got != domain {
				t.Fatalf("%q becomes %q, %v", domain, got, err)
			}
		}
		link := "https://" + rapid.StringOf(rapid.RuneFrom([]rune("abAZ09-._~/:@%?#é [<,"))).Draw(t, "link")
		if email.PlainURL(link) {
			if u, err := url.Parse(link); err != nil || u.Host == "" || u.String() != link || u.Scheme != "https" {
				t.Fatalf("%q becomes %q, %v", link, u, err)
			}
		}
		subject := rapid.StringOfN(rapid.RuneFrom([]rune("aé您🚗 ?=")), 0, 120, -1).Draw(t, "subject") + "您"
		if got, want := email.Base64Words(subject), mime.BEncoding.Encode("UTF-8", subject); got != want {
			t.Fatalf("%q becomes %q, want %q", subject, got, want)
		}
		body := rapid.SliceOf(rapid.SampledFrom([]byte{'a', 0xe6, 0x80, 0x7f, 0xff, 'b', 'c', 'd', 'e'})).Draw(t, "body")
		high := 0
		for _, c := range body {
			if c >= 0x80 {
				high++
			}
		}
		want := mail.EncodingQP
		if high*6 > len(body) {
			want = mail.EncodingB64
		}
		if got := email.EncodingFor(body); got != want {
			t.Fatalf("%q: %s, want %s", body, got, want)
		}
	})
	for domain, want := range map[string]bool{
		"customer.example": true, "a-b.c0.example": true, "xn--bcher-kva.example": false, "Customer.example": false, "-a.example": false, "a-.example": false,
		"": false, "a..b": false, ".a": false, "a.": false, strings.Repeat("a", 63) + ".example": true, strings.Repeat("a", 64) + ".example": false,
		strings.Repeat("a.", 126) + "a": true, strings.Repeat("a.", 127) + "a": false, "ab--c.example": false,
	} {
		if got := email.PlainDomain(domain); got != want {
			t.Errorf("plain %q: %t", domain, got)
		}
	}
	for link, want := range map[string]bool{
		"https://care.example/u/aZ0-_": true, "http://care.example/u/a": false, "https://care.example:8443/u/a": false, "https:///u/a": false,
		"https://care.example": false, "https://care.example/" + strings.Repeat("a", 900): false, "https://u@care.example/": false, "": false,
	} {
		if got := email.PlainURL(link); got != want {
			t.Errorf("plain %q: %t", link, got)
		}
	}
}
