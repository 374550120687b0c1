package channels

import (
	"strings"
	"unicode/utf8"
)

// OneLine makes a text fit for a header: control characters, line and paragraph separators become one space each run, characters
// that turn the direction of the text around are dropped, and so is what is no UTF-8.
func OneLine(s string) string {
	clean := true
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			clean = false
			break
		}
	}
	if !clean {
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
	clean := true
	for i := range len(s) {
		if c := s[i]; (c < 0x20 && c != '\n' && c != '\t') || c >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
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

func control(r rune) bool { return r < 0x20 || (r >= 0x7f && r < 0xa0) }

// bidi are the marks, embeddings, overrides and isolates of the Unicode bidirectional algorithm (UAX 9 section 2).
func bidi(r rune) bool {
	return r == '\u061c' || r == '\u200e' || r == '\u200f' || (r >= '\u202a' && r <= '\u202e') || (r >= '\u2066' && r <= '\u2069')
}
