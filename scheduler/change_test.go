package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
)

// recordOf is what delivery knows of an occurrence in the queue.
func recordOf(o *care.Occurrence) *care.Record {
	var also []string
	for _, rider := range o.Subject.Also {
		also = append(also, rider.Key())
	}
	return &care.Record{
		Also: also,
		ID:   o.ID, Customer: o.Customer, Dealer: o.Dealer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle, Class: o.Class,
		On: o.On, Release: o.Release, Expires: o.Expires, State: care.StateClaimed, Channel: o.Channel,
	}
}

func entryOf(o *care.Occurrence, state care.State) care.LedgerEntry {
	return care.LedgerEntry{
		State: state, At: o.Release, Class: o.Class, Channel: o.Channel, Program: o.Program, Vehicle: o.Vehicle, Step: o.Step, Cycle: o.Cycle, On: o.On,
	}
}

func TestCheckAtSending(t *testing.T) {
	t.Parallel()
	const record = `"delivered_on":"2026-11-20"`
	for _, c := range []struct {
		name    string
		car     string
		change  func(*care.Facts)
		rec     func(*care.Record)
		op      care.Operator
		now     string
		want    string
		over    bool
		channel []care.Channel
	}{
		{name: "it goes", now: "2026-11-20 09:00", want: "send 11-20 09:00 "},
		{name: "late, it still goes", now: "2026-11-22 15:00", want: "send 11-20 09:00 "},
		{name: "at night it waits for the morning", now: "2026-11-20 21:30", want: "send 11-21 08:00 "},
		{name: "too late", now: "2026-11-23 09:00", want: "skip 11-20 09:00 expired", over: true},
		{name: "the night before it expires", now: "2026-11-22 23:30", want: "send 11-23 08:00 "},
		{name: "sold since", car: record + `,"sold_on":"2026-11-20"`, now: "2026-11-20 09:00", want: "skip 11-20 09:00 sold", over: true},
		{name: "sold by the customer's word", change: func(f *care.Facts) {
			f.Overlay = &care.Overlay{Sold: []care.VehicleFact{{Vehicle: "V1", On: care.NewDate(2026, 11, 19)}}}
		}, now: "2026-11-20 09:00", want: "skip 11-20 09:00 sold", over: true},
		{name: "the date is another one now", car: `"delivered_on":"2026-11-25"`, now: "2026-11-20 09:00", want: "send 11-25 09:00 "},
		{name: "the car is gone", change: func(f *care.Facts) { f.Customer.Vehicles = nil }, now: "2026-11-20 09:00", want: "skip 11-20 09:00 serviced", over: true},
		{name: "the customer is gone", change: func(f *care.Facts) { f.Customer, f.Err = nil, care.ErrGone }, now: "2026-11-20 09:00", want: "skip 11-20 09:00 erased", over: true},
		{name: "the record is broken", change: func(f *care.Facts) { f.Customer, f.Err = nil, care.ErrNotJSON }, now: "2026-11-20 09:00", want: "send 11-20 09:05 defective_record"},
		{name: "the dealer is gone", change: func(f *care.Facts) { f.Customer.Dealer = "nobody" }, now: "2026-11-20 09:00", want: "send 11-20 09:05 defective_record"},
		{name: "the record is broken until it expires", change: func(f *care.Facts) { f.Customer, f.Err = nil, care.ErrNotJSON }, now: "2026-11-23 09:00", want: "skip 11-20 09:00 expired", over: true},
		{name: "the date can no longer be read", car: `"delivered_on":"20.11.2026"`, now: "2026-11-20 09:00", want: "send 11-20 09:05 defective_record"},
		{name: "opted out", change: func(f *care.Facts) { f.Overlay = &care.Overlay{Stops: map[string]care.Stop{"*": {}}} }, now: "2026-11-20 09:00", want: "skip 11-20 09:00 opted_out"},
		{name: "paused: asked again soon", op: care.Operator{All: true}, now: "2026-11-20 09:00", want: "send 11-20 09:05 paused"},
		{name: "an open hold: asked again soon, up to the end", change: func(f *care.Facts) { f.Customer.Holds = []care.Hold{{Reason: "complaint"}} }, now: "2026-11-23 08:58", want: "send 11-23 09:00 hold:complaint"},
		{name: "a hold that ends tomorrow", change: func(f *care.Facts) {
			f.Customer.Holds = []care.Hold{{Reason: "complaint", Until: care.NewDate(2026, 11, 21)}}
		}, now: "2026-11-20 09:00", want: "send 11-22 08:00 hold:complaint"},
		{name: "a channel that failed is left out", rec: func(r *care.Record) { r.Tried = []care.Channel{care.SMS} }, now: "2026-11-20 09:00", want: "send 11-20 09:00 ", channel: []care.Channel{care.Email}},
		{name: "both failed", rec: func(r *care.Record) { r.Tried = []care.Channel{care.SMS, care.Email} }, now: "2026-11-20 09:00", want: "skip 11-20 09:00 no_channel"},
		{name: "another program's", rec: func(r *care.Record) { r.Program = "gone" }, now: "2026-11-20 09:00", want: "skip 11-20 09:00 serviced", over: true},
	} {
		p := newPlanner(t, testDealer(), testProgram("p", care.OnDelivery))
		rec := recordOf(p.Plan(withCar(t, record), Request{From: at(t, "2026-11-20"), To: at(t, "2026-11-21")})[0])
		if c.car == "" {
			c.car = record
		}
		f := withCar(t, c.car)
		f.Ledger = care.Ledger{rec.ID: {State: care.StateClaimed, At: rec.Release}}
		if c.change != nil {
			c.change(f)
		}
		if c.rec != nil {
			c.rec(rec)
		}
		o := p.Check(f, rec, Request{Now: at(t, c.now), Operator: &c.op})
		if got := string(o.Verdict) + " " + o.Release.In(shanghai).Format("01-02 15:04") + " " + o.Reason; got != c.want || o.Over != c.over {
			t.Errorf("%s: got %q (over %v), want %q", c.name, got, o.Over, c.want)
		}
		if o.ID != rec.ID {
			t.Errorf("%s: another id", c.name)
		}
		if c.channel != nil {
			if diff := cmp.Diff(c.channel, o.Channels); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
	}
}

// Safety that failed by e-mail goes by SMS, which has quiet hours.
func TestCheckLooksAtTheQuietHoursOfTheNextChannel(t *testing.T) {
	t.Parallel()
	prog := testProgram("p", care.OnDelivery)
	prog.Class, prog.Channels = care.Safety, []string{"email", "sms"}
	p := newPlanner(t, testDealer(), prog)
	f := withCar(t, `"delivered_on":"2026-11-20"`)
	rec := recordOf(p.Plan(f, Request{From: at(t, "2026-11-20"), To: at(t, "2026-11-21")})[0])
	now := at(t, "2026-11-20 23:00")
	if o := p.Check(f, rec, Request{Now: now}); o.Release.After(now) {
		t.Error("e-mail waits")
	}
	rec.Tried = []care.Channel{care.Email}
	if o := p.Check(f, rec, Request{Now: now}); !o.Release.Equal(at(t, "2026-11-21 08:00")) {
		t.Errorf("SMS goes at %v", o.Release)
	}
}

// Of several messages that are checked at once only as many go as the cap allows, whichever is asked first.
func TestCheckServesByRankUnderACap(t *testing.T) {
	t.Parallel()
	p := newPlanner(
		t, capped(map[string]int{"default": 1}), daily("a", 50, care.Care, "2026-11-20"), daily("b", 50, care.Service, "2026-11-20"),
	)
	f := facts(t, person+"}")
	now := at(t, "2026-11-20 09:00")
	a, b := "", ""
	f.Ledger = care.Ledger{}
	var recs []*care.Record
	for _, name := range []string{"a", "b"} {
		rec := &care.Record{Program: name, Step: "due", Cycle: "2026-11-20", Customer: "C1"}
		rec.ID = care.OccurrenceID("C1", "", name, "due", "2026-11-20")
		f.Ledger[rec.ID] = care.LedgerEntry{State: care.StateDue, At: now, Program: name, Step: "due", Cycle: "2026-11-20", Channel: care.SMS}
		recs = append(recs, rec)
	}
	for i, out := range []*string{&a, &b} {
		o := p.Check(f, recs[i], Request{Now: now})
		*out = fmt.Sprintf("%s %s %s", o.Verdict, o.Release.Format("01-02 15:04"), o.Reason)
	}
	if a != "send 11-27 09:00 capped" || b != "send 11-20 09:00 " {
		t.Errorf("a: %s; b: %s", a, b)
	}
	// While b is being handed over it counts, though a was asked first in another plan.
	f.Ledger[recs[1].ID] = care.LedgerEntry{State: care.StateSending, At: now, Channel: care.SMS, Class: care.Service}
	if o := p.Check(f, recs[0], Request{Now: now}); o.Reason != "capped" || !o.Release.After(now) {
		t.Errorf("a: %s %v", o.Reason, o.Release)
	}
	// A crash while sending made b uncertain and it is asked again: its own entry does not count against it.
	f.Ledger = care.Ledger{recs[1].ID: {State: care.StateUncertain, At: now, Channel: care.SMS, Class: care.Service}}
	if o := p.Check(f, recs[1], Request{Now: now}); o.Verdict != care.Send || o.Release.After(now) {
		t.Errorf("b: %s %s %v", o.Verdict, o.Reason, o.Release)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	const car = `"delivered_on":"2026-11-20"`
	now := at(t, "2026-11-19 12:00")
	p := newPlanner(t, testDealer(), testProgram("p", care.OnDelivery))
	o := p.Plan(withCar(t, car), Request{From: now, To: now.AddDate(0, 0, 2)})[0]
	due := entryOf(o, care.StateDue)
	state := func(s care.State) care.LedgerEntry { e := due; e.State = s; return e }
	for _, c := range []struct {
		name   string
		car    string
		entry  *care.LedgerEntry
		change func(*care.Facts)
		now    string
		want   string
	}{
		{name: "new", want: "add 11-20 09:00"},
		{name: "queued already", entry: &due, want: ""},
		{name: "sent already", entry: new(state(care.StateSent)), want: ""},
		{name: "skipped for good", entry: new(state(care.StateSkipped)), want: ""},
		{name: "another date", car: `"delivered_on":"2026-11-21"`, entry: &due, want: "move 11-21 09:00"},
		{name: "a date far ahead", car: `"delivered_on":"2027-02-01"`, entry: &due, want: "move 02-01 09:00"},
		{name: "a date long past", car: `"delivered_on":"2025-02-01"`, entry: &due, want: "drop expired expired"},
		{name: "another channel", entry: &due, change: func(f *care.Facts) { f.Customer.Preferences.Channels = []care.Channel{care.Email} }, want: "move 11-20 09:00"},
		{name: "sold", car: car + `,"sold_on":"2026-11-01"`, entry: &due, want: "drop skipped sold"},
		{name: "no such car", entry: &due, change: func(f *care.Facts) { f.Customer.Vehicles[0].ID = "V2" }, want: "add 11-20 09:00, drop skipped serviced"},
		{name: "the date can no longer be read", car: `"delivered_on":"20.11.2026"`, entry: &due, want: ""},
		{name: "opted out", entry: &due, change: func(f *care.Facts) { f.Overlay = &care.Overlay{Stops: map[string]care.Stop{"*": {}}} }, want: "drop skipped opted_out"},
		{name: "opted out before it was queued", change: func(f *care.Facts) { f.Overlay = &care.Overlay{Stops: map[string]care.Stop{"*": {}}} }, want: ""},
		{name: "an open hold", entry: &due, change: func(f *care.Facts) { f.Customer.Holds = []care.Hold{{Reason: "complaint"}} }, want: ""},
		{name: "a hold with an end", entry: &due, change: func(f *care.Facts) {
			f.Customer.Holds = []care.Hold{{Reason: "complaint", Until: care.NewDate(2026, 11, 20)}}
		}, want: "move 11-21 08:00"},
		{name: "claimed: whoever holds it asks", car: car + `,"sold_on":"2026-11-01"`, entry: new(state(care.StateClaimed)), want: ""},
		{name: "waiting for a retry, and sold", car: car + `,"sold_on":"2026-11-01"`, entry: new(state(care.StateRetry)), want: "drop skipped sold"},
		{name: "waiting for a retry", entry: new(state(care.StateRetry)), now: "2026-11-20 12:00", want: ""},
		{name: "due since yesterday", entry: &due, now: "2026-11-21 12:00", want: ""},
		{name: "due since yesterday, at night", entry: &due, now: "2026-11-21 22:00", want: "move 11-22 08:00"},
		{name: "expired in the queue", entry: &due, now: "2026-11-24 12:00", want: "drop expired expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.car == "" {
				c.car = car
			}
			f := withCar(t, c.car)
			if c.entry != nil {
				f.Ledger = care.Ledger{o.ID: *c.entry}
			}
			if c.change != nil {
				c.change(f)
			}
			moment := now
			if c.now != "" {
				moment = at(t, c.now)
			}
			got := ""
			change := p.Changes(f, p.Plan(f, Request{From: moment.Add(-p.LongestExpiry()), To: moment.Add(48 * time.Hour), Now: moment}), Request{Now: moment})
			for _, a := range change.Add {
				got += ", add " + a.Release.Format("01-02 15:04")
			}
			for _, m := range change.Move {
				got += ", move " + m.Release.Format("01-02 15:04")
			}
			for _, d := range change.Drop {
				got += ", drop " + string(d.State) + " " + d.Reason
			}
			if got != "" {
				got = got[2:]
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if change.Customer != "C1" {
				t.Error("whose change is it?")
			}
		})
	}
}

// A visit ends the cycle at once, also for what is queued; the next cycle is another occurrence.
func TestAVisitEndsTheCycle(t *testing.T) {
	t.Parallel()
	prog := testProgram("maintenance", care.OnMaintenanceDue)
	prog.Steps = []care.Step{{Step: "heads-up", Offset: care.Offset{Days: -14}, Template: "m"}, {Step: "due", Template: "m"}}
	p := newPlanner(t, testDealer(), prog)
	f := withCar(t, `"delivered_on":"2026-06-01"`)
	now := at(t, "2026-10-04 12:00") // due on 2026-10-04: 125 days at 40 km
	plan := func() []*care.Occurrence {
		return p.Plan(f, Request{From: now.Add(-p.LongestExpiry()), To: now.Add(48 * time.Hour), Now: now})
	}
	list := plan()
	expect(t, list, "2026-10-04 09:00 V1 maintenance/due 2026-06-01 sms")
	f.Ledger = care.Ledger{list[0].ID: entryOf(list[0], care.StateDue)}
	km := 4900
	f.Customer.Vehicles[0].Visits = []care.Visit{{ClosedOn: care.NewDate(2026, 10, 4), KM: &km}}
	change := p.Changes(f, plan(), Request{Now: now})
	if diff := cmp.Diff([]care.Drop{{ID: list[0].ID, State: care.StateSkipped, Reason: "serviced"}}, change.Drop); diff != "" {
		t.Error(diff)
	}
	if o := p.Check(f, recordOf(list[0]), Request{Now: now}); o.Reason != "serviced" || !o.Over {
		t.Error(o.Reason)
	}
	// And an appointment silences every reminder of a service.
	f = withCar(t, `"delivered_on":"2026-06-01","appointment_at":"2026-10-20T10:00:00+08:00"`)
	expect(t, plan(), "2026-10-04 09:00 V1 maintenance/due 2026-06-01 skip appointment")
}

// A reading that the customer reports moves what is due.
func TestReportedReadingsCount(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("maintenance", care.OnMaintenanceDue))
	f := withCar(t, `"delivered_on":"2026-06-01"`)
	year := years(t, 2026, 2026)
	expect(t, p.Plan(f, year), "2026-10-04 09:00 V1 maintenance/due 2026-06-01 sms")
	f.Overlay = &care.Overlay{Readings: []care.VehicleFact{{Vehicle: "V1", On: care.NewDate(2026, 7, 1), KM: 3000}, {Vehicle: "V9", On: care.NewDate(2026, 7, 2), KM: 99999}}}
	list := p.Plan(f, year)
	expect(t, list, "2026-07-21 09:00 V1 maintenance/due 2026-06-01 sms") // 100 km a day: 2,000 more take 20 days
	if fc := list[0].Subject.Forecast; fc == nil || fc.Rate != 100 || fc.Readings != 1 || fc.Winner != "km" || fc.Stale {
		t.Errorf("forecast: %+v", fc)
	}
}
