package intake

import (
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	caretext "github.com/carebell/carebell/care/text"
	"github.com/carebell/carebell/intake/cell"
)

// vehicle normalises the columns of the vehicle.
func (r *rows) vehicle(d *care.Dealer, p *cell.Place) {
	t := &r.entry.text
	id, ok := cell.Exact(strings.Map(caretext.Narrow, t[fVehicle]))
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
		s, _ := cell.Exact(strings.TrimSuffix(strings.TrimSuffix(strings.Map(caretext.Narrow, t[fYear]), "款"), "年"))
		if y, err := strconv.Atoi(s); err != nil || y < 1900 || y > 2200 {
			r.fail(fYear, noYear)
		} else {
			t[fYear] = strconv.Itoa(y)
		}
	}
	t[fVisitOrder], _ = cell.Exact(t[fVisitOrder])
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

func (r *rows) dates(p *cell.Place) {
	t := &r.entry.text
	for _, f := range []field{fDelivered, fVisitOn, fKMOn, fInsurance, fInspection, fWarranty, fSold} {
		if t[f] == "" {
			continue
		}
		date, blank, reason := p.Ordered(r.orders[f]).Date(t[f])
		switch {
		case reason != "":
			r.fail(f, reason)
		case blank, f == fDelivered && !p.Today.IsZero() && date.After(p.Today.AddMonths(12)):
			r.note(f, leftOut)
			if t[f] = ""; f == fVisitOn {
				t[fVisitKM] = "" // the mileage of a visit nobody knows when
			}
		case (f == fVisitOn || f == fKMOn) && !p.Today.IsZero() && date.After(p.Today):
			r.fail(f, cell.InFuture)
		default:
			t[f] = date.String()
		}
	}
}

func (r *rows) mileages(p *cell.Place) {
	t := &r.entry.text
	for _, f := range []field{fVisitKM, fKM, fWarrantyKM} {
		if t[f] == "" {
			continue
		}
		unit := r.units[f]
		if unit == "" && p.Miles {
			unit = "mi"
		}
		km, reason := cell.Kilometres(t[f], r.comma, unit)
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
		t[fKMOn] = p.Today.String()
	}
}
