package insight

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/service/carebook"
)

// Today is what a book would do on one day, said before it is put in force.
type Today struct {
	Customers int         `json:"customers"` // who would get something, those who are capped among them
	Capped    int         `json:"capped"`    // for whom the cap holds something back
	Steps     []TodayStep `json:"steps"`
}

// TodayStep is what one step of a program would do.
type TodayStep struct {
	Program string         `json:"program"`
	Step    string         `json:"step"`
	Send    int            `json:"send"`
	Skip    map[string]int `json:"skip,omitempty"` // by reason
}

// String says it in one line for the whole and one for each step.
func (t *Today) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "today: %d customers, %d of them capped\n", t.Customers, t.Capped)
	for _, s := range t.Steps {
		fmt.Fprintf(&b, "  %s/%s: %d", s.Program, s.Step, s.Send)
		for _, reason := range slices.Sorted(maps.Keys(s.Skip)) {
			fmt.Fprintf(&b, ", %d not (%s)", s.Skip[reason], reason)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Today plans the day of now with the book for the customers of a file, or of the store (""). Of a store it also says which programs and
// steps it knows that the book has no longer: renamed, they would go out once more.
func (s *Service) Today(ctx context.Context, who care.Principal, file string) (*Today, []problem.Problem, error) {
	today := care.DateOf(s.Now())
	scan, err := s.newScan(ctx, who, file, Period{From: Moment{Date: today}, To: Moment{Date: today.AddDays(1)}}, nil)
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	lost, sum := map[step]int{}, summary{get: map[string]bool{}, capped: map[string]bool{}, steps: map[step]*TodayStep{}}
	err = scan.plan(ctx, func(_ int, f *care.Facts, plan []*care.Occurrence) {
		mu.Lock()
		defer mu.Unlock()
		countLost(scan.book, f, lost)
		for _, o := range plan {
			sum.add(o)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	return sum.today(), renamed(scan.book.Book, lost), nil
}

// step names a program's step.
type step struct{ program, step string }

// countLost counts a customer's messages of programs and steps that the book does not have.
func countLost(c *carebook.Compiled, f *care.Facts, count map[step]int) {
	for _, entry := range f.Ledger {
		p := c.Book.Program(entry.Program)
		if entry.Program == "" || p != nil && slices.ContainsFunc(p.Steps, func(s care.Step) bool { return s.Step == entry.Step }) {
			continue
		}
		count[step{entry.Program, entry.Step}]++
	}
}

func renamed(book *care.Book, lost map[step]int) []problem.Problem {
	var out []problem.Problem
	for _, s := range slices.SortedFunc(maps.Keys(lost), func(a, b step) int {
		return cmp.Or(strings.Compare(a.program, b.program), strings.Compare(a.step, b.step))
	}) {
		p := problem.Problem{
			Severity: problem.Warning, Rule: "renamed", File: "programs",
			Message: fmt.Sprintf("the store knows %d messages of the program %s, which this book does not have", lost[s], s.program),
			Remedy:  "if it was renamed, write the old name again: under another name its messages go out once more; if it was removed, all is well",
		}
		if found := book.Program(s.program); found != nil {
			p.File = found.File
			p.Message = fmt.Sprintf("the store knows %d messages of the step %s, which the program %s does not have", lost[s], s.step, s.program)
			if book.Locate != nil {
				p.Line, p.Column, p.Excerpt = book.Locate(found.File, "$.steps")
			}
		}
		out = append(out, p)
	}
	return out
}

// summary gathers what becomes of a day.
type summary struct {
	get, capped map[string]bool // customers
	steps       map[step]*TodayStep
}

func (m *summary) add(o *care.Occurrence) {
	name := step{o.Program, o.Step}
	s := m.steps[name]
	if s == nil {
		s = &TodayStep{Program: o.Program, Step: o.Step, Skip: map[string]int{}}
		m.steps[name] = s
	}
	if o.Reason == "capped" {
		m.capped[o.Customer] = true
	}
	if o.Verdict == care.Send {
		m.get[o.Customer] = true
		s.Send++
	} else {
		s.Skip[o.Reason]++
	}
}

func (m *summary) today() *Today {
	maps.Copy(m.get, m.capped)
	out := &Today{Customers: len(m.get), Capped: len(m.capped), Steps: []TodayStep{}}
	for _, s := range m.steps {
		out.Steps = append(out.Steps, *s)
	}
	slices.SortFunc(out.Steps, func(a, b TodayStep) int {
		return cmp.Or(strings.Compare(a.Program, b.Program), strings.Compare(a.Step, b.Step))
	})
	return out
}
