package store

import (
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

// The ledgers of those who are gone are trimmed entry by entry, and end with the last; an overlay stays. What Scan sees is Scan's.
func TestLedgersOfTheGoneAreTrimmed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		old, young := epoch.Add(-ledgerKept-time.Hour), epoch.Add(-ledgerKept+time.Hour)
		entry := func(state care.State, at time.Time) string {
			return codec.EncodeEntry(care.LedgerEntry{State: state, At: at, Class: care.Care, Channel: care.Email, Program: "p"})
		}
		for _, id := range []string{"gone", "stays"} {
			b.redis.HSet(ctx, ledgerKey(id), "old", entry(care.StateSent, old), "young", entry(care.StateSent, young), "waits", entry(care.StateDue, old))
		}
		b.redis.HSet(ctx, ledgerKey("over"), "old", entry(care.StateSkipped, old))
		b.redis.HSet(ctx, ledgerKey("stopped"), "old", entry(care.StateSent, old), codec.OverlayField, `{"stops":{}}`)
		b.write(t, "stays", `{"id":"stays"}`)
		for range 2 {
			if err := b.TrimLedgers(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for id, want := range map[string][]string{
			"gone": {"waits", "young"}, "stays": {"old", "waits", "young"}, "over": nil, "stopped": {codec.OverlayField},
		} {
			if got := sorted(b.redis.HKeys(ctx, ledgerKey(id)).Val()); !slices.Equal(got, want) {
				t.Errorf("%s has %q, want %q", id, got, want)
			}
		}
	})
}

// A walk that is longer than one look goes on where the last one stopped.
func TestTrimLedgersGoesOn(t *testing.T) {
	t.Parallel()
	b := onRedis(t)
	ctx := t.Context()
	const n = trimPages*trimPage + 4000
	old := codec.EncodeEntry(care.LedgerEntry{State: care.StateSent, At: epoch.Add(-ledgerKept - time.Hour), Class: care.Care, Channel: care.Email})
	pipe := b.redis.Pipeline()
	for i := range n {
		pipe.HSet(ctx, ledgerKey(customer(i)), "old", old)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	left := make([]int64, 3)
	for i := range left {
		if err := b.TrimLedgers(ctx); err != nil {
			t.Fatal(err)
		}
		left[i] = b.redis.DBSize(ctx).Val()
	}
	if left[0] == 0 || left[0] >= n || left[2] >= 100 { // some keys are the shards' own
		t.Errorf("of %d keys there were %d after one look, %d after three", n, left[0], left[2])
	}
}
