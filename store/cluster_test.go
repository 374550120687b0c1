//go:build e2e

package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
)

// clusterOf starts a cluster of masters without replicas and returns their addresses.
func clusterOf(t *testing.T, masters int) []string {
	t.Helper()
	addresses := make([]string, masters)
	for i := range addresses {
		s := ownRedis(t, "--appendonly", "yes", "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000")
		addresses[i] = s.Addr
	}
	redisCLI(t, append(append([]string{"--cluster", "create"}, addresses...), "--cluster-replicas", "0", "--cluster-yes")...)
	for _, a := range addresses {
		c := redis.NewClient(&redis.Options{Addr: a})
		deadline := time.Now().Add(20 * time.Second)
		for !strings.Contains(c.ClusterInfo(t.Context()).Val(), "cluster_state:ok") {
			if time.Now().After(deadline) {
				t.Fatal("the cluster does not come up")
			}
			time.Sleep(50 * time.Millisecond)
		}
		c.Close()
	}
	return addresses
}

func redisCLI(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "redis-cli", args...).CombinedOutput(); err != nil {
		t.Fatalf("redis-cli %s: %v\n%s\nredis-cli comes with: apt-get install -y --no-install-recommends redis-tools", args[1], err, out)
	}
}

// TestCluster takes messages through their whole life on a real cluster while slots move between its masters.
func TestCluster(t *testing.T) {
	t.Parallel()
	addresses := clusterOf(t, 3)
	b := bundleAt(t, "redis-cluster://"+strings.Join(addresses, ","), false)
	ctx := t.Context()
	const n = 600
	ids := make([]string, n)
	for i := range ids {
		ids[i] = customer(i)
	}
	merged, err := b.Merge(ctx, ids, func(i int, _ []byte) ([]byte, error) { return fmt.Appendf(nil, `{"id":%q}`, ids[i]), nil })
	if err != nil || !merged[n-1].Created {
		t.Fatal(merged[n-1], err)
	}
	all := b.queue(t, n)
	seen := 0
	if err := b.Scan(ctx, func(f []*care.Facts) error {
		for _, facts := range f {
			if facts.Err != nil || len(facts.Ledger) != 1 {
				t.Errorf("%s: %v, %d in the ledger", facts.ID, facts.Err, len(facts.Ledger))
			}
		}
		seen += len(f)
		return nil
	}); err != nil || seen < n {
		t.Fatalf("Scan saw %d: %v", seen, err)
	}

	moved := make(chan string, 1)
	go func() { moved <- moveShards(ctx, addresses) }()
	sent := make(map[string]int)
	for deadline := time.Now().Add(60 * time.Second); len(sent) < n && time.Now().Before(deadline); {
		claims, err := b.Claim(ctx, care.Lanes, 20, 2*time.Second)
		if crossSlot(t, err) {
			continue
		}
		for _, c := range claims {
			ok, err := b.Begin(ctx, []care.Intent{{Claim: c, At: epoch}})
			if crossSlot(t, err) || !ok[0] {
				continue
			}
			sent[c.Record.ID]++
			for {
				if ok, err = b.Complete(ctx, []care.Result{result(c, care.StateSent, epoch)}); !crossSlot(t, err) {
					break
				}
			}
			if !ok[0] {
				t.Errorf("%s: the result was refused", c.Record.ID)
			}
		}
	}
	if problem := <-moved; problem != "" {
		t.Errorf("moving slots: %s", problem)
	}
	for _, o := range all {
		if sent[o.ID] != 1 {
			t.Errorf("%s was sent %d times", o.ID, sent[o.ID])
		}
		b.receipts(t, receipt(o.ID, care.StateDelivered))
	}
	b.expect(t, all[0], care.StateDelivered)
	got, err := b.Messages(ctx, Filter{State: care.StateDelivered, Limit: 2 * n})
	if err != nil || len(got) != n {
		t.Errorf("%d delivered, %v", len(got), err)
	}
	links := []AddressLink{
		{Hash: "0011223344556677889900aabbccddee", Customer: all[0].Customer},
		{Hash: "1111223344556677889900aabbccddee", Customer: all[0].Customer},
	}
	if err := b.Link(ctx, links); err != nil {
		t.Fatal(err)
	}
	if err := b.Erase(ctx, all[0].Customer, []string{links[0].Hash, links[1].Hash}, true); err != nil {
		t.Error(err)
	}
	facts, err := b.Facts(ctx, []string{all[0].Customer})
	if err != nil || !errors.Is(facts[0].Err, care.ErrGone) || len(facts[0].Ledger) != 0 || facts[0].Overlay == nil || !facts[0].Overlay.Erased {
		t.Errorf("after the erasure: %+v, %v", facts[0], err)
	}
	for _, f := range b.Doctor(ctx) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
	if _, ok, err := b.Lead(ctx, "me", time.Minute); err != nil || !ok {
		t.Errorf("Lead: %v %v", ok, err)
	}
}

