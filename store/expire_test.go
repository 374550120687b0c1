package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

// Two replicas link two customers of one number at once: a family's. Neither may be lost, because the reply that finds nobody is an opt-out.
func TestNoLinkIsLost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		const numbers = 500
		other := b.another(t)
		hash := func(i int) string { return fmt.Sprintf("%04x%028x", i, i) }
		var wg sync.WaitGroup
		for customer, s := range map[string]*Store{"A": b.Store, "B": other} {
			wg.Go(func() {
				for i := range numbers {
					if err := s.Link(t.Context(), []AddressLink{{Hash: hash(i), Customer: customer}}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		lost := 0
		for i := range numbers {
			if got, err := b.ByAddress(t.Context(), hash(i)); err != nil || !cmp.Equal(got, []string{"A", "B"}) {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("%d of %d numbers lost a customer", lost, numbers)
		}
	})
}

// A receipt that belongs to nobody goes after its time, however many others come.
func TestParkedReceiptsExpireOneByOne(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		rc := receipt("", care.StateDelivered)
		rc.ProviderID = "first"
		b.receipts(t, rc)
		if ttl := b.redis.TTL(ctx, parkedKey("first")).Val(); ttl <= 0 || ttl > providerKept {
			t.Fatalf("it lives %v", ttl)
		}
		b.redis.Expire(ctx, parkedKey("first"), time.Hour) // nearly a week later
		rc.ProviderID = "second"
		b.receipts(t, rc)
		if ttl := b.redis.TTL(ctx, parkedKey("first")).Val(); ttl > time.Hour {
			t.Errorf("another receipt has lengthened its life to %v", ttl)
		}
	})
}

// The same of one whose message never has a result.
func TestEarlyReceiptsExpireOneByOne(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 2)
		first, second := claimOne(t, b.Store, time.Hour), claimOne(t, b.Store, time.Hour)
		for _, c := range []*care.Claim{first, second} {
			b.receipts(t, receipt(c.Record.ID, care.StateDelivered))
			b.clock.advance(earlyKept/2 + time.Hour)
			if _, err := b.Repair(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		waits := func(c *care.Claim) bool {
			return b.redis.HExists(t.Context(), shardKey(care.ShardOf(c.Record.ID), "early"), c.Record.ID).Val()
		}
		if waits(first) || !waits(second) {
			t.Errorf("the old one waits: %v, the young one: %v", waits(first), waits(second))
		}
	})
}

// Old entries of a timeline go although others come.
func TestTimelineEntriesExpire(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		for _, value := range []string{"old", "young"} {
			b.note(t, care.EventEntry{At: b.clock.now(), Customer: "C1", Kind: "reply", Value: value})
			b.clock.advance(ledgerKept - time.Hour)
		}
		line, err := b.Timeline(t.Context(), "C1")
		if err != nil || len(line) != 1 || line[0].Value != "young" {
			t.Errorf("the timeline: %+v, %v", line, err)
		}
		b.note(t, care.EventEntry{At: b.clock.now(), Customer: "C1", Kind: "reply", Value: "new"})
		if n := b.redis.LLen(t.Context(), timelineKey("C1")).Val(); n != 2 {
			t.Errorf("%d entries are kept", n)
		}
	})
}

// The index of addresses forgets who is gone and of whom the ledger knows nothing more, and nobody else.
func TestAddressesOfTheGoneAreTrimmed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		const hash = "0011223344556677889900aabbccddee"
		b.write(t, "there", `{"id":"there"}`)
		entry := func(at time.Time) string {
			return codec.EncodeEntry(care.LedgerEntry{State: care.StateSent, At: at, Class: care.Care, Channel: care.SMS, Program: "p"})
		}
		old, young := epoch.Add(-ledgerKept-time.Hour), epoch.Add(-time.Hour)
		b.redis.HSet(ctx, ledgerKey("old"), "x", entry(old))
		b.redis.HSet(ctx, ledgerKey("stopped"), "x", entry(old), codec.OverlayField, `{"stops":{"*":{}}}`)
		b.redis.HSet(ctx, ledgerKey("young"), "x", entry(young)) // a reply may still come
		b.redis.HSet(ctx, ledgerKey("young-stopped"), "x", entry(young), codec.OverlayField, `{"stops":{"*":{}}}`)
		for _, id := range []string{"there", "old", "stopped", "young", "young-stopped", "never"} {
			if err := b.Link(ctx, []AddressLink{{Hash: hash, Customer: id}}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := b.TrimLedgers(ctx); err != nil {
				t.Fatal(err)
			}
		}
		got, err := b.ByAddress(ctx, hash)
		if diff := cmp.Diff([]string{"there", "young", "young-stopped"}, got); diff != "" || err != nil {
			t.Errorf("(-want +got):\n%s%v", diff, err)
		}
		if ok, err := b.redis.HExists(ctx, ledgerKey("stopped"), codec.OverlayField).Result(); !ok || err != nil {
			t.Error("an opt-out is gone")
		}
	})
}

// Uncertain and failed messages leave their lists when their records go.
func TestListsEndWithTheRecords(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 2)
		for _, state := range []care.State{care.StateUncertain, care.StateFailed} {
			complete(t, b.Store, result(claimOne(t, b.Store, time.Minute), state, epoch))
		}
		for _, want := range []int{1, 0} {
			if err := b.Trim(t.Context()); err != nil {
				t.Fatal(err)
			}
			uncertain, _ := b.Uncertain(t.Context())
			failed, _ := b.Failed(t.Context())
			if uncertain != want || failed != want {
				t.Errorf("%d uncertain, %d failed, want %d", uncertain, failed, want)
			}
			b.clock.advance(b.retention + time.Hour)
		}
	})
}

// Who is busy with a message that is not leased any more is freed.
func TestRepairFreesTheBusy(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		o := b.queue(t, 1)[0]
		b.redis.HSet(t.Context(), busyKey(care.Shard(o.Customer)), o.Customer, care.OccurrenceID(o.Customer, "", "p", "s", "c")+"|7")
		if claims, err := b.Claim(t.Context(), care.Lanes, 9, time.Minute); err != nil || len(claims) != 0 {
			t.Fatalf("claimed %v, %v", claims, err)
		}
		if n, err := b.Repair(t.Context()); err != nil || n != 0 {
			t.Fatalf("Repair put %d back, %v", n, err)
		}
		if c := claimOne(t, b.Store, time.Minute); c.Record.ID != o.ID {
			t.Errorf("claimed %s", c.Record.ID)
		}
	})
}
