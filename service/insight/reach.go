package insight

import (
	"errors"
	"slices"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
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
func reach(book *carebook.Compiled, f *care.Facts, d *care.Dealer, ch care.Channel) string {
	raw := f.Customer.Email
	if ch == care.SMS {
		raw = f.Customer.Phone
	}
	to, ok := carebook.Address(ch, f.Customer, d)
	switch {
	case raw == "":
		return noAddress
	case !ok, ch == care.SMS && !contact.Textable(to):
		return badAddress
	case suppressed(book, f.Overlay, ch, to):
		return deadAddress
	}
	why := notAllowed
	for _, class := range []care.Class{care.Service, care.Care, care.Commercial} {
		if !scheduler.ConsentOf(f, d, ch, class).Allowed {
			continue
		}
		if !f.Overlay.Stopped(ch, class, "", "") {
			return reachable
		}
		why = stoppedChannel
	}
	return why
}

func suppressed(book *carebook.Compiled, o *care.Overlay, ch care.Channel, to string) bool {
	if o == nil || len(o.Suppressed) == 0 {
		return false
	}
	hash := book.HashAddress(to)
	return slices.ContainsFunc(o.Suppressed, func(s care.Suppression) bool { return s.Channel == ch && s.Hash == hash })
}

// unreachable says why no channel to people reaches the customer: the weightiest reason of all channels, "" if one does.
func unreachable(book *carebook.Compiled, f *care.Facts, d *care.Dealer) string {
	weight := []string{noAddress, badAddress, deadAddress, notAllowed, stoppedChannel}
	worst := noAddress
	for _, ch := range care.Channels {
		if !ch.ToPerson() {
			continue
		}
		why := reach(book, f, d, ch)
		if why == reachable {
			return reachable
		}
		if slices.Index(weight, why) > slices.Index(weight, worst) {
			worst = why
		}
	}
	return worst
}

// ConsentFacts is whether a customer allowed a class on a channel, and how we know.
type ConsentFacts struct {
	Channel care.Channel `json:"channel"`
	Class   care.Class   `json:"class"`
	Allowed bool         `json:"allowed"`
	From    string       `json:"from"`             // record, dealer (its default), overlay (the customer's own opt-in), law (safety needs none)
	Source  string       `json:"source,omitempty"` // contract, link, sms, …
	At      string       `json:"at,omitempty"`     // the day, YYYY-MM-DD
}

// consentOf tells the consent gate's answer with its source.
func consentOf(f *care.Facts, d *care.Dealer, ch care.Channel, class care.Class) ConsentFacts {
	c := scheduler.ConsentOf(f, d, ch, class)
	out := ConsentFacts{Channel: ch, Class: class, Allowed: c.Allowed, From: c.From}
	switch c.From {
	case "overlay":
		out.Source, out.At = c.Grant.Source, c.Grant.At.UTC().Format("2006-01-02")
	case "record":
		out.Source, out.At = c.Record.Source, c.Record.At.String()
	}
	return out
}

// codeOf names why a message could not be rendered.
func codeOf(err error) string {
	if e, ok := errors.AsType[*care.Error](err); ok && e.Code != "" {
		return e.Code
	}
	return "render"
}
