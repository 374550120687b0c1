package contact_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care/contact"
)

// TestReadings: whatever spelling a gateway uses, the number that a record has is among the readings.
func TestReadings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		raw       string
		countries []string
		want      []string
	}{
		{"+12125550102", []string{"CN"}, []string{"+12125550102"}},
		{" 12125550102", []string{"US"}, []string{"+12125550102"}}, // a plus that became a blank in a URL
		{"2125550102", []string{"US"}, []string{"+12125550102"}},
		{"+2125550102", []string{"US"}, []string{"+12125550102"}}, // Morocco has no such number
		{"(212) 555-0102", []string{"US"}, []string{"+12125550102"}},
		{"011442079460958", []string{"US", "GB"}, []string{"+442079460958"}},
		{"0012125550102", []string{"DE"}, []string{"+12125550102"}},
		{"07911123456", []string{"GB"}, []string{"+447911123456"}},
		{"+07911123456", []string{"GB"}, []string{"+447911123456"}},
		{"7911123456", []string{"GB"}, []string{"+447911123456"}},
		{"447911123456", []string{"GB"}, []string{"+447911123456"}},
		{"00447911123456", []string{"GB"}, []string{"+447911123456"}},
		{"+44 (0)7911 123456", []string{"GB"}, []string{"+447911123456"}},
		{"91234567", []string{"SG"}, []string{"+6591234567"}},
		{"6591234567", []string{"SG"}, []string{"+6591234567"}},
		{"51234567", []string{"HK"}, []string{"+85251234567"}},
		{"85251234567", []string{"CN", "HK"}, []string{"+85251234567"}},
		{"0912345678", []string{"TW"}, []string{"+886912345678"}},
		{"886912345678", []string{"CN", "TW"}, []string{"+886912345678"}},
		{"13800138000", []string{"CN"}, []string{"+8613800138000"}},
		{"8613800138000", []string{"CN"}, []string{"+8613800138000"}},
		{"008613800138000", []string{"CN", "US"}, []string{"+8613800138000"}},
		{"＋８６１３８００１３８０００", []string{"CN"}, []string{"+8613800138000"}},
		{"86-138-0013-8000", nil, []string{"+8613800138000"}},
		{"01701234567", []string{"DE"}, []string{"+491701234567"}},
		{"491701234567", []string{"DE", "US"}, []string{"+491701234567"}},
		{"0412345678", []string{"AU"}, []string{"+61412345678"}},
		{"001161412345678", []string{"AU"}, []string{"+61412345678"}},
		{"tel:+12125550102", []string{"US"}, []string{"+12125550102"}},
		// Two countries' mobiles: both are meant.
		{"13125550123", []string{"CN", "US"}, []string{"+8613125550123", "+13125550123"}},
		{"13125550123", []string{"US"}, []string{"+13125550123"}},
		// Nobody's number as far as we know: it is kept as it is.
		{"+99912345678", []string{"CN"}, []string{"+99912345678"}},
		{"10691234567890", []string{"CN"}, []string{"+10691234567890"}},
		{"AMAZON", []string{"US"}, nil},
		{"", []string{"US"}, nil},
		{"12345", []string{"US"}, nil},
	} {
		if got := contact.Readings(tt.raw, tt.countries...); !slices.Equal(got, tt.want) {
			t.Errorf("Readings(%q, %v): got %v, want %v", tt.raw, tt.countries, got, tt.want)
		}
	}
}

// TestReadingsFindTheRecord: a number of a record is found again in each spelling of it.
func TestReadingsFindTheRecord(t *testing.T) {
	t.Parallel()
	samples := map[string]string{"CN": "+8613800138000", "US": "+12125550102", "GB": "+447911123456", "SG": "+6591234567", "HK": "+85251234567", "TW": "+886912345678", "DE": "+4917012345678", "MO": "+85366123456", "AU": "+61412345678", "JP": "+819012345678", "FR": "+33612345678"}
	rapid.Check(t, func(t *rapid.T) {
		country := rapid.SampledFrom([]string{"CN", "US", "GB", "SG", "HK", "TW", "DE", "MO", "AU", "JP", "FR"}).Draw(t, "country")
		e164 := samples[country]
		national, err := contact.National(e164, country)
		if err != nil {
			t.Fatal(err)
		}
		spellings := []string{e164, e164[1:], "00" + e164[1:], national, "0" + national, " " + e164[1:], e164[:3] + " " + e164[3:7] + "-" + e164[7:]}
		if _, another := contact.Phone("+"+national, ""); !another { // else the plus is believed
			spellings = append(spellings, "+"+national)
		}
		switch country {
		case "CN", "US", "SG", "HK", "MO": // they have no trunk prefix 0
			spellings = slices.Delete(spellings, 4, 5)
		}
		raw := rapid.SampledFrom(spellings).Draw(t, "spelling")
		all := append([]string{country}, rapid.SliceOfN(rapid.SampledFrom([]string{"CN", "US", "GB", "DE", "HK"}), 0, 3).Draw(t, "others")...)
		if got := contact.Readings(raw, all...); !slices.Contains(got, e164) {
			t.Fatalf("Readings(%q, %v): got %v, want %s among them", raw, all, got, e164)
		}
	})
}

func FuzzReadings(f *testing.F) {
	f.Add("+1 (212) 555-0102", "US")
	f.Add("008613800138000", "CN")
	f.Fuzz(func(t *testing.T, raw, country string) {
		for _, n := range contact.Readings(raw, country) {
			if len(n) < 8 || len(n) > 16 || n[0] != '+' || n[1] == '0' {
				t.Fatalf("Readings(%q, %q): %q is not E.164", raw, country, n)
			}
		}
	})
}
