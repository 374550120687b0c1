package delivery

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
)

// send sends a begun message, within its time, and submits what comes of it. done is closed when that is recorded; nil = nobody waits.
// It reports whether the sender's place is another's by then.
func (r *runner) send(claiming, sending context.Context, p *pool, j *job, done chan struct{}) (replaced bool) {
	noTurn := p.limiter.passSoon(claiming)
	began := r.e.cfg.Machine()
	// A shutdown is no attempt, and what has waited for a sender or its turn for too long is looked at again: nothing went, and that is
	// known.
	if noTurn != nil || claiming.Err() != nil || began.Sub(j.began) > stale {
		p.unsent(j, done)
		return false
	}
	ctx, cancel := context.WithTimeoutCause(sending, r.timeout, errAttempt)
	patience := time.AfterFunc(slow, func() {
		if done == nil { // else it is sent alone, by no sender
			p.setApart(claiming, sending, j)
		}
	})
	receipt, err := r.try(ctx, j.message)
	patience.Stop()
	cancel()
	took := r.e.cfg.Machine().Sub(began)
	kind := care.KindOf(err)
	r.e.cfg.Observer.Attempt(r.ch, p.name, kind, took)
	if receipt.Gateway == "" && r.ch == care.SMS {
		receipt.Gateway = j.message.Gateway // whose receipts are believed
	}
	var failure care.Error
	if e, ok := errors.AsType[*care.Error](err); ok {
		failure = *e
	}
	if failure.Gateway {
		p.breaker.rest(r.e.cfg.Machine(), failure.RetryAfter)
	}
	if open, changed := p.breaker.record(r.e.cfg.Machine(), kind, failure.RetryAfter); changed && open {
		r.log.Warn("the gateway is in trouble: its messages wait, and a few try it", slog.String("gateway", p.name), slog.Any("error", err))
	} else if changed {
		r.log.Warn("the gateway is out of trouble", slog.String("gateway", p.name))
	}
	rec, next := after(j.claim.Record, attempt{
		receipt: receipt, err: err, at: r.e.cfg.Now(), took: took, policy: j.policy, next: j.next, unit: jitter(),
		stopped: sending.Err() != nil && kind == care.KindRetry,
	})
	r.logAttempt(&rec, p.name, kind, err)
	out := &outcome{result: care.Result{Claim: j.claim, Record: rec, Next: next}, pool: p, done: done}
	if r.e.cfg.Hash != nil && (kind == care.KindRecipient || kind == care.KindOptedOut) {
		out.result.Address = r.e.cfg.Hash(j.message.To)
	}
	switch kind {
	case care.KindRecipient:
		if r.e.cfg.Hash != nil {
			out.result.Suppress = &care.Suppression{Channel: r.ch, Hash: out.result.Address, Reason: string(kind), At: rec.UpdatedAt}
		}
	case care.KindOptedOut:
		out.result.Stop = string(r.ch)
	}
	doubted := r.guard(p, j, kind, &failure, out)
	if replaced = p.answered(j, took); replaced {
		out.pool = nil // its permit is given back
	}
	r.submit(out)
	switch {
	case kind == care.KindOperator:
		r.pause(context.WithoutCancel(sending), err)
	case doubted:
		failure.Kind, failure.Err = care.KindOperator, errAlike
		r.pause(context.WithoutCancel(sending), &failure)
	}
	return replaced
}

var errAlike = errors.New("the gateway refused ten different recipients in a row with the same code, and took none between: that may be about us")

// guard has a permanent refusal wait until it is known whether it is about the message alone.
func (r *runner) guard(p *pool, j *job, kind care.Kind, failure *care.Error, out *outcome) (doubted bool) {
	switch kind {
	case "":
		p.guard.accepted()
	case care.KindOperator:
		p.guard.forget()
	case care.KindRecipient, care.KindContent:
		if !failure.Local {
			out.result, doubted = p.guard.refused(r.e.cfg.Now(), failure.Code, j.message.To, out.result)
		}
	}
	return doubted
}

