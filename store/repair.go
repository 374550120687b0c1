package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// Trim shortens the streams and forgets the days whose records have expired; the leader calls it now and then.
func (s *Store) Trim(ctx context.Context) error {
	pipe := s.client.Pipeline()
	pipe.XTrimMaxLenApprox(ctx, changesKey, changesKept, 0)
	pipe.XTrimMaxLenApprox(ctx, eventsKey, eventsKept, 0)
	oldest := s.clock().Add(-s.retention)
	type day struct {
		shard int
		name  string
		there interface{ Val() int64 }
	}
	var lists [care.Shards]interface{ Val() []string }
	for shard := range care.Shards {
		pipe.ZRemRangeByScore(ctx, shardKey(shard, "failed"), "-inf", score(oldest))
		lists[shard] = pipe.ZRangeByScore(ctx, shardKey(shard, "days"), &redis.ZRangeBy{Min: "-inf", Max: strconv.Itoa(dayOf(oldest))})
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	pipe = s.client.Pipeline()
	var days []day
	for shard, list := range lists {
		for _, name := range list.Val() {
			days = append(days, day{shard, name, pipe.Exists(ctx, shardKey(shard, "msg:"+name))})
		}
	}
	if len(days) == 0 {
		return nil
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	pipe = s.client.Pipeline()
	for _, d := range days {
		if d.there.Val() == 0 {
			pipe.ZRem(ctx, shardKey(d.shard, "days"), d.name)
		}
	}
	if pipe.Len() == 0 {
		return nil
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	return nil
}

// Repair looks for pending messages that stand in no queue (somebody deleted keys) in the records of the last days and of the next two,
// and puts them back: one that was being sent comes back as uncertain. It also applies receipts that a crash left waiting. It returns how
// many were put back. The leader calls it every minute.
func (s *Store) Repair(ctx context.Context) (int, error) {
	const before, after = 14, 3
	now := s.clock()
	today := dayOf(now)
	back := 0
	for day := today - before; day <= today+after; day++ {
		cursors := make(map[int]string, care.Shards)
		for shard := range care.Shards {
			cursors[shard] = "0"
		}
		for len(cursors) > 0 {
			var calls []*call
			var shards []int
			for shard, cursor := range cursors {
				calls = append(calls, &call{script: s.lua.repair, key: fenceKey(shard), args: []any{dayText(day), cursor, now.UnixMilli()}})
				shards = append(shards, shard)
			}
			if err := s.exec(ctx, calls, false); err != nil {
				return back, err
			}
			for i, c := range calls {
				l, err := c.list(2)
				if err != nil {
					return back, err
				}
				back += int(number(l[1]))
				if cursors[shards[i]] = text(l[0]); cursors[shards[i]] == "0" {
					delete(cursors, shards[i])
				}
			}
		}
	}
	return back, s.repairReceipts(ctx)
}

func (s *Store) repairReceipts(ctx context.Context) error {
	pipe := s.client.Pipeline()
	cmds := make([]interface{ Val() []string }, care.Shards)
	for shard := range cmds {
		cmds[shard] = pipe.HVals(ctx, shardKey(shard, "early"))
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("receipts: %w", err)
	}
	var waiting []care.Receipt
	for _, c := range cmds {
		for _, raw := range c.Val() {
			var rc care.Receipt
			if json.Unmarshal([]byte(raw), &rc) == nil {
				waiting = append(waiting, rc)
			}
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	return s.Receipts(ctx, waiting)
}
