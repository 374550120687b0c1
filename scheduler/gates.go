package scheduler

import (
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler/calendar"
)

// effect is what a gate that stops a message means for it (design A5.3).
type effect int

const (
	over   effect = iota // it will never go: recorded as skipped
	putOff               // it waits until the gate lifts or it expires
	again                // asked again by each sweep until it expires
)

// answer is what a gate says. The zero value lets the message pass.
type answer struct {
	stop   bool
	reason string    // the gate's name, unless it says more
	detail string    // for explain
	until  time.Time // when a putOff lifts; zero = nobody knows
	again  bool      // it is not for good, although the gate's answers are
}

// expired is the reason of what is not worth sending any more.
const expired = "expired"

// repeated is the reason of what goes to nobody because the same step went a short while ago, in whatever round.
const repeated = "again_after"

func stopped() answer { return answer{stop: true} }

// gate is one question about an occurrence at the moment t of its release. One without ask is answered elsewhere, by name: it stops
// what it left no channel.
type gate struct {
	name   string
	effect effect
	ask    func(r *run, c *candidate, t time.Time) answer
}

func (g *gate) answer(r *run, c *candidate, t time.Time) answer {
	if g.ask == nil {
		return answer{stop: c.emptied != nil && c.emptied.name == g.name}
	}
	return g.ask(r, c, t)
}

// channelGate is one question about a channel of an occurrence; it does not depend on time.
type channelGate struct {
	name   string
	effect effect
	pass   func(r *run, c *candidate, ch care.Channel) bool
}

// The gates in their order. Those about channels stand among them by name: a message stops at the one that left it no channel.
var gates = []gate{
	{expired, over, func(_ *run, c *candidate, t time.Time) answer { return answer{stop: !t.Before(c.occ.Expires)} }},
	{"sold", over, nil},                // a vehicle that was sold yields no occurrence; see ended
	{"serviced", over, (*run).visited}, // nor does a cycle that a visit has ended
	{appointment, over, (*run).appointment},
	{"superseded", over, (*run).superseded},
	{repeated, over, (*run).repeated},
	{duplicateHousehold, over, func(_ *run, c *candidate, _ time.Time) answer { return answer{stop: c.sharer != "", detail: c.sharer} }},
	{"merged", over, func(_ *run, c *candidate, _ time.Time) answer { return answer{stop: c.merged != nil} }},
	{"erased", over, (*run).erased},
	{"hold", putOff, (*run).hold},
	{care.ReasonPaused, putOff, nil},
	{"brake", putOff, (*run).braked},
	{"capacity", putOff, (*run).capacity},
	{"capped", putOff, func(_ *run, c *candidate, _ time.Time) answer { return answer{stop: c.capped} }},
	{"not_in_audience", again, (*run).outside},
	{"topic_off", again, nil},
	{"no_consent", again, nil},
	{"opted_out", again, nil},
	{"suppressed_address", again, nil},
	{"no_channel", again, nil},
	{"defective_record", again, func(r *run, c *candidate, _ time.Time) answer {
		return answer{stop: r.closed && c.occ.Class != care.Safety}
	}},
}

var channelGates = []channelGate{
	{care.ReasonPaused, putOff, func(r *run, c *candidate, ch care.Channel) bool {
		return !r.request.Operator.Paused(c.occ.Dealer, c.occ.Program, ch)
	}},
	{"topic_off", again, func(r *run, c *candidate, _ care.Channel) bool { return !r.off(c) }},
	{"no_consent", again, func(r *run, c *candidate, ch care.Channel) bool {
		return ConsentOf(r.facts, r.dealer.Dealer, ch, c.occ.Class).Allowed
	}},
	{"opted_out", again, func(r *run, c *candidate, ch care.Channel) bool { return !r.optedOut(c, ch) }},
	{"suppressed_address", again, func(r *run, _ *candidate, ch care.Channel) bool { return !r.suppressed(ch) }},
	{"no_channel", again, (*run).reachable},
}

// braked stops what the brake holds: what was too much for its day is not in the queue. A sweep knows which messages these are; for
// others it is whatever would be in the queue by now, and is not.
func (r *run) braked(c *candidate, _ time.Time) answer {
	if r.request.Held != nil {
		return answer{stop: r.request.holds(c.occ)}
	}
	if !r.request.Operator.Braked(c.occ.Dealer, c.occ.Program) || c.occ.Scheduled.After(r.request.Now.Add(Horizon)) || r.focused(c) {
		return answer{}
	}
	_, known := r.facts.Ledger[c.occ.ID]
	return answer{stop: !known}
}

