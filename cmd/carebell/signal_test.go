package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The first Ctrl-C asks carebell to stop, and the second one ends it at once, whatever it waits for: here a secret from a pipe into which
// nobody writes.
func TestTheSecondInterruptEndsTheProcess(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := syscall.Mkfifo(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("carebell", "serve") // which is this binary: see TestMain
	cmd.Env = append(os.Environ(), "CARE_SECRET_KEY_FILE="+secret)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		pipe, err := os.OpenFile(secret, os.O_WRONLY|syscall.O_NONBLOCK, 0) // fails until somebody reads
		if err == nil {
			t.Cleanup(func() { _ = pipe.Close() })
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not read its secret: %v", err)
		}
	}
	// Nobody outside sees when the first has been noticed, so that more than two may be sent.
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			failed, ok := errors.AsType[*exec.ExitError](err)
			if !ok {
				t.Fatalf("it ended by itself: %v", err)
			}
			if status, ok := failed.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGINT {
				t.Errorf("it ended by itself: %v", err)
			}
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Error("it swallows every interrupt")
}
