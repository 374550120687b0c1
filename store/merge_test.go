package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"
)

// twice sends every pipeline a second time, as go-redis does when an answer is lost: only the second answer is seen.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		for _, c := range cmds {
			c.SetErr(nil)
		}
		return next(ctx, cmds)
	}
}

func TestMergeAfterALostAnswer(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		_, place, err := b.Changes(ctx, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		b.write(t, "there", "1")
		b.client.AddHook(twice{})
		ids := []string{"a", "there", "b", "a"}
		got, err := b.Merge(ctx, ids, func(_ int, old []byte) ([]byte, error) { return fmt.Appendf(nil, "%s+", old), nil })
		if err != nil {
			t.Fatal(err)
		}
		want := []MergeResult{{Created: true}, {Changed: true}, {Created: true}, {Changed: true}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		for id, want := range map[string]string{"a": "++", "there": "1+", "b": "+"} {
			if got := b.redis.Get(ctx, "care:customer:"+id).Val(); got != want {
				t.Errorf("%s = %q, want %q", id, got, want)
			}
		}
		changed, _, err := b.Changes(ctx, place, time.Second)
		if diff := cmp.Diff([]string{"a", "b", "there"}, sorted(changed)); err != nil || diff != "" {
			t.Errorf("changes (-want +got): %v\n%s", err, diff)
		}
	})
}

// TestMergeOfManyAtOnce has more ids than go into one command, some there, some not, some made or changed by another writer in
// between, and one key of another type.
func TestMergeOfManyAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		_, place, err := b.Changes(ctx, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		const n = 3*readAtOnce + 17
		ids, want := make([]string, n+1), make([]MergeResult, n+1)
		records := map[string]string{}
		for i := range n {
			ids[i] = customer(i)
			old := ""
			if i%3 == 0 {
				old = "old"
				b.write(t, ids[i], old)
			}
			if i%50 == 7 {
				old = "other"
			}
			want[i] = MergeResult{Created: old == "", Changed: old != ""}
			records[ids[i]] = old + "+"
		}
		if err := b.redis.LPush(ctx, "care:customer:list", 1).Err(); err != nil {
			t.Fatal(err)
		}
		ids[n], want[n] = "list", MergeResult{Err: cmpopts.AnyError}
		raced := map[int]bool{}
		got, err := b.Merge(ctx, ids, func(i int, old []byte) ([]byte, error) {
			if i < n && i%50 == 7 && !raced[i] {
				raced[i] = true
				b.write(t, ids[i], "other")
			}
			return fmt.Appendf(nil, "%s+", old), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateErrors()); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		for id, want := range records {
			if got := b.redis.Get(ctx, "care:customer:"+id).Val(); got != want {
				t.Errorf("%s = %q, want %q", id, got, want)
			}
		}
		told := map[string]bool{}
		for len(told) < n {
			changed, next, err := b.Changes(ctx, place, 0)
			if err != nil || len(changed) == 0 {
				t.Fatalf("%d of %d were told, then %v", len(told), n, err)
			}
			for _, id := range changed {
				told[id] = true
			}
			place = next
		}
	})
}
