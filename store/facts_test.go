package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

func (b *bundle) write(t testing.TB, id, record string) {
	t.Helper()
	if err := b.redis.Set(t.Context(), "care:customer:"+id, record, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestFactsOfGoodAndBadCustomers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		b.write(t, "good", `{"id":"good","dealer":"d"}`)
		b.write(t, "rubbish", `{"id":`)
		b.write(t, "other", `{"id":"good"}`)
		b.write(t, "overlaid", `{"id":"overlaid"}`)
		b.redis.RPush(ctx, "care:customer:list", "x")
		b.write(t, "unledgered", `{"id":"unledgered"}`)
		b.redis.HSet(ctx, ledgerKey("overlaid"), codec.OverlayField, "{")
		b.redis.Set(ctx, ledgerKey("unledgered"), "no table", 0) // there may have been an opt-out in it
		ids := []string{"good", "gone", "rubbish", "other", "list", "overlaid", "unledgered"}
		facts, err := b.Facts(ctx, ids)
		if err != nil {
			t.Fatal(err)
		}
		want := []error{nil, care.ErrGone, care.ErrNotJSON, care.ErrNoID, care.ErrNotJSON, errOverlay, errOverlay}
		for i, f := range facts {
			if f.ID != ids[i] || !errors.Is(f.Err, want[i]) || (f.Customer == nil) != (want[i] != nil) {
				t.Errorf("%s: %+v; want error %v", ids[i], f, want[i])
			}
		}
		// Of records alone nothing else is known, not even that it is damaged.
		b.redis.HSet(ctx, ledgerKey("good"), codec.OverlayField, "{}")
		if facts, err = b.Customers(ctx, ids); err != nil {
			t.Fatal(err)
		}
		want = []error{nil, care.ErrGone, care.ErrNotJSON, care.ErrNoID, care.ErrNotJSON, nil, nil}
		for i, f := range facts {
			if f.ID != ids[i] || !errors.Is(f.Err, want[i]) || (f.Customer == nil) != (want[i] != nil) || f.Overlay != nil || f.Ledger != nil {
				t.Errorf("%s, the record: %+v; want error %v", ids[i], f, want[i])
			}
		}
	})
}

func TestScanSeesEveryoneAndThoseWhoAreGone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.queue(t, 3) // their records do not exist
		want := []string{customer(0) + " gone", customer(1) + " gone"}
		b.write(t, customer(2), `{"id":"C000002"}`)
		want = append(want, customer(2))
		for i := 10; i < 2510; i++ {
			b.write(t, customer(i), fmt.Sprintf(`{"id":%q}`, customer(i)))
			want = append(want, customer(i))
		}
		var got []string
		err := b.Scan(t.Context(), func(facts []*care.Facts) error {
			if len(facts) > 3*batch {
				t.Errorf("a batch of %d", len(facts))
			}
			for _, f := range facts {
				s := f.ID
				if errors.Is(f.Err, care.ErrGone) {
					s += " gone"
					if len(f.Ledger) != 1 {
						t.Errorf("%s has no ledger", f.ID)
					}
				}
				got = append(got, s)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		got = slices.Compact(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("visited (-want +got):\n%s", diff)
		}
		stop := errors.New("stop")
		if err := b.Scan(t.Context(), func([]*care.Facts) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("Scan after an error: %v", err)
		}
	})
}

func TestMergeIsCompareAndSet(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		_, place, err := b.Changes(ctx, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		b.write(t, "a", `1`)
		b.write(t, "same", `s`)
		refuse := errors.New("refused")
		raced := false
		ids := []string{"a", "b", "a", "same", "bad", "keep"}
		got, err := b.Merge(ctx, ids, func(i int, old []byte) ([]byte, error) {
			switch ids[i] {
			case "same":
				return old, nil
			case "bad":
				return nil, refuse
			case "keep":
				return nil, nil
			case "b":
				if !raced { // another writer comes between
					raced = true
					b.write(t, "b", "x")
				}
			}
			return append(slices.Clone(old), '+'), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []MergeResult{{Changed: true}, {Changed: true}, {Changed: true}, {}, {Err: refuse}, {}}
		if diff := cmp.Diff(want, got, cmpopts.EquateErrors()); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		for id, want := range map[string]string{"a": "1++", "b": "x+"} {
			if got := b.redis.Get(ctx, "care:customer:"+id).Val(); got != want {
				t.Errorf("%s = %q, want %q", id, got, want)
			}
		}
		changed, _, err := b.Changes(ctx, place, time.Second)
		slices.Sort(changed)
		if diff := cmp.Diff([]string{"a", "b"}, changed); err != nil || diff != "" {
			t.Errorf("changes (-want +got): %v\n%s", err, diff)
		}
	})
}

func TestOneLeads(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		lead := func(who string) (int64, bool) {
			t.Helper()
			fence, ok, err := b.Lead(ctx, who, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return fence, ok
		}
		if f, ok := lead("one"); f != 1 || !ok {
			t.Errorf("first: %d %v", f, ok)
		}
		if f, ok := lead("two"); f != 0 || ok {
			t.Errorf("second: %d %v", f, ok)
		}
		if f, ok := lead("one"); f != 1 || !ok {
			t.Errorf("first again: %d %v", f, ok)
		}
		if err := b.Resign(ctx, "two"); err != nil {
			t.Fatal(err)
		}
		if _, ok := lead("two"); ok {
			t.Error("two leads after resigning for one")
		}
		if err := b.Resign(ctx, "one"); err != nil {
			t.Fatal(err)
		}
		if f, ok := lead("two"); f != 2 || !ok {
			t.Errorf("after one resigned: %d %v", f, ok)
		}
	})
}

func TestOldLedgerEntriesGo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		all := b.queue(t, 2)
		for range all {
			c := claimOne(t, b.Store, time.Minute)
			if c.Record.ID == all[0].ID {
				complete(t, b.Store, result(c, care.StateSent, epoch))
			}
		}
		b.clock.advance(401 * 24 * time.Hour)
		if l := b.ledger(t, all[0].Customer); len(l) != 0 {
			t.Errorf("an old entry is still served: %+v", l)
		}
		for _, o := range all {
			b.write(t, o.Customer, fmt.Sprintf(`{"id":%q}`, o.Customer))
		}
		if err := b.Scan(t.Context(), func([]*care.Facts) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for i, want := range []int64{0, 1} { // what is still pending stays
			if n := b.redis.HLen(t.Context(), ledgerKey(all[i].Customer)).Val(); n != want {
				t.Errorf("customer %d has %d entries, want %d", i, n, want)
			}
		}
	})
}
