package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/robfig/cron/v3"
)

// Sweeper drives the plan: over all customers by cron, and over single ones as soon as their record changes. Only the replica
// that holds the leader's lease works; the others wait for it. Start and Stop are safe in any order and any number of times.
type Sweeper struct {
	cfg      Config
	schedule cron.Schedule
	log      *slog.Logger
	kick     chan struct{}

	turn sync.Mutex // of a sweep, or of changed customers: both count what a day may send
	last *job       // the last whole sweep

	life    sync.Mutex
	stop    context.CancelFunc
	stopped bool
	done    chan struct{}
}

// New checks the configuration. Nothing runs before Start.
func New(cfg Config) (*Sweeper, error) {
	if cfg.Planner == nil || cfg.Source == nil || cfg.Queue == nil || cfg.Operators == nil || cfg.Leader == nil || cfg.Now == nil {
		return nil, errors.New("sweeper: Planner, Source, Queue, Operators, Leader and Now are needed")
	}
	if cfg.Schedule == "" {
		cfg.Schedule = "@every 15m"
	}
	schedule, err := ParseSchedule(cfg.Schedule)
	if err != nil {
		return nil, fmt.Errorf("sweeper: %w", err)
	}
	if cfg.Machine == nil {
		cfg.Machine = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Sweeper{cfg: cfg, schedule: schedule, log: cfg.Log, kick: make(chan struct{}, 1)}, nil
}

// Start begins to look for the lead. It returns at once.
func (s *Sweeper) Start() {
	s.life.Lock()
	defer s.life.Unlock()
	if s.done != nil || s.stopped {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		s.run(ctx)
	}()
}

// Stop ends the work, gives the lead up so that another replica takes over at once, and returns when all is quiet, or with an error when
// ctx ends before.
func (s *Sweeper) Stop(ctx context.Context) error {
	s.life.Lock()
	s.stopped = true
	cancel, done := s.stop, s.done
	s.life.Unlock()
	if done == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the sweep has not ended: %w", context.Cause(ctx))
	}
}

// Kick asks for a sweep now, such as after the care book was read anew. A replica that does not lead ignores it.
func (s *Sweeper) Kick() {
	select {
	case s.kick <- struct{}{}:
	default: // one is asked for already
	}
}

// Sweep goes through all customers once, whether this replica leads or not.
func (s *Sweeper) Sweep(ctx context.Context) (Progress, error) {
	progress, err := s.runSweep(ctx)
	if s.cfg.Observer.Swept != nil {
		s.cfg.Observer.Swept(progress, err)
	}
	return progress, err
}

// run takes the lead whenever it is free and works while it is held.
func (s *Sweeper) run(ctx context.Context) {
	for {
		if _, ok, err := s.cfg.Leader.Lead(ctx, s.cfg.Holder, leaseTTL); err != nil && ctx.Err() == nil {
			s.log.Warn("the lead cannot be asked for", slog.Any("error", err))
		} else if ok {
			s.lead(ctx)
		}
		if !care.Sleep(ctx, askEvery) {
			return
		}
	}
}

// lead works until the lease is lost or ctx ends; then everything it started has ended too.
func (s *Sweeper) lead(ctx context.Context) {
	s.leading(true)
	term, cancel := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	// The place in the changes is taken before the first sweep, so that no change falls between the two.
	work.Go(func() {
		after, ok := s.place(term)
		if !ok {
			return
		}
		s.sweeps(term, func() { work.Go(func() { s.follow(term, after) }) })
	})
	s.renew(term, cancel)
	cancel(errLost)
	work.Wait()
	s.leading(false)
	resign, end := context.WithTimeout(context.WithoutCancel(ctx), resignWithin)
	defer end()
	if err := s.cfg.Leader.Resign(resign, s.cfg.Holder); err != nil {
		s.log.Warn("the lead could not be given up; it ends by itself", slog.Any("error", err))
	}
}

func (s *Sweeper) leading(leads bool) {
	if s.cfg.Observer.Leading != nil {
		s.cfg.Observer.Leading(leads)
	}
}

// renew keeps the lease until it is lost: another holds it, or it could not be renewed while it lasted.
func (s *Sweeper) renew(ctx context.Context, lost context.CancelCauseFunc) {
	held := s.cfg.Machine()
	for care.Sleep(ctx, renewEvery) {
		asked := s.cfg.Machine()
		_, ok, err := s.cfg.Leader.Lead(ctx, s.cfg.Holder, leaseTTL)
		switch {
		case err == nil && ok:
			held = asked
		case err == nil, s.cfg.Machine().Sub(held) >= leaseTTL-renewEvery:
			lost(errLost)
			return
		}
	}
}

// place asks for the end of the changes until it gets an answer.
func (s *Sweeper) place(ctx context.Context) (after string, ok bool) {
	for {
		_, next, err := s.cfg.Source.Changes(ctx, "", 0)
		if err == nil {
			return next, true
		}
		if ctx.Err() == nil {
			s.log.Warn("changed customers cannot be read", slog.Any("error", err))
		}
		if !care.Sleep(ctx, retryAfter) {
			return "", false
		}
	}
}

// follow re-plans customers as their records change. A change is passed only when its plan is in the queue.
func (s *Sweeper) follow(ctx context.Context, after string) {
	for ctx.Err() == nil {
		ids, next, err := s.cfg.Source.Changes(ctx, after, changesBlock)
		if err == nil && len(ids) > 0 {
			err = s.replan(ctx, ids)
		}
		if err == nil {
			after = next
			continue
		}
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("changed customers could not be planned; trying again", slog.Any("error", err), slog.Int("customers", len(ids)))
		care.Sleep(ctx, retryAfter)
	}
}

// sweeps goes through all customers at once and then whenever the schedule says so, on the clock that was handed in. Changes are followed
// from the first whole sweep on, which knows what is in the queue and what was announced.
func (s *Sweeper) sweeps(ctx context.Context, follow func()) {
	for first := true; ; {
		began := s.cfg.Now()
		if _, err := s.Sweep(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			s.log.Error("a sweep ended early; trying again", slog.Any("error", err))
			if !care.Sleep(ctx, 10*retryAfter) {
				return
			}
			continue
		}
		if first {
			first = false
			follow()
		}
		if !s.await(ctx, s.schedule.Next(began)) {
			return
		}
	}
}

// await waits until the clock shows t, or a sweep is asked for. The clock that was handed in may run fast or stand still, so it is
// looked at again when, at the pace it went since the last look, t should be reached. A schedule that is never due again gives the
// zero time: then only being asked helps.
func (s *Sweeper) await(ctx context.Context, t time.Time) bool {
	pause := shortestLook
	for {
		now, machine := s.cfg.Now(), s.cfg.Machine()
		if !t.IsZero() && !now.Before(t) {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-s.kick:
			timer.Stop()
			return true
		case <-timer.C:
		}
		pause = longestLook
		passed, took := s.cfg.Now().Sub(now), s.cfg.Machine().Sub(machine)
		if left := t.Sub(now) - passed; !t.IsZero() {
			pause = shortestLook
			if passed > 0 && took > 0 {
				pause = time.Duration(min(max(float64(left)*float64(took)/float64(passed), float64(shortestLook)), float64(longestLook)))
			}
		}
	}
}
