package odometer

import (
	"fmt"
	"math"
	"sort"
	"testing"

	"github.com/carebell/carebell/care"
	"pgregory.net/rapid"
)

// The second planner says the same in another way: it was written from the sentences of the design, and looks at all readings again for
// every decision. It is slow and keeps nothing.
type second struct {
	v *care.Vehicle
	d *care.Dealer
}

type point struct {
	day, km int
}

// points are "odometer and visits with km, by date (same day: the larger)".
func (s second) points() []point {
	byDay := map[int]int{}
	add := func(on care.Date, km int) {
		if have, ok := byDay[on.Days()]; !ok || km > have {
			byDay[on.Days()] = km
		}
	}
	for _, r := range s.v.Odometer {
		add(r.On, r.KM)
	}
	for _, visit := range s.v.Visits {
		if visit.KM != nil {
			add(visit.ClosedOn, *visit.KM)
		}
	}
	var out []point
	for day, km := range byDay {
		out = append(out, point{day, km})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].day < out[j].day })
	return out
}

// rising: "no reading is lower than the one before or implies more than 1,500 km/day from it".
func rising(list ...point) bool {
	for i := 1; i < len(list); i++ {
		days := math.Max(1, float64(list[i].day-list[i-1].day))
		if gain := list[i].km - list[i-1].km; gain < 0 || float64(gain)/days > 1500 {
			return false
		}
	}
	return true
}

// newest is the run with the newest reading, and the day of the last reading of another run before it.
func (s second) newest() (run []point, before int) {
	all := s.points()
	start, before := 0, -1
	for {
		at := -1 // the first pair that does not rise
		for i := start + 1; i < len(all); i++ {
			if !rising(all[i-1], all[i]) {
				at = i
				break
			}
		}
		if at < 0 {
			return all[start:], before
		}
		without := func(i int) { all = append(append([]point(nil), all[:i]...), all[i+1:]...) }
		first, last := at-1 == start, at == len(all)-1
		switch {
		case !last && rising(all[at-1], all[at+1]): // the later one alone breaks the line
			without(at)
		case last && (first || !rising(all[at-2], all[at]) || all[at].km > all[at-1].km):
			without(at)
		case first, rising(all[at-2], all[at]): // the earlier one does
			without(at - 1)
		default:
			start, before = at, all[at-1].day
		}
	}
}

func (s second) rate(run []point) float64 {
	rate := s.d.DefaultKMPerDay
	var slopes []float64
	if n := len(run); n >= 2 {
		recent := append([]point(nil), run[n-2:]...)
		for i := n - 3; i >= 0 && run[n-1].day-run[i].day <= 730; i-- {
			recent = append([]point{run[i]}, recent...)
		}
		if recent[len(recent)-1].day-recent[0].day >= 14 {
			for i, a := range recent {
				for _, b := range recent[i+1:] {
					slopes = append(slopes, float64(b.km-a.km)/float64(b.day-a.day))
				}
			}
		}
	}
	sort.Float64s(slopes)
	switch n := len(slopes); {
	case n%2 == 1:
		rate = slopes[n/2]
	case n > 0:
		rate = (slopes[n/2-1] + slopes[n/2]) / 2
	case len(run) > 0 && !s.v.DeliveredOn.IsZero():
		last := run[len(run)-1]
		days, km := last.day-s.v.DeliveredOn.Days(), last.km-s.v.OdometerAtDelivery
		if days >= 14 && km >= 0 {
			rate = float64(km) / float64(days)
		}
	}
	return math.Max(5, math.Min(300, rate))
}

// due is the day that maintenance is due on; false if never.
func (s second) due() (due care.Date, rate float64, ok bool) {
	run, before := s.newest()
	rate = s.rate(run)
	var base *care.Visit
	for i := range s.v.Visits {
		visit := &s.v.Visits[i]
		if visit.Kind == "repair" {
			continue
		}
		later := base == nil || base.ClosedOn.Before(visit.ClosedOn)
		same := base != nil && base.ClosedOn == visit.ClosedOn && visit.KM != nil && (base.KM == nil || *base.KM < *visit.KM)
		if later || same {
			base = visit
		}
	}
	service, first := s.v.ServiceInterval, s.v.FirstService
	on, km, counts := s.v.DeliveredOn, s.v.OdometerAtDelivery, true
	interval := service
	switch {
	case base != nil:
		on, counts = base.ClosedOn, base.KM != nil
		if counts {
			km = *base.KM
		}
	case km <= 1000 && first != care.Interval{}:
		interval = first
	}
	if on.IsZero() || interval == (care.Interval{}) {
		return due, rate, false
	}
	mine := point{on.Days(), km}
	line, read := []point{}, false
	for _, p := range run {
		if p.day >= mine.day && len(line) >= 0 && !read {
			line, read = append(line, mine), true
			if base != nil && p.day != mine.day {
				counts = false // its reading does not count
			}
		}
		line = append(line, p)
	}
	if !read {
		line = append(line, mine)
		counts = counts && base == nil
	}
	counts = counts && rising(line...) && mine.day > before
	at := math.Inf(1)
	if interval.Months > 0 {
		at = float64(on.AddMonths(interval.Months).Days())
	}
	if interval.KM > 0 && counts {
		from := point{s.v.DeliveredOn.Days(), s.v.OdometerAtDelivery}
		if len(run) > 0 {
			from = run[len(run)-1]
		}
		at = math.Min(at, float64(from.day)+math.Ceil(float64(km+interval.KM-from.km)/rate-1e-9))
	}
	if math.IsInf(at, 1) {
		return due, rate, false
	}
	return care.DateFromDays(int(math.Max(at, float64(on.Days()+14)))), rate, true
}

