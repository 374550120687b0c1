package cell

import (
	_ "embed"
	"strings"
	"unicode"

	caretext "github.com/carebell/carebell/care/text"
)

//go:embed words.txt
var wordsText string

// vocabulary has the words of words.txt: kind → word → value.
var vocabulary, traditional = readWords()

// blankFirst has the first bytes of the words for nothing: most cells begin with none of them.
var blankFirst = func() (first [256]bool) {
	for w := range vocabulary["blank"] {
		first[w[0]], first[strings.ToUpper(w)[0]] = true, true
	}
	first["\uff0d"[0]] = true // full-width forms
	return first
}()

func readWords() (all map[string]map[string]string, simple map[rune]rune) {
	all, simple = map[string]map[string]string{}, map[rune]rune{}
	for _, pair := range strings.Fields(wordsText[strings.Index(wordsText, "traditional characters:"):]) {
		if r := []rune(pair); len(r) == 2 && unicode.Is(unicode.Han, r[0]) {
			simple[r[0]] = r[1]
		}
	}
	for line := range strings.Lines(wordsText) {
		name, words, found := strings.Cut(strings.TrimSpace(line), ": ")
		kind, value, isWord := strings.Cut(name, " ")
		if !found || !isWord || line[0] == '#' || kind == "traditional" {
			continue
		}
		if all[kind] == nil {
			all[kind] = map[string]string{}
		}
		for _, w := range strings.Split(words, " | ") {
			all[kind][foldWith(w, simple)] = value
		}
	}
	return all, simple
}

// Fold writes a word as it is compared: small letters, simplified characters, no blanks, no full-width forms.
func Fold(s string) string { return foldWith(s, traditional) }

func foldWith(s string, simple map[rune]rune) string {
	return strings.Map(func(r rune) rune {
		if r = caretext.Narrow(r); unicode.IsSpace(r) {
			return -1
		}
		if to, ok := simple[r]; ok {
			return to
		}
		return unicode.ToLower(r)
	}, s)
}

// simple writes a text in simplified characters, as far as words need it.
func simple(s string) string {
	return strings.Map(func(r rune) rune {
		if to, ok := traditional[r]; ok {
			return to
		}
		return r
	}, s)
}

// Meaning returns what a word of a kind means, "" if it is not known.
func Meaning(kind, s string) string {
	words := vocabulary[kind]
	if v, ok := words[s]; ok {
		return v // as it is written nearly always
	}
	s = Fold(s)
	if v, ok := words[s]; ok {
		return v
	}
	return words[strings.Trim(s, ".。!✓\ufe0f")]
}
