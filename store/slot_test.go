package store

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

// memberSlot is the slot that a member's record names.
func memberSlot(m string) string { return m[restAt+3 : restAt+3+slotLen] }

// waiting lists what stands in a lane's queue, those that were there at a crash too.
func (b *bundle) waiting(tb testing.TB, shard int, lane care.Lane) []string {
	tb.Helper()
	all := b.redis.ZRange(tb.Context(), lateKey(shard, lane), 0, -1).Val()
	for _, slot := range b.redis.ZRange(tb.Context(), dueKey(shard, lane), 0, -1).Val() {
		some := b.redis.LRange(tb.Context(), slotKey(shard, lane, slot), 0, -1).Val()
		if len(some) == 0 {
			tb.Fatalf("slot %s has no list", slot)
		}
		for _, m := range some {
			if memberSlot(m) != slot {
				tb.Fatalf("%q stands in slot %s", m, slot)
			}
		}
		all = append(all, some...)
	}
	return all
}

// smsQueue is the lane of what queue and fill plan.
var smsQueue = care.LaneOf(care.SMS, care.Service)

// unqueue takes a message out of its slot, as somebody with redis-cli would.
func (b *bundle) unqueue(tb testing.TB, shard int, m string) {
	tb.Helper()
	slot := memberSlot(m)
	if n, err := b.redis.LRem(tb.Context(), slotKey(shard, smsQueue, slot), 0, m).Result(); err != nil || n != 1 {
		tb.Fatalf("%d of %q, %v", n, m, err)
	}
}

// enqueue puts a message into the slot that its record names.
func (b *bundle) enqueue(tb testing.TB, shard int, m string) {
	tb.Helper()
	slot := memberSlot(m)
	b.redis.RPush(tb.Context(), slotKey(shard, smsQueue, slot), m)
	b.redis.ZAdd(tb.Context(), dueKey(shard, smsQueue), redis.Z{Score: float64(slotTime(slot).UnixMilli()), Member: slot})
}

// deleteQueue deletes all keys of a shard's queue.
func (b *bundle) deleteQueue(tb testing.TB, shard int) {
	tb.Helper()
	for _, pattern := range []string{"due:*", "slot:*", "late:*"} {
		keys := b.redis.Keys(tb.Context(), shardKey(shard, pattern)).Val()
		for _, key := range keys {
			b.redis.Del(tb.Context(), key)
		}
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 400_000_001, time.UTC)
	for _, c := range []struct {
		in   time.Duration
		want string // the slot's time, from the whole second on
	}{
		{0, "0s"},
		{-400 * time.Millisecond, "0s"},
		{-time.Hour, "-1h0m0s"},
		{1, "401ms"}, // 400 ms and 2 ns: rounded up
		{599_999_999, "1s"},
		{time.Minute, "1m0.401s"},
		{time.Minute + time.Millisecond, "1m1s"},
		{24 * time.Hour, "24h0m1s"},
	} {
		got := slotTime(slotOf(now.Add(c.in), now)).Sub(now.Truncate(time.Second))
		if got.String() != c.want {
			t.Errorf("what is due in %v has the slot %v, want %v", c.in, got, c.want)
		}
	}
	for at, want := range map[time.Time]string{{}: "1000000000000", time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC): "9999999999999"} {
		if got := slotOf(at, now); got != want {
			t.Errorf("the slot of %v is %s, want %s", at, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(0, rapid.Int64Range(1e18, 4e18).Draw(t, "now"))
		due := at.Add(time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "in")))
		slot := slotOf(due, at)
		late := slotTime(slot).Sub(due)
		switch {
		case len(slot) != slotLen:
			t.Fatalf("the slot %s", slot)
		case !due.After(at):
			if slotTime(slot).After(at) {
				t.Fatalf("what is due already waits until %v", slotTime(slot))
			}
		case late < 0 || late >= time.Second || due.Sub(at) <= slotExact && late >= time.Millisecond:
			t.Fatalf("it goes %v late", late)
		}
	})
}

// ofShard gives n customers of a shard.
func ofShard(shard, n int) (ids []string) {
	for i := 0; len(ids) < n; i++ {
		if care.Shard(customer(i)) == shard {
			ids = append(ids, customer(i))
		}
	}
	return ids
}

// What does not go into a slot goes into the next, and is found there by whoever moves it, drops it or claims it.
func TestAFullSlotGoesOn(t *testing.T) {
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
		b.apply(t, Applied{Added: n}, plan...)
		check := func(want int) {
			t.Helper()
			if got := len(b.waiting(t, shard, smsQueue)); got != want {
				t.Errorf("%d wait, want %d", got, want)
			}
			for _, slot := range b.redis.ZRange(t.Context(), dueKey(shard, smsQueue), 0, -1).Val() {
				after := min(slotTime(slot).Sub(due), slotTime(slot).Sub(later).Abs())
				if k := b.redis.LLen(t.Context(), slotKey(shard, smsQueue, slot)).Val(); k > 128 || after < 0 || after >= time.Second {
					t.Errorf("%d stand in a slot %v after they are due", k, after)
				}
			}
		}
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
			b.clock.advance(time.Second)
			for range n / 3 {
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
					settle(t, b.Store, result(c, care.StateSent, b.clock.now()))
				}
			}
		}
		if len(seen) != 2*n/3 {
			t.Errorf("%d of %d were claimed", len(seen), 2*n/3)
		}
		check(0)
	})
}

// Who has a message in flight waits with the others, in their order, and holds up nobody else of the slot.
func TestASlotKeepsItsOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		const shard = 5
		ids := ofShard(shard, 3)
		var want []string
		for i, id := range []string{ids[0], ids[0], ids[1], ids[0], ids[1], ids[2]} {
			o := occurrence(id, i, epoch.Add(-time.Minute))
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
				t.Fatalf("%v was claimed of those in flight (%v)", more, err)
			}
			for _, c := range claims {
				settle(t, b.Store, result(c, care.StateSent, epoch))
			}
			got = append(got, some)
		}
		turns := [][]string{{want[0], want[2], want[5]}, {want[1], want[4]}, {want[3]}}
		if !slices.EqualFunc(got, turns, slices.Equal[[]string]) {
			t.Errorf("claimed %v, want %v", got, turns)
		}
	})
}

// A slot whose list somebody deleted is nobody's any more, and Repair puts its messages back.
func TestAListIsDeleted(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		shard := care.ShardOf(o.ID)
		slot := b.redis.ZRange(t.Context(), dueKey(shard, smsQueue), 0, 0).Val()[0]
		b.redis.Del(t.Context(), slotKey(shard, smsQueue, slot))
		if claims, err := b.Claim(t.Context(), care.Lanes, 10, time.Minute); err != nil || len(claims) != 0 {
			t.Fatalf("claimed %v, %v", claims, err)
		}
		if at, err := b.NextDue(t.Context()); err != nil || !at.IsZero() {
			t.Errorf("something is due at %v, %v", at, err)
		}
		if n, err := b.Repair(t.Context()); err != nil || n != 1 {
			t.Fatalf("Repair put %d back, %v", n, err)
		}
		// The other half: the list is there, and nothing says so.
		b.redis.Del(t.Context(), dueKey(shard, smsQueue))
		if n, err := b.Repair(t.Context()); err != nil || n != 0 {
			t.Fatalf("Repair put %d back, %v", n, err)
		}
		if c := claimOne(t, b.Store, time.Minute); c.Record.ID != o.ID {
			t.Errorf("claimed %s", c.Record.ID)
		}
	})
}