// TestAClaimWhileItsSlotMoves claims when all keys are still there but those that a claim makes, and completes when one of them has gone ahead: the
// whole of it must wait. Half of it would take messages out of the queue that nobody has, or record a result and not put the message back.
func TestAClaimWhileItsSlotMoves(t *testing.T) {
	t.Parallel()
	addresses := clusterOf(t, 3)
	b := bundleAt(t, "redis-cluster://"+strings.Join(addresses, ","), false)
	ctx := t.Context()
	claims := b.claimed(t, 2)
	shard := care.Shard(claims[0].Record.Customer)
	complete(t, b.Store, result(claims[1], care.StateDue, epoch))
	node, err := b.cluster.MasterForKey(ctx, fenceKey(shard))
	if err != nil {
		t.Fatal(err)
	}
	from, other := node.Do(ctx, "CLUSTER", "MYID").Val(), any(nil)
	for _, a := range addresses {
		c := redis.NewClient(&redis.Options{Addr: a})
		if id := c.Do(ctx, "CLUSTER", "MYID").Val(); id != from {
			other = id
		}
		c.Close()
	}
	slot := int(crc16(keyspace.Tag(shard)) % 16384)
	busy := func(want int64, when string) {
		t.Helper()
		n, leases := node.HLen(ctx, busyKey(shard)).Val(), node.ZCard(ctx, leasedKey(shard)).Val()
		if n != want || leases != want {
			t.Errorf("%s %d customers are busy and %d messages leased, want %d", when, n, leases, want)
		}
	}
	moving := func(state ...any) {
		t.Helper()
		if err := node.Do(ctx, append([]any{"CLUSTER", "SETSLOT", slot}, state...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	moving("MIGRATING", other)
	if some, err := b.Claim(ctx, []care.Lane{claims[1].Lane}, 1, time.Minute); len(some) > 0 {
		t.Errorf("%d were claimed, %v", len(some), err)
	}
	moving("STABLE")
	busy(1, "after half a claim")
	node.HSet(ctx, shardKey(shard, "early"), "another", "{}") // without any of these, that would stop it
	node.HSet(ctx, shardKey(shard, "crashes"), "another", "1")
	node.HSet(ctx, shardKey(shard, keyspace.SentTable(codec.DayOf(epoch))), "another", "1")
	moving("MIGRATING", other)
	kept := node.Dump(ctx, messagesKey(shard, claims[0].Day)).Val()
	node.Del(ctx, messagesKey(shard, claims[0].Day))
	again := result(claims[0], care.StateRetry, epoch)
	again.Next = epoch.Add(24 * time.Hour)
	if ok, err := b.Complete(ctx, []care.Result{again}); err == nil {
		t.Errorf("a result whose record has gone ahead: %v", ok)
	}
	moving("STABLE")
	node.RestoreReplace(ctx, messagesKey(shard, claims[0].Day), 0, kept)
	busy(1, "after half a result")
	complete(t, b.Store, again)
	if c := claimOne(t, b.Store, time.Minute); c.Record.ID != claims[1].Record.ID || !begin(t, b.Store, c) {
		t.Errorf("afterwards %+v was claimed", c)
	}
}

// crossSlot reports whether there was an error, and fails the test for the one that must not be: keys in several slots.
func crossSlot(t *testing.T, err error) bool {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), "CROSSSLOT") {
		t.Fatal(err)
	}
	return err != nil
}

// moveShards moves the slots of the first shards to another master, as a reshard does: MIGRATING and IMPORTING, the keys, then NODE. It
// returns what went wrong.
func moveShards(ctx context.Context, addresses []string) string {
	nodes := make(map[string]*redis.Client)
	names := make(map[string]string)
	for _, a := range addresses {
		nodes[a] = redis.NewClient(&redis.Options{Addr: a})
		defer nodes[a].Close()
		names[a] = nodes[a].Do(ctx, "CLUSTER", "MYID").Val().(string)
	}
	for shard := range 6 {
		slot := int(crc16(keyspace.Tag(shard)) % 16384)
		from := ""
		for a, c := range nodes {
			shards, err := c.ClusterShards(ctx).Result()
			if err != nil {
				return err.Error()
			}
			for _, s := range shards {
				for _, r := range s.Slots {
					if int64(slot) >= r.Start && int64(slot) <= r.End && s.Nodes[0].ID == names[a] {
						from = a
					}
				}
			}
		}
		to := addresses[0]
		if to == from {
			to = addresses[1]
		}
		if from == "" {
			return fmt.Sprintf("nobody has slot %d", slot)
		}
		if err := moveSlot(ctx, nodes[from], nodes[to], names[from], names[to], to, slot); err != nil {
			return err.Error()
		}
		for _, c := range nodes {
			c.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", names[to])
		}
	}
	return ""
}

func moveSlot(ctx context.Context, from, to *redis.Client, fromName, toName, toAddress string, slot int) error {
	err := errors.Join(to.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromName).Err(), from.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", toName).Err())
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(toAddress)
	if err != nil {
		return err
	}
	for {
		keys, err := from.ClusterGetKeysInSlot(ctx, slot, 1).Result()
		if err != nil || len(keys) == 0 {
			return err
		}
		args := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		if err := from.Do(ctx, args...).Err(); err != nil {
			return err
		}
	}
}
