//go:build e2e || faults

package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The demo is a year of two stores, one in Chinese and one in English, some of whose customers share a number: planned beforehand as a
// whole, then swept and sent day by day.
func TestRow46AYearsReplay(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { measured.end(t) })
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.CommandContext(t.Context(), binary, "demo", "--days", fmt.Sprint(pick(40, 365)), "--speed", "10d/s", "--exit", "--listen", "127.0.0.1:0", "--report", report)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, last(string(out)))
	}
	raw, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Days, Planned, Arrived    int
		Seconds                   float64
		Missing, Twice, Unplanned []string
		Skipped                   map[string]int
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if f.Arrived != f.Planned || f.Planned == 0 || len(f.Missing)+len(f.Twice)+len(f.Unplanned) > 0 || f.Skipped["duplicate_household"] == 0 {
		t.Errorf("the year went so: %+v", f)
	}
	measured.say(rowOf(t), fmt.Sprintf("%d days in %.0f s: planned %d, arrived %d, missing %d, twice %d, unplanned %d; for the household only once: %d",
		f.Days, f.Seconds, f.Planned, f.Arrived, len(f.Missing), len(f.Twice), len(f.Unplanned), f.Skipped["duplicate_household"]))
}
