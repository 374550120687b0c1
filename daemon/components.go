package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// A component is a part of the daemon that runs. Start returns at once. Stop ends it and returns when it has ended, or when ctx has; the
// error says that it has not, or what it left undone. Stop may come before Start, which then does nothing, and more than once.
type component interface {
	Start(ctx context.Context)
	Stop(ctx context.Context) error
}

// A loop is a component that is one function. It runs until its context ends.
type loop struct {
	run func(ctx context.Context)

	mu      sync.Mutex
	stopped bool
	cancel  context.CancelCauseFunc
	done    chan struct{} // nil = it was not started
}

var errStopped = errors.New("the daemon is stopping")

func newLoop(run func(ctx context.Context)) *loop { return &loop{run: run} }

// Start runs the function until Stop is called or ctx ends.
func (l *loop) Start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.done != nil {
		return
	}
	ctx, l.cancel = context.WithCancelCause(ctx)
	l.done = make(chan struct{})
	go func() {
		defer close(l.done)
		l.run(ctx)
	}()
}

// Stop ends the function's context and waits for it.
func (l *loop) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopped = true
	cancel, done := l.cancel, l.done
	l.mu.Unlock()
	if done == nil {
		return nil
	}
	cancel(errStopped)
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it has not ended: %w", context.Cause(ctx))
	}
}

// startStop makes a component of what has its own way to start.
type startStop struct {
	start func()
	stop  func(ctx context.Context) error
}

// Start implements component.
func (s startStop) Start(context.Context) { s.start() }

// Stop implements component.
func (s startStop) Stop(ctx context.Context) error { return s.stop(ctx) }

// listening is a listener with its server.
type listening struct {
	*loop
	door   *door
	name   string
	server *http.Server
	on     net.Listener
}

// closeWithin is how long requests may go on that are being answered when a listener closes.
const closeWithin = 2 * time.Second

func (d *Daemon) newListening(name string, server *http.Server, on net.Listener) *listening {
	l := &listening{name: name, server: server, on: on}
	l.loop = newLoop(func(context.Context) {
		d.log.Info("listening", slog.String("listener", name), slog.String("address", on.Addr().String()))
		if err := server.Serve(on); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("the %s listener: %w", name, err)
		}
	})
	return l
}

// Stop closes the listener and lets requests end for a while.
func (l *listening) Stop(ctx context.Context) error {
	_ = l.on.Close() // the server closes it too, once it serves
	short, cancel := context.WithTimeoutCause(ctx, closeWithin, errStopped)
	defer cancel()
	if l.server.Shutdown(short) != nil {
		_ = l.server.Close()
	}
	return l.loop.Stop(ctx)
}

// later has something done at the end, before everything that was there before it.
func (d *Daemon) later(what string, do func(context.Context) error) {
	d.undo = append(d.undo, undo{what, do})
}

// run starts a component and has it stopped at the end.
func (d *Daemon) run(what string, c component) {
	c.Start(d.lifetime)
	d.later(what, c.Stop)
}

// loop runs a function until the daemon stops, which waits for it.
func (d *Daemon) loop(what string, run func(ctx context.Context)) { d.run(what, newLoop(run)) }

// unwind gives everything back that was acquired and started, the last first. Each waits for what it ends, until ctx ends.
func (d *Daemon) unwind(ctx context.Context) error {
	var errs []error
	for len(d.undo) > 0 {
		last := d.undo[len(d.undo)-1]
		d.undo = d.undo[:len(d.undo)-1]
		if err := last.do(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("%s: %w", last.what, err))
		}
	}
	return errors.Join(errs...)
}

// The shares of stopWithin that the sweep may take, and that is left for what ends after delivery.
const (
	sweepWithin = 3 * time.Second
	afterwards  = time.Second
)

var errStopLate = errors.New("the daemon's time for stopping is over")

// within bounds a component's Stop: to most (0 = no bound), and so that spare is left of ctx's time.
func within(c component, most, spare time.Duration) component {
	return startStop{start: func() { c.Start(context.Background()) }, stop: func(ctx context.Context) error {
		end, ok := ctx.Deadline()
		end = end.Add(-spare)
		if at := time.Now().Add(most); most > 0 && (!ok || at.Before(end)) {
			end, ok = at, true
		}
		if ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadlineCause(ctx, end, errStopLate)
			defer cancel()
		}
		return c.Stop(ctx)
	}}
}
