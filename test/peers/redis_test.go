package peers

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestRedisKeepsItsDataOverAKill(t *testing.T) {
	t.Parallel()
	s := Redis(t)
	s.CLI("SET", "k", "王小明")
	s.Kill()
	if _, err := s.cli("PING"); err == nil {
		t.Fatal("a killed server answers")
	}
	s.Restart()
	if got := s.CLI("--raw", "GET", "k"); got != "王小明" {
		t.Errorf("after the kill k is %q", got)
	}
	if got := s.CLI("--raw", "CONFIG", "GET", "maxmemory-policy"); !strings.HasSuffix(got, "noeviction") {
		t.Errorf("policy: %q", got)
	}
}

func TestRedisOptions(t *testing.T) {
	t.Parallel()
	s := Redis(t, WithoutAOF(), WithMaxMemory("50mb"), WithPolicy("allkeys-lru"), WithArgs("--maxclients", "33"))
	for _, want := range [][2]string{{"appendonly", "no"}, {"maxmemory", "52428800"}, {"maxmemory-policy", "allkeys-lru"}, {"maxclients", "33"}} {
		if got := s.CLI("--raw", "CONFIG", "GET", want[0]); got != want[0]+"\n"+want[1] {
			t.Errorf("%s: %q, want %s", want[0], got, want[1])
		}
	}
}

func TestRedisPauseAndResume(t *testing.T) {
	t.Parallel()
	s := Redis(t)
	s.Pause()
	if err := s.ping(); err == nil {
		t.Error("a paused server answers")
	}
	s.Resume()
	Eventually(t, readyWithin, "it answers again", s.ping)
}

func TestDaemonHasItsOwnEnvironmentAndLogs(t *testing.T) {
	t.Setenv("CARE_LEAKED", "from the test")
	p := Daemon(t, "/bin/sh", []string{"CARE_X=given"}, "-c", `echo "x=$CARE_X leaked=$CARE_LEAKED"; echo oops >&2; exit 3`)
	var exit *exec.ExitError
	if err := p.Wait(5 * time.Second); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("ended with %v, want status 3", err)
	}
	if got, want := p.Logs(), "x=given leaked=\noops\n"; got != want {
		t.Errorf("logs %q, want %q", got, want)
	}
}

func TestDaemonKillAndTerm(t *testing.T) {
	t.Parallel()
	script := `trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done`
	started := func() *Process {
		p := Daemon(t, "/bin/sh", nil, "-c", script)
		Eventually(t, 5*time.Second, "it says ready", func() error {
			if !strings.Contains(p.Logs(), "ready") {
				return errors.New("nothing yet")
			}
			return nil
		})
		return p
	}
	p := started()
	if err := p.Wait(10 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Wait on a running process: %v", err)
	}
	p.Term()
	if err := p.Wait(5 * time.Second); err != nil || !strings.HasSuffix(p.Logs(), "bye\n") {
		t.Errorf("after Term: %v, %q", err, p.Logs())
	}
	p = started()
	p.Kill()
	if err := p.Wait(time.Second); err == nil || p.Running() || strings.Contains(p.Logs(), "bye") {
		t.Errorf("after Kill: %v, running %v, %q", err, p.Running(), p.Logs())
	}
}
