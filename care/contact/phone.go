package contact

import (
	"strings"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"github.com/carebell/carebell/care/text"
)

// maxRaw is more than any written form of a number needs: 15 digits (ITU-T E.164) with their punctuation.
const maxRaw = 64

// Phone returns the number in E.164 (+ and at most 15 digits). A number without + is read as one of the country (ISO 3166-1
// alpha-2). Full-width characters are folded; blanks, dashes, dots, brackets and the quotes that spreadsheets put before numbers
// are stripped. It refuses letters, extensions, scientific notation, and numbers that no plan assigns.
func Phone(raw, country string) (e164 string, ok bool) {
	if len(raw) > maxRaw {
		return "", false
	}
	var buf [maxRaw]byte
	n, ok := bare(buf[:0], raw)
	if !ok {
		return "", false
	}
	if mobile, ok := chinese(n, country); ok {
		if len(raw) == 14 && raw[0] == '+' {
			return raw, true // already in its form: nothing is copied
		}
		return "+86" + string(mobile), true
	}
	if len(n) < 5 { // no country has shorter subscriber numbers that can be reached from abroad
		return "", false
	}
	p, err := phonenumbers.Parse(string(n), strings.ToUpper(country))
	if err != nil || !phonenumbers.IsValidNumber(p) {
		return "", false
	}
	return phonenumbers.Format(p, phonenumbers.E164), true
}

// Scientific reports whether a spreadsheet turned the number into scientific notation (1.39E+10): its digits are lost.
func Scientific(raw string) bool {
	s := strings.ToUpper(strings.Trim(fold(raw), " '\""))
	mantissa, exponent, found := strings.Cut(s, "E")
	return found && isNumber(mantissa, ".,") && isNumber(strings.TrimLeft(exponent, "+"), "")
}

func isNumber(s, also string) bool { return s != "" && strings.Trim(s, "0123456789"+also) == "" }

// chinese is the short way for mainland mobiles, which are nearly all numbers of a Chinese dealer: ^1[3-9]\d{9}$ behind +86,
// 0086, 86 or nothing. Without a prefix it needs the country, because 1 380 013 8000 is a number of the United States too.
func chinese(n []byte, country string) ([]byte, bool) {
	home := country == "CN" || country == "cn"
	switch {
	case len(n) == 14 && string(n[:3]) == "+86":
		n = n[3:]
	case len(n) == 15 && string(n[:4]) == "0086":
		n = n[4:]
	case home && len(n) == 13 && string(n[:2]) == "86":
		n = n[2:]
	case home && len(n) == 11:
	default:
		return nil, false
	}
	if n[0] != '1' || n[1] < '3' || n[1] > '9' {
		return nil, false
	}
	return n, true
}

// bare appends the digits, with a leading + if there is one, to dst. It fails on anything that is neither a digit nor
// punctuation that people write in numbers.
func bare(dst []byte, raw string) ([]byte, bool) {
	// A spreadsheet that took the column for numbers writes 13800138000.0: the digits are all there.
	raw = strings.TrimSuffix(raw, ".0")
	for _, r := range raw {
		switch r = text.Narrow(r); {
		case r >= '0' && r <= '9':
			dst = append(dst, byte(r))
		case r == '+':
			if len(dst) > 0 {
				return nil, false
			}
			dst = append(dst, '+')
		case ignorable(r):
		default:
			return nil, false
		}
	}
	return dst, true
}

// ignorable reports whether the rune only parts or wraps the digits: blanks, dashes, dots, brackets, quotes, and the marks of
// direction that telephones copy along.
func ignorable(r rune) bool {
	switch r {
	case ' ', '\t', '-', '.', '(', ')', '/', '\'', '"', '`', '\u00a0', '\u00ad', '\u2018', '\u2019', '\u201c', '\u201d', '\u2212', '\ufeff':
		return true
	}
	return r >= '\u2000' && r <= '\u2015' || r >= '\u202a' && r <= '\u202f' || r >= '\u2060' && r <= '\u2069'
}

func fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(text.Narrow, s)
		}
	}
	return s
}
