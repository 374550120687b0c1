package daemon

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
func (e *Env) reach(f *care.Facts, d *care.Dealer, ch care.Channel) string {
	raw := f.Customer.Email
	if ch == care.SMS {
		raw = f.Customer.Phone
	}
	to, ok := carebook.Address(ch, f.Customer, d)
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

// consentOf tells the consent gate's answer with its source.
func consentOf(f *care.Facts, d *care.Dealer, ch care.Channel, class care.Class) Consent {
	c := scheduler.ConsentOf(f, d, ch, class)
	out := Consent{Channel: ch, Class: class, Allowed: c.Allowed, From: c.From}
	switch c.From {
	case "overlay":
		out.Source, out.At = c.Grant.Source, c.Grant.At.UTC().Format("2006-01-02")
	case "record":
		out.Source, out.At = c.Record.Source, c.Record.At.String()
	}
	return out
}

// Cap is a customer's limit of messages in seven days and whose it is.
type Cap struct {
	Limit int    `json:"limit"`
	By    string `json:"by"` // grade:A, dealer (of all grades without one of their own), or customer (their own wish)
}

// capOf returns the cap that holds for a customer; false if there is none.
func capOf(f *care.Facts, d *care.Dealer) (Cap, bool) {
	c, limited := scheduler.CapOf(f, d)
	if !limited {
		return Cap{}, false
	}
	return Cap{c.Limit, c.By()}, true
}

// codeOf names why a message could not be rendered.
func codeOf(err error) string {
	if e, ok := errors.AsType[*care.Error](err); ok && e.Code != "" {
		return e.Code
	}
	return "render"
}
