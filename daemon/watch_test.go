package daemon

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
)

// Who asks for the stops while Redis does not answer waits no longer than their own context allows, and all share one read.
func TestStopsAreReadOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int64
		s := newStops(func(ctx context.Context) (*care.Operator, error) {
			reads.Add(1)
			select {
			case <-time.After(10 * time.Second):
				return &care.Operator{All: true}, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}, func(context.Context, care.Channel, string) error { return nil }, nil)
		errMine := errors.New("mine")
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(i+1)*2*time.Second, errMine)
				defer cancel()
				began := time.Now()
				op, err := s.Operator(ctx)
				took := time.Since(began)
				switch {
				case i < 4 && (!errors.Is(err, errMine) || took != time.Duration(i+1)*2*time.Second):
					t.Errorf("with %d s: %v after %v", 2*(i+1), err, took)
				case i > 4 && (err != nil || !op.All || took != 10*time.Second):
					t.Errorf("with %d s: %v after %v", 2*(i+1), err, took)
				}
			})
		}
		all.Wait()
		if op, err := s.Operator(t.Context()); err != nil || !op.All && reads.Load() != 1 {
			t.Errorf("%v, %d reads", err, reads.Load())
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A channel that is paused while the stops are read is not forgotten for the older answer.
func TestAPauseIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var paused atomic.Bool
		var told, lifted atomic.Int64
		s := newStops(func(context.Context) (*care.Operator, error) {
			op := &care.Operator{Channels: map[care.Channel]bool{}}
			if paused.Load() {
				op.Channels[care.Email] = true
			}
			time.Sleep(time.Second)
			return op, nil
		}, func(context.Context, care.Channel, string) error { paused.Store(true); return nil }, func(_ context.Context, stopped, gone []string) {
			told.Add(int64(len(stopped)))
			lifted.Add(int64(len(gone)))
		})
		go func() { _, _ = s.Operator(t.Context()) }()
		time.Sleep(500 * time.Millisecond)
		if err := s.PauseChannel(t.Context(), care.Email, "535"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(600 * time.Millisecond) // the first answer has come
		if op, err := s.Operator(t.Context()); err != nil || !op.Channels[care.Email] {
			t.Errorf("%+v, %v: the channel is paused", op, err)
		}
		paused.Store(false)
		time.Sleep(2 * stopsFor)
		op, err := s.Operator(t.Context())
		synctest.Wait() // who reads answers first, and then says that a stop was lifted
		if err != nil || op.Channels[care.Email] || lifted.Load() != 1 || told.Load() != 1 {
			t.Errorf("%+v, %v, lifted %d times", op, err, lifted.Load())
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A read that hangs ends with Stop.
func TestStopsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStops(func(ctx context.Context) (*care.Operator, error) { <-ctx.Done(); return nil, context.Cause(ctx) }, nil, nil)
		failed := make(chan error, 1)
		go func() { _, err := s.Operator(t.Context()); failed <- err }()
		synctest.Wait()
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-failed; !errors.Is(err, errStopped) {
			t.Error(err)
		}
	})
}
