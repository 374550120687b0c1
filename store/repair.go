package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// Trim shortens the streams and the list of tasks, and forgets the days whose records have expired; the leader calls it now and then.
func (s *Store) Trim(ctx context.Context) error {
	if err := s.trimTasks(ctx); err != nil {
		return fmt.Errorf("trim the tasks: %w", err)
	}
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

// What one Repair looks at: repairPages pages of about 500 records in each shard, so 64,000 records, however many there are. One page
// stops its Redis for a millisecond.
const (
	repairPages  = 8
	repairBefore = 14 // days back: nothing waits longer
	repairAfter  = 3
)

// walk is where the next Repair goes on in a shard.
type walk struct {
	day    string // "" = at the beginning
	cursor string // of HSCAN
}

// Repair looks for pending messages that stand in no queue (somebody deleted keys) in the records of the last days and of the next,
// and puts them back: one that was being sent comes back as uncertain. It looks at up to 64,000 records and goes on from there the
// next time, so that its cost does not grow with the records. It also applies receipts that a crash left waiting. It returns how
// many were put back. The leader calls it every half minute.
func (s *Store) Repair(ctx context.Context) (int, error) {
	s.walking.Lock()
	defer s.walking.Unlock()
	days, err := s.daysThere(ctx)
	if err != nil {
		return 0, err
	}
	var rounds [care.Shards][]string // the days each shard still has to look at
	for shard := range rounds {
		rounds[shard] = s.walks[shard].round(days[shard])
	}
	back, now := 0, s.clock()
	due := slotOf(now, now)
	for range repairPages {
		var calls []*call
		var shards []int
		for shard := range rounds {
			if len(rounds[shard]) > 0 {
				w := &s.walks[shard]
				calls = append(calls, &call{script: s.lua.repair, key: fenceKey(shard), args: []any{w.day, w.cursor, due}})
				shards = append(shards, shard)
			}
		}
		if len(calls) == 0 {
			break
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
			shard := shards[i]
			if s.walks[shard].cursor = text(l[0]); s.walks[shard].cursor != "0" {
				continue
			}
			next := rounds[shard][0] // after the last one the next time begins where this one did
			if rounds[shard] = rounds[shard][1:]; len(rounds[shard]) > 0 {
				next = rounds[shard][0]
			}
			s.walks[shard].day = next
		}
	}
	return back, s.repairReceipts(ctx)
}

// round returns the days to look at, in a circle from where the walk has come to.
func (w *walk) round(days []string) []string {
	if len(days) == 0 {
		return nil
	}
	at := slices.Index(days, w.day)
	if at < 0 { // the day has gone meanwhile
		at, w.day, w.cursor = 0, days[0], "0"
	}
	return append(slices.Clone(days[at:]), days[:at]...)
}

// daysThere returns the days that have records, shard by shard, today and what comes before the past. The keys themselves are asked:
// the list of days may be what was deleted.
func (s *Store) daysThere(ctx context.Context) (out [care.Shards][]string, err error) {
	today := dayOf(s.clock())
	var order []int
	for day := today; day <= today+repairAfter; day++ {
		order = append(order, day)
	}
	for day := today - 1; day >= today-repairBefore; day-- {
		order = append(order, day)
	}
	pipe := s.client.Pipeline()
	var cmds [care.Shards][]interface{ Val() int64 }
	for shard := range cmds {
		for _, day := range order {
			cmds[shard] = append(cmds[shard], pipe.Exists(ctx, messagesKey(shard, day)))
		}
	}
	if err := run(ctx, pipe); err != nil {
		return out, fmt.Errorf("repair: %w", err)
	}
	for shard := range cmds {
		for i, c := range cmds[shard] {
			if c.Val() == 1 {
				out[shard] = append(out[shard], dayText(order[i]))
			}
		}
	}
	return out, nil
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
