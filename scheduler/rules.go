package scheduler

import (
	"encoding/json"

	"github.com/carebell/carebell/care"
)

// The rules that others show people, too: what they say of a customer must be what the plan does.

// SoldOn returns when a vehicle was sold, by the record by the customer's own word, or by the record
// of the one who has it now, whichever is earlier; no date if it was not.
func SoldOn(f *care.Facts, v *care.Vehicle) care.Date {
	sold := v.SoldOn
	if moved := movedOn(f, v); !moved.IsZero() && (sold.IsZero() || moved.Before(sold)) {
		sold = moved
	}
	if f.Overlay == nil {
		return sold
	}
	for _, fact := range f.Overlay.Sold {
		if fact.Vehicle == v.ID && !fact.On.IsZero() && (sold.IsZero() || fact.On.Before(sold)) {
			sold = fact.On
		}
	}
	return sold
}

// Cap is a customer's limit of messages in 168 hours.
type Cap struct {
	Limit int
	whose capOwner
	grade string
}

type capOwner uint8

const (
	ofGrade capOwner = iota
	ofDealer
	ofThemselves
)

// By says whose limit it is: grade:A, dealer (of all grades without one of their own), or customer (their own wish).
func (c Cap) By() string {
	switch c.whose {
	case ofGrade:
		return "grade:" + c.grade
	case ofDealer:
		return "dealer"
	}
	return "customer"
}

// MarshalJSON writes the limit and whose it is.
func (c Cap) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Limit int    `json:"limit"`
		By    string `json:"by"`
	}{c.Limit, c.By()})
}

// Caps of a dealer who says nothing (design A3).
var defaultCaps = map[string]int{"default": 2, "A": 3, "C": 1}

// CapOf returns the cap that holds for a customer: the smaller of their grade's and their own wish; false if there is none.
func CapOf(f *care.Facts, d *care.Dealer) (Cap, bool) {
	return capOf(f.Customer.Grade, d, Preferences(f).MaxPerWeek)
}

func capOf(grade string, d *care.Dealer, own *int) (limit Cap, limited bool) {
	if len(d.Caps) == 0 {
		n, ok := defaultCaps[grade]
		limit, limited = Cap{n, ofGrade, grade}, true
		if !ok {
			limit = Cap{defaultCaps["default"], ofDealer, ""}
		}
	} else {
		c, ok := d.Caps[grade]
		whose := ofGrade
		if !ok {
			c, whose, grade = d.Caps["default"], ofDealer, "" // one cap, whatever the customer's grade
		}
		if c.PerWeek != nil {
			limit, limited = Cap{*c.PerWeek, whose, grade}, true
		}
	}
	if own != nil && (!limited || *own < limit.Limit) {
		limit, limited = Cap{*own, ofThemselves, ""}, true
	}
	return limit, limited
}

// Consent is whether a customer allowed a class on a channel, and how that is known.
type Consent struct {
	Allowed bool
	From    string       // law (nothing is asked), overlay (the customer's own opt-in), record, or dealer (its default)
	Grant   care.Stop    // the opt-in, from the overlay
	Record  care.Consent // what the record says of the channel
}

// ConsentOf says whether the customer allowed the class on the channel. Safety notices need no consent: they are sent in the
// customer's vital interest (GDPR art. 6(1)(d); PIPL art. 13(4)). Systems give none either. What was never asked is the dealer's
// default, and without one no.
func ConsentOf(f *care.Facts, d *care.Dealer, ch care.Channel, class care.Class) Consent {
	if ch == care.Task { // a call needs no consent, but nobody is called who said no to calls
		record := f.Customer.Consent[ch]
		no := record.For(class)
		return Consent{Allowed: class == care.Safety || no == nil || *no, From: "record", Record: record}
	}
	if class == care.Safety || !ch.ToPerson() {
		return Consent{Allowed: true, From: "law"}
	}
	record := f.Customer.Consent[ch]
	if grant, ok := granted(f.Overlay, ch, class, record.Care == nil); ok {
		return Consent{Allowed: true, From: "overlay", Grant: grant, Record: record}
	}
	if yes := record.For(class); yes != nil {
		return Consent{Allowed: *yes, From: "record", Record: record}
	}
	yes := d.ConsentDefault.For(class)
	return Consent{Allowed: yes != nil && *yes, From: "dealer", Record: record}
}

// granted returns the customer's own opt-in to the class, on the channel or on all, that no later stop of the same took back.
// An opt-in without a class, such as START by SMS, only lifts a stop: it is no consent to offers.
func granted(o *care.Overlay, ch care.Channel, class care.Class, careFollows bool) (care.Stop, bool) {
	if o == nil || len(o.Grants) == 0 {
		return care.Stop{}, false
	}
	for _, c := range [...]care.Class{class, care.Service} {
		if c != class && (class != care.Care || !careFollows) {
			continue
		}
		for _, scope := range [...]string{string(c), string(ch) + "/" + string(c)} {
			grant, ok := o.Grants[scope]
			if stop, was := o.Stops[scope]; ok && (!was || grant.At.After(stop.At)) {
				return grant, true
			}
		}
	}
	return care.Stop{}, false
}
