package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/lua"
	"github.com/carebell/carebell/store/redistest"
)

func TestUnsafeServersAreRefused(t *testing.T) {
	t.Parallel()
	master := ownRedis(t, "--appendonly", "yes")
	host, port, _ := strings.Cut(master.Addr, ":")
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"evicts":   {[]string{"--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"}, "maxmemory-policy noeviction"},
		"no AOF":   {[]string{"--appendonly", "no"}, "appendonly yes"},
		"replica":  {[]string{"--appendonly", "yes", "--replicaof", host + " " + port}, "not a master"},
		"all well": {[]string{"--appendonly", "yes"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ownRedis(t, tt.args...)
			o := Options{URL: server.URL()}
			start := time.Now()
			s, err := Open(t.Context(), o)
			if err == nil {
				s.Close()
			}
			if (err == nil) != (tt.says == "") || err != nil && (!errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("Open: %v; want %q", err, tt.says)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			o.AllowUnsafe = true
			open(t, o)
		})
	}
}

func TestOldServerIsRefused(t *testing.T) {
	t.Parallel()
	for _, f := range examine(map[string]string{
		"redis_version": "6.0.16", "role": "master", "maxmemory_policy": "noeviction", "aof_enabled": "1",
	}, "h:1") {
		if f.OK == strings.Contains(f.What, "6.0.16") {
			t.Errorf("%+v", f)
		}
	}
}

func TestStateOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		for name, tt := range map[string]struct {
			key     string
			version int
			says    string // "" = it is opened
		}{
			"ours":                     {versionKey(), firstVersion, ""},
			"the next, in an upgrade":  {versionKey(), firstVersion + 1, ""},
			"newer than that":          {versionKey(), firstVersion + 2, "newer carebell"},
			"before the first release": {unreleasedKey(), 6, "take the customers and what they decided over"},
		} {
			before := b.redis.Get(t.Context(), versionKey()).Val()
			b.redis.Set(t.Context(), tt.key, tt.version, 0)
			s, err := Open(t.Context(), Options{URL: b.url, Embedded: b.embed, AllowUnsafe: true, Migrate: true})
			if err == nil {
				s.Close()
			}
			if (err == nil) != (tt.says == "") || err != nil && (!errors.Is(err, ErrState) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%s: %v; want %q", name, err, tt.says)
			}
			if err != nil && strings.Contains(err.Error(), "delete") {
				t.Errorf("%s: somebody is told to delete: %v", name, err)
			}
			b.redis.Del(t.Context(), unreleasedKey())
			b.redis.Set(t.Context(), versionKey(), before, 0)
		}
	})
}

func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	server := ownRedis(t, "--appendonly", "yes")
	b := bundleAt(t, server.URL()+"?timeout=200ms", false)
	b.queue(t, 1)
	c := claimOne(t, b.Store, time.Minute)
	server.Kill()
	if ok, err := b.Begin(t.Context(), []care.Intent{{Claim: c, At: epoch}}); err == nil || ok[0] {
		t.Errorf("Begin without Redis: %v, %v", ok, err)
	}
	if ok, err := b.Complete(t.Context(), []care.Result{result(c, care.StateSent, epoch)}); err == nil || ok[0] {
		t.Errorf("Complete without Redis: %v, %v", ok, err)
	}
	if _, err := b.Claim(t.Context(), care.Lanes, 1, time.Minute); err == nil {
		t.Error("Claim without Redis")
	}
	if _, err := b.Facts(t.Context(), []string{"C1"}); err == nil {
		t.Error("Facts without Redis")
	}
	if err := b.Scan(t.Context(), func([]*care.Facts) error { return nil }); err == nil {
		t.Error("Scan without Redis")
	}
	if b.Ping(t.Context()) == nil {
		t.Error("Ping without Redis")
	}
}

