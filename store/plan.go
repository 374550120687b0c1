package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/lua"
)

// Applied counts what Apply did. Refused are additions that the ledger knows already, and moves and drops of what is claimed
// or was over before.
type Applied struct{ Added, Moved, Dropped, Refused int }

// Apply brings new plans into the queue. Additions take one round trip per Redis node and 500 of them; moves and drops are read, decided
// and written as an operator's decisions are. Applying the same twice changes nothing the second time.
func (s *Store) Apply(ctx context.Context, changes []care.Change) (Applied, error) {
	now := s.clock()
	var sum Applied
	var adds []*care.Occurrence
	var amends []planned
	for i := range changes {
		c := &changes[i]
		for _, o := range c.Add {
			if o.Customer != c.Customer || care.ShardOf(o.ID) != care.Shard(c.Customer) {
				return sum, fmt.Errorf("apply: occurrence %s is not one of customer %s", o.ID, c.Customer)
			}
			adds = append(adds, o)
		}
		for _, o := range c.Move {
			amends = append(amends, planned{customer: c.Customer, id: o.ID, move: o})
		}
		for j := range c.Drop {
			amends = append(amends, planned{customer: c.Customer, id: c.Drop[j].ID, drop: &c.Drop[j]})
		}
	}
	if err := s.skip(ctx, changes, now); err != nil {
		return sum, err
	}
	for len(adds) > 0 {
		some := adds[:min(len(adds), care.Shards*atOnce)]
		adds = adds[len(some):]
		if err := s.add(ctx, some, now, &sum); err != nil {
			return sum, err
		}
	}
	for len(amends) > 0 {
		some := amends[:min(len(amends), care.Shards*atOnce)]
		amends = amends[len(some):]
		if err := s.applyAmends(ctx, some, now, &sum); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// skip records what was decided not to go, so that it is not asked again. Who was erased meanwhile has a tombstone, and the entry beside it
// names ids alone.
func (s *Store) skip(ctx context.Context, changes []care.Change, now time.Time) error {
	pipe := s.client.Pipeline()
	for i := range changes {
		for _, o := range changes[i].Skip {
			r := recordOf(o, now)
			r.State = care.StateSkipped
			pipe.HSetNX(ctx, s.keys.Ledger(o.Customer), o.ID, codec.EncodeEntry(codec.EntryOf(&r, care.Date{}, now)))
		}
	}
	return run(ctx, pipe)
}

// add queues occurrences that are new.
func (s *Store) add(ctx context.Context, adds []*care.Occurrence, now time.Time, sum *Applied) error {
	cs, err := lua.PerShard(s.lua.Plan, s.keys.Fence, len(adds), func(i int) int { return care.ShardOf(adds[i].ID) }, nil, func(i int) ([]any, error) {
		o := adds[i]
		r := recordOf(o, now)
		day, last := codec.DayOf(o.Release), o.Expires
		if last.Before(o.Release) {
			last = o.Release
		}
		return []any{
			o.ID, codec.DayText(day), o.Customer, care.LaneOf(o.Channel, o.Class).String(), codec.Score(o.Release),
			codec.EncodeEntry(codec.EntryOf(&r, care.DateFromDays(day), now)), codec.EncodeRecord(&r), s.keepUntil(last).Unix(),
		}, nil
	})
	if err != nil {
		return err
	}
	const words = 8
	cs.Split(words, atOnce)
	err = s.lua.Exec(ctx, cs.All, false)
	cs.Each(0, func(_ int, answer any) {
		if number(answer) == 1 {
			sum.Added++
		} else {
			sum.Refused++
		}
	})
	return err
}

// planned is a move or a drop of a message that is queued.
type planned struct {
	customer, id string
	move         *care.Occurrence
	drop         *care.Drop
}

// applyAmends moves and drops messages that wait.
func (s *Store) applyAmends(ctx context.Context, list []planned, now time.Time, sum *Applied) error {
	why, err := s.amend(ctx, len(list), func(ctx context.Context, todo []int) ([]*located, error) { return s.locate(ctx, list, todo) },
		func(i int, l *located) decision {
			if list[i].move != nil {
				return moved(l, list[i].move, now)
			}
			return dropped(l, list[i].drop, now)
		})
	for i := range why {
		switch {
		case why[i] != nil:
			sum.Refused++
		case list[i].move != nil:
			sum.Moved++
		default:
			sum.Dropped++
		}
	}
	return err
}

// errNotWaiting is why a plan cannot move or drop a message.
var errNotWaiting = errors.New("it does not wait in the queue")

// moved decides on a message whose plan has changed.
func moved(l *located, o *care.Occurrence, now time.Time) decision {
	r, plan := l.record, recordOf(o, now)
	r.Reason = plan.Reason
	switch {
	case l.raw == "" || l.record.State != l.entry.State:
		return decision{err: errNotWaiting}
	case l.record.State == care.StateRetry && l.record.Reason == care.ReasonPaused: // what has been tried goes on where it stood
		r.UpdatedAt = plan.UpdatedAt
		return decision{record: &r, next: now}
	case l.record.State != care.StateDue:
		return decision{err: errNotWaiting}
	}
	r.Class, r.Channel, r.On, r.Release, r.Expires, r.Template, r.Also, r.Kin, r.Ready = plan.Class, plan.Channel, plan.On, plan.Release, plan.Expires, plan.Template, plan.Also, plan.Kin, plan.Ready
	r.UpdatedAt = plan.UpdatedAt
	return decision{record: &r, next: o.Release}
}

// dropped decides on a message that the plan has no more.
func dropped(l *located, d *care.Drop, now time.Time) decision {
	if !l.entry.State.Pending() || l.entry.State == care.StateSending || l.record.State == care.StateClaimed || l.record.State == care.StateSending {
		return decision{err: errNotWaiting}
	}
	if d.State == care.StateExpired && l.record.Reopened && l.record.Expires.After(now) {
		return decision{err: errNotWaiting}
	}
	if d.State == "" {
		return decision{forget: true}
	}
	r := l.record
	r.State, r.Reason, r.UpdatedAt = d.State, d.Reason, now
	return decision{record: &r}
}

// locate finds the messages of a plan by their ledger entries, in three round trips per Redis node. Of one whose record is gone or damaged
// only what the ledger has is known.
func (s *Store) locate(ctx context.Context, list []planned, todo []int) ([]*located, error) {
	pipe := s.client.Pipeline()
	entries := make([]*redis.StringCmd, len(todo))
	for j, i := range todo {
		entries[j] = pipe.HGet(ctx, s.keys.Ledger(list[i].customer), list[i].id)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read ledgers: %w", err)
	}
	out := make([]*located, len(todo))
	records := make([]*redis.StringCmd, len(todo))
	pipe = s.client.Pipeline()
	for j, i := range todo {
		e, err := codec.DecodeEntry(entries[j].Val())
		if err != nil {
			continue
		}
		out[j] = &located{entry: e, day: e.Day.Days(), record: care.Record{
			ID: list[i].id, Customer: list[i].customer, State: e.State, Class: e.Class, Channel: e.Channel, Program: e.Program, Vehicle: e.Vehicle,
			Step: e.Step, Cycle: e.Cycle, On: e.On, Reason: e.Reason, Release: e.At,
		}}
		records[j] = pipe.HGet(ctx, s.keys.Messages(care.ShardOf(list[i].id), out[j].day), list[i].id)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	for j, i := range todo {
		if out[j] == nil || records[j].Val() == "" {
			continue
		}
		if r, err := codec.DecodeRecord(list[i].id, records[j].Val()); err == nil {
			out[j].record, out[j].raw = r, records[j].Val()
		}
	}
	return out, s.noteClaimed(ctx, out)
}

func recordOf(o *care.Occurrence, now time.Time) care.Record {
	r := care.Record{
		ID: o.ID, Customer: o.Customer, Dealer: o.Dealer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle,
		Class: o.Class, Template: o.Template, On: o.On, Release: o.Release.UTC(), Expires: o.Expires.UTC(),
		State: care.StateDue, Channel: o.Channel, Reason: o.Reason, Kin: o.Kin, UpdatedAt: now.UTC().Truncate(time.Millisecond),
	}
	if now.After(o.Release) {
		r.Ready = r.UpdatedAt
	}
	for _, also := range o.Subject.Also {
		r.Also = append(r.Also, also.Key())
	}
	return r
}

// keepUntil is when a day of records that ends at last may go.
func (s *Store) keepUntil(last time.Time) time.Time {
	return last.UTC().Truncate(24 * time.Hour).Add(24*time.Hour + s.retention)
}
