package intake

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
)

// maxRecord bounds one record of a JSONL file.
const maxRecord = 4 << 20

// jsonl reads one customer record per line. A record with a defect anywhere is rejected: what is wrong in it should be mended where
// it comes from, not be found later by the planner.
func (d *reading) jsonl(ctx context.Context, in io.Reader) error {
	d.stats.Encoding = UTF8
	d.rejects.layout([]string{"record"}, ',', func() string { return UTF8 })
	r := newRows(&d.opt, nil, nil)
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, window), maxRecord)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(line) == 0 {
			continue
		}
		patch, rejection := d.record(r, line)
		if rejection != nil {
			rejection.Line = n
			if err := d.reject(*rejection, []string{string(line)}); err != nil {
				return err
			}
			continue
		}
		d.stats.Rows++
		if err := d.room(ctx, patch.ID); err != nil {
			return err
		}
		if err := d.batch.addRecord(*patch); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than 4 MiB: is there one record per line?", n+1)
	}
	return lines.Err()
}

// record checks one record and brings its phone, e-mail address, dealer, advisor and makes into the form that rows have.
func (d *reading) record(r *rows, line []byte) (*Patch, *Rejection) {
	c, defects, err := record.Decode(line)
	switch {
	case errors.Is(err, care.ErrNoID):
		var raw struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(line, &raw) != nil || raw.ID == "" {
			return nil, &Rejection{Column: "$.id", Reason: noID}
		}
		return nil, &Rejection{Customer: raw.ID, Column: "$.id", Reason: badID}
	case err != nil:
		return nil, &Rejection{Reason: err.Error()}
	case len(defects) > 0:
		return nil, &Rejection{Customer: c.ID, Column: defects[0].Path, Reason: defects[0].Message}
	}
	r.entry = entry{}
	t := &r.entry.text
	t[fID], t[fDealer], t[fPhone], t[fEmail], t[fZone], t[fAdvisor] = c.ID, c.Dealer, c.Phone, c.Email, c.TimeZone, c.Advisor
	dealer, known := r.dealer()
	if !known {
		return nil, &Rejection{Customer: c.ID, Column: "$.dealer", Reason: noDealer}
	}
	if fault := r.reach(dealer); fault != nil {
		fault.Column = "$." + fault.Column
		return nil, fault
	}
	if !c.Birthday.IsZero() {
		if reason := d.opt.checkBirthday(c.Birthday); reason != "" {
			return nil, &Rejection{Customer: c.ID, Column: "$.birthday", Reason: reason}
		}
	}
	d.seen.add(c.ID, "")
	for i := range c.Vehicles {
		d.seen.add(c.ID, c.Vehicles[i].ID)
	}
	var m merger
	all, err := m.members(line)
	if err != nil {
		return nil, &Rejection{Customer: c.ID, Reason: err.Error()}
	}
	changed := false
	for _, f := range []field{fDealer, fPhone, fEmail, fAdvisor} {
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
			return nil, &Rejection{Customer: c.ID, Reason: err.Error()}
		}
	}
	return &Patch{ID: c.ID, Record: record, Rows: 1}, nil
}
