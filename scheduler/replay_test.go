package scheduler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"pgregory.net/rapid"
)

// drawHouse draws customers who share numbers, mailboxes, households and cars, with grades, wishes, quiet hours, zones, holds and stops.
func drawHouse(t *rapid.T) []*care.Facts {
	var all []*care.Facts
	together := care.NewDate(2026, 6, 1).AddDays(rapid.IntRange(0, 200).Draw(t, "together"))
	date := func(name string) string { // the cars of a fleet were bought together
		if rapid.Bool().Draw(t, name+" of many") {
			return together.AddDays(rapid.IntRange(0, 4).Draw(t, name+" near")).String()
		}
		return drawDate(t, name)
	}
	// One limit for all: where limits differ, of two messages of one second that goes first which is claimed first.
	grade, most := rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "grade"), rapid.SampledFrom([]string{"", `,"max_per_week":1`}).Draw(t, "most")
	for i := range rapid.IntRange(1, 5).Draw(t, "customers") {
		pick := func(name string, list ...string) string { return rapid.SampledFrom(list).Draw(t, name) }
		record := fmt.Sprintf(`{"id":"C%d","phone":"+86138001380%02d","email":"%s@example.com","grade":"%s"`, i,
			rapid.IntRange(0, 2).Draw(t, "phone"), pick("mail", "a", "b", "c"), grade)
		record += pick("household", "", `,"household":"H1"`) + pick("zone", "", "", `,"time_zone":"America/New_York"`)
		record += `,"preferences":{` + pick("wishes", `"quiet":"none"`, `"quiet":"none"`, `"channels":["email"]`, `"quiet":"19:00-10:30"`) + most + `}`
		record += pick("birthday", "", `,"birthday":"--09-25"`, `,"birthday":"--11-22"`)
		record += pick("hold", "", "", `,"holds":[{"reason":"complaint","since":"2026-09-24","until":"2026-09-28"}]`) + `,"vehicles":[`
		for j := range rapid.SampledFrom([]int{0, 1, 1, 2, 2, 6}).Draw(t, "cars") {
			if j > 0 {
				record += ","
			}
			vin := fmt.Sprint("V", i, "-", j)
			if j == 0 {
				vin = pick("vin", "LSGHXRT911E8R0001", "LSGHXRT911E8R0002", "LSGHXRT911E8R0003", "W")
			}
			record += fmt.Sprintf(`{"id":"%s","make":"Buick","model":"Regal","delivered_on":"%s","insurance_until":"%s","inspection_due":"%s","visits":[{"order":"R%d","closed_on":"%s","km":9000}]}`,
				vin, date("delivered"), date("insurance"), date("inspection"), j, date("visit"))
		}
		f := decode(t, record+"]}")
		f.Ledger = care.Ledger{}
		if stop := pick("stop", "", "", "", "sms", "email", "*"); stop != "" {
			f.Overlay = &care.Overlay{Stops: map[string]care.Stop{stop: {}}}
		}
		all = append(all, f)
	}
	return all
}

// replay is a queue and a daemon in a few lines: it sweeps, sends what the check lets go, and keeps the ledger.
type replay struct {
	p    *Planner
	all  []*care.Facts
	sent map[string]int
	at   map[string]string
	also map[string][]string // what goes with a message, as it was queued
	kin  map[string][]string // with whom it was planned
	now  time.Time           // of the sweep: nothing goes before it
	told map[string]bool     // what went with another message
}

func (s *replay) sweep(now time.Time) {
	s.now = now
	r := Request{From: now.Add(-s.p.LongestExpiry()), To: now.Add(Horizon), Now: now, Held: map[string]bool{}}
	changes := make([]care.Change, len(s.all))
	for i, f := range s.all {
		changes[i] = s.p.Changes(f, s.p.Plan(f, r), r)
	}
	for i, f := range s.all {
		for _, o := range slices.Concat(changes[i].Add, changes[i].Move) {
			f.Ledger[o.ID] = queuedEntry(o, care.StateDue, o.Release)
			s.also[o.ID], s.kin[o.ID] = recordOf(o).Also, o.Kin
		}
		for _, o := range changes[i].Skip {
			f.Ledger[o.ID] = queuedEntry(o, care.StateSkipped, now)
		}
		for _, d := range changes[i].Drop {
			e := f.Ledger[d.ID]
			e.State, e.Reason, e.At = d.State, d.Reason, now
			f.Ledger[d.ID] = e
		}
	}
}

