package peers

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// watched is a test whose failures and clean-ups happen when we say so.
type watched struct {
	testing.TB
	failed   bool
	said     []string
	cleanups []func()
}

func (w *watched) Helper()          {}
func (w *watched) Failed() bool     { return w.failed }
func (w *watched) Cleanup(f func()) { w.cleanups = append(w.cleanups, f) }
func (w *watched) Logf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *watched) Fatalf(format string, args ...any) {
	w.failed = true
	w.Logf(format, args...)
	runtime.Goexit()
}

// run runs body as a test of its own, to the end of its clean-ups.
func (w *watched) run(body func(testing.TB)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		body(w)
	}()
	<-done
	for i := len(w.cleanups) - 1; i >= 0; i-- {
		w.cleanups[i]()
	}
}

func TestAMissingServerFailsWithTheRemedy(t *testing.T) {
	t.Parallel()
	w := &watched{TB: t}
	w.run(func(tb testing.TB) { program(tb, "no-such-server", "redis-server") })
	want := "apt-get install -y --no-install-recommends redis-server"
	if !w.failed || len(w.said) != 1 || !strings.Contains(w.said[0], want) {
		t.Errorf("failed %v, said %q", w.failed, w.said)
	}
}

func TestLogsAreShownOnlyWhenTheTestFails(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{false, true} {
		w := &watched{TB: t}
		var p *Process
		w.run(func(tb testing.TB) {
			p = startProcess(tb, "sh", filepath.Join(t.TempDir(), "log"), exec.Command("/bin/sh", "-c", "echo canary; exec sleep 60"))
			Eventually(tb, 5*time.Second, "the canary", func() error {
				if !strings.Contains(p.Logs(), "canary") {
					return fmt.Errorf("nothing yet")
				}
				return nil
			})
			w.failed = fails
		})
		if p.Running() {
			t.Error("the process outlives its test")
		}
		if shown := strings.Contains(strings.Join(w.said, "\n"), "canary"); shown != fails {
			t.Errorf("failed %v: log shown %v", fails, shown)
		}
	}
}

func TestEventuallySaysWhatItLastSaw(t *testing.T) {
	t.Parallel()
	w := &watched{TB: t}
	tries := 0
	w.run(func(tb testing.TB) {
		Eventually(tb, 30*time.Millisecond, "the impossible", func() error { tries++; return fmt.Errorf("try %d", tries) })
	})
	if !w.failed || tries < 2 || !strings.Contains(w.said[0], fmt.Sprintf("the impossible: not within 30ms: try %d", tries)) {
		t.Errorf("after %d tries: %q", tries, w.said)
	}
}
