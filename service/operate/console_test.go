package operate_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
)

const dealersFile = `dealers:
  - {dealer: north, name: N, time_zone: America/New_York, locale: en, country: US, phone: "+13125550123", from: {name: N, email: a@north.example}, sms_signature: N}
  - {dealer: south, name: S, time_zone: America/New_York, locale: en, country: US, phone: "+13125550124", from: {name: S, email: a@south.example}, sms_signature: S}
`

// console is one over two dealers, with a customer and a task at each, and a task at a dealer that the book does not know.
func console(t *testing.T) (*operate.Console, *store.Store) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(t.Context(), store.Options{URL: "redis://" + miniredis.RunT(t).Addr(), Embedded: true, AllowUnsafe: true, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	book, problems, err := carebook.Check(carebook.Options{Files: fstest.MapFS{"dealers.yaml": {Data: []byte(dealersFile)}}, Now: time.Now})
	if err != nil {
		t.Fatal(problems, err)
	}
	at := time.Now().Add(-time.Hour)
	for i, dealer := range []string{"north", "south", "elsewhere"} {
		id := fmt.Sprint("C", i)
		doc := fmt.Sprintf(`{"id":%q,"dealer":%q,"email":"c@example.com"}`, id, dealer)
		if _, err := st.Merge(t.Context(), []string{id}, func(int, []byte) ([]byte, error) { return []byte(doc), nil }); err != nil {
			t.Fatal(err)
		}
		task := care.EventEntry{At: at.Add(time.Duration(i) * time.Minute), Customer: id, Dealer: dealer, Kind: care.KindTask, Reason: "reply"}
		if err := st.Note(t.Context(), []care.EventEntry{task}); err != nil {
			t.Fatal(err)
		}
	}
	return &operate.Console{
		Store: st, Book: func() *carebook.Compiled { return book }, Now: time.Now, Version: "1",
		Operator: func(context.Context) (*care.Operator, error) { return new(care.Operator), nil },
		Leader:   func() (string, bool) { return "host:1", true },
	}, st
}

// TestAPrincipalSeesTheirDealersOnly asks every question in the name of several.
func TestAPrincipalSeesTheirDealersOnly(t *testing.T) {
	t.Parallel()
	c, _ := console(t)
	for _, tt := range []struct {
		who       care.Principal
		customers []string // that they see, and whose tasks they see, the newest first
		dealers   []string
	}{
		{care.Principal{}, nil, nil},
		{care.Principal{Dealers: []string{"north"}}, nil, nil}, // without a name: nobody
		{care.Principal{Name: "n", Role: "advisor", Dealers: []string{"north"}}, []string{"C0"}, []string{"north"}},
		{care.Principal{Name: "both", Role: "advisor", Dealers: []string{"north", "south"}}, []string{"C1", "C0"}, []string{"north", "south"}},
		{care.Principal{Name: "op", Role: "operator"}, []string{"C2", "C1", "C0"}, []string{"north", "south"}},
	} {
		var seen []string
		for _, id := range []string{"C2", "C1", "C0"} {
			file, err := c.Customer(t.Context(), tt.who, id)
			switch {
			case err == nil && file.Customer.ID == id:
				seen = append(seen, id)
			case !errors.Is(err, care.ErrGone):
				t.Fatalf("%+v: %s: %v", tt.who, id, err)
			}
		}
		if diff := cmp.Diff(tt.customers, seen); diff != "" {
			t.Errorf("%+v sees the customers (-want +got):\n%s", tt.who, diff)
		}
		list, err := c.Tasks(t.Context(), tt.who, operate.TaskFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var tasks []string
		for i := range list.Tasks {
			tasks = append(tasks, list.Tasks[i].Customer)
		}
		if diff := cmp.Diff(tt.customers, tasks); diff != "" || list.Open != len(tasks) {
			t.Errorf("%+v sees the tasks (-want +got), %d open:\n%s", tt.who, list.Open, diff)
		}
		status, err := c.Status(t.Context(), tt.who)
		if err != nil || status.Tasks != len(tt.customers) || !slices.Equal(status.Dealers, tt.dealers) || !slices.Equal(list.Dealers, tt.dealers) {
			t.Errorf("%+v: %+v, %v", tt.who, status, err)
		}
		if len(tt.who.Dealers) > 0 {
			other, err := c.Tasks(t.Context(), tt.who, operate.TaskFilter{Dealer: "elsewhere", Limit: 10})
			if err != nil || other.Open != 0 || other.Tasks != nil {
				t.Errorf("%+v asks for another dealer's tasks: %+v, %v", tt.who, other, err)
			}
		}
	}
}

// TestMessagesOfADealer: the newest of several dealers come first, and no more than were asked for.
func TestMessagesOfADealer(t *testing.T) {
	t.Parallel()
	c, st := console(t)
	now := time.Now()
	var changes []care.Change
	for i, dealer := range []string{"north", "south", "elsewhere"} {
		id := fmt.Sprint("C", i)
		changes = append(changes, care.Change{Customer: id, Add: []*care.Occurrence{{
			ID: care.OccurrenceID(id, "", "birthday", "day", "2026"), Customer: id, Dealer: dealer, Program: "birthday", Step: "day", Cycle: "2026",
			Channel: care.Email, Release: now, Expires: now.Add(time.Hour), Verdict: care.Send,
		}}})
	}
	if _, err := st.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		who    care.Principal
		dealer string
		limit  int
		want   int
	}{
		{care.Principal{}, "", 10, 0},
		{care.Principal{Name: "n", Dealers: []string{"north"}}, "", 10, 1},
		{care.Principal{Name: "n", Dealers: []string{"north"}}, "south", 10, 0},
		{care.Principal{Name: "n", Dealers: []string{"north", "south"}}, "", 10, 2},
		{care.Principal{Name: "n", Dealers: []string{"north", "south"}}, "", 1, 1},
		{care.Principal{Name: "op"}, "", 10, 3},
		{care.Principal{Name: "op"}, "elsewhere", 10, 1},
	} {
		got, err := c.Messages(t.Context(), tt.who, operate.MessageFilter{Dealer: tt.dealer, Limit: tt.limit})
		if err != nil || len(got) != tt.want {
			t.Errorf("%+v asks for %q: %d messages, %v", tt.who, tt.dealer, len(got), err)
		}
	}
}

// TestNobodyTicksOffAnotherDealersTask: it stays on the list.
func TestNobodyTicksOffAnotherDealersTask(t *testing.T) {
	t.Parallel()
	c, _ := console(t)
	all := care.Principal{Name: "op"}
	list, err := c.Tasks(t.Context(), all, operate.TaskFilter{Limit: 10})
	if err != nil || len(list.Tasks) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, task := range list.Tasks {
		for _, who := range []care.Principal{{}, {Name: "n", Dealers: []string{"north"}}} {
			done, err := c.TaskDone(t.Context(), who, task.Key)
			if err != nil || done != who.Sees(task.Dealer) {
				t.Errorf("%+v ticks off a task of %s: %v, %v", who, task.Dealer, done, err)
			}
		}
	}
	if list, err = c.Tasks(t.Context(), all, operate.TaskFilter{Limit: 10}); err != nil || list.Open != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}
