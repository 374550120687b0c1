package operate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/intake"
)

// TestMergeQueue: batches are merged side by side, no more than mergesInFlight of them, and those that share a customer in the order of the file.
func TestMergeQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		got, want := map[string][]int{}, map[string][]int{}
		now, most := 0, 0
		f := &mergeQueue{merge: func(patches []intake.Patch) (counts, error) {
			mu.Lock()
			now++
			most = max(most, now)
			pause := time.Duration(patches[0].Rows*619%1000) * time.Millisecond
			mu.Unlock()
			time.Sleep(pause) // of the bubble's clock
			mu.Lock()
			defer mu.Unlock()
			now--
			for _, p := range patches {
				got[p.ID] = append(got[p.ID], p.Rows)
			}
			return counts{Created: 1, Changed: 2, Unchanged: len(patches) - 3}, nil
		}}
		const batches = 300
		for n := range batches {
			patches := make([]intake.Patch, 5)
			for i, k := range random.Perm(40)[:len(patches)] {
				id := fmt.Sprintf("C%d", k)
				patches[i] = intake.Patch{ID: id, Rows: n}
				want[id] = append(want[id], n)
			}
			if err := f.begin(patches); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.wait(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order of each customer's batches (-want +got):\n%s", diff)
		}
		if most != mergesInFlight {
			t.Errorf("%d batches were merged side by side, want %d", most, mergesInFlight)
		}
		if want := (counts{Created: batches, Changed: 2 * batches, Unchanged: 2 * batches}); f.sum != want {
			t.Errorf("counted %+v, want %+v", f.sum, want)
		}
	})
}

// TestMergeQueueAfterAnError: nothing is begun after an error is known, and what is under way is waited for.
func TestMergeQueueAfterAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		begun := 0
		f := &mergeQueue{merge: func(patches []intake.Patch) (counts, error) {
			begun++
			time.Sleep(time.Second)
			if patches[0].ID == "C1" {
				return counts{}, broken
			}
			return counts{Created: 1}, nil
		}}
		var err error
		for i := 0; err == nil && i < 100; i++ {
			err = f.begin([]intake.Patch{{ID: fmt.Sprintf("C%d", i)}})
			synctest.Wait()
		}
		if !errors.Is(err, broken) || !errors.Is(f.wait(), broken) {
			t.Errorf("got %v", err)
		}
		if begun > 1+mergesInFlight+1 || f.sum.Created != begun-1 {
			t.Errorf("%d batches were begun, %d of them counted", begun, f.sum.Created)
		}
	})
}
