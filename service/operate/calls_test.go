package operate_test

import (
	"log/slog"
	"testing"
	"testing/fstest"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/events"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
	"github.com/carebell/carebell/store/redistest"
)

// callCentre has a program whose step is a call, and customers with and without a number.
func callCentre(t *testing.T, now time.Time) (*operate.Service, *carebook.Compiled) {
	t.Helper()
	clock := func() time.Time { return now }
	st, err := store.Open(t.Context(), store.Options{URL: redistest.Run(t).URL(), AllowUnsafe: true, Clock: clock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	book, problems, err := carebook.Check(carebook.Options{Now: clock, HashKey: func() []byte { return []byte("0123456789") }, Files: fstest.MapFS{
		"dealers.yaml": {Data: []byte(dealersFile)},
		"programs/lost.yaml": {Data: []byte(`program: lost
trigger: {on: delivery}
channels: [task]
expires: 7d
steps: [{step: call, template: lost}]
`)},
		"templates/lost/en/task.txt": {Data: []byte("Ask {{ customer.salutation }} how the {{ vehicle.model | default: 'car' }} is.\n")},
	}})
	if err != nil {
		t.Fatal(problems, err)
	}
	return &operate.Service{Store: st, Book: func() (*carebook.Compiled, error) { return book, nil }, Now: clock, Log: slog.New(slog.DiscardHandler)}, book
}

// place plans a customer's call and puts it on the list as delivery does; false = it is not due.
func place(t *testing.T, s *operate.Service, book *carebook.Compiled, record string) bool {
	t.Helper()
	id := record[7:9]
	if _, err := s.Store.Merge(t.Context(), []string{id}, func(int, []byte) ([]byte, error) { return []byte(record), nil }); err != nil {
		t.Fatal(err)
	}
	facts, err := s.Store.Facts(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	now := s.Now()
	request := scheduler.Request{From: now.Add(-book.Planner.LongestExpiry()), To: now.Add(scheduler.Horizon), Now: now}
	plan := book.Planner.Plan(facts[0], request)
	change := book.Planner.Changes(facts[0], plan, request)
	if len(change.Add) == 0 {
		return false
	}
	if _, err := s.Store.Apply(t.Context(), []care.Change{change}); err != nil {
		t.Fatal(err)
	}
	claims, err := s.Store.Claim(t.Context(), []care.Lane{{Channel: care.Task, Urgent: true}}, 1, time.Minute)
	if err != nil || len(claims) != 1 {
		t.Fatal(len(claims), err)
	}
	claim := claims[0]
	o := book.Check(facts[0], &claim.Record, now, nil)
	if o.Verdict != care.Send || len(o.Channels) != 1 || o.Channels[0] != care.Task {
		t.Fatalf("%+v", o)
	}
	m, err := book.Compose(facts[0], o, care.Task, now)
	if err != nil {
		t.Fatal(err)
	}
	m.At = now
	if _, err := s.Store.Begin(t.Context(), []care.Intent{{Claim: claim, At: now}}); err != nil {
		t.Fatal(err)
	}
	caller := events.Caller{Note: s.Store.Note}
	for range 2 { // a crash in between repeats it
		if _, err := caller.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		m.At = m.At.Add(time.Second)
	}
	done := claim.Record
	done.State, done.UpdatedAt = care.StateSent, now
	if _, err := s.Store.Complete(t.Context(), []care.Result{{Claim: claim, Record: done}}); err != nil {
		t.Fatal(err)
	}
	return true
}

func TestCallsAreListedAndClosed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)
	s, book := callCentre(t, now)
	const car = `"vehicles":[{"id":"V1","model":"Regal","delivered_on":"2026-12-01"}]}`
	for i, c := range []struct {
		who, outcome string
		want         care.State
	}{
		{`"phone":"+13125550199"`, "reached", care.StateDelivered},
		{`"email":"a@example.com"`, "not_reached", care.StateUndelivered},
		{`"phone":"+13125550198"`, "wrong_number", care.StateUndelivered},
		{`"phone":"+13125550197","preferences":{"quiet":"00:00-23:59"}`, "appointment", care.StateDelivered},
	} {
		id := "C" + string(rune('0'+i))
		if !place(t, s, book, `{"id":"`+id+`","dealer":"north","salutation":"Ms. Smith",`+c.who+`,`+car) {
			t.Fatalf("%s: no call is due", id)
		}
		calls, err := s.Calls(t.Context(), care.CommandLine())
		if err != nil || len(calls) != 1 {
			t.Fatal(calls, err)
		}
		call := calls[0]
		if call.Customer != id || call.Script != "Ask Ms. Smith how the Regal is." || (call.Value == events.NoNumber) != (i == 1) {
			t.Errorf("%+v", call)
		}
		if done, err := s.CloseCall(t.Context(), care.Principal{Name: "s", Dealers: []string{"south"}}, call.Key, c.outcome); done || err != nil {
			t.Error("another dealer closed it", err)
		}
		if _, err := s.CloseCall(t.Context(), care.CommandLine(), call.Key, "sold"); err == nil {
			t.Error("there is no such outcome")
		}
		if done, err := s.CloseCall(t.Context(), care.CommandLine(), call.Key, c.outcome); !done || err != nil {
			t.Error(done, err)
		}
		if done, err := s.CloseCall(t.Context(), care.CommandLine(), call.Key, c.outcome); done || err != nil {
			t.Error("closed twice", err)
		}
		facts, err := s.Store.Facts(t.Context(), []string{id})
		if err != nil || len(facts[0].Ledger) != 1 {
			t.Fatal(err)
		}
		for _, e := range facts[0].Ledger {
			if e.State != c.want || e.Channel != care.Task {
				t.Errorf("%s: %+v", c.outcome, e)
			}
		}
		if wrong := c.outcome == "wrong_number"; wrong != (facts[0].Overlay != nil && len(facts[0].Overlay.Suppressed) == 1) {
			t.Errorf("%s: %+v", c.outcome, facts[0].Overlay)
		}
		line, err := s.Store.Timeline(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		closed := 0
		for _, e := range line {
			if e.Kind == care.KindTaskDone && e.Value == c.outcome && e.By == "command line" && e.Script == "" {
				closed++
			}
		}
		if closed != 1 {
			t.Errorf("%s: %+v", c.outcome, line)
		}
	}
	list, err := s.Store.Events(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Script != "" {
			t.Error("the script is in care:events")
		}
	}
}

// Who said no to calls, to the program or to everything is not called; who must not be disturbed is not called either.
func TestWhoIsNotCalled(t *testing.T) {
	t.Parallel()
	s, book := callCentre(t, time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC))
	for _, no := range []string{
		`"consent":{"task":{"service":false}}`, `"preferences":{"off":["lost"]}`, `"preferences":{"off":["service"]}`, `"holds":[{"reason":"complaint","since":"2026-11-01"}]`,
		`"holds":[{"reason":"deceased"}]`,
	} {
		if place(t, s, book, `{"id":"C9","dealer":"north","salutation":"Ms. Smith","phone":"+13125550199",`+no+`,"vehicles":[{"id":"V1","delivered_on":"2026-12-01"}]}`) {
			t.Errorf("called in spite of %s", no)
		}
	}
	if place(t, s, book, `{"id":"C8","dealer":"north","salutation":"Ms. Smith","vehicles":[{"id":"V1","delivered_on":"2026-12-01","sold_on":"2026-11-30"}]}`) {
		t.Error("called about a car that is sold")
	}
	stop := func(o *care.Overlay) error {
		o.Stops = map[string]care.Stop{"*": {At: s.Now(), Source: "link"}}
		return nil
	}
	if err := s.Store.UpdateOverlay(t.Context(), "C7", stop); err != nil {
		t.Fatal(err)
	}
	if place(t, s, book, `{"id":"C7","dealer":"north","salutation":"Ms. Smith","vehicles":[{"id":"V1","delivered_on":"2026-12-01"}]}`) {
		t.Error("called after a stop of everything")
	}
	if !place(t, s, book, `{"id":"C6","dealer":"north","salutation":"Ms. Smith","vehicles":[{"id":"V1","delivered_on":"2026-12-01"}]}`) {
		t.Error("who said nothing is called")
	}
}
