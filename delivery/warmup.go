package delivery

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
)

// Warmup is how many mails a day may go to each domain while the domains get to know a new sender. The zero value holds nothing back.
type Warmup struct {
	From   time.Time // the first day, in UTC
	First  int       // mails to each domain on that day; 0 = no warm-up
	Growth float64   // from a day to the next
	// Count counts one more mail to a domain on a day, of all replicas together, and returns how many there were with it.
	Count func(ctx context.Context, day time.Time, domain string) (int, error)
}

// warmEnough is a ceiling that no domain notices any more.
const warmEnough = 1e6

// ReasonWarmup is the reason of what waits for the next day because its domain has had its mails of this one.
const ReasonWarmup = "warmup"

// warmups keep to the ceiling of the day.
type warmups struct {
	Warmup
	mu   sync.Mutex
	full map[string]time.Time // domains that have had all, and on which day
}

// newWarmups returns nil without a warm-up.
func newWarmups(w Warmup) *warmups {
	if w.First <= 0 || w.Count == nil {
		return nil
	}
	return &warmups{Warmup: w, full: map[string]time.Time{}}
}

// ceiling is that of a day; 0 = there is none any more.
func (w *Warmup) ceiling(day time.Time) int {
	days := max(day.Sub(w.From.UTC().Truncate(24*time.Hour)).Hours()/24, 0)
	most := float64(w.First) * math.Pow(w.Growth, math.Floor(days))
	if most >= warmEnough {
		return 0
	}
	return int(most)
}

// take counts a mail to a domain, and says how long it waits if the domain has had all of the day. What is urgent is counted and goes.
func (w *warmups) take(ctx context.Context, now time.Time, address string, urgent bool) (wait time.Duration, err error) {
	day := now.UTC().Truncate(24 * time.Hour)
	most := w.ceiling(day)
	if most == 0 {
		return 0, nil
	}
	domain := care.DomainOf(address)
	w.mu.Lock()
	full := w.full[domain].Equal(day)
	w.mu.Unlock()
	if !full || urgent {
		n, err := w.Count(ctx, day, domain)
		if err != nil {
			return time.Second, err
		}
		if full = n > most; !full || urgent {
			return 0, nil
		}
		w.mu.Lock()
		if len(w.full) >= domainsMost {
			clear(w.full) // they are counted once more
		}
		w.full[domain] = day
		w.mu.Unlock()
	}
	return day.Add(24 * time.Hour).Sub(now), nil
}

// warm defers what its domain is not yet used to, and returns the others.
func (p *pool) warm(ctx context.Context, jobs []*job) []*job {
	w := p.r.warmups
	if w == nil || p.r.e.cfg.DryRun {
		return jobs
	}
	going := jobs[:0]
	for _, j := range jobs {
		wait, err := w.take(ctx, p.r.e.cfg.Now(), j.message.To, j.claim.Lane.Urgent)
		if wait == 0 {
			going = append(going, j)
			continue
		}
		if err != nil && ctx.Err() == nil {
			p.r.log.Warn("the warm-up's count cannot be kept; the mail waits", slog.Any("error", err))
		}
		p.leave(j, 0)
		p.r.e.cfg.Observer.Deferred(p.r.ch, p.name, WhyWarmup)
		held := j.claim.Record
		held.Ready = p.r.e.cfg.Now().Add(wait)
		p.r.deferAs(j.claim, held, held.Ready, ReasonWarmup)
	}
	return going
}
