// Package sweep brings the plans of all customers into the queue: by cron, and at once where a record changed. It promises that one
// replica at a time does so, that what is in the queue is what the planner says, and that no more leaves than the brake lets through.
// It does not plan or send.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/scheduler/brake"
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

// Config is everything a Sweeper is made of.
type Config struct {
	Planner   func() *scheduler.Planner // the planner of the book as it is now
	Source    Source
	Queue     Queue
	Operators Operators
	Leader    Leader
	Brake     brake.Store      // nil: there is none
	Schedule  string           // when to sweep: five cron fields or @every 15m; "" = @every 15m
	Holder    string           // names this replica in the lease
	Now       func() time.Time // the clock that messages go by; it may run fast
	Machine   func() time.Time // the clock that leases and durations are measured by; nil: time.Now
	Log       *slog.Logger
	Observer  Observer
}

// How the sweeper works.
const (
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

// ParseSchedule reads when to sweep: five cron fields, @every with a duration, or another of robfig/cron's descriptors.
func ParseSchedule(spec string) (s cron.Schedule, err error) {
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
	began := s.cfg.Machine()
	job, err := s.sweepAll(ctx, began)
	job.progress.Took = s.cfg.Machine().Sub(began)
	if err == nil {
		err = s.announce(ctx, job)
	}
	if err != nil {
		return job.progress, fmt.Errorf("sweep: %w", err)
	}
	return job.progress, nil
}

// sweepAll brings the plans of all customers into the queue.
func (s *Sweeper) sweepAll(ctx context.Context, began time.Time) (*job, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	job, err := s.newJob(ctx)
	if err != nil {
		return job, err
	}
	job.goOn(s.last)
	err = job.walk(ctx, func(batch []*care.Facts, plans [][]*care.Occurrence) error {
		if err := job.apply(ctx, batch, plans); err != nil {
			return err
		}
		if s.cfg.Observer.Batch != nil {
			job.progress.Took = s.cfg.Machine().Sub(began)
			s.cfg.Observer.Batch(job.progress)
		}
		return nil
	})
	if err == nil {
		err = job.sayBrakes(ctx)
	}
	if err != nil {
		return job, err
	}
	s.last = job
	return job, nil
}

// newJob prepares a sweep as of now, with what is stopped and what was announced.
func (s *Sweeper) newJob(ctx context.Context) (*job, error) {
	now, planner := s.cfg.Now(), s.cfg.Planner()
	j := &job{s: s, planner: planner, tally: brake.NewTally(nil, nil), progress: Progress{Began: now}}
	op, err := s.cfg.Operators.Operator(ctx)
	if err != nil {
		return j, fmt.Errorf("read the operator's stops: %w", err)
	}
	if op == nil {
		op = &care.Operator{}
	}
	j.request = scheduler.Request{From: now.Add(-planner.LongestExpiry()), To: now.Add(scheduler.Horizon), Now: now, Operator: op, Held: map[string]bool{}}
	if s.cfg.Brake != nil {
		list, noted, err := s.cfg.Brake.Announced(ctx)
		if err != nil {
			return j, fmt.Errorf("read what was announced: %w", err)
		}
		j.list, j.noted = list, noted
		j.tally = brake.NewTally(list, nil)
	}
	return j, nil
}

// goOn takes over what the last sweep learnt of all customers, if that still holds: then one pass is enough.
func (j *job) goOn(last *job) {
	peers := j.planner.NeedsPeers(j.request.Now, j.request.To)
	if last == nil || last.planner != j.planner || peers || last.kin == nil || last.kin.Stale() {
		return
	}
	j.kin, j.tally, j.counted = last.kin, brake.NewTally(j.list, last.tally), brake.NewTally(nil, nil)
}

// visit is called with customers and their plans, in batches.
type visit func([]*care.Facts, [][]*care.Occurrence) error

// walk plans every customer. What messages of one customer depend on others is known from the last sweep, or is found in a pass before.
func (j *job) walk(ctx context.Context, visit visit) error {
	if j.kin != nil {
		return j.once(ctx, visit)
	}
	if j.planner.NeedsPeers(j.request.Now, j.request.To) {
		j.request.Peers = j.planner.NewPeers()
	}
	j.kin = j.planner.NewKin()
	err := j.s.cfg.Source.Scan(ctx, func(batch []*care.Facts) error {
		for _, f := range batch {
			j.s.guard(f, func() { j.meet(f) })
		}
		return j.s.rest(ctx, len(batch))
	})
	if err != nil {
		return fmt.Errorf("look at households and capacity: %w", err)
	}
	j.kin.Close()
	err = j.s.cfg.Source.Scan(ctx, func(batch []*care.Facts) error {
		single := slices.DeleteFunc(batch, func(f *care.Facts) bool { return j.kin.In(f.ID) })
		return j.each(ctx, single, len(single), visit)
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(j.kin.Groups(), 100) { // many in a trip, most are of two or three
		facts, err := j.s.cfg.Source.Facts(ctx, slices.Concat(some...))
		if err != nil {
			return fmt.Errorf("read households: %w", err)
		}
		rest := facts
		for _, group := range some {
			scheduler.Together(rest[:len(group)])
			rest = rest[len(group):]
		}
		if err := j.each(ctx, facts, len(facts), visit); err != nil {
			return err
		}
	}
	return nil
}

// once reads everybody once. Those who share an address or a car, as the last sweep and the changes since know and as this one finds, are
// planned together at the end; that changes what was planned of one before the other was met.
func (j *job) once(ctx context.Context, visit visit) error {
	var shared []string
	err := j.s.cfg.Source.Scan(ctx, func(batch []*care.Facts) error {
		single := batch[:0]
		for _, f := range batch {
			var others []string
			j.s.guard(f, func() {
				if j.counted != nil {
					j.seed(j.counted, f)
				}
				others = j.kin.Meet(f)
			})
			if len(others) == 0 {
				single = append(single, f)
				continue
			}
			shared = append(shared, f.ID)
		}
		return j.each(ctx, single, len(single), visit)
	})
	if err != nil {
		return err
	}
	for ids := range slices.Chunk(shared, replannedOnce) {
		facts, err := j.s.cfg.Source.Facts(ctx, ids)
		if err != nil {
			return fmt.Errorf("read households: %w", err)
		}
		all, err := j.join(ctx, facts)
		if err != nil {
			return err
		}
		if err := j.each(ctx, all, len(facts), visit); err != nil {
			return err
		}
	}
	if j.counted != nil {
		j.tally = j.tally.Recount(j.counted)
	}
	return nil
}

// each plans a batch, of which the first n were not counted yet.
func (j *job) each(ctx context.Context, batch []*care.Facts, n int, visit visit) error {
	for _, f := range batch[:n] {
		j.progress.Customers++
		if f.Err != nil || len(f.Defects) > 0 || len(j.planner.Defects(f)) > 0 {
			j.progress.Defective++
		}
	}
	plans := make([][]*care.Occurrence, len(batch))
	j.plan(batch, plans)
	if err := visit(batch, plans); err != nil {
		return err
	}
	return j.s.rest(ctx, len(batch))
}

// meet takes in a customer before anybody is planned for good.
func (j *job) meet(f *care.Facts) {
	if j.request.Peers != nil {
		j.request.Peers.Add(f, j.request)
	}
	j.kin.Add(f)
	if j.tally != nil {
		j.seed(j.tally, f)
	}
}

// rest gives the machine and Redis back between two batches, for about a tenth of the time a batch takes.
func (s *Sweeper) rest(ctx context.Context, customers int) error {
	pause := time.Duration(customers) * 2 * time.Microsecond
	if pause < 100*time.Microsecond || !care.Sleep(ctx, pause) {
		return context.Cause(ctx)
	}
	return nil
}

// job is one sweep, or afterwards what the changes until the next one are planned with.
type job struct {
	s        *Sweeper
	planner  *scheduler.Planner
	request  scheduler.Request
	list     []care.Announcement
	tally    *brake.Tally
	counted  *brake.Tally   // what this sweep finds, where tally goes on from the last one's; nil else
	noted    time.Time      // when the leader last announced the coming days
	kin      *scheduler.Kin // who shares an address or a car with whom
	progress Progress
}

// apply brings what the plans of some customers change into the queue.
func (j *job) apply(ctx context.Context, batch []*care.Facts, plans [][]*care.Occurrence) error {
	if err := j.brake(ctx, batch, plans); err != nil {
		return err
	}
	changes := make([]care.Change, 0, len(batch))
	for i, f := range batch {
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
	s.turn.Lock()
	defer s.turn.Unlock()
	last := s.last
	next, err := s.newJob(ctx)
	if err != nil {
		return err
	}
	if last != nil && last.planner == next.planner {
		// What the last sweep learnt of other customers still holds, and its count goes on.
		next.request.Peers, next.request.Held, next.tally, next.kin = last.request.Peers, last.request.Held, last.tally, last.kin
	}
	surges := len(next.tally.Surges)
	defer func() {
		if len(next.tally.Surges) > surges {
			s.Kick() // a sweep knows how much it is, and says so
		}
	}()
	for len(ids) > 0 {
		n := min(len(ids), replannedOnce)
		facts, err := s.cfg.Source.Facts(ctx, ids[:n])
		if err != nil {
			return fmt.Errorf("read changed customers: %w", err)
		}
		if facts, err = next.join(ctx, facts); err != nil {
			return err
		}
		plans := make([][]*care.Occurrence, len(facts))
		next.plan(facts, plans)
		if err := next.apply(ctx, facts, plans); err != nil {
			return err
		}
		ids = ids[n:]
		if s.cfg.Observer.Replanned != nil {
			s.cfg.Observer.Replanned(n)
		}
	}
	return nil
}

// join takes changed customers in, and brings those whose messages depend on theirs.
func (j *job) join(ctx context.Context, changed []*care.Facts) ([]*care.Facts, error) {
	if j.kin == nil {
		j.kin = j.planner.NewKin()
		j.kin.Close()
	}
	known := map[string]*care.Facts{}
	for _, f := range changed {
		j.s.guard(f, func() {
			j.kin.Add(f)
			if j.request.Peers != nil {
				j.request.Peers.Add(f, j.request)
			}
		})
		known[f.ID] = f
	}
	all := changed
	of := map[string][]string{}
	var missing []string
	for _, f := range changed {
		j.s.guard(f, func() { of[f.ID] = j.kin.Of(f) })
		for _, id := range of[f.ID] {
			if known[id] == nil && !slices.Contains(missing, id) {
				missing = append(missing, id)
			}
		}
	}
	if len(missing) > 0 {
		more, err := j.s.cfg.Source.Facts(ctx, missing)
		if err != nil {
			return nil, fmt.Errorf("read households: %w", err)
		}
		for _, f := range more {
			known[f.ID] = f
			of[f.ID] = j.kin.Of(f)
		}
		all = append(slices.Clone(changed), more...)
	}
	for _, f := range all {
		for _, id := range of[f.ID] {
			if other := known[id]; other != nil {
				f.Others = append(f.Others, other)
			}
		}
	}
	return all, nil
}

// errLost says that another replica leads now.
var errLost = errors.New("another replica leads the sweep")
