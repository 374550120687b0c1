package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/daemon/metrics"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/scheduler/sweep"
	"github.com/carebell/carebell/store"
	"github.com/robfig/cron/v3"
)

// sweepState is what the last sweep did, and what the schedule asks of the next.
type sweepState struct {
	mu       sync.Mutex
	schedule cron.Schedule
	last     time.Time // when the last whole sweep began, on the daemon's clock
}

func (s *sweepState) swept(began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = began
}

// current reports whether no sweep is due by now.
func (s *sweepState) current(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.last.IsZero() && s.schedule.Next(s.last).After(now)
}

// Swept reports whether this replica has swept all that is due by now, on the daemon's clock.
func (d *Daemon) Swept(now time.Time) bool { return d.sweeps.current(now) }

func (d *Daemon) newSweeper() (*sweep.Sweeper, error) {
	spec := cmp.Or(d.env.Settings.Sweep, "@every 15m")
	schedule, err := sweep.ParseSchedule(spec)
	if err != nil {
		return nil, err
	}
	d.sweeps = &sweepState{schedule: schedule}
	return sweep.New(sweep.Config{
		Planner:   func() *scheduler.Planner { return d.book.Load().Planner },
		Source:    d.store,
		Queue:     sweep.QueueFunc(d.apply),
		Operators: d.stops,
		Leader:    lead{d.store, &d.clock},
		Brake:     brake{d.store, d},
		Schedule:  spec,
		Holder:    d.holder,
		Now:       d.env.Now,
		Log:       d.log,
		Observer:  sweep.Observer{Leading: d.leading, Swept: d.swept},
	})
}

func (d *Daemon) apply(ctx context.Context, changes []care.Change) error {
	applied, err := d.store.Apply(ctx, changes)
	if err == nil && applied.Added+applied.Moved+applied.Dropped > 0 {
		d.log.LogAttrs(ctx, slog.LevelDebug, "the queue changed", slog.Int("added", applied.Added), slog.Int("moved", applied.Moved), slog.Int("dropped", applied.Dropped))
	}
	return err
}

func (d *Daemon) leading(leads bool) {
	d.metrics.Leader.Set(metrics.Truth(leads))
	d.leads.Store(leads)
	d.log.LogAttrs(context.Background(), slog.LevelInfo, "the lead of the sweep", slog.Bool("leads", leads))
}

func (d *Daemon) swept(p sweep.Progress, err error) {
	if err != nil {
		return
	}
	d.sweeps.swept(p.Began)
	d.metrics.Swept(&p, d.env.Now())
	level := slog.LevelDebug
	if p.Added+p.Moved+p.Dropped > 0 || p.Defective > 0 {
		level = slog.LevelInfo
	}
	d.log.LogAttrs(context.Background(), level, "sweep", slog.Int("customers", p.Customers), slog.Int("defective", p.Defective),
		slog.Int("added", p.Added), slog.Int("moved", p.Moved), slog.Int("dropped", p.Dropped), slog.Duration("took", p.Took))
}

// brake is the store's, and says aloud what it holds back.
type brake struct {
	*store.Store
	d *Daemon
}

// EngageBrake keeps what is too much, and says so once: how much, why, until when, and how to let it go.
func (b brake) EngageBrake(ctx context.Context, surge care.Surge) error {
	isNew, err := b.Store.EngageBrake(ctx, surge)
	if err != nil || !isNew {
		return err
	}
	b.d.log.LogAttrs(ctx, slog.LevelError, "the brake holds messages back that nobody announced: look at carebell plan, then run carebell resume --dealer "+
		surge.Dealer+" --program "+surge.Program, slog.String("dealer", surge.Dealer), slog.String("program", surge.Program),
		slog.Int("held", surge.Held), slog.String("day", surge.Day.String()), slog.Int("planned", surge.Planned), slog.Int("allowed", surge.Allowed),
		slog.Time("until", surge.Until))
	return b.Publish(ctx, []*care.EventEntry{{
		At: b.d.env.Now().UTC(), Dealer: surge.Dealer, Program: surge.Program, Kind: care.KindBrake, Value: strconv.Itoa(surge.Held),
		Reason: fmt.Sprintf("%s: %d planned, %d may go; the first expires %s", surge.Day, surge.Planned, surge.Allowed, surge.Until.UTC().Format(time.RFC3339)),
	}})
}