func queuedEntry(o *care.Occurrence, state care.State, at time.Time) care.LedgerEntry {
	return care.LedgerEntry{
		State: state, At: at.Truncate(time.Second), Class: o.Class, Channel: o.Channel, Program: o.Program, Vehicle: o.Vehicle, Step: o.Step,
		Cycle: o.Cycle, On: o.On, Reason: o.Reason,
	}
}

// next returns the earliest message in the queue.
func (s *replay) next() (f *care.Facts, id string, at time.Time) {
	for _, g := range s.all {
		for name, e := range g.Ledger {
			if e.State == care.StateDue && (f == nil || e.At.Before(at) || e.At.Equal(at) && name < id) {
				f, id, at = g, name, e.At
			}
		}
	}
	return f, id, at
}

// deliver sends what is due by now; a delivery knows the customer, and whom the sweep named.
func (s *replay) deliver(now time.Time) {
	for {
		f, id, at := s.next()
		if f == nil || at.After(now) {
			return
		}
		e := f.Ledger[id]
		at = care.Later(at, s.now)
		alone := *f
		alone.Others = nil
		for _, g := range s.all {
			if slices.Contains(s.kin[id], g.ID) {
				alone.Others = append(alone.Others, g)
			}
		}
		o := s.p.Check(&alone, &care.Record{ID: id, Customer: f.ID, Vehicle: e.Vehicle, Program: e.Program, Step: e.Step, Cycle: e.Cycle, On: e.On, Release: at, Channel: e.Channel, Reason: e.Reason, Also: s.also[id]}, Request{Now: at})
		switch {
		case o.Verdict == care.Skip:
			e.State, e.Reason = o.Ends(), o.Reason
			s.at[id] = fmt.Sprintf("%s at %s: %s %s", f.ID, at, e.State, e.Reason)
		case o.Release.After(at):
			e.At, e.Reason = o.Release.Truncate(time.Second), o.Reason
		default:
			e.State, e.Reason, e.At = care.StateSent, "", at
			s.sent[id]++
			s.at[id] = fmt.Sprint(f.ID, " sent at ", at)
			for _, also := range o.Subject.Also {
				s.told[also.ID] = true
				if _, known := f.Ledger[also.ID]; !known {
					merged := queuedEntry(also, care.StateSkipped, at)
					merged.Reason, merged.Merged = "merged", id
					f.Ledger[also.ID] = merged
				}
			}
		}
		f.Ledger[id] = e
	}
}

func yearly() []*care.Program {
	greeting := func(name string, priority int, days ...string) *care.Program {
		p := daily(name, priority, care.Care, days...)
		p.Expires = care.Expiry{Hours: 24 * 5}
		return p
	}
	insurance := testProgram("insurance", care.OnInsuranceEnd)
	insurance.Steps = []care.Step{{Step: "month", Offset: care.Offset{Days: -30}, Template: "insurance"}, {Step: "week", Offset: care.Offset{Days: -7}, Template: "insurance"}}
	insurance.Expires = care.Expiry{Hours: 24 * 4}
	thanks := testProgram("thanks", care.OnVisit)
	thanks.Steps[0].Offset = care.Offset{Days: 3}
	birthday := testProgram("birthday", care.OnBirthday)
	birthday.Class, birthday.Expires, birthday.Capped = care.Care, care.Expiry{SameDay: true}, new(false)
	anniversary := testProgram("anniversary", care.OnAnniversary)
	anniversary.Priority, anniversary.Class = 40, care.Care
	inspection, maintenance := testProgram("inspection", care.OnInspectionDue), testProgram("maintenance", care.OnMaintenanceDue)
	inspection.Merge, maintenance.Merge, maintenance.Priority = "workshop", "workshop", 60
	offer := daily("offer", 10, care.Commercial, "--06-10", "--09-24")
	offer.Expires = care.Expiry{Hours: 30}
	return []*care.Program{
		greeting("winter", 20, "--11-24", "--05-20"), greeting("autumn", 30, "--09-25", "--11-22"), insurance, thanks, birthday, anniversary,
		inspection, maintenance, offer, testProgram("welcome", care.OnDelivery),
	}
}

