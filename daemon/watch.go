package daemon

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/daemon/metrics"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/service/operate"
	sdnotify "github.com/coreos/go-systemd/v22/daemon"
)

// stops is the operator's stops as delivery and the sweep ask for them, read at most once a second. Who asks while Redis is being read
// waits for that answer, and no longer than their own context allows.
type stops struct {
	read  func(ctx context.Context) (*care.Operator, error)
	write func(ctx context.Context, ch care.Channel, code string) error
	// changed is told of scopes that are stopped now, and of those that are not any more. It must not block for long.
	changed func(ctx context.Context, stopped, lifted []string)
	life    context.Context // of reads
	end     context.CancelCauseFunc
	reads   sync.WaitGroup

	mu      sync.Mutex
	last    *care.Operator
	at      time.Time
	reading *reading // nil = nobody reads
	known   []string // the scopes that stood when they were read last
}

// reading is one read that several may wait for.
type reading struct {
	done chan struct{}
	op   *care.Operator
	err  error
}

var _ delivery.Operator = (*stops)(nil)

const (
	stopsFor    = time.Second
	stopsWithin = 15 * time.Second // of a read, beyond the store's own time-outs
)

var errNoAnswer = errors.New("redis has not answered in time")

func newStops(
	read func(context.Context) (*care.Operator, error), write func(context.Context, care.Channel, string) error, changed func(ctx context.Context, stopped, lifted []string),
) *stops {
	life, end := context.WithCancelCause(context.Background())
	return &stops{read: read, write: write, changed: changed, life: life, end: end}
}

