package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// A shard's queue is a calendar for each lane. In each shard
//
//	due:<lane>          sorted set: its slots, each by its time
//	slot:<lane>:<slot>  list: the members that are due then
//	late:<lane>         sorted set: members that were in a hand when its lease ended, by that end
//
// A slot is called by its time: milliseconds of the daemon's clock, in 13 digits. The record of a message that waits names its slot, so
// that it is found without a search; slots.lua keeps a slot short, so that it is found in there, too. Many messages are due at the same
// moment, and a list of them lies in one piece of memory, where a sorted set has five for each.
const slotLen = 13

// noSlot stands in the record of a message that is pending and waits in no slot.
const noSlot = "0000000000000"

// slotExact is how long before its time a message may come and have a slot of that very millisecond. What comes earlier shares the slot of
// the next whole second.
const slotExact = time.Minute

// slotOf returns the slot of what is due at a time: never before it, and by less than a second after it, if that is more than a minute
// away. What is due already shares the slot of the second in which it became so.
func slotOf(due, now time.Time) string {
	switch {
	case !due.After(now):
		due = due.Truncate(time.Second)
	case due.Sub(now) > slotExact:
		due = roundUp(due, time.Second)
	}
	return slotText(roundUp(due, time.Millisecond))
}

func roundUp(t time.Time, unit time.Duration) time.Time {
	if whole := t.Truncate(unit); whole.Before(t) {
		return whole.Add(unit)
	}
	return t
}

// slotText names the slot of a millisecond; those that have not 13 digits (before 2001-09-09, after 2286-11-20) are clamped.
func slotText(t time.Time) string {
	return strconv.FormatInt(min(max(t.UnixMilli(), 1e12), 1e13-1), 10)
}

// slotTime is the time of a slot.
func slotTime(slot string) time.Time {
	ms, _ := strconv.ParseInt(slot, 10, 64)
	return time.UnixMilli(ms)
}

// eachMember gives what waits in a lane of a shard, not there at a crash, in pages of about a thousand, the first due first. What moves
// meanwhile may be missed, or come twice.
func (s *Store) eachMember(ctx context.Context, shard int, lane care.Lane, fn func(members []string) error) error {
	slots, err := s.client.ZRange(ctx, dueKey(shard, lane), 0, -1).Result()
	if err != nil {
		return err
	}
	const lists = 16 // of about a hundred members at the most
	for len(slots) > 0 {
		some := slots[:min(lists, len(slots))]
		slots = slots[len(some):]
		for at := int64(0); len(some) > 0; at += batch {
			pipe := s.client.Pipeline()
			cmds := make([]*redis.StringSliceCmd, len(some))
			for i, slot := range some {
				cmds[i] = pipe.LRange(ctx, slotKey(shard, lane, slot), at, at+batch-1)
			}
			if err := run(ctx, pipe); err != nil {
				return err
			}
			var more, members []string
			for i, c := range cmds {
				members = append(members, c.Val()...)
				if len(c.Val()) == batch {
					more = append(more, some[i])
				}
			}
			some = more
			if err := fn(members); err != nil {
				return err
			}
		}
	}
	return nil
}

// Depth is how many messages a lane holds.
type Depth struct {
	Lane    care.Lane
	Due     int // released
	Later   int // not yet
	Claimed int // held by a replica, or by none since its lease has ended
}

// Depth counts the queue, lane by lane, in two round trips per Redis node.
func (s *Store) Depth(ctx context.Context) ([]Depth, error) {
	calls, now := make([]*call, care.Shards), slotText(s.clock())
	for shard := range calls {
		calls[shard] = &call{script: s.lua.depth, key: fenceKey(shard), args: []any{now}}
		for _, lane := range care.Lanes {
			calls[shard].add(lane.String())
		}
	}
	if err := s.exec(ctx, calls, false); err != nil {
		return nil, fmt.Errorf("count the queue: %w", err)
	}
	hands, err := s.everyHand(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the queue: %w", err)
	}
	held := make(map[string]int)
	for _, h := range hands {
		held[h.lane]++
	}
	out := make([]Depth, len(care.Lanes))
	for i, lane := range care.Lanes {
		out[i].Lane, out[i].Claimed = lane, held[lane.String()]
		for _, c := range calls {
			l, err := c.list(3 * len(care.Lanes))
			if err != nil {
				return nil, fmt.Errorf("count the queue: %w", err)
			}
			out[i].Due += int(number(l[3*i]))
			out[i].Later += int(number(l[3*i+1]))
			out[i].Claimed += int(number(l[3*i+2]))
		}
	}
	return out, nil
}
