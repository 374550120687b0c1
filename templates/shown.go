package templates

import "github.com/carebell/carebell/care"

// Shown says which personal links a message can show, and whether it shows the dues that go with it. A link that no template asks for needs
// no signature.
type Shown struct{ Unsubscribe, Survey, RSVP, Odometer, Also bool }

// Shows returns the links that the draft's template can show, in whichever of its branches. A mail has the link to unsubscribe in
// its header, whatever its template says. What no template is found for shows none.
func (s *Set) Shows(d *care.Draft) Shown {
	t := s.of(d)
	if t == nil {
		return Shown{}
	}
	out := t.shows
	out.Unsubscribe = out.Unsubscribe || d.Channel == care.Email
	return out
}

// ShowsAlso reports whether a template, in a dealer's words, shows the dues that were merged into its message.
func (s *Set) ShowsAlso(dealer, name string, ch care.Channel, locales []string) bool {
	t := s.find(dealer, name, ch, locales...)
	return t != nil && t.shows.Also
}

// shownBy finds the links among the variables that a template names anywhere.
func shownBy(named map[string]bool) Shown {
	return Shown{Unsubscribe: named["links.unsubscribe"], Survey: named["links.survey"], RSVP: named["links.rsvp"], Odometer: named["links.odometer"], Also: named["also"]}
}
