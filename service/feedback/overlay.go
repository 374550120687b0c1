package feedback

import (
	"slices"
	"time"

	"github.com/carebell/carebell/care"
)

// What is kept of a customer's answers; older ones go.
const (
	answersKept  = 200
	readingsKept = 100
	repliesKept  = 50
)

// Everything is the scope of a stop of all messages on all channels.
const Everything = "*"

// Persons are the channels that reach a person.
var Persons = []care.Channel{care.Email, care.SMS}

// stop records an opt-out.
func stop(o *care.Overlay, scope string, how care.Stop) {
	if o.Stops == nil {
		o.Stops = map[string]care.Stop{}
	}
	o.Stops[scope] = how
}

// grant records an opt-in. It is later than the stop it lifts even when both come in one tick of the clock.
func grant(o *care.Overlay, scope string, how care.Stop) {
	if o.Grants == nil {
		o.Grants = map[string]care.Stop{}
	}
	if s, ok := o.Stops[scope]; ok && !how.At.After(s.At) {
		how.At = s.At.Add(time.Millisecond)
	}
	o.Grants[scope] = how
}

// Stopped reports whether a stop of exactly this scope is in force.
func Stopped(o *care.Overlay, scope string) bool {
	s, ok := o.Stops[scope]
	if !ok {
		return false
	}
	g, ok := o.Grants[scope]
	return !ok || !g.At.After(s.At)
}

// agreed reports whether an opt-in of exactly this scope is in force.
func agreed(o *care.Overlay, scope string) bool {
	_, ok := o.Grants[scope]
	return ok && !Stopped(o, scope)
}

// ScopeOrAll is the scope of a channel; a link without one is about everything.
func ScopeOrAll(ch care.Channel) string {
	if ch == "" {
		return Everything
	}
	return string(ch)
}

// ScopeOf names a class on a channel; with a link of no channel it is the class on all of them.
func ScopeOf(ch care.Channel, class care.Class) string {
	if ch == "" {
		return string(class)
	}
	return string(ch) + "/" + string(class)
}

// allow opts in to a class on one channel. A stop of the class on all channels is lifted for this one only: consent to offers by
// e-mail is none to offers by SMS.
func allow(o *care.Overlay, ch care.Channel, class care.Class, how care.Stop) {
	grant(o, ScopeOf(ch, class), how)
	if ch == "" || !Stopped(o, string(class)) {
		return
	}
	grant(o, string(class), how)
	for _, other := range Persons {
		if scope := ScopeOf(other, class); other != ch && !agreed(o, scope) {
			stop(o, scope, o.Stops[string(class)])
		}
	}
}

// Wants reports what a customer said, or is taken to have said, of a class on a channel: the planner's rule for consent, stops and
// preferences, for one scope.
func Wants(f *CustomerFacts, ch care.Channel, class care.Class) bool {
	o := f.Said()
	if Stopped(o, string(class)) || Stopped(o, ScopeOf(ch, class)) || slices.Contains(Off(f), string(class)) {
		return false
	}
	record := f.Consent[ch]
	scopes := []string{string(class), ScopeOf(ch, class)}
	if class == care.Care && record.Care == nil {
		scopes = append(scopes, string(care.Service), ScopeOf(ch, care.Service))
	}
	if slices.ContainsFunc(scopes, func(s string) bool { return agreed(o, s) }) {
		return true
	}
	if yes := record.For(class); yes != nil {
		return *yes
	}
	yes := f.ConsentDefault.For(class)
	return yes != nil && *yes
}

// Off lists what the customer switched off. The overlay's list replaces the record's.
func Off(f *CustomerFacts) []string {
	if own := f.Said().Preferences; own != nil {
		return own.Off
	}
	return f.Preferences.Off
}

// PerWeek is the customer's own limit, nil if there is none.
func PerWeek(f *CustomerFacts) *int {
	if own := f.Said().Preferences; own != nil && own.MaxPerWeek != nil {
		return own.MaxPerWeek
	}
	return f.Preferences.MaxPerWeek
}

// AnswerTo returns the answer of a kind about a thing, nil if there is none.
func AnswerTo(o *care.Overlay, kind, about string) *care.Answer {
	if o == nil {
		return nil
	}
	for i := range o.Answers {
		if a := &o.Answers[i]; a.Kind == kind && a.About == about {
			return a
		}
	}
	return nil
}

// setAnswer keeps the latest answer of a kind about a thing.
func setAnswer(o *care.Overlay, a care.Answer) {
	o.Answers = slices.DeleteFunc(o.Answers, func(x care.Answer) bool { return x.Kind == a.Kind && x.About == a.About })
	o.Answers = append(o.Answers, a)
	if n := len(o.Answers) - answersKept; n > 0 {
		o.Answers = slices.Delete(o.Answers, 0, n)
	}
}

// addReading keeps one reading of a vehicle per day.
func addReading(o *care.Overlay, r care.VehicleFact) {
	o.Readings = slices.DeleteFunc(o.Readings, func(x care.VehicleFact) bool { return x.Vehicle == r.Vehicle && x.On == r.On })
	o.Readings = append(o.Readings, r)
	if n := len(o.Readings) - readingsKept; n > 0 {
		o.Readings = slices.Delete(o.Readings, 0, n)
	}
}

// SaidSold reports whether the customer told us that the car is sold.
func SaidSold(o *care.Overlay, vehicle string) bool {
	return slices.ContainsFunc(o.Sold, func(s care.VehicleFact) bool { return s.Vehicle == vehicle })
}

// complain opens a hold: until a person has spoken with the customer, nothing but safety goes.
func complain(o *care.Overlay, today care.Date) {
	if !slices.ContainsFunc(o.Holds, func(h care.Hold) bool { return h.Reason == Complaint && h.Covers(today) }) {
		o.Holds = append(o.Holds, care.Hold{Reason: Complaint, Since: today})
	}
}

// suppress marks an address as not to be used again. Without its hash nothing can be marked: it reports whether it did.
func suppress(o *care.Overlay, ch care.Channel, hash, reason string, at time.Time) bool {
	if hash == "" {
		return false
	}
	if !slices.ContainsFunc(o.Suppressed, func(s care.Suppression) bool { return s.Channel == ch && s.Hash == hash }) {
		o.Suppressed = append(o.Suppressed, care.Suppression{Channel: ch, Hash: hash, Reason: reason, At: at})
	}
	return true
}
