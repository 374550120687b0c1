package record

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/carebell/carebell/care"
)

// fields are the members of an object that is read into a T.
type fields[T any] []field[T]

type field[T any] struct {
	name string
	read func(r *reader, v *T)
}

// read reads an object. It always has a place in a list, so that the items behind it keep theirs.
func (f fields[T]) read(r *reader, v *T) bool {
	if !r.begin(jsontext.KindBeginObject, "should be an object") {
		return true
	}
	for name := r.name(); name != nil; name = r.name() {
		if i := f.find(name); i < 0 {
			r.skip()
		} else {
			r.at(f[i].name, -1)
			f[i].read(r, v)
		}
	}
	r.end()
	return true
}

// find returns the index of the field with a name, in any letter case.
func (f fields[T]) find(raw []byte) int {
	for i := range f {
		if f[i].name == string(raw[1:len(raw)-1]) {
			return i
		}
	}
	name := unquote(raw)
	return slices.IndexFunc(f, func(f field[T]) bool { return strings.EqualFold(f.name, name) })
}

// consents reads the answers of each channel. A channel's name is kept as it is.
func consents(r *reader, to *map[care.Channel]care.Consent) {
	if r.next() == jsontext.KindNull {
		*to = nil
	}
	if !r.begin(jsontext.KindBeginObject, "should be an object") {
		return
	}
	if *to == nil {
		*to = map[care.Channel]care.Consent{}
	}
	for raw := r.name(); raw != nil; raw = r.name() {
		name := unquote(raw)
		r.at(name, -1)
		var c care.Consent
		consent.read(r, &c)
		(*to)[care.Channel(name)] = c
	}
	r.end()
}

func channel(r *reader, v *care.Channel) bool {
	text(r, v)
	return true
}

var customer = fields[care.Customer]{
	{"id", func(r *reader, v *care.Customer) { text(r, &v.ID) }},
	{"dealer", func(r *reader, v *care.Customer) { text(r, &v.Dealer) }},
	{"name", func(r *reader, v *care.Customer) { text(r, &v.Name) }},
	{"salutation", func(r *reader, v *care.Customer) { text(r, &v.Salutation) }},
	{"email", func(r *reader, v *care.Customer) { text(r, &v.Email) }},
	{"phone", func(r *reader, v *care.Customer) { text(r, &v.Phone) }},
	{"locale", func(r *reader, v *care.Customer) { text(r, &v.Locale) }},
	{"time_zone", func(r *reader, v *care.Customer) { text(r, &v.TimeZone) }},
	{"birthday", func(r *reader, v *care.Customer) { scalar(r, &v.Birthday, (*care.Birthday).UnmarshalJSON, "") }},
	{"grade", func(r *reader, v *care.Customer) { text(r, &v.Grade) }},
	{"advisor", func(r *reader, v *care.Customer) { text(r, &v.Advisor) }},
	{"household", func(r *reader, v *care.Customer) { text(r, &v.Household) }},
	{"tags", func(r *reader, v *care.Customer) { list(r, &v.Tags, text) }},
	{"preferences", func(r *reader, v *care.Customer) { preferences.read(r, &v.Preferences) }},
	{"consent", func(r *reader, v *care.Customer) { consents(r, &v.Consent) }},
	{"holds", func(r *reader, v *care.Customer) { list(r, &v.Holds, hold.read) }},
	{"vehicles", func(r *reader, v *care.Customer) { list(r, &v.Vehicles, vehicle.read) }},
}

var preferences = fields[care.Preferences]{
	{"channels", func(r *reader, v *care.Preferences) { list(r, &v.Channels, channel) }},
	{"max_per_week", func(r *reader, v *care.Preferences) { wholeOrNil(r, &v.MaxPerWeek) }},
	{"quiet", func(r *reader, v *care.Preferences) { scalar(r, &v.Quiet, (*care.Window).UnmarshalJSON, "") }},
	{"off", func(r *reader, v *care.Preferences) { list(r, &v.Off, text) }},
}

