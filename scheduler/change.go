package scheduler

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// askAgain is how long a message waits in the queue for a stop or a hold of which nobody knows the end.
const askAgain = 5 * time.Minute

// Check asks the plan for one message at the moment of sending, r.Now, on the facts as they are then. Verdict send with a release
// that is not after r.Now means go; a later release means put it off until then, also where a pause, an open hold or a record that
// cannot be read has no known end; skip means that it ends, recorded with the reason. Channels that already failed for the message are left out. r.From and
// r.To are not looked at.
func (p *Planner) Check(f *care.Facts, rec *care.Record, r Request) *care.Occurrence {
	o := p.one(f, rec, r)
	if o != nil {
		if o.Verdict == care.Skip && !o.Over && waits(o.Reason) {
			// Nobody knows when the gate lifts, so it is asked again in a while, as long as the message is worth sending.
			o.Verdict, o.Release = care.Send, earliest(r.Now.Add(askAgain), o.Expires).In(o.Release.Location())
		}
		return o
	}
	o = occurrence(rec)
	o.Reason, o.Over = ended(f, p, rec.Vehicle, rec.On)
	switch {
	case o.Over:
	case !rec.Expires.After(r.Now):
		o.Reason, o.Over, o.Expired = expired, true, true
	default:
		o.Verdict, o.Release = care.Send, earliest(r.Now.Add(askAgain), rec.Expires)
	}
	return o
}

// occurrence is what a record knows of its occurrence, when the plan does not yield it.
func occurrence(rec *care.Record) *care.Occurrence {
	return &care.Occurrence{
		ID: rec.ID, Customer: rec.Customer, Dealer: rec.Dealer, Vehicle: rec.Vehicle, Program: rec.Program, Step: rec.Step, Cycle: rec.Cycle,
		On: rec.On, Class: rec.Class, Template: rec.Template, Scheduled: rec.Release, Release: rec.Release, Expires: rec.Expires,
		Channel: rec.Channel, Verdict: care.Skip,
	}
}

// ended says why the plan no longer yields an occurrence that is in the queue, and whether that is for good. A record that cannot
// be read, that has a defect where its dates stand, or whose dealer is not in the book, ends nothing: it may be mended before the
// message expires.
func ended(f *care.Facts, p *Planner, vehicle string, on care.Date) (reason string, forGood bool) {
	switch {
	case f.Overlay != nil && f.Overlay.Erased, f.Customer == nil && (f.Err == nil || errors.Is(f.Err, care.ErrGone)):
		return "erased", true
	case f.Customer == nil || f.Err != nil || p.dealerOf(f.Customer) == nil:
		return "defective_record", false
	}
	for i := range f.Customer.Vehicles {
		v := &f.Customer.Vehicles[i]
		if sold := SoldOn(f, v); v.ID == vehicle && !sold.IsZero() && (on.IsZero() || !on.Before(sold)) {
			return "sold", true
		}
	}
	for _, d := range f.Defects {
		if strings.HasPrefix(d.Path, "$.vehicles") || strings.HasPrefix(d.Path, "$.birthday") {
			return "defective_record", false
		}
	}
	return "serviced", true
}

// one returns the occurrence that a record is about as the plan has it now, nil if the plan does not yield it any more. The whole
// neighbourhood is planned, because caps and merging depend on it.
func (p *Planner) one(f *care.Facts, rec *care.Record, r Request) *care.Occurrence {
	prog := p.byName[rec.Program]
	if prog == nil {
		return nil
	}
	run := p.begin(f, r)
	if run == nil {
		return nil
	}
	defer run.end()
	run.focus = rec
	d, ok := run.locate(prog, rec.Vehicle, rec.Cycle)
	if !ok {
		return nil
	}
	step := slices.IndexFunc(prog.Steps, func(s care.Step) bool { return s.Step == rec.Step })
	if step < 0 {
		return nil
	}
	on := run.stepDate(prog, step, d)
	if !run.exists(prog, d, on) {
		return nil
	}
	scheduled, late := run.times(prog, step, d, on)
	if rec.Reopened && late.Before(rec.Expires) {
		late = rec.Expires
	}
	if !late.After(r.Now) {
		return run.expire(run.candidate(prog, step, d, on, scheduled, late))
	}
	// Whole hours, so that the window is the same for all messages that leave in this hour.
	run.request.From = r.Now.Truncate(time.Hour).Add(-p.longest)
	run.request.To = care.Later(r.Now, scheduled).Truncate(time.Hour).Add(25 * time.Hour)
	run.collect(p.windowFor(r.Now.Truncate(time.Hour), run.request.To))
	run.reopen(prog, step, d, on, late)
	kin := run.party(f, run.request)
	kin.decide()
	defer kin.end()
	for _, c := range run.candidates {
		if run.focused(c) {
			return c.occ
		}
	}
	return nil
}

