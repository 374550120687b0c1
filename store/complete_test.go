package store

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
)

// claimed claims n messages of one shard together.
func (b *bundle) claimed(t *testing.T, n int) []*care.Claim {
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
	claims, err := b.Claim(t.Context(), care.Lanes, 16*n, time.Minute)
	if err != nil || len(claims) != n {
		t.Fatalf("%d are claimed together, want %d; %v", len(claims), n, err)
	}
	return claims
}

func begins(claims ...*care.Claim) (intents []care.Intent) {
	for _, c := range claims {
		intents = append(intents, care.Intent{Claim: c, At: epoch})
	}
	return intents
}

// Intents, results and events of messages that were claimed together stand for themselves.
func TestBeginAndComplete(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		claims := b.claimed(t, 3)
		if oks, err := b.Begin(ctx, begins(claims...)); err != nil || slices.Contains(oks, false) {
			t.Fatalf("our own intents: %v, %v", oks, err)
		}
		oks, err := b.Complete(ctx, []care.Result{result(claims[0], care.StateSent, epoch), result(claims[1], care.StateRetry, epoch)})
		if err != nil || slices.Contains(oks, false) {
			t.Fatalf("our own results: %v, %v", oks, err)
		}
		if err := b.Publish(ctx, []*care.EventEntry{{At: epoch, ID: "x", Customer: "C1", State: care.StateSent}}); err != nil {
			t.Fatal(err)
		}
		for i, want := range []care.State{care.StateSent, care.StateRetry, care.StateSending} {
			if r, err := b.Message(ctx, claims[i].Record.ID); err != nil || r.State != want {
				t.Errorf("message %d is %s, %v; want %s", i, r.State, err, want)
			}
		}
		if events, err := b.Events(ctx, "", 9); err != nil || len(events) != 1 || events[0].ID != "x" {
			t.Errorf("published: %+v, %v", events, err)
		}
		// Two of them, with one that is ours no more between them.
		oks, err = b.Complete(ctx, []care.Result{result(claims[2], care.StateSent, epoch), result(claims[1], care.StateSent, epoch)})
		if diff := cmp.Diff([]bool{true, false}, oks); diff != "" || err != nil {
			t.Errorf("results (-want +got):\n%s%v", diff, err)
		}
		if left, err := b.redis.Exists(ctx, leasedKey(3), busyKey(3)).Result(); err != nil || left != 0 {
			t.Errorf("%d keys of the claims are left, %v", left, err)
		}
	})
}

// Where Redis is full nothing is begun, and what has ended is recorded and published all the same.
func TestWhereRedisIsFull(t *testing.T) {
	t.Parallel()
	server := ownRedis(t, "--appendonly", "yes")
	b := bundleAt(t, server.URL(), false)
	claims := b.claimed(t, 2)
	if !begin(t, b.Store, claims[0]) {
		t.Fatal("Begin refused")
	}
	if err := b.redis.ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	if oks, err := b.Begin(t.Context(), begins(claims[1])); err == nil || oks[0] {
		t.Errorf("begun: %v, %v", oks, err)
	}
	res := result(claims[0], care.StateSent, epoch)
	res.Record.Attempts = []care.Attempt{{N: 1, At: epoch, Channel: care.SMS, Provider: "P-1"}}
	if !complete(t, b.Store, res) {
		t.Error("the result was refused")
	}
	if err := b.Publish(t.Context(), []*care.EventEntry{{At: epoch, ID: "x", Customer: "C1", State: care.StateSent}}); err != nil {
		t.Error(err)
	}
	if n := b.redis.HLen(t.Context(), shardKey(care.Shard("P-1"), providerTable(codec.DayOf(epoch)))).Val(); n != 1 {
		t.Errorf("%d provider's ids are known", n)
	}
	if n := b.redis.XLen(t.Context(), keyspace.Shared.Events()).Val(); n != 1 {
		t.Errorf("%d published", n)
	}
}

// Of messages that were claimed together, and of which somebody was erased, the others go on.
func TestOneOfThemIsErased(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		claims := b.claimed(t, 3)
		if err := b.Erase(t.Context(), claims[1].Record.Customer, nil, false); err != nil {
			t.Fatal(err)
		}
		oks, err := b.Begin(t.Context(), begins(claims...))
		if diff := cmp.Diff([]bool{true, false, true}, oks); diff != "" || err != nil {
			t.Errorf("begun (-want +got):\n%s%v", diff, err)
		}
		for i, c := range claims {
			if ok := complete(t, b.Store, result(c, care.StateSent, epoch)); ok != (i != 1) {
				t.Errorf("result %d: %v", i, ok)
			}
		}
		if left := b.redis.Exists(t.Context(), leasedKey(3), busyKey(3)).Val(); left != 0 {
			t.Errorf("%d keys of the claims are left", left)
		}
	})
}

// What Begin recorded of a message comes back when its lease has ended: that it was being sent, when, how often, and with which others.
func TestReclaimedMessagesKeepTheirIntents(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		claims := b.claimed(t, 3)
		at := epoch.Add(1234 * time.Millisecond)
		claims[1].Record.Repeats, claims[1].Record.Also = 2, []string{claims[2].Record.ID}
		if _, err := b.Begin(t.Context(), []care.Intent{{Claim: claims[0], At: at}, {Claim: claims[1], At: at}}); err != nil {
			t.Fatal(err)
		}
		for _, c := range claims {
			b.endLease(t, c)
		}
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
