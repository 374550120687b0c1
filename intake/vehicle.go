package intake

import (
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
)

// vehicle normalises the columns of the vehicle.
func (r *rows) vehicle(d *care.Dealer, p *place) {
	t := &r.entry.text
	id, ok := exact(strings.Map(narrow, t[fVehicle]))
	t[fVehicle] = id
	switch {
	case id == "":
		if strings.Join(t[fVehicle+1:], "") != "" {
			r.fail(fVehicle, noVehicle)
		}
		return
	case strings.ContainsAny(id, "{}"):
		r.fail(fVehicle, braces)
	case !ok:
		r.fail(fVehicle, idLost)
	case !care.ValidID(id):
		r.fail(fVehicle, badID)
	case len(id) == 17:
		t[fVehicle] = strings.ToUpper(id) // ISO 3779: a VIN has no small letters
	}
	if d != nil {
		if to, ok := d.MakeAliases[t[fMake]]; ok {
			t[fMake] = to
		}
	}
	if t[fYear] != "" {
		s, _ := exact(strings.TrimSuffix(strings.TrimSuffix(strings.Map(narrow, t[fYear]), "款"), "年"))
		if y, err := strconv.Atoi(s); err != nil || y < 1900 || y > 2200 {
			r.fail(fYear, noYear)
		} else {
			t[fYear] = strconv.Itoa(y)
		}
	}
	t[fVisitOrder], _ = exact(t[fVisitOrder])
	r.kind(d)
	r.dates(p)
	r.mileages(p)
}

// kind reads what a visit was for: by the dealer's words, and those of the trade.
func (r *rows) kind(d *care.Dealer) {
	t := &r.entry.text
	word := t[fVisitKind]
	if word == "" {
		return
	}
	if d != nil {
		if kind, ok := d.VisitKinds[word]; ok {
			t[fVisitKind] = kind
			return
		}
	}
	kind, ok := record.Kind(word)
	if !ok {
		r.note(fVisitKind, unknownKind)
		return
	}
	t[fVisitKind] = kind
}

func (r *rows) dates(p *place) {
	t := &r.entry.text
	for _, f := range []field{fDelivered, fVisitOn, fKMOn, fInsurance, fInspection, fWarranty, fSold} {
		if t[f] == "" {
			continue
		}
		date, blank, reason := p.date(t[f])
		switch {
		case reason != "":
			r.fail(f, reason)
		case blank, f == fDelivered && !p.today.IsZero() && date.After(p.today.AddMonths(12)):
			r.note(f, leftOut)
			if t[f] = ""; f == fVisitOn {
				t[fVisitKM] = "" // the mileage of a visit nobody knows when
			}
		case (f == fVisitOn || f == fKMOn) && !p.today.IsZero() && date.After(p.today):
			r.fail(f, inFuture)
		default:
			t[f] = date.String()
		}
	}
}

func (r *rows) mileages(p *place) {
	t := &r.entry.text
	for _, f := range []field{fVisitKM, fKM, fWarrantyKM} {
		if t[f] == "" {
			continue
		}
		unit := r.units[f]
		if unit == "" && p.miles {
			unit = "mi"
		}
		km, reason := kilometres(t[f], r.comma, unit)
		if reason != "" {
			r.fail(f, reason)
			continue
		}
		t[f] = km
	}
	if t[fVisitOn] == "" && t[fVisitKM] != "" && t[fVisitKM] != "0" && len(r.faults) == 0 {
		r.fail(fVisitKM, noVisit)
	}
	if t[fKM] != "" && t[fKMOn] == "" {
		t[fKMOn] = p.today.String()
	}
}
