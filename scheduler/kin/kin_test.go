package kin_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/carebell/carebell/scheduler/kin"
	"pgregory.net/rapid"
)

// Whoever is met later is found by those who share a key, as if all had been there from the start.
func TestMeetFindsWhoSharesAKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		k := kin.New()
		keys := map[string][]uint64{}
		for i := range rapid.IntRange(0, 6).Draw(r, "before") {
			id := fmt.Sprint("A", i)
			keys[id] = rapid.SliceOfN(rapid.Uint64Range(1, 9), 0, 3).Draw(r, id)
			k.Add(id, keys[id])
		}
		k.Close()
		for i := range rapid.IntRange(1, 6).Draw(r, "after") {
			id := fmt.Sprint("B", i)
			keys[id] = rapid.SliceOfN(rapid.Uint64Range(1, 9), 0, 3).Draw(r, id)
			met := k.Meet(id, keys[id])
			if again := k.Meet(id, keys[id]); !slices.Equal(again, met) {
				r.Fatalf("%s met %v, and then %v", id, met, again)
			}
			for other, theirs := range keys {
				shared := slices.ContainsFunc(theirs, func(key uint64) bool { return slices.Contains(keys[id], key) })
				if other != id && shared != slices.Contains(met, other) {
					r.Fatalf("%s with %v met %v, and %s has %v", id, keys[id], met, other, theirs)
				}
			}
		}
	})
}

func TestStale(t *testing.T) {
	t.Parallel()
	k := kin.New()
	k.Close()
	for i := range uint64(1000) {
		if k.Meet(fmt.Sprint(i), []uint64{i}); k.Stale() {
			t.Fatalf("stale after %d", i)
		}
	}
	if k.Meet("last", []uint64{1 << 40}); !k.Stale() {
		t.Error("not stale after 1001 that came later")
	}
}
