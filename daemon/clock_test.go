package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/config"
)

// wrong is a clock that is ahead of the true one.
type wrong struct{ ahead atomic.Int64 }

func (w *wrong) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())).Round(0) }

func (w *wrong) set(ahead time.Duration) { w.ahead.Store(int64(ahead)) }

// A clock that jumps is noticed without asking Redis again, is said once, and stops this replica while it is far off.
func TestAWrongClockIsSaidOnceAndStops(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := &wrong{}
	c := &clock{now: w.now, machine: time.Now, log: slog.New(slog.NewTextHandler(&log, nil))}
	redis := func(context.Context) (time.Time, error) { return time.Now(), nil }
	for _, tt := range []struct {
		ahead time.Duration
		says  string
		halts bool
	}{
		{0, "", false},
		{1500 * time.Millisecond, "", false},
		{3 * time.Second, "this replica's clock and Redis' differ", false},
		{5 * time.Second, "", false},
		{time.Hour, "nothing is sent", true},
		{2 * time.Hour, "", true},
		{-31 * time.Second, "", true},
		{-29 * time.Second, "going on", false},
		{0, "the clocks agree again", false},
		{-3 * time.Second, "this replica's clock and Redis' differ", false},
	} {
		w.set(tt.ahead)
		if !c.wall.Equal(time.Time{}) && (c.fault() != nil) != tt.halts {
			t.Errorf("%v ahead, before Redis is asked: %v", tt.ahead, c.fault())
		}
		log.Reset()
		for range 3 {
			if off := c.compare(t.Context(), redis); (off - tt.ahead).Abs() > 100*time.Millisecond {
				t.Errorf("%v ahead is taken for %v", tt.ahead, off)
			}
		}
		if said := log.String(); strings.Count(said, "\n") != min(1, len(tt.says)) || !strings.Contains(said, tt.says) {
			t.Errorf("%v ahead: it says %q, want %q once", tt.ahead, said, tt.says)
		}
		if (c.fault() != nil) != tt.halts {
			t.Errorf("%v ahead: %v", tt.ahead, c.fault())
		}
	}
	// A look that failed, or took long, says nothing; what was known stays.
	w.set(time.Hour)
	c.compare(t.Context(), func(context.Context) (time.Time, error) { return time.Time{}, errors.New("away") })
	if c.fault() == nil {
		t.Error("while Redis is away a jump is not seen")
	}
	// The demo's clock is not compared.
	if demo := (&clock{machine: time.Now}); demo.compare(t.Context(), redis) != 0 || demo.fault() != nil {
		t.Error("a clock that is nobody's is compared")
	}
}

// A replica with a wrong clock neither sends nor leads, says why, and goes on when the clock is right.
func TestAReplicaWithAWrongClockSendsNothing(t *testing.T) {
	t.Parallel()
	w := &wrong{}
	w.set(2 * time.Minute)
	env := &Env{
		Settings: &config.Settings{
			RedisURL: config.NewSecret(startRedis(t, "everysec").URL()), Listen: "127.0.0.1:0", Book: smallBook(t), DryRun: true, Sweep: "@every 15m",
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: w.now, Version: "test",
	}
	d, err := env.New(t.Context(), Parts{})
	if err != nil {
		t.Fatal(err)
	}
	d.Start()
	t.Cleanup(func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	ready(t, d, "it says why it is not ready", http.StatusServiceUnavailable, "2m0s ahead of Redis'")
	await(t, soon, "the metrics say so", func() bool {
		return counted(t, d, "carebell_halted", "clock") == 1 && counted(t, d, "carebell_clock_offset_seconds", "") > 100 && counted(t, d, "carebell_ready", "") == 0
	})
	if _, err := (guard{d.stops, &d.unsafe, &d.clock}).Operator(t.Context()); err == nil || d.leads.Load() {
		t.Errorf("it claims (%v), or leads (%v)", err, d.leads.Load())
	}
	w.set(0)
	ready(t, d, "it goes on", http.StatusOK, "ready")
	await(t, soon, "it leads", d.leads.Load)
}
