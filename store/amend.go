package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/lua"
)

// errClaimed is why a message cannot be changed now.
var errClaimed = errors.New("it is being sent just now; try again when its lease has ended")

// decision is what shall become of a message, or why nothing shall (err), or nothing to do (the zero value).
type decision struct {
	record *care.Record
	next   time.Time     // of a pending state
	forget bool          // as if it had never been planned
	park   *care.Receipt // keep it until the message is completed
	stale  *care.Receipt // it says nothing new, and what waits for the message and says no more than it need not wait
	err    error
}

// amend decides on messages that find finds and writes what was decided if nobody was faster, else decides again. It returns for each
// why nothing was changed, nil = done. A few round trips per Redis node and try, however many messages there are. The decider may be
// called several times for the same place.
func (s *Store) amend(
	ctx context.Context, n int, find func(ctx context.Context, todo []int) ([]*located, error), decide func(i int, l *located) decision,
) ([]error, error) {
	out := make([]error, n)
	todo := make([]int, n)
	for i := range todo {
		todo[i] = i
	}
	for range casTries {
		if len(todo) == 0 {
			return out, nil
		}
		found, err := find(ctx, todo)
		if err != nil {
			return out, err
		}
		if todo, err = s.amendOnce(ctx, todo, found, out, decide); err != nil {
			return out, err
		}
	}
	for _, i := range todo {
		out[i] = errBusy
	}
	return out, nil
}

// amendByID is amend for messages that are known by their ids.
func (s *Store) amendByID(ctx context.Context, ids []string, decide func(i int, l *located) decision) ([]error, error) {
	return s.amend(ctx, len(ids), func(ctx context.Context, todo []int) ([]*located, error) {
		names := make([]string, len(todo))
		for j, i := range todo {
			names[j] = ids[i]
		}
		return s.find(ctx, names)
	}, decide)
}

// amendOnce tries each of todo once and returns those for which another was faster.
func (s *Store) amendOnce(ctx context.Context, todo []int, found []*located, out []error, decide func(int, *located) decision) ([]int, error) {
	var later, changed, parked []int
	decided := make(map[int]decision)
	at := make(map[int]*located)
	seen := make(map[string]bool)
	for j, i := range todo {
		l := found[j]
		switch {
		case l == nil:
			out[i] = ErrNoMessage
			continue
		case seen[l.record.ID]: // the second word on a message waits for what the first did
			later = append(later, i)
			continue
		}
		d := decide(i, l)
		switch {
		case d.err != nil:
			out[i] = d.err
			continue
		case d.record != nil || d.forget:
			changed = append(changed, i)
		case d.park != nil || d.stale != nil:
			parked = append(parked, i)
		default:
			continue
		}
		seen[l.record.ID] = true
		if d.record != nil && d.record.State == care.StateDue && !l.record.State.Pending() {
			d.record.Ready = d.record.UpdatedAt // it was over before
		}
		decided[i], at[i] = d, l
	}
	const amendWordCount, parkWordCount = 10, 5
	shard := func(list []int) func(int) int { return func(j int) int { return care.ShardOf(at[list[j]].record.ID) } }
	amends, err := lua.PerShard(s.lua.Amend, s.keys.Fence, len(changed), shard(changed), nil, func(j int) ([]any, error) {
		d := decided[changed[j]]
		return amendWords(at[changed[j]], &d)
	})
	if err != nil {
		return nil, err
	}
	amends.Split(amendWordCount, atOnce)
	parks, err := lua.PerShard(s.lua.Park, s.keys.Fence, len(parked), shard(parked), nil, func(j int) ([]any, error) {
		d := decided[parked[j]]
		return s.parkWords(at[parked[j]], &d)
	})
	if err != nil {
		return nil, err
	}
	parks.Split(parkWordCount, atOnce)
	if err := s.lua.Exec(ctx, append(append([]*lua.Call(nil), amends.All...), parks.All...), true); err != nil {
		return nil, err
	}
	var done []*care.Record
	answer := func(list []int) func(int, any) {
		return func(j int, answer any) {
			i := list[j]
			switch number(answer) {
			case 0:
				later = append(later, i)
			case -1:
				out[i] = errClaimed
			default:
				if r := decided[i].record; r != nil && r.State != at[i].record.State {
					done = append(done, r)
				}
			}
		}
	}
	amends.Each(0, answer(changed))
	parks.Each(0, answer(parked))
	s.tell(ctx, done)
	return later, nil
}

// tell tells care:events and whoever counts of messages that have come to an end, or to one that nobody knows. What is on record stays so
// if it cannot be told.
func (s *Store) tell(ctx context.Context, changed []*care.Record) {
	var events []*care.EventEntry
	for _, r := range changed {
		if s.opts.Changed != nil {
			s.opts.Changed(r)
		}
		if r.State.Final() || r.State == care.StateUncertain {
			events = append(events, r.Event())
		}
	}
	if len(events) == 0 {
		return
	}
	if err := s.Publish(ctx, events); err != nil {
		s.log.ErrorContext(ctx, "events are lost: care:events lacks them", slog.Int("events", len(events)), slog.Any("error", err))
	}
}

