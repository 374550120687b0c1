package liquid

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes one harmless line of a value: control characters, the line and paragraph separators and the bidirectional controls
// of Unicode turn into a space or vanish, so that no value starts a new header, line or direction. JSON can carry line breaks
// (breaks), and a system may need them.
func Clean(s string, breaks bool) string {
	i := 0
	for i < len(s) && (s[i] >= ' ' && s[i] < 0x7f) {
		i++
	}
	if i == len(s) {
		return s
	}
	dirty := false
	for _, r := range s[i:] {
		if harmful(r) && (!breaks || r != '\n') {
			dirty = true
			break
		}
	}
	if !dirty {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch {
		case !harmful(r) || breaks && r == '\n':
			b.WriteRune(r)
		case unicode.IsSpace(r) || r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		}
	}
	return strings.ToValidUTF8(b.String(), "")
}

func harmful(r rune) bool {
	switch {
	case r < 0x80:
		return r < ' ' || r == 0x7f
	case r < 0xa0: // C1 controls
		return true
	case r == utf8.RuneError, r == 0x061c, r == 0xfeff:
		return true
	case r >= 0x200e && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return IsPlaceholder(r)
}

// appendHTML escapes for HTML text and for attributes in double quotes (WHATWG HTML, 13.3).
func appendHTML(b []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		var esc string
		switch s[i] {
		case '&':
			esc = "&amp;"
		case '<':
			esc = "&lt;"
		case '>':
			esc = "&gt;"
		case '"':
			esc = "&#34;"
		case '\'':
			esc = "&#39;"
		default:
			continue
		}
		b = append(append(b, s[from:i]...), esc...)
		from = i + 1
	}
	return append(b, s[from:]...)
}

// Schemes that a link of a message may have.
var schemes = []string{"https://", "http://", "mailto:", "tel:", "sms:"}

// appendURL writes a value into a URL attribute that began at b[start]. At its beginning the value is the whole address, which must
// have one of the schemes; behind something it is a part of one and is percent-encoded (RFC 3986, 2.1), for tel: reduced to digits.
func appendURL(b []byte, start int, s string) ([]byte, bool) {
	s = strings.TrimSpace(s)
	prefix := strings.ToLower(string(b[start:]))
	if prefix == "" {
		ok := false
		for _, scheme := range schemes {
			ok = ok || len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme)
		}
		if !ok {
			return b, false
		}
		return percent(b, s, "-._~:/?#[]@!$&'()*+,;=%"), true
	}
	switch {
	case strings.HasPrefix(prefix, "tel:"), strings.HasPrefix(prefix, "sms:"):
		for i := range len(s) {
			if c := s[i]; c >= '0' && c <= '9' || c == '+' && i == 0 || c == '*' || c == '#' {
				b = append(b, c)
			}
		}
		return b, true
	case strings.HasPrefix(prefix, "mailto:") && !strings.Contains(prefix, "?"):
		return percent(b, s, "-._~@+"), true
	case strings.HasPrefix(prefix, "https:"), strings.HasPrefix(prefix, "http:"), strings.HasPrefix(prefix, "mailto:"):
		return percent(b, s, "-._~"), true
	}
	return b, false
}

const upperHex = "0123456789ABCDEF"

// percent encodes all but letters, digits and what is kept; & and quotes come out as HTML wants them in an attribute.
func percent(b []byte, s, keep string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
			b = append(b, c)
		case c < 0x80 && strings.IndexByte(keep, c) >= 0:
			switch c {
			case '&':
				b = append(b, "&amp;"...)
			case '\'':
				b = append(b, "%27"...)
			default:
				b = append(b, c)
			}
		default:
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

// appendJSONString escapes for the inside of a JSON string (RFC 8259, 7).
func appendJSONString(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c < ' ':
			b = append(b, `\u00`...)
			b = append(b, upperHex[c>>4], upperHex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
