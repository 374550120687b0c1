package odometer

import (
	"math"

	"github.com/carebell/carebell/care"
)

const (
	staleAfter    = 180  // days
	ceilTolerance = 1e-9 // keeps a quotient that is whole but for rounding from becoming a day more
)

// Forecast says when a car's maintenance is due and why; asOf decides only whether the readings are stale. More readings count like the
// record's. It is false when no interval is known, or nothing that it could count from.
func Forecast(v *care.Vehicle, d *care.Dealer, asOf care.Date, more ...care.Reading) (care.Forecast, bool) {
	var o Odometer
	o.Read(v, more)
	return o.Forecast(v, d, asOf)
}

// Forecast is the function of that name for a car whose readings were read.
func (o *Odometer) Forecast(v *care.Vehicle, d *care.Dealer, asOf care.Date) (care.Forecast, bool) {
	base, ok := BaselineOf(v, d)
	if !ok {
		return care.Forecast{}, false
	}
	f := care.Forecast{Rate: o.rate(v, d), Readings: len(o.run), Newest: o.Newest().On, Baseline: base.On}
	for _, doubt := range o.doubts {
		if !doubt.Replaced {
			f.Dropped++
		}
	}
	f.Stale = f.Newest.IsZero() || asOf.Sub(f.Newest) > staleAfter
	f.DateRuleOn, f.KMRuleOn = o.rules(&base, v, f.Rate)
	if f.Due, f.Winner = base.earlier(f.DateRuleOn, f.KMRuleOn); f.Due.IsZero() {
		return care.Forecast{}, false
	}
	if f.KMRuleOn.IsZero() || len(o.slopes) == 0 {
		return f, true
	}
	_, fast := o.rules(&base, v, o.percentile(0.9))
	_, slow := o.rules(&base, v, o.percentile(0.1))
	f.Low, _ = base.earlier(f.DateRuleOn, fast)
	f.High, _ = base.earlier(f.DateRuleOn, slow)
	if f.High.Before(f.Low) {
		f.Low, f.High = f.High, f.Low // where the mileage is passed already, a faster car passed it later
	}
	return f, true
}

// Due returns when the maintenance that a baseline leads to is due; no date if it never is.
func (o *Odometer) Due(base *Baseline, v *care.Vehicle, d *care.Dealer) care.Date {
	due, _ := base.earlier(o.rules(base, v, o.rate(v, d)))
	return due
}

// Baseline is what the next maintenance counts from: the latest one, else the delivery.
type Baseline struct {
	On       care.Date
	Interval care.Interval

	km    int
	known bool // the mileage is
	read  bool // and was read from the instrument
}

// BaselineOf returns the car's baseline; false without one or without an interval.
func BaselineOf(v *care.Vehicle, d *care.Dealer) (Baseline, bool) {
	var last *care.Visit
	for i := range v.Visits {
		visit := &v.Visits[i]
		if !d.Serviced(visit) {
			continue
		}
		if last == nil || visit.ClosedOn.After(last.ClosedOn) || visit.ClosedOn == last.ClosedOn && MoreKM(visit.KM, last.KM) {
			last = visit
		}
	}
	service, first := v.ServiceInterval, v.FirstService
	if service.IsZero() || first.IsZero() && last == nil {
		service, first = intervals(v, d)
	}
	switch {
	case last != nil && last.KM != nil:
		return Baseline{On: last.ClosedOn, Interval: service, km: *last.KM, known: true, read: true}, !service.IsZero()
	case last != nil:
		return Baseline{On: last.ClosedOn, Interval: service}, !service.IsZero()
	case first.IsZero() || v.OdometerAtDelivery > care.UsedAbove:
		first = service
	}
	return Baseline{On: v.DeliveredOn, Interval: first, km: v.OdometerAtDelivery, known: true}, !first.IsZero() && !v.DeliveredOn.IsZero()
}

// MoreKM prefers, of two visits on one day, the one with the larger mileage, whatever their order in the record.
func MoreKM(a, b *int) bool { return a != nil && (b == nil || *a > *b) }

// earlier returns the earlier of the two rules' dates, never within two weeks of the baseline, and which of them won.
func (b *Baseline) earlier(date, km care.Date) (due care.Date, winner string) {
	due, winner = date, "date"
	if date.IsZero() || !km.IsZero() && km.Before(date) {
		due, winner = km, "km"
	}
	if soonest := b.On.AddDays(shortest); !due.IsZero() && due.Before(soonest) {
		due = soonest
	}
	return due, winner
}

// rules returns the dates of the two rules, by date and by mileage; no date where one does not apply. The mileage counts only where that
// of the baseline and the newest reading lie on one run.
func (o *Odometer) rules(b *Baseline, v *care.Vehicle, rate float64) (date, km care.Date) {
	if b.Interval.Months > 0 {
		date = b.On.AddMonths(b.Interval.Months)
	}
	if b.Interval.KM > 0 && b.known && o.fits(care.Reading{On: b.On, KM: b.km}, b.read) {
		km = o.reaches(b.km+b.Interval.KM, rate, v)
	}
	return date, km
}

// reaches returns the date on which the car shows km: counted from its newest reading, without one from its delivery.
func (o *Odometer) reaches(km int, rate float64, v *care.Vehicle) care.Date {
	from := o.Newest()
	if from.On.IsZero() {
		from = care.Reading{On: v.DeliveredOn, KM: v.OdometerAtDelivery}
	}
	if from.On.IsZero() {
		return care.Date{}
	}
	return from.On.AddDays(int(math.Ceil(float64(km-from.KM)/rate - ceilTolerance)))
}

// intervals returns the car's own intervals or, where it has none, those of the dealer's first rule that matches.
func intervals(v *care.Vehicle, d *care.Dealer) (service, first care.Interval) {
	service, first = v.ServiceInterval, v.FirstService
	if d == nil {
		return service, first
	}
	for i := range d.Intervals {
		rule := &d.Intervals[i]
		if !d.Covers(rule.Make, rule.Model, v) || rule.Powertrain != "" && rule.Powertrain != v.Powertrain {
			continue
		}
		if service.IsZero() {
			service = rule.ServiceInterval
		}
		if first.IsZero() {
			first = rule.FirstService
		}
		break
	}
	return service, first
}

// WarrantyEnd returns the earlier of the warranty's date and the forecast date of its mileage, never before the delivery.
func (o *Odometer) WarrantyEnd(v *care.Vehicle, d *care.Dealer) care.Date {
	end := v.Warranty.Until
	if v.Warranty.KM <= 0 {
		return end
	}
	km := o.reaches(v.Warranty.KM, o.rate(v, d), v)
	if !v.DeliveredOn.IsZero() && !km.IsZero() && km.Before(v.DeliveredOn) {
		km = v.DeliveredOn
	}
	if end.IsZero() || !km.IsZero() && km.Before(end) {
		end = km
	}
	return end
}