// amendWords are the ten words that amend.lua takes.
func amendWords(l *located, d *decision) ([]any, error) {
	old := &l.record
	words := []any{old.ID, codec.DayText(l.day), old.Customer, care.LaneOf(old.Channel, old.Class).String(), l.raw}
	if d.forget {
		return append(words, "", "", "", 0, codec.Rank(care.StateUndelivered)), nil
	}
	r := *d.record
	r.UpdatedAt = r.UpdatedAt.UTC().Truncate(time.Millisecond)
	to, score, err := codec.Destination(&r, d.next, r.UpdatedAt)
	if err != nil {
		return nil, err
	}
	record := codec.EncodeRecord(&r)
	if l.raw == "" { // of a record that is gone only the ledger is kept true
		record = ""
	}
	known := codec.Rank(r.State)
	if known == "0" { // any other state leaves only a delivery waiting
		known = codec.Rank(care.StateUndelivered)
	}
	return append(words, record, codec.EncodeEntry(codec.EntryOf(&r, care.DateFromDays(l.day), r.UpdatedAt)), to, score, known), nil
}

// parkWords are the five words that park.lua takes.
func (s *Store) parkWords(l *located, d *decision) ([]any, error) {
	receipt, keep := d.park, 1
	if receipt == nil {
		receipt, keep = d.stale, 0
	}
	raw, err := codec.EncodeEarly(receipt, s.clock())
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", l.record.ID, err)
	}
	return []any{l.record.ID, codec.DayText(l.day), l.raw, raw, keep}, nil
}

// Resolve ends uncertain messages as a person found them: "sent", "failed", or "resend", which puts them back into the queue and
// counts as a repeat. The answer says for each id why nothing was changed, nil = done.
func (s *Store) Resolve(ctx context.Context, ids []string, as string) ([]error, error) {
	state, ok := map[string]care.State{"sent": care.StateSent, "failed": care.StateFailed, "resend": care.StateDue}[as]
	if !ok {
		return nil, fmt.Errorf("an uncertain message is resolved as sent, failed or resend, not as %q", as)
	}
	now := s.clock()
	return s.amendByID(ctx, ids, func(_ int, l *located) decision {
		if l.record.State != care.StateUncertain {
			return decision{err: fmt.Errorf("it is %s: only an uncertain message is resolved", l.record.State)}
		}
		r := l.record
		r.State, r.Reason, r.UpdatedAt = state, "resolved", now
		if state == care.StateDue {
			r.Repeats++
			r.Crashes = 0
		}
		return decision{record: &r, next: now}
	})
}

// Retry puts failed messages back into the queue, due now; one that has expired by then will be recorded so. The answer is as
// Resolve's.
func (s *Store) Retry(ctx context.Context, ids []string) ([]error, error) {
	now := s.clock()
	return s.amendByID(ctx, ids, func(_ int, l *located) decision { return retried(l, now) })
}

func retried(l *located, now time.Time) decision {
	switch l.record.State {
	case care.StateFailed:
	case care.StateUncertain:
		return decision{err: errors.New("it is uncertain: resolve it as sent, failed or resend")}
	case care.StateExpired:
		return decision{err: errors.New("it has expired: messages retry --even-expired sends it all the same")}
	default:
		return decision{err: fmt.Errorf("it is %s: only a failed message is tried again", l.record.State)}
	}
	r := l.record
	r.State, r.Reason, r.UpdatedAt, r.Crashes, r.Tried = care.StateDue, "", now, 0, nil
	r.FirstTry = time.Time{}
	return decision{record: &r, next: now}
}

// reopenedFor is how long a message that had expired is worth sending once an operator has said so.
const reopenedFor = 24 * time.Hour

// Reopen is Retry for messages that have expired, too: they are worth sending for another day.
func (s *Store) Reopen(ctx context.Context, ids []string) ([]error, error) {
	now := s.clock()
	return s.amendByID(ctx, ids, func(_ int, l *located) decision {
		if l.record.State != care.StateExpired {
			return retried(l, now)
		}
		r := l.record
		r.State, r.Reason, r.UpdatedAt, r.Crashes, r.Tried, r.Reopened = care.StateDue, "", now, 0, nil, true
		r.Expires, r.FirstTry = now.Add(reopenedFor), time.Time{}
		return decision{record: &r, next: now}
	})
}

// Drop ends messages that wait in the queue, or have failed: skipped, reason dropped. The answer is as Resolve's.
func (s *Store) Drop(ctx context.Context, ids []string) ([]error, error) {
	now := s.clock()
	return s.amendByID(ctx, ids, func(_ int, l *located) decision {
		switch l.record.State {
		case care.StateDue, care.StateRetry, care.StateFailed:
			r := l.record
			r.State, r.Reason, r.UpdatedAt = care.StateSkipped, "dropped", now
			return decision{record: &r}
		case care.StateClaimed, care.StateSending:
			return decision{err: errClaimed}
		case care.StateUncertain:
			return decision{err: errors.New("it is uncertain: resolve it as sent, failed or resend")}
		}
		return decision{err: fmt.Errorf("it is %s already", l.record.State)}
	})
}
