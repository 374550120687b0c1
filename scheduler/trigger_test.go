package scheduler

import (
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// offsets gives a program steps at these distances, all with the same reasons to be left out.
func offsets(t testing.TB, p *care.Program, list []string, unless ...string) *care.Program {
	t.Helper()
	p.Steps = nil
	for _, s := range list {
		o, err := care.ParseOffset(s)
		if err != nil || o.String() != s {
			t.Fatal(s, o, err)
		}
		p.Steps = append(p.Steps, care.Step{Step: s, Offset: o, Template: p.Program, Unless: unless})
	}
	return p
}

func TestAppointments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		car    string
		steps  []string
		missed bool
		want   []string
	}{
		{"the day before and two hours before", `"appointment_at":"2026-12-01T14:00:00+08:00"`, []string{"-1d", "-2h"}, false, []string{"2026-11-30 09:00 V1 p/-1d 2026-12-01 sms", "2026-12-01 12:00 V1 p/-2h 2026-12-01 sms"}},
		{"in another zone it is the customer's day", `"appointment_at":"2026-12-01T01:30:00+14:00"`, []string{"-1d"}, false, []string{"2026-11-29 09:00 V1 p/-1d 2026-11-30 sms"}},
		{"hours over midnight: quiet hours end before it", `"appointment_at":"2026-12-01T09:00:00+08:00"`, []string{"-2h"}, false, []string{"2026-12-01 08:00 V1 p/-2h 2026-12-01 sms"}},
		{"never once it has begun", `"appointment_at":"2026-12-01T08:00:00+08:00"`, []string{"-2h"}, false, []string{"2026-12-01 06:00 V1 p/-2h 2026-12-01 skip expired"}},
		{"more hours than a day", `"appointment_at":"2026-12-01T14:00:00+08:00"`, []string{"-48h"}, false, []string{"2026-11-29 14:00 V1 p/-48h 2026-12-01 sms"}},
		{"hours after", `"appointment_at":"2026-12-01T14:00:00+08:00"`, []string{"3h"}, false, []string{"2026-12-01 17:00 V1 p/3h 2026-12-01 sms"}},
		{"on its day at the program's hour", `"appointment_at":"2026-12-01T14:00:00+08:00"`, []string{"0d"}, false, []string{"2026-12-01 09:00 V1 p/0d 2026-12-01 sms"}},
		{"the program's hour is too late", `"appointment_at":"2026-12-01T08:30:00+08:00"`, []string{"0d"}, false, []string{"2026-12-01 09:00 V1 p/0d 2026-12-01 sms"}},
		{"none", `"delivered_on":"2026-01-01"`, []string{"-1d"}, false, nil},
		{"of a car that is sold", `"appointment_at":"2026-12-01T14:00:00+08:00","sold_on":"2026-11-30"`, []string{"-1d", "-2h"}, false, nil},
		{"missed", `"appointment_at":"2026-12-01T14:00:00+08:00"`, []string{"0d"}, true, []string{"2026-12-02 09:00 V1 p/0d 2026-12-01 sms"}},
		{"missed, with a visit of before", `"appointment_at":"2026-12-01T14:00:00+08:00","visits":[{"closed_on":"2026-11-30"}]`, []string{"0d", "7d"}, true, []string{"2026-12-02 09:00 V1 p/0d 2026-12-01 sms", "2026-12-09 09:00 V1 p/7d 2026-12-01 sms"}},
		{"came on the day", `"appointment_at":"2026-12-01T14:00:00+08:00","visits":[{"closed_on":"2026-12-01"}]`, []string{"0d"}, true, nil},
		{"came, and the order was closed days later", `"appointment_at":"2026-12-01T14:00:00+08:00","visits":[{"closed_on":"2026-12-04"}]`, []string{"0d"}, true, nil},
	} {
		prog := offsets(t, testProgram("p", care.OnAppointment), c.steps)
		prog.Trigger.Missed = c.missed
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			expect(t, newPlanner(t, testDealer(), prog).Plan(withCar(t, c.car), years(t, 2026, 2026)), c.want...)
		})
	}
}

