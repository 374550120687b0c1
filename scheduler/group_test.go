package scheduler

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
)

// daily is a program that is due on each of the days, for every customer.
func daily(name string, priority int, class care.Class, days ...string) *care.Program {
	p := testProgram(name, care.OnCalendar)
	p.Trigger.Dates, p.Priority, p.Class = days, priority, class
	p.Expires = care.Expiry{Hours: 24 * 10}
	return p
}

func capped(limits map[string]int) *care.Dealer {
	d := testDealer()
	d.Caps = map[string]care.Cap{}
	for grade, n := range limits {
		d.Caps[grade] = care.Cap{PerWeek: &n}
	}
	return d
}

const person = `{"id":"C1","email":"a@example.com","phone":"+8613800138000"`

func TestCaps(t *testing.T) {
	t.Parallel()
	november := Request{From: at(t, "2026-11-01"), To: at(t, "2026-12-01")}
	days := []string{"2026-11-02", "2026-11-03", "2026-11-04"}
	t.Run("the third waits until the first is a week old", func(t *testing.T) {
		t.Parallel()
		p := newPlanner(t, capped(map[string]int{"default": 2}), daily("p", 50, care.Service, days...))
		expect(
			t, p.Plan(facts(t, person+"}"), november), "2026-11-02 09:00 p/due 2026-11-02 sms", "2026-11-03 09:00 p/due 2026-11-03 sms",
			"2026-11-09 09:00 p/due 2026-11-04 sms capped",
		)
	})
	t.Run("or is skipped, if it cannot wait so long", func(t *testing.T) {
		t.Parallel()
		prog := daily("p", 50, care.Service, days...)
		prog.Expires = care.Expiry{Hours: 48}
		list := newPlanner(t, capped(map[string]int{"default": 2}), prog).Plan(facts(t, person+"}"), november)
		expect(
			t, list, "2026-11-02 09:00 p/due 2026-11-02 sms", "2026-11-03 09:00 p/due 2026-11-03 sms",
			"2026-11-04 09:00 p/due 2026-11-04 skip capped",
		)
		if list[2].Over {
			t.Error("it is over, but the cap may lift")
		}
	})
	t.Run("by rank: class, then priority, then name", func(t *testing.T) {
		t.Parallel()
		p := newPlanner(
			t, capped(map[string]int{"default": 1}), daily("a", 50, care.Care, days[0]), daily("b", 50, care.Service, days[0]),
			daily("c", 60, care.Service, days[0]), daily("z", 1, care.Safety, days[0]),
		)
		expect(
			t, p.Plan(facts(t, person+"}"), Request{From: at(t, "2026-11-01"), To: at(t, "2026-11-30")}),
			"2026-11-02 09:00 a/due 2026-11-02 skip capped", "2026-11-02 09:00 c/due 2026-11-02 sms",
			"2026-11-02 09:00 z/due 2026-11-02 sms", "2026-11-09 09:00 b/due 2026-11-02 sms capped",
		)
	})
	t.Run("the smaller of the grade's and the customer's", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct {
			extra  string
			limits map[string]int
			want   int
		}{
			{``, map[string]int{"default": 2, "A": 3}, 2},
			{`,"grade":"A"`, map[string]int{"default": 2, "A": 3}, 3},
			{`,"grade":"A","preferences":{"max_per_week":1}`, map[string]int{"default": 2, "A": 3}, 1},
			{`,"grade":"A","preferences":{"max_per_week":9}`, map[string]int{"default": 2, "A": 3}, 3},
			{`,"preferences":{"max_per_week":0}`, map[string]int{"default": 2}, 0},
			{``, nil, 2},              // a dealer who says nothing
			{`,"grade":"A"`, nil, 3},  //
			{`,"grade":"C"`, nil, 1},  //
			{`,"grade":"XX"`, nil, 2}, //
		} {
			four := daily("p", 50, care.Service, "2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05")
			four.Expires = care.Expiry{SameDay: true}
			n := 0
			for _, o := range newPlanner(t, capped(c.limits), four).Plan(facts(t, person+c.extra+"}"), november) {
				if o.Verdict == care.Send {
					n++
				} else if o.Reason != "capped" {
					t.Error(o.Reason)
				}
			}
			if n != c.want {
				t.Errorf("%s with %v: %d went, want %d", c.extra, c.limits, n, c.want)
			}
		}
	})
	t.Run("the overlay's wish comes before the record's", func(t *testing.T) {
		t.Parallel()
		f := facts(t, person+`,"preferences":{"max_per_week":5}}`)
		f.Overlay = &care.Overlay{Preferences: &care.Preferences{MaxPerWeek: new(0)}}
		list := newPlanner(t, testDealer(), daily("p", 50, care.Service, days[0])).Plan(f, november)
		expect(t, list, "2026-11-02 09:00 p/due 2026-11-02 skip capped")
	})
	t.Run("what went before counts", func(t *testing.T) {
		t.Parallel()
		p := newPlanner(t, capped(map[string]int{"default": 1}), daily("p", 50, care.Service, days[0]))
		for _, c := range []struct {
			entry care.LedgerEntry
			want  string
		}{
			{care.LedgerEntry{State: care.StateSent, At: at(t, "2026-10-30 10:00")}, "2026-11-06 10:00 p/due 2026-11-02 sms capped"},
			{care.LedgerEntry{State: care.StateUncertain, At: at(t, "2026-10-30 10:00")}, "2026-11-06 10:00 p/due 2026-11-02 sms capped"},
			{care.LedgerEntry{State: care.StateSent, At: at(t, "2026-10-26 09:00")}, "2026-11-02 09:00 p/due 2026-11-02 sms"}, // 168 h before
			{care.LedgerEntry{State: care.StateSent, At: at(t, "2026-10-26 09:01")}, "2026-11-02 09:01 p/due 2026-11-02 sms capped"},
			{care.LedgerEntry{State: care.StateFailed, At: at(t, "2026-10-30 10:00")}, "2026-11-02 09:00 p/due 2026-11-02 sms"},
			{care.LedgerEntry{State: care.StateDue, At: at(t, "2026-10-30 10:00")}, "2026-11-02 09:00 p/due 2026-11-02 sms"},
			{care.LedgerEntry{State: care.StateSent, At: at(t, "2026-10-30 10:00"), Class: care.Safety}, "2026-11-02 09:00 p/due 2026-11-02 sms"},
			{care.LedgerEntry{State: care.StateSent, At: at(t, "2026-10-30 10:00"), Channel: care.Webhook}, "2026-11-02 09:00 p/due 2026-11-02 sms"},
		} {
			f := facts(t, person+"}")
			f.Ledger = care.Ledger{"axxxxxxxxxxxxxxxxxxxxxxxxx": c.entry}
			expect(t, p.Plan(f, november), c.want)
		}
	})
	t.Run("a greeting takes no reminder's place, a reminder takes a greeting's", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct {
			first, second care.Class
			want          string
		}{
			{care.Care, care.Service, "sms"},
			{care.Commercial, care.Service, "sms"},
			{care.Commercial, care.Care, "sms"},
			{care.Service, care.Service, "sms capped"},
			{care.Service, care.Care, "sms capped"},
			{care.Service, care.Commercial, "sms capped"},
			{care.Care, care.Care, "sms capped"},
			{care.Care, care.Commercial, "sms capped"},
			{care.Safety, care.Service, "sms"},
			{care.Service, care.Safety, "sms"},
		} {
			d := capped(map[string]int{"default": 1})
			d.ConsentDefault.Commercial = new(true)
			list := newPlanner(t, d, daily("a", 50, c.first, days[0]), daily("b", 50, c.second, days[1])).Plan(facts(t, person+"}"), november)
			if got := strings.Join(strings.Fields(lines(list)[1])[4:], " "); got != c.want {
				t.Errorf("%s after %s: %s, want %s", c.second, c.first, got, c.want)
			}
			// The same by the ledger of what went.
			f := facts(t, person+"}")
			f.Ledger = care.Ledger{list[0].ID: entryOf(list[0], care.StateDelivered)}
			got := lines(newPlanner(t, d, daily("b", 50, c.second, days[1])).Plan(f, november))
			if got := strings.Join(strings.Fields(got[0])[4:], " "); got != c.want {
				t.Errorf("%s after %s went: %s, want %s", c.second, c.first, got, c.want)
			}
		}
	})
	t.Run("what is not capped counts for none", func(t *testing.T) {
		t.Parallel()
		free := daily("b", 90, care.Service, days[1])
		free.Capped = new(false)
		p := newPlanner(t, capped(map[string]int{"default": 1}), daily("a", 50, care.Service, days[0]), free, daily("c", 50, care.Service, days[2]))
		f := facts(t, person+"}")
		list := p.Plan(f, november)
		expect(t, list, "2026-11-02 09:00 a/due 2026-11-02 sms", "2026-11-03 09:00 b/due 2026-11-03 sms", "2026-11-09 09:00 c/due 2026-11-04 sms capped")
		f.Ledger = care.Ledger{list[1].ID: entryOf(list[1], care.StateSent)}
		expect(t, p.Plan(f, november), lines(list)...)
		f.Customer.Preferences.MaxPerWeek = new(0)
		f.Ledger = nil
		expect(t, p.Plan(f, november)[1:2], "2026-11-03 09:00 b/due 2026-11-03 skip capped") // a customer's own no is no cap
	})
	t.Run("a system takes what is too much for a person", func(t *testing.T) {
		t.Parallel()
		prog := daily("p", 50, care.Service, days...)
		prog.Channels = []string{"sms", "webhook"}
		expect(
			t, newPlanner(t, capped(map[string]int{"default": 1}), prog).Plan(facts(t, person+"}"), november),
			"2026-11-02 09:00 p/due 2026-11-02 sms", "2026-11-03 09:00 p/due 2026-11-03 webhook", "2026-11-04 09:00 p/due 2026-11-04 webhook",
		)
	})
	t.Run("put off into quiet hours it waits for their end", func(t *testing.T) {
		t.Parallel()
		f := facts(t, person+"}")
		f.Ledger = care.Ledger{"axxxxxxxxxxxxxxxxxxxxxxxxx": {State: care.StateSent, At: at(t, "2026-10-30 23:00")}}
		expect(
			t, newPlanner(t, capped(map[string]int{"default": 1}), daily("p", 50, care.Service, days[0])).Plan(f, november),
			"2026-11-07 08:00 p/due 2026-11-02 sms capped",
		)
	})
}

