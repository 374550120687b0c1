package odometer

import (
	"fmt"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/google/go-cmp/cmp"
)

func dealer() *care.Dealer {
	return &care.Dealer{
		Dealer: "sh", DefaultKMPerDay: 40,
		Intervals: []care.IntervalRule{
			{Make: "Buick", Model: "*", Powertrain: "ev", ServiceInterval: care.Interval{Months: 24}},
			{Make: "Buick", Model: "*", Powertrain: "phev", ServiceInterval: care.Interval{KM: 15000, Months: 12}},
			{Make: "Buick", Model: "*", ServiceInterval: care.Interval{KM: 10000, Months: 12}, FirstService: care.Interval{KM: 5000, Months: 6}},
		},
	}
}

func withCar(t testing.TB, car string) *care.Vehicle {
	t.Helper()
	c, defects, err := record.Decode([]byte(`{"id":"C1","vehicles":[{"id":"V1","make":"Buick","model":"Regal",` + car + `}]}`))
	if err != nil || len(defects) > 0 {
		t.Fatal(err, defects, car)
	}
	return &c.Vehicles[0]
}

func forecastOf(t testing.TB, car string) string {
	f, ok := Forecast(withCar(t, car), dealer(), care.NewDate(2026, 12, 3))
	if !ok {
		return ""
	}
	return fmt.Sprintf("%v %s %.1f", f.Due, f.Winner, f.Rate)
}

