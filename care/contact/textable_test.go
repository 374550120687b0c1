package contact_test

import (
	"testing"

	"github.com/carebell/carebell/care/contact"
)

// TestTextable: landlines, 400, toll-free and premium numbers are good numbers that take no texts, where the plan tells.
func TestTextable(t *testing.T) {
	t.Parallel()
	for _, n := range []struct {
		raw, country string
		want         bool
	}{
		{"13800138000", "CN", true},
		{"021-50001234", "CN", false},
		{"010 8888 8888", "CN", false},
		{"0755-26001234", "CN", false},
		{"400-820-8820", "CN", false},
		{"800-810-1234", "CN", false},
		{"23456789", "HK", false},
		{"91234567", "HK", true},
		{"0912345678", "TW", true},
		{"02 2345 6789", "TW", false},
		{"0800 080 123", "TW", false},
		{"030 123456", "DE", false},
		{"0151 23456789", "DE", true},
		{"0900 1 234567", "DE", false},
		{"0800 1234567", "DE", false},
		{"(212) 555-0123", "US", true}, // a plan that does not tell mobiles from the rest
		{"1-800-555-0199", "US", false},
		{"1-888-555-0199", "US", false},
		{"1-900-234-5678", "US", false},
		{"020 7946 0018", "GB", false},
		{"07911 123456", "GB", true},
		{"01 42 68 53 00", "FR", false},
		{"06 12 34 56 78", "FR", true},
		{"+861380013800", "CN", false},
	} {
		e164, ok := contact.Phone(n.raw, n.country)
		if got := ok && contact.Textable(e164); got != n.want {
			t.Errorf("%s in %s: got %v, %s, %v; want %v", n.raw, n.country, got, e164, ok, n.want)
		}
	}
}
