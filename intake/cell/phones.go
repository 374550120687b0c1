package cell

import (
	"strings"
	"unicode"

	"github.com/carebell/carebell/care/contact"
	caretext "github.com/carebell/carebell/care/text"
)

// Numbers reads a cell with one number or more, each with a note in brackets.
func Numbers(raw, country string) (all []string, reason string) {
	if raw == "" {
		return nil, ""
	}
	if phone, ok := contact.Phone(raw, country); ok {
		return []string{phone}, ""
	}
	if strings.Count(raw, ",") > 1 {
		if phone, ok := contact.Phone(strings.ReplaceAll(raw, ",", ""), country); ok {
			return []string{phone}, "" // 13,800,138,008
		}
	}
	for _, part := range strings.FieldsFunc(raw, func(r rune) bool { return strings.ContainsRune("/;,|、；，／", r) }) {
		if part = withoutWords(part); part == "" {
			continue
		}
		phone, ok := contact.Phone(part, country)
		switch {
		case ok:
			all = append(all, phone)
		case contact.Scientific(part):
			return nil, DigitsLost
		default:
			return nil, NoPhone
		}
	}
	if len(all) == 0 {
		return nil, NoPhone
	}
	return all, ""
}

// withoutWords takes notes in brackets, such as (妻), out of a number. Brackets around digits are the number's own.
func withoutWords(s string) string {
	s = strings.Map(caretext.Narrow, s)
	for {
		from := strings.IndexByte(s, '(')
		to := strings.IndexByte(s, ')')
		if from < 0 || to < from || strings.IndexFunc(s[from:to], unicode.IsLetter) < 0 {
			return strings.TrimSpace(s)
		}
		s = s[:from] + s[to+1:]
	}
}
