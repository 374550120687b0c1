// Package text is the one rule for what other people's text may do to a header, a page, a message or a list.
//
// It promises that what it returns is valid UTF-8 without control characters, without characters that turn the direction of the
// text around, and without those that nobody sees; that a text without them comes back as it is, emoji, Chinese and combining
// marks included; and that cleaning twice changes nothing. It does not escape for any format, does not shorten, and does not
// judge letters that look alike.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes one line of a text: each run of control characters and line ends becomes one space, so that no value starts a new
// header or line. What is invisible, turns the text around or is no UTF-8 is dropped. Blanks stay as they are.
func Line(s string) string {
	from := harmful(s, false)
	if from == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:from])
	inRun := false
	for _, r := range s[from:] {
		switch {
		case control(r) || r == '\u2028' || r == '\u2029':
			if !inRun {
				b.WriteByte(' ')
			}
			inRun = true
		case dropped(r):
		default:
			b.WriteRune(r)
			inRun = false
		}
	}
	return b.String()
}

// Lines makes a text of several lines harmless: every kind of line end becomes \n, tabs stay, and other control characters are
// dropped, as is what Line drops.
func Lines(s string) string {
	from := harmful(s, true)
	if from == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:from])
	before := rune(0)
	for _, r := range s[from:] {
		switch {
		case r == '\n' && before == '\r': // one line end, written already
		case r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
			b.WriteByte('\n')
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case control(r) || dropped(r):
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return b.String()
}

// Readable reports whether a text has neither control characters nor what its encoding could not say: a cell of a file that has them
// was read wrongly, and cleaning would hide that.
func Readable(s string) bool {
	for _, r := range s {
		if control(r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// harmful returns where the first character stands that Line, or Lines, would change; the length of s if there is none.
func harmful(s string, lines bool) int {
	for i, r := range s {
		switch {
		case lines && (r == '\n' || r == '\t'):
		case control(r) || r == '\u2028' || r == '\u2029' || dropped(r):
			return i
		}
	}
	return len(s)
}

func control(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// dropped says what is taken out everywhere. The joiners U+200C and U+200D stay: emoji and several scripts are written with them.
func dropped(r rune) bool {
	switch {
	case r < 0x061c:
		return false
	case r == '\u061c', r == '\u200e', r == '\u200f', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return true // marks, embeddings, overrides and isolates of the bidirectional algorithm (UAX 9 section 2)
	case r == '\u180e', r == '\u200b', r >= '\u2060' && r <= '\u2065', r >= '\u206a' && r <= '\u206f', r == '\ufeff', r >= '\ufff9' && r <= '\ufffb':
		return true // no width, and no meaning in a text for people (Unicode 16, 23.2 and 23.8)
	}
	return r == utf8.RuneError
}

// Narrow turns full-width forms (U+FF01 to U+FF5E) and the ideographic space into ASCII; any other rune comes back as it is.
func Narrow(r rune) rune {
	switch {
	case r >= '\uff01' && r <= '\uff5e':
		return r - 0xfee0
	case r == '\u3000':
		return ' '
	}
	return r
}

// HasHan reports whether a text has a Chinese character.
func HasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}
