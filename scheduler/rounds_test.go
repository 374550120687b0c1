package scheduler

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A date that is corrected after its message went is the same round; what is further away is a new one.
func TestACorrectedDateIsTheSameRound(t *testing.T) {
	t.Parallel()
	days := func(n int) *care.Days { return new(care.Days(n)) }
	for _, c := range []struct {
		name, on      string
		before, after string // the car as it was when the message went, and as it is now
		again         *care.Days
		want          []string
	}{
		{"an insurance by a day", care.OnInsuranceEnd, `"insurance_until":"2026-11-20"`, `"insurance_until":"2026-11-21"`, nil, []string{"2026-11-21 09:00 V1 p/due 2026-11-21 skip again_after"}},
		{"and by a day the other way", care.OnInsuranceEnd, `"insurance_until":"2026-11-20"`, `"insurance_until":"2026-11-19"`, nil, []string{"2026-11-19 09:00 V1 p/due 2026-11-19 skip again_after"}},
		{"by 29 days", care.OnInsuranceEnd, `"insurance_until":"2026-11-20"`, `"insurance_until":"2026-12-19"`, nil, []string{"2026-12-19 09:00 V1 p/due 2026-12-19 skip again_after"}},
		{"by 30 days it is another", care.OnInsuranceEnd, `"insurance_until":"2026-11-20"`, `"insurance_until":"2026-12-20"`, nil, []string{"2026-12-20 09:00 V1 p/due 2026-12-20 sms"}},
		{"an inspection", care.OnInspectionDue, `"inspection_due":"2026-11-20"`, `"inspection_due":"2026-11-30"`, nil, []string{"2026-11-30 09:00 V1 p/due 2026-11-30 skip again_after"}},
		{"a warranty", care.OnWarrantyEnd, `"warranty":{"until":"2026-11-20"}`, `"warranty":{"until":"2026-12-01"}`, nil, []string{"2026-12-01 09:00 V1 p/due 2026-12-01 skip again_after"}},
		{"an anniversary across the new year", care.OnAnniversary, `"delivered_on":"2025-12-31"`, `"delivered_on":"2026-01-01"`, nil, []string{"2027-01-01 09:00 V1 p/due 2027 skip again_after"}},
		{"a service by six days", care.OnMaintenanceDue, `"visits":[{"closed_on":"2025-11-20"}]`, `"visits":[{"closed_on":"2025-11-26"}]`, nil, []string{"2026-11-26 09:00 V1 p/due 2025-11-26 skip again_after"}},
		{"by a week it is another", care.OnMaintenanceDue, `"visits":[{"closed_on":"2025-11-20"}]`, `"visits":[{"closed_on":"2025-11-27"}]`, nil, []string{"2026-11-27 09:00 V1 p/due 2025-11-27 sms"}},
		{"a last visit", care.OnLastVisit, `"visits":[{"closed_on":"2026-11-20"}]`, `"visits":[{"closed_on":"2026-11-23"}]`, nil, []string{"2026-11-23 09:00 V1 p/due 2026-11-23 skip again_after"}},
		{"a visit without an order, by two days", care.OnVisit, `"visits":[{"closed_on":"2026-11-20"}]`, `"visits":[{"closed_on":"2026-11-22"}]`, nil, []string{"2026-11-22 09:00 V1 p/due 2026-11-22 skip again_after"}},
		{"three days later it is another", care.OnVisit, `"visits":[{"closed_on":"2026-11-20"}]`, `"visits":[{"closed_on":"2026-11-23"}]`, nil, []string{"2026-11-23 09:00 V1 p/due 2026-11-23 sms"}},
		{"the book says 60 days", care.OnInsuranceEnd, `"insurance_until":"2026-11-20"`, `"insurance_until":"2027-01-10"`, days(60), []string{"2027-01-10 09:00 V1 p/due 2027-01-10 skip again_after"}},
		{"the book says none", care.OnInsuranceEnd, `"insurance_until":"2026-11-20"`, `"insurance_until":"2026-11-21"`, days(0), []string{"2026-11-21 09:00 V1 p/due 2026-11-21 sms"}},
		{"a survey at most every 90 days", care.OnVisit, `"visits":[{"order":"R1","closed_on":"2026-11-20"}]`, `"visits":[{"order":"R1","closed_on":"2026-11-20"},{"order":"R2","closed_on":"2026-12-20"},{"order":"R3","closed_on":"2027-02-19"}]`, days(90), []string{"2026-11-20 09:00 V1 p/due R1 sms", "2026-12-20 09:00 V1 p/due R2 skip again_after", "2027-02-19 09:00 V1 p/due R3 sms"}},
	} {
		prog := testProgram("p", c.on)
		prog.AgainAfter = c.again
		d := testDealer()
		d.Intervals = []care.IntervalRule{{Make: "*", Model: "*", ServiceInterval: care.Interval{Months: 12}}}
		p := newPlanner(t, d, prog)
		year := Request{From: at(t, "2026-11-01"), To: at(t, "2027-10-31")}
		f := withCar(t, c.before)
		sent := p.Plan(f, year)
		if len(sent) == 0 {
			t.Fatalf("%s: nothing was due before", c.name)
		}
		g := withCar(t, c.after)
		g.Ledger = care.Ledger{sent[0].ID: entryOf(sent[0], care.StateDelivered)}
		expect(t, p.Plan(g, year), c.want...)
		// Without the ledger nothing is known of what went, and nothing stops it.
		g.Ledger = nil
		if list := p.Plan(g, year); len(list) == 0 || list[0].Verdict != care.Send {
			t.Errorf("%s: %v without a ledger", c.name, lines(list))
		}
	}
}

