//go:build e2e || faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
	"github.com/redis/go-redis/v9"
)

// newHouseOn is newHouse with a Redis that the test has in hand.
func newHouseOn(t *testing.T, o houseOptions, opts ...peers.RedisOption) (*house, *peers.RedisServer) {
	t.Helper()
	s := peers.Redis(t, opts...)
	o.redisURL = s.URL()
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { client.Close() })
	o.client = client
	return newHouse(t, o), s
}

// recovery waits for the next accept and returns how long it took.
func (h *house) recovery(within time.Duration) time.Duration {
	h.t.Helper()
	before, start := h.accepted(), time.Now()
	h.eventually(within, "messages go again", func() error {
		if h.accepted() == before {
			return fmt.Errorf("none does")
		}
		return nil
	})
	return time.Since(start)
}

func TestRow10KillsOfRedis(t *testing.T) {
	t.Parallel()
	kills := pick(4, 20)
	h, redis := newHouseOn(t, houseOptions{sink: slow(50 * time.Millisecond)})
	h.customers(pick(3000, 20000), care.Email, false)
	h.release()
	r := h.serve()
	h.awaitAccepts(100, 20*time.Second)
	longest := time.Duration(0)
	for range kills {
		time.Sleep(time.Second)
		redis.Kill()
		time.Sleep(500 * time.Millisecond)
		redis.Restart()
		longest = max(longest, h.recovery(20*time.Second))
	}
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	f := h.judge("10", fmt.Sprintf("kills of Redis %d, going again after %.1f s at most", kills, longest.Seconds()))
	if longest > 5*time.Second {
		t.Errorf("going again after %v, want 5 s at most", longest)
	}
	if f.Sent != f.Planned || !r.Running() {
		t.Error("want all sent by a daemon that has stayed")
	}
}

func TestRow11RedisIsAway(t *testing.T) {
	t.Parallel()
	away := pick(15*time.Second, 5*time.Minute)
	h, redis := newHouseOn(t, houseOptions{sink: slow(50 * time.Millisecond)})
	h.customers(pick(1000, 10000), care.Email, false)
	h.release()
	r := h.serve()
	h.awaitAccepts(100, 20*time.Second)
	start, used := time.Now(), cpu(t, r.Pid())
	redis.Kill()
	h.eventually(10*time.Second, "readyz says no", func() error {
		code, body, err := r.get("/readyz")
		if err == nil && code != http.StatusServiceUnavailable {
			err = fmt.Errorf("%d: %s", code, body)
		}
		return err
	})
	notReady := time.Since(start)
	time.Sleep(away - notReady)
	if code, body, err := r.get("/healthz"); err != nil || code != http.StatusOK {
		t.Errorf("healthz: %d %s %v", code, body, err)
	}
	share := (cpu(t, r.Pid()) - used).Seconds() / time.Since(start).Seconds()
	redis.Restart()
	back := h.recovery(20 * time.Second)
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	f := h.judge("11", fmt.Sprintf("away %v, not ready after %.1f s, %.1f %% of a core, going again after %.1f s", away, notReady.Seconds(), 100*share, back.Seconds()))
	if share > 0.10 {
		t.Errorf("%.0f %% of a core while Redis was away", 100*share)
	}
	if f.Sent != f.Planned || !r.Running() {
		t.Error("want all sent by a daemon that has stayed")
	}
}

// cpu is the time that a process has used (Linux: fields 14 and 15 of /proc/<pid>/stat, in hundredths of a second).
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		t.Fatalf("/proc/%d/stat: %s", pid, raw)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func TestRow14ARestoredSnapshot(t *testing.T) {
	t.Parallel()
	h, redis := newHouseOn(t, houseOptions{sink: slow(pick(20*time.Millisecond, 100*time.Millisecond))})
	h.customers(pick(4000, 14000), care.Email, false)
	h.release()
	memory := "CARE_STATE_DIR=" + t.TempDir()
	r := h.serve(memory)
	h.awaitAccepts(200, 20*time.Second)
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	files := filepath.Join(redis.Dir(), "appendonlydir")
	if err := os.CopyFS(snapshot, os.DirFS(files)); err != nil {
		t.Fatal(err)
	}
	saved := h.accepted()
	time.Sleep(pick(3*time.Second, time.Minute))
	redis.Kill()
	time.Sleep(time.Second) // what is being handed over ends
	if err := errors.Join(os.RemoveAll(files), os.CopyFS(files, os.DirFS(snapshot))); err != nil {
		t.Fatal(err)
	}
	sent := h.accepted()
	redis.Restart()
	h.eventually(10*time.Second, "the daemon notices", func() error {
		if !strings.Contains(r.Logs(), "restored from a snapshot") {
			return errors.New("it says nothing")
		}
		return nil
	})
	h.silence(sent, 5*time.Second)
	// Nor does a replica that starts anew go on: it remembers in its own folder.
	r.term(25 * time.Second)
	r = h.replica(memory)
	h.eventually(10*time.Second, "the new replica notices", func() error {
		if code, body, err := r.get("/readyz"); err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, "restored") {
			return fmt.Errorf("%d: %s %w", code, body, err)
		}
		return nil
	})
	h.silence(sent, 3*time.Second)
	h.carebell("resume", "--restored")
	back := h.recovery(20 * time.Second)
	h.awaitDrained(pick(2*time.Minute, 10*time.Minute))
	again := 0
	for _, n := range h.accepts() {
		again += n - 1
	}
	h.say("14", fmt.Sprintf("sent %d, of which the restored state knows %d at most; sent before an operator decided 0, going again %.1f s after, %d twice by that decision",
		sent, saved, back.Seconds(), again))
	if sent < saved+100 || again == 0 {
		t.Errorf("only %d were sent after the snapshot, %d again: there was no load", sent-saved, again)
	}
}

