package daemon

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
	"github.com/redis/go-redis/v9"
)

// serve runs a daemon as it is run, on a Redis of its own, until the test ends or the function is called.
func serve(t *testing.T, redisURL, stateDir string) (*Daemon, func()) {
	t.Helper()
	book := smallBook(t)
	env := &Env{
		Settings: &config.Settings{
			RedisURL: config.NewSecret(redisURL), Listen: "127.0.0.1:0", Book: book, Sweep: "@every 15m", StateDir: stateDir,
			SMTP: config.SMTP{URL: config.Secrets{config.NewSecret("smtp://127.0.0.1:9?starttls=never")}, Connections: 2}, // nothing is due
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now, Version: "test",
	}
	d, err := env.New(t.Context(), Parts{})
	if err != nil {
		t.Fatal(err)
	}
	d.Start()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		if err := d.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	t.Cleanup(stop)
	return d, stop
}

func ready(t *testing.T, d *Daemon, what string, code int, says string) {
	t.Helper()
	await(t, soon, what, func() bool {
		got, body := get(t, d, "/readyz")
		return got == code && strings.Contains(body, says)
	})
}

// advance has the store do what moves the marks of every shard: messages that are begun.
func advance(t *testing.T, st *store.Store, from int) {
	t.Helper()
	ctx := t.Context()
	var changes []care.Change
	now := time.Now()
	for i := range 64 {
		id := "C" + string(rune('a'+from)) + string(rune('a'+i/26)) + string(rune('a'+i%26))
		o := &care.Occurrence{
			Customer: id, Dealer: "d", Program: "welcome", Step: "hello", Cycle: "2026-01-01", On: care.DateOf(now), Release: now.Add(-time.Minute),
			Expires: now.Add(time.Hour), Channel: care.Email, Class: care.Care, Verdict: care.Send,
		}
		o.ID = care.OccurrenceID(o.Customer, "", o.Program, o.Step, o.Cycle)
		changes = append(changes, care.Change{Customer: id, Add: []*care.Occurrence{o}})
	}
	if _, err := st.Apply(ctx, changes); err != nil {
		t.Fatal(err)
	}
	claims, err := st.Claim(ctx, care.Lanes, 64, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		rec := c.Record
		rec.State, rec.UpdatedAt = care.StateSent, now
		if _, err := st.Complete(ctx, []care.Result{{Claim: c, Record: rec}}); err != nil {
			t.Fatal(err)
		}
	}
}

// A Redis that was restored from a snapshot is noticed by a replica that ran meanwhile and by one that starts anew and remembers;
// every replica stops, says why, and goes on once an operator has decided.
func TestARestoredRedisStopsEverythingUntilAnOperatorDecides(t *testing.T) {
	t.Parallel()
	redisServer := startRedis(t, "always")
	state := t.TempDir()
	remembers, stopRemembering := serve(t, redisServer.URL(), state)
	running, _ := serve(t, redisServer.URL(), "")
	ready(t, running, "ready at first", http.StatusOK, "ready")

	snapshot := t.TempDir()
	copyAll(t, redisServer.Dir, snapshot)
	advance(t, remembers.store, 0)
	// Either of the two may have claimed what was queued, and the other hears of it a moment later.
	await(t, soon, "the marks are solid", func() bool {
		mark, solid := remembers.store.Seen(), running.store.Solid()
		for i := range solid {
			if solid[i] < mark[i] {
				return false
			}
		}
		return mark != store.Watermark{}
	})
	stopRemembering()
	if raw, err := os.ReadFile(filepath.Join(state, watermarkFile)); err != nil || !strings.Contains(string(raw), `"seen_at"`) {
		t.Fatalf("CARE_STATE_DIR holds %s, %v", raw, err)
	}

	if err := redisServer.Stop(); err != nil {
		t.Fatal(err)
	}
	copyAll(t, snapshot, redisServer.Dir)
	if err := redisServer.Start(); err != nil {
		t.Fatal(err)
	}
	ready(t, running, "the replica that ran notices", http.StatusServiceUnavailable, "resume --restored")
	if _, err := running.store.Claim(t.Context(), care.Lanes, 1, time.Minute); err == nil {
		t.Error("it still claims")
	}
	fresh, _ := serve(t, redisServer.URL(), "") // knows nothing, and is told
	ready(t, fresh, "one that starts anew is told", http.StatusServiceUnavailable, "resume --restored")
	await(t, soon, "it heeds that", func() bool { // what operators have stopped is asked for every second
		op, err := fresh.stops.Operator(t.Context())
		return err == nil && op.All
	})
	again, _ := serve(t, redisServer.URL(), state)
	ready(t, again, "the one that remembers notices", http.StatusServiceUnavailable, "resume --restored")
	if !again.store.Restored() {
		t.Error("it has only been told")
	}

	var found []string
	doctor := operate.Doctor{Settings: running.env.Settings, Now: time.Now, Store: running.store, Gateways: running.env.Gateways, Senders: running.env.OpenSenders}
	doctor.Run(t.Context(), func(f store.Finding) { found = append(found, f.Remedy) })
	if !strings.Contains(strings.Join(found, "\n"), "carebell resume --restored") {
		t.Errorf("doctor says %q", found)
	}
	operator := operate.Service{Store: running.store, Now: time.Now}
	if _, err := operator.Resume(t.Context(), care.CommandLine(), operate.Scope{}); err != nil {
		t.Fatal(err)
	}
	ready(t, running, "a plain resume is not enough", http.StatusServiceUnavailable, "resume --restored")
	if err := operator.AcceptRestored(t.Context(), care.CommandLine()); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Daemon{running, fresh, again} {
		ready(t, d, "going on after the operator's word", http.StatusOK, "ready")
		await(t, soon, "it claims again", func() bool {
			_, err := d.store.Claim(t.Context(), care.Lanes, 1, time.Second)
			return err == nil
		})
	}
	if err := operator.AcceptRestored(t.Context(), care.CommandLine()); err == nil {
		t.Error("accepted what nobody has stopped for")
	}
}

func copyAll(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", "rm -rf '"+to+"'/* && cp -r '"+from+"'/. '"+to+"'").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

// Somebody sets Redis so that messages could be lost: nothing is claimed until it is mended.
func TestARedisThatCanLoseMessagesIsNotClaimedFrom(t *testing.T) {
	t.Parallel()
	redisServer := startRedis(t, "everysec")
	d, _ := serve(t, redisServer.URL(), "")
	ready(t, d, "ready at first", http.StatusOK, "ready")
	client := redis.NewClient(&redis.Options{Addr: redisServer.Addr})
	t.Cleanup(func() { _ = client.Close() })
	set := func(policy string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("allkeys-lru")
	// A reconnect has it looked at at once, without one within a minute.
	if err := client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	ready(t, d, "it is noticed", http.StatusServiceUnavailable, "noeviction")
	guarded := guard{d.stops, &d.unsafe, &d.clock}
	if _, err := guarded.Operator(t.Context()); err == nil {
		t.Error("delivery may go on claiming")
	}
	set("noeviction")
	ready(t, d, "it goes on when that is mended", http.StatusOK, "ready")
	if _, err := guarded.Operator(t.Context()); err != nil {
		t.Errorf("delivery is held: %v", err)
	}
}

// What CARE_STATE_DIR holds is whole after any crash; a folder that cannot be written stops the start.
func TestAStateFolderThatCannotBeWrittenIsRefused(t *testing.T) {
	t.Parallel()
	d, _ := house(t, nil)
	file := filepath.Join(t.TempDir(), "a file")
	write(t, file, "")
	set := *d.env.Settings
	set.StateDir, set.DryRun = file, false
	set.SMTP.URL, set.SMTP.Connections = config.Secrets{config.NewSecret("smtp://127.0.0.1:9")}, 2
	env := *d.env
	env.Settings = &set
	if _, err := env.New(context.Background(), Parts{Store: d.store}); err == nil || !strings.Contains(err.Error(), "CARE_STATE_DIR") {
		t.Errorf("started: %v", err)
	}
}

func TestAShareIsHeldOnlyWhileItIsKnown(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var s share
	expect := func(what string, want float64) {
		t.Helper()
		if got := s.of(now); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	expect("before Redis answered", 0)
	s.heard(now, 2, false)
	expect("before the other knows", 0)
	s.heard(now, 2, true)
	expect("both know", 0.5)
	s.heard(now, 3, false)
	expect("a third one comes, and waits itself", 1.0/3)
	now = now.Add(aliveFor)
	expect("Redis is away", 0)
	s.heard(now, 3, false)
	expect("it came back and is new", 0)
	s.heard(now, 1, true)
	expect("alone", 1)
}
