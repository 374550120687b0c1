package store

import (
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/keyspace"
)

// onTrial opens a store of a trial on the same Redis, as carebell does at its start.
func (b *bundle) onTrial(t testing.TB) *Store {
	t.Helper()
	return open(t, Options{URL: b.url, Clock: b.clock.now, Embedded: b.embed, Migrate: true, Trial: "dry run"})
}

// TestATrialLeavesNoTrace tries messages out, and then plans and sends them for real.
func TestATrialLeavesNoTrace(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		one := b.queue(t, 1)[0] // it waits outside of the trial
		if err := b.UpdateOverlay(ctx, one.Customer, func(o *care.Overlay) error {
			o.Stops = map[string]care.Stop{"email": {Source: "link"}}
			return nil
		}); err != nil {
			t.Fatal(err)
		}

		tried := b.onTrial(t)
		facts, err := tried.Facts(ctx, []string{one.Customer})
		if err != nil || len(facts[0].Ledger) != 0 || facts[0].Overlay == nil || len(facts[0].Overlay.Stops) != 1 {
			t.Fatalf("a trial sees the ledger %v and the overlay %+v, %v; want none of what waits, and what the customer decided", facts[0].Ledger, facts[0].Overlay, err)
		}
		if got, err := tried.Apply(ctx, []care.Change{{Customer: one.Customer, Add: []*care.Occurrence{one}}}); err != nil || got.Added != 1 {
			t.Fatalf("%+v, %v: what waits is not planned in the trial", got, err)
		}
		c := claimOne(t, tried, time.Minute)
		if !begin(t, tried, c) || !complete(t, tried, result(c, care.StateSent, b.clock.now())) {
			t.Fatal("the trial's message was not recorded")
		}
		if facts, err = tried.Facts(ctx, []string{one.Customer}); err != nil || facts[0].Ledger[one.ID].State != care.StateSent {
			t.Fatalf("the trial forgets what it did: %v, %v", facts[0].Ledger, err)
		}
		if err := tried.Note(ctx, []care.EventEntry{{At: b.clock.now(), Customer: one.Customer, Kind: "opt_out", Value: "email"}}); err != nil {
			t.Fatal(err)
		}

		// Outside of the trial nothing has happened.
		open(t, Options{URL: b.url, Clock: b.clock.now, Embedded: b.embed, Migrate: true})
		if facts, err = b.Facts(ctx, []string{one.Customer}); err != nil || facts[0].Ledger[one.ID].State != care.StateDue {
			t.Fatalf("after the trial the ledger says %v, %v; want that it is due", facts[0].Ledger, err)
		}
		if n := b.redis.XLen(ctx, "care:events").Val(); n != 0 {
			t.Errorf("%d events of the trial are told to others", n)
		}
		c = claimOne(t, b.Store, time.Minute)
		if c.Record.ID != one.ID || !begin(t, b.Store, c) || !complete(t, b.Store, result(c, care.StateSent, b.clock.now())) {
			t.Fatalf("%s does not go for real", one.ID)
		}
		for _, key := range b.redis.Keys(ctx, "care:trial:*").Val() {
			if ttl := b.redis.TTL(ctx, key).Val(); ttl <= 0 || ttl > trialKept {
				t.Errorf("%s of the ended trial lives for %v", key, ttl)
			}
		}

		// A trial that begins now knows what customers got, and nothing of the trial before.
		again := b.onTrial(t)
		if keys := b.redis.Keys(ctx, "care:trial:*").Val(); len(keys) != 0 {
			t.Errorf("the ended trial left %v", keys)
		}
		if facts, err = again.Facts(ctx, []string{one.Customer}); err != nil || facts[0].Ledger[one.ID].State != care.StateSent {
			t.Errorf("the second trial sees %v, %v; want what was sent for real", facts[0].Ledger, err)
		}
	})
}

// TestErasingReachesIntoTheTrial erases a customer of whom a trial recorded something.
func TestErasingReachesIntoTheTrial(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		tried := b.onTrial(t)
		o := occurrence("GONE", 0, b.clock.now().Add(-time.Minute))
		if _, err := tried.Apply(t.Context(), []care.Change{{Customer: "GONE", Add: []*care.Occurrence{o}}}); err != nil {
			t.Fatal(err)
		}
		b.erase(t, "GONE", true)
		for _, key := range b.traces(t, "GONE") {
			if key != ledgerKey("GONE") && key != keyspace.Trial.Ledger("GONE") && key != keyspace.Changes {
				t.Errorf("%s still names the customer", key)
			}
		}
		if left := b.redis.HKeys(t.Context(), keyspace.Trial.Ledger("GONE")).Val(); len(left) != 1 || left[0] != "+" {
			t.Errorf("the trial's ledger still has %v", left)
		}
	})
}
