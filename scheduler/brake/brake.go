// Package brake counts what each dealer's program sends on each local day, and says what is too much. It stops surprises (design A8): a
// program's day may send what was announced for it at least a day before, by half more, or five times its usual day, or a hundred,
// whichever is most. It promises that a message is counted once. It does not plan, hold or send.
package brake

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// Allowed is how many messages a dealer's program may send on a day.
func Allowed(announced int, usual float64) int {
	return max(announced+(announced+1)/2, int(math.Floor(5*usual)), never)
}

const (
	never = 100            // as many may always go in a day
	ahead = 24 * time.Hour // how long before it leaves a message must have been announced
)

// Store keeps what was announced, and stops a dealer's program until an operator says go.
type Store interface {
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

// Program names a dealer's program.
type Program struct{ Dealer, Program string }

type programDay struct {
	Program
	day care.Date
}

// Tally counts what each dealer's program sends on each local day, as far as a sweep has come.
type Tally struct {
	// Surges are what is held back.
	Surges map[Program]*care.Surge

	days      map[programDay]int
	announced map[programDay][]care.Announcement
	usual     map[Program]float64
}

// NewTally returns one that knows what was announced, and goes on from what an earlier one counted (nil: from nothing).
func NewTally(list []care.Announcement, before *Tally) *Tally {
	t := &Tally{
		days: map[programDay]int{}, announced: map[programDay][]care.Announcement{}, usual: map[Program]float64{}, Surges: map[Program]*care.Surge{},
	}
	for _, a := range list {
		key := programDay{Program{a.Dealer, a.Program}, a.Day}
		t.announced[key] = append(t.announced[key], a)
	}
	if before != nil {
		maps.Copy(t.days, before.days)
	}
	return t
}

// Count takes in a message that is in the queue already, or went: it was let go.
func (t *Tally) Count(dealer, program string, day care.Date) {
	t.days[programDay{Program{dealer, program}, day}]++
}

// Admit counts a message that is new, and reports whether it may go: not if it is beyond what its day may send.
func (t *Tally) Admit(ctx context.Context, b Store, o *care.Occurrence, day care.Date, leaves time.Time) (bool, error) {
	key := Program{o.Dealer, o.Program}
	at := programDay{key, day}
	n := t.days[at] + 1
	if n > never {
		said := 0
		for _, a := range t.announced[at] {
			if !a.At.After(leaves.Add(-ahead)) {
				said = max(said, a.Messages)
			}
		}
		usual, ok := t.usual[key]
		if !ok {
			var err error
			if usual, err = b.Usual(ctx, key.Dealer, key.Program); err != nil {
				return false, fmt.Errorf("the usual day of %s/%s: %w", key.Dealer, key.Program, err)
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

// Recount returns a tally with the surges of this one and the counts of another.
func (t *Tally) Recount(counted *Tally) *Tally {
	out := *t
	out.days = counted.days
	return &out
}

func (t *Tally) hold(key Program, o *care.Occurrence, day care.Date, planned, allowed int) {
	s := t.Surges[key]
	if s == nil {
		s = &care.Surge{Dealer: key.Dealer, Program: key.Program, Day: day, Planned: planned - 1, Allowed: allowed, Until: o.Expires}
		t.Surges[key] = s
	}
	s.Held++
	if day == s.Day {
		s.Planned++
	}
	if o.Expires.Before(s.Until) {
		s.Until = o.Expires
	}
}

// Announcements adds up what plans bring per dealer, program and local day.
type Announcements map[programDay]int

// Count takes in a message that leaves on a day.
func (a Announcements) Count(dealer, program string, day care.Date) {
	a[programDay{Program{dealer, program}, day}]++
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
		out = append(out, care.Announcement{Dealer: key.Dealer, Program: key.Program.Program, Day: key.day, Messages: n, At: at})
	}
	slices.SortFunc(out, func(a, b care.Announcement) int {
		return strings.Compare(a.Dealer+"/"+a.Program+"/"+a.Day.String(), b.Dealer+"/"+b.Program+"/"+b.Day.String())
	})
	return out
}
