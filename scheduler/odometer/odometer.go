// Package odometer reads what is known of a car's mileage: it finds the readings that can be believed, says how far the car goes in a
// day, and when its maintenance is due (design A4).
//
// It promises that two instruments of one car are never mixed up, that a typing mistake moves no date, and that nothing is due within
// two weeks of what it counts from. It does not know which programs there are, nor what is sent.
package odometer

import (
	"cmp"
	"slices"

	"github.com/carebell/carebell/care"
)

const (
	slopeWindow  = 730  // days before the newest reading that the rate is taken from
	shortest     = 14   // days: fewer say nothing about how far a car goes in a day
	impossible   = 1500 // km/day: nobody drives that, somebody mistyped it
	minRate      = 5.0  // km/day
	maxRate      = 300.0
	fallbackRate = 40.0
)

// Odometer is what is known of a car's mileage. Read fills it, as often as needed: it keeps its memory.
type Odometer struct {
	run    []care.Reading // the readings that count: the run with the newest, by date
	before care.Date      // of the last reading of another instrument; none = there was no other
	slopes []float64      // between all pairs of the run's last two years, sorted; none if they span too few days
	doubts []Doubt
	small  [16]care.Reading
	few    [28]float64
}

// Doubt is a reading that a person should look at.
type Doubt struct {
	On       care.Date
	Replaced bool // it is the first of a new instrument; else it is a typing mistake and does not count
}

// Read takes in the car's readings and the mileage of its visits, and more readings, such as those that the customer reported.
func (o *Odometer) Read(v *care.Vehicle, more []care.Reading) {
	all := append(append(o.small[:0], v.Odometer...), more...)
	for i := range v.Visits {
		if visit := &v.Visits[i]; visit.KM != nil {
			all = append(all, care.Reading{On: visit.ClosedOn, KM: *visit.KM})
		}
	}
	slices.SortFunc(all, func(a, b care.Reading) int {
		return cmp.Or(a.On.Compare(b.On), cmp.Compare(b.KM, a.KM)) // of one day the larger counts
	})
	o.cut(slices.CompactFunc(all, func(a, b care.Reading) bool { return a.On == b.On }))
	o.slope()
}

// follows reports whether an odometer that showed a can show b later.
func follows(a, b care.Reading) bool {
	return b.KM >= a.KM && b.KM-a.KM <= impossible*max(b.On.Sub(a.On), 1)
}

// cut finds the run with the newest reading. A reading that does not follow the one before it is a typing mistake if the next one does,
// or if there is none; the one before is, if it was the first or if the reading follows the one before that. Else a new run begins.
func (o *Odometer) cut(all []care.Reading) {
	o.before, o.doubts = care.Date{}, o.doubts[:0]
	run := all[:0] // it grows over what was read
	for i, r := range all {
		n, last := len(run), i == len(all)-1
		switch {
		case n == 0 || follows(run[n-1], r):
			run = append(run, r)
		case !last && follows(run[n-1], all[i+1]):
			o.doubts = append(o.doubts, Doubt{On: r.On})
		case n > 1 && follows(run[n-2], r) && (!last || r.KM < run[n-1].KM), n == 1 && !last:
			o.doubts = append(o.doubts, Doubt{On: run[n-1].On})
			run[n-1] = r
		case last:
			o.doubts = append(o.doubts, Doubt{On: r.On})
		default:
			o.doubts = append(o.doubts, Doubt{On: r.On, Replaced: true})
			o.before = run[n-1].On
			run = append(run[n:], r)
		}
	}
	o.run = run
}

// slope fills the sorted slopes between all pairs of the readings of the last 730 days, at least of the newest two (Theil-Sen).
func (o *Odometer) slope() {
	o.slopes = o.few[:0]
	n := len(o.run)
	if n < 2 {
		return
	}
	from := n - 2
	for from > 0 && o.run[n-1].On.Sub(o.run[from-1].On) <= slopeWindow {
		from--
	}
	recent := o.run[from:]
	if o.run[n-1].On.Sub(recent[0].On) < shortest {
		return
	}
	for i := range recent {
		for j := i + 1; j < len(recent); j++ {
			o.slopes = append(o.slopes, float64(recent[j].KM-recent[i].KM)/float64(recent[j].On.Sub(recent[i].On)))
		}
	}
	slices.Sort(o.slopes)
}

// Newest returns the newest reading that counts; without one its date is none.
func (o *Odometer) Newest() care.Reading {
	if len(o.run) == 0 {
		return care.Reading{}
	}
	return o.run[len(o.run)-1]
}

// Doubts returns the readings of a car that a person should look at, by date.
func Doubts(v *care.Vehicle, more []care.Reading) []Doubt {
	var o Odometer
	o.Read(v, more)
	return o.doubts
}

// rate returns the kilometres a day, clamped to what cars do.
func (o *Odometer) rate(v *care.Vehicle, d *care.Dealer) float64 {
	rate := fallbackRate
	if d != nil && d.DefaultKMPerDay > 0 {
		rate = d.DefaultKMPerDay
	}
	newest, n := o.Newest(), len(o.slopes)
	days := newest.On.Sub(v.DeliveredOn)
	switch {
	case n > 0:
		rate = (o.slopes[(n-1)/2] + o.slopes[n/2]) / 2
	case len(o.run) > 0 && !v.DeliveredOn.IsZero() && days >= shortest && newest.KM >= v.OdometerAtDelivery:
		rate = float64(newest.KM-v.OdometerAtDelivery) / float64(days)
	}
	return clamp(rate)
}

func clamp(rate float64) float64 { return min(max(rate, minRate), maxRate) }

// percentile returns the q-quantile of the slopes, interpolated linearly and clamped as the rate is.
func (o *Odometer) percentile(q float64) float64 {
	at := q * float64(len(o.slopes)-1)
	i := int(at)
	rate := o.slopes[i]
	if i+1 < len(o.slopes) {
		rate += (o.slopes[i+1] - rate) * (at - float64(i))
	}
	return clamp(rate)
}

// fits reports whether a mileage of a day lies on the run that counts; read says that it is itself a reading.
func (o *Odometer) fits(p care.Reading, read bool) bool {
	i, _ := slices.BinarySearchFunc(o.run, p.On, func(r care.Reading, on care.Date) int { return r.On.Compare(on) })
	switch {
	case read && (i == len(o.run) || o.run[i].On != p.On):
		return false
	case !o.before.IsZero() && !p.On.After(o.before):
		return false
	}
	return (i == 0 || follows(o.run[i-1], p)) && (i == len(o.run) || follows(p, o.run[i]))
}
