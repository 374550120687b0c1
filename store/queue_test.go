package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/carebell/carebell/care"
)

func TestQueueFromPlanToSent(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		o := b.queue(t, 1)[0]
		claims, err := b.Claim(ctx, care.Lanes, 10, time.Minute)
		if err != nil || len(claims) != 1 {
			t.Fatalf("Claim: %v, %v", claims, err)
		}
		c := claims[0]
		want := care.Record{
			ID: o.ID, Customer: o.Customer, Dealer: o.Dealer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle,
			Class: o.Class, Template: o.Template, On: o.On, Release: o.Release, Expires: o.Expires, State: care.StateClaimed,
			Channel: care.SMS, UpdatedAt: epoch, Ready: epoch,
		}
		if diff := cmp.Diff(want, c.Record, cmpopts.EquateComparable(care.Date{})); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
		if c.Was != care.StateDue || c.Lane != (care.Lane{Channel: care.SMS, Urgent: true}) {
			t.Errorf("claim was %s in lane %s", c.Was, c.Lane)
		}
		if again, _ := b.Claim(ctx, care.Lanes, 10, time.Minute); len(again) != 0 {
			t.Errorf("claimed twice: %v", again)
		}
		if !begin(t, b.Store, c) {
			t.Fatal("Begin refused our own claim")
		}
		f, err := b.Facts(ctx, []string{o.Customer})
		if err != nil || f[0].Ledger[o.ID].State != care.StateSending {
			t.Errorf("ledger while sending: %+v, %v", f[0].Ledger, err)
		}
		if !complete(t, b.Store, result(c, care.StateSent, epoch)) {
			t.Fatal("Complete refused our own claim")
		}
		f, err = b.Facts(ctx, []string{o.Customer})
		if err != nil {
			t.Fatal(err)
		}
		wantLedger := care.Ledger{o.ID: {
			State: care.StateSent, At: epoch, Class: o.Class, Channel: care.SMS, Program: o.Program, Vehicle: o.Vehicle, Step: o.Step,
			Cycle: o.Cycle, On: o.On, Day: care.DateOf(o.Release),
		}}
		if diff := cmp.Diff(wantLedger, f[0].Ledger, cmpopts.EquateComparable(care.Date{})); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		if r, err := b.Message(ctx, o.ID); err != nil || r.State != care.StateSent {
			t.Errorf("Message: %+v, %v", r, err)
		}
		if again, _ := b.Claim(ctx, care.Lanes, 10, time.Minute); len(again) != 0 {
			t.Errorf("claimed after it was sent: %v", again)
		}
	})
}

func TestPlannedOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		all := b.queue(t, 40)
		changes := make([]care.Change, len(all))
		for i, o := range all {
			changes[i] = care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}}
		}
		got, err := b.Apply(t.Context(), changes)
		if want := (Applied{Refused: 40}); err != nil || got != want {
			t.Errorf("Apply again: %+v, %v; want %+v", got, err, want)
		}
	})
}

func TestNothingIsDueBeforeItsTime(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		for i, c := range []struct{ in, due time.Duration }{
			{time.Minute - 500*time.Microsecond, time.Minute}, {2 * time.Minute, 2 * time.Minute}, {time.Hour + 500*time.Microsecond, time.Hour + time.Millisecond},
		} {
			o := occurrence(customer(0), i, b.clock.now().Add(c.in))
			b.apply(t, Applied{Added: 1}, care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}})
			b.clock.advance(c.due - time.Millisecond)
			if claims, err := b.Claim(t.Context(), care.Lanes, 10, time.Minute); err != nil || len(claims) != 0 {
				t.Fatalf("in %v: claimed %v early (%v)", c.in, claims, err)
			}
			b.clock.advance(time.Millisecond)
			claim := claimOne(t, b.Store, time.Minute)
			if claim.Record.ID != o.ID {
				t.Errorf("claimed %s", claim.Record.ID)
			}
			complete(t, b.Store, result(claim, care.StateSent, b.clock.now()))
		}
	})
}

