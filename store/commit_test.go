package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
)

// hand claims n messages of one shard, which are one hand.
func (b *bundle) hand(t *testing.T, n int) []*care.Claim {
	t.Helper()
	var changes []care.Change
	for i := 0; len(changes) < n; i++ {
		if o := occurrence(customer(i), 0, b.clock.now().Add(-time.Minute)); care.Shard(o.Customer) == 3 {
			changes = append(changes, care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}})
		}
	}
	if _, err := b.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the first looks at all shards alike
		claims, err := b.Claim(t.Context(), care.Lanes, 16*n, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(claims) == n {
			return claims
		}
	}
	t.Fatal("they are not claimed together")
	return nil
}

func begins(claims ...*care.Claim) (intents []care.Intent) {
	for _, c := range claims {
		intents = append(intents, care.Intent{Claim: c, At: epoch})
	}
	return intents
}

// The three parts of a commit stand for themselves.
func TestCommit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		claims := b.hand(t, 3)
		if done := b.Commit(t.Context(), care.Commit{Intents: begins(claims[0], claims[1])}); !done.Begun[0] || !done.Begun[1] {
			t.Fatalf("our own intents: %+v", done)
		}
		told := &care.EventEntry{At: epoch, ID: "x", Customer: "C1", State: care.StateSent}
		done := b.Commit(t.Context(), care.Commit{
			Intents: begins(claims[2]),
			Results: []care.Result{result(claims[0], care.StateSent, epoch), result(claims[1], care.StateRetry, epoch)},
			Events:  []*care.EventEntry{told},
		})
		if diff := cmp.Diff(care.Committed{Begun: []bool{true}, Settled: []bool{true, true}}, done); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for i, want := range []care.State{care.StateSent, care.StateRetry, care.StateSending} {
			if r, err := b.Message(t.Context(), claims[i].Record.ID); err != nil || r.State != want {
				t.Errorf("message %d is %s, %v; want %s", i, r.State, err, want)
			}
		}
		if events, err := b.Events(t.Context(), "", 9); err != nil || len(events) != 1 || events[0].ID != "x" {
			t.Errorf("told: %+v, %v", events, err)
		}
		// The last result of a hand leaves nothing of it.
		settle(t, b.Store, result(claims[2], care.StateSent, epoch))
		if left, err := b.redis.Exists(t.Context(), handsKey(3), shardKey(3, "left"), handKey(3, b.redis.Get(t.Context(), fenceKey(3)).Val())).Result(); err != nil || left != 0 {
			t.Errorf("%d keys of the hand are left, %v", left, err)
		}
	})
}

// Where Redis is full nothing is begun, and what has ended is recorded and told all the same.
func TestCommitWhereRedisIsFull(t *testing.T) {
	t.Parallel()
	server := ownRedis(t, "--appendonly", "yes")
	b := bundleAt(t, "redis://"+server.address, false)
	claims := b.hand(t, 2)
	if !begin(t, b.Store, claims[0]) {
		t.Fatal("Begin refused")
	}
	if err := b.redis.ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	done := b.Commit(t.Context(), care.Commit{
		Intents: begins(claims[1]), Results: []care.Result{result(claims[0], care.StateSent, epoch)},
		Events: []*care.EventEntry{{At: epoch, ID: "x", Customer: "C1", State: care.StateSent}},
	})
	if done.NotBegun == nil || done.Begun[0] || done.NotSettled != nil || !done.Settled[0] || done.NotTold != nil {
		t.Errorf("%+v", done)
	}
	if n := b.redis.XLen(t.Context(), eventsKey).Val(); n != 1 {
		t.Errorf("%d told", n)
	}
}

// Of a hand of which somebody was erased the others go on.
func TestOneOfAHandIsErased(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		claims := b.hand(t, 3)
		if err := b.Erase(t.Context(), claims[1].Record.Customer, nil, false); err != nil {
			t.Fatal(err)
		}
		oks, err := b.Begin(t.Context(), begins(claims...))
		if diff := cmp.Diff([]bool{true, false, true}, oks); diff != "" || err != nil {
			t.Errorf("begun (-want +got):\n%s%v", diff, err)
		}
		for i, c := range claims {
			if ok := settle(t, b.Store, result(c, care.StateSent, epoch)); ok != (i != 1) {
				t.Errorf("result %d: %v", i, ok)
			}
		}
		if left := b.redis.Exists(t.Context(), handsKey(3), shardKey(3, "left")).Val(); left != 0 {
			t.Errorf("%d keys of the hand are left", left)
		}
	})
}

// What Begin noted of a message comes back when its hand is dissolved: that it was being sent, when, how often, and with which others.
func TestADissolvedHandKeepsItsIntents(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		claims := b.hand(t, 3)
		at := epoch.Add(1234 * time.Millisecond)
		claims[1].Record.Repeats, claims[1].Record.Also = 2, []string{claims[2].Record.ID}
		if _, err := b.Begin(t.Context(), []care.Intent{{Claim: claims[0], At: at}, {Claim: claims[1], At: at}}); err != nil {
			t.Fatal(err)
		}
		b.endLease(t, claims[0])
		got := make(map[string]*care.Claim)
		for range claims {
			c := awaitClaim(t, b.Store, time.Minute)
			got[c.Record.ID] = c
		}
		for i, want := range []care.State{care.StateUncertain, care.StateUncertain, care.StateClaimed} {
			c := got[claims[i].Record.ID]
			if c == nil || c.Was != want || c.Record.Crashes != 1 {
				t.Fatalf("message %d came back as %+v, want %s", i, c, want)
			}
			if want == care.StateUncertain && (!c.Record.UpdatedAt.Equal(at) || !c.Record.FirstTry.Equal(at)) {
				t.Errorf("message %d was begun at %v, first at %v", i, c.Record.UpdatedAt, c.Record.FirstTry)
			}
		}
		if r := got[claims[1].Record.ID].Record; r.Repeats != 2 || !cmp.Equal(r.Also, claims[1].Record.Also) {
			t.Errorf("%d repeats, with %v", r.Repeats, r.Also)
		}
	})
}
