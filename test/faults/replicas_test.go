//go:build e2e || faults

package faults

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
)

func (h *house) eventually(within time.Duration, what string, ok func() error) {
	h.t.Helper()
	peers.Eventually(h.t, within, what, ok)
}

// serveAll starts replicas side by side and returns when all are ready.
func (h *house) serveAll(n int) []*replica {
	h.t.Helper()
	all := make([]*replica, n)
	for i := range all {
		all[i] = h.replica()
	}
	for _, r := range all {
		r.awaitReady(20 * time.Second)
	}
	return all
}

func TestRow4AStoppedReplica(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{sink: slow(500 * time.Millisecond)})
	h.customers(pick(600, 6000), care.Email, false)
	h.release()
	all := h.serveAll(3)
	h.awaitAccepts(60, 20*time.Second)
	all[0].Signal(syscall.SIGSTOP)
	time.Sleep(2*lease + time.Second)
	all[0].Signal(syscall.SIGCONT)
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	h.eventually(10*time.Second, "its stale outcomes are refused", func() error {
		if all[0].refused() == 0 {
			return fmt.Errorf("none has been")
		}
		return nil
	})
	f := h.judge("4", fmt.Sprintf("stopped for %v, stale outcomes refused %d", 2*lease+time.Second, all[0].refused()))
	if f.Sent != f.Planned || f.Duplicates > 32 {
		t.Errorf("want all sent, and at most 32 twice")
	}
}

func TestRow5AllSweepAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	h.customers(pick(3000, 30000), care.Email, false)
	h.release()
	// There is only one leader as a rule; whoever deletes its lease has all of them sweep.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			h.client.Del(ctx, "care:{113}:leader")
			time.Sleep(time.Millisecond)
		}
	}()
	all := h.serveAll(3)
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	h.eventually(15*time.Second, "every replica leads", func() error {
		for i, r := range all {
			if !strings.Contains(r.Logs(), "leads=true") {
				return fmt.Errorf("replica %d does not", i)
			}
		}
		return nil
	})
	h.awaitDrained(30 * time.Second)
	cancel()
	<-done
	f := h.judge("5", "3 leaders at once")
	if f.Accepts != f.Planned || f.Duplicates > 0 {
		t.Error("want each sent once")
	}
}

// leads waits for a replica of all that leads, and returns it with the time that took.
func (h *house) leads(all []*replica, within time.Duration) (*replica, time.Duration) {
	h.t.Helper()
	start := time.Now()
	var leader *replica
	h.eventually(within, "a replica leads", func() error {
		for _, r := range all {
			if r.Running() && r.metric("carebell_leader") == 1 {
				leader = r
				return nil
			}
		}
		return fmt.Errorf("none does")
	})
	return leader, time.Since(start)
}

func TestRow6TheLeaderGoes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	all := h.serveAll(3)
	leader, _ := h.leads(all, 10*time.Second)
	h.customers(20, care.Email, true)
	h.awaitDrained(10 * time.Second)

	leader.Kill()
	h.customers(20, care.Email, true)
	next, afterKill := h.leads(all, 20*time.Second)
	h.awaitDrained(10 * time.Second)

	next.Term()
	start := time.Now()
	h.customers(20, care.Email, true)
	_, _ = h.leads(without(all, next), 10*time.Second)
	afterTerm := time.Since(start)
	h.awaitDrained(10 * time.Second)
	f := h.judge("6", fmt.Sprintf("takeover %.1f s after kill -9, %.1f s after SIGTERM", afterKill.Seconds(), afterTerm.Seconds()))
	if afterKill > 15*time.Second || afterTerm > 2*time.Second {
		t.Error("want a takeover within 15 s and 2 s")
	}
	if f.Accepts != f.Planned || f.Sent != f.Planned {
		t.Error("want each sent once")
	}
}

func without(all []*replica, one *replica) []*replica {
	var rest []*replica
	for _, r := range all {
		if r != one {
			rest = append(rest, r)
		}
	}
	return rest
}

func TestRow7RollingRestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{sink: slow(150 * time.Millisecond)})
	h.customers(pick(2000, 20000), care.Email, false)
	h.release()
	all := h.serveAll(3)
	h.awaitAccepts(100, 20*time.Second)
	left := 0
	for round := range pick(1, 5) {
		for i := range all {
			all[i].term(25 * time.Second)
			all[i] = h.serve()
		}
		if round == 0 {
			left, _ = h.queued()
		}
	}
	if left == 0 {
		t.Error("the queue was empty before the restart had ended: there was no load")
	}
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	f := h.judge("7", fmt.Sprintf("%d restarts", 3*pick(1, 5)))
	if f.Sent != f.Planned || f.Duplicates+f.Repeats+f.Uncertain > 0 {
		t.Error("want all sent, none twice, none uncertain")
	}
}
