package scheduler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
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

// A pause puts nobody into the queue whom the message is not for.
func TestAPauseQueuesNobodyElse(t *testing.T) {
	t.Parallel()
	prog := testProgram("p", care.OnDelivery)
	prog.Audience = `"ev" in customer.tags`
	p := newPlanner(t, testDealer(), prog)
	now := at(t, "2026-11-19 12:00")
	r := Request{From: now, To: now.Add(Horizon), Now: now, Operator: &care.Operator{All: true}}
	for tags, want := range map[string]int{`"tags":["ev"],`: 1, ``: 0} {
		f := facts(t, `{"id":"C1","phone":"+8613800138000",`+tags+car+`}`)
		if change := p.Changes(f, p.Plan(f, r), r); len(change.Add) != want {
			t.Errorf("%q: %d queued, want %d", tags, len(change.Add), want)
		}
	}
}

// story is a message on its way through stops: what the program, the customer and the past are like, and what happens while it waits.
type story struct {
	channels []string
	hours    int // until it expires
	record   string
	stop     string // what the customer has stopped; "" = nothing
	lately   int    // hours since another message used up the cap of one a week; 0 = none did
	moments  []moment
}

// moment is a look at the queue, some minutes after the one before it. A gateway that rests, or is at its limit, takes nothing.
type moment struct {
	minutes int
	op      *care.Operator
	rests   map[care.Channel]bool
}

var stories = rapid.Custom(func(t *rapid.T) story {
	s := story{
		channels: rapid.Permutation([]string{"preferred", "sms", "email"}).Draw(t, "channels")[:rapid.IntRange(1, 3).Draw(t, "n")],
		hours:    rapid.SampledFrom([]int{2, 6, 72}).Draw(t, "expires"), record: drawPerson(t),
		stop: rapid.SampledFrom([]string{"", "", "sms", "email", "*"}).Draw(t, "stop"), lately: rapid.SampledFrom([]int{0, 0, 100, 150}).Draw(t, "lately"),
	}
	pauses, rests := rapid.IntRange(0, 4).Draw(t, "pauses"), rapid.IntRange(0, 4).Draw(t, "rests") // how often, in quarters
	often := func(quarters int, name string) bool { return rapid.IntRange(1, 4).Draw(t, name) <= quarters }
	for range 60 {
		s.moments = append(s.moments, moment{
			minutes: rapid.IntRange(10, 60).Draw(t, "minutes"),
			op: &care.Operator{
				All: often(pauses-2, "all"), Channels: map[care.Channel]bool{care.Email: often(pauses, "email"), care.SMS: often(pauses, "sms")},
				Programs: map[string]bool{"p": often(pauses-3, "program")},
			},
			rests: map[care.Channel]bool{care.Email: often(rests, "email rests"), care.SMS: often(rests, "sms rests")},
		})
	}
	return s
})

// Whatever is paused and resumed in whatever order, and whichever gateway rests: what could go before and can go after goes, or says that
// it expired while it was held back. It is never recorded as skipped.
func TestPausesLoseNothing(t *testing.T) {
	t.Parallel()
	ends := map[string]int{}
	for seed := range 300 { // always the same
		ends[stories.Example(seed).live(t)]++
	}
	if ends["sent "] < 20 || ends["expired paused"] < 10 || ends["expired expired"] < 1 {
		t.Errorf("they ended so: %v; the test tells too little", ends)
	}
	rapid.Check(t, func(t *rapid.T) { stories.Draw(t, "story").live(t) })
}

