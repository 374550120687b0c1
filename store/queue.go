package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// Applied counts what Apply did. Refused are additions that the ledger knows already, and moves and drops of what is claimed
// or was over before.
type Applied struct{ Added, Moved, Dropped, Refused int }

// applyAtOnce limits the operations of one run of the script, which stops its Redis for about 3 µs each.
const applyAtOnce = 500

// Apply brings new plans into the queue, one round trip per Redis node for up to 500 operations of a shard. Applying the same twice
// changes nothing the second time.
func (s *Store) Apply(ctx context.Context, changes []care.Change) (Applied, error) {
	now := s.clock()
	var calls []*call
	for shard, items := range byShard(changes, func(c *care.Change) string { return c.Customer }) {
		var ops int
		var c *call
		next := func(words ...any) {
			if c == nil || ops == applyAtOnce {
				ops = 0
				c = &call{script: s.lua.apply, key: fenceKey(shard), args: []any{string(appendTime(nil, now.Truncate(time.Second)))}}
				calls = append(calls, c)
			}
			ops++
			c.add(words...)
		}
		for _, i := range items {
			if err := s.operations(&changes[i], now, next); err != nil {
				return Applied{}, err
			}
		}
	}
	err := s.exec(ctx, calls, false)
	var sum Applied
	for _, c := range calls {
		if l, err := c.list(4); err == nil {
			sum.Added += int(number(l[0]))
			sum.Moved += int(number(l[1]))
			sum.Dropped += int(number(l[2]))
			sum.Refused += int(number(l[3]))
		}
	}
	return sum, err
}

// operations gives each operation of a change as the nine words that apply.lua takes.
func (s *Store) operations(c *care.Change, now time.Time, next func(...any)) error {
	for _, o := range c.Add {
		if o.Customer != c.Customer || care.ShardOf(o.ID) != care.Shard(c.Customer) {
			return fmt.Errorf("apply: occurrence %s is not one of customer %s", o.ID, c.Customer)
		}
		r := recordOf(o, now)
		day := dayOf(o.Release)
		last := o.Expires
		if last.Before(o.Release) {
			last = o.Release
		}
		next("A", o.ID, o.Customer, dayText(day), care.LaneOf(o.Channel, o.Class).String(), slotOf(o.Release, now),
			encodeEntry(entryOf(&r, care.DateFromDays(day), now)), encodeRecord(&r, noSlot), s.keepUntil(last).Unix())
	}
	for _, o := range c.Move {
		r := recordOf(o, now)
		next("M", o.ID, c.Customer, "", care.LaneOf(o.Channel, o.Class).String(), slotOf(o.Release, now),
			encodeEntry(entryOf(&r, care.Date{}, now)), string(appendQueueFields(nil, &r)), "")
	}
	for _, d := range c.Drop {
		state := ""
		if d.State != "" {
			state = string(rune(letter(stateLetters, d.State)))
		}
		next("D", d.ID, c.Customer, "", "", "", state, string(appendTime(nil, now.Truncate(time.Millisecond))), string(appendEscaped(nil, d.Reason)))
	}
	return nil
}

func recordOf(o *care.Occurrence, now time.Time) care.Record {
	r := care.Record{
		ID: o.ID, Customer: o.Customer, Dealer: o.Dealer, Vehicle: o.Vehicle, Program: o.Program, Step: o.Step, Cycle: o.Cycle,
		Class: o.Class, Template: o.Template, On: o.On, Release: o.Release.UTC(), Expires: o.Expires.UTC(),
		State: care.StateDue, Channel: o.Channel, Reason: o.Reason, UpdatedAt: now.UTC().Truncate(time.Millisecond),
	}
	for _, also := range o.Subject.Also {
		r.Also = append(r.Also, also.ID)
	}
	return r
}

// score is a time as held and failed have it: milliseconds of the daemon's clock.
func score(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// keepUntil is when a day of records that ends at last may go.
func (s *Store) keepUntil(last time.Time) time.Time {
	return last.UTC().Truncate(24 * time.Hour).Add(24*time.Hour + s.retention)
}

// Uncertain counts the messages whose outcome nobody knows and that wait for a receipt or a person.
func (s *Store) Uncertain(ctx context.Context) (int, error) { return s.count(ctx, "held") }

// Failed counts the messages that failed and can be tried again by an operator.
func (s *Store) Failed(ctx context.Context) (int, error) { return s.count(ctx, "failed") }

func (s *Store) count(ctx context.Context, list string) (int, error) {
	pipe := s.client.Pipeline()
	cmds := make([]interface{ Val() int64 }, care.Shards)
	for shard := range cmds {
		cmds[shard] = pipe.ZCard(ctx, shardKey(shard, list))
	}
	if err := run(ctx, pipe); err != nil {
		return 0, fmt.Errorf("count %s messages: %w", list, err)
	}
	n := 0
	for _, c := range cmds {
		n += int(c.Val())
	}
	return n, nil
}

func joinIDs(ids []string) string { return strings.Join(ids, ",") }
