package intake

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
)

// batch gathers rows by customer. What it gathers them in is used again by the next batch: an import makes millions of them.
type batch struct {
	people map[string]*person
	order  []*person
	free   []*person
	size   int     // bytes of the last batch's records
	raw    []Patch // whole records
	rawAt  map[string]int
}

// person is what the rows of one customer say.
type person struct {
	text [fVehicle]string
	cars []car
	rows int
	real bool // some row of it was taken
}

// car is what the rows of one vehicle say.
type car struct {
	text     [fields - fVehicle]string
	visits   [][4]string // closed_on, km, order, kind
	readings [][2]string // on, km
}

func (b *batch) add(e *entry) {
	p := b.people[e.text[fID]]
	if p == nil {
		if n := len(b.free); n > 0 {
			p, b.free = b.free[n-1], b.free[:n-1]
		} else {
			p = new(person)
		}
		if b.people == nil {
			b.people = map[string]*person{}
		}
		b.people[e.text[fID]] = p
		b.order = append(b.order, p)
	}
	p.rows++
	p.real = p.real || !e.only
	for f := fID; f < fVehicle; f++ {
		if e.text[f] != "" && (!isConsent(f) || p.text[f] != "no") { // a no counts, whatever another row says
			p.text[f] = e.text[f]
		}
	}
	if e.text[fVehicle] == "" {
		return
	}
	c := p.car(e.text[fVehicle])
	for f := fVehicle; f < fields; f++ {
		if e.text[f] != "" {
			c.text[f-fVehicle] = e.text[f]
		}
	}
	if e.text[fVisitOn] != "" {
		c.visits = append(c.visits, [4]string{e.text[fVisitOn], e.text[fVisitKM], e.text[fVisitOrder], e.text[fVisitKind]})
	}
	if e.text[fKM] != "" && e.text[fKMOn] != "" {
		c.readings = append(c.readings, [2]string{e.text[fKMOn], e.text[fKM]})
	}
}

// has says whether something of the customer is in it.
func (b *batch) has(id string) bool {
	if b.people[id] != nil {
		return true
	}
	_, raw := b.rawAt[id]
	return raw
}

// addRecord adds a whole record. A second one of the same customer is joined with the first, so that no batch has an id twice.
func (b *batch) addRecord(p Patch) error {
	i, ok := b.rawAt[p.ID]
	if !ok {
		if b.rawAt == nil {
			b.rawAt = map[string]int{}
		}
		b.rawAt[p.ID] = len(b.raw)
		b.raw = append(b.raw, p)
		return nil
	}
	merged, err := MergeRecord(b.raw[i].Record, p)
	if err == nil {
		b.raw[i].Record = merged
		b.raw[i].Rows += p.Rows
		b.raw[i].Existing = b.raw[i].Existing && p.Existing
	}
	return err
}

func (p *person) car(id string) *car {
	for i := range p.cars {
		if p.cars[i].text[0] == id {
			return &p.cars[i]
		}
	}
	if n := len(p.cars); n < cap(p.cars) {
		p.cars = p.cars[:n+1] // reset has emptied it
	} else {
		p.cars = append(p.cars, car{})
	}
	return &p.cars[len(p.cars)-1]
}

// reset empties a person for the next batch.
func (p *person) reset() {
	for i := range p.cars {
		c := &p.cars[i]
		c.text = [fields - fVehicle]string{}
		clear(c.visits)
		clear(c.readings)
		c.visits, c.readings = c.visits[:0], c.readings[:0]
	}
	p.text, p.cars, p.rows, p.real = [fVehicle]string{}, p.cars[:0], 0, false
}

// take returns the patches and empties the batch. Their records lie in one piece of memory.
func (b *batch) take() []Patch {
	patches := slices.Grow(b.raw, len(b.order))
	o := object{b: make([]byte, 0, b.size+b.size/8)}
	for _, p := range b.order {
		from := len(o.b)
		whole := p.record(&o)
		patches = append(patches, Patch{ID: p.text[fID], Record: o.b[from:len(o.b):len(o.b)], Rows: p.rows, Existing: !p.real, additive: true, whole: whole && p.real})
		p.reset()
	}
	b.size = len(o.b)
	b.free = append(b.free, b.order...)
	clear(b.people)
	b.order, b.raw, b.rawAt = b.order[:0], nil, nil
	return patches
}

// object writes a JSON object member by member; a blank value is left out.
type object struct {
	b []byte
}

func (o *object) open(name string) {
	o.name(name)
	o.b = append(o.b, '{')
}

func (o *object) close(mark byte) { o.b = append(o.b, mark) }

// name writes the comma, if there is something before, and the name; "" is a value in a list.
func (o *object) name(name string) {
	if n := len(o.b); n > 0 && o.b[n-1] != '{' && o.b[n-1] != '[' {
		o.b = append(o.b, ',')
	}
	if name != "" {
		o.b = append(append(append(o.b, '"'), name...), '"', ':')
	}
}

