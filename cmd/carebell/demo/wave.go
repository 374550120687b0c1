package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/insight"
)

// wave is an import half way that nobody announced: the brake holds back what it brings, and an operator lets it go hours later. The
// clock stands still until the daemon has seen either.
type wave struct {
	customers []*care.Customer
	stage     stage
	at        time.Time // when the customers come; then, when the brake was seen
	since     time.Time // on the machine's clock: when the daemon was given something to see
	looked    time.Time // when it was last looked whether it has seen it
	braked    []string  // dealer/program, all that were
}

type stage int

const (
	ahead    stage = iota // nobody has come yet
	changed               // the daemon has not seen all that changed
	watching              // it has
	held                  // the brake holds something back
)

const (
	letGoAfter = 6 * time.Hour   // on the demo's clock
	seenWithin = 5 * time.Minute // on the machine's
	lookEvery  = 500 * time.Millisecond
)

// pass brings the wave forward and reports whether the clock may go on.
func (d *demo) pass(ctx context.Context, now time.Time) (bool, error) {
	w := d.wave
	switch {
	case w == nil, w.stage == ahead && now.Before(w.at), w.stage == held && now.Before(w.at.Add(letGoAfter)):
		return true, nil
	case w.stage == ahead:
		w.stage, w.since = changed, time.Now()
		return false, d.write(ctx, w.customers)
	case w.stage == held:
		w.stage, w.since = changed, time.Now()
		return false, d.letGo(ctx, now)
	case w.stage == changed && time.Since(w.looked) < lookEvery:
		return false, nil
	case w.stage == changed:
		w.looked = time.Now()
		seen, err := d.queued(ctx, now)
		if err != nil || !seen {
			if err == nil && time.Since(w.since) > seenWithin {
				err = fmt.Errorf("demo: the daemon has not taken in the import of %d customers", len(w.customers))
			}
			return false, err
		}
		w.stage = watching
		return false, d.planAnew(ctx, now)
	}
	return d.watch(ctx, now)
}

// watch looks for a brake that was engaged.
func (d *demo) watch(ctx context.Context, now time.Time) (bool, error) {
	w := d.wave
	op, err := d.store.Operator(ctx)
	if err != nil || len(op.Brakes) == 0 {
		return err == nil, err
	}
	w.stage, w.at = held, now
	for name := range op.Brakes {
		if !slices.Contains(w.braked, name) {
			w.braked = append(w.braked, name)
		}
	}
	slices.Sort(w.braked)
	return true, d.planAnew(ctx, now)
}

// letGo says go to all that the brake holds back. From then on that must arrive, unless it has expired.
func (d *demo) letGo(ctx context.Context, now time.Time) error {
	d.mu.Lock()
	d.planned = maps.Clone(d.planned)
	for id, o := range d.planned {
		if o.Reason == "brake" && d.inbox.count(id) == 0 && now.Before(o.Expires) {
			free := *o
			free.Verdict, free.Reason = care.Send, ""
			d.planned[id] = &free
		}
	}
	d.mu.Unlock()
	op, err := d.store.Operator(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for name := range op.Brakes {
		dealer, program, _ := strings.Cut(name, "/")
		errs = append(errs, d.store.ReleaseBrake(ctx, dealer, program))
	}
	return errors.Join(errs...)
}

// queued reports whether all that the plan of now sends soon is in the queue, or went.
func (d *demo) queued(ctx context.Context, now time.Time) (bool, error) {
	list, err := d.occurrences(ctx, now)
	if err != nil {
		return false, err
	}
	soon := map[string][]string{}
	var ids []string
	for _, o := range list {
		if o.Verdict == care.Send && o.Release.Before(now.Add(23*time.Hour)) { // a sweep a day queues 48 hours ahead
			if soon[o.Customer] == nil {
				ids = append(ids, o.Customer)
			}
			soon[o.Customer] = append(soon[o.Customer], o.ID)
		}
	}
	facts, err := d.store.Facts(ctx, ids)
	if err != nil {
		return false, err
	}
	for _, f := range facts {
		for _, id := range soon[f.ID] {
			if _, ok := f.Ledger[id]; !ok {
				return false, nil
			}
		}
	}
	return true, nil
}

// occurrences asks for everything until the last day, as of now, as carebell plan does.
func (d *demo) occurrences(ctx context.Context, now time.Time) ([]*care.Occurrence, error) {
	// What was released before and has not expired is sent first.
	from := now.Add(-d.longest)
	period := insight.Period{From: insight.Moment{Time: from}, To: insight.Moment{Time: d.clock.end}, Now: now}
	return d.insight.Occurrences(ctx, care.CommandLine(), insight.PlanOptions{Period: period})
}

// planAnew asks again what must arrive, because other customers or an operator changed it. What was planned before and neither went
// nor is planned now must have a reason of its own: that it expired, or one that the plan names. Else it stays, and is missing.
func (d *demo) planAnew(ctx context.Context, now time.Time) error {
	list, err := d.occurrences(ctx, now)
	if err != nil {
		return err
	}
	next := make(map[string]*care.Occurrence, len(list))
	for _, o := range list {
		next[o.ID] = o
	}
	for id, o := range d.expected() {
		switch {
		case d.inbox.count(id) > 0, next[id] == nil && (o.Verdict != care.Send || now.Before(o.Expires)):
			next[id] = o
		case next[id] == nil:
			gone := *o
			gone.Verdict, gone.Reason = care.Skip, "expired"
			next[id] = &gone
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.planned = next
	return nil
}

// expected is what must arrive, and what must not, as it was planned last.
func (d *demo) expected() map[string]*care.Occurrence {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.planned
}
