package contact

import (
	"errors"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// ErrOtherNumber says that a number loses its identity in another form: who reads the form in the given country sees another number, or
// none.
var ErrOtherNumber = errors.New("the number would be another one, or none, in that country")

// National returns an E.164 number in the national form of a country (ISO 3166-1 alpha-2): its digits without the plus, the calling code
// and a trunk prefix. It fails with ErrOtherNumber unless that form, read in the country, is the same number again. Countries that share
// a calling code (+1, +7, +44) share their national forms.
func National(e164, country string) (string, error) {
	country = strings.ToUpper(country)
	digits, ok := e164Digits(e164)
	if !ok {
		return "", ErrOtherNumber
	}
	code := callingCode(country)
	national, found := strings.CutPrefix(digits, code)
	if code == "" || !found {
		return "", ErrOtherNumber
	}
	if back, ok := Phone(national, country); !ok || back != e164 {
		return "", ErrOtherNumber
	}
	return national, nil
}

// Digits returns an E.164 number without its plus, calling code first. Who takes such numbers may take national ones as well: with a
// country it fails with ErrOtherNumber if the digits, read there, are another number that takes text messages (13125550123 is in Chicago
// behind a plus, and a mobile of China without). An empty country is for a receiver that is documented to expect the calling code.
func Digits(e164, country string) (string, error) {
	digits, ok := e164Digits(e164)
	if !ok {
		return "", ErrOtherNumber
	}
	if country != "" {
		if other, ok := Mobile(digits, country); ok && other != e164 {
			return "", ErrOtherNumber
		}
	}
	return digits, nil
}

// Mobile is Phone for numbers that take text messages: those of mobiles, and those of plans that do not tell mobiles from the rest
// (+1). A number without a plus is read as one of the country.
func Mobile(raw, country string) (e164 string, ok bool) {
	e164, ok = Phone(raw, country)
	if !ok || strings.HasPrefix(e164, "+861") && len(e164) == 14 {
		return e164, ok
	}
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return "", false
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return e164, true
	}
	return "", false
}

// Textable reports whether a number (E.164) may take text messages: all do but those that the country's plan tells to be landlines,
// toll-free, shared-cost, premium-rate, pagers, voicemail or one number of a firm (400 in China). They stay good for calls.
func Textable(e164 string) bool {
	if strings.HasPrefix(e164, "+861") && len(e164) == 14 {
		return true // as nearly always
	}
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return false
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.FIXED_LINE, phonenumbers.TOLL_FREE, phonenumbers.SHARED_COST, phonenumbers.PREMIUM_RATE, phonenumbers.UAN, phonenumbers.PAGER, phonenumbers.VOICEMAIL:
		return false
	}
	return true
}

// e164Digits returns the digits of a number in E.164: a plus and 7 to 15 digits, of which the first is not 0.
func e164Digits(e164 string) (string, bool) {
	digits, plus := strings.CutPrefix(e164, "+")
	return digits, plus && len(digits) >= 7 && len(digits) <= 15 && digits[0] != '0' && isNumber(digits, "")
}

// callingCode returns the calling code of a country, "" if there is no such country.
func callingCode(country string) string {
	switch country {
	case "CN":
		return "86"
	case "US", "CA":
		return "1"
	}
	if n := phonenumbers.GetCountryCodeForRegion(country); n > 0 {
		return strconv.Itoa(n)
	}
	return ""
}
