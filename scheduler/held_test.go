package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"pgregory.net/rapid"
)

// car is one that is delivered on 20 November 2026.
const car = `"vehicles":[{"id":"V1","make":"Buick","model":"Regal","delivered_on":"2026-11-20"}]`

// A channel that is held back only for now wins over those that can never take the message (design A5.3).
func TestHeldBackForNowBeatsNever(t *testing.T) {
	t.Parallel()
	const mail, phone = `"email":"a@example.com",`, `"phone":"+8613800138000",`
	paused := func(channels ...care.Channel) *care.Operator {
		op := &care.Operator{Channels: map[care.Channel]bool{}}
		for _, ch := range channels {
			op.Channels[ch] = true
		}
		return op
	}
	for name, c := range map[string]struct {
		record  string
		overlay care.Overlay
		op      *care.Operator
		want    string
	}{
		"no phone":                      {mail, care.Overlay{}, paused(care.Email), "paused email"},
		"no consent to SMS":             {mail + phone + `"consent":{"sms":{"service":false}},`, care.Overlay{}, paused(care.Email), "paused email"},
		"a stop of SMS":                 {mail + phone, care.Overlay{Stops: map[string]care.Stop{"sms": {}}}, paused(care.Email), "paused email"},
		"SMS paused, no mailbox":        {phone, care.Overlay{}, paused(care.SMS), "paused sms"},
		"SMS paused, mail goes":         {mail + phone, care.Overlay{}, paused(care.SMS), " email"},
		"both paused":                   {mail + phone, care.Overlay{}, paused(care.SMS, care.Email), "paused sms"},
		"what is paused could not go":   {phone + `"consent":{"sms":{"service":false}},`, care.Overlay{}, paused(care.Email), "no_channel "},
		"nor the other":                 {mail + `"consent":{"email":{"service":false}},`, care.Overlay{}, paused(care.Email), "no_channel "},
		"everything is paused":          {phone, care.Overlay{}, &care.Operator{All: true}, "paused sms"},
		"everything, and no way to go":  {`"locale":"en",`, care.Overlay{}, &care.Operator{All: true}, "paused "},
		"the program":                   {mail, care.Overlay{}, &care.Operator{Programs: map[string]bool{"p": true}}, "paused email"},
		"the dealer":                    {phone, care.Overlay{}, &care.Operator{Dealers: map[string]bool{"sh": true}}, "paused sms"},
		"the topic is off and so is it": {mail + `"preferences":{"off":["p"]},`, care.Overlay{}, paused(care.Email), "topic_off "},
	} {
		prog := testProgram("p", care.OnDelivery)
		prog.Channels = []string{"preferred", "sms", "email"}
		p := newPlanner(t, testDealer(), prog)
		f := facts(t, `{"id":"C1",`+c.record+car+`}`)
		f.Overlay = &c.overlay
		list := p.Plan(f, Request{From: at(t, "2026-11-01"), To: at(t, "2026-12-01"), Operator: c.op})
		if len(list) != 1 {
			t.Fatalf("%s: %v", name, lines(list))
		}
		if got := list[0].Reason + " " + string(list[0].Channel); got != c.want || list[0].Over {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Whatever is paused and resumed in whatever order: what could go before and can go after goes, or says that it expired while it was
// paused. It is never recorded as skipped.
func TestPausesLoseNothing(t *testing.T) {
	t.Parallel()
	went, late := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		prog := testProgram("p", care.OnDelivery)
		prog.Channels = rapid.Permutation([]string{"preferred", "sms", "email"}).Draw(t, "channels")[:rapid.IntRange(1, 3).Draw(t, "n")]
		prog.Expires = care.Expiry{Hours: rapid.SampledFrom([]int{2, 6, 72}).Draw(t, "expires")}
		p, _ := New(&care.Book{Dealers: []*care.Dealer{testDealer()}, Programs: []*care.Program{prog}}, Capabilities{})
		f := decode(t, drawPerson(t))
		if rapid.Bool().Draw(t, "stop") {
			f.Overlay = &care.Overlay{Stops: map[string]care.Stop{rapid.SampledFrom([]string{"sms", "email", "*"}).Draw(t, "of"): {}}}
		}
		f.Ledger = care.Ledger{}
		now := time.Date(2026, 11, 19, 14, 0, 0, 0, time.UTC)
		free := p.Plan(f, Request{From: now, To: now.AddDate(0, 0, 5), Now: now})
		sendable := len(free) == 1 && free[0].Verdict == care.Send
		held := 0
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "minutes")) * time.Minute)
			op := drawOperator(t)
			held = look(t, p, f, now, op, sendable, held)
		}
		for _, e := range f.Ledger {
			if e.State.Pending() { // all is resumed: at the next look it goes
				look(t, p, f, now, nil, sendable, held)
			}
		}
		for _, e := range f.Ledger {
			switch {
			case e.State == care.StateSent:
				went++
			case e.State == care.StateExpired && e.Reason == care.ReasonPaused:
				late++
			case sendable && !(e.State.Pending() && now.Before(free[0].Release.Add(time.Hour))):
				t.Fatalf("it is %s (%s)", e.State, e.Reason)
			}
		}
	})
	if went == 0 || late == 0 {
		t.Errorf("%d went, %d expired while paused: the test tells nothing", went, late)
	}
}

