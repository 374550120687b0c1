package store

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// Customers with many due messages each: a claim takes one of each and comes back, instead of asking until the leases end.
func TestClaimComesBackWhenCustomersAreBusy(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		const customers, each = 3, 400
		var changes []care.Change
		for i := range customers {
			c := care.Change{Customer: customer(i)}
			for n := range each {
				c.Add = append(c.Add, occurrence(customer(i), n, b.clock.now().Add(-time.Minute)))
			}
			changes = append(changes, c)
		}
		if got, err := b.Apply(t.Context(), changes); err != nil || got.Added != customers*each {
			t.Fatalf("Apply: %+v, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		claims, err := b.Claim(ctx, care.Lanes, 500, time.Minute)
		if err != nil || ctx.Err() != nil || len(claims) != customers {
			t.Errorf("claimed %d, %v; want one of each of %d customers", len(claims), err, customers)
		}
	})
}

// Who has a message claimed waits with the others, in their order, and holds up nobody else.
func TestTheQueueKeepsItsOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		const shard = 5
		ids := ofShard(shard, 3)
		var want []string
		for i, id := range []string{ids[0], ids[0], ids[1], ids[0], ids[1], ids[2]} {
			o := occurrence(id, i, epoch.Add(time.Duration(i)*time.Millisecond-time.Minute))
			b.apply(t, Applied{Added: 1}, care.Change{Customer: id, Add: []*care.Occurrence{o}})
			want = append(want, o.ID)
		}
		var got [][]string
		for {
			claims, err := b.Claim(t.Context(), care.Lanes, 100, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if len(claims) == 0 {
				break
			}
			var some []string
			for _, c := range claims {
				some = append(some, c.Record.ID)
			}
			if more, err := b.Claim(t.Context(), care.Lanes, 100, time.Minute); err != nil || len(more) != 0 {
				t.Fatalf("%v was claimed of those who are busy (%v)", more, err)
			}
			for _, c := range claims {
				complete(t, b.Store, result(c, care.StateSent, epoch))
			}
			got = append(got, some)
		}
		turns := [][]string{{want[0], want[2], want[5]}, {want[1], want[4]}, {want[3]}}
		if !slices.EqualFunc(got, turns, slices.Equal[[]string]) {
			t.Errorf("claimed %v, want %v", got, turns)
		}
	})
}

// Many messages that are due at the same moment are found one by one: to be moved, to be dropped, and to be claimed, none before its time.
func TestManyAreDueAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		const shard, n = 3, 600
		due, later := epoch.Add(time.Hour), epoch.Add(2*time.Hour)
		var plan, moves, drops []care.Change
		for i, id := range ofShard(shard, n) {
			o := occurrence(id, 0, due)
			plan = append(plan, care.Change{Customer: id, Add: []*care.Occurrence{o}})
			switch i % 3 {
			case 0:
				moved := *o
				moved.Release = later
				moves = append(moves, care.Change{Customer: id, Move: []*care.Occurrence{&moved}})
			case 1:
				drops = append(drops, care.Change{Customer: id, Drop: []care.Drop{{ID: o.ID, State: care.StateSkipped, Reason: "test"}}})
			}
		}
		check := func(want int) {
			t.Helper()
			if got := len(b.waiting(t, shard, smsQueue)); got != want {
				t.Errorf("%d wait, want %d", got, want)
			}
		}
		b.apply(t, Applied{Added: n}, plan...)
		check(n)
		b.apply(t, Applied{Moved: n / 3}, moves...)
		check(n)
		b.apply(t, Applied{Dropped: n / 3}, drops...)
		check(2 * n / 3)
		seen := make(map[string]bool)
		for _, at := range []time.Time{due, later} {
			b.clock.at.Store(at.UnixNano() - 1)
			if claims, err := b.Claim(t.Context(), care.Lanes, 10, time.Minute); err != nil || len(claims) != 0 {
				t.Fatalf("claimed %v early (%v)", claims, err)
			}
			b.clock.advance(1)
			for {
				claims, err := b.Claim(t.Context(), care.Lanes, 70, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				if len(claims) == 0 {
					break
				}
				for _, c := range claims {
					if seen[c.Record.ID] || !c.Record.Release.Equal(at) {
						t.Fatalf("%s was claimed twice, or is of %v", c.Record.ID, c.Record.Release)
					}
					seen[c.Record.ID] = true
					complete(t, b.Store, result(c, care.StateSent, b.clock.now()))
				}
			}
		}
		if len(seen) != 2*n/3 {
			t.Errorf("%d of %d were claimed", len(seen), 2*n/3)
		}
		check(0)
	})
}

// A set that somebody deleted is filled again by Repair.
func TestADeletedSetComesBack(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		b.redis.Del(t.Context(), dueKey(care.ShardOf(o.ID), smsQueue))
		if claims, err := b.Claim(t.Context(), care.Lanes, 10, time.Minute); err != nil || len(claims) != 0 {
			t.Fatalf("claimed %v, %v", claims, err)
		}
		if at, err := b.NextDue(t.Context()); err != nil || !at.IsZero() {
			t.Errorf("something is due at %v, %v", at, err)
		}
		for _, want := range []int{1, 0} {
			if n, err := b.Repair(t.Context()); err != nil || n != want {
				t.Fatalf("Repair put %d back, %v; want %d", n, err, want)
			}
		}
		if c := claimOne(t, b.Store, time.Minute); c.Record.ID != o.ID {
			t.Errorf("claimed %s", c.Record.ID)
		}
	})
}
