package intake

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
)

// maxRecord bounds one record of a JSONL file.
const maxRecord = 4 << 20

// jsonl reads one customer record per line. A record with a defect anywhere is rejected: what is wrong in it should be mended where
// it comes from, not be found later by the planner.
func (d *reading) jsonl(ctx context.Context, in io.Reader) error {
	d.stats.Encoding = UTF8
	if err := d.rejects.layout([]string{"record"}, ',', func() string { return UTF8 }); err != nil {
		return err
	}
	r := newRows(&d.opt, nil, nil)
	text, err := newText(in, UTF8, maxRecord)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		l, err := text.readLine()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLong):
			if err := d.reject([]Rejection{{Line: n, Reason: "the line is longer than 4 MiB: is there one record per line?"}}, []string{l.text}); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		raw := []byte(strings.TrimSpace(strings.TrimPrefix(l.text, "\ufeff")))
		if len(raw) == 0 {
			continue
		}
		patch, faults := d.record(r, raw)
		if patch != nil {
			if err := d.room(ctx, patch.ID); err != nil {
				return err
			}
			if err := d.batch.addRecord(*patch); err != nil {
				return err
			}
		}
		if len(faults) > 0 {
			if patch != nil {
				d.stats.Applied++
			}
			for i := range faults {
				faults[i].Line = n
			}
			if err := d.reject(faults, []string{string(raw)}); err != nil {
				return err
			}
			continue
		}
		d.stats.Rows++
	}
}

// record checks one record and brings its phone, e-mail address, dealer, advisor and makes into the form that rows have.
func (d *reading) record(r *rows, line []byte) (*Patch, []Rejection) {
	c, defects, err := record.Decode(line)
	switch {
	case errors.Is(err, care.ErrNoID):
		var raw struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(line, &raw) != nil || raw.ID == "" {
			return nil, []Rejection{{Column: "$.id", Reason: noID}}
		}
		return nil, []Rejection{{Customer: raw.ID, Column: "$.id", Reason: badID}}
	case err != nil:
		return nil, []Rejection{{Reason: err.Error()}}
	}
	r.entry, r.faults = entry{}, r.faults[:0]
	t := &r.entry.text
	t[fID], t[fDealer], t[fPhone], t[fEmail], t[fZone], t[fAdvisor] = c.ID, c.Dealer, c.Phone, c.Email, c.TimeZone, c.Advisor
	for _, d := range defects {
		if d.Message != record.NoBirthday && d.Message != record.NoCarDate {
			r.failAt(d.Path, d.Message)
		}
	}
	from := len(r.faults)
	dealer, known := r.dealer()
	if !known {
		r.failAt(fieldNames[fDealer], noDealer)
	}
	p := r.place(dealer)
	r.reach(dealer, p)
	if !c.Birthday.IsZero() {
		if reason := p.CheckBirthday(c.Birthday); reason != "" {
			r.failAt(fieldNames[fBirthday], reason)
		}
	}
	for i := range r.faults[from:] {
		r.faults[from+i].Column = "$." + r.faults[from+i].Column
	}
	if len(r.faults) > 0 {
		return noOf(c, defects), r.faults
	}
	d.opt.IDs.add(c.ID)
	d.seen.add(c.ID, "")
	for i := range c.Vehicles {
		d.seen.add(c.ID, c.Vehicles[i].ID)
	}
	var m merger
	all, err := m.members(line)
	if err != nil {
		return nil, []Rejection{{Customer: c.ID, Reason: err.Error()}}
	}
	changed := false
	for _, f := range []field{fDealer, fPhone, fOther, fEmail, fAdvisor} {
		name := fieldNames[f]
		i := find(all, name)
		if t[f] == "" || i >= 0 && string(word(all, name)) == t[f] {
			continue
		}
		if i < 0 {
			i = len(all)
			all = append(all, member{name: []byte(name)})
		}
		all[i].value, changed = appendString(nil, t[f]), true
	}
	record := append([]byte(nil), line...)
	if changed {
		if record, _, err = m.object(nil, all, nil); err != nil {
			return nil, []Rejection{{Customer: c.ID, Reason: err.Error()}}
		}
	}
	return &Patch{ID: c.ID, Record: record, Rows: 1}, nil
}

// noOf is what counts of a rejected record all the same: refusals, holds and sold cars. An answer that cannot be read is a no. Nil if it
// says none of them.
func noOf(c *care.Customer, defects []care.Defect) *Patch {
	no, some := care.Customer{ID: c.ID, Holds: c.Holds}, len(c.Holds) > 0
	refuse := func(ch care.Channel, service, commercial bool) {
		answer := no.Consent[ch]
		if service {
			answer.Service, answer.Commercial = new(false), new(false)
		}
		if commercial {
			answer.Commercial = new(false)
		}
		if no.Consent == nil {
			no.Consent = map[care.Channel]care.Consent{}
		}
		no.Consent[ch], some = answer, true
	}
	for ch, answer := range c.Consent {
		service, commercial := answer.Service != nil && !*answer.Service, answer.Commercial != nil && !*answer.Commercial
		if service || commercial {
			refuse(ch, service, commercial)
		}
	}
	for _, d := range defects {
		if !strings.HasPrefix(d.Path, "$.consent") {
			continue
		}
		for _, ch := range []care.Channel{care.SMS, care.Email} {
			if d.Path == "$.consent" || strings.HasPrefix(d.Path, "$.consent."+string(ch)) {
				refuse(ch, !strings.HasSuffix(d.Path, ".commercial"), true)
			}
		}
	}
	for i := range c.Vehicles {
		if v := &c.Vehicles[i]; !v.SoldOn.IsZero() {
			no.Vehicles, some = append(no.Vehicles, care.Vehicle{ID: v.ID, SoldOn: v.SoldOn}), true
		}
	}
	if !some {
		return nil
	}
	raw, err := json.Marshal(no)
	if err != nil {
		return nil
	}
	return &Patch{ID: c.ID, Record: raw, Rows: 1, Existing: true, additive: true}
}
