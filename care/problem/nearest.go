package problem

import (
	"strings"
	"unicode/utf8"
)

// maxWord bounds the words that are compared, in characters: nobody means a longer one.
const maxWord = 64

// Nearest returns the known word that was most likely meant: the only one with the fewest letters wrong, at most a third of them,
// in any letter case. "" if there is none, or more than one.
func Nearest(word string, known []string) string {
	letters := utf8.RuneCountInString(word)
	if letters > maxWord {
		return ""
	}
	best, least := "", max(1, letters/3)+1
	for _, k := range known {
		if utf8.RuneCountInString(k) > maxWord {
			continue
		}
		switch d := distance(strings.ToLower(word), strings.ToLower(k)); {
		case d >= letters:
		case d < least:
			best, least = k, d
		case d == least && k != best:
			best = ""
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before []int
	last := make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row := make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
