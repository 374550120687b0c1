package scheduler

import (
	"cmp"
	"math"
	"slices"

	"github.com/carebell/carebell/care"
)

const (
	slopeWindow   = 730  // days before the newest reading that the rate is taken from
	impossible    = 1500 // km/day: nobody drives that, somebody mistyped it
	minRate       = 5.0  // km/day
	maxRate       = 300.0
	staleAfter    = 180 // days
	fallbackRate  = 40.0
	ceilTolerance = 1e-9 // keeps a quotient that is whole but for rounding from becoming a day more
)

// Forecast says when a vehicle's maintenance is due and why, as design A4 has it; asOf decides only whether the readings are
// stale. More readings, such as those a customer reported, count like the odometer's. It is false when no interval is known, or
// nothing that it could count from.
func Forecast(v *care.Vehicle, d *care.Dealer, asOf care.Date, more ...care.Reading) (care.Forecast, bool) {
	o := read(v, more)
	return forecast(v, d, &o, asOf)
}

func forecast(v *care.Vehicle, d *care.Dealer, o *odometer, asOf care.Date) (care.Forecast, bool) {
	f := care.Forecast{
		Rate: o.rate(v, d), Readings: len(o.readings), Dropped: o.dropped, Newest: o.newest().On,
	}
	f.Stale = f.Newest.IsZero() || asOf.Sub(f.Newest) > staleAfter
	base, ok := baselineOf(v, d)
	if !ok {
		return care.Forecast{}, false
	}
	f.Baseline = base.on
	f.DateRuleOn, f.KMRuleOn = base.rules(v, o, f.Rate)
	if f.DateRuleOn.IsZero() && f.KMRuleOn.IsZero() {
		return care.Forecast{}, false
	}
	f.Due, f.Winner = earlier(f.DateRuleOn, f.KMRuleOn, base.on)
	if f.KMRuleOn.IsZero() || len(o.slopes) == 0 {
		return f, true
	}
	// Who drives faster is due earlier: the 90th percentile of the slopes gives the earliest likely date.
	_, soon := base.rules(v, o, o.percentile(0.9))
	_, late := base.rules(v, o, o.percentile(0.1))
	f.Low, _ = earlier(f.DateRuleOn, soon, base.on)
	f.High, _ = earlier(f.DateRuleOn, late, base.on)
	return f, true
}

// earlier returns the earlier of the two rules' dates, never before the baseline, and which of them won.
func earlier(date, km, base care.Date) (care.Date, string) {
	due, winner := date, "date"
	if date.IsZero() || !km.IsZero() && km.Before(date) {
		due, winner = km, "km"
	}
	if due.Before(base) && !due.IsZero() {
		due = base
	}
	return due, winner
}

// baseline is what the next maintenance counts from: the latest one, else the delivery.
type baseline struct {
	on       care.Date
	km       int
	known    bool // the mileage is
	interval care.Interval
}

// baselineOf returns the vehicle's baseline; false without one or without an interval.
func baselineOf(v *care.Vehicle, d *care.Dealer) (baseline, bool) {
	var last *care.Visit
	for i := range v.Visits {
		visit := &v.Visits[i]
		if !d.Serviced(visit) {
			continue
		}
		if last == nil || visit.ClosedOn.After(last.ClosedOn) || visit.ClosedOn == last.ClosedOn && moreKM(visit.KM, last.KM) {
			last = visit
		}
	}
	if last != nil {
		service := v.ServiceInterval
		if service.IsZero() {
			service, _ = intervals(v, d)
		}
		b := baseline{on: last.ClosedOn, known: last.KM != nil, interval: service}
		if b.known {
			b.km = *last.KM
		}
		return b, !service.IsZero()
	}
	service, first := intervals(v, d)
	if first.IsZero() {
		first = service
	}
	return baseline{on: v.DeliveredOn, known: true, interval: first}, !first.IsZero() && !v.DeliveredOn.IsZero()
}

// rules returns the dates of the two rules, by date and by mileage; no date where one does not apply.
func (b *baseline) rules(v *care.Vehicle, o *odometer, rate float64) (date, km care.Date) {
	if b.interval.Months > 0 {
		date = b.on.AddMonths(b.interval.Months)
	}
	if b.interval.KM > 0 && b.known {
		km = o.reaches(b.km+b.interval.KM, rate, v)
	}
	return date, km
}

// moreKM prefers, of two visits on one day, the one with the larger mileage, whatever their order in the record.
func moreKM(a, b *int) bool { return a != nil && (b == nil || *a > *b) }