func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	server := ownRedis(t, "--appendonly", "yes")
	b := bundleAt(t, server.URL(), false)
	all := b.queue(t, 4)
	first, second := claimOne(t, b.Store, time.Minute), claimOne(t, b.Store, time.Minute)
	if !begin(t, b.Store, first) {
		t.Fatal("Begin refused")
	}
	if err := b.redis.ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	full := func(what string, err error) {
		t.Helper()
		if !redis.HasErrorPrefix(errors.Unwrap(err), "OOM") {
			t.Errorf("%s at OOM: %v", what, err)
		}
	}
	_, err := b.Claim(t.Context(), care.Lanes, 10, time.Minute)
	full("Claim", err)
	ok, err := b.Begin(t.Context(), []care.Intent{{Claim: second, At: epoch}})
	full("Begin", err)
	if ok[0] {
		t.Error("Begin at OOM said yes")
	}
	_, err = b.Apply(t.Context(), []care.Change{{Customer: "X", Add: []*care.Occurrence{occurrence("X", 0, epoch)}}})
	full("Apply", err)
	res := result(first, care.StateSent, epoch)
	res.Event = &care.EventEntry{At: epoch, ID: first.Record.ID, Customer: first.Record.Customer, State: care.StateSent}
	if !complete(t, b.Store, res) {
		t.Error("Complete at OOM was refused")
	}
	if err := b.Publish(t.Context(), []*care.EventEntry{res.Event}); err != nil {
		t.Errorf("Publish at OOM: %v", err)
	}
	if told, err := b.Events(t.Context(), "", 9); err != nil || len(told) != 1 || told[0].ID != first.Record.ID {
		t.Errorf("told at OOM: %+v, %v", told, err)
	}
	if ok, err := b.Renew(t.Context(), []*care.Claim{second}, time.Minute); err != nil || !ok[0] {
		t.Errorf("Renew at OOM: %v, %v", ok, err)
	}
	b.receipts(t, receipt(first.Record.ID, care.StateDelivered))
	for _, o := range all {
		if o.ID == first.Record.ID {
			b.expect(t, o, care.StateDelivered)
		}
	}
	if err := b.Erase(t.Context(), "C-erased", []string{"0011223344556677889900aabbccddee"}, false); err != nil {
		t.Errorf("Erase at OOM: %v", err)
	}
	// The state is readable by a restarted daemon, and goes on by itself.
	b.another(t)
	if err := b.redis.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if !begin(t, b.Store, second) {
		t.Error("Begin after OOM refused")
	}
}

func TestScriptFlushInMidRun(t *testing.T) {
	t.Parallel()
	server := ownRedis(t, "--appendonly", "yes")
	b := bundleAt(t, server.URL(), false)
	const n = 300
	all := b.queue(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var calls atomic.Int64 // that have come back: a slow machine is not disturbed more often than it gets anything done
	wg.Go(func() {
		for ctx.Err() == nil {
			b.redis.ScriptFlush(t.Context())
			b.redis.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "no")
			for before := calls.Load(); calls.Load() == before && ctx.Err() == nil; {
				time.Sleep(100 * time.Microsecond)
			}
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		}
	})
	sent := make(map[string]int)
	deadline := time.Now().Add(30 * time.Second)
	for len(sent) < n && time.Now().Before(deadline) {
		claims, err := b.Claim(t.Context(), care.Lanes, 20, time.Second)
		calls.Add(1)
		if err != nil {
			continue
		}
		for _, c := range claims {
			var ok []bool
			ok, err = b.Begin(t.Context(), []care.Intent{{Claim: c, At: epoch}})
			calls.Add(1)
			if err != nil || !ok[0] {
				continue
			}
			sent[c.Record.ID]++
			for {
				ok, err = b.Complete(t.Context(), []care.Result{result(c, care.StateSent, epoch)})
				calls.Add(1)
				if err == nil {
					break
				}
			}
			if !ok[0] {
				t.Errorf("%s: settled, but the answer was no", c.Record.ID)
			}
		}
	}
	cancel()
	wg.Wait()
	for _, o := range all {
		if sent[o.ID] != 1 {
			t.Errorf("%s was sent %d times", o.ID, sent[o.ID])
		}
	}
	if counted := b.sentOn(t, "sh-pudong/maintenance"); counted != n {
		t.Errorf("counted %d sent of %d", counted, n)
	}
}

