package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

func TestOperatorsDecisions(t *testing.T) {
	t.Parallel()
	type decide func(ctx context.Context, s *Store, id string) ([]error, error)
	retry := func(ctx context.Context, s *Store, id string) ([]error, error) { return s.Retry(ctx, []string{id}) }
	reopen := func(ctx context.Context, s *Store, id string) ([]error, error) { return s.Reopen(ctx, []string{id}) }
	drop := func(ctx context.Context, s *Store, id string) ([]error, error) { return s.Drop(ctx, []string{id}) }
	resolve := func(as string) decide {
		return func(ctx context.Context, s *Store, id string) ([]error, error) {
			return s.Resolve(ctx, []string{id}, as)
		}
	}
	for _, tt := range []struct {
		name   string
		ended  care.State // "" = still in the queue
		decide decide
		want   care.State
		why    string // of a refusal
	}{
		{"resolve sent", care.StateUncertain, resolve("sent"), care.StateSent, ""},
		{"resolve failed", care.StateUncertain, resolve("failed"), care.StateFailed, ""},
		{"resolve resend", care.StateUncertain, resolve("resend"), care.StateDue, ""},
		{"resolve what is sent", care.StateSent, resolve("failed"), care.StateSent, "sent"},
		{"resolve what is due", "", resolve("sent"), care.StateDue, "due"},
		{"retry", care.StateFailed, retry, care.StateDue, ""},
		{"retry what is uncertain", care.StateUncertain, retry, care.StateUncertain, "resolve"},
		{"retry what is sent", care.StateSent, retry, care.StateSent, "sent"},
		{"retry what has expired", care.StateExpired, retry, care.StateExpired, "--even-expired"},
		{"reopen", care.StateExpired, reopen, care.StateDue, ""},
		{"reopen a failed one", care.StateFailed, reopen, care.StateDue, ""},
		{"reopen what is sent", care.StateSent, reopen, care.StateSent, "sent"},
		{"drop", "", drop, care.StateSkipped, ""},
		{"drop a retry", care.StateRetry, drop, care.StateSkipped, ""},
		{"drop a failed one", care.StateFailed, drop, care.StateSkipped, ""},
		{"drop what is uncertain", care.StateUncertain, drop, care.StateUncertain, "resolve"},
		{"drop what is sent", care.StateSent, drop, care.StateSent, "already"},
		{"drop what is claimed", care.StateClaimed, drop, care.StateClaimed, "being sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, b *bundle) {
				o := b.queue(t, 1)[0]
				if tt.ended != "" {
					c := claimOne(t, b.Store, time.Minute)
					if tt.ended != care.StateClaimed {
						complete(t, b.Store, result(c, tt.ended, epoch))
					}
				}
				why, err := tt.decide(t.Context(), b.Store, o.ID)
				if err != nil {
					t.Fatal(err)
				}
				if (why[0] == nil) != (tt.why == "") || why[0] != nil && !strings.Contains(why[0].Error(), tt.why) {
					t.Errorf("answer %v, want %q", why[0], tt.why)
				}
				r, err := b.Message(t.Context(), o.ID)
				if err != nil || r.State != tt.want {
					t.Errorf("the message is %q, want %q (%v)", r.State, tt.want, err)
				}
				held, _ := b.Uncertain(t.Context())
				failed, _ := b.Failed(t.Context())
				if (held == 1) != (tt.want == care.StateUncertain) || (failed == 1) != (tt.want == care.StateFailed) {
					t.Errorf("%d held, %d failed", held, failed)
				}
				if claims, err := b.Claim(t.Context(), care.Lanes, 9, time.Minute); err != nil || (len(claims) == 1) != (tt.want == care.StateDue) {
					t.Errorf("afterwards %d can be claimed, %v", len(claims), err)
				}
			})
		})
	}
}

func TestDecisionsOnWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := onRedis(t)
	why, err := b.Retry(t.Context(), []string{"nonsense", care.OccurrenceID("C1", "", "p", "s", "c")})
	if err != nil || !errors.Is(why[0], ErrNoMessage) || !errors.Is(why[1], ErrNoMessage) {
		t.Errorf("%v, %v", why, err)
	}
	if _, err := b.Resolve(t.Context(), nil, "maybe"); err == nil {
		t.Error("resolved as maybe")
	}
}

func TestStopsAndBrakes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		for _, scope := range []string{"all", "program:p", "dealer:d", "channel:sms"} {
			for range 2 {
				if _, err := b.Pause(ctx, scope, "me", "why"); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, bad := range []string{"", "everything", "program:", "channel:fax", "brake:d/p"} {
			_, err1 := b.Pause(ctx, bad, "", "")
			_, err2 := b.Resume(ctx, bad)
			if err1 == nil || err2 == nil {
				t.Errorf("scope %q is taken", bad)
			}
		}
		surge := care.Surge{Dealer: "d", Program: "p", Planned: 500, Allowed: 100, Held: 400, Until: epoch.Add(time.Hour)}
		for _, want := range []bool{true, false} { // it is new once
			if on, err := b.EngageBrake(ctx, surge); err != nil || on != want {
				t.Fatalf("brake: %v, %v", on, err)
			}
		}
		got, err := b.Operator(ctx)
		want := &care.Operator{
			All: true, Programs: map[string]bool{"p": true}, Dealers: map[string]bool{"d": true},
			Channels: map[care.Channel]bool{care.SMS: true}, Brakes: map[string]bool{"d/p": true},
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("operator (-want +got): %v\n%s", err, diff)
		}
		stops, err := b.Stops(ctx)
		if err != nil || len(stops) != 5 || stops[1] != (Stop{Scope: "brake:d/p", At: epoch, Planned: 500, Allowed: 100, Held: 400, Until: epoch.Add(time.Hour)}) {
			t.Errorf("stops: %+v, %v", stops, err)
		}
		if err := b.ReleaseBrake(ctx, "d", "p"); err != nil {
			t.Fatal(err)
		}
		if on, err := b.EngageBrake(ctx, surge); err != nil || on {
			t.Errorf("engaged again after the operator said go: %v, %v", on, err)
		}
		b.clock.advance(25 * time.Hour)
		if on, err := b.EngageBrake(ctx, surge); err != nil || !on {
			t.Errorf("not engaged on another day: %v, %v", on, err)
		}
		for _, scope := range []string{"all", "program:p", "dealer:d", "channel:sms"} {
			if was, err := b.Resume(ctx, scope); err != nil || !was {
				t.Fatal(err)
			}
		}
		if got, err = b.Operator(ctx); err != nil || got.All || len(got.Programs)+len(got.Dealers)+len(got.Channels) != 0 || !got.Braked("d", "p") {
			t.Errorf("after resuming: %+v, %v", got, err)
		}
	})
}

func TestUsualDay(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 28)
		for {
			claims, err := b.Claim(t.Context(), care.Lanes, 50, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if len(claims) == 0 {
				break
			}
			for _, c := range claims {
				res := result(c, care.StateSent, epoch)
				complete(t, b.Store, res)
				complete(t, b.Store, res) // counts once
			}
		}
		if n := b.sentOn(t, "sh-pudong/maintenance"); n != 28 {
			t.Errorf("sent on the day: %d", n)
		}
		for wait, want := range map[time.Duration]float64{0: 0, 24 * time.Hour: 2, 14 * 24 * time.Hour: 2, 15 * 24 * time.Hour: 0} {
			b.clock.at.Store(epoch.Add(wait).UnixNano())
			if got, err := b.Usual(t.Context(), "sh-pudong", "maintenance"); err != nil || got != want {
				t.Errorf("after %v usual is %v, want %v (%v)", wait, got, want, err)
			}
		}
	})
}

