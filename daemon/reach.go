package daemon

import (
	"errors"
	"slices"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
)

// Why a channel does not reach a customer.
const (
	reachable      = ""
	noAddress      = "no_address"  // there is none
	badAddress     = "bad_address" // there is one that cannot be used
	deadAddress    = "suppressed_address"
	stoppedChannel = "opted_out"
	notAllowed     = "no_consent"
)

// reach says for a channel to people whether it reaches the customer with at least one class beside safety, or what is in the way.
func (e *Env) reach(f *care.Facts, d *care.Dealer, ch care.Channel) string {
	raw := f.Customer.Email
	if ch == care.SMS {
		raw = f.Customer.Phone
	}
	to, ok := address(ch, f.Customer, d)
	switch {
	case raw == "":
		return noAddress
	case !ok:
		return badAddress
	case e.suppressed(f.Overlay, ch, to):
		return deadAddress
	}
	why := notAllowed
	for _, class := range []care.Class{care.Service, care.Care, care.Commercial} {
		if !consentOf(f, d, ch, class).Allowed {
			continue
		}
		if !f.Overlay.Stopped(ch, class, "", "") {
			return reachable
		}
		why = stoppedChannel
	}
	return why
}

func (e *Env) suppressed(o *care.Overlay, ch care.Channel, to string) bool {
	if o == nil || len(o.Suppressed) == 0 {
		return false
	}
	hash := contact.Hash(e.hashKey(), to)
	return slices.ContainsFunc(o.Suppressed, func(s care.Suppression) bool { return s.Channel == ch && s.Hash == hash })
}

// unreachable says why no channel to people reaches the customer: the weightiest reason of all channels, "" if one does.
func (e *Env) unreachable(f *care.Facts, d *care.Dealer) string {
	weight := []string{noAddress, badAddress, deadAddress, notAllowed, stoppedChannel}
	worst := noAddress
	for _, ch := range care.Channels {
		if !ch.ToPerson() {
			continue
		}
		why := e.reach(f, d, ch)
		if why == reachable {
			return reachable
		}
		if slices.Index(weight, why) > slices.Index(weight, worst) {
			worst = why
		}
	}
	return worst
}

// Consent is whether a customer allowed a class on a channel, and how we know.
type Consent struct {
	Channel care.Channel `json:"channel"`
	Class   care.Class   `json:"class"`
	Allowed bool         `json:"allowed"`
	From    string       `json:"from"`             // record, dealer (its default), overlay (the customer's own opt-in), law (safety needs none)
	Source  string       `json:"source,omitempty"` // contract, link, sms, …
	At      string       `json:"at,omitempty"`     // the day, YYYY-MM-DD
}

// consentOf tells the consent gate's answer with its source; a test compares it with the planner's own.
func consentOf(f *care.Facts, d *care.Dealer, ch care.Channel, class care.Class) Consent {
	out := Consent{Channel: ch, Class: class, Allowed: true, From: "law"}
	if class == care.Safety || !ch.ToPerson() {
		return out
	}
	record := f.Customer.Consent[ch]
	if grant, ok := grantOf(f.Overlay, ch, class, record.Care == nil); ok {
		out.From, out.Source, out.At = "overlay", grant.Source, grant.At.UTC().Format("2006-01-02")
		return out
	}
	if yes := record.For(class); yes != nil {
		out.Allowed, out.From, out.Source, out.At = *yes, "record", record.Source, record.At.String()
		return out
	}
	yes := d.ConsentDefault.For(class)
	out.Allowed, out.From = yes != nil && *yes, "dealer"
	return out
}

// grantOf returns the customer's own opt-in to a class that no later stop took back.
func grantOf(o *care.Overlay, ch care.Channel, class care.Class, careFollows bool) (care.Stop, bool) {
	if o == nil {
		return care.Stop{}, false
	}
	classes := []care.Class{class}
	if class == care.Care && careFollows {
		classes = append(classes, care.Service)
	}
	for _, c := range classes {
		for _, scope := range []string{string(c), string(ch) + "/" + string(c)} {
			grant, ok := o.Grants[scope]
			if stop, was := o.Stops[scope]; ok && (!was || grant.At.After(stop.At)) {
				return grant, true
			}
		}
	}
	return care.Stop{}, false
}

// Cap is a customer's limit of messages in seven days and whose it is.
type Cap struct {
	Limit int    `json:"limit"`
	By    string `json:"by"` // grade:A, dealer (of all grades without one of their own), or customer (their own wish)
}

// The caps of a dealer who says nothing (design A3).
var defaultCaps = map[string]int{"default": 2, "A": 3, "C": 1}

// capOf returns the cap that holds for a customer; false if there is none. A test compares it with the planner's own.
func capOf(f *care.Facts, d *care.Dealer) (Cap, bool) {
	limit, limited := Cap{}, false
	grade := f.Customer.Grade
	if len(d.Caps) == 0 {
		n, ok := defaultCaps[grade]
		limit, limited = Cap{n, "grade:" + grade}, true
		if !ok {
			limit = Cap{defaultCaps["default"], "dealer"}
		}
	} else {
		c, ok := d.Caps[grade]
		by := "grade:" + grade
		if !ok {
			c, by = d.Caps["default"], "dealer"
		}
		if c.PerWeek != nil {
			limit, limited = Cap{*c.PerWeek, by}, true
		}
	}
	own := f.Customer.Preferences.MaxPerWeek
	if f.Overlay != nil && f.Overlay.Preferences != nil && f.Overlay.Preferences.MaxPerWeek != nil {
		own = f.Overlay.Preferences.MaxPerWeek
	}
	if own != nil && (!limited || *own < limit.Limit) {
		limit, limited = Cap{*own, "customer"}, true
	}
	return limit, limited
}

// codeOf names why a message could not be rendered.
func codeOf(err error) string {
	if e, ok := errors.AsType[*care.Error](err); ok && e.Code != "" {
		return e.Code
	}
	return "render"
}