// Operator returns what operators have stopped, as of the last second.
func (s *stops) Operator(ctx context.Context) (*care.Operator, error) {
	s.mu.Lock()
	if s.last != nil && time.Since(s.at) < stopsFor {
		defer s.mu.Unlock()
		return s.last, nil
	}
	r := s.reading
	if r == nil {
		r = &reading{done: make(chan struct{})}
		s.reading = r
		s.reads.Go(func() { s.ask(r) })
	}
	s.mu.Unlock()
	select {
	case <-r.done:
		return r.op, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask reads what is stopped for all who wait for r.
func (s *stops) ask(r *reading) {
	ctx, cancel := context.WithTimeoutCause(s.life, stopsWithin, errNoAnswer)
	defer cancel()
	r.op, r.err = s.read(ctx)
	s.mu.Lock()
	var stopped, lifted []string
	if s.reading == r { // else a channel was paused meanwhile, and this answer may be older
		s.reading = nil
		if r.err == nil {
			s.last, s.at = r.op, time.Now()
			paused, brakes := operate.StoppedScopes(r.op)
			now := append(paused, brakes...)
			stopped, lifted = without(now, s.known), without(s.known, now)
			s.known = now
		}
	}
	s.mu.Unlock()
	close(r.done)
	if s.changed != nil && len(stopped)+len(lifted) > 0 {
		s.changed(ctx, stopped, lifted)
	}
}

// without returns the words of a list that another one lacks.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(word string) bool { return slices.Contains(other, word) })
}

// PauseChannel stops a channel whose provider takes nothing until a person acts.
func (s *stops) PauseChannel(ctx context.Context, ch care.Channel, code string) error {
	err := s.write(ctx, ch, code)
	s.mu.Lock()
	s.last, s.reading = nil, nil
	s.mu.Unlock()
	return err
}

// Stop ends the read that is under way and waits for it.
func (s *stops) Stop(ctx context.Context) error {
	s.end(errStopped)
	done := make(chan struct{})
	go func() { s.reads.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// How often Redis is looked at.
const (
	checkEvery   = time.Second     // whether it answers and has not gone back in time
	watchEvery   = 5 * time.Second // the gauges of /metrics, and what CARE_STATE_DIR keeps
	examineEvery = time.Minute     // its settings; also whenever connections were made anew
)

// watch keeps the gauges of /metrics current and looks after Redis: its settings, and that it is the one it was.
func (d *Daemon) watch(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	up, connections := true, d.store.Connections()
	for n := 1; ; n++ {
		was := up
		up = d.answers(ctx)
		if up != was || n%int(watchEvery/checkEvery) == 1 {
			d.scrape(ctx)
			d.persist(d.store.Solid())
		}
		made := d.store.Connections()
		if up && (made != connections || d.unsafe.Load() != nil || n%int(examineEvery/checkEvery) == 0) {
			d.examine(ctx)
			connections = made
		}
		select {
		case <-ctx.Done():
			d.persist(d.store.Seen())
			return
		case <-tick.C:
		}
	}
}

func (d *Daemon) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeoutCause(ctx, watchEvery, errNoAnswer)
	defer cancel()
	return d.checkRestored(ctx) == nil
}

// scrape reads what the gauges show.
func (d *Daemon) scrape(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, watchEvery, errNoAnswer)
	defer cancel()
	if d.store.Ping(ctx) != nil {
		d.metrics.RedisUp.Set(0)
		d.metrics.Ready.Set(0)
		return
	}
	d.metrics.RedisUp.Set(1)
	if depths, err := d.store.Depth(ctx); err == nil {
		d.metrics.Depths(depths)
	}
	if n, err := d.store.Uncertain(ctx); err == nil {
		d.metrics.Uncertain.Set(float64(n))
	}
	if op, err := d.stops.Operator(ctx); err == nil {
		d.metrics.Stops(op)
	}
	d.metrics.ClockOffset.Set(d.clock.compare(ctx, d.store.Time).Seconds())
	d.showReady(ctx)
}

// showReady shows whether this replica can do its work, and if it sends nothing, why.
func (d *Daemon) showReady(ctx context.Context) {
	why, err := d.halted(ctx)
	d.metrics.Ready.Set(metrics.Truth(err == nil && d.book.Load() != nil))
	d.metrics.Halted(why)
}

// stopsChanged tells of the stops that operators, or the daemon itself, have made and lifted, once on each replica. What was put off is
// planned anew at once, not at the next sweep.
func (d *Daemon) stopsChanged(ctx context.Context, stopped, lifted []string) {
	all, err := d.store.Stops(ctx)
	if err != nil {
		d.log.Debug("the stops cannot be read", slog.Any("error", err))
	}
	for _, scope := range stopped {
		attrs := []any{slog.String("scope", scope)}
		for _, s := range all {
			if s.Scope == scope {
				attrs = append(attrs, slog.String("by", cmp.Or(s.By, "carebell")), slog.String("reason", s.Reason), slog.Time("since", s.At))
			}
		}
		d.log.Warn("paused: what is due waits", attrs...)
	}
	for _, scope := range lifted {
		d.log.Warn("not paused any more", slog.String("scope", scope))
	}
	if len(lifted) > 0 {
		d.sweeper.Kick()
	}
}

// pauseChannel is the daemon's own pause: a provider takes nothing until a person acts.
func (d *Daemon) pauseChannel(ctx context.Context, ch care.Channel, code string) error {
	scope := "channel:" + string(ch)
	fresh, err := d.store.Pause(ctx, scope, "", code)
	if err != nil || !fresh {
		return err
	}
	return d.store.Publish(ctx, []*care.EventEntry{{At: d.env.Now().UTC(), Channel: ch, Kind: care.KindPause, Value: scope, Reason: code}})
}

// examine repeats the start-up check: somebody may have changed Redis' settings since, or it is another server. While messages could
// be lost nothing is claimed. What Redis does not answer says nothing new.
func (d *Daemon) examine(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, watchEvery, errNoAnswer)
	defer cancel()
	was := d.unsafe.Load()
	why, unknown := "", false
	for _, f := range d.store.Doctor(ctx) {
		switch {
		case f.OK:
			continue
		case f.Unknown:
			unknown = true
		case d.store.Refused(f) && why == "":
			why = f.What + "; " + f.Remedy
		}
		if was == nil {
			d.log.Warn("Redis", slog.String("finding", f.What), slog.String("remedy", f.Remedy))
		}
	}
	switch {
	case why != "":
		d.unsafe.Store(&why)
		if was == nil {
			d.log.Error("nothing is claimed until Redis is mended", slog.String("finding", why))
		}
	case was != nil && !unknown:
		d.unsafe.Store(nil)
		d.log.Info("Redis is mended: going on")
	}
}

// watchdog tells systemd that the process is alive, twice as often as the unit asks for.
func (d *Daemon) watchdog(ctx context.Context) {
	every, err := sdnotify.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		notify(sdnotify.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
