package contact

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// The limits of RFC 5321 section 4.5.3.1; 254 is what a path of 256 leaves between its angle brackets.
const (
	maxAddress = 254
	maxLocal   = 64
	maxLabel   = 63
)

// Email returns the address with its domain in lower case and in ASCII (RFC 5891). It takes one bare addr-spec of RFC 5321:
// a dot-string of ASCII and a domain of at least two labels. Display names, comments, quoted local parts, address literals and
// anything that could end a command or a header are refused; blanks around it are not.
func Email(raw string) (addr string, ok bool) {
	s := strings.Trim(fold(raw), " \t")
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > maxLocal || !dotAtom(s[:at]) {
		return "", false
	}
	domain := s[at+1:]
	if !plainDomain(domain) {
		// The long way: letters to fold, or beyond ASCII.
		if len(domain) > maxAddress || !utf8.ValidString(domain) {
			return "", false
		}
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil || !plainDomain(ascii) {
			return "", false
		}
		domain = ascii
		s = s[:at+1] + domain
	}
	if len(s) > maxAddress {
		return "", false
	}
	return s, true
}

// dotAtom reports whether s is a dot-string of RFC 5321: atoms parted by single dots.
func dotAtom(s string) bool {
	dot := true
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.':
			if dot {
				return false
			}
			dot = true
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0:
		default:
			return false
		}
		dot = false
	}
	return !dot
}

// plainDomain reports whether s is a lower-case host name with a top-level domain that is no number.
func plainDomain(s string) bool {
	labels, start := 0, 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
			continue
		}
		label := s[start:i]
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		labels++
		if i == len(s) {
			return labels > 1 && !isNumber(label, "")
		}
		start = i + 1
	}
	return false
}
