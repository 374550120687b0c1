package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/google/go-cmp/cmp"
)

// testDealer is a dealer in Shanghai without caps, so that a test which is not about caps need not think of them.
func testDealer() *care.Dealer {
	return &care.Dealer{
		Dealer: "sh", TimeZone: "Asia/Shanghai", Locale: "zh-CN", Country: "CN",
		Caps:           map[string]care.Cap{"default": {}},
		ConsentDefault: care.Consent{Service: new(true), Commercial: new(false)},
		Intervals: []care.IntervalRule{
			{Make: "Buick", Model: "*", ServiceInterval: care.Interval{KM: 10000, Months: 12}, FirstService: care.Interval{KM: 5000, Months: 6}},
		},
		DefaultKMPerDay: 40,
	}
}

// program of one step at the trigger's date.
func testProgram(name, on string) *care.Program {
	return &care.Program{
		Program: name, Enabled: true, Trigger: care.Trigger{On: on}, Expires: care.Expiry{Hours: 72},
		Steps: []care.Step{{Step: "due", Template: name}}, File: "programs/" + name + ".yaml",
	}
}

func newPlanner(t testing.TB, d *care.Dealer, programs ...*care.Program) *Planner {
	t.Helper()
	p, problems := New(&care.Book{Dealers: []*care.Dealer{d}, Programs: programs}, Capabilities{})
	for _, problem := range problems {
		t.Fatal(problem)
	}
	return p
}

func facts(t testing.TB, raw string) *care.Facts {
	t.Helper()
	c, defects, err := record.Decode([]byte(raw))
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return &care.Facts{ID: c.ID, Customer: c, Defects: defects}
}

// one car, with what a test wants to know of it.
func withCar(t testing.TB, car string) *care.Facts {
	t.Helper()
	return facts(t, `{"id":"C1","email":"a@example.com","phone":"+8613800138000","vehicles":[{"id":"V1","make":"Buick","model":"Regal",`+car+`}]}`)
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02"} {
		if when, err := time.ParseInLocation(layout, s, shanghai); err == nil {
			return when
		}
	}
	t.Fatalf("no time: %s", s)
	return time.Time{}
}

var shanghai = time.FixedZone("CST", 8*3600)

// year plans the whole of a few years, from the first of January on.
func years(t testing.TB, from, to int) Request {
	t.Helper()
	return Request{From: at(t, fmt.Sprintf("%d-01-01", from)), To: at(t, fmt.Sprintf("%d-01-01", to+1))}
}

// lines writes a plan as text: release, vehicle, program, step, cycle, channel, verdict and reason.
func lines(list []*care.Occurrence) []string {
	out := []string{}
	for _, o := range list {
		line := fmt.Sprintf("%s %s %s/%s %s", o.Release.Format("2006-01-02 15:04"), o.Vehicle, o.Program, o.Step, o.Cycle)
		if o.Verdict == care.Send {
			line += " " + string(o.Channel)
		} else {
			line += " skip"
		}
		if o.Reason != "" {
			line += " " + o.Reason
		}
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return out
}

func expect(t *testing.T, got []*care.Occurrence, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestTriggers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		on, car string
		from    int
		to      int
		want    []string
	}{
		{care.OnDelivery, `"delivered_on":"2026-03-01"`, 2026, 2027, []string{"2026-03-01 09:00 V1 p/due once sms"}},
		{
			care.OnAnniversary, `"delivered_on":"2024-02-29"`, 2024, 2028,
			[]string{"2025-02-28 09:00 V1 p/due 2025 sms", "2026-02-28 09:00 V1 p/due 2026 sms", "2027-02-28 09:00 V1 p/due 2027 sms", "2028-02-29 09:00 V1 p/due 2028 sms"},
		},
		{
			care.OnVisit, `"visits":[{"order":"R1","closed_on":"2026-05-02"},{"closed_on":"2026-07-01"},{"closed_on":"2026-07-01","km":5}]`, 2026, 2026,
			[]string{"2026-05-02 09:00 V1 p/due R1 sms", "2026-07-01 09:00 V1 p/due 2026-07-01 sms"},
		},
		{care.OnLastVisit, `"delivered_on":"2026-01-02","visits":[{"closed_on":"2026-07-01"},{"closed_on":"2026-05-02"}]`, 2026, 2026, []string{"2026-07-01 09:00 V1 p/due 2026-07-01 sms"}},
		{care.OnLastVisit, `"delivered_on":"2026-01-02"`, 2026, 2026, []string{"2026-01-02 09:00 V1 p/due 2026-01-02 sms"}},
		{care.OnInsuranceEnd, `"insurance_until":"2027-02-28"`, 2026, 2027, []string{"2027-02-28 09:00 V1 p/due 2027-02-28 sms"}},
		{care.OnInspectionDue, `"inspection_due":"2026-03-31"`, 2026, 2027, []string{"2026-03-31 09:00 V1 p/due 2026-03-31 sms"}},
		{care.OnMaintenanceDue, `"delivered_on":"2026-01-01"`, 2026, 2027, []string{"2026-05-06 09:00 V1 p/due 2026-01-01 sms"}}, // 5000 km / 40 = 125 days
		{care.OnWarrantyEnd, `"warranty":{"until":"2027-03-01"}`, 2026, 2027, []string{"2027-03-01 09:00 V1 p/due 2027-03-01 sms"}},
		{care.OnWarrantyEnd, `"delivered_on":"2026-01-01","warranty":{"until":"2029-01-01","km":4000}`, 2026, 2027, []string{"2026-04-11 09:00 V1 p/due 2029-01-01 sms"}},
		{care.OnWarrantyEnd, `"delivered_on":"2026-01-01","warranty":{"km":4000}`, 2026, 2027, []string{"2026-04-11 09:00 V1 p/due 2026-01-01 sms"}},
		{care.OnWarrantyEnd, `"warranty":{"km":4000}`, 2026, 2027, nil},
		{care.OnDelivery, `"delivered_on":"2026-03-01","sold_on":"2026-03-01"`, 2026, 2027, nil},
		{care.OnDelivery, `"delivered_on":"2026-03-01","sold_on":"2026-03-02"`, 2026, 2027, []string{"2026-03-01 09:00 V1 p/due once sms"}},
	} {
		p := newPlanner(t, testDealer(), testProgram("p", c.on))
		t.Run(c.on+" "+c.car, func(t *testing.T) {
			t.Parallel()
			expect(t, p.Plan(withCar(t, c.car), years(t, c.from, c.to)), c.want...)
		})
	}
}

