package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/migrate"
)

var update = flag.Bool("update", false, "record testdata/state-v1.jsonl anew; only before version 1 is released")

// recordedState is a state of version 1: Redis commands that make it, each a line of JSON.
const recordedState = "testdata/state-v1.jsonl"

// live makes a state with something of every kind: messages in each state, a claim whose replica died, opt-outs, a tombstone, a task, a stop.
func (b *bundle) live(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for i, state := range []care.State{
		care.StateSent, care.StateUncertain, care.StateFailed, care.StateRetry, care.StateSkipped, care.StateSending, care.StateDue,
	} {
		id := string(state)
		b.write(t, id, `{"id":"`+id+`","dealer":"sh-pudong"}`)
		o := occurrence(id, i, epoch.Add(-time.Minute))
		b.apply(t, Applied{Added: 1}, care.Change{Customer: id, Add: []*care.Occurrence{o}})
		if state == care.StateDue {
			continue
		}
		c := claimOne(t, b.Store, time.Minute)
		if begin(t, b.Store, c); state == care.StateSending {
			b.receipts(t, receipt(o.ID, care.StateSent))
			b.endLease(t, c)
			continue
		}
		res := result(c, state, epoch)
		res.Next = epoch.Add(time.Hour)
		res.Record.Attempts = []care.Attempt{{N: 1, At: epoch, Channel: care.SMS, Gateway: "kannel", Kind: care.KindRetry, Code: "503", Took: time.Second, Provider: "P-" + id}}
		complete(t, b.Store, res)
	}
	for _, id := range []string{"stopped", "erased"} {
		if err := b.UpdateOverlay(ctx, id, func(o *care.Overlay) error {
			o.Stops = map[string]care.Stop{"sms": {At: epoch, Source: "sms"}}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	b.erase(t, "erased", false)
	if err := errors.Join(
		b.Link(ctx, []AddressLink{{Hash: "0011223344556677889900aabbccddee", Customer: "sent"}, {Hash: "0011223344556677889900aabbccddee", Customer: "due"}}),
		b.Note(ctx, []care.EventEntry{taskOf("failed", "sh-pudong", "reply", epoch)}), paused(b.Pause(ctx, "program:p", "", "")),
		b.SetEventCursor(ctx, "webhook", Cursor{"17-3", 12}),
	); err != nil {
		t.Fatal(err)
	}
}

func paused(_ bool, err error) error { return err }

// record writes what is in Redis as commands.
func (b *bundle) record(t *testing.T) []byte {
	t.Helper()
	ctx := t.Context()
	var out bytes.Buffer
	line := json.NewEncoder(&out)
	line.SetEscapeHTML(false)
	for _, key := range sorted(b.redis.Keys(ctx, "care:*").Val()) {
		var cmds [][]any
		switch b.redis.Type(ctx, key).Val() {
		case "string":
			cmds = append(cmds, []any{"SET", key, b.redis.Get(ctx, key).Val()})
		case "hash":
			fields := b.redis.HGetAll(ctx, key).Val()
			for _, f := range sorted(b.redis.HKeys(ctx, key).Val()) {
				cmds = append(cmds, []any{"HSET", key, f, fields[f]})
			}
		case "zset":
			for _, z := range b.redis.ZRangeWithScores(ctx, key, 0, -1).Val() {
				cmds = append(cmds, []any{"ZADD", key, int64(z.Score), z.Member})
			}
		case "list":
			for _, v := range b.redis.LRange(ctx, key, 0, -1).Val() {
				cmds = append(cmds, []any{"RPUSH", key, v})
			}
		case "stream":
			for _, x := range b.redis.XRange(ctx, key, "-", "+").Val() {
				cmd := []any{"XADD", key, x.ID}
				for _, name := range codec.EventFields {
					if v, ok := x.Values[name.(string)]; ok {
						cmd = append(cmd, name, v)
					}
				}
				cmds = append(cmds, cmd)
			}
		}
		for _, cmd := range cmds {
			if err := line.Encode(cmd); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out.Bytes()
}

// recorded loads the recorded state into an empty Redis.
func (b *bundle) recorded(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(recordedState)
	if err != nil {
		t.Fatal(err)
	}
	pipe := b.redis.Pipeline()
	for line := range bytes.Lines(raw) {
		var cmd []any
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&cmd); err != nil {
			t.Fatal(err)
		}
		for i := range cmd {
			if n, ok := cmd[i].(json.Number); ok {
				cmd[i] = n.String()
			}
		}
		pipe.Do(t.Context(), cmd...)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The released layout is read as it was written, by every version that knows it.
func TestRecordedStateIsRead(t *testing.T) {
	t.Parallel()
	if *update {
		b := onRedis(t)
		b.live(t)
		if err := os.WriteFile(recordedState, b.record(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		b.recorded(t)
		b.another(t)
		for _, state := range []care.State{care.StateSent, care.StateUncertain, care.StateFailed, care.StateRetry, care.StateSkipped, care.StateSending, care.StateDue} {
			got, err := b.Messages(ctx, Filter{State: state})
			if err != nil || len(got) != 1 || got[0].Customer != string(state) || got[0].Program != "maintenance" || got[0].Expires != epoch.Add(72*time.Hour-time.Minute) {
				t.Errorf("%s: %+v, %v", state, got, err)
			}
			if e := b.ledger(t, string(state)); len(e) != 1 || e[got[0].ID].State != state {
				t.Errorf("%s: the ledger has %+v", state, e)
			}
		}
		retry, err := b.Messages(ctx, Filter{State: care.StateRetry})
		want := []care.Attempt{{N: 1, At: epoch, Channel: care.SMS, Gateway: "kannel", Kind: care.KindRetry, Code: "503", Took: time.Second, Provider: "P-retry"}}
		if err != nil || !cmp.Equal(want, retry[0].Attempts) {
			t.Errorf("attempts: %s, %v", cmp.Diff(want, retry[0].Attempts), err)
		}
		b.optOutsStand(t)
		b.wantTasks(t, "tasks", "", "failed reply")
		if ids, err := b.ByAddress(ctx, "0011223344556677889900aabbccddee"); err != nil || !slices.Equal(ids, []string{"due", "sent"}) {
			t.Errorf("the address leads to %v, %v", ids, err)
		}
		if at, err := b.EventCursor(ctx, "webhook"); err != nil || at != (Cursor{"17-3", 12}) {
			t.Errorf("the cursor is %+v, %v", at, err)
		}
		if op, err := b.Operator(ctx); err != nil || !op.Programs["p"] {
			t.Errorf("the stop is gone: %+v, %v", op, err)
		}
		if c := claimOne(t, b.Store, time.Minute); c.Record.Customer != "due" {
			t.Errorf("claimed %+v", c)
		}
		// The lease that was recorded ended long ago; the receipt that waits for the message's result spares a repeat.
		if claims, err := b.Claim(ctx, care.Lanes, 9, time.Minute); err != nil || len(claims) != 0 {
			t.Errorf("claimed %v, %v", claims, err)
		}
		if r, err := b.Messages(ctx, Filter{Customer: "sending"}); err != nil || r[0].State != care.StateSent {
			t.Errorf("what was being sent: %+v, %v", r, err)
		}
	})
}

func (b *bundle) optOutsStand(t *testing.T) {
	t.Helper()
	f, err := b.Facts(t.Context(), []string{"stopped", "erased"})
	if err != nil || f[0].Overlay == nil || f[1].Overlay == nil {
		t.Fatal("overlays are gone: ", err)
	}
	stops := map[string]care.Stop{"sms": {At: epoch, Source: "sms"}}
	if !cmp.Equal(f[0].Overlay, &care.Overlay{Stops: stops}) || !cmp.Equal(f[1].Overlay, &care.Overlay{Stops: stops, Erased: true}) {
		t.Errorf("opt-out %+v, tombstone %+v", f[0].Overlay, f[1].Overlay)
	}
}

// countStops is a step as one could be: it counts each customer's opt-outs in a hash of their shard. It adds, so version 1 goes on beside it.
type countStops struct {
	dieAfter   int64 // customers; 0 = it does not
	runs       atomic.Int32
	side, most atomic.Int32 // how many run now, and ran at the most
	linger     time.Duration
}

var errDied = errors.New("the power went")

func (s *countStops) run(ctx context.Context, c redis.UniversalClient, progress func(int64)) error {
	s.runs.Add(1)
	s.most.Store(max(s.most.Load(), s.side.Add(1)))
	defer s.side.Add(-1)
	done := int64(0)
	iter := c.Scan(ctx, 0, "care:{*}:ledger:*", 100).Iterator()
	for iter.Next(ctx) {
		raw, err := c.HGet(ctx, iter.Val(), codec.OverlayField).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		var o care.Overlay
		if err := errors.Join(err, json.Unmarshal([]byte(raw), &o)); err != nil {
			return err
		}
		head, customer, _ := strings.Cut(iter.Val(), ":ledger:")
		if err := c.HSet(ctx, head+":stops", customer, len(o.Stops)).Err(); err != nil {
			return err
		}
		done++
		progress(done)
		if s.dieAfter > 0 && done >= s.dieAfter {
			return errDied
		}
	}
	return errors.Join(iter.Err(), sleep(ctx, s.linger))
}

// sleep waits unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (b *bundle) withStep(s *countStops, doMigrate bool) Options {
	return Options{URL: b.url, Clock: b.clock.now, Embedded: b.embed, Migrate: doMigrate, steps: []migrate.Step{{To: 2, What: "count opt-outs", Run: s.run}}}
}

func (b *bundle) stopsCounted(t *testing.T) (n int) {
	t.Helper()
	for shard := range care.Shards {
		n += int(b.redis.HLen(t.Context(), shardKey(shard, "stops")).Val())
	}
	return n
}

// A crash in the middle of a step leaves the old version and everything in it; the next start does the step again.
func TestMigrationAfterACrash(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		b.recorded(t)
		step := &countStops{dieAfter: 1}
		if _, err := Open(ctx, b.withStep(step, false)); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "start carebell serve") {
			t.Errorf("a command that only looks: %v", err)
		}
		if _, err := Open(ctx, b.withStep(step, true)); !errors.Is(err, errDied) {
			t.Fatalf("Open: %v", err)
		}
		if at, err := b.redis.Get(ctx, versionKey()).Int(); err != nil || at != 1 || b.stopsCounted(t) != 1 {
			t.Errorf("after the crash the state is of version %d with %d counted, %v", at, b.stopsCounted(t), err)
		}
		b.optOutsStand(t)
		step.dieAfter = 0
		newer := open(t, b.withStep(step, true))
		if at, err := b.redis.Get(ctx, versionKey()).Int(); err != nil || at != 2 || b.stopsCounted(t) != 2 || step.runs.Load() != 2 {
			t.Errorf("the state is of version %d with %d counted after %d runs, %v", at, b.stopsCounted(t), step.runs.Load(), err)
		}
		if n := b.redis.Exists(ctx, migrationKey()).Val(); n != 0 {
			t.Error("the lock is left")
		}
		b.optOutsStand(t)
		// Both versions go on side by side.
		older := b.another(t)
		c := claimOne(t, older, time.Minute)
		if !begin(t, older, c) || !complete(t, older, result(c, care.StateSent, epoch)) {
			t.Error("the older one was refused")
		}
		if r, err := newer.Message(ctx, c.Record.ID); err != nil || r.State != care.StateSent {
			t.Errorf("the newer one reads %+v, %v", r, err)
		}
		for _, f := range older.Doctor(ctx) {
			if !f.OK {
				t.Errorf("%+v", f)
			}
		}
	})
}

// Of replicas that start at once one migrates, and the others wait for it.
func TestOneReplicaMigrates(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		b.recorded(t)
		step := &countStops{linger: 100 * time.Millisecond}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				s, err := Open(t.Context(), b.withStep(step, true))
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if at, err := b.redis.Get(t.Context(), versionKey()).Int(); err != nil || at != 2 {
					t.Errorf("opened at version %d, %v", at, err)
				}
			})
		}
		wg.Wait()
		if step.runs.Load() != 1 || step.most.Load() != 1 {
			t.Errorf("the step ran %d times, %d at once", step.runs.Load(), step.most.Load())
		}
	})
}
