package cell

import (
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	caretext "github.com/carebell/carebell/care/text"
)

// units are the words behind a mileage.
var units = []struct{ word, unit string }{
	{"公里", "km"}, {"千米", "km"}, {"kms", "km"}, {"km", "km"}, {"kilometers", "km"}, {"kilometres", "km"}, {"kilometer", "km"}, {"kilomètres", "km"}, {"英里", "mi"}, {"哩", "mi"}, {"miles", "mi"}, {"mile", "mi"}, {"mi", "mi"}, {"里", "km"},
}

// Kilometres reads 32158, 32,158, 32 158, 32158.0, 3.2万 and 19,000 mi. comma says that the file writes decimals with a comma; unit is what
// the header says, and a unit behind the number wins.
func Kilometres(s string, comma bool, unit string) (km, reason string) {
	if len(s) <= 6 && isDigits(s) && unit != "mi" && s[0] != '0' {
		return s, "" // as nearly always
	}
	s = strings.TrimRight(strings.ToLower(strings.TrimSpace(strings.Map(caretext.Narrow, s))), ".")
	for _, u := range units {
		if rest, found := strings.CutSuffix(s, u.word); found {
			s, unit = strings.TrimSpace(rest), u.unit
			break
		}
	}
	times := 1.0
	if rest, found := strings.CutSuffix(simple(s), "万"); found {
		s, times = strings.TrimSpace(rest), 10000
	}
	minus := strings.HasPrefix(s, "-") || strings.HasPrefix(s, "\u2212")
	digits, reason := plainNumber(strings.TrimLeft(s, "-\u2212"), comma, times > 1)
	if reason != "" {
		return "", reason
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return "", NoNumber
	}
	n *= times
	if unit == "mi" {
		n = math.Round(n * care.KMPerMile)
	}
	switch {
	case minus && n > 0:
		return "", Negative
	case n > record.MostKM:
		return "", TooFar
	}
	return strconv.Itoa(int(n + 1e-6)), ""
}

// plainNumber takes the marks of thousands out of a number, and writes its decimals with a point. What can be read in two ways, such as
// 31.000, is refused.
func plainNumber(s string, comma, short bool) (digits, reason string) {
	parts, separators := []string{""}, []rune{}
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			parts[len(parts)-1] += string(r)
		case r == '.' || r == ',' || r == '\'' || r == '\u2019':
			separators, parts = append(separators, r), append(parts, "")
		case unicode.IsSpace(r):
			separators, parts = append(separators, ' '), append(parts, "")
		default:
			return "", NoNumber
		}
	}
	last := len(parts) - 1
	for i, p := range parts {
		if p == "" && (i < last || last == 0) {
			return "", NoNumber
		}
	}
	if last == 0 {
		return parts[0], ""
	}
	grouped := len(parts[0]) <= 3 && parts[0] != "0"
	for i := 1; i < last; i++ {
		grouped = grouped && len(parts[i]) == 3 && separators[i-1] == separators[0]
	}
	end, decimal := separators[last-1], '.'
	if comma {
		decimal = ','
	}
	whole := strings.Join(parts[:last], "")
	switch {
	case last > 1 && end == separators[0] && grouped && len(parts[last]) == 3: // 1.234.567
		return whole + parts[last], ""
	case last > 1 && end != separators[0] && grouped && (end == '.' || end == ','): // 31.000,50
		return whole + "." + parts[last], ""
	case last > 1:
		return "", NoNumber
	case end == ' ' || end == '\'' || end == '\u2019':
		if grouped && len(parts[1]) == 3 {
			return whole + parts[1], ""
		}
		return "", NoNumber
	case end == decimal && (len(parts[1]) != 3 || !grouped || short):
		return whole + "." + parts[1], ""
	case end != decimal && grouped && len(parts[1]) == 3:
		return whole + parts[1], ""
	}
	return "", TwoNumbers
}

// Exact takes the .0 off a number that a system wrote as one with decimals: 100001.0. It fails on 1.0E+05, whose digits are lost.
func Exact(s string) (string, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return s, true
	}
	if whole, part, found := strings.Cut(s, "."); found && isDigits(whole) && part != "" {
		if strings.Trim(part, "0") == "" {
			return whole, true
		}
	}
	mantissa, power, found := strings.Cut(strings.ToUpper(s), "E")
	lost := found && strings.Trim(mantissa, "0123456789.,") == "" && isDigits(strings.TrimPrefix(power, "+")) && strings.ContainsAny(s, ".,+")
	return s, !lost
}
