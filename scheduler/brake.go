package scheduler

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// The brake stops surprises (design A8): a program's day may send what was announced for it at least a day before, by half more, or
// five times its usual day, or a hundred, whichever is most. What goes beyond waits until an operator says go, and so does not get
// into the queue.

// Allowed is how many messages a dealer's program may send on a day.
func Allowed(announced int, usual float64) int {
	return max(announced+(announced+1)/2, int(math.Floor(5*usual)), neverBraked)
}

const (
	neverBraked = 100                 // as many may always go in a day
	announceFor = 14 * 24 * time.Hour // how far ahead the leader looks each night
	announced   = 24 * time.Hour      // how long before it leaves a message must have been announced
)

// Brake keeps what was announced, and stops a dealer's program until an operator says go.
type Brake interface {
	// Usual is how many messages the dealer's program sent per day, over the last 14 days.
	Usual(ctx context.Context, dealer, program string) (float64, error)
	// Announced returns what was announced, and when the leader last did so.
	Announced(ctx context.Context) (list []care.Announcement, last time.Time, err error)
	Announce(ctx context.Context, list []care.Announcement, now time.Time) error
	// EngageBrake says what is held back, once until the brake is let go.
	EngageBrake(ctx context.Context, surge care.Surge) error
	// EaseBrake takes back a brake that holds nothing any more.
	EaseBrake(ctx context.Context, dealer, program string) error
}

// tally counts what each dealer's program sends on each local day, as far as a sweep has come.
type tally struct {
	days      map[programDay]int
	announced map[programDay][]care.Announcement
	usual     map[dealerProgram]float64
	surges    map[dealerProgram]*care.Surge
}

type programDay struct {
	dealerProgram
	day care.Date
}

func newTally() *tally {
	return &tally{
		days: map[programDay]int{}, announced: map[programDay][]care.Announcement{}, usual: map[dealerProgram]float64{},
		surges: map[dealerProgram]*care.Surge{},
	}
}

// learn takes in what was announced.
func (t *tally) learn(list []care.Announcement) {
	for _, a := range list {
		key := programDay{dealerProgram{a.Dealer, a.Program}, a.Day}
		t.announced[key] = append(t.announced[key], a)
	}
}

// seed counts what is in the queue already, or went: it was let go.
func (t *tally) seed(p *Planner, f *care.Facts, now time.Time) {
	for _, e := range f.Ledger {
		when := care.Later(e.At, now)
		if e.State.Counts() {
			when = e.At
		} else if !e.State.Pending() {
			continue
		}
		if when.After(now.Add(-horizon)) && f.Customer != nil {
			t.days[programDay{dealerProgram{p.dealerName(f.Customer), e.Program}, care.DateOf(when.In(p.Location(f.Customer)))}]++
		}
	}
}

// admit counts a message that is new, and reports whether it may go: not if it is beyond what its day may send.
func (t *tally) admit(ctx context.Context, b Brake, o *care.Occurrence, day care.Date, leaves time.Time) (bool, error) {
	key := dealerProgram{o.Dealer, o.Program}
	at := programDay{key, day}
	n := t.days[at] + 1
	if n > neverBraked {
		said := 0
		for _, a := range t.announced[at] {
			if !a.At.After(leaves.Add(-announced)) {
				said = max(said, a.Messages)
			}
		}
		usual, ok := t.usual[key]
		if !ok {
			var err error
			if usual, err = b.Usual(ctx, key.dealer, key.program); err != nil {
				return false, fmt.Errorf("the usual day of %s/%s: %w", key.dealer, key.program, err)
			}
			t.usual[key] = usual
		}
		if most := Allowed(said, usual); n > most {
			t.hold(key, o, day, n, most)
			return false, nil
		}
	}
	t.days[at] = n
	return true, nil
}

func (t *tally) hold(key dealerProgram, o *care.Occurrence, day care.Date, planned, allowed int) {
	s := t.surges[key]
	if s == nil {
		s = &care.Surge{Dealer: key.dealer, Program: key.program, Day: day, Planned: planned - 1, Allowed: allowed, Until: o.Expires}
		t.surges[key] = s
	}
	s.Held++
	if day == s.Day {
		s.Planned++
	}
	if o.Expires.Before(s.Until) {
		s.Until = o.Expires
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
				if !queues(o) || known || counted[o.ID] || j.request.Operator.LetGo(o.Dealer, o.Program) {
					continue
				}
				ok, err := j.tally.admit(ctx, j.s.cfg.Brake, o, j.day(f, o), care.Later(o.Release, j.request.Now))
				if err != nil {
					return err
				}
				if counted[o.ID] = ok; !ok {
					j.request.held[o.ID], again = true, true
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
	for _, surge := range j.tally.surges {
		if err := j.s.cfg.Brake.EngageBrake(ctx, *surge); err != nil {
			return fmt.Errorf("engage the brake of %s/%s: %w", surge.Dealer, surge.Program, err)
		}
	}
	for name, on := range j.request.Operator.Brakes {
		dealer, program, _ := strings.Cut(name, "/")
		if on && j.tally.surges[dealerProgram{dealer, program}] == nil {
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
	ahead.request.To, ahead.request.held = now.Add(announceFor), map[string]bool{}
	count := NewAnnouncements()
	err := ahead.walk(ctx, func(batch []*care.Facts, plans [][]*care.Occurrence) error {
		for i, f := range batch {
			count.Add(f, plans[i], now)
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

// Announcements adds up what plans bring per dealer, program and local day.
type Announcements map[programDay]int

// NewAnnouncements returns none.
func NewAnnouncements() Announcements { return Announcements{} }

// Add counts a customer's plan as of now. What has gone, or is over, is none of it.
func (a Announcements) Add(f *care.Facts, plan []*care.Occurrence, now time.Time) {
	for _, o := range plan {
		if e, known := f.Ledger[o.ID]; queues(o) && (!known || e.State.Pending()) {
			a[programDay{dealerProgram{o.Dealer, o.Program}, care.DateOf(care.Later(o.Release, now).In(o.Release.Location()))}]++
		}
	}
}

// Join adds what another has counted.
func (a Announcements) Join(more Announcements) {
	for key, n := range more {
		a[key] += n
	}
}

// List returns what was counted as announced at a moment; the zero time = confirmed.
func (a Announcements) List(at time.Time) []care.Announcement {
	out := make([]care.Announcement, 0, len(a))
	for key, n := range a {
		out = append(out, care.Announcement{Dealer: key.dealer, Program: key.program, Day: key.day, Messages: n, At: at})
	}
	slices.SortFunc(out, func(a, b care.Announcement) int {
		return strings.Compare(a.Dealer+"/"+a.Program+"/"+a.Day.String(), b.Dealer+"/"+b.Program+"/"+b.Day.String())
	})
	return out
}
