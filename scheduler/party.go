package scheduler

import (
	"cmp"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
)

// party is the customers who are planned together, because they share addresses or cars. The first is the one who is asked about.
type party []*run

// decide gives every candidate its verdict. Where the one of several who was to get a message for all, or the message that others were to
// go with, finds no room under a cap, the next one is asked.
func (all party) decide() {
	for round := 1; ; round++ {
		for _, r := range all {
			for _, c := range r.candidates {
				c.run = r
				r.judge(c)
			}
		}
		all.duplicates()
		for _, r := range all {
			r.rounds()
			r.merge()
			r.stranded()
		}
		all.limit()
		if round == 8 || !all.bar() {
			break
		}
	}
	for _, c := range all[0].candidates {
		all[0].finish(c)
	}
}

// bar keeps those from being served for others, and from carrying others, who found no room, and reports whether there are any: then all is
// decided anew.
func (all party) bar() bool {
	again := false
	for _, r := range all {
		for _, c := range r.candidates {
			if c.serves && c.capped && !c.barred {
				c.barred, again = true, true
			}
			if c.capped && !c.lost && len(c.occ.Subject.Also) > 0 {
				c.lost, again = true, true
			}
		}
	}
	if !again {
		return false
	}
	for _, r := range all {
		for _, c := range r.candidates {
			c.reset()
		}
	}
	return true
}

// reset makes a candidate as it was before it was judged.
func (c *candidate) reset() {
	o := c.occ
	o.Release, o.Verdict, o.Reason, o.Over, o.Expired, o.Subject.Also = o.Scheduled, "", "", false, false, nil
	*c = candidate{occ: o, program: c.program, step: c.step, vehicle: c.vehicle, due: c.due, barred: c.barred, lost: c.lost}
}

// once names what goes once per address: a calendar or event message, whoever it is for, and a message about one car.
type once struct {
	template, program, step, car, cycle string
	channel                             care.Channel
	address                             string
}

// duplicates leaves each message that goes once per address to one customer: who was served, else who is in the queue, else the first in
// time, else the lowest id. What day it is does not matter, and neither does how far a plan looks, so that the answer stays the same
// (design A5.3).
func (all party) duplicates() {
	if len(all) == 1 {
		return
	}
	firsts := map[once][]*candidate{}
	for _, r := range all {
		for _, c := range r.candidates {
			ch := c.occ.Channel
			if c.occ.Verdict != care.Send || !ch.ToPerson() || ch == "" || c.vehicle < 0 && !c.program.perHousehold() {
				continue
			}
			key := once{template: c.occ.Template, cycle: c.occ.Cycle, channel: ch}
			if c.vehicle >= 0 {
				key.program, key.step, key.car = c.occ.Program, c.occ.Step, CarOf(c.occ.Dealer, c.occ.Vehicle)
			}
			var ok bool
			if key.address, ok = r.address(ch); !ok {
				continue
			}
			if by := all.told(c, key); by != "" && !c.done {
				c.yield(by)
			} else {
				firsts[key] = append(firsts[key], c)
			}
		}
	}
	for _, list := range firsts {
		slices.SortFunc(list, func(a, b *candidate) int {
			return cmp.Or(a.standing()-b.standing(), a.occ.On.Compare(b.occ.On), cmp.Compare(a.occ.Customer, b.occ.Customer))
		})
		list[0].serves = len(list) > 1
		for _, c := range list[1:] {
			if !c.done {
				c.yield(list[0].occ.Customer)
			}
		}
	}
}

// yield leaves a message to another customer with the same address.
func (c *candidate) yield(to string) {
	c.sharer = to
	c.run.apply(c, outcome{at: c.occ.Release, verdict: care.Skip, reason: duplicateHousehold, over: true})
}

// told returns who had the message about a car already, by the ledgers: the date in another record may be months away.
func (all party) told(c *candidate, key once) string {
	if key.car == "" {
		return ""
	}
	for _, r := range all {
		if address, ok := r.address(key.channel); r == c.run || !ok || address != key.address {
			continue
		}
		for i := range r.customer.Vehicles {
			v := r.customer.Vehicles[i].ID
			if CarOf(r.dealer.Dealer.Dealer, v) != key.car {
				continue
			}
			e := r.facts.Ledger[care.OccurrenceID(r.customer.ID, v, key.program, key.step, key.cycle)]
			if e.Merged != "" {
				e = r.facts.Ledger[e.Merged]
			}
			if e.State.Counts() && e.Channel == key.channel {
				return r.customer.ID
			}
		}
	}
	return ""
}

const duplicateHousehold = "duplicate_household"

// standing orders who gets a message that goes once: who had it, who waits in the queue, the others, and last who has no room.
func (c *candidate) standing() int {
	switch _, known := c.run.facts.Ledger[c.occ.ID]; {
	case c.done || c.sending:
		return 0
	case c.barred:
		return 3
	case known:
		return 1
	}
	return 2
}

// sent is a message that counts against caps: of a customer, and of the address that it went to.
type sent struct {
	at       time.Time
	class    int // its rank
	customer string
	channel  care.Channel
	address  string
}

// counts reports whether it counts against another message's cap: it is of the same class or a higher one, and goes to the same customer,
// or to the same address. So a greeting takes no reminder's place.
func (s *sent) counts(c *candidate) bool {
	if s.class > c.occ.Class.Rank() {
		return false
	}
	return s.customer == c.occ.Customer || s.address != "" && s.channel == c.occ.Channel && s.address == c.address
}

