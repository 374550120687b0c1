package care

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// oldDecode is Decode as it was before it had a scanner, word for word but that it goes through maps in the order of their keys
// (it took them as they came, and its reports came in any order). It is what the fast way is held against.
func oldDecode(raw []byte) (*Customer, []Defect, error) {
	c := new(Customer)
	var defects []Defect
	if err := json.Unmarshal(raw, c); err != nil {
		// The straight way is several times faster; the tolerant one is taken only for records that need it.
		*c = Customer{}
		if !json.Valid(raw) {
			return nil, nil, ErrNotJSON
		}
		t := oldTolerant{}
		t.value(raw, reflect.ValueOf(c).Elem(), "$")
		if len(t.defects) > 0 && t.defects[0].Path == "$" {
			return nil, nil, ErrNotJSON
		}
		defects = t.defects
	}
	if !ValidID(c.ID) {
		return nil, defects, ErrNoID
	}
	v := oldValidator{c: c, defects: defects}
	v.run()
	for i := range v.defects {
		if oldFailsClosed(v.defects[i].Path) {
			v.defects[i].Closed = true
			c.Closed = true
		}
	}
	return c, v.defects, nil
}

func oldFailsClosed(path string) bool {
	for _, p := range []string{"$.consent", "$.preferences", "$.holds"} {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return strings.HasSuffix(path, ".sold_on")
}

// oldTolerant decodes JSON into a struct field by field: what does not fit stays zero (in a slice: is left out) and is reported.
type oldTolerant struct{ defects []Defect }

func (t *oldTolerant) value(raw json.RawMessage, v reflect.Value, path string) bool {
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
		for _, k := range slices.Sorted(maps.Keys(items)) {
			item := items[k]
			e := reflect.New(v.Type().Elem()).Elem()
			if t.value(item, e, path+"."+k) {
				v.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), e)
			}
		}
		return true
	default:
		return t.leaf(raw, v, path)
	}
}

func (t *oldTolerant) object(raw json.RawMessage, v reflect.Value, path string) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return t.defect(path, "should be an object")
	}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "-" || name == "" {
			continue
		}
		item, ok := fields[name]
		for _, k := range slices.Sorted(maps.Keys(fields)) {
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

func (t *oldTolerant) leaf(raw json.RawMessage, v reflect.Value, path string) bool {
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

func (t *oldTolerant) defect(path, message string) bool {
	t.defects = append(t.defects, Defect{Path: path, Message: message})
	return false
}

// oldValidator checks what a field means, after its type was right.
type oldValidator struct {
	c       *Customer
	defects []Defect
}

func (v *oldValidator) add(path, message string) {
	if v.reported(path) {
		return
	}
	v.defects = append(v.defects, Defect{Path: path, Message: message})
}

// reported says whether the value, or one around it, was found broken before.
func (v *oldValidator) reported(path string) bool {
	for _, d := range v.defects {
		if rest, ok := strings.CutPrefix(path, d.Path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

func (v *oldValidator) date(d *Date, path string) bool {
	if !d.Invalid() {
		return true
	}
	*d = Date{}
	v.add(path, errNoSuchDate.Error())
	return false
}

func (v *oldValidator) run() {
	c := v.c
	if c.Birthday.bad {
		c.Birthday = Birthday{}
		v.add("$.birthday", errBirthday.Error())
	}
	v.preferences()
	for _, ch := range slices.Sorted(maps.Keys(c.Consent)) {
		consent := c.Consent[ch]
		if !ch.Known() && Channel(strings.ToLower(strings.TrimSpace(string(ch)))).Known() {
			// "SMS": {"service": false} is a refusal, and must not be overlooked.
			v.add("$.consent", "should name its channels email, sms and webhook, in small letters")
		}
		if consent.At.Invalid() {
			// When consent was given is evidence, not permission; still it is part of consent and fails closed.
			v.date(&consent.At, "$.consent."+string(ch)+".at")
			c.Consent[ch] = consent
		}
	}
	for i := range c.Holds {
		path := fmt.Sprintf("$.holds[%d]", i)
		v.date(&c.Holds[i].Since, path+".since")
		v.date(&c.Holds[i].Until, path+".until")
	}
	v.vehicles()
}

func (v *oldValidator) preferences() {
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
			v.add(fmt.Sprintf("$.preferences.channels[%d]", i), "should be email, sms or webhook")
		}
	}
}

func (v *oldValidator) vehicles() {
	c := v.c
	kept := c.Vehicles[:0]
	for i := range c.Vehicles {
		car, path := &c.Vehicles[i], fmt.Sprintf("$.vehicles[%d]", i)
		if !v.vehicle(car, path) {
			continue
		}
		duplicate := false
		for j := range kept {
			duplicate = duplicate || kept[j].ID == car.ID
		}
		if duplicate {
			v.add(path+".id", "another vehicle of this customer has this id")
			continue
		}
		kept = append(kept, *car)
	}
	c.Vehicles = kept
}

// vehicle checks one vehicle and reports whether it can be kept. sold_on is read first: it fails closed even when the vehicle is
// left out.
func (v *oldValidator) vehicle(car *Vehicle, path string) bool {
	v.date(&car.SoldOn, path+".sold_on")
	if !ValidID(car.ID) {
		v.add(path+".id", "should be 1 to 64 of A-Z a-z 0-9 . _ : -")
		return false
	}
	v.date(&car.DeliveredOn, path+".delivered_on")
	v.date(&car.InsuranceUntil, path+".insurance_until")
	v.date(&car.InspectionDue, path+".inspection_due")
	v.date(&car.Warranty.Until, path+".warranty.until")
	for _, n := range []struct {
		value *int
		name  string
	}{
		{&car.ServiceInterval.KM, ".service_interval.km"},
		{&car.ServiceInterval.Months, ".service_interval.months"},
		{&car.FirstService.KM, ".first_service.km"},
		{&car.FirstService.Months, ".first_service.months"},
		{&car.Warranty.KM, ".warranty.km"},
	} {
		if *n.value < 0 {
			*n.value = 0
			v.add(path+n.name, "should be 0 or more")
		}
	}
	readings := car.Odometer[:0]
	for i, r := range car.Odometer {
		at := fmt.Sprintf("%s.odometer[%d]", path, i)
		switch {
		case !v.date(&r.On, at+".on"), v.reported(at + ".km"): // a mileage that could not be read is not 0 km
		case r.On.IsZero():
			v.add(at+".on", "is missing")
		case r.KM < 0:
			v.add(at+".km", "should be 0 or more")
		default:
			readings = append(readings, r)
		}
	}
	car.Odometer = readings
	visits := car.Visits[:0]
	for i, visit := range car.Visits {
		at := fmt.Sprintf("%s.visits[%d]", path, i)
		if visit.KM != nil && *visit.KM < 0 {
			v.add(at+".km", "should be 0 or more")
			visit.KM = nil
		}
		switch {
		case !v.date(&visit.ClosedOn, at+".closed_on"):
		case visit.ClosedOn.IsZero():
			v.add(at+".closed_on", "is missing")
		default:
			visits = append(visits, visit)
		}
	}
	car.Visits = visits
	return true
}