func TestStaleOwnerIsRefused(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 1)
		other := b.another(t)
		first := claimOne(t, b.Store, 500*time.Millisecond) // a busy machine must get to Begin within it
		if !begin(t, b.Store, first) {
			t.Fatal("Begin refused")
		}
		second := awaitClaim(t, other, time.Minute)
		if second.Was != care.StateUncertain || second.Record.Crashes != 1 || second.Record.ID != first.Record.ID {
			t.Errorf("the rescued claim was %s with %d crashes", second.Was, second.Record.Crashes)
		}
		if second.Token <= first.Token {
			t.Errorf("the token went from %d to %d", first.Token, second.Token)
		}
		if complete(t, b.Store, result(first, care.StateSent, epoch)) {
			t.Error("a stale settle was taken")
		}
		if begin(t, b.Store, first) {
			t.Error("a stale intent was taken")
		}
		if ok, err := b.Renew(t.Context(), []*care.Claim{first}, time.Minute); err != nil || ok[0] {
			t.Errorf("a stale renewal: %v, %v", ok, err)
		}
		if !complete(t, other, result(second, care.StateUncertain, epoch)) {
			t.Error("the new owner was refused")
		}
		if n, err := b.Uncertain(t.Context()); err != nil || n != 1 {
			t.Errorf("uncertain: %d, %v", n, err)
		}
	})
}

// awaitClaim claims until there is one, at most five seconds.
func awaitClaim(t testing.TB, s *Store, lease time.Duration) *care.Claim {
	t.Helper()
	for range 500 {
		claims, err := s.Claim(t.Context(), care.Lanes, 1, lease)
		if err != nil {
			t.Fatal(err)
		}
		if len(claims) > 0 {
			return claims[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("nothing to claim in five seconds")
	return nil
}

func TestCrashesAreCounted(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 1)
		claimOne(t, b.Store, time.Millisecond)
		for want := 1; want <= 3; want++ {
			c := awaitClaim(t, b.Store, time.Millisecond)
			if c.Was != care.StateClaimed || c.Record.Crashes != want {
				t.Fatalf("crash %d: was %s, %d crashes", want, c.Was, c.Record.Crashes)
			}
		}
	})
}

// Of a message that was over before it was claimed nothing stays, the count of its crashes neither: were the message put back by hand, it would
// go on from there.
func TestALeftoverLeavesNoCrashes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		claimOne(t, b.Store, time.Millisecond)
		c := awaitClaim(t, b.Store, time.Minute)
		before := b.raw(t, o.ID)
		for _, want := range []bool{true, false} {
			ok, err := b.Complete(t.Context(), []care.Result{{Claim: c, Record: c.Record, Leftover: true}})
			if err != nil || ok[0] != want {
				t.Fatalf("a leftover: %v, %v; want %v", ok, err, want)
			}
		}
		if after := b.raw(t, o.ID); after != before {
			t.Errorf("the record went from %q to %q", before, after)
		}
		if n := b.redis.HLen(t.Context(), shardKey(care.Shard(o.Customer), "crashes")).Val(); c.Record.Crashes != 1 || n != 0 {
			t.Errorf("%d crashes were known, %d messages with crashes still are", c.Record.Crashes, n)
		}
	})
}

// A clock that is put forward when nothing waits must wait for what a replica holds, too.
func TestNextDueKnowsWhatIsHeld(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		next := func() time.Time {
			at, err := b.NextDue(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		if at := next(); !at.IsZero() {
			t.Errorf("an empty queue is due at %v", at)
		}
		o := b.queue(t, 1)[0]
		if at := next(); !at.Equal(o.Release) {
			t.Errorf("the one that waits is due at %v, want %v", at, o.Release)
		}
		c := claimOne(t, b.Store, time.Minute)
		if at := next(); at.IsZero() || at.After(o.Release) {
			t.Errorf("the one that is held is due at %v, want before %v", at, o.Release)
		}
		complete(t, b.Store, result(c, care.StateSent, epoch))
		if at := next(); !at.IsZero() {
			t.Errorf("when it is settled the next is due at %v", at)
		}
	})
}