// An appointment that is moved within its day moves what is queued for it; one on another day is another round.
func TestAMovedAppointment(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), offsets(t, testProgram("p", care.OnAppointment), []string{"-2h"}))
	plan := p.Plan(withCar(t, `"appointment_at":"2026-12-01T14:00:00+08:00"`), years(t, 2026, 2026))
	ledger := care.Ledger{plan[0].ID: entryOf(plan[0], care.StateDue)}
	for _, c := range []struct{ at, verdict, release string }{
		{"2026-12-01T16:00:00+08:00", "send", "2026-12-01 14:00"},
		{"2026-12-02T14:00:00+08:00", "skip serviced", "2026-12-01 12:00"},
	} {
		f := withCar(t, `"appointment_at":"`+c.at+`"`)
		f.Ledger = ledger
		o := p.Check(f, recordOf(plan[0]), Request{Now: at(t, "2026-12-01 12:00")})
		got := string(o.Verdict)
		if o.Reason != "" {
			got += " " + o.Reason
		}
		if got != c.verdict || o.Release.In(shanghai).Format("2006-01-02 15:04") != c.release {
			t.Errorf("at %s: %s at %v, want %s at %s", c.at, got, o.Release, c.verdict, c.release)
		}
	}
}

func TestHoldEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, holds string
		own         []care.Hold
		want        []string
	}{
		{"the day after", `{"reason":"complaint","since":"2026-11-01","until":"2026-12-01"}`, nil, []string{"2026-12-02 09:00 p/due 2026-11-01 sms"}},
		{"an open one", `{"reason":"complaint","since":"2026-11-01"}`, nil, nil},
		{"another reason", `{"reason":"accident","since":"2026-11-01","until":"2026-12-01"}`, nil, nil},
		{"two", `{"reason":"complaint","since":"2026-01-01","until":"2026-01-10"},{"reason":"complaint","since":"2026-11-01","until":"2026-12-01"}`, nil, []string{"2026-01-11 09:00 p/due 2026-01-01 sms", "2026-12-02 09:00 p/due 2026-11-01 sms"}},
		{"noted twice", `{"reason":"complaint","since":"2026-11-01","until":"2026-12-01"}`, []care.Hold{{Reason: "complaint", Since: care.NewDate(2026, 11, 1), Until: care.NewDate(2026, 12, 1)}}, []string{"2026-12-02 09:00 p/due 2026-11-01 sms"}},
		{"the longer of two that began together", `{"reason":"complaint","since":"2026-11-01","until":"2026-12-01"}`, []care.Hold{{Reason: "complaint", Since: care.NewDate(2026, 11, 1), Until: care.NewDate(2026, 12, 5)}}, []string{"2026-12-06 09:00 p/due 2026-11-01 sms"}},
		{"and it is open", `{"reason":"complaint","since":"2026-11-01","until":"2026-12-01"}`, []care.Hold{{Reason: "complaint", Since: care.NewDate(2026, 11, 1)}}, nil},
		{"without a beginning", `{"reason":"complaint","until":"2026-12-01"}`, nil, []string{"2026-12-02 09:00 p/due 2026-12-01 sms"}},
		{"while another lasts", `{"reason":"complaint","since":"2026-11-01","until":"2026-12-01"},{"reason":"accident","since":"2026-11-01","until":"2026-12-03"}`, nil, []string{"2026-12-04 08:00 p/due 2026-11-01 sms hold:accident"}},
		{"only what the customer's own page said", ``, []care.Hold{{Reason: "complaint", Since: care.NewDate(2026, 11, 1), Until: care.NewDate(2026, 12, 1)}}, []string{"2026-12-02 09:00 p/due 2026-11-01 sms"}},
	} {
		prog := testProgram("p", care.OnHoldEnd)
		prog.Trigger.Reason = "complaint"
		f := facts(t, `{"id":"C1","phone":"+8613800138000","holds":[`+c.holds+`]}`)
		f.Overlay = &care.Overlay{Holds: c.own}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			expect(t, newPlanner(t, testDealer(), prog).Plan(f, years(t, 2026, 2026)), c.want...)
		})
	}
}

