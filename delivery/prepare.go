package delivery

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
)

// prepare reads the customers afresh, asks the gates again and renders. What does not go has its outcome here.
func (r *runner) prepare(ctx context.Context, claims []*care.Claim, op *care.Operator) []*job {
	ids := make([]string, 0, len(claims))
	index := make(map[string]int, len(claims))
	for _, c := range claims {
		for _, id := range append([]string{c.Record.Customer}, c.Record.Kin...) {
			if _, ok := index[id]; !ok {
				index[id] = len(ids)
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	facts, err := r.e.cfg.Customers.Facts(ctx, ids)
	if err != nil || len(facts) != len(ids) {
		if ctx.Err() == nil {
			r.log.Warn("customers could not be read", slog.Any("error", err), slog.Int("messages", len(claims)))
		}
		for _, c := range claims {
			r.deferTo(c, r.e.cfg.Now())
		}
		return nil
	}
	book := r.e.cfg.Book()
	jobs := make([]*job, 0, len(claims))
	for _, c := range claims {
		f := facts[index[c.Record.Customer]]
		f.Others = nil
		for _, id := range c.Record.Kin {
			f.Others = append(f.Others, facts[index[id]])
		}
		if j := r.prepareOne(book, f, c, op); j != nil {
			jobs = append(jobs, j)
			// The next message of this customer in the batch is gated as if this one had gone.
			if f.Ledger == nil {
				f.Ledger = care.Ledger{}
			}
			entry := f.Ledger[c.Record.ID]
			entry.State, entry.At, entry.Class, entry.Channel = care.StateSending, r.e.cfg.Now(), c.Record.Class, r.ch
			f.Ledger[c.Record.ID] = entry
		}
	}
	return jobs
}

func (r *runner) prepareOne(book Book, f *care.Facts, c *care.Claim, op *care.Operator) *job {
	now := r.e.cfg.Now()
	if e, known := f.Ledger[c.Record.ID]; known && !e.State.Pending() && !e.Damaged() {
		// Somebody deleted or changed keys by hand. What the ledger knows as over does not go again.
		r.log.Error("a message that is over stood in the queue; it is taken off", slog.String("message", c.Record.ID), slog.String("state", string(e.State)))
		r.submit(&outcome{result: care.Result{Claim: c, Record: c.Record, Leftover: true}})
		return nil
	}
	policy := UncertainPolicy(book.Program(c.Record.Program), r.ch)
	if c.Was == care.StateUncertain {
		// The attempt that the crash cut off goes on record first: whatever comes of this claim, it is known that it may have arrived.
		c.Record.Attempts = append(slices.Clone(c.Record.Attempts), care.Attempt{
			N: len(c.Record.Attempts) + 1, At: c.Record.UpdatedAt, Channel: c.Record.Channel, Kind: care.KindUncertain, Code: crashed,
		})
		c.Was = care.StateClaimed
		if policy == Hold {
			r.end(c, care.StateUncertain, crashed)
			return nil
		}
	}
	if c.Record.Crashes >= maxCrashes {
		r.end(c, care.StateFailed, "crashes")
		r.log.Error("a message was there at three crashes and is set aside", slog.String("message", c.Record.ID), slog.String("program", c.Record.Program))
		return nil
	}
	occ, err := r.check(book, f, c, now, op)
	switch {
	case err != nil:
		r.end(c, care.StateFailed, panicked)
		return nil
	case occ == nil:
		r.end(c, care.StateSkipped, "serviced")
		return nil
	case occ.Verdict == care.Skip:
		r.end(c, occ.Ends(), occ.Reason)
		return nil
	case occ.Release.After(now):
		held := c.Record
		held.Ready = occ.Release
		r.deferAs(c, held, occ.Release, occ.Reason)
		return nil
	case len(occ.Channels) > 0 && !slices.Contains(occ.Channels, r.ch):
		// The customer's wishes changed, or this channel is held back: the message moves to the lane of the channel it may go by now.
		moved := c.Record
		moved.Channel = occ.Channel
		r.deferAs(c, moved, now, "")
		return nil
	}
	message, err := r.compose(book, f, c, occ, now)
	if err != nil {
		return nil
	}
	c.Record.Locale, c.Record.Template = message.Locale, message.Template
	c.Record.Also = c.Record.Also[:0:0]
	for _, also := range occ.Subject.Also {
		c.Record.Also = append(c.Record.Also, also.Key())
	}
	if c.Record.Reason == care.ReasonPaused || c.Record.Reason == ReasonWarmup {
		c.Record.Reason = "" // nothing holds it back any more
	}
	next := make([]care.Channel, 0, 2)
	for _, ch := range append(slices.Clone(occ.Channels), occ.Held...) { // what is held back for now is waited for when all else has failed
		if ch != r.ch && !slices.Contains(c.Record.Tried, ch) && r.e.cfg.Senders[ch] != nil {
			next = append(next, ch)
		}
	}
	return &job{claim: c, occ: occ, message: message, policy: policy, next: next, prepared: r.e.cfg.Machine()}
}

// compose renders; what cannot be rendered is set aside: never a message with a hole.
func (r *runner) compose(book Book, f *care.Facts, c *care.Claim, occ *care.Occurrence, now time.Time) (*care.Message, error) {
	m, err := r.render(book, f, c, occ, now)
	if err == nil {
		m.Attempt, m.At, m.Expires = len(c.Record.Attempts)+1, now, c.Record.Expires
		return m, nil
	}
	code := "render"
	if e, ok := errors.AsType[*care.Error](err); ok && e.Code != "" {
		code = e.Code
	}
	r.log.Error("a message could not be rendered and is set aside", slog.String("message", c.Record.ID),
		slog.String("customer", c.Record.Customer), slog.String("program", c.Record.Program), slog.String("template", occ.Template), slog.Any("error", err))
	r.end(c, care.StateFailed, code)
	return nil, err
}

// panicked is the code of a message whose check or rendering panicked. It is set aside at once, as one is that was there at three crashes:
// it must not take the process, and with it everybody else's messages, down.
const panicked = "panic"

// check asks the plan.
func (r *runner) check(book Book, f *care.Facts, c *care.Claim, now time.Time, op *care.Operator) (occ *care.Occurrence, err error) {
	defer r.recovered(c, &err)
	return book.Check(f, &c.Record, now, op), nil
}

// render asks the templates.
func (r *runner) render(book Book, f *care.Facts, c *care.Claim, occ *care.Occurrence, now time.Time) (m *care.Message, err error) {
	defer r.recovered(c, &err)
	return book.Compose(f, occ, r.ch, now)
}

// recovered turns a panic into an error.
func (r *runner) recovered(c *care.Claim, err *error) {
	if p := recover(); p != nil {
		r.log.Error("preparing a message panicked; it is set aside", slog.String("message", c.Record.ID), slog.String("customer", c.Record.Customer),
			slog.String("program", c.Record.Program), slog.String("stack", string(debug.Stack())))
		*err = &care.Error{Kind: care.KindContent, Code: panicked}
	}
}
