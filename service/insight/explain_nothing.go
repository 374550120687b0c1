package insight

import (
	"slices"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/service/carebook"
)

// nothing finds out why a program has nothing for a customer in the coming year.
type nothing struct {
	x       *Explanation
	facts   *care.Facts
	program *care.Program
	book    *carebook.Compiled
	t       *texts.Language
}

// say fills in the reason. long is the customer's plan over decades.
func (n *nothing) say(out *ProgramFacts, long []*care.Occurrence) {
	today := care.DateOf(n.x.At)
	for _, o := range long {
		switch {
		case o.Program != n.program.Program:
		case !o.Release.After(n.x.At):
			if !o.Due.Before(out.Last) {
				out.Last, out.Cycle = o.Due, o.Cycle
			}
		case out.Later.IsZero() || o.Due.Before(out.Later):
			out.Later = o.Due
		}
	}
	out.Nothing, out.Why = n.reason(out, today)
}

// reason returns the reason's code and what it says.
func (n *nothing) reason(out *ProgramFacts, today care.Date) (code, why string) {
	p := n.program
	switch {
	case !p.Enabled:
		return "disabled", n.t.T("nothing.disabled")
	case !p.Until.IsZero() && p.Until.Before(today):
		return "ended", n.t.T("nothing.ended", "date", p.Until)
	case !p.From.IsZero() && p.From.After(today) && out.Later.IsZero():
		return "not_yet", n.t.T("nothing.not_yet", "date", p.From)
	}
	if p.Trigger.PerVehicle() {
		if code, why := n.cars(today); code != "" {
			return code, why
		}
	}
	switch {
	case !out.Later.IsZero():
		return "later", n.t.T("nothing.later", "date", out.Later)
	case !out.Last.IsZero():
		return "over", n.t.T("nothing.over", "date", out.Last, "round", out.Cycle)
	}
	return n.missing()
}

// cars says whether there is a car at all that is still the customer's.
func (n *nothing) cars(today care.Date) (code, why string) {
	var sold care.Date
	for i := range n.x.Vehicles {
		v := &n.x.Vehicles[i]
		if v.SoldOn.IsZero() || v.SoldOn.After(today) {
			return "", ""
		}
		if v.SoldOn.After(sold) {
			sold = v.SoldOn
		}
	}
	if sold.IsZero() {
		return "no_vehicle", n.t.T("nothing.no_vehicle")
	}
	return "sold", n.t.T("nothing.sold", "date", sold)
}

// missing names the fact without which the trigger never has a date.
func (n *nothing) missing() (code, why string) {
	some := func(has func(*care.Vehicle) bool) bool {
		return slices.ContainsFunc(n.facts.Customer.Vehicles, func(v care.Vehicle) bool { return has(&v) })
	}
	delivered := some(func(v *care.Vehicle) bool { return !v.DeliveredOn.IsZero() })
	visited := some(func(v *care.Vehicle) bool { return len(v.Visits) > 0 })
	switch n.program.Trigger.On {
	case care.OnDelivery, care.OnAnniversary:
		return "no_delivery", n.t.T("nothing.no_delivery")
	case care.OnBirthday:
		if n.x.Birthday.IsZero() {
			return "no_birthday", n.t.T("nothing.no_birthday")
		}
		return "no_lunar_return", n.t.T("nothing.no_lunar_return")
	case care.OnMaintenanceDue:
		if delivered || visited {
			return "no_interval", n.t.T("nothing.no_interval")
		}
		return "no_baseline", n.t.T("nothing.no_baseline")
	case care.OnVisit, care.OnLastVisit:
		return "no_visit", n.t.T("nothing.no_visit")
	case care.OnWarrantyEnd:
		return "no_warranty", n.t.T("nothing.no_warranty")
	case care.OnInsuranceEnd:
		return "no_insurance", n.t.T("nothing.no_insurance")
	case care.OnInspectionDue:
		return "no_inspection", n.t.T("nothing.no_inspection")
	case care.OnAppointment:
		return "no_appointment", n.t.T("nothing.no_appointment")
	case care.OnHoldEnd:
		return "no_hold_end", n.t.T("nothing.no_hold_end", "reason", n.program.Trigger.Reason)
	case care.OnSignal:
		return "no_signal", n.t.T("nothing.no_signal", "signal", n.program.Trigger.Signal)
	case care.OnEvent:
		return "no_event", n.t.T("nothing.no_event")
	case care.OnBulletin:
		return "no_bulletin", n.t.T("nothing.no_bulletin")
	}
	return "no_date", n.t.T("nothing.no_date")
}
