//go:build e2e || faults

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
	"github.com/redis/go-redis/v9"
)

func TestRow18UnsafeRedisIsRefused(t *testing.T) {
	t.Parallel()
	h, master := newHouseOn(t, houseOptions{})
	longest := time.Duration(0)
	for _, c := range []struct{ name, url, want string }{
		{"allkeys-lru", peers.Redis(t, peers.WithPolicy("allkeys-lru")).URL(), "maxmemory-policy"},
		{"no AOF", peers.Redis(t, peers.WithoutAOF()).URL(), "appendonly"},
		{"a replica", peers.Redis(t, peers.WithArgs("--replicaof", "127.0.0.1", fmt.Sprint(master.Port()))).URL(), "master"},
		{"version 6.0", "redis://" + older(t, master.Addr()), "7.0"},
	} {
		start := time.Now()
		r := h.replica("CARE_REDIS_URL=" + c.url)
		var exit *exec.ExitError
		if err := r.Wait(5 * time.Second); !errors.As(err, &exit) {
			t.Errorf("%s: %v, want it to end with a status", c.name, err)
		}
		longest = max(longest, time.Since(start))
		if log := r.Logs(); !strings.Contains(log, c.want) || strings.Contains(log, "panic") {
			t.Errorf("%s: it doesn't name %s:\n%s", c.name, c.want, last(log))
		}
	}
	h.say("18", fmt.Sprintf("4 unsafe settings refused, after %.1f s at most", longest.Seconds()))
}

// older is a Redis that says it is 6.0: no such version is at hand, so the true one's INFO is changed on its way.
func older(t *testing.T, upstream string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", upstream)
			if err != nil {
				conn.Close()
				continue
			}
			go func() { _, _ = io.Copy(up, conn); up.Close() }()
			go func() { _, _ = io.Copy(older6{conn}, up); conn.Close() }()
		}
	}()
	return l.Addr().String()
}

type older6 struct{ w io.Writer }

// Write keeps the length, which stands before each answer.
func (o older6) Write(p []byte) (int, error) {
	return o.w.Write(bytes.ReplaceAll(p, []byte("redis_version:7."), []byte("redis_version:6.")))
}

// damage is what somebody did to the keys of a house whose sending is paused.
type damage struct {
	h      *house
	broken map[string]bool // customers whose record was damaged
	lost   int             // queue entries and records that were deleted
}

func TestRow19DamagedKeys(t *testing.T) {
	t.Parallel()
	h, _ := newHouseOn(t, houseOptions{sink: slow(50 * time.Millisecond), env: []string{"CARE_SWEEP=@every 20s"}})
	h.customers(pick(800, 8000), care.Email, false)
	h.release()
	r := h.serve()
	h.awaitAccepts(100, 20*time.Second)
	d := &damage{h: h, broken: map[string]bool{}}
	d.deleteLeases(5)
	h.carebell("pause")
	time.Sleep(2 * time.Second) // the pause is noticed, and what is being handed over ends
	d.deleteQueue()
	d.orphan(3)
	d.breakCustomers()
	h.carebell("resume")
	start := time.Now()
	h.eventually(90*time.Second, "all but the damaged customers are served", func() error {
		left := 0
		for _, rec := range h.records() {
			if rec.State.Pending() && !d.broken[rec.Customer] {
				left++
			}
		}
		if n, err := h.recorded(); err != nil {
			return err
		} else if n < len(h.planned) {
			return fmt.Errorf("%d of %d are on record", n, len(h.planned))
		}
		if left > 0 {
			return fmt.Errorf("%d are left", left)
		}
		return nil
	})
	took := time.Since(start)
	h.eventually(40*time.Second, "the damaged customers are reported", func() error {
		if n := r.metric("carebell_record_defects"); n < float64(len(d.broken)) {
			return fmt.Errorf("%v defects", n)
		}
		return nil
	})
	f := h.judge("19", fmt.Sprintf("queue entries, leases and records deleted %d, customers damaged %d, swept up after %.0f s", d.lost, len(d.broken), took.Seconds()))
	if took > 62*time.Second { // one look a minute, and the time to send
		t.Errorf("swept up after %v, want 60 s", took)
	}
	// There is no second copy of a record, but the ledger knows that nothing was begun: the next sweep plans the message anew.
	if f.Sent != f.Planned-len(d.broken) || f.Failed != 0 {
		t.Errorf("%d sent and %d failed, want all sent but those of the %d damaged customers", f.Sent, f.Failed, len(d.broken))
	}
}