// silence watches for a while that nothing more is sent.
func (h *house) silence(sent int, length time.Duration) {
	h.t.Helper()
	time.Sleep(length)
	if n := h.accepted(); n > sent {
		h.t.Errorf("%d were sent before an operator has decided", n-sent)
	}
}

func TestRow15OutOfMemory(t *testing.T) {
	t.Parallel()
	h, redis := newHouseOn(t, houseOptions{sink: slow(200 * time.Millisecond)})
	h.customers(pick(1000, 4000), care.Email, false)
	h.release()
	r := h.serve()
	h.awaitAccepts(100, 20*time.Second)
	redis.CLI("CONFIG", "SET", "maxmemory", "1")
	time.Sleep(2 * time.Second) // what is being handed over ends
	before := h.accepted()
	time.Sleep(3 * time.Second)
	after := h.accepted()
	if after != before {
		t.Errorf("%d new sends while Redis was full", after-before)
	}
	recorded := 0
	for _, rec := range h.records() {
		switch rec.State {
		case care.StateSent:
			recorded++
		case care.StateSending:
			t.Errorf("%s is still recorded as sending", rec.ID)
		}
	}
	if recorded != after {
		t.Errorf("%d accepted, %d recorded as sent", after, recorded)
	}
	redis.CLI("CONFIG", "SET", "maxmemory", "0")
	back := h.recovery(20 * time.Second)
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	f := h.judge("15", fmt.Sprintf("full for 5 s, new sends %d, recorded %d of %d, going again after %.1f s", after-before, recorded, after, back.Seconds()))
	if f.Sent != f.Planned || f.Duplicates > 0 || !r.Running() {
		t.Error("want each sent once by a daemon that has stayed")
	}
}

func TestRow16RefusalsOfRedis(t *testing.T) {
	t.Parallel()
	h, server := newHouseOn(t, houseOptions{sink: slow(100 * time.Millisecond)},
		peers.WithArgs("--key-load-delay", pick("300", "60"), "--loading-process-events-interval-bytes", "1024"))
	h.customers(pick(3000, 10000), care.Email, false)
	h.release()
	r := h.serve()
	h.awaitAccepts(50, 20*time.Second)
	// One connection is kept, because with maxclients no other is let in.
	conn := h.client.(*redis.Client).Conn()
	defer func() { conn.Close() }()
	do := func(args ...any) {
		t.Helper()
		if err := conn.Do(context.Background(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	longest, worst := time.Duration(0), ""
	after := func(what string) {
		t.Helper()
		if took := h.recovery(20 * time.Second); took > longest {
			longest, worst = took, what
		}
	}
	for range pick(4, 30) {
		do("SCRIPT", "FLUSH")
		do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		time.Sleep(time.Second)
	}
	after("SCRIPT FLUSH and CLIENT KILL")
	do("CONFIG", "SET", "min-replicas-to-write", "1")
	time.Sleep(2 * time.Second)
	do("CONFIG", "SET", "min-replicas-to-write", "0")
	after("NOREPLICAS")
	do("REPLICAOF", "127.0.0.1", strconv.Itoa(peers.FreePorts(t, 1)[0]))
	time.Sleep(2 * time.Second)
	do("REPLICAOF", "NO", "ONE")
	after("READONLY")
	do("CONFIG", "SET", "maxclients", "1")
	do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	time.Sleep(2 * time.Second)
	do("CONFIG", "SET", "maxclients", "10000")
	after("max clients")
	conn.Close()
	server.Kill()
	server.Restart() // which answers LOADING for a while
	after("LOADING")
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	f := h.judge("16", fmt.Sprintf("going again after %.1f s at most (%s)", longest.Seconds(), worst))
	if longest > 10*time.Second {
		t.Errorf("going again after %v (%s), want 10 s at most", longest, worst)
	}
	if f.Sent != f.Planned || f.Duplicates > 0 || !r.Running() {
		t.Error("want each sent once by a daemon that has stayed")
	}
}
