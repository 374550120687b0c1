package email

import (
	"errors"
	netmail "net/mail"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

var errAddress = errors.New("this is no e-mail address")

// address checks a bare address and returns it as it goes on the wire: a dot-atom, @, and a domain in ASCII (RFC 5890). It takes
// less than RFC 5321 allows: quoted local parts, comments, address literals and control characters have no place in customer data,
// and were how CVE-2025-59937 smuggled recipients in. A local part in UTF-8 stays (RFC 6531).
func address(s string) (string, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 || !utf8.ValidString(s) {
		return "", errAddress
	}
	local, domain := s[:at], s[at+1:]
	if local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return "", errAddress
	}
	for _, r := range local {
		if !atext(r) && r != '.' {
			return "", errAddress
		}
	}
	if plainDomain(domain) {
		return s, nil
	}
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil || domain == "" || len(domain) > 253 || domain[0] == '.' || domain[len(domain)-1] == '.' || strings.Contains(domain, "..") {
		return "", errAddress
	}
	for _, c := range []byte(domain) {
		if c != '.' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return "", errAddress
		}
	}
	return local + "@" + domain, nil
}

// plainDomain reports whether a domain is one that is the same on the wire: labels of small letters, digits and hyphens, none of which
// stands at an end or where an ACE prefix has them (RFC 5890, 5891).
func plainDomain(s string) bool {
	from := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
			continue
		}
		label := s[from:i]
		if len(label) < 1 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || len(label) > 3 && label[2] == '-' && label[3] == '-' {
			return false
		}
		from = i + 1
	}
	return len(s) <= 253
}

// atext is RFC 5322 section 3.2.3 with the letters of RFC 6532, without what is invisible or turns text around.
func atext(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	case r < 0x80:
		return strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
	}
	return visible(r)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// mailbox returns a name and an address for a header. The name is cleaned; go-mail encodes it.
func mailbox(name, addr string) (*netmail.Address, error) {
	a, err := address(addr)
	if err != nil {
		return nil, err
	}
	return &netmail.Address{Name: header(name, 128), Address: a}, nil
}
