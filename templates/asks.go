package templates

import (
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates/liquid"
)

// askedBy is what a text message can ask for, with the link that shows it.
var askedBy = map[string]string{"survey": "links.survey", "odometer": "links.odometer", "rsvp": "links.rsvp"}

// Asks tells what a reply to a text message answers: survey, odometer or rsvp. It is what the front matter of a language says
// (asks: survey), else what its link leads to; "" = nothing, a reply is free text. Approved templates can hold no link.
func (s *Set) Asks(name string) string {
	linked := ""
	for _, locale := range s.Locales(name, care.SMS) {
		t := s.templates[key{name, care.SMS, strings.ToLower(locale), ""}]
		if t.asks != "" {
			return t.asks
		}
		for _, what := range sortedKeys(askedBy) {
			if linked == "" && slices.ContainsFunc(t.uses(), func(u liquid.Use) bool { return u.Name == askedBy[what] }) {
				linked = what
			}
		}
	}
	return linked
}