// TestEveryScriptTwice sends each call of a message's life twice, as go-redis does after a lost answer, and compares the whole
// database with one where each was sent once.
func TestEveryScriptTwice(t *testing.T) {
	t.Parallel()
	dump := func(twice bool) string {
		b := onRedis(t)
		o := b.queue(t, 1)[0]
		times := 1
		if twice {
			times = 2
		}
		var c *care.Claim
		for range times {
			if claims, err := b.Claim(t.Context(), care.Lanes, 5, time.Minute); err != nil {
				t.Fatal(err)
			} else if len(claims) > 0 {
				c = claims[0]
			}
		}
		moved := *o
		moved.Release = epoch.Add(time.Hour)
		steps := []func(){
			func() { begin(t, b.Store, c) },
			func() {
				if _, err := b.Renew(t.Context(), []*care.Claim{c}, time.Hour); err != nil {
					t.Fatal(err)
				}
			},
			func() { complete(t, b.Store, result(c, care.StateUncertain, epoch)) },
			func() { b.receipts(t, receipt(o.ID, care.StateSent)) },
			func() { b.receipts(t, receipt(o.ID, care.StateDelivered)) },
			func() {
				if _, err := b.Apply(t.Context(), []care.Change{{
					Customer: o.Customer, Add: []*care.Occurrence{o}, Move: []*care.Occurrence{&moved},
					Drop: []care.Drop{{ID: o.ID, State: care.StateSkipped, Reason: "x"}},
				}}); err != nil {
					t.Fatal(err)
				}
			},
			func() {
				if _, err := b.Repair(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
		}
		for _, step := range steps {
			for range times {
				step()
			}
		}
		out := ""
		keys, err := b.redis.Keys(t.Context(), "care:{*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range sorted(keys) {
			if strings.HasSuffix(key, ":fence") || strings.HasSuffix(key, ":watermark") {
				continue // these only grow
			}
			switch b.redis.Type(t.Context(), key).Val() {
			case "hash":
				out += fmt.Sprintln(key, b.redis.HGetAll(t.Context(), key).Val())
			case "zset":
				out += fmt.Sprintln(key, b.redis.ZRangeWithScores(t.Context(), key, 0, -1).Val())
			default:
				out += fmt.Sprintln(key, b.redis.Get(t.Context(), key).Val())
			}
		}
		return out
	}
	if once, twice := dump(false), dump(true); once != twice {
		t.Errorf("once:\n%s\ntwice:\n%s", once, twice)
	}
}

func TestDamagedState(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		all := b.queue(t, 4)
		day := codec.DayOf(all[0].Release)
		// A lease deleted, of one that was being sent; a queue entry deleted; a record deleted before anything was begun; a record that is
		// rubbish, of a message that was tried.
		var c *care.Claim
		for c == nil || c.Record.ID != all[0].ID {
			c = claimOne(t, b.Store, time.Minute)
			if c.Record.ID != all[0].ID {
				complete(t, b.Store, result(c, care.StateRetry, epoch))
			}
		}
		begin(t, b.Store, c)
		b.redis.ZRem(ctx, leasedKey(care.ShardOf(all[0].ID)), leasedOf(c))
		b.redis.ZRem(ctx, dueKey(care.ShardOf(all[1].ID), smsQueue), codec.Ref{ID: all[1].ID, Day: day, Customer: all[1].Customer}.String())
		b.redis.HDel(ctx, messagesKey(care.ShardOf(all[2].ID), day), all[2].ID)
		b.redis.HSet(ctx, messagesKey(care.ShardOf(all[3].ID), day), all[3].ID, "{")
		for i, state := range map[int]care.State{2: care.StateDue, 3: care.StateRetry} {
			e := b.ledger(t, all[i].Customer)[all[i].ID]
			e.State = state
			b.redis.HSet(ctx, ledgerKey(all[i].Customer), all[i].ID, codec.EncodeEntry(e))
		}

		if n, err := b.Repair(ctx); err != nil || n != 2 {
			t.Fatalf("Repair put %d back, %v; want 2", n, err)
		}
		if n, err := b.Repair(ctx); err != nil || n != 0 {
			t.Fatalf("Repair again put %d back, %v", n, err)
		}
		got := make(map[string]care.State)
		for range 10 {
			claims, err := b.Claim(ctx, care.Lanes, 10, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range claims {
				got[c.Record.ID] = c.Was
			}
		}
		if len(got) != 2 || got[all[0].ID] != care.StateUncertain || got[all[1].ID] == "" {
			t.Errorf("claimed %v", got)
		}
		o := all[3]
		want := care.LedgerEntry{
			State: care.StateFailed, At: epoch, Class: care.Service, Channel: care.SMS, Program: o.Program, Vehicle: o.Vehicle, Step: o.Step,
			Cycle: o.Cycle, On: o.On, Day: care.DateFromDays(day), Reason: "damaged_record",
		}
		if diff := cmp.Diff(want, b.ledger(t, o.Customer)[o.ID], cmpopts.EquateComparable(care.Date{})); diff != "" {
			t.Errorf("a damaged one (-want +got):\n%s", diff)
		}
		if sum, err := b.Apply(ctx, []care.Change{{Customer: all[2].Customer, Add: all[2:3]}}); err != nil || sum.Added != 1 {
			t.Errorf("%+v, %v: what was never begun is not planned anew", sum, err)
		}
		if c := claimOne(t, b.Store, time.Minute); c.Record.ID != all[2].ID || c.Was != care.StateDue && c.Was != care.StateClaimed {
			t.Errorf("claimed %s as %s", c.Record.ID, c.Was)
		}
	})
}

func TestRestoredSnapshotStopsSending(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// With everysec a busy disk puts the write off, and the copy would lack what was just queued.
	server, err := redistest.New(dir, "--appendonly", "yes", "--appendfsync", "always")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill() }()
	b := bundleAt(t, server.URL(), false)
	all := b.queue(t, 2)
	copyOf := t.TempDir()
	if out, err := exec.Command("cp", "-r", dir+"/.", copyOf).CombinedOutput(); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	c := claimOne(t, b.Store, time.Minute)
	begin(t, b.Store, c)
	complete(t, b.Store, result(c, care.StateSent, epoch))
	seen := b.Seen()
	if err := b.Expect(t.Context(), seen); err != nil {
		t.Fatalf("nothing was restored: %v", err)
	}
	restored, err := redistest.New(copyOf, "--appendonly", "yes")
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Kill()
	after := bundleAt(t, restored.URL(), false)
	if err := after.Expect(t.Context(), seen); !errors.Is(err, ErrRestored) {
		t.Fatalf("Expect: %v", err)
	}
	if claims, err := after.Claim(t.Context(), care.Lanes, 9, time.Minute); !errors.Is(err, ErrRestored) || len(claims) != 0 {
		t.Errorf("claimed from a restored snapshot: %v, %v", claims, err)
	}
	if ok, err := after.Begin(t.Context(), []care.Intent{{Claim: c, At: epoch}}); !errors.Is(err, ErrRestored) || ok[0] {
		t.Errorf("began on a restored snapshot: %v, %v", ok, err)
	}
	if err := after.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	if claims, err := after.Claim(t.Context(), care.Lanes, 9, time.Minute); err != nil || len(claims) != len(all) {
		t.Errorf("after the operator said go: %v, %v", claims, err)
	}
}

