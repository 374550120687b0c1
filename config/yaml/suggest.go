package yaml

import (
	"fmt"
	"slices"
	"strings"

	"github.com/carebell/carebell/care/problem"
)

// Suggest is the remedy for a name that is not known: the one that was most likely meant, else all there are.
func Suggest(word string, known []string) string {
	if near := problem.Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return ""
	}
	return "write one of: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}
