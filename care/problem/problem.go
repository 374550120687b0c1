// Package problem says what is wrong in a care book, so that the marketer who wrote it finds the place and mends it: file, line and
// column, the line with a caret, and the name that was probably meant.
//
// It promises that an excerpt is short whatever the file, and that its caret stands below the column in a terminal. It does not
// find problems: the packages that read a part of the book do.
package problem

import "fmt"

// Severity tells a fault that stops a book from a warning.
type Severity string

// The severities of a Problem.
const (
	Fault   Severity = "error"
	Warning Severity = "warning"
)

// Problem is something wrong in a care book, in words for the marketer who wrote it.
type Problem struct {
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"`           // a stable name, e.g. "unknown-field"
	File     string   `json:"file"`           // path below the book's folder, with slashes
	Line     int      `json:"line,omitempty"` // from 1; 0 = the whole file
	Column   int      `json:"column,omitempty"`
	Message  string   `json:"message"`           // what is wrong
	Remedy   string   `json:"remedy,omitempty"`  // what to write instead
	Excerpt  string   `json:"excerpt,omitempty"` // the line with a caret, several lines
}

// Error returns file:line:column: message; remedy.
func (p Problem) Error() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
		if p.Column > 0 {
			s += fmt.Sprintf(":%d", p.Column)
		}
	}
	if s != "" {
		s += ": "
	}
	if p.Severity == Warning {
		s += "warning: "
	}
	s += p.Message
	if p.Remedy != "" {
		s += "; " + p.Remedy
	}
	return s
}

// Faults reports whether any of the problems is a Fault.
func Faults(problems []Problem) bool {
	for _, p := range problems {
		if p.Severity != Warning {
			return true
		}
	}
	return false
}
