package scheduler

import (
	"cmp"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
)

// judge gives a candidate the verdict that it has by itself; what depends on the customer's other messages comes after.
func (r *run) judge(c *candidate) {
	o, now := c.occ, r.request.Now
	entry, known := r.facts.Ledger[o.ID]
	r.filter(c)
	if known && !r.focused(c) {
		c.sending = entry.State == care.StateSending
		if !r.open(entry) {
			r.recorded(c, entry)
			return
		}
	}
	r.apply(c, r.pass(c, o.Scheduled, ""))
	c.planned = o.Release
	if o.Release.Before(now) && r.sweeping() {
		r.overdue(c)
	}
}

// sweeping reports whether the request looks back: then what is overdue goes now. A plan of the days to come, as known at their
// beginning, leaves what should have gone before to the days before.
func (r *run) sweeping() bool { return r.request.From.Before(r.request.Now) }

// overdue asks again as of now for a message whose time has come and gone. If it may go now it keeps its release, so that its place
// in the queue does not change with every sweep.
func (r *run) overdue(c *candidate) {
	o, now := c.occ, r.request.Now
	planned, reason, sent := o.Release, o.Reason, o.Verdict == care.Send
	out := r.pass(c, now, "")
	if out.at.Equal(now) || out.verdict == care.Skip {
		out.at = planned
		if out.verdict == care.Send && sent {
			out.reason = reason
		}
	}
	r.apply(c, out)
}

// open reports whether an occurrence with this ledger entry is still to be decided: it is in the queue, or it was taken out of the
// queue to go with a message that has not gone yet.
func (r *run) open(e care.LedgerEntry) bool {
	return e.State.Pending() || r.riding(e)
}

// riding reports whether the ledger says that an occurrence goes with another message, which is still to go or not named.
func (r *run) riding(e care.LedgerEntry) bool {
	if e.State != care.StateSkipped || e.Reason != "merged" {
		return false
	}
	return e.Merged == "" || r.facts.Ledger[e.Merged].State.Pending()
}

// recorded takes the verdict from the ledger.
func (r *run) recorded(c *candidate, e care.LedgerEntry) {
	o := c.occ
	c.done = true
	if e.Channel != "" {
		c.lead = e.Channel
		o.Channel, o.Channels = e.Channel, []care.Channel{e.Channel}
	}
	// It is shown where it was planned, so that a window shows it whether there is a ledger or not.
	if out := r.pass(c, o.Scheduled, ""); out.verdict == care.Send {
		o.Release = out.at
	} else if release, ok := r.quiet(c, o.Scheduled); ok && release.Before(o.Expires) {
		o.Release = release
	}
	if e.State.Counts() {
		o.Verdict = care.Send
		return
	}
	o.Verdict, o.Over, o.Reason = care.Skip, true, cmp.Or(e.Reason, string(e.State))
}

// outcome is what the gates say of a release.
type outcome struct {
	at      time.Time
	verdict care.Verdict
	reason  string
	over    bool
	answer  answer // of the gate that had the last word
}

// pass takes a release through quiet hours and gates, from one moment it is put off to to the next, until it may go or never
// will. The reason is that of what put it off before, if anything did.
func (r *run) pass(c *candidate, t time.Time, reason string) outcome {
	// A message that never goes is shown where it would have left: a moment at which it was still worth sending, so that every
	// window that is planned shows it once.
	first := t
	for turn := range 100 { // each is later than the one before; no record has as many holds that matter
		next, fits := r.quiet(c, t)
		if !fits || !next.Before(c.occ.Expires) {
			return outcome{at: first, verdict: care.Skip, reason: cmp.Or(reason, expired), over: reason == ""}
		}
		if t = next; turn == 0 {
			first = t
		}
		if r.mourning(c.program, t) {
			t = care.DateOf(t.In(r.location())).AddDays(1).At(0, 0, r.location())
			continue
		}
		g, a := r.ask(c, t)
		switch {
		case g == nil:
			return outcome{at: t, verdict: care.Send, reason: reason}
		case g.effect != putOff:
			return outcome{at: t, verdict: care.Skip, reason: a.reason, over: g.effect == over && !a.again, answer: a}
		case !a.until.After(t):
			return outcome{at: first, verdict: care.Skip, reason: a.reason, answer: a}
		}
		t, reason = a.until, a.reason
	}
	return outcome{at: first, verdict: care.Skip, reason: reason}
}

