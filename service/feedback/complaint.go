package feedback

import (
	_ "embed"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/carebell/carebell/care/text"
)

// Complaint is the reason of the hold that a bad answer opens: calm the feelings first, everything but safety waits.
const Complaint = "complaint"

// bad is the highest score that opens a hold, of 5.
const bad = 2

//go:embed complaints.txt
var complaintsText string

var complaintWords = readWords(complaintsText)

// wordList finds words in a text as people write it.
type wordList struct{ hits, harmless []string }

func readWords(text string) wordList {
	var out wordList
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if but, ok := strings.CutPrefix(line, "!"); ok {
			out.harmless = append(out.harmless, flat(but))
		} else if line != "" {
			out.hits = append(out.hits, flat(line))
		}
	}
	return out
}

// in reports whether the text has one of the words.
func (l wordList) in(text string) bool {
	text = flat(text)
	for _, w := range l.harmless {
		text = strings.ReplaceAll(text, w, " . ")
	}
	for _, w := range l.hits {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// flat writes a text in lower-case, half-width words with single spaces around the Latin ones, so that whole words can be found
// as parts of the text; Chinese stays as it is.
func flat(text string) string {
	var b strings.Builder
	space := func() {
		if s := b.String(); s == "" || s[len(s)-1] != ' ' {
			b.WriteByte(' ')
		}
	}
	latin := false
	for _, r := range strings.ToLower(width.Fold.String(text)) {
		switch {
		case r == '-' || r == '\'' || r == '’':
			if latin {
				b.WriteRune(r)
				continue
			}
			space()
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			if latin {
				space()
			}
			latin = false
		case unicode.Is(unicode.Han, r):
			if latin {
				space()
			}
			latin = false
			b.WriteRune(r)
		default:
			if !latin {
				space()
			}
			latin = true
			b.WriteRune(r)
		}
	}
	if latin {
		space()
	}
	return b.String()
}

// Clean keeps what a person wrote as harmless lines, at most so many characters.
func Clean(said string, atMost int) string {
	said = strings.TrimSpace(text.Lines(said))
	if r := []rune(said); len(r) > atMost {
		return strings.TrimSpace(string(r[:atMost]))
	}
	return said
}
