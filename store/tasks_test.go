package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

func taskOf(customer, dealer, reason string, at time.Time) care.EventEntry {
	return care.EventEntry{At: at, Customer: customer, Dealer: dealer, Kind: care.KindTask, Reason: reason, Value: "secret words"}
}

func (b *bundle) note(t testing.TB, entries ...care.EventEntry) {
	t.Helper()
	if err := b.Note(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

// tasks lists what is open as "customer reason", the newest first.
func (b *bundle) tasks(t testing.TB, dealer string) (out []string) {
	t.Helper()
	tasks, open, err := b.Tasks(t.Context(), dealer, 1000)
	if err != nil || open != len(tasks) {
		t.Fatalf("%d tasks, %d open, %v", len(tasks), open, err)
	}
	for i := range tasks {
		out = append(out, tasks[i].Customer+" "+tasks[i].Reason)
	}
	return out
}

func (b *bundle) wantTasks(t testing.TB, when, dealer string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, b.tasks(t, dealer)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

func TestTasksAreListedOnceWithoutWords(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		first := taskOf("C1", "a", "complaint", b.clock.now())
		first.ID, first.Vehicle, first.Program, first.Step, first.Channel = "occ", "V1", "service-followup", "thanks", care.SMS
		b.note(t, first, care.EventEntry{At: b.clock.now(), Customer: "C1", Kind: "reply", Value: "x"})
		b.note(t, first) // a crash, and again
		b.note(t, taskOf("C2", "b", "reply", b.clock.now().Add(time.Second)), taskOf("C1", "a", "complaint", b.clock.now().Add(2*time.Second)))
		b.note(t, taskOf("", "a", "reply", b.clock.now()))
		b.wantTasks(t, "all", "", "C1 complaint", "C2 reply", "C1 complaint")
		b.wantTasks(t, "of a dealer", "b", "C2 reply")
		b.wantTasks(t, "of nobody", "c")
		for _, m := range b.redis.ZRange(ctx, tasksKey(), 0, -1).Val() {
			if strings.Contains(m, "secret") || strings.Contains(m, "value") {
				t.Errorf("the list has the customer's words: %s", m)
			}
		}
		some, open, err := b.Tasks(ctx, "a", 1)
		if err != nil || open != 2 || len(some) != 1 || !some[0].At.Equal(first.At.Add(2*time.Second)) {
			t.Fatalf("%+v, %d, %v", some, open, err)
		}
		all, _, err := b.Tasks(ctx, "", 9)
		if err != nil {
			t.Fatal(err)
		}
		want := first
		want.Kind, want.Value = "", ""
		if diff := cmp.Diff(want, all[2].EventEntry); diff != "" {
			t.Errorf("task (-want +got):\n%s", diff)
		}

		for i, want := range []bool{true, false} {
			if done, err := b.TaskDone(ctx, all[2].Key); err != nil || done != want {
				t.Errorf("ticked off %d times: %v, %v", i+1, done, err)
			}
		}
		b.wantTasks(t, "one done", "", "C1 complaint", "C2 reply")
		var told []care.EventEntry
		events, err := b.Events(ctx, "", 99)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Kind == care.KindTaskDone {
				told = append(told, e.EventEntry)
			}
		}
		want.At, want.Kind = b.clock.now().UTC(), care.KindTaskDone
		if diff := cmp.Diff([]care.EventEntry{want}, told); diff != "" {
			t.Errorf("care:events (-want +got):\n%s", diff)
		}
		line, err := b.Timeline(ctx, "C1")
		if n := strings.Count(fmt.Sprint(line), care.KindTaskDone); err != nil || n != 1 {
			t.Errorf("the timeline says %d times that it is done, %v", n, err)
		}
		if done, err := b.TaskDone(ctx, "0"); err != nil || done {
			t.Errorf("a task that there is not: %v, %v", done, err)
		}
	})
}

