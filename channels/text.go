package channels

import (
	"strings"
	"unicode/utf8"
)

// OneLine makes a text fit for a header: control characters, line and paragraph separators become one space each run, characters
// that turn the direction of the text around are dropped, and so is what is no UTF-8.
func OneLine(s string) string {
	if !clean(s, false) {
		s = strings.Map(func(r rune) rune {
			switch {
			case bidi(r) || r == utf8.RuneError:
				return -1
			case control(r), r == '\u2028', r == '\u2029':
				return ' '
			}
			return r
		}, s)
	}
	if strings.Contains(s, "  ") {
		s = strings.Join(strings.Fields(s), " ")
	}
	return strings.Trim(s, " ")
}

// Lines makes a text of several lines safe: every kind of line end becomes \n, other control characters and those that turn the
// direction of the text around are dropped; tabs stay.
func Lines(s string) string {
	if clean(s, true) {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
			return '\n'
		case control(r) || bidi(r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
}

// clean reports whether a text has nothing that OneLine, or Lines with lines, would change, but for blanks.
func clean(s string, lines bool) bool {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < ' ' && (!lines || c != '\n' && c != '\t') || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r < 0xa0 || r <= 0x206f && (bidi(r) || r == '\u2028' || r == '\u2029') || r == utf8.RuneError {
			return false
		}
		i += n
	}
	return true
}

func control(r rune) bool { return r < 0x20 || (r >= 0x7f && r < 0xa0) }

// bidi are the marks, embeddings, overrides and isolates of the Unicode bidirectional algorithm (UAX 9 section 2).
func bidi(r rune) bool {
	return r == '\u061c' || r == '\u200e' || r == '\u200f' || (r >= '\u202a' && r <= '\u202e') || (r >= '\u2066' && r <= '\u2069')
}
