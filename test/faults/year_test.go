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
// whole, then swept and sent day by day. Half way an import brings customers whom nobody announced: the brake holds them, an operator
// lets them go.
func TestRow46AYearsReplay(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { measured.end(t) })
	runs := map[string][]string{"both stores, an import half way": {"--import", fmt.Sprint(pick(1000, 2000))}}
	if long {
		runs["both stores"] = nil
		runs["in Chinese, no number shared"] = []string{"--stores", "zh", "--households=false"}
		runs["in English, numbers shared"] = []string{"--stores", "en"}
		runs["in Chinese, an import half way"] = []string{"--stores", "zh", "--import", "2000"}
		runs["in English, no number shared, an import half way"] = []string{"--stores", "en", "--households=false", "--import", "2000"}
	}
	for name, flags := range runs {
		f := replay(t, flags)
		imported := len(flags) > 0 && flags[len(flags)-2] == "--import"
		if f.Arrived != f.Planned || f.Planned == 0 || len(f.Missing)+len(f.Twice)+len(f.Unplanned) > 0 || imported != (len(f.Braked) > 0) {
			t.Errorf("%s went so: %+v", name, f)
		}
		if flags == nil && f.Skipped["duplicate_household"] == 0 {
			t.Errorf("%s: nobody shares a number: %+v", name, f)
		}
		measured.say(rowOf(t), fmt.Sprintf("%s: %d days in %.0f s, planned %d, arrived %d, missing %d, twice %d, unplanned %d, braked and let go %d programs",
			name, f.Days, f.Seconds, f.Planned, f.Arrived, len(f.Missing), len(f.Twice), len(f.Unplanned), len(f.Braked)))
	}
}

// figures are those of the demo's report.
type figures struct {
	Days, Planned, Arrived            int
	Seconds                           float64
	Missing, Twice, Unplanned, Braked []string
	Skipped                           map[string]int
}

// replay runs the demo and returns what it reports.
func replay(t *testing.T, flags []string) (f figures) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	args := []string{"demo", "--days", fmt.Sprint(pick(16, 365)), "--speed", "10d/s", "--exit", "--listen", "127.0.0.1:0", "--report", report}
	cmd := exec.CommandContext(t.Context(), binary, append(args, flags...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, last(string(out)))
	}
	raw, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	return f
}
