package scheduler

import (
	"cmp"
	"slices"

	"github.com/carebell/carebell/care"
)

// merging names what the program's dues go together with: its group, or else itself for several cars; "" for a program of neither.
func (p *program) merging() string {
	switch {
	case p.Merge != "":
		return "group " + p.Merge
	case p.vehicles:
		return p.Program.Program
	}
	return ""
}

// merge lets the dues of one group, or of one program for several cars, that leave within 72 hours go as one message, at the earliest of
// them, by the template of the highest priority (design A5.5). Only what may go by itself is merged: a message must not say what its own
// gates forbid.
func (r *run) merge() {
	var members []*candidate
	for _, c := range r.candidates {
		if c.program.merging() != "" && !c.done && !c.lost && c.occ.Verdict == care.Send && (r.focus == nil || r.carries(c) || slices.Contains(r.focus.Also, c.occ.Key())) {
			members = append(members, c)
		}
	}
	if len(members) < 2 {
		return
	}
	slices.SortFunc(members, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(a.program.merging(), b.program.merging()), a.planned.Compare(b.planned), byWeight(a.occ, b.occ))
	})
	for len(members) > 1 {
		first, n := members[0], 1
		for n < len(members) && members[n].program.merging() == first.program.merging() && members[n].planned.Sub(first.planned) <= grouped {
			n++
		}
		group := r.together(members[:n])
		if len(group) > 1 {
			r.combine(group)
		}
		members = slices.DeleteFunc(members, func(c *candidate) bool { return slices.Contains(group, c) })
	}
}

// together returns those of some dues that can go with the first of them, the first before all; itself alone, if no template says more
// than one due.
func (r *run) together(dues []*candidate) []*candidate {
	carrier := r.carrierOf(dues)
	alone := dues[:1:1]
	if len(dues) == 1 || carrier == nil || !r.tellsMore(carrier) {
		return alone
	}
	var group []*candidate
	for _, c := range dues {
		switch {
		case c != carrier && !slices.Contains(c.channels, carrier.occ.Channel): // it would not go that way
		case c.program.Merge == "" && slices.ContainsFunc(append(group, carrier), func(o *candidate) bool { return o != c && o.vehicle == c.vehicle }):
		default:
			group = append(group, c)
		}
	}
	if group[0] != dues[0] {
		return alone
	}
	return group
}

// carrierOf returns the due that the others go with: that of the highest priority, and of these one in the queue, else the first; nil if
// none can be.
func (r *run) carrierOf(dues []*candidate) (carrier *candidate) {
	for _, c := range dues {
		if r.carries(c) && (carrier == nil || cmp.Or(c.program.Priority-carrier.program.Priority, carrier.undecided()-c.undecided()) > 0) {
			carrier = c
		}
	}
	return carrier
}

// carries reports whether others may go with a message: not with one that was taken out of the queue to go with another. At the moment of
// sending they go with those in the queue alone: what goes with them was decided by the sweep, which knows who else has a car.
func (r *run) carries(c *candidate) bool {
	_, known := r.facts.Ledger[c.occ.ID]
	return r.focused(c) || c.queued() || r.focus == nil && !known
}

// tellsMore reports whether the text that a due would be written by tells what goes with it.
func (r *run) tellsMore(c *candidate) bool {
	return r.p.can.Also == nil || r.p.can.Also(r.dealer.Dealer.Dealer, c.occ.Template, c.occ.Channel, r.p.localesOf(r.customer, r.dealer))
}

// combine makes one message of a group, which is ordered by release.
func (r *run) combine(group []*candidate) {
	carrier, first := r.carrierOf(group), group[0]
	earliest := carrier.occ.Release
	for _, c := range group {
		if c.occ.Release.Before(earliest) {
			earliest = c.occ.Release
		}
	}
	if earliest.Before(carrier.occ.Release) {
		out := r.pass(carrier, earliest, "")
		if out.verdict != care.Send {
			return // it may not go that early: each goes by itself
		}
		r.apply(carrier, out)
	}
	if first.planned.Before(carrier.planned) {
		carrier.planned = first.planned
	}
	for _, c := range group {
		if c != carrier {
			c.merged = carrier
			c.occ.Verdict, c.occ.Reason, c.occ.Over = care.Skip, "merged", true
			carrier.occ.Subject.Also = append(carrier.occ.Subject.Also, c.occ)
		}
	}
}

// leave takes from a message that was put off what is stale by then.
func (r *run) leave(carrier *candidate) {
	if len(carrier.occ.Subject.Also) == 0 {
		return
	}
	carrier.occ.Subject.Also = slices.DeleteFunc(carrier.occ.Subject.Also, func(o *care.Occurrence) bool { return !carrier.occ.Release.Before(o.Expires) })
	for _, c := range r.candidates {
		if c.merged == carrier && !carrier.occ.Release.Before(c.occ.Expires) {
			c.merged = nil
			c.occ.Reason, c.occ.Over = "capped", false
		}
	}
}

// stranded decides what went with another message, as the ledger has it, when there is no such message any more.
func (r *run) stranded() {
	for _, c := range r.candidates {
		if c.merged == nil && !c.done && !r.focused(c) {
			if e, ok := r.facts.Ledger[c.occ.ID]; ok && r.riding(e) {
				r.recorded(c, e)
			}
		}
	}
}
