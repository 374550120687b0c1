package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/robfig/cron/v3"
)

// Source is where customers are read.
type Source interface {
	// Scan calls fn with the facts of every customer, in batches; last come those whose record is gone but for whom messages are
	// still queued.
	Scan(ctx context.Context, fn func([]*care.Facts) error) error
	Facts(ctx context.Context, ids []string) ([]*care.Facts, error)
	// Changes waits up to block for customers whose record changed after a place; after "" it returns the place of now at once.
	Changes(ctx context.Context, after string, block time.Duration) (ids []string, next string, err error)
}

// Queue takes what a plan changes. Applying the same twice must change nothing the second time.
type Queue interface {
	Apply(ctx context.Context, changes []care.Change) error
}

// QueueFunc makes a Queue of a function.
type QueueFunc func(ctx context.Context, changes []care.Change) error

// Apply calls the function.
func (f QueueFunc) Apply(ctx context.Context, changes []care.Change) error { return f(ctx, changes) }

// Operators knows what operators have stopped.
type Operators interface {
	Operator(ctx context.Context) (*care.Operator, error)
}

// Leader is the lease by which one replica at a time sweeps. That there is only one saves work; nothing is wrong when there are two.
type Leader interface {
	Lead(ctx context.Context, holder string, ttl time.Duration) (fence int64, ok bool, err error)
	Resign(ctx context.Context, holder string) error
}

// Progress is how far a sweep has come.
type Progress struct {
	Began                 time.Time // on the sweep's clock
	Took                  time.Duration
	Customers             int
	Defective             int // records with a defect, those that could not be planned at all among them
	Added, Moved, Dropped int
}

// Observer is told what the sweeper does; any function may be nil. They are called from its goroutines and should be quick.
type Observer struct {
	Leading   func(leads bool)
	Batch     func(Progress)
	Swept     func(Progress, error)
	Replanned func(customers int)
}

// SweeperConfig is everything a Sweeper is made of.
type SweeperConfig struct {
	Planner   func() *Planner // the planner of the book as it is now
	Source    Source
	Queue     Queue
	Operators Operators
	Leader    Leader
	Brake     Brake            // nil: there is none
	Schedule  string           // when to sweep: five cron fields or @every 15m; "" = @every 15m
	Holder    string           // names this replica in the lease
	Now       func() time.Time // the clock that messages go by; it may run fast
	Machine   func() time.Time // the clock that leases and durations are measured by; nil: time.Now
	Log       *slog.Logger
	Observer  Observer
}

// How the sweeper works.
const (
	horizon       = 48 * time.Hour   // how far ahead messages are queued
	leaseTTL      = 12 * time.Second // with renewEvery: another replica takes over within 15 s of a crash
	renewEvery    = 3 * time.Second
	askEvery      = time.Second          // how often a replica that does not lead asks: it takes over so soon after a normal stop
	changesBlock  = 5 * time.Second      // how long one look at the changes waits
	retryAfter    = time.Second          // after an error
	shortestLook  = 5 * time.Millisecond // between two looks at the clock that was handed in
	longestLook   = time.Second
	resignWithin  = 2 * time.Second
	replannedOnce = 1000 // customers re-planned in one batch
)

// ParseSweep reads when to sweep: five cron fields, @every with a duration, or another of robfig/cron's descriptors.
func ParseSweep(spec string) (s cron.Schedule, err error) {
	defer func() {
		if recover() != nil {
			s, err = nil, fmt.Errorf("%q is no schedule: write five cron fields or @every 15m", spec)
		}
	}()
	if strings.Contains(spec, "TZ=") {
		return nil, fmt.Errorf("%q: the sweep runs on the daemon's clock; leave the zone out", spec)
	}
	s, err = cron.ParseStandard(spec)
	if err != nil {
		return nil, fmt.Errorf("%q is no schedule: write five cron fields or @every 15m: %w", spec, err)
	}
	return s, nil
}

// runSweep goes through all customers once.
func (s *Sweeper) runSweep(ctx context.Context) (Progress, error) {
	now := s.cfg.Now()
	began := s.cfg.Machine()
	planner := s.cfg.Planner()
	job := &job{s: s, planner: planner, tally: newTally(), progress: Progress{Began: now}}
	job.request = Request{From: now.Add(-planner.LongestExpiry()), To: now.Add(horizon), Now: now}
	op, err := s.cfg.Operators.Operator(ctx)
	if err != nil {
		return job.progress, fmt.Errorf("sweep: read the operator's stops: %w", err)
	}
	job.request.Operator = op
	if planner.NeedsPeers(now, job.request.To) {
		peers := planner.NewPeers()
		err := s.cfg.Source.Scan(ctx, func(batch []*care.Facts) error {
			for _, f := range batch {
				s.guard(f, func() { peers.Add(f, job.request) })
			}
			return s.rest(ctx, len(batch))
		})
		if err != nil {
			return job.progress, fmt.Errorf("sweep: look at households and capacity: %w", err)
		}
		job.request.Peers = peers
	}
	err = s.cfg.Source.Scan(ctx, func(batch []*care.Facts) error {
		if err := job.batch(ctx, batch); err != nil {
			return err
		}
		if s.cfg.Observer.Batch != nil {
			job.progress.Took = s.cfg.Machine().Sub(began)
			s.cfg.Observer.Batch(job.progress)
		}
		return s.rest(ctx, len(batch))
	})
	job.progress.Took = s.cfg.Machine().Sub(began)
	if err != nil {
		return job.progress, fmt.Errorf("sweep: %w", err)
	}
	s.mu.Lock()
	s.last = job
	s.mu.Unlock()
	return job.progress, nil
}