// live lets a story happen and returns how its message ended.
func (s story) live(t rapid.TB) string {
	prog := testProgram("p", care.OnDelivery)
	prog.Channels, prog.Expires = s.channels, care.Expiry{Hours: s.hours}
	dealer := testDealer()
	dealer.Caps = capped(map[string]int{"default": 1}).Caps
	p, _ := New(&care.Book{Dealers: []*care.Dealer{dealer}, Programs: []*care.Program{prog}}, Capabilities{})
	c, _, err := record.Decode([]byte(s.record))
	if err != nil {
		t.Fatal(err)
	}
	f := &care.Facts{ID: c.ID, Customer: c, Ledger: care.Ledger{}}
	if s.stop != "" {
		f.Overlay = &care.Overlay{Stops: map[string]care.Stop{s.stop: {}}}
	}
	now := time.Date(2026, 11, 19, 14, 0, 0, 0, time.UTC)
	if s.lately > 0 {
		f.Ledger["another"] = care.LedgerEntry{State: care.StateSent, At: now.Add(-time.Duration(s.lately) * time.Hour), Class: care.Service, Channel: care.Email, Program: "other"}
	}
	free := p.Plan(f, Request{From: now, To: now.AddDate(0, 0, 5), Now: now})
	l := &life{p: p, f: f, sendable: len(free) == 1 && free[0].Verdict == care.Send}
	for _, m := range s.moments {
		now = now.Add(time.Duration(m.minutes) * time.Minute)
		l.look(t, now, m.op, m.rests)
	}
	for now.In(shanghai).Hour() < 9 || now.In(shanghai).Hour() > 20 { // quiet hours
		now = now.Add(time.Hour)
	}
	for range 2 { // all is resumed: it goes at once, or moves to another channel and goes by that
		l.look(t, now, nil, nil)
	}
	for id, e := range f.Ledger {
		switch {
		case id == "another":
		case !l.sendable, e.State == care.StateSent, e.State == care.StateExpired && (e.Reason == care.ReasonPaused || l.rested):
			return string(e.State) + " " + e.Reason
		case !e.State.Pending() || !now.Before(free[0].Release):
			t.Fatalf("%v: it is %s (%s) and was to go at %v: %+v", now, e.State, e.Reason, free[0].Release, s)
		}
	}
	if l.sendable && now.After(free[0].Release) {
		t.Fatalf("it never came into the queue: %+v", s)
	}
	return "waits"
}

func drawPerson(t *rapid.T) string {
	person := `{"id":"C1",`
	if rapid.Bool().Draw(t, "mail") {
		person += `"email":"a@example.com",`
	}
	if rapid.Bool().Draw(t, "phone") {
		person += `"phone":"+8613800138000",`
	}
	yes := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) > 0 }
	return person + fmt.Sprintf(`"consent":{"sms":{"service":%t},"email":{"service":%t}},`, yes("sms"), yes("email")) + car + `}`
}

// life is a customer whose one message is swept and delivered.
type life struct {
	p        *Planner
	f        *care.Facts
	sendable bool // it would go if nothing held it back
	rested   bool // a gateway rested when it was due
}

// look sweeps and delivers once, as the daemon does.
func (l *life) look(t rapid.TB, now time.Time, op *care.Operator, rests map[care.Channel]bool) {
	r := Request{From: now.Add(-l.p.LongestExpiry()), To: now.Add(Horizon), Now: now, Operator: op}
	change := l.p.Changes(l.f, l.p.Plan(l.f, r), r)
	for _, o := range append(change.Add, change.Move...) {
		l.f.Ledger[o.ID] = queuedEntry(o, care.StateDue, o.Release)
	}
	end := func(id string, state care.State, reason string) {
		if state == care.StateSkipped && l.sendable {
			t.Fatalf("%v: skipped (%s) with %+v", now, reason, op)
		}
		e := l.f.Ledger[id]
		e.State, e.Reason, e.At = state, reason, now
		l.f.Ledger[id] = e
	}
	for _, d := range change.Drop {
		end(d.ID, d.State, d.Reason)
	}
	for id, e := range l.f.Ledger {
		if e.State != care.StateDue || e.At.After(now) {
			continue
		}
		if rests[e.Channel] {
			l.rested = true
			continue
		}
		rec := &care.Record{ID: id, Customer: "C1", Vehicle: e.Vehicle, Program: e.Program, Step: e.Step, Cycle: e.Cycle, On: e.On, Release: e.At, Channel: e.Channel, Reason: e.Reason, Expires: e.At.Add(72 * time.Hour)}
		o := l.p.Check(l.f, rec, Request{Now: now, Operator: op})
		switch {
		case o.Verdict == care.Skip:
			end(id, o.Ends(), o.Reason)
		case o.Release.After(now):
			e.Reason = o.Reason // and it waits: the next look comes at the latest when it says
			l.f.Ledger[id] = e
		case !slices.Contains(o.Channels, e.Channel):
			e.Channel = o.Channel // it moves to the lane of a channel that it may go by
			l.f.Ledger[id] = e
		default:
			end(id, care.StateSent, "")
		}
	}
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
