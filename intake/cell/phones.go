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
		if contact.Scientific(strings.TrimSpace(part)) {
			return nil, DigitsLost
		}
		if part = withoutWords(part); part == "" {
			continue
		}
		found := []string{part}
		if _, ok := contact.Phone(part, country); !ok {
			found = strings.Fields(part) // two with a blank between them
		}
		for _, f := range found {
			phone, ok := contact.Phone(f, country)
			if !ok {
				return nil, NoPhone
			}
			all = append(all, phone)
		}
	}
	if len(all) == 0 {
		return nil, NoPhone
	}
	return all, ""
}

// withoutWords takes notes such as (妻), labels such as 手机: and extensions out of a number. Brackets around digits are the number's own.
func withoutWords(s string) string {
	s = strings.ToLower(strings.Map(caretext.Narrow, s))
	for _, word := range []string{"转", "轉", "分机", "分機", "ext", " x", "#"} {
		if before, _, found := strings.Cut(s, word); found && strings.ContainsAny(before, "0123456789") {
			s = before
		}
	}
	for {
		from := strings.IndexByte(s, '(')
		to := strings.IndexByte(s, ')')
		if from < 0 || to < from || strings.IndexFunc(s[from:to], unicode.IsLetter) < 0 {
			break
		}
		s = s[:from] + s[to+1:]
	}
	s = strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsLetter(r) || r == ':' || r == ' ' })
	return strings.TrimRightFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) || r == ' ' })
}