func TestMessagesByFilter(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		states := []care.State{care.StateSent, care.StateUncertain, care.StateFailed, care.StateRetry, care.StateSkipped, care.StateClaimed}
		all := b.queue(t, 2*len(states)+2, func(o *care.Occurrence) {
			if o.Customer >= customer(8) {
				o.Program = "other"
			}
		})
		claims := make(map[string]*care.Claim)
		for len(claims) < len(all) {
			got, err := b.Claim(ctx, care.Lanes, 50, time.Minute)
			if err != nil || len(got) == 0 {
				t.Fatal(len(got), err)
			}
			for _, c := range got {
				claims[c.Record.ID] = c
			}
		}
		want := make(map[care.State]int)
		for i, o := range all {
			state := care.StateDue
			if i < 2*len(states) {
				state = states[i/2]
			}
			want[state]++
			if state != care.StateClaimed {
				complete(t, b.Store, result(claims[o.ID], state, epoch.Add(time.Duration(i)*time.Second)))
			}
		}
		count := func(f Filter) int {
			t.Helper()
			got, err := b.Messages(ctx, f)
			if err != nil {
				t.Fatal(err)
			}
			for i := 1; i < len(got); i++ {
				if got[i].UpdatedAt.After(got[i-1].UpdatedAt) {
					t.Errorf("%+v: not in order", f)
				}
			}
			return len(got)
		}
		for state, n := range want {
			if got := count(Filter{State: state}); got != n {
				t.Errorf("%s: %d, want %d", state, got, n)
			}
		}
		for name, tt := range map[string]struct {
			f    Filter
			want int
		}{
			"limit":    {Filter{State: care.StateSent, Limit: 1}, 1},
			"customer": {Filter{Customer: customer(0)}, 1},
			"stranger": {Filter{Customer: "nobody"}, 0},
			"program":  {Filter{Program: "other"}, 6},
			"dealer":   {Filter{Dealer: "other"}, 0},
			"channel":  {Filter{Channel: care.Email, State: care.StateDue}, 0},
			"since":    {Filter{State: care.StateUncertain, Since: epoch.Add(3 * time.Second)}, 1},
		} {
			if got := count(tt.f); got != tt.want {
				t.Errorf("%s: %d, want %d", name, got, tt.want)
			}
		}
		depths, err := b.Depth(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var sum Depth
		for _, d := range depths {
			sum.Due, sum.Later, sum.Claimed = sum.Due+d.Due, sum.Later+d.Later, sum.Claimed+d.Claimed
		}
		if sum.Due != 4 || sum.Later != 0 || sum.Claimed != 2 {
			t.Errorf("depth: %+v", sum)
		}
	})
}

func TestOverlayUnderContention(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := b.UpdateOverlay(t.Context(), "C1", func(o *care.Overlay) error {
					o.Answers = append(o.Answers, care.Answer{Kind: "survey", About: fmt.Sprint(i), At: epoch})
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		f, err := b.Facts(t.Context(), []string{"C1"})
		if err != nil || len(f[0].Overlay.Answers) != 8 {
			t.Errorf("%+v, %v", f[0].Overlay, err)
		}
		no := errors.New("no")
		if err := b.UpdateOverlay(t.Context(), "C1", func(*care.Overlay) error { return no }); !errors.Is(err, no) {
			t.Error(err)
		}
		b.redis.HSet(t.Context(), ledgerKey("C2"), codec.OverlayField, "damaged")
		b.redis.Set(t.Context(), ledgerKey("C3"), "no table", 0)
		for _, id := range []string{"C2", "C3"} {
			if err := b.UpdateOverlay(t.Context(), id, func(*care.Overlay) error { return nil }); !errors.Is(err, errOverlay) {
				t.Errorf("a damaged overlay was overwritten: %v", err)
			}
		}
	})
}

