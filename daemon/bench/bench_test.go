package bench_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/carebell/carebell/daemon/bench"
)

// TestEveryRow makes each row do a little work: it must come with its figures and its limit, or say what to install. How fast
// anything was is no business of a test.
func TestEveryRow(t *testing.T) {
	t.Parallel()
	for _, name := range bench.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []bench.Result
			err := bench.Run(t.Context(), bench.Options{Only: name, Runs: 1, Messages: 48, Customers: 3000}, func(r bench.Result) error {
				got = append(got, r)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0].Row != name {
				t.Fatalf("got %+v", got)
			}
			r := got[0]
			if r.Runs == 0 {
				if !strings.Contains(r.Note, "apt-get install") {
					t.Errorf("it was not measured and does not say what to install: %q", r.Note)
				}
				return
			}
			if r.Ours <= 0 || r.Score <= 0 || r.Low > r.Score || r.High < r.Score || r.Meets == "" || r.Against != "" && r.Limit <= 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRunRefusesUnknownRowsAndStopsAtAnError(t *testing.T) {
	t.Parallel()
	if err := bench.Run(t.Context(), bench.Options{Only: "nothing"}, nil); err == nil || !strings.Contains(err.Error(), "email") {
		t.Errorf("an unknown row: %v", err)
	}
	stop := errors.New("enough")
	err := bench.Run(t.Context(), bench.Options{Only: "queue", Runs: 1, Messages: 16}, func(bench.Result) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}