// drawCar draws a car with a life: it drives, is serviced, gets another instrument, and now and then somebody mistypes.
func drawCar(t *rapid.T) *care.Vehicle {
	number := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(t, name) }
	v := &care.Vehicle{ID: "V1", DeliveredOn: care.NewDate(2020, 1, 1).AddDays(number("delivered", 0, 2000))}
	if number("used", 0, 3) == 0 {
		v.OdometerAtDelivery = number("at delivery", 0, 90000)
	}
	v.ServiceInterval = care.Interval{KM: 5000 * number("km", 0, 3), Months: 6 * number("months", 0, 4)}
	v.FirstService = care.Interval{KM: 2500 * number("first km", 0, 2), Months: 3 * number("first months", 0, 2)}
	on, km := v.DeliveredOn.AddDays(number("before", -300, 30)), max(v.OdometerAtDelivery-number("less", 0, 5000), 0)
	for range number("readings", 0, 8) {
		days := rapid.SampledFrom([]int{0, 1, 3, 13, 14, 30, 90, 200, 365, 800}).Draw(t, "days")
		on, km = on.AddDays(days), km+days*number("per day", 0, 200)
		if number("replaced", 0, 9) == 0 {
			km = number("new instrument", 0, 500)
		}
		shown := km
		switch number("typed", 0, 9) {
		case 0:
			shown = km*10 + number("digit", 0, 9)
		case 1:
			shown = km / 10
		}
		switch number("kind", 0, 3) {
		case 0:
			v.Odometer = append(v.Odometer, care.Reading{On: on, KM: shown})
		case 1:
			v.Visits = append(v.Visits, care.Visit{ClosedOn: on, KM: &shown, Kind: "repair"})
		case 2:
			v.Visits = append(v.Visits, care.Visit{ClosedOn: on, KM: &shown, Kind: "maintenance"})
		case 3:
			v.Visits = append(v.Visits, care.Visit{ClosedOn: on})
		}
	}
	return v
}

func TestTheSecondPlannerAgrees(t *testing.T) {
	t.Parallel()
	d := &care.Dealer{Dealer: "sh", DefaultKMPerDay: 40}
	due := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 40 {
			v := drawCar(t)
			on, rate, ok := second{v, d}.due()
			f, known := Forecast(v, d, care.NewDate(2026, 12, 1))
			if known != ok || ok && (f.Due != on || math.Abs(f.Rate-rate) > 1e-9) {
				t.Fatalf("%s: forecast %v %.2f %v, the second planner %v %.2f %v", describe(v), f.Due, f.Rate, known, on, rate, ok)
			}
			if !ok {
				continue
			}
			due++
			if f.High.Before(f.Low) {
				t.Fatalf("%s: between %v and %v", describe(v), f.Low, f.High)
			}
			if f.Due.Sub(f.Baseline) < 14 {
				t.Fatalf("%s: due %v, within two weeks of %v", describe(v), f.Due, f.Baseline)
			}
			var o Odometer
			o.Read(v, nil)
			if base, _ := BaselineOf(v, d); o.Due(&base, v, d) != f.Due {
				t.Fatalf("%s: due %v, the forecast says %v", describe(v), o.Due(&base, v, d), f.Due)
			}
		}
	})
	if due < 1000 {
		t.Errorf("only %d cars were due", due)
	}
}

// A car that was serviced yesterday, whatever is on record of it, is not due today.
func TestServicedYesterdayIsNotDueToday(t *testing.T) {
	t.Parallel()
	d := &care.Dealer{Dealer: "sh", DefaultKMPerDay: 40}
	rapid.Check(t, func(t *rapid.T) {
		v := drawCar(t)
		last := v.DeliveredOn
		for _, r := range v.Odometer {
			last = care.DateFromDays(max(last.Days(), r.On.Days()))
		}
		for _, visit := range v.Visits {
			last = care.DateFromDays(max(last.Days(), visit.ClosedOn.Days()))
		}
		yesterday := care.Visit{ClosedOn: last.AddDays(rapid.IntRange(0, 400).Draw(t, "later"))}
		if rapid.Bool().Draw(t, "read") {
			km := rapid.IntRange(0, 400000).Draw(t, "km")
			yesterday.KM = &km
		}
		v.Visits = append(v.Visits, yesterday)
		if f, ok := Forecast(v, d, yesterday.ClosedOn); ok && f.Due.Sub(yesterday.ClosedOn) < 14 {
			t.Fatalf("%s: serviced on %v, due on %v", describe(v), yesterday.ClosedOn, f.Due)
		}
	})
}

func describe(v *care.Vehicle) string {
	out := fmt.Sprintf("delivered %v with %d km, service %v, first %v:", v.DeliveredOn, v.OdometerAtDelivery, v.ServiceInterval, v.FirstService)
	for _, r := range v.Odometer {
		out += fmt.Sprintf(" %v:%d", r.On, r.KM)
	}
	for _, visit := range v.Visits {
		if out += fmt.Sprintf(" %s %v", visit.Kind, visit.ClosedOn); visit.KM != nil {
			out += fmt.Sprintf(":%d", *visit.KM)
		}
	}
	return out
}
