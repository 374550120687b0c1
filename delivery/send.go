package delivery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
)

// hand hands a begun message over, within its allowance, and submits what comes of it.
func (r *runner) hand(claiming context.Context, a *allowance, p *pool, j *job) {
	c := j.claim
	late := p.pace.passSoon(claiming)
	began := r.e.cfg.Machine()
	// A shutdown is no attempt, and what has waited for a worker or its turn for too long is looked at again: nothing went, and that is
	// known.
	if late != nil || claiming.Err() != nil || began.Sub(j.began) > stale {
		c.Record.Repeats = j.repeats
		rec := c.Record
		rec.State, rec.UpdatedAt = backInQueue(rec), r.e.cfg.Now()
		p.answered(j, 0)
		r.submit(&j.out, c, rec, rec.UpdatedAt)
		return
	}
	receipt, err := r.send(a.start(), j.message)
	a.end()
	now := r.e.cfg.Machine()
	took := now.Sub(began)
	kind := care.KindOf(err)
	r.e.cfg.Observer.Attempt(r.ch, p.name, kind, took)
	var pause time.Duration
	if e, ok := errors.AsType[*care.Error](err); ok {
		pause = e.RetryAfter
	}
	p.breaker.record(now, kind, pause)
	rec, next := settle(c.Record, try{
		receipt: receipt, err: err, at: r.e.cfg.Now(), took: took, policy: j.policy, next: j.next, unit: jitter(),
		stopped: a.parent.Err() != nil && kind == care.KindRetry,
	})
	r.logAttempt(&rec, kind, err)
	switch kind {
	case care.KindRecipient:
		if r.e.cfg.Hash != nil {
			j.out.result.Suppress = &care.Suppression{Channel: r.ch, Hash: r.e.cfg.Hash(j.message.To), Reason: string(kind), At: rec.UpdatedAt}
		}
	case care.KindOptedOut:
		j.out.result.Stop = string(r.ch)
	}
	p.answered(j, took)
	r.submit(&j.out, c, rec, next)
	if kind == care.KindOperator {
		r.pause(context.WithoutCancel(a.parent), err)
	}
}

// pause stops the channel until a person has acted.
func (r *runner) pause(ctx context.Context, why error) {
	code := ""
	if e, ok := errors.AsType[*care.Error](why); ok {
		code = e.Code
	}
	r.log.Error("the channel is paused: a person must act, then run carebell resume --channel "+string(r.ch), slog.String("code", code))
	if err := r.e.cfg.Operator.PauseChannel(ctx, r.ch, code); err != nil {
		r.log.Error("the channel could not be paused", slog.Any("error", err))
	}
}

// send guards against a sender that panics: one message must not take the process, and with it everybody else's, down.
func (r *runner) send(ctx context.Context, m *care.Message) (receipt care.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("a sender panicked", slog.String("message", m.ID), slog.String("program", m.Program))
			err = &care.Error{Kind: care.KindUncertain, Code: "panic"}
		}
	}()
	return r.sender.Send(ctx, m)
}

// crashed is the code of an attempt of which nothing is known because the process died.
const crashed = "crash_while_sending"

// mayHaveArrived reports whether any attempt ended without an answer. Then no other channel may be tried, and no end but a yes is
// certain.
func mayHaveArrived(rec *care.Record) bool {
	return slices.ContainsFunc(rec.Attempts, func(a care.Attempt) bool { return a.Kind == care.KindUncertain })
}

// afterUncertain reports whether the message may have arrived at its last attempt. What a person resolved to be sent again was
// counted as a repeat by the decision.
func afterUncertain(rec *care.Record) bool {
	n := len(rec.Attempts)
	return rec.Reason != "resolved" && n > 0 && rec.Attempts[n-1].Kind == care.KindUncertain
}

func (r *runner) logAttempt(rec *care.Record, kind care.Kind, err error) {
	level := slog.LevelDebug
	if kind != "" {
		level = slog.LevelInfo
	}
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("message", rec.ID), slog.String("customer", rec.Customer), slog.String("program", rec.Program),
		slog.String("state", string(rec.State)), slog.Int("attempt", len(rec.Attempts)),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	r.log.LogAttrs(context.Background(), level, "attempt", attrs...)
}

// end settles a message that is not handed over now and will not be. One that may have arrived before is never called failed, skipped
// or expired: nobody knows, and a receipt or a person will say.
func (r *runner) end(c *care.Claim, state care.State, reason string) {
	rec := c.Record
	if mayHaveArrived(&rec) {
		state = care.StateUncertain
	}
	rec.State, rec.Reason, rec.UpdatedAt = state, reason, r.e.cfg.Now()
	r.submit(&outcome{}, c, rec, time.Time{})
}

func (r *runner) putBack(c *care.Claim, next time.Time) {
	r.putBackWith(c, c.Record, next, c.Record.Reason)
}

// putBackWith gives a message back to be due again at next, as rec says. The claim's own record keeps its release and channel: they
// are part of where the message stands, for the store and for what is held here.
func (r *runner) putBackWith(c *care.Claim, rec care.Record, next time.Time, reason string) {
	rec.State, rec.Reason, rec.UpdatedAt = backInQueue(rec), reason, r.e.cfg.Now()
	r.submit(&outcome{}, c, rec, next)
}

// submit hands an outcome to the committer, with the event that goes with it.
func (r *runner) submit(out *outcome, c *care.Claim, rec care.Record, next time.Time) {
	out.result.Claim, out.result.Record, out.result.Next = c, rec, next
	if rec.State.Final() || rec.State == care.StateUncertain {
		out.result.Event = &care.EventEntry{
			At: rec.UpdatedAt, ID: rec.ID, Customer: rec.Customer, Dealer: rec.Dealer, Vehicle: rec.Vehicle, Program: rec.Program,
			Step: rec.Step, Channel: rec.Channel, State: rec.State, Reason: rec.Reason,
		}
	}
	r.e.settle.submit(out)
}
