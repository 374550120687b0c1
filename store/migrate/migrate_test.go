package migrate

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state, known int
		unreleased   bool
		want         Verdict
	}{
		{0, 1, false, Fresh},
		{1, 1, false, Current},
		{1, 2, false, Behind},
		{1, 5, false, Behind},
		{2, 1, false, Ahead},
		{3, 1, false, TooNew},
		{0, 1, true, Unreleased},
		{1, 1, true, Unreleased},
	} {
		if got := Judge(tt.state, tt.known, tt.unreleased); got != tt.want {
			t.Errorf("state %d, program %d, unreleased %v: %d, want %d", tt.state, tt.known, tt.unreleased, got, tt.want)
		}
	}
}

func migrator(t *testing.T, steps ...Step) *Migrator {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Set(t.Context(), "v", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	return &Migrator{Client: c, Version: "v", Lock: "l", Steps: steps, Log: slog.New(slog.DiscardHandler), Lease: 300 * time.Millisecond}
}

func TestStepsRunInOrder(t *testing.T) {
	t.Parallel()
	var order []string
	step := func(to int, name string) Step {
		return Step{To: to, What: name, Run: func(_ context.Context, _ redis.UniversalClient, progress func(int64)) error {
			progress(2 * progressEvery)
			order = append(order, name)
			return nil
		}}
	}
	m := migrator(t, step(2, "two"), step(3, "three"))
	for range 2 {
		if err := m.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := m.Client.Get(t.Context(), "v").Int(); err != nil || v != 3 || strings.Join(order, " ") != "two three" {
		t.Errorf("version %d after %v, %v", v, order, err)
	}
	m.Steps = append(m.Steps, step(5, "five"))
	if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no step leads from version 3") {
		t.Errorf("a gap: %v", err)
	}
}

// Who loses the lock stops, and does not say that it has come to an end.
func TestALostLockEndsTheStep(t *testing.T) {
	t.Parallel()
	m := migrator(t)
	m.Steps = []Step{{To: 2, What: "slow", Run: func(ctx context.Context, c redis.UniversalClient, _ func(int64)) error {
		if err := c.Set(ctx, "l", "another", 0).Err(); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}}}
	if err := m.Run(t.Context()); !errors.Is(err, errLost) {
		t.Errorf("Run: %v", err)
	}
	if v, _ := m.Client.Get(t.Context(), "v").Int(); v != 1 {
		t.Errorf("version %d", v)
	}
	if have := m.Client.Get(t.Context(), "l").Val(); have != "another" {
		t.Errorf("the other one's lock is %q", have)
	}
}

// A replica that waits goes on when the one that had the lock has died.
func TestADeadReplicasLockEnds(t *testing.T) {
	t.Parallel()
	m := migrator(t, Step{To: 2, What: "quick", Run: func(context.Context, redis.UniversalClient, func(int64)) error { return nil }})
	if err := m.Client.Set(t.Context(), "l", "dead", 0).Err(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- m.Run(t.Context()) }()
	if err := m.Client.Del(t.Context(), "l").Err(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Client.Set(t.Context(), "v", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := m.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a Run that is told to end: %v", err)
	}
}
