package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/lua"
)

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
	cursor uint64 // of HSCAN
}

// Repair looks for pending messages that stand in no set (somebody deleted keys) in the records of the last days and of the next,
// and puts them back: one that was being sent comes back as uncertain. It looks at up to 64,000 records and goes on from there the
// next time, so that its cost does not grow with the records. It also frees customers whose claimed message is none, and applies receipts that a
// crash left waiting. It returns how many were put back. The leader calls it every half minute.
func (s *Store) Repair(ctx context.Context) (int, error) {
	s.walking.Lock()
	defer s.walking.Unlock()
	if err := s.repairBusy(ctx); err != nil {
		return 0, err
	}
	days, err := s.daysThere(ctx)
	if err != nil {
		return 0, err
	}
	back := 0
	for shard := range days {
		n, err := s.repairShard(ctx, shard, days[shard])
		if back += n; err != nil {
			return back, err
		}
	}
	return back, s.repairReceipts(ctx)
}

// repairShard looks at up to repairPages pages of a shard's records.
func (s *Store) repairShard(ctx context.Context, shard int, days []string) (back int, err error) {
	w := &s.walks[shard]
	round := w.round(days)
	for page := 0; page < repairPages && len(round) > 0; page++ {
		day, _ := strconv.Atoi(round[0])
		records, next, err := s.client.HScan(ctx, s.keys.Messages(shard, day), w.cursor, "", 500).Result()
		if err != nil {
			return back, fmt.Errorf("repair: %w", err)
		}
		n, err := s.requeue(ctx, shard, day, records)
		if back += n; err != nil {
			return back, err
		}
		if w.cursor = next; next != 0 {
			continue
		}
		w.day = round[0] // after the last one the next time begins where this one did
		if round = round[1:]; len(round) > 0 {
			w.day = round[0]
		}
	}
	return back, nil
}

// requeue puts those of a page of records back that are pending and stand in no set.
func (s *Store) requeue(ctx context.Context, shard, day int, page []string) (int, error) {
	type pending struct {
		record care.Record
		raw    string
	}
	var all []pending
	var waits []*redis.FloatCmd
	pipe := s.client.Pipeline()
	for i := 0; i+1 < len(page); i += 2 {
		switch codec.StateOf(page[i+1]) {
		case care.StateDue, care.StateRetry, care.StateSending:
		default:
			continue
		}
		r, err := codec.DecodeRecord(page[i], page[i+1])
		if err != nil {
			continue
		}
		all = append(all, pending{r, page[i+1]})
		waits = append(waits, pipe.ZScore(ctx, s.keys.Due(shard, care.LaneOf(r.Channel, r.Class)), codec.Ref{ID: r.ID, Day: day, Customer: r.Customer}.String()))
	}
	if len(all) == 0 {
		return 0, nil
	}
	if err := run(ctx, pipe); err != nil {
		return 0, fmt.Errorf("repair: %w", err)
	}
	c := &lua.Call{Script: s.lua.Requeue, Key: s.keys.Fence(shard), Args: []any{s.clock().UnixMilli()}}
	for i, p := range all {
		if waits[i].Err() == nil {
			continue
		}
		sending := 0
		if p.record.State == care.StateSending {
			sending = 1
		}
		c.Add(care.LaneOf(p.record.Channel, p.record.Class).String(), p.record.ID, codec.DayText(day), p.record.Customer, p.raw, sending)
	}
	if len(c.Args) == 1 {
		return 0, nil
	}
	err := s.lua.Exec(ctx, []*lua.Call{c}, false)
	return int(c.Number()), err
}

// repairBusy frees the customers who are busy with a message that is not leased: whoever deleted its lease left them waiting for ever.
func (s *Store) repairBusy(ctx context.Context) error {
	pipe := s.client.Pipeline()
	var busy [care.Shards]*redis.MapStringStringCmd
	for shard := range busy {
		busy[shard] = pipe.HGetAll(ctx, s.keys.Busy(shard))
	}
	var leased [care.Shards]*redis.StringSliceCmd // read after busy: what has been claimed meanwhile is not missed
	for shard := range leased {
		leased[shard] = pipe.ZRange(ctx, s.keys.Leased(shard), 0, -1)
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	var calls []*lua.Call
	for shard := range busy {
		there := make(map[string]bool)
		for _, member := range leased[shard].Val() {
			if _, r, ok := codec.ParseLeased(member); ok {
				there[r.Customer+"|"+r.ID] = true
			}
		}
		for customer, held := range busy[shard].Val() {
			if id, _, _ := strings.Cut(held, "|"); !there[customer+"|"+id] {
				calls = append(calls, &lua.Call{Script: s.lua.Swap, Key: s.keys.Busy(shard), Args: []any{customer, held, ""}})
			}
		}
	}
	return s.lua.Exec(ctx, calls, false)
}

// round returns the days to look at, in a circle from where the walk has come to.
func (w *walk) round(days []string) []string {
	if len(days) == 0 {
		return nil
	}
	at := slices.Index(days, w.day)
	if at < 0 { // the day has gone meanwhile
		at, w.day, w.cursor = 0, days[0], 0
	}
	return append(slices.Clone(days[at:]), days[:at]...)
}

// daysThere returns the days that have records, shard by shard, today and what comes before the past. The keys themselves are asked:
// the list of days may be what was deleted.
func (s *Store) daysThere(ctx context.Context) (out [care.Shards][]string, err error) {
	today := codec.DayOf(s.clock())
	var order []int
	for day := today; day <= today+repairAfter; day++ {
		order = append(order, day)
	}
	for day := today - 1; day >= today-repairBefore; day-- {
		order = append(order, day)
	}
	pipe := s.client.Pipeline()
	var cmds [care.Shards][]*redis.IntCmd
	for shard := range cmds {
		for _, day := range order {
			cmds[shard] = append(cmds[shard], pipe.Exists(ctx, s.keys.Messages(shard, day)))
		}
	}
	if err := run(ctx, pipe); err != nil {
		return out, fmt.Errorf("repair: %w", err)
	}
	for shard := range cmds {
		for i, c := range cmds[shard] {
			if c.Val() == 1 {
				out[shard] = append(out[shard], codec.DayText(order[i]))
			}
		}
	}
	return out, nil
}

// repairReceipts applies the receipts that a crash left waiting, and forgets those that have waited too long.
func (s *Store) repairReceipts(ctx context.Context) error {
	cmds, err := fromShards(ctx, s, func(pipe redis.Pipeliner, shard int) *redis.MapStringStringCmd {
		return pipe.HGetAll(ctx, s.keys.Shard(shard, "early"))
	})
	if err != nil {
		return fmt.Errorf("receipts: %w", err)
	}
	var waiting []care.Receipt
	var over []*lua.Call
	oldest := s.clock().Add(-earlyKept)
	for shard, c := range cmds {
		for id, raw := range c.Val() {
			rc, at, ok := codec.DecodeEarly(raw)
			if !ok || at.Before(oldest) {
				over = append(over, &lua.Call{Script: s.lua.Swap, Key: s.keys.Shard(shard, "early"), Args: []any{id, raw, ""}})
				continue
			}
			waiting = append(waiting, rc)
		}
	}
	if err := s.lua.Exec(ctx, over, false); err != nil || len(waiting) == 0 {
		return err
	}
	return s.receive(ctx, waiting, false)
}