// A task about a message closes by itself with what becomes of the message, and opens again with it.
func TestTasksFollowTheirMessages(t *testing.T) {
	t.Parallel()
	resolve := func(as string) func(context.Context, *Store, []string) ([]error, error) {
		return func(ctx context.Context, s *Store, ids []string) ([]error, error) { return s.Resolve(ctx, ids, as) }
	}
	deliver := func(ctx context.Context, s *Store, ids []string) ([]error, error) {
		return nil, s.Receipts(ctx, []care.Receipt{receipt(ids[0], care.StateDelivered)})
	}
	retry := func(ctx context.Context, s *Store, ids []string) ([]error, error) { return s.Retry(ctx, ids) }
	for name, tt := range map[string]struct {
		state  care.State
		decide func(context.Context, *Store, []string) ([]error, error)
	}{
		"retried":   {care.StateFailed, retry},
		"dropped":   {care.StateFailed, func(ctx context.Context, s *Store, ids []string) ([]error, error) { return s.Drop(ctx, ids) }},
		"delivered": {care.StateFailed, deliver},
		"arrived":   {care.StateUncertain, deliver},
		"sent":      {care.StateUncertain, resolve("sent")},
		"failed":    {care.StateUncertain, resolve("failed")},
		"resent":    {care.StateUncertain, resolve("resend")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, b *bundle) {
				ctx := t.Context()
				reason := map[care.State]string{care.StateFailed: TaskNotReached, care.StateUncertain: TaskUncertain}[tt.state]
				lose := func() string {
					c := claimOne(t, b.Store, time.Minute)
					if begin(t, b.Store, c); !complete(t, b.Store, result(c, tt.state, b.clock.now())) {
						t.Fatal("not completed")
					}
					e := taskOf(c.Record.Customer, "a", reason, b.clock.now())
					e.ID = c.Record.ID
					b.note(t, e)
					return e.ID
				}
				customer := b.queue(t, 1)[0].Customer
				b.note(t, taskOf("STAYS", "a", "reply", b.clock.now().Add(-time.Minute)))
				id := lose()
				b.wantTasks(t, "lost", "", customer+" "+reason, "STAYS reply")
				if why, err := tt.decide(ctx, b.Store, []string{id}); err != nil || len(why) > 0 && why[0] != nil {
					t.Fatal(why, err)
				}
				b.wantTasks(t, "decided", "", "STAYS reply")
				if n := b.redis.ZCard(ctx, tasksKey()).Val(); n != 2 {
					t.Errorf("reading the list has changed it: it has %d", n)
				}
				if name == "retried" || name == "resent" { // the same again is one task, with its own time, and ticked off at once
					b.clock.advance(time.Minute)
					lose()
					again, open, err := b.Tasks(ctx, "", 9)
					if err != nil || open != 2 || again[0].ID != id || !again[0].At.Equal(b.clock.now()) {
						t.Fatalf("lost again: %+v, %d, %v", again, open, err)
					}
					if done, err := b.TaskDone(ctx, again[0].Key); err != nil || !done {
						t.Fatal(done, err)
					}
					b.wantTasks(t, "done", "", "STAYS reply")
				}
				if err := b.Trim(ctx); err != nil {
					t.Fatal(err)
				}
				if n := b.redis.ZCard(ctx, tasksKey()).Val(); n != 1 {
					t.Errorf("after Trim there are %d", n)
				}
			})
		})
	}
}

func TestTasksAreBounded(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		var many []care.EventEntry
		for i := range tasksKept + 5 {
			many = append(many, taskOf("C1", "a", "reply", b.clock.now().Add(time.Duration(i)*time.Millisecond)))
		}
		b.note(t, many...)
		if tasks, open, err := b.Tasks(ctx, "", 1); err != nil || open != tasksKept || !tasks[0].At.Equal(many[len(many)-1].At) {
			t.Errorf("%d open, %v", open, err)
		}
		b.redis.ZAdd(ctx, tasksKey(), redis.Z{Score: float64(b.clock.now().UnixMilli()), Member: "damaged"})
		b.clock.advance(taskKept)
		b.note(t, taskOf("C2", "a", "reply", b.clock.now()))
		b.clock.advance(time.Minute)
		b.wantTasks(t, "a month later", "", "C2 reply")
		if err := b.Trim(ctx); err != nil {
			t.Fatal(err)
		}
		if n := b.redis.ZCard(ctx, tasksKey()).Val(); n != 1 {
			t.Errorf("after Trim %d are left", n)
		}
	})
}
