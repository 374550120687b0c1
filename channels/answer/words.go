package answer

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/carebell/carebell/care/text"
)

// mostWords bounds what is kept of a provider's words, in bytes.
const mostWords = 200

var (
	numbers = regexp.MustCompile(`\+?\d[\d() -]{5,}\d`)
	query   = regexp.MustCompile(`(https?://[^\s?]+)\?\S+`)
	blanks  = regexp.MustCompile(`\s+`)
)

// Words shortens what a provider said and takes out addresses, numbers and what must not be told (the recipient, a password): what is left
// may stand in a log and on record.
func Words(said string, secrets ...string) string {
	said = text.Line(strings.ToValidUTF8(said, ""))
	for _, s := range secrets {
		if len(s) >= 2 {
			said = replaceFold(said, s)
		}
	}
	said = addresses.ReplaceAllString(said, "…")
	said = query.ReplaceAllString(said, "$1")
	said = numbers.ReplaceAllString(said, "…")
	said = strings.TrimSpace(blanks.ReplaceAllString(said, " "))
	if len(said) > mostWords {
		cut := mostWords
		for !utf8.RuneStart(said[cut]) {
			cut--
		}
		said = said[:cut] + "…"
	}
	return said
}

// replaceFold takes a text out, in any case.
func replaceFold(said, secret string) string {
	return regexp.MustCompile("(?i)"+regexp.QuoteMeta(secret)).ReplaceAllLiteralString(said, "…")
}

// Secrets are what an answer about an address must not repeat: the address and its local part.
func Secrets(address string) []string {
	out := []string{address}
	if local, _, ok := strings.Cut(address, "@"); ok {
		out = append(out, local)
	}
	return out
}