// counted returns the messages that count already, but for the one that is asked about.
func (all party) counted() []sent {
	var out []sent
	for _, r := range all {
		for id, e := range r.facts.Ledger {
			if e.State.Counts() && e.Class != care.Safety && e.Channel.ToPerson() && (r.focus == nil || r.focus.ID != id) && r.p.capped(e.Program) {
				out = append(out, r.sent(e.At, e.Class, e.Channel, len(all) > 1))
			}
		}
	}
	return out
}

// capped reports whether a program's messages are under the caps; those of one that is gone were.
func (p *Planner) capped(name string) bool {
	prog := p.byName[name]
	return prog == nil || prog.Capped == nil || *prog.Capped
}

func (r *run) sent(at time.Time, class care.Class, ch care.Channel, shared bool) sent {
	s := sent{at: at, class: class.Rank(), customer: r.customer.ID, channel: ch}
	if !class.Known() {
		s.class = 0 // it is not known what it was
	}
	if shared {
		s.address, _ = r.address(ch)
	}
	return s
}

// limit serves the messages in their order of rank and puts off those that are too many (design A5.4).
func (all party) limit() {
	waiting := all.waiting()
	if len(waiting) == 0 {
		return
	}
	counted := all.counted()
	for _, c := range waiting {
		c.catchUp(counted)
	}
	slices.SortFunc(waiting, all[0].served)
	for len(waiting) > 0 {
		c := waiting[0]
		r := c.run
		waiting = waiting[1:]
		most, limited := capOf(r.customer.Grade, r.dealer.Dealer, r.prefs.MaxPerWeek)
		at := care.Later(c.occ.Release, r.request.Now)
		lifts, ok := at, true
		if limited {
			lifts, ok = room(counted, c, most.Limit, at)
		}
		if ok {
			counted = append(counted, r.sent(at, c.occ.Class, c.occ.Channel, len(all) > 1))
			continue
		}
		if r.divert(c) {
			continue
		}
		out := outcome{verdict: care.Skip, reason: "capped"}
		if most.Limit > 0 {
			out = r.pass(c, lifts, "capped")
		}
		if out.verdict == care.Skip {
			out.at, out.over = c.shown, out.over && out.reason != "capped"
			c.capped = out.reason == "capped"
			r.apply(c, out)
			continue
		}
		r.apply(c, out)
		r.leave(c)
		c.planned = out.at
		i, _ := slices.BinarySearchFunc(waiting, c, all[0].served)
		waiting = slices.Insert(waiting, i, c)
	}
}

// catchUp finds when a message that is overdue would have gone, had the sweep asked at each moment: what the cap put off gives way as it
// did then, whenever it is asked.
func (c *candidate) catchUp(counted []sent) {
	r := c.run
	most, limited := capOf(r.customer.Grade, r.dealer.Dealer, r.prefs.MaxPerWeek)
	for limited && most.Limit > 0 && c.planned.Before(r.request.Now) {
		lifts, ok := room(counted, c, most.Limit, c.planned)
		if ok {
			return
		}
		out := r.pass(c, lifts, "capped")
		if out.verdict != care.Send {
			return
		}
		c.planned = out.at
	}
}

// waiting returns the messages that caps are about; none if there is no cap.
func (all party) waiting() []*candidate {
	var out []*candidate
	limited := false
	for _, r := range all {
		_, capped := capOf(r.customer.Grade, r.dealer.Dealer, r.prefs.MaxPerWeek)
		limited = limited || capped
		out = append(out, all.competing(r.candidates)...)
	}
	if !limited {
		return nil
	}
	return out
}

// competing returns those of some messages that caps are about. At the moment of sending only what is in the queue competes: what is not
// was decided otherwise by the sweep, which knows more.
func (all party) competing(list []*candidate) []*candidate {
	var out []*candidate
	for _, c := range list {
		r, o := c.run, c.occ
		nothing := r.prefs.MaxPerWeek != nil && *r.prefs.MaxPerWeek == 0 // who wants none at all gets none of any program
		switch {
		case c.done || c.sending || o.Verdict != care.Send || o.Release.Before(r.request.From):
		case o.Class == care.Safety || !o.Channel.ToPerson() || !r.p.capped(o.Program) && !nothing:
		case all[0].focus != nil && !all[0].focused(c) && !c.queued():
		default:
			c.shown = o.Release
			if len(all) > 1 {
				c.address, _ = r.address(o.Channel)
			}
			out = append(out, c)
		}
	}
	return out
}

// queued reports whether a message is in the queue.
func (c *candidate) queued() bool {
	e, known := c.run.facts.Ledger[c.occ.ID]
	return known && e.State.Pending()
}

// room reports whether one more message fits at the moment t; if not, when it will.
func room(counted []sent, c *candidate, limit int, t time.Time) (lifts time.Time, ok bool) {
	var recent []time.Time
	for i := range counted {
		if at := counted[i].at; at.After(t.Add(-week)) && !at.After(t) && counted[i].counts(c) {
			recent = append(recent, at)
		}
	}
	if len(recent) < limit {
		return t, true
	}
	if limit == 0 {
		return time.Time{}, false
	}
	slices.SortFunc(recent, time.Time.Compare)
	return recent[len(recent)-limit].Add(week), false
}