// workshop is a program on the insurance or inspection date that merges with its like.
func workshop(name, on string, priority int) *care.Program {
	p := testProgram(name, on)
	p.Merge, p.Priority = "workshop", priority
	return p
}

func TestMerging(t *testing.T) {
	t.Parallel()
	p := newPlanner(
		t, testDealer(), workshop("insurance", care.OnInsuranceEnd, 10), workshop("inspection", care.OnInspectionDue, 90),
		workshop("warranty", care.OnWarrantyEnd, 50), testProgram("delivery", care.OnDelivery),
	)
	november := Request{From: at(t, "2026-11-01"), To: at(t, "2026-12-01")}
	f := withCar(t, `"insurance_until":"2026-11-02","inspection_due":"2026-11-05","warranty":{"until":"2026-11-06"},"delivered_on":"2026-11-02"`)
	list := p.Plan(f, november)
	// The inspection is the most important: it goes at the time of the insurance, 72 hours before its own. The warranty is too far.
	expect(
		t, list, "2026-11-02 09:00 V1 delivery/due once sms", "2026-11-02 09:00 V1 inspection/due 2026-11-05 sms",
		"2026-11-02 09:00 V1 insurance/due 2026-11-02 skip merged", "2026-11-06 09:00 V1 warranty/due 2026-11-06 sms",
	)
	if also := list[1].Subject.Also; len(also) != 1 || also[0] != list[2] || also[0].Subject.Vehicle == nil || !list[2].Over {
		t.Errorf("also: %v", also)
	}
	// It counts as one message.
	d := capped(map[string]int{"default": 1})
	p = newPlanner(t, d, workshop("insurance", care.OnInsuranceEnd, 10), workshop("inspection", care.OnInspectionDue, 90))
	expect(t, p.Plan(f, november), "2026-11-02 09:00 V1 inspection/due 2026-11-05 sms", "2026-11-02 09:00 V1 insurance/due 2026-11-02 skip merged")
	// What may not go by itself is not carried along.
	f.Customer.Preferences.Off = []string{"insurance"}
	expect(t, p.Plan(f, november), "2026-11-02 09:00 V1 insurance/due 2026-11-02 skip topic_off", "2026-11-05 09:00 V1 inspection/due 2026-11-05 sms")
}