func (o *object) str(name, value string) {
	if value != "" {
		o.name(name)
		o.b = appendString(o.b, value)
	}
}

// bare writes a number or a truth value.
func (o *object) bare(name, value string) {
	if value != "" {
		o.name(name)
		o.b = append(o.b, value...)
	}
}

func appendString[T string | []byte](b []byte, s T) []byte {
	plain, ascii := true, true
	for i := range len(s) {
		plain = plain && s[i] >= ' ' && s[i] != '"' && s[i] != '\\'
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if plain && (ascii || utf8.ValidString(string(s))) {
		return append(append(append(b, '"'), s...), '"')
	}
	quoted, err := json.Marshal(string(s))
	if err != nil {
		return append(b, `""`...) // cannot happen: a string always has a JSON form
	}
	return append(b, quoted...)
}

// record writes what the rows say. whole says that a customer who is not there yet has exactly this record: nothing in it is blank, and no
// list names the same thing twice.
func (p *person) record(o *object) (whole bool) {
	whole = true
	o.b = append(o.b, '{')
	for _, m := range []struct {
		name string
		f    field
	}{
		{"id", fID},
		{"dealer", fDealer},
		{"name", fName},
		{"salutation", fSalutation},
		{"email", fEmail},
		{"phone", fPhone},
		{"phone_other", fOther},
		{"locale", fLocale},
		{"time_zone", fZone},
		{"birthday", fBirthday},
		{"grade", fGrade},
		{"advisor", fAdvisor},
		{"household", fHousehold},
	} {
		o.str(m.name, p.text[m.f])
	}
	if p.text[fTags] != "" {
		o.name("tags")
		o.b = append(o.b, '[')
		from := len(o.b)
		for _, tag := range strings.FieldsFunc(p.text[fTags], func(r rune) bool { return strings.ContainsRune(",;、\uff0c\uff1b ", r) }) {
			o.str("", tag)
		}
		whole = len(o.b) > from
		o.close(']')
	}
	p.consent(o)
	if p.text[fDeceased] != "" {
		o.name("holds")
		o.b = append(o.b, `[{"reason":"`+care.Deceased+`"}]`...)
	}
	if len(p.cars) > 0 {
		o.name("vehicles")
		o.b = append(o.b, '[')
		for i := range p.cars {
			p.cars[i].write(o)
			whole = whole && len(p.cars[i].readings) < 2 && len(p.cars[i].visits) < 2
		}
		o.close(']')
	}
	o.close('}')
	return whole
}

// consent writes the answers: yes is {service: true}, no is no to both.
func (p *person) consent(o *object) {
	if p.text[fSMS]+p.text[fMail]+p.text[fSMSAds]+p.text[fMailAds] == "" {
		return
	}
	o.open("consent")
	for _, c := range []struct {
		channel      care.Channel
		service, ads field
	}{{care.SMS, fSMS, fSMSAds}, {care.Email, fMail, fMailAds}} {
		service, ads := p.text[c.service], p.text[c.ads]
		if service == "no" {
			ads = "no"
		}
		if service+ads == "" {
			continue
		}
		o.open(string(c.channel))
		o.bare("service", truth(service))
		o.bare("commercial", truth(ads))
		o.close('}')
	}
	o.close('}')
}

// truth is an answer in JSON.
func truth(answer string) string {
	switch answer {
	case "yes":
		return "true"
	case "no":
		return "false"
	}
	return ""
}

func (c *car) write(o *object) {
	text := func(f field) string { return c.text[f-fVehicle] }
	o.open("")
	o.str("id", text(fVehicle))
	o.str("plate", text(fPlate))
	o.str("make", text(fMake))
	o.str("model", text(fModel))
	o.bare("model_year", text(fYear))
	o.str("delivered_on", text(fDelivered))
	if len(c.readings) > 0 {
		o.name("odometer")
		o.b = append(o.b, '[')
		for _, r := range c.readings {
			o.open("")
			o.str("on", r[0])
			o.bare("km", r[1])
			o.close('}')
		}
		o.close(']')
	}
	if len(c.visits) > 0 {
		o.name("visits")
		o.b = append(o.b, '[')
		for _, v := range c.visits {
			o.open("")
			o.str("order", v[2])
			o.str("closed_on", v[0])
			o.bare("km", v[1])
			o.str("kind", v[3])
			o.close('}')
		}
		o.close(']')
	}
	if text(fWarranty)+text(fWarrantyKM) != "" {
		o.open("warranty")
		o.str("until", text(fWarranty))
		o.bare("km", text(fWarrantyKM))
		o.close('}')
	}
	o.str("insurance_until", text(fInsurance))
	o.str("inspection_due", text(fInspection))
	o.str("sold_on", text(fSold))
	o.close('}')
}
