package faults

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
)

func rec(id string, s care.State, change ...func(*care.Record)) care.Record {
	r := care.Record{ID: id, Customer: "C" + id, Program: "p", State: s}
	for _, c := range change {
		c(&r)
	}
	return r
}

func repeats(n int) func(*care.Record) { return func(r *care.Record) { r.Repeats = n } }

func attempt(kind care.Kind, code string) func(*care.Record) {
	return func(r *care.Record) { r.Attempts = append(r.Attempts, care.Attempt{Kind: kind, Code: code}) }
}

func plan(ids ...string) []Planned {
	var out []Planned
	for _, id := range ids {
		out = append(out, Planned{"C" + id, "p"})
	}
	return out
}

func TestJudgeAgreesWithBooksInOrder(t *testing.T) {
	t.Parallel()
	got, broken := Judge(plan("a", "b", "c", "d", "e", "f", "g", "h", "i"), []care.Record{
		rec("a", care.StateSent), rec("b", care.StateDelivered, repeats(2)), rec("c", care.StateFailed), rec("d", care.StateExpired),
		rec("e", care.StateSkipped), rec("f", care.StateUncertain), rec("g", care.StateDue), rec("h", care.StateRetry, attempt(care.KindUncertain, "")),
		rec("i", care.StateSent, repeats(1)),
	}, map[string]int{"a-email": 1, "b-email": 3, "f-sms": 1, "h-email": 1, "i-webhook": 2})
	want := Figures{
		Planned: 9, Sent: 3, Failed: 1, Expired: 1, Skipped: 1, Uncertain: 1, Pending: 2, Accepts: 8, Duplicates: 3, Repeats: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(broken) > 0 {
		t.Errorf("%v (-want +got)\n%s", broken, diff)
	}
}

func TestJudgeSeesEveryBrokenPromise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		records []care.Record
		accepts map[string]int
		want    string
	}{
		"lost":                {nil, nil, "lost: customer Ca"},
		"planned twice":       {[]care.Record{rec("a", care.StateDue), {ID: "b", Customer: "Ca", Program: "p", State: care.StateDue}}, nil, "b: planned twice"},
		"not planned":         {[]care.Record{rec("a", care.StateDue), rec("b", care.StateDue)}, nil, "b: recorded, but nothing"},
		"sent, not accepted":  {[]care.Record{rec("a", care.StateSent)}, nil, "a: recorded as sent, but never accepted"},
		"accepted, failed":    {[]care.Record{rec("a", care.StateFailed)}, map[string]int{"a-email": 1}, "a: accepted 1 times, but recorded as never sent (failed"},
		"accepted, expired":   {[]care.Record{rec("a", care.StateExpired)}, map[string]int{"a-email": 1}, "never sent (expired"},
		"accepted, skipped":   {[]care.Record{rec("a", care.StateSkipped)}, map[string]int{"a-sms": 1}, "never sent (skipped"},
		"accepted, due again": {[]care.Record{rec("a", care.StateDue)}, map[string]int{"a-email": 1}, "never sent (due"},
		"accepted, retry":     {[]care.Record{rec("a", care.StateRetry, attempt(care.KindRetry, "451"))}, map[string]int{"a-email": 1}, "never sent (retry"},
		"repeated in silence": {[]care.Record{rec("a", care.StateSent, repeats(1))}, map[string]int{"a-email": 3}, "a: accepted 3 times, but 1 repeats are recorded"},
		"a try on record":     {[]care.Record{rec("a", care.StateSent, attempt(care.KindRetry, "repeated_at_once"))}, map[string]int{"a-webhook": 2}, "a: accepted 2 times, but 0 repeats"},
		"two channels":        {[]care.Record{rec("a", care.StateSent)}, map[string]int{"a-email": 1, "a-sms": 1}, "a: accepted 2 times, but 0 repeats"},
		"no record":           {[]care.Record{rec("a", care.StateDue)}, map[string]int{"z-email": 1}, `without any record: "z"`},
		"no such state":       {[]care.Record{rec("a", "odd")}, nil, "a: in a state that is none"},
	} {
		_, broken := Judge(plan("a"), c.records, c.accepts)
		if !strings.Contains(strings.Join(broken, "\n"), c.want) {
			t.Errorf("%s: %q, want %q among them", name, broken, c.want)
		}
	}
}