// What went with another message is remembered like what went by itself.
func TestACorrectedDateOfWhatWasMerged(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), workshop("insurance", care.OnInsuranceEnd, 10), workshop("inspection", care.OnInspectionDue, 90))
	f := withCar(t, `"insurance_until":"2026-11-21","inspection_due":"2026-11-20"`)
	r := Request{From: at(t, "2026-11-01"), To: at(t, "2026-12-31")}
	list := p.Plan(f, r)
	expect(t, list, "2026-11-20 09:00 V1 inspection/due 2026-11-20 sms", "2026-11-21 09:00 V1 insurance/due 2026-11-21 skip merged")
	g := withCar(t, `"insurance_until":"2026-11-30","inspection_due":"2026-11-20"`)
	id, rider := care.EntryOfKey("C1", list[1].Key())
	if id != list[1].ID {
		t.Errorf("the key %q leads to %s, want %s", list[1].Key(), id, list[1].ID)
	}
	rider.State, rider.Reason, rider.Merged, rider.At = care.StateSkipped, "merged", list[0].ID, list[0].Release
	g.Ledger = care.Ledger{list[0].ID: entryOf(list[0], care.StateSent), id: rider}
	expect(t, p.Plan(g, r), "2026-11-20 09:00 V1 inspection/due 2026-11-20 sms", "2026-11-30 09:00 V1 insurance/due 2026-11-30 skip again_after")
	if id, e := care.EntryOfKey("C1", "axxxxxxxxxxxxxxxxxxxxxxxxx"); id != "axxxxxxxxxxxxxxxxxxxxxxxxx" || e.Program != "" {
		t.Errorf("an id of before is read as %s %+v", id, e)
	}
}

// Orders of one car that were closed within two days of each other are one visit.
func TestOrdersOfOneVisit(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("p", care.OnVisit))
	for _, c := range []struct {
		name, visits string
		want         []string
	}{
		{"two of one day", `{"order":"R1","closed_on":"2026-11-27","km":20000},{"order":"R2","closed_on":"2026-11-27","km":20000,"kind":"repair"}`, []string{"2026-11-27 09:00 V1 p/due R1 sms"}},
		{"the warranty's a day later", `{"order":"R2","closed_on":"2026-11-28"},{"order":"R1","closed_on":"2026-11-27"}`, []string{"2026-11-28 09:00 V1 p/due R1 sms"}},
		{"three in three days", `{"order":"R1","closed_on":"2026-11-20"},{"order":"R2","closed_on":"2026-11-21"},{"order":"R3","closed_on":"2026-11-22"}`, []string{"2026-11-22 09:00 V1 p/due R1 sms"}},
		{"the fourth is another", `{"order":"R1","closed_on":"2026-11-20"},{"order":"R2","closed_on":"2026-11-21"},{"order":"R3","closed_on":"2026-11-22"},{"order":"R4","closed_on":"2026-11-25"}`, []string{"2026-11-22 09:00 V1 p/due R1 sms", "2026-11-25 09:00 V1 p/due R4 sms"}},
		{"three days apart", `{"order":"R1","closed_on":"2026-11-20"},{"order":"R2","closed_on":"2026-11-23"}`, []string{"2026-11-20 09:00 V1 p/due R1 sms", "2026-11-23 09:00 V1 p/due R2 sms"}},
		{"without orders", `{"closed_on":"2026-11-20"},{"closed_on":"2026-11-22"}`, []string{"2026-11-22 09:00 V1 p/due 2026-11-20 sms"}},
		{"one without", `{"closed_on":"2026-11-20"},{"order":"R2","closed_on":"2026-11-21"}`, []string{"2026-11-21 09:00 V1 p/due 2026-11-20 sms"}},
		{"lines of one order", `{"order":"R1","closed_on":"2026-11-20"},{"order":"R1","closed_on":"2026-11-21"},{"order":"R2","closed_on":"2026-11-23"}`, []string{"2026-11-23 09:00 V1 p/due R1 sms"}},
		{"across the new year", `{"order":"R1","closed_on":"2026-12-31"},{"order":"R2","closed_on":"2027-01-02"}`, []string{"2027-01-02 09:00 V1 p/due R1 sms"}},
	} {
		f := withCar(t, `"visits":[`+c.visits+`]`)
		r := Request{From: at(t, "2026-11-01"), To: at(t, "2027-02-01")}
		list := p.Plan(f, r)
		if diff := cmp.Diff(c.want, lines(list)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		for _, o := range list { // at sending the round is found again
			if got := p.Check(f, recordOf(o), Request{Now: o.Release}); got.Verdict != care.Send || got.Release.After(o.Release) {
				t.Errorf("%s: at sending %s %s", c.name, got.Verdict, got.Reason)
			}
		}
	}
	f := withCar(t, `"visits":[{"order":"R1","closed_on":"2026-11-20","km":20000,"declined":["brake pads"],"technician":"Li"},{"order":"R2","closed_on":"2026-11-21","kind":"repair","declined":["brake pads","wipers"]}]`)
	visit := p.Plan(f, Request{From: at(t, "2026-11-01"), To: at(t, "2027-02-01")})[0].Subject.Visit
	if got := fmt.Sprintf("%s %v %d %s %s %v", visit.Order, visit.ClosedOn, *visit.KM, visit.Kind, visit.Technician, visit.Declined); got != "R1 2026-11-21 20000  Li [brake pads wipers]" {
		t.Errorf("the visit is %s", got)
	}
}