// intervals returns the vehicle's own intervals or, where it has none, those of the dealer's first rule that matches.
func intervals(v *care.Vehicle, d *care.Dealer) (service, first care.Interval) {
	service, first = v.ServiceInterval, v.FirstService
	if !service.IsZero() && !first.IsZero() || d == nil {
		return service, first
	}
	for i := range d.Intervals {
		rule := &d.Intervals[i]
		if !sameMakeModel(d, rule.Make, rule.Model, v) {
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

// odometer is what is known of a vehicle's mileage: the readings that were kept, by date, and the slopes between those of the
// last two years.
type odometer struct {
	readings []care.Reading
	slopes   []float64 // sorted
	dropped  int
	known    bool // filled for this run
	small    [16]care.Reading
	few      [28]float64
}

// read gathers the readings of a vehicle.
func read(v *care.Vehicle, more []care.Reading) (o odometer) {
	o.gather(v, more)
	o.readings = slices.Clone(o.readings) // o is moved: its own array does not move with the slice
	o.slopes = slices.Clone(o.slopes)
	return o
}

func (o *odometer) gather(v *care.Vehicle, more []care.Reading) {
	all := append(o.small[:0], v.Odometer...)
	all = append(all, more...)
	for i := range v.Visits {
		if visit := &v.Visits[i]; visit.KM != nil {
			all = append(all, care.Reading{On: visit.ClosedOn, KM: *visit.KM})
		}
	}
	slices.SortFunc(all, func(a, b care.Reading) int {
		return cmp.Or(a.On.Compare(b.On), cmp.Compare(b.KM, a.KM)) // same day: the larger first, which is the one that counts
	})
	kept := all[:0]
	o.dropped = 0
	var day care.Date // kept overwrites the front of all, so the day before is remembered here
	for i, r := range all {
		if i > 0 && r.On == day {
			continue
		}
		day = r.On
		if n := len(kept); n > 0 {
			last := kept[n-1]
			if r.KM < last.KM || r.KM-last.KM > impossible*r.On.Sub(last.On) {
				o.dropped++
				continue
			}
		}
		kept = append(kept, r)
	}
	o.readings = kept
	o.slope()
}

// slope fills the sorted slopes between all pairs of the readings of the last 730 days, or of the newest two (Theil-Sen).
func (o *odometer) slope() {
	o.slopes = o.few[:0]
	n := len(o.readings)
	if n < 2 {
		return
	}
	from := n - 2
	for from > 0 && o.readings[n-1].On.Sub(o.readings[from-1].On) <= slopeWindow {
		from--
	}
	recent := o.readings[from:]
	for i := range recent {
		for j := i + 1; j < len(recent); j++ {
			o.slopes = append(o.slopes, float64(recent[j].KM-recent[i].KM)/float64(recent[j].On.Sub(recent[i].On)))
		}
	}
	slices.Sort(o.slopes)
}

func (o *odometer) newest() care.Reading {
	if len(o.readings) == 0 {
		return care.Reading{}
	}
	return o.readings[len(o.readings)-1]
}

// rate returns the kilometres a day, clamped to what cars do.
func (o *odometer) rate(v *care.Vehicle, d *care.Dealer) float64 {
	rate := fallbackRate
	if d != nil && d.DefaultKMPerDay > 0 {
		rate = d.DefaultKMPerDay
	}
	switch len(o.readings) {
	case 0:
	case 1:
		if days := o.readings[0].On.Sub(v.DeliveredOn); !v.DeliveredOn.IsZero() && days > 0 {
			rate = float64(o.readings[0].KM) / float64(days)
		}
	default:
		n := len(o.slopes)
		rate = o.slopes[n/2]
		if n%2 == 0 {
			rate = (o.slopes[n/2-1] + o.slopes[n/2]) / 2
		}
	}
	return clamp(rate)
}

func clamp(rate float64) float64 { return min(max(rate, minRate), maxRate) }

// percentile returns the q-quantile of the slopes, interpolated linearly and clamped as the rate is.
func (o *odometer) percentile(q float64) float64 {
	at := q * float64(len(o.slopes)-1)
	i := int(at)
	rate := o.slopes[i]
	if i+1 < len(o.slopes) {
		rate += (o.slopes[i+1] - rate) * (at - float64(i))
	}
	return clamp(rate)
}

// reaches returns the date on which the vehicle shows km: counted from its newest reading, without one from its delivery.
func (o *odometer) reaches(km int, rate float64, v *care.Vehicle) care.Date {
	from := o.newest()
	if from.On.IsZero() {
		from.On = v.DeliveredOn
	}
	if from.On.IsZero() {
		return care.Date{}
	}
	return from.On.AddDays(int(math.Ceil(float64(km-from.KM)/rate - ceilTolerance)))
}

// warrantyEnd returns the earlier of the warranty's date and the forecast date of its mileage, never before the delivery.
func warrantyEnd(v *care.Vehicle, d *care.Dealer, o *odometer) care.Date {
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