// ask puts the gates to a candidate at the moment t and returns the first that stops it, or nil.
func (r *run) ask(c *candidate, t time.Time) (*gate, answer) {
	for i := range gates {
		g := &gates[i]
		if g.ask == nil && c.emptied == nil {
			continue // as nearly always; an answer costs more than to see that there is none
		}
		if a := g.answer(r, c, t); a.stop {
			if g.name == care.ReasonPaused {
				if later, no := r.refuses(c, t); no.stop {
					g, a = later, no // it would not go without the pause, so it does not wait for its end
				}
			}
			if a.reason == "" {
				a.reason = g.name
			}
			return g, a
		}
	}
	return nil, answer{}
}

// refuses returns the first gate that stops a candidate whatever its channels, until something about the customer changes.
func (r *run) refuses(c *candidate, t time.Time) (*gate, answer) {
	for i := range gates {
		if g := &gates[i]; g.effect == again && g.ask != nil {
			if a := g.ask(r, c, t); a.stop {
				return g, a
			}
		}
	}
	return nil, answer{}
}

// filter finds the channels that a candidate may go by. A channel that is held back only for now wins over those that can never take
// the message: then it waits (design A5.3).
func (r *run) filter(c *candidate) {
	list := r.order(c)
	c.lead = care.Email
	if len(list) > 0 {
		c.lead = list[0]
	} else {
		c.emptied = &channelGates[len(channelGates)-1]
	}
	left, last, refused, open := list[:0:len(list)], -1, -1, false
	for _, ch := range list {
		switch now, never := r.stopping(c, ch, 0), r.stopping(c, ch, permanent); {
		case now == len(channelGates):
			left = append(left, ch)
		case now < permanent && never == len(channelGates):
			c.held = append(c.held, ch)
		default:
			last, open = max(last, never), open || now >= permanent
			if channelGates[never].name == "opted_out" {
				refused = never
			}
		}
	}
	c.channels = left
	if refused >= 0 && channelGates[last].name == "no_channel" {
		last = refused // a channel that there never was does not hide a no
	}
	switch {
	case len(left) > 0:
		c.lead = left[0]
	case len(c.held) > 0:
		c.lead, c.emptied = c.held[0], &channelGates[0]
	case last >= 0 && open:
		c.emptied = &channelGates[last] // the one that the last channel did not pass
	case last >= 0:
		c.emptied = &channelGates[0] // all wait, and what becomes of them is asked when they do not wait any more
	}
}

// permanent is the first of the channel gates that does not lift by itself.
const permanent = 1

// stopping returns the index of the first gate from one on that a channel does not pass, or their number.
func (r *run) stopping(c *candidate, ch care.Channel, from int) int {
	for i := from; i < len(channelGates); i++ {
		if !channelGates[i].pass(r, c, ch) {
			return i
		}
	}
	return len(channelGates)
}

// order returns the channels of the program, with the customer's own in the place of "preferred", each once; without those that
// already failed for the message that is about to be sent.
func (r *run) order(c *candidate) []care.Channel {
	p := c.program
	if r.focused(c) && r.focus.MayHaveArrived() {
		return []care.Channel{r.focus.Channel} // the customer may have it from there: no other channel tells it again
	}
	list := make([]care.Channel, 0, 4)
	add := func(channels []care.Channel) {
		for _, ch := range channels {
			if ch.Known() && !slices.Contains(list, ch) && !(r.focused(c) && slices.Contains(r.focus.Tried, ch)) {
				list = append(list, ch)
			}
		}
	}
	add(p.before)
	if p.prefer {
		add(r.prefs.Channels)
	}
	add(p.after)
	return list
}

func (r *run) focused(c *candidate) bool { return r.focus != nil && r.focus.ID == c.occ.ID }

// appointment stops a step that asks for it, and every reminder of a service, when the customer is coming anyway within 30 days
// after the release. A program without a vehicle looks at all of the customer's.
func (r *run) appointment(c *candidate, t time.Time) answer {
	p := c.program
	if p.Trigger.On != care.OnMaintenanceDue && !slices.Contains(p.Steps[c.step].Unless, appointment) {
		return answer{}
	}
	for i := range r.customer.Vehicles {
		if at := r.customer.Vehicles[i].AppointmentAt; (c.vehicle == i || c.vehicle < 0) && !at.Before(t) && !at.After(t.AddDate(0, 0, 30)) {
			return answer{stop: true, detail: at.In(r.location()).Format(time.RFC3339)}
		}
	}
	return answer{}
}

