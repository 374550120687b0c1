package email

import (
	"encoding/base64"

	"github.com/wneessen/go-mail"
)

var crlf = []byte("\r\n")

// appendBody writes a body in an encoding of RFC 2045. No line of it begins with a dot, which SMTP would double, or with a hyphen, which
// could be taken for a boundary.
func appendBody(b, body []byte, as mail.Encoding) []byte {
	body = withoutNUL(body)
	if as == mail.EncodingB64 {
		return appendBase64(b, body)
	}
	return appendQuoted(b, body)
}

const (
	lineBytes = 57 // that make 76 characters of base64
	lineMost  = 76
)

func appendBase64(b, body []byte) []byte {
	for len(body) > lineBytes {
		b = base64.StdEncoding.AppendEncode(b, body[:lineBytes])
		b = append(b, crlf...)
		body = body[lineBytes:]
	}
	return base64.StdEncoding.AppendEncode(b, body)
}

const upperHex = "0123456789ABCDEF"

// appendQuoted writes quoted-printable (RFC 2045 section 6.7). Every line end, of whatever kind, becomes CRLF.
func appendQuoted(b, body []byte) []byte {
	at := 0 // characters on this line
	quote := func(c byte) {
		if at+3 > lineMost-1 { // the last place is for the = of a soft line break
			b = append(b, "=\r\n"...)
			at = 0
		}
		b = append(b, '=', upperHex[c>>4], upperHex[c&15])
		at += 3
	}
	// A blank at the end of a line would be lost on the way.
	endLine := func() {
		if n := len(b); at > 0 && (b[n-1] == ' ' || b[n-1] == '\t') {
			c := b[n-1]
			b = b[:n-1]
			at--
			quote(c)
		}
	}
	for i := 0; i < len(body); {
		c := body[i]
		switch {
		case c == '\n' || c == '\r':
			endLine()
			b = append(b, crlf...)
			at = 0
			if i++; c == '\r' && i < len(body) && body[i] == '\n' {
				i++
			}
		case !asIs[c] || at == 0 && (c == '.' || c == '-'):
			quote(c)
			i++
		case at >= lineMost-1:
			b = append(b, "=\r\n"...)
			at = 0
		default:
			end := min(len(body), i+lineMost-1-at)
			from := i
			for i++; i < end && asIs[body[i]]; i++ {
			}
			b = append(b, body[from:i]...)
			at += i - from
		}
	}
	endLine()
	return b
}

// asIs are the characters that quoted-printable leaves as they are.
var asIs = func() (table [256]bool) {
	for c := byte(' '); c <= '~'; c++ {
		table[c] = c != '='
	}
	table['\t'] = true
	return table
}()
