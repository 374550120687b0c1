package contact

import (
	"slices"
	"strings"

	"github.com/carebell/carebell/care/text"
)

// Readings returns the numbers, in E.164, that somebody else's spelling of one may mean: with a plus or a country's prefix for calls abroad,
// with or without calling code and trunk prefix, whatever stands between the digits. A number without a plus is read as one of each of the
// countries. Those that take text messages come first; without any, those that nobody could have are left too: a word against messages
// counts however its number is written.
func Readings(raw string, countries ...string) []string {
	digits, plus := dialled(raw)
	var mobile, other []string
	add := func(n, country string) {
		e164, ok := Phone(n, country)
		if !ok || slices.Contains(mobile, e164) || slices.Contains(other, e164) {
			return
		}
		if _, ok := Mobile(e164, ""); ok {
			mobile = append(mobile, e164)
		} else {
			other = append(other, e164)
		}
	}
	if plus {
		add("+"+digits, "")
	}
	// A plus before what is no number of any country was put there by somebody who did not know better.
	if !plus || len(mobile)+len(other) == 0 {
		for _, c := range countries {
			add(digits, c)
		}
		add("+"+strings.TrimPrefix(digits, "00"), "")
	}
	if len(mobile) > 0 {
		return mobile
	}
	if bare := strings.TrimLeft(digits, "0"); len(other) == 0 && len(bare) >= 7 && len(bare) <= 15 {
		return []string{"+" + bare}
	}
	return other
}

// dialled returns the digits of a number, and whether a plus stands before them.
func dialled(raw string) (digits string, plus bool) {
	digits = strings.Map(func(r rune) rune {
		switch r = text.Narrow(r); {
		case r >= '0' && r <= '9':
			return r
		case r == '+':
			plus = true
		}
		return -1
	}, raw)
	return digits, plus
}