// Whatever becomes of the dates, no step goes twice to one car within the program's time.
func TestNoStepGoesTwiceWithinItsTime(t *testing.T) {
	t.Parallel()
	again := map[string]int{"maintenance": 7, "lapsed": 7, "visit": 3}
	twice := 0
	rapid.Check(t, func(t *rapid.T) {
		p, problems := New(&care.Book{Dealers: []*care.Dealer{testDealer()}, Programs: everything()}, Capabilities{})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		s := &replay{p: p, all: []*care.Facts{decode(t, drawRecord(t))}, sent: map[string]int{}, at: map[string]string{}, also: map[string][]string{}, kin: map[string][]string{}, told: map[string]bool{}}
		s.all[0].Ledger = care.Ledger{}
		now := drawMoment(t, "from").Truncate(24 * time.Hour)
		for range 12 {
			for range 10 {
				s.sweep(now)
				s.deliver(now.Add(24*time.Hour - time.Second))
				now = now.Add(24 * time.Hour)
			}
			ledger := s.all[0].Ledger
			s.all[0] = decode(t, shiftDates(s.all[0].Customer, rapid.IntRange(-20, 20).Draw(t, "days")))
			s.all[0].Ledger = ledger
		}
		type step struct{ program, step, vehicle string }
		went := map[step][]time.Time{}
		for _, e := range s.all[0].Ledger {
			if e.State == care.StateSent && e.Program != "festival" && e.Program != "term" && e.Program != "cron" {
				key := step{e.Program, e.Step, e.Vehicle}
				went[key] = append(went[key], e.At)
			}
		}
		for key, list := range went {
			slices.SortFunc(list, time.Time.Compare)
			days := 30
			if n, ok := again[key.program]; ok {
				days = n
			}
			for i := 1; i < len(list); i++ {
				twice++
				if list[i].Sub(list[i-1]) < time.Duration(days)*24*time.Hour-26*time.Hour { // whole days on the customer's clock
					t.Fatalf("%v went at %v and %v", key, list[i-1], list[i])
				}
			}
		}
	})
	if twice == 0 {
		t.Error("nothing ever went twice: the test tells nothing")
	}
}

// shiftDates writes a customer whose cars' dates were all corrected by some days.
func shiftDates(c *care.Customer, days int) string {
	move := func(d *care.Date) {
		if !d.IsZero() {
			*d = d.AddDays(days)
		}
	}
	out := *c
	out.Vehicles = slices.Clone(c.Vehicles)
	for i := range out.Vehicles {
		v := &out.Vehicles[i]
		move(&v.DeliveredOn)
		move(&v.InsuranceUntil)
		move(&v.InspectionDue)
		move(&v.Warranty.Until)
		v.Visits = slices.Clone(v.Visits)
		for j := range v.Visits {
			move(&v.Visits[j].ClosedOn)
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
