package daemon

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/carebell/carebell/delivery"
)

// Each replica says every aliveEvery that it is alive; one of whom nothing was heard for aliveFor is not counted any more, and sends
// nothing itself on a channel that has a rate.
const (
	aliveEvery = time.Second
	aliveFor   = 5 * time.Second
)

// share is this replica's part of the rates that all replicas keep together.
type share struct {
	mu     sync.Mutex
	part   float64
	until  time.Time
	joined bool
}

// of returns the part, 0 while it is not known.
func (s *share) of(now time.Time) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !now.Before(s.until) {
		return 0
	}
	return s.part
}

// heard takes what Redis said to a word sent at asked. One that has just come waits until all others know of it: until then they
// believe that its part is theirs.
func (s *share) heard(asked time.Time, count int, agreed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !asked.Before(s.until) {
		s.joined = false // forgotten meanwhile: it comes anew
	}
	s.joined = s.joined || agreed
	s.until, s.part = asked.Add(aliveFor), 0
	if s.joined && count > 0 {
		s.part = 1 / float64(count)
	}
}

// rated reports whether anything has a rate, so that the replicas need to know of each other.
func (d *Daemon) rated() bool {
	set := d.env.Settings
	rated := set.SMTP.Rate > 0 || set.SMS.Rate > 0 || set.Webhook.Rate > 0 || len(set.SMTP.DomainRate) > 0
	for _, gateways := range d.channels.Load().gateways {
		rated = rated || slices.ContainsFunc(gateways, func(g delivery.Gateway) bool { return g.Rate > 0 })
	}
	return rated && !set.DryRun
}

// live says that this replica is alive until ctx ends, and takes it off the count then.
func (d *Daemon) live(ctx context.Context) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		asked := time.Now()
		ask, cancel := context.WithTimeoutCause(ctx, aliveFor, errNoAnswer)
		count, agreed, err := d.store.Alive(ask, d.holder, aliveFor)
		cancel()
		if err == nil {
			d.share.heard(asked, count, agreed)
		} else if ctx.Err() == nil {
			d.log.Debug("the replicas cannot be counted", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			leave, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), time.Second, errNoAnswer)
			defer cancel()
			if err := d.store.Leave(leave, d.holder); err != nil {
				d.log.Debug("this replica is counted until its lease ends", slog.Any("error", err))
			}
			return
		case <-tick.C:
		}
	}
}

// startLive keeps the replica counted until delivery has stopped. It runs on its own lifetime: delivery stops after the loops are told to.
func (d *Daemon) startLive() {
	if d.rated() {
		l := newLoop(d.live)
		l.Start(context.Background())
		d.later("the count of replicas", l.Stop)
	}
}