func TestReplicaConfirms(t *testing.T) {
	t.Parallel()
	master := ownRedis(t, "--appendonly", "yes")
	host, port, _ := strings.Cut(master.Addr, ":")
	replica := ownRedis(t, "--appendonly", "yes", "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	c := redis.NewClient(&redis.Options{Addr: replica.Addr})
	defer c.Close()
	for range 400 {
		if strings.Contains(c.Info(t.Context(), "replication").Val(), "master_link_status:up") {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	b := bundleAt(t, master.URL(), false)
	b.queue(t, 2)
	first, second := claimOne(t, b.Store, time.Minute), claimOne(t, b.Store, time.Minute)
	if !begin(t, b.Store, first) || !complete(t, b.Store, result(first, care.StateSent, epoch)) {
		t.Error("refused although a replica is there")
	}
	replica.Kill()
	if ok, err := b.Begin(t.Context(), []care.Intent{{Claim: second, At: epoch}}); !errors.Is(err, lua.ErrUnconfirmed) || ok[0] {
		t.Errorf("Begin that no replica confirmed: %v, %v", ok, err)
	}
	// Now it is known that there is none any more.
	if !begin(t, b.Store, second) {
		t.Error("refused although there is nobody to wait for")
	}
}

// Whatever somebody deletes of what a replica has claimed, the message comes back: nobody holds it any more, so it can be claimed as soon as it
// is put back, not when a lease that stands nowhere would have ended. What was being sent comes back as uncertain.
func TestRepairedMessageDoesNotWaitForALostLease(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(b *bundle, shard int, c *care.Claim){
		"lease": func(b *bundle, shard int, c *care.Claim) { b.redis.ZRem(t.Context(), leasedKey(shard), leasedOf(c)) },
		"customer": func(b *bundle, shard int, c *care.Claim) {
			b.redis.HDel(t.Context(), busyKey(shard), c.Record.Customer)
		},
		"all": func(b *bundle, shard int, _ *care.Claim) { b.redis.Del(t.Context(), leasedKey(shard), busyKey(shard)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, b *bundle) {
				o := b.queue(t, 1)[0]
				c := claimOne(t, b.Store, time.Minute)
				if !begin(t, b.Store, c) {
					t.Fatal("Begin refused")
				}
				if n, err := b.Repair(t.Context()); err != nil || n != 0 {
					t.Fatalf("Repair put %d back that are claimed, %v", n, err)
				}
				damage(b, care.ShardOf(o.ID), c)
				if n, err := b.Repair(t.Context()); err != nil || n != 1 {
					t.Fatalf("Repair put %d back, %v; want 1", n, err)
				}
				got := awaitClaim(t, b.Store, time.Minute)
				if got.Record.ID != o.ID || got.Was != care.StateUncertain {
					t.Errorf("claimed %s as %s, want %s", got.Record.ID, got.Was, care.StateUncertain)
				}
				if complete(t, b.Store, result(c, care.StateSent, epoch)) {
					t.Error("the old claim's word was taken")
				}
			})
		})
	}
}

// A replica died while it sent a text, and nobody may claim texts: the customer's mail waits until the lease ends, then goes. What is known of
// the text goes onto its record then, and it comes back as uncertain, once the mail has its outcome.
func TestAForgottenMessageStaysUncertain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		byText, byMail := occurrence(customer(1), 0, epoch.Add(-time.Minute)), occurrence(customer(1), 1, epoch.Add(-time.Minute))
		byText.Channel, byMail.Channel = care.SMS, care.Email
		if _, err := b.Apply(ctx, []care.Change{{Customer: customer(1), Add: []*care.Occurrence{byText, byMail}}}); err != nil {
			t.Fatal(err)
		}
		lanes := func(ch care.Channel) (out []care.Lane) {
			for _, l := range care.Lanes {
				if l.Channel == ch {
					out = append(out, l)
				}
			}
			return out
		}
		claim := func(ch care.Channel) []*care.Claim {
			t.Helper()
			got, err := b.Claim(ctx, lanes(ch), 9, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		text := claim(care.SMS)
		if len(text) != 1 || !begin(t, b.Store, text[0]) {
			t.Fatal("the text cannot be begun", text)
		}
		if got := claim(care.Email); len(got) != 0 {
			t.Fatal("claimed while another message of the customer is in flight:", got)
		}
		b.endLease(t, text[0])
		mail := claim(care.Email)
		if len(mail) != 1 || mail[0].Record.ID != byMail.ID || mail[0].Was != care.StateDue {
			t.Fatal("the mail waits for a message that nobody holds any more:", mail)
		}
		if r, err := b.Message(ctx, byText.ID); err != nil || r.State != care.StateSending {
			t.Errorf("the text's record: %+v, %v", r, err)
		}
		if e := b.ledger(t, customer(1))[byText.ID]; e.State != care.StateSending {
			t.Errorf("the text's ledger entry: %+v", e)
		}
		if got := claim(care.SMS); len(got) != 0 {
			t.Error("rescued while another message of the customer is in flight:", got)
		}
		if !complete(t, b.Store, result(mail[0], care.StateSent, epoch)) {
			t.Error("the mail's result was refused")
		}
		if complete(t, b.Store, result(text[0], care.StateSent, epoch)) {
			t.Error("the dead replica's word was taken")
		}
		got := claim(care.SMS)
		if len(got) != 1 || got[0].Record.ID != byText.ID || got[0].Was != care.StateUncertain || got[0].Record.Crashes != 1 {
			t.Errorf("rescued: %+v", got)
		}
	})
}
