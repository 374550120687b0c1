// Package migrate brings the state in Redis from one released version to the next.
//
// What it promises: the state has a version, which stands in Redis beside it. Steps lead from each version to the next and run in order, one
// replica at a time, under a lock. A step that was cut off is run again from its beginning; the version grows only when it has come to its end.
// So a crash leaves the old version, all of its data, and a step that the next start repeats.
//
// The rule for whoever writes a step: running it twice, or halfway and then again, comes to the same. It adds, and takes away nothing that the
// version before reads, because during a rolling upgrade replicas of both versions run side by side; what is not needed any more goes one
// version later. Each step is tested on a recorded state of the version before. No step, and no message, has anybody delete keys: opt-outs,
// tombstones and ledgers are what the law wants kept.
//
// What it does not: go back to an older version, or read state from before the first release.
package migrate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// Step makes a version of the state of the one before.
type Step struct {
	To   int    // the version it makes
	What string // what it changes, for the log
	// Run changes the state. progress says how much is done; it may be called as often as one likes.
	Run func(ctx context.Context, c redis.UniversalClient, progress func(done int64)) error
}

// Verdict is what a program that knows a version makes of the state's.
type Verdict int

// The verdicts.
const (
	Fresh      Verdict = iota // there is no state yet
	Current                   // the state is of the program's version
	Behind                    // the program must migrate it first
	Ahead                     // of the next version: the program may run beside a newer one during the upgrade
	TooNew                    // only a newer program can read it
	Unreleased                // from before the first release
)

// Judge says what a program that knows a version makes of a state: its version, 0 = there is none, or a layout from before the first release.
func Judge(state, known int, unreleased bool) Verdict {
	switch {
	case unreleased:
		return Unreleased
	case state == 0:
		return Fresh
	case state == known:
		return Current
	case state < known:
		return Behind
	case state == known+1:
		return Ahead
	}
	return TooNew
}

// Migrator runs the steps that a state lacks.
type Migrator struct {
	Client redis.UniversalClient
	// Version and Lock are keys of one slot: the state's version, and who migrates it.
	Version, Lock string
	Steps         []Step // in the order of their versions
	Log           *slog.Logger
	// Lease is how long the lock outlives a replica that died; 0 = 30 s.
	Lease time.Duration
}

// errLost is why a step is stopped: another replica has the lock.
var errLost = errors.New("the lock of the migration was lost")

// progressEvery is after how many pieces of work a step's progress is logged.
const progressEvery = 10_000

// Run brings the state to the version of the last step. Of several replicas one does the work, and the others wait for it. There must be a
// state. After an error it is as it was, or a part of a step has been done, which the next Run repeats.
func (m *Migrator) Run(ctx context.Context) error {
	if m.Lease <= 0 {
		m.Lease = 30 * time.Second
	}
	holder, waiting := rand.Text(), false
	for {
		missing, err := m.missing(ctx)
		if err != nil || len(missing) == 0 {
			return err
		}
		// A lock with a life of its own: whoever dies leaves it to the others.
		err = m.Client.SetArgs(ctx, m.Lock, holder, redis.SetArgs{Mode: "NX", TTL: m.Lease}).Err()
		switch {
		case err == nil:
			return m.locked(ctx, holder)
		case !errors.Is(err, redis.Nil):
			return fmt.Errorf("lock the migration: %w", err)
		case !waiting:
			waiting = true
			m.Log.InfoContext(ctx, "another replica migrates the state; waiting for it", slog.Int("to", missing[len(missing)-1].To))
		}
		if !care.Sleep(ctx, m.Lease/100) {
			return ctx.Err()
		}
	}
}

// missing returns the steps that the state lacks.
func (m *Migrator) missing(ctx context.Context) ([]Step, error) {
	at, err := m.Client.Get(ctx, m.Version).Int()
	if err != nil {
		return nil, fmt.Errorf("read the state's version: %w", err)
	}
	i := slices.IndexFunc(m.Steps, func(s Step) bool { return s.To > at })
	if i < 0 {
		return nil, nil
	}
	if m.Steps[i].To != at+1 {
		return nil, fmt.Errorf("no step leads from version %d of the state to %d", at, at+1)
	}
	return m.Steps[i:], nil
}

// locked runs the steps while this replica has the lock.
func (m *Migrator) locked(ctx context.Context, holder string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		m.keep(ctx, cancel, holder)
	}()
	defer func() {
		cancel(nil)
		<-kept
		m.release(context.WithoutCancel(ctx), holder)
	}()
	missing, err := m.missing(ctx) // another replica may have been faster
	if err != nil {
		return err
	}
	for _, s := range missing {
		m.Log.InfoContext(ctx, "migrating the state", slog.Int("to", s.To), slog.String("step", s.What))
		if err := m.step(ctx, holder, s); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fmt.Errorf("migrate the state to version %d (%s): %w", s.To, s.What, err)
		}
		m.Log.InfoContext(ctx, "the state is migrated", slog.Int("version", s.To))
	}
	return nil
}

func (m *Migrator) step(ctx context.Context, holder string, s Step) error {
	logged := int64(0)
	err := s.Run(ctx, m.Client, func(done int64) {
		if done-logged >= progressEvery {
			logged = done
			m.Log.InfoContext(ctx, "migrating the state", slog.Int("to", s.To), slog.Int64("done", done))
		}
	})
	if err != nil {
		return err
	}
	return m.ifHeld(ctx, holder, func(pipe redis.Pipeliner) { pipe.Set(ctx, m.Version, s.To, 0) })
}

// ifHeld does something in one transaction with the look at who has the lock.
func (m *Migrator) ifHeld(ctx context.Context, holder string, do func(redis.Pipeliner)) error {
	return m.Client.Watch(ctx, func(tx *redis.Tx) error {
		have, err := tx.Get(ctx, m.Lock).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if have != holder {
			return errLost
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error { do(pipe); return nil })
		return err
	}, m.Lock)
}

// keep lengthens the lock until ctx ends, and ends it when the lock is lost.
func (m *Migrator) keep(ctx context.Context, cancel context.CancelCauseFunc, holder string) {
	for care.Sleep(ctx, m.Lease/3) {
		err := m.ifHeld(ctx, holder, func(pipe redis.Pipeliner) { pipe.PExpire(ctx, m.Lock, m.Lease) })
		if errors.Is(err, errLost) {
			cancel(errLost)
			return
		}
	}
}

func (m *Migrator) release(ctx context.Context, holder string) {
	ctx, cancel := context.WithTimeout(ctx, m.Lease/3)
	defer cancel()
	if err := m.ifHeld(ctx, holder, func(pipe redis.Pipeliner) { pipe.Del(ctx, m.Lock) }); err != nil && !errors.Is(err, errLost) {
		m.Log.WarnContext(ctx, "the lock of the migration ends by itself", slog.Any("error", err))
	}
}
