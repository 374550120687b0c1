package daemon

import (
	"fmt"
	"slices"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/carebook"
)

// nothing finds out why a program has nothing for a customer in the coming year.
type nothing struct {
	x       *Explanation
	facts   *care.Facts
	program *care.Program
	checked *carebook.Compiled
	locale  string
}

// nothingWords are the reasons; %s is a date or a name.
var nothingWords = map[string]word{
	"disabled":        {"the program is switched off", "项目已停用"},
	"not_yet":         {"the program starts on %s", "项目从 %s 开始"},
	"ended":           {"the program ended on %s", "项目已于 %s 结束"},
	"later":           {"next on %s", "下次为 %s"},
	"over":            {"was on %s, round %s; its messages are over", "上次为 %s（轮次 %s），已结束"},
	"no_vehicle":      {"no car in the record", "记录中没有车辆"},
	"sold":            {"the car was sold on %s", "车辆已于 %s 售出"},
	"no_delivery":     {"no delivery date", "没有交车日期"},
	"no_birthday":     {"no birthday", "没有生日"},
	"no_interval":     {"no service interval for this car", "没有该车的保养间隔"},
	"no_baseline":     {"neither a service nor a delivery date to count from", "没有可作起点的保养或交车日期"},
	"no_visit":        {"no visit", "没有进厂记录"},
	"no_warranty":     {"no warranty in the record", "没有质保信息"},
	"no_insurance":    {"no insurance date", "没有保险到期日"},
	"no_inspection":   {"no inspection date", "没有年检日期"},
	"no_date":         {"none of its dates lies in the coming year", "未来一年没有该日期"},
	"no_event":        {"the book has no event for this dealer", "没有适用于该门店的活动"},
	"no_bulletin":     {"no bulletin is about this car", "没有涉及该车的通告"},
	"no_lunar_return": {"the birthday does not return in this time", "此期间生日不重现"},
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
	code, with := n.reason(out, today)
	out.Nothing = code
	out.Why = fmt.Sprintf(nothingWords[code].in(n.locale), with...)
}

func (n *nothing) reason(out *ProgramFacts, today care.Date) (code string, with []any) {
	p := n.program
	switch {
	case !p.Enabled:
		return "disabled", nil
	case !p.Until.IsZero() && p.Until.Before(today):
		return "ended", []any{p.Until}
	case !p.From.IsZero() && p.From.After(today) && out.Later.IsZero():
		return "not_yet", []any{p.From}
	}
	if p.Trigger.PerVehicle() {
		if code, with := n.cars(today); code != "" {
			return code, with
		}
	}
	switch {
	case !out.Later.IsZero():
		return "later", []any{out.Later}
	case !out.Last.IsZero():
		return "over", []any{out.Last, out.Cycle}
	}
	return n.missing(), nil
}

// cars says whether there is a car at all that is still the customer's.
func (n *nothing) cars(today care.Date) (code string, with []any) {
	var sold care.Date
	for i := range n.x.Vehicles {
		v := &n.x.Vehicles[i]
		if v.SoldOn.IsZero() || v.SoldOn.After(today) {
			return "", nil
		}
		if v.SoldOn.After(sold) {
			sold = v.SoldOn
		}
	}
	if sold.IsZero() {
		return "no_vehicle", nil
	}
	return "sold", []any{sold}
}

// missing names the fact without which the trigger never has a date.
func (n *nothing) missing() string {
	some := func(has func(*care.Vehicle) bool) bool {
		return slices.ContainsFunc(n.facts.Customer.Vehicles, func(v care.Vehicle) bool { return has(&v) })
	}
	delivered := some(func(v *care.Vehicle) bool { return !v.DeliveredOn.IsZero() })
	visited := some(func(v *care.Vehicle) bool { return len(v.Visits) > 0 })
	switch n.program.Trigger.On {
	case care.OnDelivery, care.OnAnniversary:
		return "no_delivery"
	case care.OnBirthday:
		if n.x.Birthday.IsZero() {
			return "no_birthday"
		}
		return "no_lunar_return"
	case care.OnMaintenanceDue:
		if delivered || visited {
			return "no_interval"
		}
		return "no_baseline"
	case care.OnVisit, care.OnLastVisit:
		return "no_visit"
	case care.OnWarrantyEnd:
		return "no_warranty"
	case care.OnInsuranceEnd:
		return "no_insurance"
	case care.OnInspectionDue:
		return "no_inspection"
	case care.OnEvent:
		return "no_event"
	case care.OnBulletin:
		return "no_bulletin"
	}
	return "no_date"
}