// apply writes an outcome into the occurrence.
func (r *run) apply(c *candidate, out outcome) {
	o := c.occ
	o.Release, o.Verdict, o.Reason, o.Over = out.at, out.verdict, out.reason, out.over
	o.Expired = out.over && out.reason == expired
	o.Channel, o.Channels, o.Held = "", nil, c.held
	switch {
	case len(c.channels) > 0:
		o.Channel, o.Channels = c.channels[0], c.channels
	case len(c.held) > 0:
		o.Channel = c.held[0]
	}
}

// served orders messages by who is served first: release, class, priority, program, vehicle, step (design A5.4). What is overdue
// leaves now, whenever it should have left: there the class comes first and then the release it had; but what is due in the queue was
// decided, and goes before what was not.
func (r *run) served(a, b *candidate) int {
	now := r.request.Now
	decided := 0
	if !a.occ.Release.After(now) && !b.occ.Release.After(now) {
		decided = a.undecided() - b.undecided()
	}
	return cmp.Or(
		care.Later(a.occ.Release, now).Compare(care.Later(b.occ.Release, now)), decided, cmp.Compare(a.occ.Class.Rank(), b.occ.Class.Rank()),
		a.planned.Compare(b.planned), byWeight(a.occ, b.occ),
	)
}

// undecided is 1 for a message that is not in the queue, so that it orders.
func (c *candidate) undecided() int {
	if c.queued() {
		return 0
	}
	return 1
}

// rank orders messages by release, class, priority, program, vehicle, step.
func rank(a, b *care.Occurrence) int {
	return cmp.Or(a.Release.Compare(b.Release), byWeight(a, b))
}

func byWeight(a, b *care.Occurrence) int {
	return cmp.Or(
		cmp.Compare(a.Class.Rank(), b.Class.Rank()), cmp.Compare(b.Priority, a.Priority),
		cmp.Compare(a.Program, b.Program), cmp.Compare(a.Vehicle, b.Vehicle), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Cycle, b.Cycle),
		cmp.Compare(a.Customer, b.Customer),
	)
}

// week is the span that a cap counts over.
const week = 168 * time.Hour

// divert lets a capped message go to a system, where caps do not apply, if the program has such a channel.
func (r *run) divert(c *candidate) bool {
	if !slices.Contains(c.channels, care.Webhook) {
		return false
	}
	c.channels, c.lead = []care.Channel{care.Webhook}, care.Webhook
	r.apply(c, r.pass(c, c.occ.Scheduled, ""))
	if c.occ.Release.Before(r.request.Now) && r.sweeping() {
		r.overdue(c)
	}
	return true
}

// finish puts the times on the recipient's clock and adds what was asked for.
func (r *run) finish(c *candidate) {
	o, loc := c.occ, r.location()
	o.Scheduled, o.Release, o.Expires = o.Scheduled.In(loc), o.Release.In(loc), o.Expires.In(loc)
	if v := o.Subject.Vehicle; v != nil {
		if f, ok := r.odometer(c.vehicle).Forecast(v, r.dealer.Dealer, care.DateOf(o.Release)); ok {
			o.Subject.Forecast = &f
		}
	}
	for _, other := range r.facts.Others {
		if c.occ.Channel.ToPerson() {
			o.Kin = append(o.Kin, other.ID)
		}
	}
	if r.request.Explain {
		r.explain(c)
	}
}

// explain asks every gate for its answer at the release, the one that decided or not.
func (r *run) explain(c *candidate) {
	o := c.occ
	for i := range gates {
		g := &gates[i]
		if k := slices.IndexFunc(channelGates, func(cg channelGate) bool { return cg.name == g.name }); k >= 0 {
			for _, ch := range r.order(c) {
				pass := channelGates[k].pass(r, c, ch)
				o.Gates = append(o.Gates, gateAnswer(g.name, ch, answer{stop: !pass}))
			}
			continue
		}
		a := g.answer(r, c, o.Release)
		if o.Reason == g.name && o.Verdict == care.Skip && !a.stop {
			a.stop = true // it stopped at another moment: the release it was put off to, or what the ledger remembers
		}
		o.Gates = append(o.Gates, gateAnswer(g.name, "", a))
	}
}

func gateAnswer(name string, ch care.Channel, a answer) care.GateAnswer {
	out := care.GateAnswer{Gate: name, Channel: ch, Pass: !a.stop, Detail: a.detail}
	if a.stop {
		out.Reason = cmp.Or(a.reason, name)
	}
	return out
}
