package store

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/keyspace"
)

// What is older than the last two seconds before it was last looked at is expected to be there; younger writes an append-only file
// may lose.
func TestWatermarksExpectWhatIsSolid(t *testing.T) {
	t.Parallel()
	var m watermarks
	now := epoch
	see := func(n int64, confirmed bool) {
		m.seen(3, strconv.FormatInt(n, 10), m.floor()[3], confirmed, now)
	}
	see(10, true)
	now = now.Add(3 * time.Second)
	see(20, true)
	see(12, true)                   // lost in a crash of the machine, within the last two seconds
	now = now.Add(10 * time.Second) // nor are they missed when that was long ago
	see(12, true)
	see(12, true)
	if m.stopped() != nil || m.floor()[3] != 12 {
		t.Fatalf("stopped because of writes that may be lost: %v, solid %d", m.stopped(), m.floor()[3])
	}
	now = now.Add(watermarksEvery)
	see(20, true)
	now = now.Add(lastWrites)
	see(21, true)
	if got := m.floor()[3]; got != 20 {
		t.Fatalf("solid is %d", got)
	}
	see(500, false) // a failover may lose what no replica has
	now = now.Add(10 * time.Second)
	see(21, true)
	see(21, true)
	if m.stopped() != nil || m.high[3] != 21 {
		t.Fatalf("an unconfirmed watermark is expected: %+v", m.high)
	}
	m.seen(3, "19", 0, true, now) // the answer to an older question
	if m.stopped() != nil {
		t.Fatal("stopped by an answer that was overtaken")
	}
	see(19, true)
	if !errors.Is(m.stopped(), ErrRestored) {
		t.Error("not noticed")
	}
}

// A claim that shows that the state went back hands nothing out.
func TestClaimNoticesARestore(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 3)
		b.watermarks.mu.Lock()
		for i := range b.watermarks.solid {
			b.watermarks.solid[i] = 100
		}
		b.watermarks.mu.Unlock()
		if claims, err := b.Claim(t.Context(), care.Lanes, 9, time.Minute); !errors.Is(err, ErrRestored) || len(claims) != 0 {
			t.Errorf("claimed %d, %v", len(claims), err)
		}
	})
}

func TestOneReplicaStopsAllUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		if err := b.StopRestored(ctx); err != nil {
			t.Fatal(err)
		}
		other := b.another(t)
		if op, err := other.Operator(ctx); err != nil || !op.All {
			t.Errorf("another replica goes on: %+v, %v", op, err)
		}
		if _, err := other.Resume(ctx, "all"); err != nil {
			t.Fatal(err)
		}
		if at, stopped, err := b.Accepted(ctx); err != nil || !stopped || !at.IsZero() {
			t.Errorf("a plain resume accepted it: %v %v %v", at, stopped, err)
		}
		if err := other.AcceptRestored(ctx); err != nil {
			t.Fatal(err)
		}
		if op, err := b.Operator(ctx); err != nil || op.All {
			t.Errorf("still stopped: %+v, %v", op, err)
		}
		if at, stopped, err := b.Accepted(ctx); err != nil || stopped || at.IsZero() {
			t.Errorf("accepted: %v %v %v", at, stopped, err)
		}
		if stops, err := b.Stops(ctx); err != nil || len(stops) != 0 {
			t.Errorf("stops: %+v, %v", stops, err)
		}
	})
}

func TestReplicasAgreeOnTheirNumber(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		step := func(who string, ttl time.Duration, count int, agreed bool) {
			t.Helper()
			n, all, err := b.Alive(t.Context(), who, ttl)
			if err != nil || n != count || all != agreed {
				t.Errorf("%s: %d replicas, agreed %v, %v; want %d, %v", who, n, all, err, count, agreed)
			}
		}
		step("a", time.Minute, 1, true)
		step("b", time.Minute, 2, false) // a believes that it is alone
		step("a", time.Minute, 2, true)
		step("b", time.Minute, 2, true)
		step("c", time.Millisecond, 3, false)
		time.Sleep(5 * time.Millisecond)
		step("a", time.Minute, 2, false) // c is gone, but b may still count itself and a only, which is right; it says so next
		step("b", time.Minute, 2, true)
		if err := b.Leave(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		step("a", time.Minute, 1, true)
	})
}

func TestCursorsInTheEvents(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		if p, err := b.EventCursor(t.Context(), "x"); err != nil || p != (Cursor{}) {
			t.Errorf("%+v, %v", p, err)
		}
		if n, err := b.EventsTrimmed(t.Context()); err != nil || n != 0 {
			t.Errorf("trimmed %d, %v", n, err)
		}
		want := Cursor{"17-3", 12}
		if err := b.SetEventCursor(t.Context(), "x", want); err != nil {
			t.Fatal(err)
		}
		if p, err := b.EventCursor(t.Context(), "x"); err != nil || p != want {
			t.Errorf("%+v, %v", p, err)
		}
		for range 5 {
			if err := b.Note(t.Context(), []care.EventEntry{{At: epoch, Kind: "task"}}); err != nil {
				t.Fatal(err)
			}
		}
		if b.embed {
			return // it does not count what it has had
		}
		b.redis.XTrimMaxLen(t.Context(), keyspace.Shared.Events(), 2)
		if n, err := b.EventsTrimmed(t.Context()); err != nil || n != 3 {
			t.Errorf("trimmed %d, %v", n, err)
		}
	})
}