// deleteLeases takes the leases of messages that a replica holds away.
func (d *damage) deleteLeases(n int) {
	d.h.t.Helper()
	want := d.lost + n
	d.h.eventually(10*time.Second, "leases to delete", func() error {
		err := d.h.eachKey("care:{*}:leased", func(ctx context.Context, c *redis.Client, key string) error {
			held, err := c.ZRange(ctx, key, 0, 0).Result()
			for _, ref := range held {
				if err := c.ZRem(ctx, key, ref).Err(); err != nil {
					return err
				}
				d.lost++
			}
			return err
		})
		if err == nil && d.lost < want {
			err = fmt.Errorf("%d of %d found", d.lost, want)
		}
		return err
	})
}

// deleteQueue deletes one shard's queue of a lane.
func (d *damage) deleteQueue() {
	d.h.t.Helper()
	deleted := false
	err := d.h.eachKey("care:{*}:due:*", func(ctx context.Context, c *redis.Client, key string) error {
		if deleted {
			return nil
		}
		n, err := c.ZCard(ctx, key).Result()
		if err != nil {
			return err
		}
		d.lost += int(n)
		deleted = true
		return c.Del(ctx, key).Err()
	})
	if err != nil || !deleted {
		d.h.t.Fatalf("delete a queue: %v (%v)", err, deleted)
	}
}

// queuedMessage is a message in a queue, in the shard with the tag.
type queuedMessage struct {
	tag, id, day, customer string
	due                    time.Time
}

// queue lists what waits and is not claimed.
func (d *damage) queue() []queuedMessage {
	d.h.t.Helper()
	var out []queuedMessage
	err := d.h.eachKey("care:{*}:due:*", func(ctx context.Context, c *redis.Client, key string) error {
		tag, _, _ := strings.Cut(strings.TrimPrefix(key, "care:{"), "}")
		all, err := c.ZRangeWithScores(ctx, key, 0, -1).Result()
		for _, z := range all {
			ref := strings.SplitN(fmt.Sprint(z.Member), "|", 3)
			out = append(out, queuedMessage{tag, ref[0], ref[1], ref[2], time.UnixMilli(int64(z.Score))})
		}
		return err
	})
	if err != nil {
		d.h.t.Fatal(err)
	}
	return out
}

// orphan deletes the records of n queued messages.
func (d *damage) orphan(n int) {
	d.h.t.Helper()
	for _, m := range d.queue()[:n] {
		if k, err := d.h.client.HDel(d.h.t.Context(), "care:{"+m.tag+"}:msg:"+m.day, m.id).Result(); err != nil || k != 1 {
			d.h.t.Fatalf("delete a record: %d %v", k, err)
		}
		d.lost++
	}
}

// breakCustomers damages the records of two customers with queued messages: one is no JSON any more, one is no string.
func (d *damage) breakCustomers() {
	d.h.t.Helper()
	all := d.queue()
	for i, m := range all[len(all)-2:] {
		id := m.customer
		d.broken[id] = true
		key := "care:customer:" + id
		pipe := d.h.client.TxPipeline()
		pipe.Del(d.h.t.Context(), key)
		if i == 0 {
			pipe.Set(d.h.t.Context(), key, `{"id":"`+id+`","dealer`, 0)
		} else {
			pipe.RPush(d.h.t.Context(), key, "no", "string")
		}
		if _, err := pipe.Exec(d.h.t.Context()); err != nil {
			d.h.t.Fatal(err)
		}
	}
}
