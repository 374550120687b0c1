package record

import (
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
)

// What no person and no car can have. Systems write such dates where they know none: 0001-01-01, 1899-12-30, 1900-01-01, 1970-01-01.
const (
	firstBirth    = 1910
	firstDelivery = 1960
	youngest      = 16 // years
	// MostKM is more than any car has driven.
	MostKM = 1_500_000
)

// The messages of defects that are only implausible: the value has the right form.
const (
	NoBirthday = "is no customer's birthday: left out"
	NoCarDate  = "is no date that a car can have: left out"
)

// epoch is day 0 of many computers' clocks.
var epoch = care.Birthday{Year: 1970, Month: 1, Day: 1}

// Born reports whether a customer can have that birthday today; without a year everybody can. A zero today is not asked.
func Born(b care.Birthday, today care.Date) bool {
	if b.Year == 0 {
		return true
	}
	if b.Year < firstBirth || b == epoch {
		return false
	}
	// A lunar day is a month behind the solar one of its number, at most two.
	on := care.NewDate(int(b.Year)+youngest, time.Month(b.Month), min(max(int(b.Day), 1), 28))
	return today.IsZero() || !on.After(today)
}

// OfCar reports whether a car can have that date: not before the cars on the road were built, and no computer's day 0.
func OfCar(d care.Date) bool {
	return d.Year() >= firstDelivery && d != care.NewDate(1970, time.January, 1)
}

func (v *validator) implausible(d care.Date) bool { return !d.IsZero() && !OfCar(d) }

// date leaves an implausible date out.
func (v *validator) date(d *care.Date, at place) {
	if v.implausible(*d) {
		*d = care.Date{}
		v.add(at.String(), NoCarDate)
	}
}

// Implausible returns what is wrong with a customer's dates as of a day, beside the defects that Decode reports: a birthday of a child,
// and a delivery more than a year ahead.
func Implausible(c *care.Customer, today care.Date) (out []care.Defect) {
	if !Born(c.Birthday, today) {
		out = append(out, care.Defect{Path: "$.birthday", Message: NoBirthday})
	}
	for i := range c.Vehicles {
		if c.Vehicles[i].DeliveredOn.After(today.AddMonths(12)) {
			out = append(out, care.Defect{Path: "$.vehicles[" + strconv.Itoa(i) + "].delivered_on", Message: NoCarDate})
		}
	}
	return out
}
