package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/carebell/carebell/care"
)

func (b *bundle) ledger(t testing.TB, customer string) care.Ledger {
	t.Helper()
	f, err := b.Facts(t.Context(), []string{customer})
	if err != nil {
		t.Fatal(err)
	}
	return f[0].Ledger
}

func (b *bundle) apply(t testing.TB, want Applied, changes ...care.Change) {
	t.Helper()
	got, err := b.Apply(t.Context(), changes)
	if err != nil || got != want {
		t.Fatalf("Apply: %+v, %v; want %+v", got, err, want)
	}
}

func TestMove(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		was := b.ledger(t, o.Customer)[o.ID]
		moved := *o
		moved.Release, moved.Expires = epoch.Add(25*time.Hour), epoch.Add(99*time.Hour)
		moved.Channel, moved.On = care.Email, care.DateOf(moved.Release)
		change := care.Change{Customer: o.Customer, Move: []*care.Occurrence{&moved}}
		b.apply(t, Applied{Moved: 1}, change)
		b.apply(t, Applied{Moved: 1}, change) // twice changes nothing more
		e := b.ledger(t, o.Customer)[o.ID]
		if e.Day != was.Day || !e.At.Equal(moved.Release) || e.Channel != care.Email || e.On != moved.On {
			t.Errorf("ledger: %+v", e)
		}
		if c, _ := b.Claim(t.Context(), care.Lanes, 9, time.Minute); len(c) != 0 {
			t.Fatalf("claimed before its new release: %+v", c[0].Record)
		}
		b.clock.advance(25 * time.Hour)
		c := claimOne(t, b.Store, time.Minute)
		if !c.Record.Release.Equal(moved.Release) || !c.Record.Expires.Equal(moved.Expires) || c.Record.Channel != care.Email || c.Lane.Channel != care.Email {
			t.Errorf("claimed %+v from %s", c.Record, c.Lane)
		}
		b.apply(t, Applied{Refused: 1}, change)
		if !complete(t, b.Store, result(c, care.StateSent, b.clock.now())) {
			t.Error("Complete refused")
		}
		b.apply(t, Applied{Refused: 1}, change)
	})
}

func TestDrop(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		all := b.queue(t, 3)
		drop := func(i int, state care.State, reason string) care.Change {
			return care.Change{Customer: all[i].Customer, Drop: []care.Drop{{ID: all[i].ID, State: state, Reason: reason}}}
		}
		b.apply(t, Applied{Dropped: 2}, drop(0, care.StateSkipped, "hold:a|b"), drop(1, "", ""))
		b.apply(t, Applied{Refused: 2}, drop(0, care.StateSkipped, "hold:a|b"), drop(1, "", ""))
		e := b.ledger(t, all[0].Customer)[all[0].ID]
		want := care.LedgerEntry{
			State: care.StateSkipped, At: epoch, Class: care.Service, Channel: care.SMS, Program: "maintenance", Vehicle: all[0].Vehicle,
			Step: "heads-up", Cycle: "c0", On: all[0].On, Day: care.DateOf(epoch), Reason: "hold:a|b",
		}
		if diff := cmp.Diff(want, e, cmpopts.EquateComparable(care.Date{})); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		if r, err := b.Message(t.Context(), all[0].ID); err != nil || r.State != care.StateSkipped || r.Reason != "hold:a|b" {
			t.Errorf("record: %+v, %v", r, err)
		}
		if l := b.ledger(t, all[1].Customer); len(l) != 0 {
			t.Errorf("a message taken back is still in the ledger: %+v", l)
		}
		if _, err := b.Message(t.Context(), all[1].ID); !errors.Is(err, ErrNoMessage) {
			t.Errorf("a message taken back still has a record: %v", err)
		}
		b.apply(t, Applied{Added: 1}, care.Change{Customer: all[1].Customer, Add: all[1:2]})
		c := claimOne(t, b.Store, time.Minute)
		i := 1
		if c.Record.ID == all[2].ID {
			i = 2
		}
		b.apply(t, Applied{Refused: 1}, drop(i, care.StateSkipped, "sold"))
	})
}

