package care

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Defect is something in a customer record that could not be used.
type Defect struct {
	Path    string `json:"path"` // JSON path, e.g. $.vehicles[1].delivered_on
	Message string `json:"message"`
	Closed  bool   `json:"closed,omitempty"` // only safety goes until it is mended
}

// Errors of Decode. A record with one of them is not planned at all.
var (
	ErrNotJSON = errors.New("the record is not a JSON object")
	ErrNoID    = errors.New("the record has no valid id: it needs 1 to 64 of A-Z a-z 0-9 . _ : -")
)

// Decode reads a customer record. A field that cannot be used is left out and reported; a defect in consent, preferences, holds
// or sold_on sets Customer.Closed as well. Unknown fields are ignored. The error is ErrNotJSON or ErrNoID; no text of the record
// stands in an error or a defect.
func Decode(raw []byte) (*Customer, []Defect, error) {
	c := new(Customer)
	var defects []Defect
	if !scan(raw, c) {
		// Three ways: the scanner gives up on what is unusual, encoding/json on what does not fit; each is several times as fast as the
		// one behind it, and only that one's answer counts.
		*c = Customer{}
		if json.Unmarshal(raw, c) != nil {
			*c = Customer{}
			var ok bool
			if defects, ok = readTolerantly(raw, c); !ok {
				return nil, nil, ErrNotJSON
			}
		}
	}
	if !ValidID(c.ID) {
		return nil, defects, ErrNoID
	}
	v := validator{c: c, defects: defects}
	v.run()
	for i := range v.defects {
		if failsClosed(v.defects[i].Path) {
			v.defects[i].Closed = true
			c.Closed = true
		}
	}
	return c, v.defects, nil
}

func failsClosed(path string) bool {
	for _, p := range []string{"$.consent", "$.preferences", "$.holds"} {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return strings.HasSuffix(path, ".sold_on")
}

func readTolerantly(raw []byte, c *Customer) (defects []Defect, ok bool) {
	if !json.Valid(raw) {
		return nil, false
	}
	t := tolerant{}
	t.value(raw, reflect.ValueOf(c).Elem(), "$")
	if len(t.defects) > 0 && t.defects[0].Path == "$" {
		return nil, false
	}
	return t.defects, true
}

// tolerant decodes JSON into a struct field by field: what does not fit stays zero (in a slice: is left out) and is reported.
type tolerant struct{ defects []Defect }

func (t *tolerant) value(raw json.RawMessage, v reflect.Value, path string) bool {
	if string(raw) == "null" {
		return true
	}
	if _, ok := v.Addr().Interface().(json.Unmarshaler); ok || v.Type() == reflect.TypeFor[time.Time]() {
		return t.leaf(raw, v, path)
	}
	switch v.Kind() {
	case reflect.Struct:
		return t.object(raw, v, path)
	case reflect.Slice:
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			return t.defect(path, "should be a list")
		}
		for i, item := range items {
			e := reflect.New(v.Type().Elem()).Elem()
			// What is no plain text keeps its place even when it is broken, so that the paths of the items behind it stay right; the
			// validator drops it.
			if t.value(item, e, fmt.Sprintf("%s[%d]", path, i)) || e.Type() != reflect.TypeFor[string]() {
				v.Set(reflect.Append(v, e))
			}
		}
		return true
	case reflect.Map:
		var items map[string]json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			return t.defect(path, "should be an object")
		}
		v.Set(reflect.MakeMap(v.Type()))
		for _, k := range slices.Sorted(maps.Keys(items)) { // in order, so that the same record always gets the same report
			e := reflect.New(v.Type().Elem()).Elem()
			if t.value(items[k], e, path+"."+k) {
				v.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), e)
			}
		}
		return true
	default:
		return t.leaf(raw, v, path)
	}
}

func (t *tolerant) object(raw json.RawMessage, v reflect.Value, path string) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return t.defect(path, "should be an object")
	}
	names := slices.Sorted(maps.Keys(fields)) // in order, so that of HOLDS and Holds it is always the same that counts
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "-" || name == "" {
			continue
		}
		item, ok := fields[name]
		for _, k := range names {
			// encoding/json takes a name in any letter case, so the tolerant way must: holds would be lost otherwise.
			if !ok && strings.EqualFold(k, name) {
				item, ok = fields[k], true
			}
		}
		if ok {
			t.value(item, v.Field(i), path+"."+name)
		}
	}
	return true
}

