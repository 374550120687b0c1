package cell

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	caretext "github.com/carebell/carebell/care/text"
)

//go:embed words.txt
var wordsText string

// vocabulary has the words of words.txt: kind → word → value.
var vocabulary, traditional = readWords()

// blankFirst has the first characters of the words for nothing, in all the forms that Fold makes one of: most cells begin with none.
var blankFirst, blankASCII = func() (first map[rune]bool, ascii [utf8.RuneSelf]bool) {
	first = map[rune]bool{}
	for w := range vocabulary["blank"] {
		r, _ := utf8.DecodeRuneInString(w)
		first[r] = true
		if r < utf8.RuneSelf {
			ascii[r], ascii[unicode.ToUpper(r)] = true, true
			first[r+0xfee0], first[unicode.ToUpper(r)+0xfee0] = true, true // full-width forms
		}
	}
	for from, to := range traditional {
		first[from] = first[from] || first[to]
	}
	return first, ascii
}()

func beginsBlank(s string) bool {
	if s[0] < utf8.RuneSelf {
		return blankASCII[s[0]]
	}
	r, _ := utf8.DecodeRuneInString(s)
	return blankFirst[r]
}

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
	if v, ok := words[s]; ok || s == "" {
		return v
	}
	return words[strings.Trim(s, ".。!✓\ufe0f")]
}
