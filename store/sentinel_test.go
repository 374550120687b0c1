//go:build e2e

package store

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// sentinelOf starts a Sentinel that watches a master and gives up on it after a second, and waits until it knows the replica.
func sentinelOf(t *testing.T, master string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	host, masterPort, _ := net.SplitHostPort(master)
	dir := t.TempDir()
	conf := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor main %s %s 1\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n",
		port, dir, host, masterPort)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", conf, "--sentinel")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c := redis.NewClient(&redis.Options{Addr: address})
	defer c.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if strings.Contains(c.Info(t.Context(), "sentinel").Val(), "status=ok") && strings.Contains(c.Info(t.Context(), "sentinel").Val(), "slaves=1") {
			return address
		}
		if time.Now().After(deadline) {
			t.Fatal("the Sentinel does not see master and replica")
		}
	}
}

// TestSentinelFailover kills the master in mid-run: nothing that was confirmed is lost, and the rest goes on with the replica.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	master := ownRedis(t, "--appendonly", "yes", "--repl-diskless-sync-delay", "0")
	host, port, _ := strings.Cut(master.Addr, ":")
	ownRedis(t, "--appendonly", "yes", "--replicaof", host+" "+port)
	b := bundleAt(t, "redis-sentinel://"+sentinelOf(t, master.Addr)+"/main?timeout=500ms", false)
	ctx := t.Context()
	for _, f := range b.Doctor(ctx) {
		if !f.OK {
			t.Fatalf("%+v", f)
		}
	}
	const n = 300
	all := b.queue(t, n)
	// The plan itself is not confirmed; wait until the replica has it, as a later intent would.
	complete(t, b.Store, result(claimOne(t, b.Store, time.Minute), care.StateSent, epoch))
	sent, settled, repeats := make(map[string]int), 1, 0
	killed := false
	var away time.Duration
	for start := time.Now(); settled < n && time.Since(start) < 60*time.Second; {
		if settled > n/3 && !killed {
			master.Kill()
			killed = true
			start = time.Now()
		}
		claims, err := b.Claim(ctx, care.Lanes, 10, 3*time.Second)
		for _, c := range claims {
			if c.Was == care.StateUncertain {
				repeats++
			}
			ok, err := b.Begin(ctx, []care.Intent{{Claim: c, At: epoch}})
			if err != nil || !ok[0] {
				continue
			}
			sent[c.Record.ID]++
			for {
				if ok, err = b.Complete(ctx, []care.Result{result(c, care.StateSent, epoch)}); err == nil {
					break
				}
			}
			if ok[0] {
				settled++
				if killed && away == 0 {
					away = time.Since(start)
				}
			}
		}
		if err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
	t.Logf("going again %v after the kill; %d repeats on record", away.Round(time.Millisecond), repeats)
	twice := 0
	for _, o := range all {
		b.expect(t, o, care.StateSent)
		twice += max(0, sent[o.ID]-1)
	}
	if twice > repeats {
		t.Errorf("%d sent twice, %d of them on record", twice, repeats)
	}
}