func TestOneMessageOfACustomerAtATime(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		var change care.Change
		change.Customer = "C1"
		for i := range 5 {
			change.Add = append(change.Add, occurrence("C1", i, epoch.Add(time.Duration(i-10)*time.Minute)))
		}
		b.apply(t, Applied{Added: 5}, change)
		for i := range 5 {
			claims, err := b.Claim(ctx, care.Lanes, 100, time.Minute)
			if err != nil || len(claims) != 1 || claims[0].Record.ID != change.Add[i].ID {
				t.Fatalf("claim %d: %v, %v", i, claims, err)
			}
			if more, err := b.Claim(ctx, care.Lanes, 100, time.Minute); err != nil || len(more) != 0 {
				t.Fatalf("a second one at the same time: %v, %v", more, err)
			}
			complete(t, b.Store, result(claims[0], care.StateSent, epoch))
		}
	})
}

func TestUrgentLanesFirstAndPausedOnesNotAtAll(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		one := func(id string, class care.Class, ch care.Channel) *care.Occurrence {
			o := occurrence(id, 0, epoch.Add(-time.Hour))
			o.Class, o.Channel = class, ch
			return o
		}
		same := "C1" // one shard: between shards the order is by turns
		var other string
		for i := 0; other == ""; i++ {
			if id := customer(i); care.Shard(id) == care.Shard(same) {
				other = id
			}
		}
		b.apply(t, Applied{Added: 2},
			care.Change{Customer: same, Add: []*care.Occurrence{one(same, care.Commercial, care.Email)}},
			care.Change{Customer: other, Add: []*care.Occurrence{one(other, care.Safety, care.SMS)}})
		if c, err := b.Claim(t.Context(), []care.Lane{{Channel: care.Webhook}}, 9, time.Minute); err != nil || len(c) != 0 {
			t.Errorf("claimed from a lane that was not asked for: %v, %v", c, err)
		}
		if c := claimOne(t, b.Store, time.Minute); c.Record.Class != care.Safety {
			t.Errorf("first came %s", c.Record.Class)
		}
		if c := claimOne(t, b.Store, time.Minute); c.Record.Class != care.Commercial {
			t.Errorf("then came %s", c.Record.Class)
		}
	})
}

func TestClaimTakesFromAllShardsAndNotTooMany(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 300)
		seen := make(map[string]bool)
		for len(seen) < 300 {
			claims, err := b.Claim(t.Context(), care.Lanes, 70, time.Minute)
			if err != nil || len(claims) == 0 || len(claims) > 70 {
				t.Fatalf("%d claims after %d, %v", len(claims), len(seen), err)
			}
			if len(seen) == 0 {
				shards := make(map[int]bool)
				for _, c := range claims {
					shards[care.ShardOf(c.Record.ID)] = true
				}
				if len(shards) != care.Shards {
					t.Errorf("the first claim served %d shards", len(shards))
				}
			}
			for _, c := range claims {
				if seen[c.Record.ID] {
					t.Fatalf("%s was claimed twice", c.Record.ID)
				}
				seen[c.Record.ID] = true
			}
		}
	})
}

func TestRenewedLease(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 1)
		c := claimOne(t, b.Store, 500*time.Millisecond)
		token := c.Token
		for range 2 {
			ok, err := b.Renew(t.Context(), []*care.Claim{c}, time.Minute)
			if err != nil || !ok[0] || c.Token != token {
				t.Fatalf("Renew: %v, %v, token %d", ok, err, c.Token)
			}
		}
		time.Sleep(550 * time.Millisecond) // the first lease ends; this is the one thing that only time can show
		other := b.another(t)
		for range 3 {
			if got, err := other.Claim(t.Context(), care.Lanes, 9, time.Minute); err != nil || len(got) != 0 {
				t.Fatalf("claimed while the lease was renewed: %v, %v", got, err)
			}
		}
		if !begin(t, b.Store, c) || !complete(t, b.Store, result(c, care.StateSent, epoch)) {
			t.Error("the renewed claim was refused")
		}
		if n := b.redis.Exists(t.Context(), busyKey(care.ShardOf(c.Record.ID)), leasedKey(care.ShardOf(c.Record.ID))).Val(); n != 0 {
			t.Errorf("%d keys are left over", n)
		}
	})
}

func TestIntentAfterTheLeaseIsRefused(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 1)
		c := claimOne(t, b.Store, time.Microsecond)
		time.Sleep(2 * time.Millisecond)
		if begin(t, b.Store, c) {
			t.Error("an intent was taken after the lease had ended")
		}
	})
}

