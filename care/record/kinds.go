package record

import (
	_ "embed"
	"regexp"
	"strings"
)

//go:embed kinds.txt
var kindsText string

// kinds are the trade's words for what a visit was for.
var kinds = func() map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(kindsText) {
		kind, words, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found || strings.HasPrefix(kind, "#") {
			continue
		}
		for _, word := range append(strings.Split(words, "|"), kind) {
			all[foldKind(word)], all[strings.TrimSpace(word)] = kind, kind
		}
	}
	return all
}()

var kindNoise = strings.NewReplacer(" ", "", "-", "", "_", "", ".", "", ",", "", "/", "", "\u3000", "", "\u00a0", "")

// foldKind writes a kind as it is compared: without letter case, blanks, dashes and dots.
func foldKind(s string) string { return strings.ToLower(kindNoise.Replace(s)) }

// Kind returns the kind of visit that a word of the trade means, in any letter case; false if the word is not known.
func Kind(word string) (kind string, known bool) {
	if word == "" || word == "maintenance" {
		return word, true // as nearly always
	}
	if kind, known = kinds[word]; !known {
		kind, known = kinds[foldKind(word)]
	}
	if !known {
		kind, known = kinds[foldKind(counted.ReplaceAllString(word, ""))]
	}
	return kind, known
}

// counted finds what stands around the word in 5000公里保养, 第3次保养, 12 months service and 保养(小).
var counted = regexp.MustCompile(`(?i)^第?[0-9][0-9.,]*\s*[万千]?\s*(?:公里|千米|km|miles?|英里|次|个月|months?)\s*|[(（\[][^)）\]]*[)）\]]`)