// The ledger remembers what went along with a message; what was not with it goes by itself.
func TestMergedIsRememberedInTheLedger(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), workshop("insurance", care.OnInsuranceEnd, 10), workshop("inspection", care.OnInspectionDue, 90))
	f := withCar(t, `"insurance_until":"2026-11-02","inspection_due":"2026-11-04"`)
	now := at(t, "2026-11-02 10:00")
	sweep := Request{From: now.Add(-p.LongestExpiry()), To: now.Add(48 * time.Hour), Now: now}
	list := p.Plan(f, sweep)
	expect(t, list, "2026-11-02 09:00 V1 inspection/due 2026-11-04 sms", "2026-11-02 09:00 V1 insurance/due 2026-11-02 skip merged")
	carrier, rider := list[0], list[1]
	entry := func(o *care.Occurrence, s care.State, reason, with string) care.LedgerEntry {
		return care.LedgerEntry{State: s, At: o.Release, Class: o.Class, Channel: care.SMS, Program: o.Program, Vehicle: o.Vehicle, Step: o.Step, Cycle: o.Cycle, On: o.On, Reason: reason, Merged: with}
	}
	for _, c := range []struct {
		name   string
		ledger care.Ledger
		want   []string
		change string
	}{
		{"the carrier is queued", care.Ledger{carrier.ID: entry(carrier, care.StateDue, "", "")}, lines(list), "0/0/0"},
		{
			"it went",
			care.Ledger{carrier.ID: entry(carrier, care.StateSent, "", ""), rider.ID: entry(rider, care.StateSkipped, "merged", carrier.ID)},
			[]string{"2026-11-02 09:00 V1 insurance/due 2026-11-02 skip merged", "2026-11-04 09:00 V1 inspection/due 2026-11-04 sms"},
			"0/0/0",
		},
		{
			"the rider was queued before the carrier came",
			care.Ledger{rider.ID: entry(rider, care.StateDue, "", "")},
			lines(list), "1/0/1",
		},
	} {
		f.Ledger = c.ledger
		got := p.Plan(f, sweep)
		if diff := cmp.Diff(c.want, lines(got)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		change := p.Changes(f, got, Request{Now: now})
		if got := fmt.Sprintf("%d/%d/%d", len(change.Add), len(change.Move), len(change.Drop)); got != c.change {
			t.Errorf("%s: add/move/drop %s, want %s", c.name, got, c.change)
		}
		if f.Ledger[carrier.ID].State == care.StateSent {
			continue
		}
		// At sending the carrier says what goes with it.
		if o := p.Check(f, recordOf(carrier), Request{Now: now}); len(o.Subject.Also) != 1 || o.Subject.Also[0].ID != rider.ID {
			t.Errorf("%s: with it goes %v", c.name, lines(o.Subject.Also))
		}
	}
}