// reopen lets the message that is asked for live as long as an operator said, where the plan has given it up.
func (r *run) reopen(p *program, step int, d due, on care.Date, late time.Time) {
	if !r.focus.Reopened {
		return
	}
	for _, c := range r.candidates {
		if r.focused(c) {
			c.occ.Expires = late
			return
		}
	}
	release, _ := r.times(p, step, d, on)
	r.candidates = append(r.candidates, r.candidate(p, step, d, on, release, late))
}

// expire ends a candidate that was too late. What was held back by a pause says so.
func (r *run) expire(c *candidate) *care.Occurrence {
	r.filter(c)
	c.occ.Verdict, c.occ.Reason, c.occ.Over, c.occ.Expired = care.Skip, expired, true, true
	if r.focus.Reason == care.ReasonPaused || c.emptied == &channelGates[0] {
		c.occ.Reason = care.ReasonPaused
	}
	r.finish(c)
	return c.occ
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Changes returns the difference between a customer's plan and what the ledger says is queued. The plan must be that of a sweep:
// everything from now minus LongestExpiry on. Messages in the queue that lie beyond the plan's window are asked for one by one.
// Applying the result and asking again gives an empty one.
func (p *Planner) Changes(f *care.Facts, occurrences []*care.Occurrence, r Request) care.Change {
	now := r.Now
	change := care.Change{Customer: f.ID}
	var seen map[string]bool
	for _, o := range occurrences {
		e, known := f.Ledger[o.ID]
		switch {
		case known && e.State.Pending():
			if seen == nil {
				seen = map[string]bool{}
			}
			seen[o.ID] = true
			compare(&change, o, e, now)
		case !known && o.Over && o.Reason == duplicateHousehold:
			change.Skip = append(change.Skip, o) // decided once: it is not asked again
		case !known && Queues(o) && !r.holds(o):
			change.Add = append(change.Add, o)
		}
	}
	var missing []string
	for id, e := range f.Ledger {
		if (e.State == care.StateDue || e.State == care.StateRetry) && !seen[id] {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	for _, id := range missing {
		e := f.Ledger[id]
		rec := &care.Record{ID: id, Vehicle: e.Vehicle, Program: e.Program, Step: e.Step, Cycle: e.Cycle, Reason: e.Reason}
		if o := p.one(f, rec, Request{Now: now, Operator: r.Operator}); o != nil {
			compare(&change, o, e, now)
		} else if reason, forGood := ended(f, p, e.Vehicle, e.On); forGood {
			change.Drop = append(change.Drop, care.Drop{ID: id, State: care.StateSkipped, Reason: reason})
		}
	}
	return change
}

// Queues reports whether an occurrence belongs in the queue. What is paused waits there like the rest, so that it is on record what became
// of it.
func Queues(o *care.Occurrence) bool {
	return o.Verdict == care.Send || o.Reason == care.ReasonPaused && o.Channel != "" && !o.Over
}

// holds reports whether the brake holds an occurrence, as a sweep knows it.
func (r *Request) holds(o *care.Occurrence) bool {
	return r.Held[o.ID] && !r.Operator.LetGo(o.Dealer, o.Program)
}

// compare adds what has to be done about one message in the queue. Only what is due or waits for a retry is touched: who has
// claimed a message asks again before sending it.
func compare(change *care.Change, o *care.Occurrence, e care.LedgerEntry, now time.Time) {
	if e.State != care.StateDue && e.State != care.StateRetry {
		return
	}
	switch {
	case o.Verdict == care.Send:
		// The ledger keeps whole seconds.
		bothDue := !e.At.After(now) && !o.Release.After(now)
		lifted := e.Reason == care.ReasonPaused && o.Reason != care.ReasonPaused
		if lifted || e.State == care.StateDue && (e.Channel != o.Channel || !e.At.Truncate(time.Second).Equal(o.Release.Truncate(time.Second)) && !bothDue) {
			change.Move = append(change.Move, o)
		}
	case o.Over || !waits(o.Reason):
		change.Drop = append(change.Drop, care.Drop{ID: o.ID, State: o.Ends(), Reason: o.Reason})
	}
}

// waits reports whether a gate of this reason puts messages off: then one in the queue stays there until it lifts or it expires.
func waits(reason string) bool {
	name, _, _ := strings.Cut(reason, ":")
	return slices.ContainsFunc(gates, func(g gate) bool { return g.name == name && g.effect == putOff })
}
