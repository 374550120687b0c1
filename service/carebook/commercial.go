package carebook

import (
	"fmt"
	"slices"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
)

// WithoutOptOut names the programs whose commercial e-mail would have no way to unsubscribe, because there is no CARE_PUBLIC_URL: none of it
// is sent.
func (c *Compiled) WithoutOptOut() []string {
	if c.links.public != "" {
		return nil
	}
	var names []string
	for _, p := range c.Book.Programs {
		if needsOptOut(p) {
			names = append(names, p.Program)
		}
	}
	return names
}

func needsOptOut(p *care.Program) bool {
	mails := slices.Contains(p.Channels, string(care.Email)) || slices.Contains(p.Channels, "preferred")
	return p.Enabled && p.Class == care.Commercial && mails
}

// noOptOut warns of the same programs, where they stand in the book.
func noOptOut(book *care.Book, public string) []problem.Problem {
	var out []problem.Problem
	for _, p := range book.Programs {
		if public != "" || !needsOptOut(p) {
			continue
		}
		found := problem.Problem{
			Severity: problem.Warning, Rule: "no-opt-out", File: p.File,
			Message: "commercial e-mail needs a way to unsubscribe, and CARE_PUBLIC_URL is not set: serve refuses this book",
			Remedy:  "set CARE_PUBLIC_URL (with CARE_PUBLIC_LISTEN and CARE_SECRET_KEY), or write channels: [sms] or enabled: false",
		}
		if book.Locate != nil {
			found.Line, found.Column, found.Excerpt = book.Locate(p.File, "$.class")
		}
		out = append(out, found)
	}
	return out
}

// ErrOptOut says why a book is not served.
func ErrOptOut(programs []string) error {
	return fmt.Errorf("commercial e-mail needs a way to unsubscribe: set CARE_PUBLIC_URL (with CARE_PUBLIC_LISTEN and CARE_SECRET_KEY), or disable %v", programs)
}