func (t *tolerant) leaf(raw json.RawMessage, v reflect.Value, path string) bool {
	fresh := reflect.New(v.Type())
	if json.Unmarshal(raw, fresh.Interface()) != nil {
		want := map[reflect.Kind]string{
			reflect.String: "a text", reflect.Int: "a whole number", reflect.Bool: "true or false", reflect.Pointer: "another type", reflect.Struct: "an RFC 3339 time",
		}[v.Kind()]
		return t.defect(path, "should be "+want)
	}
	v.Set(fresh.Elem())
	return true
}

func (t *tolerant) defect(path, message string) bool {
	t.defects = append(t.defects, Defect{Path: path, Message: message})
	return false
}

// validator checks what a field means, after its type was right.
type validator struct {
	c       *Customer
	defects []Defect
}

func (v *validator) add(path, message string) {
	if v.reported(path) {
		return
	}
	v.defects = append(v.defects, Defect{Path: path, Message: message})
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

func (v *validator) date(d *Date, at place) bool {
	if !d.Invalid() {
		return true
	}
	*d = Date{}
	v.add(at.String(), errNoSuchDate.Error())
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
	c := v.c
	if c.Birthday.bad {
		c.Birthday = Birthday{}
		v.add("$.birthday", errBirthday.Error())
	}
	v.preferences()
	v.consent()
	for i := range c.Holds {
		at := place{list: "$.holds", i: i}
		v.date(&c.Holds[i].Since, at.to(".since"))
		v.date(&c.Holds[i].Until, at.to(".until"))
	}
	v.vehicles()
}

func (v *validator) consent() {
	sound := true
	for ch, consent := range v.c.Consent {
		sound = sound && ch.Known() && !consent.At.Invalid()
	}
	if sound {
		return
	}
	for _, ch := range slices.Sorted(maps.Keys(v.c.Consent)) { // in order, so that the same record always gets the same report
		consent := v.c.Consent[ch]
		if !ch.Known() && Channel(strings.ToLower(strings.TrimSpace(string(ch)))).Known() {
			// "SMS": {"service": false} is a refusal, and must not be overlooked.
			v.add("$.consent", "should name its channels email, sms and webhook, in small letters")
		}
		if consent.At.Invalid() {
			// When consent was given is evidence, not permission; still it is part of consent and fails closed.
			consent.At = Date{}
			v.add("$.consent."+string(ch)+".at", errNoSuchDate.Error())
			v.c.Consent[ch] = consent
		}
	}
}

func (v *validator) preferences() {
	p := &v.c.Preferences
	if p.Quiet.bad {
		p.Quiet = Window{}
		v.add("$.preferences.quiet", errWindow.Error())
	}
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

// vehicle checks one vehicle and reports whether it can be kept. sold_on is read first: it fails closed even when the vehicle is
// left out.
func (v *validator) vehicle(car *Vehicle, at place) bool {
	v.date(&car.SoldOn, at.to(".sold_on"))
	if !ValidID(car.ID) {
		v.add(at.to(".id").String(), "should be 1 to 64 of A-Z a-z 0-9 . _ : -")
		return false
	}
	v.date(&car.DeliveredOn, at.to(".delivered_on"))
	v.date(&car.InsuranceUntil, at.to(".insurance_until"))
	v.date(&car.InspectionDue, at.to(".inspection_due"))
	v.date(&car.Warranty.Until, at.to(".warranty.until"))
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

func (v *validator) odometer(car *Vehicle, at place) {
	at.inner = ".odometer"
	readings := car.Odometer[:0]
	for i, r := range car.Odometer {
		at.j = i
		switch {
		case !v.date(&r.On, at.to(".on")):
		case len(v.defects) > 0 && v.reported(at.to(".km").String()): // a mileage that could not be read is not 0 km
		case r.On.IsZero():
			v.add(at.to(".on").String(), "is missing")
		case r.KM < 0:
			v.add(at.to(".km").String(), "should be 0 or more")
		default:
			readings = append(readings, r)
		}
	}
	car.Odometer = readings
}

func (v *validator) visits(car *Vehicle, at place) {
	at.inner = ".visits"
	visits := car.Visits[:0]
	for i, visit := range car.Visits {
		at.j = i
		if visit.KM != nil && *visit.KM < 0 {
			v.add(at.to(".km").String(), "should be 0 or more")
			visit.KM = nil
		}
		switch {
		case !v.date(&visit.ClosedOn, at.to(".closed_on")):
		case visit.ClosedOn.IsZero():
			v.add(at.to(".closed_on").String(), "is missing")
		default:
			visits = append(visits, visit)
		}
	}
	car.Visits = visits
}

// ErrGone is the reason when a customer's key is no longer there: everything still due for it ends.
var ErrGone = errors.New("the customer's record is gone")
