package daemon

import (
	"cmp"
	"context"
	"io/fs"
	"runtime"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// PlanOptions say what to plan.
type PlanOptions struct {
	From, To Moment
	Now      time.Time // what is known; zero = From
	File     string    // customer records, one JSON document per line; "" = Redis, "-" = standard input
	Book     string
	Defect   func(customer, path, message string) // told what is wrong with a record; may be nil
}

// PlanLine is one line of `plan --format jsonl` (design A7).
type PlanLine struct {
	Customer string       `json:"customer"`
	Vehicle  string       `json:"vehicle"`
	Program  string       `json:"program"`
	Step     string       `json:"step"`
	Cycle    string       `json:"cycle"`
	On       care.Date    `json:"on"`
	Release  time.Time    `json:"release"`
	Channel  care.Channel `json:"channel"`
	Verdict  care.Verdict `json:"verdict"`
	Reason   string       `json:"reason"`
	ID       string       `json:"id"`
	Dealer   string       `json:"dealer,omitempty"`
	Class    care.Class   `json:"class,omitempty"`
	Expires  time.Time    `json:"expires,omitzero"`
}

func planLine(o *care.Occurrence) PlanLine {
	return PlanLine{
		Customer: o.Customer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle, On: o.On, Release: o.Release,
		Channel: o.Channel, Verdict: o.Verdict, Reason: o.Reason, ID: o.ID, Dealer: o.Dealer, Class: o.Class, Expires: o.Expires,
	}
}

// Plan hands every occurrence whose release lies in the span to each, ordered by release, customer, program, vehicle, step. From a file it needs
// no Redis; what was sent before is then not known.
func (e *Env) Plan(ctx context.Context, opt PlanOptions, each func(PlanLine) error) error {
	s, closeSource, err := e.newSurvey(ctx, opt, nil)
	if err != nil {
		return err
	}
	defer closeSource()
	occurrences, err := s.all(ctx, opt.Defect)
	if err != nil {
		return err
	}
	for _, o := range occurrences {
		if err := each(planLine(o)); err != nil {
			return err
		}
	}
	return nil
}

// PlanStore plans every customer of an open store by the book in files, as Plan does.
// What was released before opt.From and has not expired at opt.Now is part of it: a daemon that starts at opt.Now sends that first.
func (e *Env) PlanStore(ctx context.Context, st *store.Store, files fs.FS, opt PlanOptions) ([]*care.Occurrence, error) {
	book := e.bookOptions("")
	book.Files = files
	checked, problems, err := carebook.Check(book)
	if err != nil {
		return nil, carebook.FirstFault(problems, err)
	}
	opt.From.Time = opt.From.Time.Add(-checked.Planner.LongestExpiry())
	s := &survey{
		checked: checked, feed: storeFeed(st), store: st, span: opt, workers: runtime.GOMAXPROCS(0), progress: func(string, int64, int64) {},
	}
	return s.all(ctx, nil)
}

// flaw is something wrong with a record, to be told after the plan.
type flaw struct{ customer, path, message string }

// all returns the plans of all customers in one order, and tells what is wrong with records, in the order of ids and paths.
func (s *survey) all(ctx context.Context, defect func(customer, path, message string)) ([]*care.Occurrence, error) {
	plans, flaws := make([][]*care.Occurrence, s.workers), make([][]flaw, s.workers)
	err := s.plan(ctx, func(worker int, f *care.Facts, plan []*care.Occurrence) {
		for _, o := range plan {
			o.Subject = care.Subject{} // what it is about is not printed, and would keep every record in memory
		}
		plans[worker] = append(plans[worker], plan...)
		if defect != nil {
			flaws[worker] = append(flaws[worker], s.flaws(f)...)
		}
	})
	if err != nil {
		return nil, err
	}
	found := slices.Concat(flaws...)
	slices.SortFunc(found, func(a, b flaw) int {
		return cmp.Or(cmp.Compare(a.customer, b.customer), cmp.Compare(a.path, b.path))
	})
	for _, f := range found {
		defect(f.customer, f.path, f.message)
	}
	list := slices.Concat(plans...)
	scheduler.Sort(list)
	return list, nil
}

func (s *survey) flaws(f *care.Facts) []flaw {
	if f.Err != nil {
		return []flaw{{f.ID, "$", f.Err.Error()}}
	}
	var out []flaw
	for _, d := range append(f.Defects, s.checked.Planner.Defects(f)...) {
		out = append(out, flaw{f.ID, d.Path, d.Message})
	}
	return out
}
