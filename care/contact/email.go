package contact

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// The limits of RFC 5321 section 4.5.3.1; 254 is what a path of 256 leaves between its angle brackets.
const (
	maxAddress = 254
	maxLocal   = 64
	maxLabel   = 63
)

// Email returns a customer's address in the form in which it is compared, hashed and used: see Address. One that needs SMTPUTF8 (RFC 6531)
// is an address too, composed (NFC, RFC 6532 section 3.1), so that it is the same however it was typed. Latin letters beside Cyrillic or
// Greek ones are refused: that is a slip of the keyboard, or somebody who wants to look like somebody else.
func Email(raw string) (addr string, ok bool) {
	addr, smtputf8, ok := Address(raw)
	if !ok || smtputf8 && mixed(addr) {
		return "", false
	}
	if smtputf8 {
		addr, _, ok = Address(norm.NFC.String(addr)) // some letters become longer
	}
	return addr, ok
}

// mixed reports whether a local part has letters of scripts that look alike.
func mixed(addr string) bool {
	local := addr[:strings.LastIndexByte(addr, '@')]
	latin := strings.ContainsFunc(local, func(r rune) bool { return unicode.Is(unicode.Latin, r) })
	return latin && strings.ContainsFunc(local, func(r rune) bool { return unicode.In(r, unicode.Cyrillic, unicode.Greek) })
}

// Address returns an address as it goes on the wire, with its domain in lower case and in ASCII (RFC 5891), and whether a server has
// to offer SMTPUTF8 for it. It takes one bare addr-spec of RFC 5321 or RFC 6531: a dot-string and a domain of at least two labels.
// Display names, comments, quoted local parts, address literals and anything that could end a command or a header are refused, as is
// what is invisible or turns text around; blanks around it are not. Quoted local parts were how CVE-2025-59937 smuggled recipients in.
func Address(raw string) (addr string, smtputf8, ok bool) {
	s := strings.Trim(fold(raw), " \t")
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > maxLocal {
		return "", false, false
	}
	smtputf8, ok = dotString(s[:at])
	if !ok {
		return "", false, false
	}
	domain := s[at+1:]
	if !hostName(domain) || reserved(domain) {
		// The long way: letters to fold, or beyond ASCII.
		if len(domain) > maxAddress || !utf8.ValidString(domain) {
			return "", false, false
		}
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil || !hostName(ascii) {
			return "", false, false
		}
		domain = ascii
		s = s[:at+1] + domain
	}
	if len(s) > maxAddress {
		return "", false, false
	}
	return s, smtputf8, true
}

// reserved reports whether a label may have hyphens where those of internationalised names have them (RFC 5890, 2.3.1): whether it is
// one, IDNA says.
func reserved(domain string) bool { return strings.Contains(domain, "--") }

// dotString reports whether s is a dot-string: atoms parted by single dots, of RFC 5321 or, beyond ASCII, of RFC 6531 as far as one
// can see them.
func dotString(s string) (beyondASCII, ok bool) {
	dot := true
	for _, r := range s {
		switch {
		case r == '.':
			if dot {
				return false, false
			}
			dot = true
			continue
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case r < utf8.RuneSelf:
			if strings.IndexByte("!#$%&'*+-/=?^_`{|}~", byte(r)) < 0 {
				return false, false
			}
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsNumber(r): // U+FFFD, which broken UTF-8 is read as, is none of them
			beyondASCII = true
		default:
			return false, false
		}
		dot = false
	}
	return beyondASCII, !dot
}

// hostName reports whether s is a lower-case host name with a top-level domain that is no number.
func hostName(s string) bool {
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