var consent = fields[care.Consent]{
	{"service", func(r *reader, v *care.Consent) { answer(r, &v.Service) }},
	{"care", func(r *reader, v *care.Consent) { answer(r, &v.Care) }},
	{"commercial", func(r *reader, v *care.Consent) { answer(r, &v.Commercial) }},
	{"source", func(r *reader, v *care.Consent) { text(r, &v.Source) }},
	{"wording", func(r *reader, v *care.Consent) { text(r, &v.Wording) }},
	{"at", func(r *reader, v *care.Consent) { date(r, &v.At) }},
}

var hold = fields[care.Hold]{
	{"reason", func(r *reader, v *care.Hold) { text(r, &v.Reason) }},
	{"since", func(r *reader, v *care.Hold) { date(r, &v.Since) }},
	{"until", func(r *reader, v *care.Hold) { date(r, &v.Until) }},
}

var vehicle = fields[care.Vehicle]{
	{"id", func(r *reader, v *care.Vehicle) { text(r, &v.ID) }},
	{"plate", func(r *reader, v *care.Vehicle) { text(r, &v.Plate) }},
	{"make", func(r *reader, v *care.Vehicle) { text(r, &v.Make) }},
	{"model", func(r *reader, v *care.Vehicle) { text(r, &v.Model) }},
	{"model_year", func(r *reader, v *care.Vehicle) { whole(r, &v.ModelYear) }},
	{"powertrain", func(r *reader, v *care.Vehicle) { text(r, &v.Powertrain) }},
	{"delivered_on", func(r *reader, v *care.Vehicle) { date(r, &v.DeliveredOn) }},
	{"odometer_at_delivery", func(r *reader, v *care.Vehicle) { whole(r, &v.OdometerAtDelivery) }},
	{"odometer", func(r *reader, v *care.Vehicle) { list(r, &v.Odometer, reading.read) }},
	{"visits", func(r *reader, v *care.Vehicle) { list(r, &v.Visits, visit.read) }},
	{"service_interval", func(r *reader, v *care.Vehicle) { interval.read(r, &v.ServiceInterval) }},
	{"first_service", func(r *reader, v *care.Vehicle) { interval.read(r, &v.FirstService) }},
	{"warranty", func(r *reader, v *care.Vehicle) { warranty.read(r, &v.Warranty) }},
	{"insurance_until", func(r *reader, v *care.Vehicle) { date(r, &v.InsuranceUntil) }},
	{"inspection_due", func(r *reader, v *care.Vehicle) { date(r, &v.InspectionDue) }},
	{"appointment_at", func(r *reader, v *care.Vehicle) {
		scalar(r, &v.AppointmentAt, (*time.Time).UnmarshalJSON, "should be an RFC 3339 time")
	}},
	{"sold_on", func(r *reader, v *care.Vehicle) { date(r, &v.SoldOn) }},
	{"campaigns_done", func(r *reader, v *care.Vehicle) { list(r, &v.CampaignsDone, text) }},
}

var reading = fields[care.Reading]{
	{"on", func(r *reader, v *care.Reading) { date(r, &v.On) }},
	{"km", func(r *reader, v *care.Reading) { whole(r, &v.KM) }},
}

var visit = fields[care.Visit]{
	{"order", func(r *reader, v *care.Visit) { text(r, &v.Order) }},
	{"closed_on", func(r *reader, v *care.Visit) { date(r, &v.ClosedOn) }},
	{"km", func(r *reader, v *care.Visit) { wholeOrNil(r, &v.KM) }},
	{"kind", func(r *reader, v *care.Visit) { text(r, &v.Kind) }},
	{"technician", func(r *reader, v *care.Visit) { text(r, &v.Technician) }},
	{"declined", func(r *reader, v *care.Visit) { list(r, &v.Declined, text) }},
}

var interval = fields[care.Interval]{
	{"km", func(r *reader, v *care.Interval) { whole(r, &v.KM) }},
	{"months", func(r *reader, v *care.Interval) { whole(r, &v.Months) }},
}

var warranty = fields[care.Warranty]{
	{"until", func(r *reader, v *care.Warranty) { date(r, &v.Until) }},
	{"km", func(r *reader, v *care.Warranty) { whole(r, &v.KM) }},
}
