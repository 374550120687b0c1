package sms

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// outWords and inWords are what customers write to stop messages and to have them again: the words of the trade in China, and
// those that CTIA and the carriers of North America demand.
var (
	outWords = wordSet("R", "T", "TD", "N", "退订", "退訂", "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT", "OPT-OUT")
	inWords  = wordSet("START", "UNSTOP")
)

func wordSet(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// OptWord reports whether a reply is an opt-out or an opt-in word: the whole text, in any case and in full-width letters, with
// spaces and punctuation around it. A longer text is neither: "please stop by tomorrow" is for a person to read.
func OptWord(text string) (out, in bool) {
	if len(text) > 256 {
		return false, false
	}
	word := strings.TrimFunc(width.Fold.String(text), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
	word = strings.ToUpper(strings.TrimSpace(word))
	return outWords[word], inWords[word]
}
