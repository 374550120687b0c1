package contact_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care/contact"
)

// TestNational has a row for each kind of plan: countries alone with their code, countries that share one, numbers whose digits are
// another country's, and numbers with a leading zero.
func TestNational(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ e164, country, want string }{
		"China":                         {"+8613800138001", "CN", "13800138001"},
		"small letters":                 {"+8613800138001", "cn", "13800138001"},
		"Chinese landline":              {"+862150000000", "CN", "2150000000"},
		"Chicago for a Chinese dealer":  {"+13125550123", "CN", ""},
		"Chinese for an American":       {"+8613800138001", "US", ""},
		"America":                       {"+12125550123", "US", "2125550123"},
		"Canada for an American dealer": {"+14165550123", "US", "4165550123"},
		"America for a Canadian dealer": {"+12125550123", "CA", "2125550123"},
		"Jamaica for an American":       {"+18765550123", "US", "8765550123"},
		"Jamaica for a Chinese dealer":  {"+18765550123", "CN", ""},
		"Russia":                        {"+79161234567", "RU", "9161234567"},
		"Kazakhstan for a Russian":      {"+77012345678", "RU", "7012345678"},
		"Russia for a Kazakh":           {"+79161234567", "KZ", "9161234567"},
		"Russia for a Chinese dealer":   {"+79161234567", "CN", ""},
		"Hong Kong":                     {"+85251234567", "HK", "51234567"},
		"Hong Kong for the mainland":    {"+85251234567", "CN", ""},
		"mainland for Hong Kong":        {"+8613800138001", "HK", ""},
		"Macau":                         {"+85366123456", "MO", "66123456"},
		"Taiwan":                        {"+886912345678", "TW", "912345678"},
		"Taiwan for the mainland":       {"+886912345678", "CN", ""},
		"Britain":                       {"+447400123456", "GB", "7400123456"},
		"Guernsey for a British dealer": {"+447781123456", "GB", "7781123456"},
		"Britain for a Guernsey dealer": {"+447400123456", "GG", "7400123456"},
		"Britain for an American":       {"+447400123456", "US", ""},
		"Germany":                       {"+4915123456789", "DE", "15123456789"},
		"Austin for a German":           {"+15125550123", "DE", ""},
		"Austria for a German":          {"+43664123456", "DE", ""},
		"Italian mobile":                {"+393123456789", "IT", "3123456789"},
		"Italian landline with its 0":   {"+390612345678", "IT", "0612345678"},
		"Vatican for an Italian":        {"+390669812345", "IT", "0669812345"},
		"Japan":                         {"+819012345678", "JP", "9012345678"},
		"Korea":                         {"+821012345678", "KR", "1012345678"},
		"India":                         {"+918123456789", "IN", "8123456789"},
		"Egypt":                         {"+201001234567", "EG", "1001234567"},
		"Mexico":                        {"+522221234567", "MX", "2221234567"},
		"Singapore":                     {"+6581234567", "SG", "81234567"},
		"Australia":                     {"+61412345678", "AU", "412345678"},
		"Christmas Island":              {"+61412345678", "CX", "412345678"},
		"no such country":               {"+8613800138001", "XX", ""},
		"no country":                    {"+8613800138001", "", ""},
		"a satellite":                   {"+870773111632", "CN", ""},
		"without a plus":                {"8613800138001", "CN", ""},
		"national already":              {"13800138001", "CN", ""},
		"nothing":                       {"", "CN", ""},
		"only the code":                 {"+86", "CN", ""},
		"a number that no plan assigns": {"+8612800138001", "CN", ""},
		"letters":                       {"+86138001380x1", "CN", ""},
		"code twice":                    {"+868613800138001", "CN", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := contact.National(tt.e164, tt.country)
			if got != tt.want || (err == nil) != (tt.want != "") || err != nil && !errors.Is(err, contact.ErrOtherNumber) {
				t.Errorf("National(%q, %q): got %q, %v, want %q", tt.e164, tt.country, got, err, tt.want)
			}
		})
	}
}

func TestDigits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ e164, country, want string }{
		"China":                           {"+8613800138001", "CN", "8613800138001"},
		"Chicago where Chinese is read":   {"+13125550123", "CN", ""},
		"Manhattan where Chinese is read": {"+12125550123", "CN", "12125550123"},
		"Chicago where nothing is read":   {"+13125550123", "", "13125550123"},
		"Chicago at home":                 {"+13125550123", "US", "13125550123"},
		"Chinese in America":              {"+8613800138001", "US", "8613800138001"},
		"Austin where German is read":     {"+15125550123", "DE", ""},
		"Hong Kong where Chinese is read": {"+85251234567", "CN", "85251234567"},
		"Britain":                         {"+447400123456", "CN", "447400123456"},
		"without a plus":                  {"8613800138001", "CN", ""},
		"too short":                       {"+123456", "", ""},
		"too long":                        {"+1234567890123456", "", ""},
		"a zero first":                    {"+0123456789", "", ""},
		"nothing":                         {"", "", ""},
	} {
		got, err := contact.Digits(tt.e164, tt.country)
		if got != tt.want || (err == nil) != (tt.want != "") || err != nil && !errors.Is(err, contact.ErrOtherNumber) {
			t.Errorf("%s: Digits(%q, %q): got %q, %v, want %q", name, tt.e164, tt.country, got, err, tt.want)
		}
	}
}

// TestFormsReadBack: whatever form a number is given, the reader gets the same number, for every country that there is.
func TestFormsReadBack(t *testing.T) {
	t.Parallel()
	var countries []string
	for c := range phonenumbers.GetSupportedRegions() {
		countries = append(countries, c)
	}
	slices.Sort(countries)
	lost := 0
	for _, c := range countries {
		for _, kind := range []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE} {
			n := phonenumbers.GetExampleNumberForType(c, kind)
			if n == nil {
				continue
			}
			e164 := phonenumbers.Format(n, phonenumbers.E164)
			if _, err := contact.National(e164, c); err != nil {
				if known, ok := contact.Phone(e164, c); ok && known == e164 {
					lost++
					t.Logf("%s of %s has no national form", e164, c)
				}
			}
		}
	}
	if lost > 5 {
		t.Errorf("%d numbers that are known have no form in their own country", lost)
	}
	rapid.Check(t, func(t *rapid.T) {
		country, home := rapid.SampledFrom(countries).Draw(t, "country"), rapid.SampledFrom(countries).Draw(t, "home")
		if rapid.Bool().Draw(t, "at home") {
			home = country
		}
		e164 := "+" + rapid.StringMatching(`[1-9][0-9]{6,14}`).Draw(t, "digits")
		if n := phonenumbers.GetExampleNumberForType(country, phonenumbers.MOBILE); n != nil && rapid.Bool().Draw(t, "near") {
			// A number of the country, with other digits at its end.
			known := phonenumbers.Format(n, phonenumbers.E164)
			e164 = known[:len(known)-4] + rapid.StringMatching(`[0-9]{4}`).Draw(t, "end")
		}
		if national, err := contact.National(e164, home); err == nil {
			if back, ok := contact.Phone(national, home); !ok || back != e164 || strings.HasPrefix(national, "+") {
				t.Fatalf("%s in %s: %s, which is %q there", e164, home, national, back)
			}
		}
		if digits, err := contact.Digits(e164, home); err == nil {
			if "+"+digits != e164 {
				t.Fatalf("%s: %s", e164, digits)
			}
			if other, ok := contact.Mobile(digits, home); ok && other != e164 {
				t.Fatalf("%s in %s: the digits are %s there", e164, home, other)
			}
		}
	})
}
