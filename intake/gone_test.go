package intake_test

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/intake"
)

// TestGone: who is missing gets a hold, who comes back loses it, and everything else in the record stays as it is.
func TestGone(t *testing.T) {
	t.Parallel()
	gone := intake.Gone("C1", care.NewDate(2026, 12, 1))
	for before, marked := range map[string]string{
		`{"id":"C1"}`:            `{"id":"C1","holds":[{"reason":"gone","since":"2026-12-01"}]}`,
		`{"id":"C1","holds":[]}`: `{"id":"C1","holds":[{"reason":"gone","since":"2026-12-01"}]}`,
		`{"id":"C1","holds":[{"reason":"complaint","until":"2026-12-24"}],"x":1}`: `{"id":"C1","holds":[{"reason":"complaint","until":"2026-12-24"},{"reason":"gone","since":"2026-12-01"}],"x":1}`,
	} {
		got, err := intake.MergeRecord([]byte(before), gone)
		if err != nil || string(got) != marked {
			t.Errorf("%s: got %s, %v, want %s", before, got, err, marked)
		}
		store := records{"C1": got}
		if _, err := intake.Read(t.Context(), strings.NewReader("id,name\nC1,\n"), "x.csv", options(t), store.apply); err != nil {
			t.Fatal(err)
		}
		want := before
		if !strings.Contains(before, "holds") {
			want = `{"id":"C1","holds":[]}`
		}
		if string(store["C1"]) != want {
			t.Errorf("back: got %s, want %s", store["C1"], want)
		}
	}
	if got, err := intake.MergeRecord(nil, gone); err != nil || got != nil {
		t.Errorf("nobody: got %s, %v", got, err)
	}
}

// TestIDs: a set of the ids that files name, those of rejected rows too.
func TestIDs(t *testing.T) {
	t.Parallel()
	ids := intake.NewIDs()
	read(t, "x.csv", "id,phone\nC1,\nC2,12\n,13800138000\nx y,\n\"C9,\n", func(o *intake.Options) { o.IDs = ids })
	read(t, "x.jsonl", `{"id":"C3"}`+"\n"+`{"id":"C4","phone":"12"}`+"\nx\n", func(o *intake.Options) { o.IDs = ids })
	for id, want := range map[string]bool{"C1": true, "C2": true, "C3": true, "C4": true, "C5": false, "C9": false} {
		if ids.Has(id) != want {
			t.Errorf("%s: got %t", id, !want)
		}
	}
	if ids.Len() != 4 || ids.Unreadable != 4 {
		t.Errorf("got %d ids, %d rows without one", ids.Len(), ids.Unreadable)
	}
}