// refused deals with a claimed message that its gateway refused before: false = it is to be sent.
func (r *runner) refused(c *care.Claim) bool {
	if c.Record.Reason != Refused {
		return false
	}
	for _, p := range r.pools {
		end, waits := p.guard.look(r.e.cfg.Now(), c.Record.ID)
		switch {
		case waits:
			r.deferTo(c, r.e.cfg.Now().Add(guardLook))
			return true
		case end != nil:
			end.Claim, end.Record.UpdatedAt = c, r.e.cfg.Now()
			r.submit(&outcome{result: *end})
			return true
		}
	}
	return false
}

// pause stops the channel until a person has acted. What is in flight meanwhile is refused too: that is counted, and told at the end.
func (r *runner) pause(ctx context.Context, why error) {
	code := ""
	if e, ok := errors.AsType[*care.Error](why); ok {
		code = e.Code
	}
	if r.pauses.Add(1) == 1 {
		r.log.Error("the channel is paused: a person must act, then run carebell resume --channel "+string(r.ch), slog.String("code", code), slog.Any("error", why))
	}
	defer r.known.Add(1)
	if err := r.e.cfg.Operator.PauseChannel(ctx, r.ch, code); err != nil {
		r.log.Error("the channel could not be paused", slog.Any("error", err))
	}
}

// try guards against a sender that panics: one message must not take the process, and with it everybody else's, down.
func (r *runner) try(ctx context.Context, m *care.Message) (receipt care.Receipt, err error) {
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

// afterUncertain reports whether the message may have arrived at its last attempt. What a person resolved to be sent again was
// counted as a repeat by the decision.
func afterUncertain(rec *care.Record) bool {
	n := len(rec.Attempts)
	return rec.Reason != "resolved" && n > 0 && rec.Attempts[n-1].Kind == care.KindUncertain
}

func (r *runner) logAttempt(rec *care.Record, gateway string, kind care.Kind, err error) {
	level := slog.LevelDebug
	if kind != "" {
		level = slog.LevelInfo
	}
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("message", rec.ID), slog.String("gateway", gateway), slog.String("customer", rec.Customer), slog.String("program", rec.Program),
		slog.String("state", string(rec.State)), slog.Int("attempt", len(rec.Attempts)),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	r.log.LogAttrs(context.Background(), level, "attempt", attrs...)
}

// end completes a message that is not sent now and will not be. One that may have arrived before is never called failed, skipped
// or expired: nobody knows, and a receipt or a person will say.
func (r *runner) end(c *care.Claim, state care.State, reason string) {
	rec := c.Record
	if rec.MayHaveArrived() {
		state = care.StateUncertain
	}
	rec.State, rec.Reason, rec.UpdatedAt = state, reason, r.e.cfg.Now()
	r.submit(&outcome{result: care.Result{Claim: c, Record: rec}})
}

// deferTo has a message due again at next: that is no attempt.
func (r *runner) deferTo(c *care.Claim, next time.Time) {
	r.deferAs(c, c.Record, next, c.Record.Reason)
}

// deferAs has a message due again at next, as rec says. The claim's own record keeps its release and channel: they
// are part of where the message stands, for the store and for the leases.
func (r *runner) deferAs(c *care.Claim, rec care.Record, next time.Time, reason string) {
	rec.State, rec.Reason, rec.UpdatedAt = backInQueue(rec), reason, r.e.cfg.Now()
	r.submit(&outcome{result: care.Result{Claim: c, Record: rec, Next: next}})
}

// submit has an outcome recorded, and then the event published that goes with it.
func (r *runner) submit(out *outcome) {
	rec := &out.result.Record
	if !out.result.Leftover && (rec.State.Final() || rec.State == care.StateUncertain) {
		out.result.Event = rec.Event()
	}
	r.e.completes.submit(out)
}
