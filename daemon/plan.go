package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler"
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
	checked, err := e.check(opt.Book)
	if err != nil {
		return err
	}
	source, operator, closeSource, err := e.planSource(ctx, opt.File)
	if err != nil {
		return err
	}
	defer closeSource()
	occurrences, err := planAll(ctx, checked.Planner, source, opt, operator)
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
	checked, problems, err := CheckBook(book)
	if err != nil {
		return nil, bookError(problems, err)
	}
	opt.From.Time = opt.From.Time.Add(-checked.Planner.LongestExpiry())
	return planAll(ctx, checked.Planner, st.Scan, opt, nil)
}

// source hands out every customer in batches; it can be asked more than once.
type source func(ctx context.Context, batch func([]*care.Facts) error) error

func (e *Env) planSource(ctx context.Context, file string) (source, *care.Operator, func(), error) {
	if file != "" {
		s, err := fileSource(file)
		return s, nil, func() {}, err
	}
	st, err := e.open(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	op, err := st.Operator(ctx)
	if err != nil {
		st.Close()
		return nil, nil, nil, err
	}
	return st.Scan, op, st.Close, nil
}

// planAll plans everybody. Where messages depend on other customers (households, capacity) a first pass learns of them.
func planAll(ctx context.Context, p *scheduler.Planner, customers source, opt PlanOptions, op *care.Operator) ([]*care.Occurrence, error) {
	request := func(f *care.Facts) scheduler.Request {
		loc := time.UTC
		if f.Customer != nil {
			loc = p.Location(f.Customer)
		}
		return scheduler.Request{From: opt.From.In(loc), To: opt.To.In(loc), Now: opt.Now, Operator: op}
	}
	var peers *scheduler.Peers
	if p.NeedsPeers(opt.From.earliest(), opt.To.latest()) {
		peers = p.NewPeers()
		err := customers(ctx, func(batch []*care.Facts) error {
			for _, f := range batch {
				peers.Add(f, request(f))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var all []*care.Occurrence
	err := customers(ctx, func(batch []*care.Facts) error {
		for _, f := range batch {
			report(f, p, opt.Defect)
			r := request(f)
			r.Peers = peers
			for _, o := range p.Plan(f, r) {
				o.Subject = care.Subject{} // what it is about is not printed, and would keep every record in memory
				all = append(all, o)
			}
		}
		return nil
	})
	scheduler.Sort(all)
	return all, err
}

func report(f *care.Facts, p *scheduler.Planner, defect func(customer, path, message string)) {
	if defect == nil {
		return
	}
	if f.Err != nil {
		defect(f.ID, "$", f.Err.Error())
		return
	}
	for _, d := range append(f.Defects, p.Defects(f)...) {
		defect(f.ID, d.Path, d.Message)
	}
}

const (
	fileBatch   = 500
	longestLine = 4 << 20
)

// fileSource reads customer records, one JSON document per line. Standard input is kept in memory, since it is read twice.
func fileSource(name string) (source, error) {
	open := func() (io.ReadCloser, error) { return os.Open(name) }
	if name == "-" {
		all, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(all)), nil }
	} else if _, err := os.Stat(name); err != nil {
		return nil, err
	}
	return func(_ context.Context, batch func([]*care.Facts) error) error {
		r, err := open()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		return readLines(r, name, batch)
	}, nil
}

func readLines(r io.Reader, name string, batch func([]*care.Facts) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), longestLine)
	facts := make([]*care.Facts, 0, fileBatch)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\xef\xbb\xbf")))
		if len(line) == 0 {
			continue
		}
		f := &care.Facts{}
		f.Customer, f.Defects, f.Err = care.Decode(line)
		if f.ID = fmt.Sprintf("%s:%d", name, n); f.Customer != nil {
			f.ID = f.Customer.ID
		}
		if facts = append(facts, f); len(facts) == fileBatch {
			if err := batch(facts); err != nil {
				return err
			}
			facts = facts[:0]
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return fmt.Errorf("%s: a line is longer than %d MiB: it needs one JSON document per line", name, longestLine>>20)
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	return batch(facts)
}