func TestUnlessAVisit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		on, car string
		want    []string
	}{
		{care.OnInsuranceEnd, `"insurance_until":"2026-06-01"`, []string{"2026-06-15 09:00 V1 p/14d 2026-06-01 sms"}},
		{care.OnInsuranceEnd, `"insurance_until":"2026-06-01","visits":[{"closed_on":"2026-06-01"}]`, []string{"2026-06-15 09:00 V1 p/14d 2026-06-01 sms"}},
		{care.OnInsuranceEnd, `"insurance_until":"2026-06-01","visits":[{"closed_on":"2026-06-02","kind":"repair"}]`, []string{"2026-06-15 09:00 V1 p/14d 2026-06-01 skip serviced"}},
		{care.OnVisit, `"visits":[{"order":"R1","closed_on":"2026-06-01"}]`, []string{"2026-06-15 09:00 V1 p/14d R1 sms"}},
		{care.OnAppointment, `"appointment_at":"2026-06-01T10:00:00+08:00","visits":[{"closed_on":"2026-06-01"}]`, []string{"2026-06-15 09:00 V1 p/14d 2026-06-01 skip serviced"}},
		{care.OnBirthday, `"visits":[{"closed_on":"2026-02-21","kind":"repair"}]`, []string{"2026-03-06 09:00 p/14d 2026 skip serviced"}},
		{care.OnBirthday, `"visits":[{"closed_on":"2026-02-20","kind":"repair"}]`, []string{"2026-03-06 09:00 p/14d 2026 sms"}},
	} {
		prog := offsets(t, testProgram("p", c.on), []string{"14d"}, "visit")
		f := withCar(t, c.car)
		f.Customer.Birthday = facts(t, `{"id":"C1","birthday":"1985-02-20"}`).Customer.Birthday
		expect(t, newPlanner(t, testDealer(), prog).Plan(f, years(t, 2026, 2026)), c.want...)
	}
}

// Whatever the offset, a reminder of an appointment leaves before it or not at all, outside of quiet hours, and every window shows it once.
func TestRemindersComeBeforeTheAppointment(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		hours := rapid.IntRange(-100, -1).Draw(r, "hours")
		when := at(t, "2026-11-20 00:00").Add(time.Duration(rapid.IntRange(0, 20*24*60).Draw(r, "minute")) * time.Minute)
		prog := testProgram("p", care.OnAppointment)
		prog.Steps[0].Offset = care.Offset{Hours: hours}
		p := newPlanner(t, testDealer(), prog)
		f := withCar(t, `"appointment_at":"`+when.Format(time.RFC3339)+`"`)
		from, to := at(t, "2026-11-01 00:00"), at(t, "2027-01-01 00:00")
		whole := p.Plan(f, Request{From: from, To: to})
		if len(whole) != 1 {
			r.Fatalf("%d planned", len(whole))
		}
		if o := whole[0]; o.Verdict == care.Send && (!o.Release.Before(when) || o.Release.In(shanghai).Hour() < 8 || o.Release.In(shanghai).Hour() >= 21) {
			r.Errorf("an appointment at %v is reminded of at %v", when, o.Release)
		}
		var parts []*care.Occurrence
		for a := from; a.Before(to); a = a.AddDate(0, 0, 3) {
			parts = append(parts, p.Plan(f, Request{From: a, To: earliest(to, a.AddDate(0, 0, 3)), Now: from})...)
		}
		if diff := cmp.Diff(lines(whole), lines(parts)); diff != "" {
			r.Error(diff)
		}
	})
}

