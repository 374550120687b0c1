package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/carebell/carebell/care"
)

// errClaimed is why a message cannot be changed now.
var errClaimed = errors.New("it is being sent just now; try again when its lease has ended")

// decision is what shall become of a message, or why nothing shall (err), or nothing to do (the zero value).
type decision struct {
	record *care.Record
	next   time.Time     // of a pending state
	park   *care.Receipt // keep it until the message is settled
	forget *care.Receipt // it says nothing new, and what waits for the message and says no more than it need not wait
	err    error
}

// amend decides on messages by their ids and writes what was decided if nobody was faster, else decides again. It returns for each
// why nothing was changed, nil = done. Two round trips per Redis node and try, however many messages there are. The decider may be
// called several times for the same place.
func (s *Store) amend(ctx context.Context, ids []string, decide func(i int, l *located) decision) ([]error, error) {
	out := make([]error, len(ids))
	todo := make([]int, len(ids))
	for i := range ids {
		todo[i] = i
	}
	for range casTries {
		if len(todo) == 0 {
			return out, nil
		}
		var err error
		if todo, err = s.amendOnce(ctx, ids, todo, out, decide); err != nil {
			return out, err
		}
	}
	for _, i := range todo {
		out[i] = errBusy
	}
	return out, nil
}

// amendOnce tries each of todo once and returns those for which another was faster.
func (s *Store) amendOnce(ctx context.Context, ids []string, todo []int, out []error, decide func(int, *located) decision) ([]int, error) {
	names := make([]string, len(todo))
	for j, i := range todo {
		names[j] = ids[i]
	}
	found, err := s.find(ctx, names)
	if err != nil {
		return nil, err
	}
	var later []int
	var groups [care.Shards][]int
	calls := make(map[int]*call)
	seen := make(map[string]bool)
	for j, i := range todo {
		l := found[j]
		if l == nil {
			out[i] = ErrNoMessage
			continue
		}
		if seen[l.record.ID] { // the second word on a message waits for what the first did
			later = append(later, i)
			continue
		}
		d := decide(i, l)
		if d.err != nil || d.record == nil && d.park == nil && d.forget == nil {
			out[i] = d.err
			continue
		}
		seen[l.record.ID] = true
		words, err := amendWords(l, &d)
		if err != nil {
			return nil, err
		}
		shard := care.ShardOf(l.record.ID)
		if calls[shard] == nil {
			calls[shard] = &call{script: s.lua.amend, key: fenceKey(shard)}
		}
		calls[shard].add(words...)
		groups[shard] = append(groups[shard], i)
	}
	order := make([]*call, 0, len(calls))
	for shard := range groups {
		if calls[shard] != nil {
			order = append(order, calls[shard])
		}
	}
	if err := s.exec(ctx, order, true); err != nil {
		return nil, err
	}
	answers(order, groups, len(ids), 0, func(_, i int, answer int64) {
		switch answer {
		case 0:
			later = append(later, i)
		case -1:
			out[i] = errClaimed
		}
	})
	return later, nil
}

// amendWords are the ten words that amend.lua takes.
func amendWords(l *located, d *decision) ([]any, error) {
	old := &l.record
	lane := care.LaneOf(old.Channel, old.Class).String()
	if receipt, op := d.park, "park"; receipt != nil || d.forget != nil {
		if receipt == nil {
			receipt, op = d.forget, "forget"
		}
		raw, err := json.Marshal(receipt)
		if err != nil {
			return nil, fmt.Errorf("message %s: %w", old.ID, err)
		}
		return []any{old.ID, old.Customer, dayText(l.day), lane, l.raw, raw, "", op, "", "0"}, nil
	}
	r := d.record
	r.UpdatedAt = r.UpdatedAt.UTC().Truncate(time.Millisecond)
	op, at, slot := "end", "0", noSlot
	switch r.State {
	case care.StateDue, care.StateRetry:
		op, slot = "queue", slotOf(d.next, r.UpdatedAt)
	case care.StateUncertain:
		op, at = "held", score(r.UpdatedAt)
	case care.StateFailed:
		op, at = "failed", score(r.UpdatedAt)
	}
	return []any{
		old.ID, old.Customer, dayText(l.day), lane, l.raw, encodeRecord(r, slot), encodeEntry(entryOf(r, care.DateFromDays(l.day), r.UpdatedAt)),
		op, care.LaneOf(r.Channel, r.Class).String(), at,
	}, nil
}

// Resolve settles uncertain messages as a person found them: "sent", "failed", or "resend", which puts them back into the queue and
// counts as a repeat. The answer says for each id why nothing was changed, nil = done.
func (s *Store) Resolve(ctx context.Context, ids []string, as string) ([]error, error) {
	state, ok := map[string]care.State{"sent": care.StateSent, "failed": care.StateFailed, "resend": care.StateDue}[as]
	if !ok {
		return nil, fmt.Errorf("an uncertain message is resolved as sent, failed or resend, not as %q", as)
	}
	now := s.clock()
	return s.amend(ctx, ids, func(_ int, l *located) decision {
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
	return s.amend(ctx, ids, func(_ int, l *located) decision {
		if l.record.State != care.StateFailed {
			if l.record.State == care.StateUncertain {
				return decision{err: errors.New("it is uncertain: resolve it as sent, failed or resend")}
			}
			return decision{err: fmt.Errorf("it is %s: only a failed message is tried again", l.record.State)}
		}
		r := l.record
		r.State, r.Reason, r.UpdatedAt, r.Crashes, r.Tried = care.StateDue, "", now, 0, nil
		r.FirstTry = time.Time{}
		return decision{record: &r, next: now}
	})
}

// Drop ends messages that wait in the queue, or have failed: skipped, reason dropped. The answer is as Resolve's.
func (s *Store) Drop(ctx context.Context, ids []string) ([]error, error) {
	now := s.clock()
	return s.amend(ctx, ids, func(_ int, l *located) decision {
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