// visited stops a step that asks for it once a visit after the trigger's date was closed, or one on the day of an appointment. A program
// without a vehicle looks at all of the customer's.
func (r *run) visited(c *candidate, _ time.Time) answer {
	p := c.program
	if !slices.Contains(p.Steps[c.step].Unless, visit) {
		return answer{}
	}
	after := c.due.on
	if p.Trigger.On == care.OnAppointment && !p.Trigger.Missed {
		after = after.AddDays(-1)
	}
	for i := range r.customer.Vehicles {
		for j := range r.customer.Vehicles[i].Visits {
			if on := r.customer.Vehicles[i].Visits[j].ClosedOn; (c.vehicle == i || c.vehicle < 0) && on.After(after) {
				return answer{stop: true, detail: on.String()}
			}
		}
	}
	return answer{}
}

// superseded stops a step when a later one of the same round has been released by then and has not expired.
func (r *run) superseded(c *candidate, t time.Time) answer {
	p := c.program
	for j := range p.Steps {
		if j == c.step {
			continue
		}
		on := r.stepDate(p, j, c.due)
		if order := on.Compare(c.occ.On); order < 0 || order == 0 && j < c.step || !r.exists(p, c.due, on) {
			continue
		}
		scheduled, expires := r.times(p, j, c.due, on)
		if scheduled.After(t) || !expires.After(t) {
			continue
		}
		if release, ok := r.quiet(c, scheduled); ok && !release.After(t) {
			return answer{stop: true, detail: p.Steps[j].Step}
		}
	}
	return answer{}
}

// repeated stops a step that went to the same car or customer within the program's time: a date that was corrected is the same round.
func (r *run) repeated(c *candidate, t time.Time) answer {
	if c.program.again == 0 || len(r.facts.Ledger) == 0 {
		return answer{}
	}
	o, on := c.occ, care.DateOf(t.In(r.location()))
	for id, e := range r.facts.Ledger {
		if e.Step != o.Step || e.Program != o.Program || e.Vehicle != o.Vehicle || id == o.ID || !r.went(e) {
			continue
		}
		if days := on.Sub(care.DateOf(e.At.In(r.location()))); days < c.program.again && days > -c.program.again {
			return answer{stop: true, detail: e.Cycle}
		}
	}
	return answer{}
}

// went reports whether a message went or may have gone, by itself or with another.
func (r *run) went(e care.LedgerEntry) bool {
	return e.State.Counts() || e.Merged != "" && r.facts.Ledger[e.Merged].State.Counts()
}

// rounds leaves one of the messages of one step that would go to the same car or customer within the program's time: the first.
func (r *run) rounds() {
	if !slices.ContainsFunc(r.candidates, func(c *candidate) bool { return c.program.again > 0 }) {
		return
	}
	type step struct{ program, step, vehicle string }
	list := slices.SortedFunc(slices.Values(r.candidates), func(a, b *candidate) int { return rank(a.occ, b.occ) })
	last := map[step]care.Date{}
	for _, c := range list {
		o := c.occ
		if c.program.again == 0 || o.Verdict != care.Send {
			continue
		}
		key, on := step{o.Program, o.Step, o.Vehicle}, care.DateOf(o.Release.In(r.location()))
		before, known := last[key]
		if known && !c.done && on.Sub(before) < c.program.again {
			r.apply(c, outcome{at: o.Release, verdict: care.Skip, reason: repeated, over: true})
			continue
		}
		last[key] = on
	}
}

// hold stops everything but safety while an open complaint, an accident or mourning lasts; a death stops safety too.
func (r *run) hold(c *candidate, t time.Time) answer {
	if len(r.customer.Holds) == 0 && r.facts.Overlay == nil {
		return answer{}
	}
	on := care.DateOf(t.In(r.location()))
	var own []care.Hold
	if r.facts.Overlay != nil {
		own = r.facts.Overlay.Holds
	}
	var last *care.Hold // of those in force the one that ends last, so that their order says nothing
	for _, list := range [2][]care.Hold{own, r.customer.Holds} {
		for i := range list {
			h := &list[i]
			if h.Covers(on) && (c.occ.Class != care.Safety || h.Reason == care.Deceased) && (last == nil || outlasts(h, last)) {
				last = h
			}
		}
	}
	if last == nil {
		return answer{}
	}
	a := answer{stop: true, reason: "hold:" + last.Reason}
	if !last.Until.IsZero() {
		a.until = last.Until.AddDays(1).At(0, 0, r.location())
		a.detail = "until " + last.Until.String()
	}
	return a
}

