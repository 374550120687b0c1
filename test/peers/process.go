package peers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// readyWithin is how long a server may take to answer; generous, because two cores may be shared by many tests.
	readyWithin = 30 * time.Second
	// stopWithin is how long a server may take to end after SIGTERM before it is killed.
	stopWithin = 10 * time.Second
	// logTail is how much of a log a failed test prints.
	logTail = 16 << 10
)

// Process is a program running as a process of its own, with standard output and error in one file. Its methods may be called from
// several goroutines.
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd

	done chan struct{} // closed when the process has been waited for

	mu     sync.Mutex
	waited error // Wait's answer; read only after done is closed
}

// Daemon starts the program bin with args and exactly the environment env (none of the test's own variables but what env holds; PATH
// and HOME are added when missing), collects its output, and kills it when the test ends. It doesn't wait for the program to be ready:
// poll what it serves with Eventually.
func Daemon(t testing.TB, bin string, env []string, args ...string) *Process {
	t.Helper()
	for _, key := range []string{"PATH", "HOME"} {
		if !hasEnv(env, key) {
			env = append(env, key+"="+os.Getenv(key))
		}
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = env
	p := startProcess(t, filepath.Base(bin), filepath.Join(ownDir(t), "out.log"), cmd)
	return p
}

func hasEnv(env []string, key string) bool {
	for _, e := range env {
		if strings.HasPrefix(e, key+"=") {
			return true
		}
	}
	return false
}

// startProcess runs cmd with its output appended to the file log, and registers its end and, once per process, its log with the test.
func startProcess(t testing.TB, name, log string, cmd *exec.Cmd) *Process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatalf("peers: open log of %s: %v", name, err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("peers: start %s: %v", name, err)
	}
	p := &Process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.waited = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("peers: log of %s (pid %d):\n%s", name, p.Pid(), tail(p.Logs()))
		}
	})
	return p
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Running says whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill sends SIGKILL and returns when the process is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Term sends SIGTERM and returns at once; Wait says how it ended.
func (p *Process) Term() { p.signal(syscall.SIGTERM) }

// Signal sends any other signal, such as SIGHUP, SIGSTOP or SIGCONT.
func (p *Process) Signal(s os.Signal) { p.signal(s) }

// Wait returns how the process ended: nil for status 0, an *exec.ExitError otherwise, or an error wrapping os.ErrDeadlineExceeded when
// it still runs after the time-out.
func (p *Process) Wait(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.waited
	case <-timer.C:
		return fmt.Errorf("peers: %s still runs after %s: %w", p.name, timeout, os.ErrDeadlineExceeded)
	}
}

// Logs returns everything the process has written so far to standard output and error.
func (p *Process) Logs() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return "peers: " + err.Error()
	}
	return string(b)
}

func (p *Process) signal(s os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Running() {
		// An error here means that it has ended in between, which is what the caller finds out anyway.
		_ = p.cmd.Process.Signal(s)
	}
}

// stop ends the process gently, or by force when it doesn't listen. A stopped (SIGSTOP) process is continued first.
func (p *Process) stop() {
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
	if errors.Is(p.Wait(stopWithin), os.ErrDeadlineExceeded) {
		p.Kill()
	}
}

// Eventually polls ok until it returns nil and fails the test with its last error when that takes longer than within. It is for
// everything that another process does in its own time.
func Eventually(t testing.TB, within time.Duration, what string, ok func() error) {
	t.Helper()
	if err := poll(within, ok); err != nil {
		t.Fatalf("peers: %s: not within %s: %v", what, within, err)
	}
}

func poll(within time.Duration, ok func() error) error {
	deadline := time.Now().Add(within)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := ok()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(wait)
	}
}

// ownDir makes a directory that other users (Postfix's, nobody) can enter, unlike those of testing.TB, and removes it in the end.
func ownDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "carebell-peer-")
	if err != nil {
		t.Fatalf("peers: make a directory: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("peers: remove %s: %v", dir, err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatalf("peers: open the directory to the servers' users: %v", err)
	}
	return dir
}

// program finds an executable by name or path, or fails the test with the command that installs it.
func program(t testing.TB, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("peers: %s is not installed; on Debian or Ubuntu run: apt-get update && apt-get install -y --no-install-recommends %s", name, debianPackage)
	}
	return path
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatalf("peers: %v", err)
	}
}

func tail(s string) string {
	if len(s) <= logTail {
		return s
	}
	return "…" + s[len(s)-logTail:]
}
