//go:build faults

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The rule for release times is a pure function: its property test in scheduler goes through all zones when it is asked for the long
// form. make test runs it with a sample.
func TestRow20EveryZone(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { measured.end(t) })
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-run", "^TestOneReleasePerDate", "./scheduler/schedule")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CARE_TEST_LONG=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, last(string(out)))
	}
	zones := strings.Count(string(out), "--- PASS: TestOneReleasePerDateOnEveryDay/")
	if zones < 150 {
		t.Errorf("%d zones only", zones)
	}
	measured.say(rowOf(t), fmt.Sprintf("%d zones that differ, each day from 2000 to 2037, 48 times a day: more or less than one release on 0 dates that exist", zones))
}