// outlasts reports whether a hold ends later than another; an open one ends last of all.
func outlasts(a, b *care.Hold) bool {
	if a.Until == b.Until {
		return a.Reason < b.Reason
	}
	return a.Until.IsZero() || !b.Until.IsZero() && a.Until.After(b.Until)
}

// outside asks the program's and the event's audience, as of the release before anything put it off: waiting makes nobody older. A
// customer who declined an invitation is no longer in it.
func (r *run) outside(c *candidate, _ time.Time) answer {
	t := c.occ.Scheduled
	p := c.program
	if e := c.due.event; e != nil {
		if r.rsvp(e.Event.Event) == "no" {
			return answer{stop: true, detail: "declined the invitation"}
		}
		if e.audience != nil {
			if in, failure := r.fits(c, e.audience, t); !in {
				return answer{stop: true, detail: describe(e.Audience, failure)}
			}
		}
	}
	if p.audience == nil {
		return answer{}
	}
	in, failure := r.fits(c, p.audience, t)
	return answer{stop: !in, detail: describe(p.Audience, failure)}
}

// off reports whether the customer switched the program, its topic or its class off. A safety notice ends only where the customer
// refused safety notices by that name: someone who is tired of newsletters must still hear of a recall.
func (r *run) off(c *candidate) bool {
	return slices.ContainsFunc(r.prefs.Off, func(name string) bool {
		return name == string(c.occ.Class) || c.occ.Class != care.Safety && (name == c.occ.Topic || name == c.occ.Program)
	})
}

// erased stops what is for an erased customer, for good; and what is for a record that came with an erased customer's address, until an
// operator allows it.
func (r *run) erased(*candidate, time.Time) answer {
	if r.facts.Overlay != nil && r.facts.Overlay.Erased {
		return stopped()
	}
	return answer{stop: r.facts.AddressErased, again: true}
}

// optedOut asks the overlay's stops. Safety is stopped by a stop of everything, of the channel or of safety itself, not by one of
// a topic or program.
func (r *run) optedOut(c *candidate, ch care.Channel) bool {
	switch o := c.occ; {
	case ch == care.Webhook:
		return false
	case o.Class == care.Safety:
		return r.facts.Overlay.Stopped(ch, o.Class, "", "")
	default:
		return r.facts.Overlay.Stopped(ch, o.Class, o.Topic, o.Program)
	}
}

// suppressed reports whether the address is known to be dead.
func (r *run) suppressed(ch care.Channel) bool {
	if r.facts.Overlay == nil || len(r.facts.Overlay.Suppressed) == 0 || !ch.ToPerson() || r.p.can.HashAddress == nil {
		return false
	}
	address, ok := r.address(ch)
	if !ok {
		return false
	}
	hash := r.p.can.HashAddress(address)
	return slices.ContainsFunc(r.facts.Overlay.Suppressed, func(s care.Suppression) bool { return s.Channel == ch && s.Hash == hash })
}

// reachable reports whether there are an address, a text and a gateway for the channel.
func (r *run) reachable(c *candidate, ch care.Channel) bool {
	address, ok := r.address(ch)
	if !ok {
		return false
	}
	can := &r.p.can
	if can.Template != nil && !can.Template(c.occ.Template, ch, r.p.localesOf(r.customer, r.dealer)) {
		return false
	}
	return can.Gateway == nil || can.Gateway(ch, r.dealer.Dealer, address)
}

// address returns where the customer is reached on a channel.
func (r *run) address(ch care.Channel) (string, bool) {
	if !ch.ToPerson() {
		return "", true // the endpoint is the dealer's or the channel's own: the gateway knows
	}
	to, own := &r.reached[0], r.customer.Email
	if ch == care.SMS {
		to, own = &r.reached[1], r.customer.Phone
	}
	switch {
	case to.known:
	case r.p.can.Address != nil:
		to.address, to.ok = r.p.can.Address(ch, r.customer, r.dealer.Dealer)
	default:
		to.address, to.ok = own, own != ""
	}
	to.known = true
	return to.address, to.ok
}

// mourning reports whether a greeting would fall on a day for the dead.
func (r *run) mourning(p *program, t time.Time) bool {
	return p.Greeting && r.chinese() && calendar.ForTheDead(care.DateOf(t.In(r.location())))
}