func TestForecast(t *testing.T) {
	t.Parallel()
	const own = `"delivered_on":"2024-01-01","service_interval":{"km":10000,"months":12}`
	for _, c := range []struct {
		name, car string
		want      string // due, rule, rate
	}{
		{"the first service without any reading", `"delivered_on":"2026-01-01"`, "2026-05-06 km 40.0"},
		{"one reading: km by days since delivery", own + `,"visits":[{"closed_on":"2025-01-01","km":7320}]`, "2026-01-01 date 20.0"},
		{"one reading on the delivery day: the default", `"delivered_on":"2026-01-01","odometer":[{"on":"2026-01-01","km":1000}]`, "2026-04-11 km 40.0"},
		{"median of an odd number of slopes", own + `,"visits":[{"closed_on":"2026-01-01","km":10000}],"odometer":[{"on":"2026-01-11","km":10500},{"on":"2026-01-21","km":11500}]`, "2026-05-15 km 75.0"},
		{"two readings far apart are still two", own + `,"visits":[{"closed_on":"2026-01-01","km":36500}],"odometer":[{"on":"2023-01-01","km":0}]`, "2026-10-29 km 33.3"},
		{"a rollback is dropped", own + `,"visits":[{"closed_on":"2026-01-01","km":10000}],"odometer":[{"on":"2026-01-21","km":11000},{"on":"2026-01-22","km":900}]`, "2026-07-20 km 50.0"},
		{"a typing mistake is dropped", own + `,"visits":[{"closed_on":"2026-01-01","km":10000}],"odometer":[{"on":"2026-01-21","km":11000},{"on":"2026-01-22","km":105000}]`, "2026-07-20 km 50.0"},
		{"same day: the larger", own + `,"visits":[{"closed_on":"2026-01-01","km":10000}],"odometer":[{"on":"2026-01-21","km":11000},{"on":"2026-01-21","km":10400}]`, "2026-07-20 km 50.0"},
		{"clamped to 300", own + `,"visits":[{"closed_on":"2026-01-01","km":10000}],"odometer":[{"on":"2026-01-15","km":18000}]`, "2026-01-22 km 300.0"},
		{"clamped to 5", own + `,"visits":[{"closed_on":"2026-01-01","km":10000}],"odometer":[{"on":"2026-01-21","km":10001}]`, "2027-01-01 date 5.0"},
		{"less than 14 days say nothing: km by days since delivery", own + `,"visits":[{"closed_on":"2026-01-01","km":10000}],"odometer":[{"on":"2026-01-11","km":12000}]`, "2027-01-01 date 16.2"},
		{"no km at the baseline: the date alone", own + `,"visits":[{"closed_on":"2026-01-01"}],"odometer":[{"on":"2026-02-01","km":99000}]`, "2027-01-01 date 129.9"},
		{"never within two weeks of the baseline", `"service_interval":{"km":1000},"visits":[{"closed_on":"2026-01-01","km":10000}],"odometer":[{"on":"2025-01-01","km":9000},{"on":"2026-01-20","km":12400}]`, "2026-01-15 km 8.9"},
		{"other visits are no baseline", own + `,"visits":[{"closed_on":"2025-01-01","km":7320},{"closed_on":"2025-06-01","kind":"bodywork"}]`, "2026-01-01 date 20.0"},
		{"whole days are not rounded up", `"delivered_on":"2026-01-01","first_service":{"km":4000}`, "2026-04-11 km 40.0"},
		{"no interval: no forecast", `"delivered_on":"2026-01-01","make":"Other"`, ""},
		{"nothing to count from", `"odometer":[{"on":"2026-01-01","km":1000}]`, ""},
		{"an electric car", `"delivered_on":"2025-01-01","powertrain":"ev","odometer":[{"on":"2026-01-01","km":60000}]`, "2027-01-01 date 164.4"},
		{"a plug-in hybrid", `"delivered_on":"2026-01-01","powertrain":"phev"`, "2027-01-01 date 40.0"},
		{"a hybrid has the intervals of all", `"delivered_on":"2026-01-01","powertrain":"hybrid"`, "2026-05-06 km 40.0"},
		{"a car's own interval comes first", `"delivered_on":"2026-01-01","powertrain":"ev","service_interval":{"months":6}`, "2026-07-01 date 40.0"},
	} {
		if got := forecastOf(t, c.car); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// An instrument that was replaced, and mileages that were mistyped: no service is due because of them. The first four are from a public
// report, as seen on 1 December 2026, the day of the last visit.
func TestOdometersThatCannotBeBelieved(t *testing.T) {
	t.Parallel()
	visits := func(list ...any) string {
		text := ""
		for i := 0; i < len(list); i += 2 {
			text += fmt.Sprintf(`,{"closed_on":"%v","km":%v}`, list[i], list[i+1])
		}
		return `"delivered_on":"2020-03-01","visits":[` + text[1:] + `]`
	}
	for _, c := range []struct {
		name, car, want string
		doubts          []Doubt
	}{
		{
			"a new instrument", visits("2022-05-02", 41000, "2023-05-02", 60500, "2024-05-02", 81000, "2025-05-05", 12000, "2026-12-01", 39800),
			"2027-06-26 km 48.3",
			[]Doubt{{care.NewDate(2025, 5, 5), true}},
		},
		{
			"the first reading", `"delivered_on":"2024-03-01","odometer":[{"on":"2024-03-02","km":100000}],"visits":[{"closed_on":"2024-09-02","km":5100},{"closed_on":"2025-09-02","km":14800},{"closed_on":"2026-12-01","km":24000}]`,
			"2027-12-01 date 20.2",
			[]Doubt{{care.NewDate(2024, 3, 2), false}},
		},
		{
			"one in the middle", visits("2022-09-02", 5100, "2023-09-02", 148000, "2024-09-02", 24000, "2025-09-02", 34000, "2026-12-01", 43500),
			"2027-12-01 date 20.9",
			[]Doubt{{care.NewDate(2023, 9, 2), false}},
		},
		{"none", visits("2022-09-02", 5100, "2023-09-02", 14800, "2024-09-02", 24000, "2025-09-02", 34000, "2026-12-01", 43500), "2027-12-01 date 20.9", nil},
		{"too little at the service itself", visits("2024-09-02", 24000, "2025-09-02", 34000, "2026-12-01", 4350), "2027-12-01 date 27.4", []Doubt{{care.NewDate(2026, 12, 1), false}}},
		{"too much at the service itself", visits("2025-09-02", 34000, "2026-11-30", 43500, "2026-12-01", 435000), "2027-12-01 date 20.9", []Doubt{{care.NewDate(2026, 12, 1), false}}},
		{"a digit too many, and then the truth", visits("2025-09-02", 14800, "2026-06-01", 230000, "2026-12-01", 28000), "2027-11-11 km 29.0", []Doubt{{care.NewDate(2026, 6, 1), false}}},
		{"the first visit after a new instrument", visits("2024-09-02", 80000, "2025-09-02", 98000, "2026-12-01", 300), "2027-12-01 date 49.3", []Doubt{{care.NewDate(2026, 12, 1), false}}},
		{"two new instruments", visits("2021-09-02", 80000, "2022-09-02", 98000, "2023-09-02", 5000, "2024-09-02", 22000, "2025-09-02", 1000, "2026-12-01", 20000), "2027-07-29 km 41.8", []Doubt{{care.NewDate(2023, 9, 2), true}, {care.NewDate(2025, 9, 2), true}}},
		{"a mistake on the new instrument", visits("2022-09-02", 98000, "2023-09-02", 99000, "2023-12-02", 5000, "2024-03-02", 15000, "2024-09-02", 220000, "2025-09-02", 30000, "2026-12-01", 50000), "2027-07-17 km 44.0", []Doubt{{care.NewDate(2023, 12, 2), true}, {care.NewDate(2024, 9, 2), false}}},
		{"the service before the new instrument", visits("2025-09-02", 60000, "2026-05-01", 70000) + `,"odometer":[{"on":"2026-06-01","km":100},{"on":"2026-11-01","km":9000}]`, "2027-05-01 date 58.2", []Doubt{{care.NewDate(2026, 6, 1), true}}},
	} {
		v := withCar(t, c.car)
		if got := forecastOf(t, c.car); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if diff := cmp.Diff(c.doubts, Doubts(v, nil), cmp.Comparer(func(a, b care.Date) bool { return a == b })); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// Cars that are not new at their delivery. The first three are from a public report.
func TestUsedCars(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, car, want string }{
		{"60,000 km on the day, not said to be used", `"delivered_on":"2026-12-01","odometer":[{"on":"2026-12-01","km":60000}]`, "2027-06-01 date 40.0"},
		{"a long drive home", `"delivered_on":"2026-12-01","odometer":[{"on":"2026-12-03","km":610}]`, "2027-03-23 km 40.0"},
		{"three months later", `"delivered_on":"2026-06-01","odometer":[{"on":"2026-06-01","km":60000},{"on":"2026-09-01","km":62000}]`, "2026-12-01 date 21.7"},
		{"said to be used", `"delivered_on":"2026-12-01","odometer_at_delivery":60000`, "2027-08-08 km 40.0"},
		{"said to be used, and read on the day", `"delivered_on":"2026-12-01","odometer_at_delivery":60000,"odometer":[{"on":"2026-12-01","km":60000}]`, "2027-08-08 km 40.0"},
		{"said to be used, three months later", `"delivered_on":"2026-06-01","odometer_at_delivery":60000,"odometer":[{"on":"2026-09-01","km":64600}]`, "2026-12-18 km 50.0"},
		{"with the readings of the owner before", `"delivered_on":"2026-06-01","odometer_at_delivery":60000,"odometer":[{"on":"2024-06-01","km":36000},{"on":"2026-05-20","km":59900}]`, "2027-03-20 km 33.3"},
		{"a demonstrator counts as new", `"delivered_on":"2026-06-01","odometer_at_delivery":900`, "2026-10-04 km 40.0"},
		{"a reading below that of the delivery", `"delivered_on":"2026-06-01","odometer_at_delivery":60000,"odometer":[{"on":"2026-09-01","km":6200}]`, "2027-06-01 date 40.0"},
		{"a used electric car", `"delivered_on":"2026-06-01","odometer_at_delivery":60000,"powertrain":"ev"`, "2028-06-01 date 40.0"},
		{"a new instrument after the delivery", `"delivered_on":"2024-06-01","odometer_at_delivery":60000,"odometer":[{"on":"2024-09-01","km":65000},{"on":"2025-09-01","km":75000},{"on":"2025-10-01","km":100},{"on":"2026-09-01","km":9000}]`, "2025-06-01 date 26.6"},
	} {
		if got := forecastOf(t, c.car); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestForecastSaysHowSureItIs(t *testing.T) {
	t.Parallel()
	// The slopes are 30, 35, 40, 40, 45 and 50: the median is 40, the tenth and ninetieth percentiles are 32.5 and 47.5.
	v := withCar(t, `"delivered_on":"2024-01-01","service_interval":{"km":10000},"visits":[{"closed_on":"2026-01-01","km":20000}],
		"odometer":[{"on":"2026-01-11","km":20300},{"on":"2026-01-21","km":20700},{"on":"2026-01-31","km":21200},{"on":"2026-02-01","km":100}]`)
	f, ok := Forecast(v, dealer(), care.NewDate(2026, 7, 30))
	if !ok {
		t.Fatal("no forecast")
	}
	want := care.Forecast{
		Rate: 40, Due: care.NewDate(2026, 9, 8), KMRuleOn: care.NewDate(2026, 9, 8), Winner: "km", Readings: 4,
		Low: care.NewDate(2026, 8, 5), High: care.NewDate(2026, 10, 29), Baseline: care.NewDate(2026, 1, 1), Newest: care.NewDate(2026, 1, 31),
		Dropped: 1,
	}
	if diff := cmp.Diff(want, f, cmp.Comparer(func(a, b care.Date) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if f, _ = Forecast(v, dealer(), care.NewDate(2026, 7, 31)); !f.Stale {
		t.Error("181 days old, and not stale")
	}
	// A reading that the customer reports is as good as any.
	if f, _ = Forecast(v, dealer(), care.NewDate(2026, 7, 31), care.Reading{On: care.NewDate(2026, 7, 30), KM: 28000}); f.Stale || f.Readings != 5 {
		t.Errorf("%+v", f)
	}
}
