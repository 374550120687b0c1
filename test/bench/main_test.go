package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/carebell/carebell/test/bench/measure"
)

// TestMisuse: what is asked wrongly ends with 2, before anything is measured.
func TestMisuse(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--runs -1":            "--runs, --customers and --messages are 1 or more",
		"--cpuprofile profile": "name it with --only",
		"--format xml":         "it is table or jsonl",
		"email":                "all there is are flags",
		"--nothing":            "flag provided but not defined",
	} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(args), nil, &out, &errs); code != 2 || !strings.Contains(errs.String(), want) || out.Len() > 0 {
			t.Errorf("%s: status %d, %q, want 2 and %q", args, code, errs.String(), want)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-h"}, nil, &out, &errs); code != 0 || !strings.Contains(errs.String(), "smtp-source") {
		t.Errorf("-h: status %d, %q", code, errs.String())
	}
	if code := run([]string{"--only", "nothing"}, nil, &out, &errs); code != 1 || !strings.Contains(errs.String(), "there is no row") {
		t.Errorf("an unknown row: status %d, %q", code, errs.String())
	}
}

// TestCells writes a row that was measured and one that was not.
func TestCells(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		result measure.Result
		want   string
	}{
		{
			measure.Result{Row: "queue", What: "work", Ours: 17.11, Limit: 6.701, Unit: "µs", Against: "ZADD", Score: 2.555, Low: 2.24, High: 2.67, Must: 3, Meets: "yes", Runs: 5},
			"queue|work|17.1 µs|6.70 µs|ZADD|2.56|2.24–2.67|≤ 3.00|yes",
		},
		{
			measure.Result{Row: "import", What: "a file", Must: 50_000, Of: "rows/s", More: true},
			"import|a file|–|–||not measured|–|≥ 50000 rows/s|",
		},
	} {
		if got := strings.Join(cells(tt.result), "|"); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
