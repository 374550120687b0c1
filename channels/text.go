package channels

import (
	"strings"

	"github.com/carebell/carebell/care/text"
)

// OneLine makes a text fit for a header: what text.Line does, with single blanks and none at the ends.
func OneLine(s string) string {
	s = text.Line(s)
	if strings.Contains(s, "  ") {
		s = strings.Join(strings.Fields(s), " ")
	}
	return strings.Trim(s, " ")
}

// Lines is text.Lines: a harmless text of several lines.
func Lines(s string) string { return text.Lines(s) }
