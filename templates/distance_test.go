package templates_test

import (
	"testing"

	"github.com/carebell/carebell/care"
)

// TestDistance: a distance is written in the dealer's units, by units or by the country.
func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ units, country, locale, text, want string }{
		{"", "CN", "zh-CN", "31000", "31,000公里"},
		{"", "CN", "en", "31000", "31,000 km"},
		{"", "US", "en", "31000", "19,263 miles"},
		{"", "GB", "en", "38.5", "24 miles"},
		{"km", "US", "en", "31000", "31,000 km"},
		{"mi", "CN", "en", "31000", "19,263 miles"},
		{"mi", "US", "zh-CN", "31000", "19,263英里"},
		{"mi", "US", "en", "2", "1 mile"},
	} {
		set := load(t, map[string]string{"x/" + tt.locale + "/sms.txt": "{{ " + tt.text + " | distance }}"})
		d := draft("x", care.SMS, tt.locale)
		dealer := *d.Dealer
		dealer.Units, dealer.Country = tt.units, tt.country
		d.Dealer = &dealer
		m, err := set.Render(d)
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Text) != tt.want {
			t.Errorf("%+v: got %q", tt, m.Text)
		}
	}
}
