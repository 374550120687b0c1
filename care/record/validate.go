package record

import (
	"fmt"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
)

// validator checks what a field means, after its type was right.
type validator struct {
	c       *care.Customer
	defects []care.Defect
}

func (v *validator) add(path, message string) {
	if v.reported(path) {
		return
	}
	v.defects = append(v.defects, care.Defect{Path: path, Message: message})
}

// reported says whether the value, or one around it, was found broken before.
func (v *validator) reported(path string) bool {
	for _, d := range v.defects {
		if rest, ok := strings.CutPrefix(path, d.Path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// place is where a value of a list stands. It is spelt only for a report: most records need none, and spelling the path of every
// value took longer than reading them all.
type place struct {
	list string // $.vehicles
	i    int
	// In a list of a list's item; else inner is empty.
	inner string // .odometer
	j     int
	field string // .km
}

func (p place) String() string {
	if p.inner == "" {
		return fmt.Sprintf("%s[%d]%s", p.list, p.i, p.field)
	}
	return fmt.Sprintf("%s[%d]%s[%d]%s", p.list, p.i, p.inner, p.j, p.field)
}

func (p place) to(field string) place {
	p.field = field
	return p
}

func (v *validator) run() {
	v.preferences()
	v.consent()
	if b := v.c.Birthday; b.Year > 0 && b.Year < firstBirth || b == epoch {
		v.c.Birthday = care.Birthday{}
		v.add("$.birthday", NoBirthday)
	}
	v.vehicles()
}

// consent reports channels in other letters: "SMS": {"service": false} is a refusal, and must not be overlooked.
func (v *validator) consent() {
	for ch := range v.c.Consent {
		if !ch.Known() && care.Channel(strings.ToLower(strings.TrimSpace(string(ch)))).Known() {
			v.add("$.consent", "should name its channels email, sms and webhook, in small letters")
		}
	}
}

func (v *validator) preferences() {
	p := &v.c.Preferences
	if p.MaxPerWeek != nil && *p.MaxPerWeek < 0 {
		p.MaxPerWeek = nil
		v.add("$.preferences.max_per_week", "should be 0 or more")
	}
	for i, ch := range p.Channels {
		if !ch.Known() {
			v.add(place{list: "$.preferences.channels", i: i}.String(), "should be email, sms or webhook")
		}
	}
}

func (v *validator) vehicles() {
	c := v.c
	kept := c.Vehicles[:0]
	for i := range c.Vehicles {
		car, at := &c.Vehicles[i], place{list: "$.vehicles", i: i}
		if !v.vehicle(car, at) {
			continue
		}
		duplicate := false
		for j := range kept {
			duplicate = duplicate || kept[j].ID == car.ID
		}
		if duplicate {
			v.add(at.to(".id").String(), "another vehicle of this customer has this id")
			continue
		}
		kept = append(kept, *car)
	}
	c.Vehicles = kept
}

// vehicle checks one vehicle and reports whether it can be kept.
func (v *validator) vehicle(car *care.Vehicle, at place) bool {
	if !care.ValidID(car.ID) {
		v.add(at.to(".id").String(), "should be 1 to 64 of A-Z a-z 0-9 . _ : -")
		return false
	}
	v.date(&car.DeliveredOn, at.to(".delivered_on"))
	v.date(&car.InsuranceUntil, at.to(".insurance_until"))
	v.date(&car.InspectionDue, at.to(".inspection_due"))
	v.date(&car.Warranty.Until, at.to(".warranty.until"))
	v.amount(&car.OdometerAtDelivery, at.to(".odometer_at_delivery"))
	if car.OdometerAtDelivery > MostKM {
		car.OdometerAtDelivery = 0
		v.add(at.to(".odometer_at_delivery").String(), "no car drives that far")
	}
	car.Powertrain = care.Powertrain(strings.ToLower(string(car.Powertrain)))
	if car.Powertrain != "" && !slices.Contains(care.Powertrains, car.Powertrain) {
		car.Powertrain = ""
		v.add(at.to(".powertrain").String(), "should be petrol, diesel, hybrid, phev or ev")
	}
	v.amount(&car.ServiceInterval.KM, at.to(".service_interval.km"))
	v.amount(&car.ServiceInterval.Months, at.to(".service_interval.months"))
	v.amount(&car.FirstService.KM, at.to(".first_service.km"))
	v.amount(&car.FirstService.Months, at.to(".first_service.months"))
	v.amount(&car.Warranty.KM, at.to(".warranty.km"))
	v.odometer(car, at)
	v.visits(car, at)
	return true
}

func (v *validator) amount(n *int, at place) {
	if *n < 0 {
		*n = 0
		v.add(at.String(), "should be 0 or more")
	}
}

func (v *validator) odometer(car *care.Vehicle, at place) {
	at.inner = ".odometer"
	readings := car.Odometer[:0]
	for i, r := range car.Odometer {
		at.j = i
		switch {
		case len(v.defects) > 0 && v.reported(at.to(".km").String()): // a mileage that could not be read is not 0 km
		case r.On.IsZero():
			v.add(at.to(".on").String(), "is missing")
		case r.KM < 0:
			v.add(at.to(".km").String(), "should be 0 or more")
		case r.KM > MostKM:
			v.add(at.to(".km").String(), "no car drives that far")
		case v.implausible(r.On):
			v.add(at.to(".on").String(), NoCarDate)
		default:
			readings = append(readings, r)
		}
	}
	car.Odometer = readings
}

func (v *validator) visits(car *care.Vehicle, at place) {
	at.inner = ".visits"
	visits := car.Visits[:0]
	for i, visit := range car.Visits {
		at.j = i
		if visit.KM != nil && (*visit.KM < 0 || *visit.KM > MostKM) {
			v.add(at.to(".km").String(), "should be 0 or more, and what a car can drive")
			visit.KM = nil
		}
		if kind, ok := Kind(visit.Kind); ok {
			visit.Kind = kind
		}
		v.date(&visit.ClosedOn, at.to(".closed_on"))
		if visit.ClosedOn.IsZero() {
			v.add(at.to(".closed_on").String(), "is missing")
			continue
		}
		visits = append(visits, visit)
	}
	car.Visits = visits
}
