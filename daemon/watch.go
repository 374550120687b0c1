package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/service/operate"
	sdnotify "github.com/coreos/go-systemd/v22/daemon"
)

// stops is the operator's stops as delivery and the sweep ask for them, read at most once a second. Who asks while Redis is being read
// waits for that answer, and no longer than their own context allows.
type stops struct {
	read  func(ctx context.Context) (*care.Operator, error)
	write func(ctx context.Context, scope string) error
	// lifted is called when a stop is gone: what it put off is planned anew at once, not at the next sweep. It must not block.
	lifted func()
	life   context.Context // of reads
	end    context.CancelCauseFunc
	reads  sync.WaitGroup

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

func newStops(read func(context.Context) (*care.Operator, error), write func(context.Context, string) error, lifted func()) *stops {
	life, end := context.WithCancelCause(context.Background())
	return &stops{read: read, write: write, lifted: lifted, life: life, end: end}
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
	gone := false
	if s.reading == r { // else a channel was paused meanwhile, and this answer may be older
		s.reading = nil
		if r.err == nil {
			s.last, s.at = r.op, time.Now()
			paused, brakes := operate.StoppedScopes(r.op)
			now := append(paused, brakes...)
			gone = slices.ContainsFunc(s.known, func(scope string) bool { return !slices.Contains(now, scope) })
			s.known = now
		}
	}
	s.mu.Unlock()
	close(r.done)
	if gone && s.lifted != nil {
		s.lifted()
	}
}

// PauseChannel stops a channel whose provider takes nothing until a person acts.
func (s *stops) PauseChannel(ctx context.Context, ch care.Channel, _ string) error {
	err := s.write(ctx, "channel:"+string(ch))
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
		d.metrics.redisUp.Set(0)
		return
	}
	d.metrics.redisUp.Set(1)
	if depths, err := d.store.Depth(ctx); err == nil {
		for _, q := range depths {
			lane := q.Lane.String()
			d.metrics.queue.WithLabelValues(lane, "due").Set(float64(q.Due))
			d.metrics.queue.WithLabelValues(lane, "later").Set(float64(q.Later))
			d.metrics.queue.WithLabelValues(lane, "claimed").Set(float64(q.Claimed))
		}
	}
	if n, err := d.store.Uncertain(ctx); err == nil {
		d.metrics.uncertain.Set(float64(n))
	}
	if op, err := d.stops.Operator(ctx); err == nil {
		d.metrics.stops(op)
	}
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