func TestSignals(t *testing.T) {
	t.Parallel()
	signal := func(name, id, vehicle, when string) care.Signal {
		return care.Signal{ID: id, Signal: name, Vehicle: vehicle, At: at(t, when)}
	}
	for _, c := range []struct {
		name     string
		signals  []care.Signal
		steps    []string
		schedule string
		want     []string
	}{
		{"of a car, after the program's hour", []care.Signal{signal("ready", "RO-1", "V1", "2026-12-01 14:05")}, []string{"0d"}, "", []string{"2026-12-01 14:05 V1 p/0d RO-1 sms"}},
		{"of the customer, before it", []care.Signal{signal("ready", "7-0", "", "2026-12-01 07:05")}, []string{"0d"}, "", []string{"2026-12-01 09:00 p/0d 7-0 sms"}},
		{"in quiet hours", []care.Signal{signal("ready", "RO-1", "V1", "2026-12-01 22:05")}, []string{"0d"}, "", []string{"2026-12-02 08:00 V1 p/0d RO-1 sms"}},
		{"on a day without an hour", []care.Signal{signal("ready", "RO-1", "V1", "2026-12-06 14:05")}, []string{"0d"}, "30 9 * * MON-SAT", []string{"2026-12-07 09:30 V1 p/0d RO-1 sms"}},
		{"hours and days later", []care.Signal{signal("ready", "RO-1", "V1", "2026-12-01 14:05")}, []string{"2h", "3d"}, "", []string{"2026-12-01 16:05 V1 p/2h RO-1 sms", "2026-12-04 09:00 V1 p/3d RO-1 sms"}},
		{"another program's", []care.Signal{signal("late", "RO-1", "V1", "2026-12-01 14:05")}, []string{"0d"}, "", nil},
		{"of a car that is not theirs", []care.Signal{signal("ready", "RO-1", "V9", "2026-12-01 14:05")}, []string{"0d"}, "", nil},
		{"two", []care.Signal{signal("ready", "RO-1", "V1", "2026-12-01 14:05"), signal("ready", "RO-2", "V1", "2026-12-03 10:00")}, []string{"0d"}, "", []string{"2026-12-01 14:05 V1 p/0d RO-1 sms", "2026-12-03 10:00 V1 p/0d RO-2 sms"}},
	} {
		prog := offsets(t, testProgram("p", care.OnSignal), c.steps)
		prog.Trigger.Signal, prog.Schedule = "ready", c.schedule
		p := newPlanner(t, testDealer(), prog)
		f := withCar(t, `"delivered_on":"2026-01-01"`)
		f.Overlay = &care.Overlay{Signals: c.signals}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plan := p.Plan(f, years(t, 2026, 2026))
			expect(t, plan, c.want...)
			for _, o := range plan {
				if o.Subject.Signal == nil || o.Subject.Signal.ID != o.Cycle {
					t.Errorf("%s is about %v", o.Cycle, o.Subject.Signal)
				}
				if got := p.Check(f, recordOf(o), Request{Now: o.Release}); got.Verdict != care.Send || !got.Release.Equal(o.Release) {
					t.Errorf("asked again at sending: %s at %v, %s", got.Verdict, got.Release, got.Reason)
				}
			}
		})
	}
}

// Until a signal is said to be of no more use, nothing that can come of it is over.
func TestASignalIsKeptLongEnough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		prog := testProgram("p", care.OnSignal)
		prog.Trigger.Signal = "ready"
		prog.Schedule = rapid.SampledFrom([]string{"0 9 * * *", "30 9 * * MON", "0 9 1 * *"}).Draw(r, "schedule")
		prog.Expires = care.Expiry{Hours: rapid.IntRange(1, 1000).Draw(r, "expires")}
		prog.Steps[0].Offset = rapid.SampledFrom([]care.Offset{{}, {Hours: 30}, {Days: 14}, {Months: 2}, {Days: -1}}).Draw(r, "offset")
		p := newPlanner(t, testDealer(), prog)
		when := at(t, "2026-11-20 00:00").Add(time.Duration(rapid.IntRange(0, 60*24*60).Draw(r, "minute")) * time.Minute)
		until, known := p.SignalUntil("ready", when)
		if _, other := p.SignalUntil("late", when); !known || other {
			r.Fatal("which signals are listened to")
		}
		f := withCar(t, `"delivered_on":"2026-01-01"`)
		f.Overlay = &care.Overlay{Signals: []care.Signal{{ID: "1-0", Signal: "ready", At: when}}}
		plan := p.Plan(f, Request{From: when.AddDate(0, 0, -3), To: when.AddDate(1, 0, 0)})
		if len(plan) != 1 || plan[0].Expires.After(until) {
			r.Errorf("a message of %v is gone at %v", lines(plan), until)
		}
	})
}
