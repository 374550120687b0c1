package feedback

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
)

// OptOut stops messages, each scope as How says. A stop that is in force already stays as it is: the first one is the evidence.
// One of a channel, or of everything, the addresses carry too: whoever else has them is left alone.
func (s *Service) OptOut(ctx context.Context, about *Subject, scopes []string, how care.Stop) error {
	var channels []care.Channel
	for _, ch := range Persons {
		if slices.Contains(scopes, Everything) || slices.Contains(scopes, string(ch)) {
			channels = append(channels, ch)
		}
	}
	if err := s.carry(ctx, about, channels, func(a *care.AddressState) {
		if !a.Stopped() {
			a.Refuse(how)
		}
	}); err != nil {
		return err
	}
	return s.decide(ctx, about, func(o *care.Overlay) error {
		for _, scope := range scopes {
			if !Stopped(o, scope) {
				stop(o, scope, how)
			}
		}
		return nil
	}, about.entry(KindOptOut, strings.Join(scopes, " ")))
}

// OptBackIn lifts the stops that the buttons of the page of preferences make. Offers stay off: consent to them is given by their own
// box.
func (s *Service) OptBackIn(ctx context.Context, about *Subject, how care.Stop) error {
	own, channels := ScopeOrAll(about.Channel), []care.Channel{about.Channel}
	if about.Channel == "" {
		channels = Persons
	}
	if err := s.carry(ctx, about, channels, func(a *care.AddressState) { lift(a, how) }); err != nil {
		return err
	}
	return s.decide(ctx, about, func(o *care.Overlay) error {
		for _, scope := range []string{Everything, own, string(care.Service), string(care.Care)} {
			if Stopped(o, scope) {
				grant(o, scope, how)
			}
		}
		return nil
	}, about.entry(KindOptIn, own))
}

// lift takes back the no of an address, if there is one.
func lift(a *care.AddressState, how care.Stop) {
	if a.Stopped() {
		a.Agree(how)
	}
}

// NotMe takes "this is not me": the address is not used again. Where its hash is not known, the channel is stopped.
func (s *Service) NotMe(ctx context.Context, about *Subject, how care.Stop) error {
	ch := about.Channel
	return s.decide(ctx, about, func(o *care.Overlay) error {
		if !suppress(o, ch, about.Facts.AddressHash[ch], KindNotMe, about.Now) {
			stop(o, ScopeOrAll(ch), how)
		}
		return nil
	}, about.entry(KindNotMe, string(ch)), about.task(KindNotMe, string(ch)))
}

// Change is one thing that a customer changes on the page of preferences. Exactly one of Way, Scope and Topic is set, or none of them
// for the limit.
type Change struct {
	Way     care.Channel // messages by this channel at all
	Scope   string       // a class on a channel or on all of them (ScopeOf)
	Channel care.Channel // of the Scope; "" = all
	Topic   string
	On      bool
	PerWeek *int // how many messages a week at most; nil = the dealer decides
}

// String writes the change as care:events tells it: +sms, -service, max_per_week=2.
func (c Change) String() string {
	name := string(c.Way) + c.Scope + c.Topic
	switch {
	case name == "" && c.PerWeek == nil:
		return "max_per_week="
	case name == "":
		return "max_per_week=" + strconv.Itoa(*c.PerWeek)
	case c.On:
		return "+" + name
	}
	return "-" + name
}

// apply makes the change.
func (c Change) apply(about *Subject, o *care.Overlay, how care.Stop) {
	switch {
	case c.Way != "" && c.On:
		grant(o, string(c.Way), how)
	case c.Way != "":
		stop(o, string(c.Way), how)
	case c.Scope != "" && c.On:
		class := care.Class(c.Scope[strings.IndexByte(c.Scope, '/')+1:])
		about.allowInRecord(o, c.Channel, class, how)
		allow(o, c.Channel, class, how)
	case c.Scope != "":
		stop(o, c.Scope, how)
	case c.Topic != "":
		about.turn(o, c.Topic, c.On)
	default:
		about.own(o).MaxPerWeek = c.PerWeek
	}
}

// SavePreferences makes the changes, and tells of them if there are any.
func (s *Service) SavePreferences(ctx context.Context, about *Subject, changes []Change, how care.Stop) error {
	var told []care.EventEntry
	if len(changes) > 0 {
		names := make([]string, len(changes))
		for i, c := range changes {
			names[i] = c.String()
		}
		told = append(told, about.entry(KindPreferences, strings.Join(names, " ")))
	}
	for _, c := range changes {
		if c.Way == "" || c.On && c.Way != about.Channel {
			continue // an address takes its no back only by a yes that came from it
		}
		if err := s.carry(ctx, about, []care.Channel{c.Way}, func(a *care.AddressState) {
			if c.On {
				lift(a, how)
			} else {
				a.Refuse(how)
			}
		}); err != nil {
			return err
		}
	}
	return s.decide(ctx, about, func(o *care.Overlay) error {
		for _, c := range changes {
			c.apply(about, o, how)
		}
		return nil
	}, told...)
}

// own returns the overlay's preferences, beginning with the record's list of what is off: the overlay's replaces it.
func (about *Subject) own(o *care.Overlay) *care.Preferences {
	if o.Preferences == nil {
		o.Preferences = &care.Preferences{Off: slices.Clone(about.Facts.Preferences.Off)}
	}
	return o.Preferences
}

// allowInRecord clears an entry of the record that switches a class off: for one channel only, if it is asked for one. Classes are
// switched off by a stop, which is kept as evidence.
func (about *Subject) allowInRecord(o *care.Overlay, ch care.Channel, class care.Class, how care.Stop) {
	name := string(class)
	if ch != "" && slices.Contains(Off(&CustomerFacts{Overlay: o, Preferences: about.Facts.Preferences}), name) {
		for _, other := range Persons {
			if scope := ScopeOf(other, class); other != ch && !agreed(o, scope) && !Stopped(o, scope) {
				stop(o, scope, how)
			}
		}
	}
	about.turn(o, name, true)
}

// turn switches a topic on or off in the preferences, or a class on.
func (about *Subject) turn(o *care.Overlay, name string, on bool) {
	present := slices.Contains(Off(&CustomerFacts{Overlay: o, Preferences: about.Facts.Preferences}), name)
	switch {
	case on && present:
		own := about.own(o)
		own.Off = slices.DeleteFunc(slices.Clone(own.Off), func(s string) bool { return s == name })
	case !on && !present:
		own := about.own(o)
		own.Off = append(slices.Clone(own.Off), name)
	}
}
