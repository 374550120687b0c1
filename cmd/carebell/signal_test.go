package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// The first Ctrl-C asks carebell to stop, and the second one ends it at once, whatever it waits for: here a Redis that does not answer.
func TestTheSecondInterruptEndsTheProcess(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	asked := make(chan struct{}, 64)
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			asked <- struct{}{}
		}
	}()
	cmd := exec.Command("carebell", "serve") // which is this binary: see TestMain
	cmd.Env = append(os.Environ(), "CARE_REDIS_URL=redis://"+silent.Addr().String(), "CARE_LISTEN=127.0.0.1:0", "CARE_DRY_RUN=true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	select {
	case <-asked:
	case err := <-ended:
		t.Fatalf("it has not asked Redis: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("it has not asked Redis")
	}
	// Nobody outside sees when the first has been noticed, so that more than two are sent: only one of them may be swallowed.
	for {
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
}
