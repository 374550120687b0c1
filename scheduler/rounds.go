package scheduler

import (
	"cmp"
	"slices"

	"github.com/carebell/carebell/care"
)

// Round is one round of a program's trigger for a customer, whether or not any of its steps is due: what explain shows of programs
// that sent nothing.
type Round struct {
	Program string
	Vehicle string // "" for customer triggers
	Cycle   string
	On      care.Date // the trigger's date
	Steps   []RoundStep
}

// RoundStep is a step of a round.
type RoundStep struct {
	Step string
	On   care.Date
	Void bool // the vehicle is sold by then, or the program does not run: there is no occurrence
}

// Rounds returns every round of every program whose trigger's date lies in [from, to], ordered by date, program, vehicle and cycle.
// It is nil for a customer who is not planned at all.
func (p *Planner) Rounds(f *care.Facts, from, to care.Date) []Round {
	run := p.begin(f, Request{})
	if run == nil {
		return nil
	}
	defer run.end()
	var out []Round
	run.rounds = &out
	for _, prog := range p.programs {
		s := span{lo: from, hi: to}
		if prog.Trigger.On == care.OnCalendar {
			s.calendar(prog)
		}
		run.triggers(prog, &s)
	}
	slices.SortFunc(out, func(a, b Round) int {
		return cmp.Or(a.On.Compare(b.On), cmp.Compare(a.Program, b.Program), cmp.Compare(a.Vehicle, b.Vehicle), cmp.Compare(a.Cycle, b.Cycle))
	})
	return out
}

func (r *run) round(p *program, d due) Round {
	out := Round{Program: p.Program.Program, Cycle: d.cycle.String(), On: d.on}
	if d.vehicle >= 0 {
		out.Vehicle = r.customer.Vehicles[d.vehicle].ID
	}
	for i := range p.Steps {
		on := p.Steps[i].Offset.From(d.on)
		out.Steps = append(out.Steps, RoundStep{Step: p.Steps[i].Step, On: on, Void: !r.exists(p, d, on)})
	}
	return out
}