func drawPerson(t *rapid.T) string {
	record := `{"id":"C1",`
	if rapid.Bool().Draw(t, "mail") {
		record += `"email":"a@example.com",`
	}
	if rapid.Bool().Draw(t, "phone") {
		record += `"phone":"+8613800138000",`
	}
	yes := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) > 0 }
	return record + fmt.Sprintf(`"consent":{"sms":{"service":%t},"email":{"service":%t}},`, yes("sms"), yes("email")) + car + `}`
}

func drawOperator(t *rapid.T) *care.Operator {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	return &care.Operator{
		All: rapid.IntRange(0, 3).Draw(t, "all") == 0, Channels: map[care.Channel]bool{care.Email: flag("email"), care.SMS: flag("sms")},
		Programs: map[string]bool{"p": rapid.IntRange(0, 9).Draw(t, "program") == 0},
	}
}

// look sweeps and delivers once, as the daemon does, and returns how often the message was held back at sending.
func look(t *rapid.T, p *Planner, f *care.Facts, now time.Time, op *care.Operator, sendable bool, held int) int {
	r := Request{From: now.Add(-p.LongestExpiry()), To: now.Add(horizon), Now: now, Operator: op}
	change := p.Changes(f, p.Plan(f, r), r)
	for _, o := range append(change.Add, change.Move...) {
		f.Ledger[o.ID] = care.LedgerEntry{State: care.StateDue, At: o.Release, Class: o.Class, Channel: o.Channel, Program: o.Program, Vehicle: o.Vehicle, Step: o.Step, Cycle: o.Cycle, On: o.On, Reason: o.Reason}
	}
	end := func(id string, state care.State, reason string) {
		if state == care.StateSkipped && sendable {
			t.Fatalf("%v: skipped (%s) with %+v", now, reason, op)
		}
		e := f.Ledger[id]
		e.State, e.Reason, e.At = state, reason, now
		f.Ledger[id] = e
	}
	for _, d := range change.Drop {
		end(d.ID, d.State, d.Reason)
	}
	for id, e := range f.Ledger {
		if e.State != care.StateDue || e.At.After(now) {
			continue
		}
		rec := &care.Record{ID: id, Customer: "C1", Vehicle: e.Vehicle, Program: e.Program, Step: e.Step, Cycle: e.Cycle, On: e.On, Release: e.At, Channel: e.Channel, Reason: e.Reason, Expires: e.At.Add(72 * time.Hour)}
		o := p.Check(f, rec, Request{Now: now, Operator: op})
		switch {
		case o.Verdict == care.Skip:
			end(id, o.Ends(), o.Reason)
		case o.Release.After(now):
			held++
			e.Reason = o.Reason // and it waits: the next look comes at the latest when it says
			f.Ledger[id] = e
		default:
			end(id, care.StateSent, "")
		}
	}
	return held
}

// What may have arrived on a channel waits for that channel: another would tell the customer twice.
func TestWhatMayHaveArrivedWaitsForItsChannel(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("p", care.OnDelivery))
	f := facts(t, `{"id":"C1","email":"a@example.com","phone":"+8613800138000",`+car+`}`)
	now := at(t, "2026-11-20").Add(10 * time.Hour)
	o := p.Plan(f, Request{From: now.AddDate(0, 0, -1), To: now})[0]
	rec := &care.Record{
		ID: o.ID, Customer: o.Customer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle, Channel: care.Email,
		Attempts: []care.Attempt{{N: 1, Channel: care.Email, Kind: care.KindUncertain}},
	}
	got := p.Check(f, rec, Request{Now: now, Operator: &care.Operator{Channels: map[care.Channel]bool{care.Email: true}}})
	if got.Verdict != care.Send || !got.Release.After(now) || got.Reason != care.ReasonPaused {
		t.Errorf("%s %s %v", got.Verdict, got.Reason, got.Release)
	}
	if got := p.Check(f, rec, Request{Now: now}); got.Channel != care.Email || got.Release.After(now) {
		t.Errorf("after the pause it is to go by %s at %v", got.Channel, got.Release)
	}
}

// An operator may send what has expired: it lives as long as its record then says.
func TestReopenedMessagesGo(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("p", care.OnDelivery))
	f := facts(t, `{"id":"C1","email":"a@example.com","phone":"+8613800138000",`+car+`}`)
	o := p.Plan(f, Request{From: at(t, "2026-11-19"), To: at(t, "2026-11-22")})[0]
	now := o.Expires.Add(10 * time.Hour)
	rec := &care.Record{ID: o.ID, Customer: o.Customer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle, Channel: care.SMS, Expires: now.Add(24 * time.Hour)}
	if got := p.Check(f, rec, Request{Now: now}); got.Ends() != care.StateExpired {
		t.Errorf("not reopened it is %s %s", got.Verdict, got.Reason)
	}
	rec.Reopened = true
	if got := p.Check(f, rec, Request{Now: now}); got.Verdict != care.Send {
		t.Errorf("reopened it is %s %s", got.Verdict, got.Reason)
	}
	if got := p.Check(f, rec, Request{Now: rec.Expires}); got.Ends() != care.StateExpired {
		t.Errorf("a day later it is %s %s", got.Verdict, got.Reason)
	}
}