func TestTimelineAndEvents(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		o := b.queue(t, 1)[0]
		for i := range timelineKept + 5 {
			err := b.Note(ctx, []care.EventEntry{{At: epoch.Add(time.Duration(i) * time.Second), Customer: o.Customer, Dealer: "d", Kind: "survey", Value: fmt.Sprint(i)}})
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := b.Timeline(ctx, o.Customer)
		if err != nil || len(got) != timelineKept+1 {
			t.Fatalf("%d entries, %v", len(got), err)
		}
		if got[0].Value != fmt.Sprint(timelineKept+4) || got[timelineKept].ID != o.ID || got[timelineKept].State != care.StateDue {
			t.Errorf("first %+v, last %+v", got[0], got[timelineKept])
		}
		first, err := b.Events(ctx, "", 2)
		if err != nil || len(first) != 2 {
			t.Fatal(first, err)
		}
		if next, err := b.Events(ctx, first[1].Entry, 1); err != nil || len(next) != 1 || next[0].Value != "2" || !next[0].At.Equal(epoch.Add(2*time.Second)) {
			t.Errorf("the third event is %+v, %v", next, err)
		}
	})
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		const a, c = "0123456789abcdef0123456789abcdef", "0123ffff89abcdef0123456789abcdef"
		links := []AddressLink{{Hash: a, Customer: "C1"}, {Hash: a, Customer: "C2"}, {Hash: c, Customer: "C3"}}
		for range 2 {
			if err := b.Link(t.Context(), links); err != nil {
				t.Fatal(err)
			}
		}
		for hash, want := range map[string][]string{a: {"C1", "C2"}, c: {"C3"}, "ff": nil} {
			if got, err := b.ByAddress(t.Context(), hash); err != nil || !cmp.Equal(got, want) {
				t.Errorf("%s: %v, %v", hash, got, err)
			}
		}
	})
}

func TestChangesWait(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		_, place, err := b.Changes(ctx, "", 0)
		if err != nil || place != "0-0" {
			t.Fatal(place, err)
		}
		if ids, next, err := b.Changes(ctx, place, 0); err != nil || len(ids) != 0 || next != place {
			t.Fatal(ids, next, err)
		}
		done := make(chan []string)
		go func() {
			ids, _, err := b.Changes(ctx, place, 10*time.Second)
			if err != nil {
				t.Error(err)
			}
			done <- ids
		}()
		if err := b.redis.Do(ctx, "XADD", "care:changes", "*", "id", "C1").Err(); err != nil {
			t.Fatal(err)
		}
		if got := <-done; !cmp.Equal(got, []string{"C1"}) {
			t.Errorf("changes: %v", got)
		}
		b.redis.Do(ctx, "XADD", "care:changes", "*", "id", "C1")
		got, next, err := b.Changes(ctx, place, 0)
		if err != nil || !cmp.Equal(got, []string{"C1"}) || next == place {
			t.Errorf("changes again: %v, %v", got, err)
		}
	})
}

// Every way to look at messages knows which are being sent.
func TestMessagesThatAreBeingSent(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 2)
		c := claimOne(t, b.Store, time.Minute)
		if !begin(t, b.Store, c) {
			t.Fatal("our own intent was refused")
		}
		for name, f := range map[string]Filter{
			"by state": {State: care.StateSending}, "by customer": {Customer: c.Record.Customer}, "by day": {Program: c.Record.Program},
		} {
			got, err := b.Messages(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(got, func(r care.Record) bool { return r.ID == c.Record.ID })
			if at < 0 || got[at].State != care.StateSending || got[at].FirstTry.IsZero() {
				t.Errorf("%s: %+v", name, got)
			}
		}
		line, err := b.Timeline(t.Context(), c.Record.Customer)
		if err != nil || len(line) != 1 || line[0].State != care.StateSending {
			t.Errorf("the timeline: %+v, %v", line, err)
		}
		complete(t, b.Store, result(c, care.StateSent, epoch))
		got, err := b.Messages(t.Context(), Filter{State: care.StateSent})
		if err != nil || len(got) != 1 || got[0].Program != c.Record.Program || got[0].Step != c.Record.Step || got[0].Vehicle != c.Record.Vehicle ||
			got[0].Cycle != c.Record.Cycle || got[0].On != c.Record.On || got[0].Template != c.Record.Template {
			t.Errorf("when it is over: %+v, %v\nwant the fields of %+v", got, err, c.Record)
		}
	})
}