func peersOf(p *Planner, r Request, all []*care.Facts) *Peers {
	peers := p.NewPeers()
	for _, f := range all {
		peers.Add(f, r)
	}
	return peers
}

// meet makes those who share addresses or cars known to each other, as a sweep does.
func meet(p *Planner, all []*care.Facts) {
	kin := p.NewKin()
	byID := map[string]*care.Facts{}
	for _, f := range all {
		kin.Add(f)
		byID[f.ID] = f
	}
	kin.Close()
	for _, ids := range kin.Groups() {
		var group []*care.Facts
		for _, id := range ids {
			group = append(group, byID[id])
		}
		Together(group)
	}
}

func TestHouseholdsAreGreetedOnce(t *testing.T) {
	t.Parallel()
	prog := testProgram("autumn", care.OnCalendar)
	prog.Trigger.Festival = "mid_autumn"
	p := newPlanner(t, testDealer(), prog, testProgram("birthday", care.OnBirthday))
	all := []*care.Facts{
		facts(t, `{"id":"C1","phone":"+861","consent":{"sms":{"service":false}},"email":"x@example.com","birthday":"--09-25"}`),
		facts(t, `{"id":"C2","phone":"+861","birthday":"--09-25"}`),
		facts(t, `{"id":"C3","phone":"+861","birthday":"--09-25"}`),
		facts(t, `{"id":"C4","phone":"+864","birthday":"--09-25"}`),
	}
	r := Request{From: at(t, "2026-09-20"), To: at(t, "2026-10-01")}
	meet(p, all)
	var got []string
	for _, f := range all {
		for _, line := range lines(p.Plan(f, r)) {
			got = append(got, f.ID+" "+line)
		}
	}
	want := []string{ // C1 gets no SMS, so C2 is the lowest id at that number; birthdays are everybody's own
		"C1 2026-09-25 09:00 autumn/due 2026-09-25 email", "C1 2026-09-25 09:00 birthday/due 2026 email",
		"C2 2026-09-25 09:00 autumn/due 2026-09-25 sms", "C2 2026-09-25 09:00 birthday/due 2026 sms",
		"C3 2026-09-25 09:00 autumn/due 2026-09-25 skip duplicate_household", "C3 2026-09-25 09:00 birthday/due 2026 sms",
		"C4 2026-09-25 09:00 autumn/due 2026-09-25 sms", "C4 2026-09-25 09:00 birthday/due 2026 sms",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCapacityMovesTheOverflowToTheNextDay(t *testing.T) {
	t.Parallel()
	prog := testProgram("service", care.OnInspectionDue)
	prog.Capacity.PerDay, prog.Schedule, prog.Expires = 2, "0 9 * * MON-SAT", care.Expiry{Hours: 24 * 5}
	prog.Steps[0].Offset = care.Offset{Days: -14}
	p := newPlanner(t, testDealer(), prog)
	car := func(id, due string) *care.Facts {
		return facts(t, `{"id":"`+id+`","phone":"+861","vehicles":[{"id":"V1","inspection_due":"`+due+`"}]}`)
	}
	// 2026-11-21 is a Saturday. Five are due then (two of them since Friday evening's Sunday step); Sunday is no day of the schedule.
	all := []*care.Facts{
		car("C1", "2026-12-05"), car("C2", "2026-12-05"), car("C3", "2026-12-05"), car("C4", "2026-12-05"), car("C5", "2026-12-05"),
		car("C6", "2026-12-06"), car("C7", "2026-12-07"),
	}
	r := Request{From: at(t, "2026-11-16"), To: at(t, "2026-12-01")}
	plan := func(order []*care.Facts) []string {
		r := r
		r.Peers = peersOf(p, r, order)
		var list []*care.Occurrence
		for _, f := range all {
			list = append(list, p.Plan(f, r)...)
		}
		Sort(list)
		var got []string
		for _, o := range list {
			got = append(got, o.Customer+" "+o.Release.Format("01-02 15:04")+" "+string(o.Verdict)+" "+o.Reason)
		}
		return got
	}
	want := []string{
		"C1 11-21 09:00 send ", "C2 11-21 09:00 send ",
		"C3 11-23 09:00 send capacity", "C4 11-23 09:00 send capacity", // the most overdue before those whose own day it is
		"C5 11-24 09:00 send capacity", "C6 11-24 09:00 send capacity", "C7 11-25 09:00 send capacity",
	}
	if diff := cmp.Diff(want, plan(all)); diff != "" {
		t.Error(diff)
	}
	for range 5 {
		order := append([]*care.Facts(nil), all...)
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if diff := cmp.Diff(want, plan(order)); diff != "" {
			t.Errorf("the order of the customers matters: %s", diff)
		}
	}
	// Who would have to wait too long is not sent at all, and takes nobody's place.
	for _, id := range []string{"D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8"} {
		all = append(all, car(id, "2026-12-05"))
	}
	perDay := map[string]int{}
	for _, line := range plan(all) {
		if strings.HasSuffix(line, "skip capacity") {
			perDay["skipped"]++
		} else {
			perDay[line[3:8]]++
		}
	}
	// Thirteen want Saturday, and expire on Thursday at nine; the two of Sunday and Monday can wait until Thursday.
	if diff := cmp.Diff(map[string]int{"11-21": 2, "11-23": 2, "11-24": 2, "11-25": 2, "11-26": 2, "skipped": 5}, perDay); diff != "" {
		t.Error(diff)
	}
}

func TestCapacityCountsWhatWent(t *testing.T) {
	t.Parallel()
	prog := testProgram("service", care.OnInspectionDue)
	prog.Capacity.PerDay = 1
	p := newPlanner(t, testDealer(), prog)
	car := func(id string) *care.Facts {
		return facts(t, `{"id":"`+id+`","phone":"+861","vehicles":[{"id":"V1","inspection_due":"2026-11-20"}]}`)
	}
	sent, next, late := car("C9"), car("C1"), car("C5")
	now := at(t, "2026-11-20 10:00")
	r := Request{From: now.Add(-p.LongestExpiry()), To: now.Add(48 * time.Hour), Now: now}
	o := p.Plan(sent, r)[0]
	sent.Ledger = care.Ledger{o.ID: {State: care.StateSent, At: now, Program: "service", Channel: care.SMS}}
	r.Peers = peersOf(p, r, []*care.Facts{next, sent})
	expect(t, p.Plan(next, r), "2026-11-21 09:00 V1 service/due 2026-11-20 sms capacity")
	expect(t, p.Plan(sent, r), "2026-11-20 09:00 V1 service/due 2026-11-20 sms")
	// A record that comes in later takes the next free day.
	r.Peers.Add(late, r)
	expect(t, p.Plan(late, r), "2026-11-22 09:00 V1 service/due 2026-11-20 sms capacity")
}