func TestBirthdays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		birthday string
		from, to int
		mar1     bool
		want     []string
	}{
		{"1985-02-20", 2026, 2027, false, []string{"2026-02-20 09:00 p/due 2026 sms", "2027-02-20 09:00 p/due 2027 sms"}},
		{"--02-29", 2027, 2028, false, []string{"2027-02-28 09:00 p/due 2027 sms", "2028-02-29 09:00 p/due 2028 sms"}},
		{"--02-29", 2027, 2028, true, []string{"2027-03-01 09:00 p/due 2027 sms", "2028-02-29 09:00 p/due 2028 sms"}},
		{"lunar:--11-30", 2032, 2033, false, []string{"2032-01-12 09:00 p/due 2032 sms", "2032-12-31 09:00 p/due 2032-2 sms", "2033-12-21 09:00 p/due 2033 sms"}},
		{"lunar:--12-eve", 2026, 2026, false, []string{"2026-02-16 09:00 p/due 2026 sms"}},
	} {
		d := testDealer()
		if c.mar1 {
			d.LeapDay = "mar1"
		}
		p := newPlanner(t, d, testProgram("p", care.OnBirthday))
		f := facts(t, `{"id":"C1","phone":"+8613800138000","birthday":"`+c.birthday+`"}`)
		expect(t, p.Plan(f, years(t, c.from, c.to)), c.want...)
	}
}

func TestCalendarTriggers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trigger care.Trigger
		want    []string
	}{
		{care.Trigger{Dates: []string{"2026-11-01", "--12-24", "2026-12-24"}}, []string{"2026-11-01", "2026-12-24"}},
		{care.Trigger{Festival: "mid_autumn"}, []string{"2026-09-25"}},
		{care.Trigger{Festival: "laba"}, []string{"2026-01-26"}},
		{care.Trigger{Festival: "new_years_eve"}, []string{"2026-02-16"}},
		{care.Trigger{SolarTerm: "立冬"}, []string{"2026-11-07"}},
		{care.Trigger{Cron: "0 10 1 11 *"}, []string{"2026-11-01"}},
		{care.Trigger{Cron: "0 10 1 3,6 *"}, []string{"2026-03-01", "2026-06-01"}},
		{care.Trigger{Dates: []string{"--02-29"}}, []string{"2026-02-28"}},
	} {
		prog := testProgram("p", care.OnCalendar)
		prog.Trigger = c.trigger
		prog.Trigger.On = care.OnCalendar
		p := newPlanner(t, testDealer(), prog)
		var got []string
		for _, o := range p.Plan(facts(t, `{"id":"C1","phone":"1"}`), years(t, 2026, 2026)) {
			if o.Cycle != o.On.String() || o.On != o.Due {
				t.Errorf("cycle %s on %v", o.Cycle, o.On)
			}
			got = append(got, o.Cycle)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v: %s", c.trigger, diff)
		}
	}
}
