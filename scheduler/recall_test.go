package scheduler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// recalling plans the recall R1 of every Buick, published on 20 November 2026.
func recalling(t testing.TB, repeat *care.Days, steps ...string) *Planner {
	t.Helper()
	prog := testProgram("p", care.OnBulletin)
	prog.Class, prog.Trigger.Kind = care.Safety, "recall"
	if len(steps) > 0 {
		offsets(t, prog, steps)
	}
	p, problems := New(&care.Book{
		Dealers: []*care.Dealer{testDealer()}, Programs: []*care.Program{prog},
		Bulletins: []*care.Bulletin{{Bulletin: "R1", Enabled: true, Kind: "recall", PublishedOn: care.NewDate(2026, 11, 20), Repeat: repeat, Match: []care.Match{{Make: "Buick"}}}},
	}, Capabilities{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return p
}

func TestRecallsThatAreOpen(t *testing.T) {
	t.Parallel()
	entry := func(cycle string, state care.State, on, went string) care.LedgerEntry {
		d, err := care.ParseDate(on)
		if err != nil {
			t.Fatal(err)
		}
		return care.LedgerEntry{State: state, Program: "p", Vehicle: "V1", Step: "due", Cycle: cycle, On: d, At: at(t, went+" 09:00"), Class: care.Safety, Channel: care.SMS}
	}
	days := func(n int) *care.Days { return new(care.Days(n)) }
	for _, c := range []struct {
		name     string
		car      string
		ledger   []care.LedgerEntry
		repeat   *care.Days
		from, to string
		want     []string
	}{
		{"at its publication and each 90 days", "", nil, nil, "2026-11-01", "2027-06-01", []string{"2026-11-20 09:00 V1 p/due R1 sms", "2027-02-18 09:00 V1 p/due R1/2 sms", "2027-05-19 09:00 V1 p/due R1/3 sms"}},
		{"a car first seen a year later", "", nil, nil, "2027-11-01", "2028-02-01", []string{"2027-11-01 09:00 V1 p/due R1 sms", "2028-01-30 09:00 V1 p/due R1/2 sms"}},
		{"every 30 days", "", nil, days(30), "2027-11-01", "2027-12-15", []string{"2027-11-01 09:00 V1 p/due R1 sms", "2027-12-01 09:00 V1 p/due R1/2 sms"}},
		{"once only", "", nil, days(0), "2027-11-01", "2030-12-15", []string{"2027-11-01 09:00 V1 p/due R1 sms"}},
		{"done", `,"campaigns_done":["x","r1"]`, nil, nil, "2026-11-01", "2028-06-01", nil},
		{"another was done", `,"campaigns_done":["R10"]`, nil, days(0), "2026-11-01", "2028-06-01", []string{"2026-11-20 09:00 V1 p/due R1 sms"}},
		{"sold before the second", `,"sold_on":"2027-01-01"`, nil, nil, "2026-11-01", "2028-06-01", []string{"2026-11-20 09:00 V1 p/due R1 sms"}},
		{"another make", `,"make":"Audi"`, nil, nil, "2026-11-01", "2028-06-01", nil},
		{"told a month late: 90 days from then", "", []care.LedgerEntry{entry("R1", care.StateDelivered, "2026-12-20", "2026-12-21")}, nil, "2027-01-01", "2027-05-01", []string{"2027-03-21 09:00 V1 p/due R1/2 sms"}},
		{"the second time is overdue: today", "", []care.LedgerEntry{entry("R1", care.StateSent, "2026-11-20", "2026-11-20")}, nil, "2027-06-01", "2027-07-01", []string{"2027-06-01 09:00 V1 p/due R1/2 sms"}},
		{"the ledger has forgotten the first", "", []care.LedgerEntry{entry("R1/5", care.StateSent, "2028-01-01", "2028-01-01")}, nil, "2028-02-01", "2028-05-01", []string{"2028-03-31 09:00 V1 p/due R1/6 sms"}},
		{"it could not go in time: today", "", []care.LedgerEntry{entry("R1", care.StateExpired, "2026-11-20", "2026-11-23")}, nil, "2026-12-01", "2027-01-01", []string{"2026-12-01 09:00 V1 p/due R1/2 sms"}},
		{"it reached nobody: 90 days later", "", []care.LedgerEntry{entry("R1", care.StateFailed, "2026-11-20", "2026-11-20")}, nil, "2026-12-01", "2027-03-01", []string{"2027-02-18 09:00 V1 p/due R1/2 sms"}},
		{"told of another car", "", []care.LedgerEntry{{State: care.StateSent, Program: "p", Vehicle: "V2", Step: "due", Cycle: "R1", On: care.NewDate(2026, 11, 20)}}, days(0), "2026-12-01", "2027-03-01", []string{"2026-12-01 09:00 V1 p/due R1 sms"}},
		{"in the queue", "", []care.LedgerEntry{entry("R1", care.StateDue, "2026-12-05", "2026-12-05")}, nil, "2026-12-04", "2027-03-10", []string{"2026-12-05 09:00 V1 p/due R1 sms", "2027-03-05 09:00 V1 p/due R1/2 sms"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := withCar(t, `"model_year":2024`+c.car)
			f.Ledger = care.Ledger{}
			for _, e := range c.ledger {
				f.Ledger[care.OccurrenceID("C1", e.Vehicle, "p", "due", e.Cycle)] = e
			}
			expect(t, recalling(t, c.repeat).Plan(f, Request{From: at(t, c.from), To: at(t, c.to)}), c.want...)
		})
	}
}

// Through years of sweeps with pauses, holds and refused channels, an open recall is told at least every 90 days and a few, and never twice
// within that time; once it is done, never again.
func TestARecallIsToldWhileItIsOpen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SampledFrom([][]string{nil, {"0d", "14d"}}).Draw(r, "steps")
		p := recalling(t, nil, steps...)
		first := 0
		if len(steps) > 0 {
			first = 14 // the reminder of a round counts
		}
		f := withCar(t, `"model_year":2024`)
		f.Ledger = care.Ledger{}
		now := at(t, "2026-11-20 00:00").AddDate(0, 0, rapid.IntRange(-100, 900).Draw(r, "seen"))
		done := now.AddDate(0, 0, rapid.IntRange(100, 700).Draw(r, "done"))
		var went []time.Time
		for end := done.AddDate(0, 0, 120); now.Before(end); now = now.Add(7 * time.Hour) {
			if !now.Before(done) && len(f.Customer.Vehicles[0].CampaignsDone) == 0 {
				f.Customer.Vehicles[0].CampaignsDone = []string{"R1"}
			}
			request := Request{From: now.Add(-p.LongestExpiry()), To: now.Add(Horizon), Now: now}
			plan := p.Plan(f, request)
			change := p.Changes(f, plan, request)
			for _, o := range slices.Concat(change.Add, change.Move) {
				f.Ledger[o.ID] = queuedEntry(o, care.StateDue, o.Release)
			}
			for _, d := range change.Drop {
				e := f.Ledger[d.ID]
				e.State, e.Reason, e.At = d.State, d.Reason, now
				f.Ledger[d.ID] = e
			}
			for id, e := range f.Ledger {
				if e.State == care.StateDue && !e.At.After(now) {
					e.State, e.At = rapid.SampledFrom([]care.State{care.StateSent, care.StateSent, care.StateExpired}).Draw(r, "outcome"), now
					f.Ledger[id] = e
					if e.State == care.StateSent {
						went = append(went, now)
					}
				}
			}
		}
		for i, one := range went {
			if !one.Before(done.AddDate(0, 0, 1)) {
				r.Errorf("told on %v, after it was done on %v", one, done)
			}
			if i > 0 {
				if gap := one.Sub(went[i-1]).Hours() / 24; gap > 125 || gap < 85 && len(steps) == 0 {
					r.Errorf("told on %v and %v", went[i-1], one)
				}
			}
		}
		if len(went) == 0 && first == 0 && done.After(at(t, "2027-03-01 00:00")) {
			r.Error("never told")
		}
	})
}

func TestARecallThatIsDoneLeavesTheQueue(t *testing.T) {
	t.Parallel()
	p := recalling(t, nil)
	f := withCar(t, `"model_year":2024`)
	plan := p.Plan(f, Request{From: at(t, "2026-11-20"), To: at(t, "2026-11-21")})
	f.Ledger = care.Ledger{plan[0].ID: entryOf(plan[0], care.StateDue)}
	f.Customer.Vehicles[0].CampaignsDone = []string{"R1"}
	now := at(t, "2026-11-20 08:00")
	r := Request{From: now.Add(-p.LongestExpiry()), To: now.Add(Horizon), Now: now}
	want := []care.Drop{{ID: plan[0].ID, State: care.StateSkipped, Reason: "serviced"}}
	if diff := cmp.Diff(want, p.Changes(f, p.Plan(f, r), r).Drop); diff != "" {
		t.Error(diff)
	}
	if o := p.Check(f, recordOf(plan[0]), Request{Now: plan[0].Release}); fmt.Sprint(o.Verdict, o.Reason) != "skip serviced" && o.Reason != "serviced" {
		t.Errorf("%s %s", o.Verdict, o.Reason)
	}
}
