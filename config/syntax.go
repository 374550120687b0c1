package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/carebell/carebell/care/problem"
)

var alreadyDefined = regexp.MustCompile(`^mapping key (".*") already defined at \[(\d+):\d+\]$`)

// syntaxError puts the parser's message into words of people who write books.
func syntaxError(err error) (line, column int, message string) {
	e, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return 0, 0, "this is no YAML: " + err.Error()
	}
	message = e.GetMessage()
	if t := e.GetToken(); t != nil && t.Position != nil {
		line, column = t.Position.Line, t.Position.Column
	}
	if m := alreadyDefined.FindStringSubmatch(message); m != nil {
		return line, column, fmt.Sprintf("the field %s is there twice, first on line %s", m[1], m[2])
	}
	return line, column, "this is no YAML: " + message
}

// syntaxRemedy says what usually causes the message.
func syntaxRemedy(message string) string {
	switch {
	case strings.Contains(message, "is there twice"):
		return "keep one of them"
	case strings.Contains(message, "mapping value is not allowed"):
		return "put a text that contains “: ” into quotes, and check that the lines of one block are indented alike"
	case strings.Contains(message, "quoted text"):
		return "close the quotes"
	case strings.Contains(message, "must be specified"):
		return "close the bracket"
	}
	return "check the indentation, the quotes and the brackets around here"
}

// suggest is the remedy for a name that is not known.
func suggest(word string, known []string) string {
	if near := problem.Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return ""
	}
	known = slices.Sorted(slices.Values(known))
	return "write one of: " + strings.Join(known, ", ")
}
