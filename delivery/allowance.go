package delivery

import (
	"context"
	"errors"
	"time"
)

// An allowance gives one attempt after another a context that ends with its parent, or when the attempt takes too long. A worker has one: a
// context and a timer of its own for each attempt would cost as much as signing it. One attempt is under way at a time.
type allowance struct {
	parent context.Context
	time   time.Duration
	now    func() time.Time
	ctx    context.Context // nil = the next attempt needs a new one
	timer  *time.Timer     // ends ctx
}

// attempt is the context of an attempt. It is never changed: who still holds an earlier one sees that one's deadline.
type attempt struct {
	context.Context
	deadline time.Time
}

// Deadline implements context.Context.
func (a *attempt) Deadline() (time.Time, bool) { return a.deadline, true }

// Err implements context.Context.
func (a *attempt) Err() error {
	err := a.Context.Err()
	if err != nil && errors.Is(context.Cause(a.Context), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// start returns the context of the next attempt.
func (a *allowance) start() context.Context {
	if a.ctx == nil {
		ctx, cancel := context.WithCancelCause(a.parent)
		a.ctx, a.timer = ctx, time.AfterFunc(a.time, func() { cancel(context.DeadlineExceeded) })
	} else {
		a.timer.Reset(a.time)
	}
	return &attempt{a.ctx, a.now().Add(a.time)}
}

// end says that the attempt is over.
func (a *allowance) end() {
	if !a.timer.Stop() {
		a.ctx = nil // the time is over, or will be in a moment
	}
}