// nearby returns the days, in UTC, on which something can change: from two days before a release until two after it expires.
func nearby(plan map[string]*care.Occurrence) map[care.Date]bool {
	out := map[care.Date]bool{}
	for _, o := range plan {
		for day := care.DateOf(o.Scheduled.UTC()).AddDays(-2); !day.After(care.DateOf(o.Expires.UTC()).AddDays(2)); day = day.AddDays(1) {
			out[day] = true
		}
	}
	return out
}

// What the plan decides between messages stays decided: a year of random households, caps and quiet hours sends what was planned at its
// beginning, each message once and nothing else.
func TestAYearSendsWhatWasPlanned(t *testing.T) {
	t.Parallel()
	planned, shared, merged := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		d := testDealer()
		d.ConsentDefault.Commercial = new(true)
		d.Caps = nil
		can := Capabilities{}
		if rapid.Bool().Draw(t, "texts say one due") {
			can.Also = func(_, _ string, ch care.Channel, _ []string) bool { return ch == care.Email }
		}
		p, problems := New(&care.Book{Dealers: []*care.Dealer{d}, Programs: yearly()}, can)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		s := &replay{p: p, all: drawHouse(t), sent: map[string]int{}, at: map[string]string{}, also: map[string][]string{}, kin: map[string][]string{}, told: map[string]bool{}}
		meet(p, s.all)
		start := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		end := start.AddDate(0, 8, 0)
		want := map[string]*care.Occurrence{}
		for _, f := range s.all {
			for _, o := range p.Plan(f, Request{From: start.Add(-p.LongestExpiry()), To: end, Now: start}) {
				want[o.ID] = o
				if o.Reason == duplicateHousehold {
					shared++
				}
			}
		}
		every := time.Duration(rapid.SampledFrom([]int{1, 5, 24}).Draw(t, "sweep")) * time.Hour
		near := nearby(want)
		for now := start; now.Before(end.Add(time.Hour)); now = now.Add(every) {
			if day := care.DateOf(now); !near[day] && now.Sub(start)%(24*time.Hour) != 0 {
				continue // where nothing is near, one sweep a day shows that nothing is added
			}
			s.sweep(now)
			s.deliver(earliest(now.Add(every-time.Second), end.Add(-time.Second)))
		}
		for id, o := range want {
			if o.Verdict == care.Send {
				planned++
			}
			if inside := o.Release.Before(end.AddDate(0, 0, -5)); o.Reason == "merged" && inside {
				merged++
				if !s.told[id] {
					t.Errorf("%s %s %s: planned to go with another at %s, and did not: %s", o.Customer, o.Program, o.Cycle, o.Release, s.at[id])
				}
			}
			if (o.Verdict == care.Send) != (s.sent[id] == 1) && o.Release.Before(end.Add(-2*time.Hour)) {
				t.Errorf("%s %s %s: planned %s %s at %s, sent %d times: %s", o.Customer, o.Program, o.Cycle, o.Verdict, o.Reason, o.Release, s.sent[id], s.at[id])
			}
		}
		for id, n := range s.sent {
			if want[id] == nil || n != 1 {
				t.Errorf("%s went %d times and was not planned", s.at[id], n)
			}
		}
	})
	if planned == 0 || shared == 0 || merged == 0 {
		t.Errorf("%d planned, %d shared, %d merged: the test tells nothing", planned, shared, merged)
	}
}
