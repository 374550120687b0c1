package cell

import (
	"slices"
	"strings"
	"time"
	"unicode"

	caretext "github.com/carebell/carebell/care/text"
)

// Clean trims a cell, strips the ' and the ="" by which spreadsheets and our own file of rejected rows keep a cell as a text, and
// takes what systems write for nothing as a blank. What is invisible is dropped; it fails on control characters and on what the
// encoding could not say.
func Clean(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", true
	}
	if s[0] == '\'' {
		s = strings.TrimSpace(s[1:])
	} else if len(s) > 2 && s[0] == '=' && s[1] == '"' && strings.IndexByte(s[2:], '"') == len(s)-3 {
		s = strings.TrimSpace(s[2 : len(s)-1])
	}
	if !caretext.Readable(s) {
		return "", false
	}
	s = strings.TrimSpace(caretext.Line(s))
	if s != "" && len(s) <= 16 && beginsBlank(s) && Meaning("blank", s) != "" {
		return "", true
	}
	return s, true
}

// Zone returns the IANA name of a time zone, "" if there is none.
func Zone(z string) string {
	name := Meaning("zone", z)
	if name == "" {
		name = z
		if strings.ToLower(z) == z && strings.Contains(z, "/") {
			up := true
			name = strings.Map(func(c rune) rune {
				if up {
					c = unicode.ToUpper(c)
				}
				up = c == '/' || c == '_' || c == '-'
				return c
			}, z)
		}
	}
	if _, err := time.LoadLocation(name); err != nil || slices.Contains([]string{"local", "localtime", "factory", "posixrules"}, strings.ToLower(name)) {
		return ""
	}
	return name
}
