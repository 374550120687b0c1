package sweep

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/scheduler/brake"
)

const announceFor = 14 * 24 * time.Hour // how far ahead the leader looks each night

// seed counts what is in the queue already, or went.
func (j *job) seed(tally *brake.Tally, f *care.Facts) {
	p, now := j.planner, j.request.Now
	for _, e := range f.Ledger {
		when := care.Later(e.At, now)
		if e.State.Counts() {
			when = e.At
		} else if !e.State.Pending() {
			continue
		}
		if when.After(now.Add(-scheduler.Horizon)) && f.Customer != nil {
			tally.Count(p.DealerName(f.Customer), e.Program, care.DateOf(when.In(p.Location(f.Customer))))
		}
	}
}

// brake holds back what is new in a batch and beyond what its day may send, and plans those customers again without it.
func (j *job) brake(ctx context.Context, batch []*care.Facts, plans [][]*care.Occurrence) error {
	if j.s.cfg.Brake == nil {
		return nil
	}
	counted := map[string]bool{}
	for range 3 { // without what is held others may go that were capped
		again := false
		for i, f := range batch {
			for _, o := range plans[i] {
				_, known := f.Ledger[o.ID]
				if !scheduler.Queues(o) || known || counted[o.ID] || j.request.Operator.LetGo(o.Dealer, o.Program) {
					continue
				}
				ok, err := j.tally.Admit(ctx, j.s.cfg.Brake, o, j.day(f, o), care.Later(o.Release, j.request.Now))
				if err != nil {
					return err
				}
				switch counted[o.ID] = ok; {
				case !ok:
					j.request.Held[o.ID], again = true, true
				case j.counted != nil:
					j.counted.Count(o.Dealer, o.Program, j.day(f, o))
				}
			}
		}
		if !again {
			return nil
		}
		j.plan(batch, plans)
	}
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

// sayBrakes says what the sweep held back, and takes back the brakes that hold nothing any more.
func (j *job) sayBrakes(ctx context.Context) error {
	if j.s.cfg.Brake == nil {
		return nil
	}
	for _, surge := range j.tally.Surges {
		if err := j.s.cfg.Brake.EngageBrake(ctx, *surge); err != nil {
			return fmt.Errorf("engage the brake of %s/%s: %w", surge.Dealer, surge.Program, err)
		}
	}
	for name, on := range j.request.Operator.Brakes {
		dealer, program, _ := strings.Cut(name, "/")
		if on && j.tally.Surges[brake.Program{Dealer: dealer, Program: program}] == nil {
			if err := j.s.cfg.Brake.EaseBrake(ctx, dealer, program); err != nil {
				return fmt.Errorf("take back the brake of %s: %w", name, err)
			}
		}
	}
	return nil
}

// announce notes once a day what the coming 14 days will bring, so that the brake knows what is no surprise.
func (s *Sweeper) announce(ctx context.Context, j *job) error {
	now := j.request.Now
	if s.cfg.Brake == nil || care.DateOf(j.noted.UTC()) == care.DateOf(now.UTC()) {
		return nil
	}
	ahead := &job{s: s, planner: j.planner, request: j.request}
	if j.request.Peers == nil && !j.planner.NeedsPeers(now, now.Add(announceFor)) {
		ahead.kin = j.kin
	}
	ahead.request.To, ahead.request.Held = now.Add(announceFor), map[string]bool{}
	count := brake.Announcements{}
	err := ahead.walk(ctx, func(batch []*care.Facts, plans [][]*care.Occurrence) error {
		for i, f := range batch {
			Announce(count, f, plans[i], now)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look 14 days ahead: %w", err)
	}
	if err := s.cfg.Brake.Announce(ctx, count.List(now), now); err != nil {
		return fmt.Errorf("note what the coming days bring: %w", err)
	}
	return nil
}

// Announce counts a customer's plan as of now. What has gone, or is over, is none of it.
func Announce(count brake.Announcements, f *care.Facts, plan []*care.Occurrence, now time.Time) {
	for _, o := range plan {
		if e, known := f.Ledger[o.ID]; scheduler.Queues(o) && (!known || e.State.Pending()) {
			count.Count(o.Dealer, o.Program, care.DateOf(care.Later(o.Release, now).In(o.Release.Location())))
		}
	}
}
