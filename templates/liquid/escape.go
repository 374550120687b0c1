package liquid

import (
	"strings"

	caretext "github.com/carebell/carebell/care/text"
)

// Clean makes a value harmless: one line, so that it starts no new header or direction; with breaks, which JSON can carry and a
// system may need, several. It cannot look like a placeholder of the engine either.
func Clean(s string, breaks bool) string {
	if strings.ContainsFunc(s, IsPlaceholder) {
		s = strings.Map(func(r rune) rune {
			if IsPlaceholder(r) {
				return -1
			}
			return r
		}, s)
	}
	if breaks {
		return caretext.Lines(s)
	}
	return caretext.Line(s)
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
