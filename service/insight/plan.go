package insight

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/scheduler/brake"
	"github.com/carebell/carebell/scheduler/sweep"
)

// Period is the time that a question is about, and what is known then.
type Period struct {
	From, To Moment    // [From, To)
	Now      time.Time // what is known; zero = From
}

// PlanOptions say what to plan.
type PlanOptions struct {
	Period
	File   string                               // customer records, one JSON document per line; "" = the store, "-" = standard input
	Defect func(customer, path, message string) // told what is wrong with a record; may be nil
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

// Plan calls each for every occurrence whose release lies in the period, ordered by release, customer, program, vehicle, step. From a
// file it needs no store; what was sent before is then not known.
func (s *Service) Plan(ctx context.Context, who care.Principal, opt PlanOptions, each func(PlanLine) error) error {
	occurrences, err := s.Occurrences(ctx, who, opt)
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

// Occurrences returns what Plan tells as the planner has it, without what the messages are about.
func (s *Service) Occurrences(ctx context.Context, who care.Principal, opt PlanOptions) ([]*care.Occurrence, error) {
	scan, err := s.newScan(ctx, who, opt.File, opt.Period, nil)
	if err != nil {
		return nil, err
	}
	return scan.all(ctx, opt.Defect)
}

// announceDays is how many days a confirmation is about.
const announceDays = 14

// Confirm says that an operator has seen what the coming 14 days bring: all of it counts as announced, and the brake lets it go.
func (s *Service) Confirm(ctx context.Context, who care.Principal) ([]care.Announcement, error) {
	if !who.All() {
		return nil, errors.New("what is sent is confirmed for all dealers at once: that is not yours to do")
	}
	book, err := s.Book()
	if err != nil {
		return nil, err
	}
	now := s.Now()
	period := Period{From: Moment{Time: now.Add(-book.Planner.LongestExpiry())}, To: Moment{Time: now.AddDate(0, 0, announceDays)}, Now: now}
	scan, err := s.newScan(ctx, who, "", period, nil)
	if err != nil {
		return nil, err
	}
	// What the brake holds is confirmed, too.
	operator := *scan.operator
	operator.Brakes = nil
	scan.operator = &operator
	counts := make([]brake.Announcements, scan.workers)
	for i := range counts {
		counts[i] = brake.Announcements{}
	}
	if err := scan.plan(ctx, func(worker int, f *care.Facts, plan []*care.Occurrence) {
		sweep.Announce(counts[worker], f, plan, now)
	}); err != nil {
		return nil, err
	}
	for _, more := range counts[1:] {
		counts[0].Join(more)
	}
	list := counts[0].List(time.Time{})
	return list, s.Store.Announce(ctx, list, now)
}

// flaw is something wrong with a record, to be told after the plan.
type flaw struct{ customer, path, message string }

// all returns the plans of all customers in one order, and tells what is wrong with records, in the order of ids and paths.
func (s *scan) all(ctx context.Context, defect func(customer, path, message string)) ([]*care.Occurrence, error) {
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

func (s *scan) flaws(f *care.Facts) []flaw {
	if f.Err != nil {
		return []flaw{{f.ID, "$", f.Err.Error()}}
	}
	var out []flaw
	for _, d := range append(f.Defects, s.book.Planner.Defects(f)...) {
		out = append(out, flaw{f.ID, d.Path, d.Message})
	}
	return out
}