// rest gives the machine and Redis back between two batches, for about a tenth of the time a batch takes.
func (s *Sweeper) rest(ctx context.Context, customers int) error {
	pause := time.Duration(customers) * 2 * time.Microsecond
	if pause < 100*time.Microsecond || !s.sleep(ctx, pause) {
		return context.Cause(ctx)
	}
	return nil
}

// job is one sweep, or afterwards what the changes until the next one are planned with.
type job struct {
	s        *Sweeper
	planner  *Planner
	request  Request
	tally    *tally
	goesOn   bool // the tally is that of the last sweep: only what is new is counted
	progress Progress
}

// batch plans some customers and applies what changes.
func (j *job) batch(ctx context.Context, batch []*care.Facts) error {
	plans := make([][]*care.Occurrence, len(batch))
	j.plan(batch, plans)
	if err := j.brake(ctx, batch, plans); err != nil {
		return err
	}
	changes := make([]care.Change, 0, len(batch))
	for i, f := range batch {
		j.progress.Customers++
		if f.Err != nil || len(f.Defects) > 0 || len(j.planner.Defects(f)) > 0 {
			j.progress.Defective++
		}
		var change care.Change
		j.s.guard(f, func() { change = j.planner.Changes(f, plans[i], j.request) })
		if !change.Empty() {
			changes = append(changes, change)
			j.progress.Added += len(change.Add)
			j.progress.Moved += len(change.Move)
			j.progress.Dropped += len(change.Drop)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := j.s.cfg.Queue.Apply(ctx, changes); err != nil {
		return fmt.Errorf("queue what is due: %w", err)
	}
	return nil
}

func (j *job) plan(batch []*care.Facts, plans [][]*care.Occurrence) {
	for i, f := range batch {
		plans[i] = nil
		j.s.guard(f, func() { plans[i] = j.planner.Plan(f, j.request) })
	}
}

// brake counts the batch and plans it again where a program turns out to run away.
func (j *job) brake(ctx context.Context, batch []*care.Facts, plans [][]*care.Occurrence) error {
	if j.s.cfg.Brake == nil {
		return nil
	}
	busiest := map[dealerProgram]int{}
	for i, f := range batch {
		for _, o := range plans[i] {
			if _, known := f.Ledger[o.ID]; o.Verdict != care.Send || known && j.goesOn {
				continue
			}
			key := dealerProgram{o.Dealer, o.Program}
			busiest[key] = max(busiest[key], j.tally.add(o, j.day(f, o)))
		}
	}
	op, engaged, err := j.tally.judge(ctx, j.s.cfg.Brake, j.request.Operator, busiest)
	if err != nil || !engaged {
		return err
	}
	j.s.log.Warn("a program is about to send far more than it usually does: the brake holds it until an operator says go")
	j.request.Operator = op
	j.plan(batch, plans)
	return nil
}

// day returns the local day a message goes on, or went on.
func (j *job) day(f *care.Facts, o *care.Occurrence) care.Date {
	when := care.Later(o.Release, j.request.Now)
	if e, ok := f.Ledger[o.ID]; ok && e.State.Counts() {
		when = e.At
	}
	return care.DateOf(when.In(o.Release.Location()))
}

// guard keeps one customer's record from stopping all others, whatever is wrong with it.
func (s *Sweeper) guard(f *care.Facts, plan func()) {
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("a customer could not be planned; this is a defect of carebell, please report it",
				slog.String("customer", f.ID), slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
		}
	}()
	plan()
}

// replan plans the customers whose records changed, at once.
func (s *Sweeper) replan(ctx context.Context, ids []string) error {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	now, planner := s.cfg.Now(), s.cfg.Planner()
	next := &job{s: s, planner: planner, tally: newTally()}
	next.request = Request{From: now.Add(-planner.LongestExpiry()), To: now.Add(horizon), Now: now}
	if last != nil && last.planner == planner {
		// What the last sweep learnt of other customers still holds, and its count goes on.
		next.request.Peers, next.tally, next.goesOn = last.request.Peers, last.tally, true
	}
	op, err := s.cfg.Operators.Operator(ctx)
	if err != nil {
		return fmt.Errorf("read the operator's stops: %w", err)
	}
	next.request.Operator = op
	for len(ids) > 0 {
		n := min(len(ids), replannedOnce)
		facts, err := s.cfg.Source.Facts(ctx, ids[:n])
		if err != nil {
			return fmt.Errorf("read changed customers: %w", err)
		}
		if next.request.Peers != nil {
			for _, f := range facts {
				s.guard(f, func() { next.request.Peers.Add(f, next.request) })
			}
		}
		if err := next.batch(ctx, facts); err != nil {
			return err
		}
		ids = ids[n:]
		if s.cfg.Observer.Replanned != nil {
			s.cfg.Observer.Replanned(n)
		}
	}
	return nil
}

// errLost says that another replica leads now.
var errLost = errors.New("another replica leads the sweep")