func TestRetryOnAnotherChannel(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 1)
		c := claimOne(t, b.Store, time.Minute)
		res := result(c, care.StateRetry, epoch)
		res.Record.Channel, res.Record.Tried, res.Next = care.Email, []care.Channel{care.SMS}, epoch.Add(30*time.Second)
		res.Record.Attempts = []care.Attempt{{N: 1, At: epoch, Channel: care.SMS, Kind: care.KindRecipient, Took: 1234567891}}
		if !complete(t, b.Store, res) {
			t.Fatal("refused")
		}
		if c, _ := b.Claim(t.Context(), care.Lanes, 9, time.Minute); len(c) != 0 {
			t.Fatal("claimed before its next try")
		}
		b.clock.advance(30 * time.Second)
		again := claimOne(t, b.Store, time.Minute)
		if again.Was != care.StateRetry || again.Lane.Channel != care.Email {
			t.Errorf("claimed as %s in %s", again.Was, again.Lane)
		}
		if diff := cmp.Diff(res.Record.Attempts, again.Record.Attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

func TestResultTeachesTheOverlay(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		c := claimOne(t, b.Store, time.Minute)
		res := result(c, care.StateFailed, epoch)
		res.Suppress = &care.Suppression{Channel: care.SMS, Hash: "h", Reason: "recipient", At: epoch}
		res.Stop = "sms"
		res.Event = &care.EventEntry{At: epoch, ID: o.ID, Customer: o.Customer, Dealer: o.Dealer, Program: o.Program, Step: o.Step, Channel: care.SMS, State: care.StateFailed, Reason: "recipient"}
		for range 2 {
			complete(t, b.Store, res)
		}
		if err := b.Publish(t.Context(), []*care.EventEntry{res.Event}); err != nil {
			t.Fatal(err)
		}
		f, err := b.Facts(t.Context(), []string{o.Customer})
		if err != nil {
			t.Fatal(err)
		}
		want := &care.Overlay{
			Suppressed: []care.Suppression{*res.Suppress}, Stops: map[string]care.Stop{"sms": {At: epoch, Source: "provider"}},
		}
		if diff := cmp.Diff(want, f[0].Overlay); diff != "" {
			t.Errorf("overlay (-want +got):\n%s", diff)
		}
		events, err := b.Events(t.Context(), "", 10)
		if err != nil || len(events) == 0 {
			t.Fatalf("events: %v, %v", events, err)
		}
		if diff := cmp.Diff(*res.Event, events[0].EventEntry); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
		if n, err := b.Failed(t.Context()); err != nil || n != 1 {
			t.Errorf("failed: %d, %v", n, err)
		}
	})
}

func TestMergedOccurrencesAreOver(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		also := occurrence(customer(0), 7, epoch)
		o := b.queue(t, 1, func(o *care.Occurrence) { o.Subject.Also = []*care.Occurrence{also} })[0]
		c := claimOne(t, b.Store, time.Minute)
		if diff := cmp.Diff([]string{also.Key()}, c.Record.Also); diff != "" {
			t.Errorf("also: %s", diff)
		}
		complete(t, b.Store, result(c, care.StateSent, epoch))
		e := b.ledger(t, o.Customer)[also.ID]
		if e.State != care.StateSkipped || e.Reason != "merged" || e.Merged != o.ID {
			t.Errorf("ledger of the merged one: %+v", e)
		}
		b.apply(t, Applied{Refused: 1}, care.Change{Customer: o.Customer, Add: []*care.Occurrence{also}})
	})
}

func TestPuttingBackKeepsTheRelease(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		res := result(claimOne(t, b.Store, time.Minute), care.StateDue, epoch)
		res.Next = epoch.Add(time.Minute)
		complete(t, b.Store, res)
		// The plan still has it at its release: a sweep finds nothing to move.
		if e := b.ledger(t, o.Customer)[o.ID]; !e.At.Equal(o.Release) || e.State != care.StateDue {
			t.Errorf("ledger: %+v", e)
		}
		if c, _ := b.Claim(t.Context(), care.Lanes, 9, time.Minute); len(c) != 0 {
			t.Error("claimed before its next try")
		}
		b.clock.advance(time.Minute)
		if c := claimOne(t, b.Store, time.Minute); !c.Record.Release.Equal(o.Release) {
			t.Errorf("the release became %v", c.Record.Release)
		}
	})
}
