package feedback

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/store"
	"github.com/google/go-cmp/cmp"
)

// A text whose answer was lost is asked about a minute later, less and less often, until the gateway knows.
func TestUncertainTextsAreAskedAbout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		record := func(id string, ch care.Channel, at time.Time) care.Record {
			return care.Record{ID: id, Customer: "C" + id, Channel: ch, State: care.StateUncertain, UpdatedAt: at, Attempts: []care.Attempt{{At: at, Gateway: "aliyun"}}}
		}
		records := []care.Record{
			record("text", care.SMS, start), record("mail", care.Email, start), record("old", care.SMS, start.Add(-31*24*time.Hour)),
			record("gone", care.SMS, start), // its customer has no number any more
		}
		var asked []time.Duration
		var taken []care.Receipt
		failures := 1
		var leads atomic.Bool
		i := NewStatusPoller(StatusPollerConfig{
			Messages: func(context.Context, store.Filter) ([]care.Record, error) { return records, nil },
			Facts: func(_ context.Context, ids []string) ([]*care.Facts, error) {
				out := make([]*care.Facts, len(ids))
				for j, id := range ids {
					out[j] = &care.Facts{ID: id}
				}
				return out, nil
			},
			Question: func(f *care.Facts, r *care.Record) (sms.Question, bool) {
				return sms.Question{ID: r.ID, Gateway: r.Attempts[0].Gateway}, f.ID != "Cgone"
			},
			Ask: func(_ context.Context, q sms.Question) (care.Receipt, error) {
				asked = append(asked, time.Since(start))
				switch {
				case q.ID != "text" || q.Gateway != "aliyun":
					t.Errorf("asked about %+v", q)
				case failures > 0:
					failures--
					return care.Receipt{}, &care.Error{Kind: care.KindRetry, Code: "http 503"}
				case time.Since(start) < 15*time.Minute:
					return care.Receipt{}, sms.ErrUnknown
				}
				return care.Receipt{ID: q.ID, State: care.StateDelivered}, nil
			},
			Take: func(_ context.Context, rs []care.Receipt) error {
				taken, records = append(taken, rs...), nil
				return nil
			},
			Leads: leads.Load, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { i.Run(ctx); close(done) }()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if len(asked) != 0 {
			t.Error("asked by a replica that does not lead")
		}
		leads.Store(true)
		time.Sleep(time.Hour)
		cancel()
		<-done
		want := []time.Duration{5*time.Minute + 30*time.Second, 6*time.Minute + 30*time.Second, 8*time.Minute + 30*time.Second, 12*time.Minute + 30*time.Second, 20*time.Minute + 30*time.Second}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("when it was asked, -want +got:\n%s", diff)
		}
		if diff := cmp.Diff([]care.Receipt{{ID: "text", State: care.StateDelivered}}, taken); diff != "" {
			t.Error(diff)
		}
		if len(i.turns) != 0 {
			t.Errorf("%v are still remembered", i.turns)
		}
	})
}

func TestAFailedLookIsNoEnd(t *testing.T) {
	t.Parallel()
	i := NewStatusPoller(StatusPollerConfig{Messages: func(context.Context, store.Filter) ([]care.Record, error) { return nil, errors.New("redis is away") }, Now: time.Now})
	if err := i.look(t.Context()); err == nil {
		t.Error("no error")
	}
}

// After a day nobody asks on; a poller that has just begun asks once about what is older.
func TestAQuestionIsAskedForADay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	p := NewStatusPoller(StatusPollerConfig{Now: func() time.Time { return now }})
	records := []care.Record{{ID: "a", Channel: care.SMS, UpdatedAt: now.Add(-3 * time.Minute)}, {ID: "old", Channel: care.SMS, UpdatedAt: now.Add(-3 * 24 * time.Hour)}}
	asked := map[string]int{}
	last := now
	for end := now.Add(5 * 24 * time.Hour); now.Before(end); now = now.Add(askEvery) {
		for _, r := range p.due(records) {
			asked[r.ID]++
			last = now
		}
	}
	if asked["old"] != 1 || asked["a"] < 25 || asked["a"] > 35 || last.Sub(records[0].UpdatedAt) > 24*time.Hour {
		t.Errorf("asked %v, the last time %v after the attempt", asked, last.Sub(records[0].UpdatedAt))
	}
}
