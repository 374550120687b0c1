package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// Outcome is what became of one message that an operator named.
type Outcome struct {
	ID    string
	State care.State // the state it has now; "" if there is no such message
	Err   error      // why nothing was changed
}

// errClaimed is why a message cannot be changed now.
var errClaimed = errors.New("it is being sent just now; try again when its lease has ended")

// decision is what shall become of a message, or why nothing shall (err), or nothing to do (the zero value).
type decision struct {
	record *care.Record
	next   time.Time     // of a pending state
	park   *care.Receipt // keep it until the message is settled
	forget bool          // nothing to do, and no receipt need wait for it any more
	err    error
}

// amend decides on messages by their ids and writes what was decided if nobody was faster, else decides again. Two round trips per Redis
// node and try, however many messages there are. The decider may be called several times for the same place.
func (s *Store) amend(ctx context.Context, ids []string, decide func(i int, l *located) decision) ([]Outcome, error) {
	out := make([]Outcome, len(ids))
	todo := make([]int, len(ids))
	for i := range ids {
		out[i].ID = ids[i]
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
		out[i].Err = errBusy
	}
	return out, nil
}

// amendOnce tries each of todo once and returns those for which another was faster.
func (s *Store) amendOnce(ctx context.Context, ids []string, todo []int, out []Outcome, decide func(int, *located) decision) ([]int, error) {
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
			out[i].Err = ErrNoMessage
			continue
		}
		if seen[l.record.ID] { // the second word on a message waits for what the first did
			later = append(later, i)
			continue
		}
		out[i].State = l.record.State
		d := decide(i, l)
		if d.err != nil || d.record == nil && d.park == nil && !d.forget {
			out[i].Err = d.err
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
		if d.record != nil {
			out[i].State = d.record.State
		}
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
			out[i].Err = errClaimed
		}
	})
	return later, nil
}

// amendWords are the ten words that amend.lua takes.
func amendWords(l *located, d *decision) ([]any, error) {
	old := &l.record
	lane := care.LaneOf(old.Channel, old.Class).String()
	if d.park != nil {
		raw, err := json.Marshal(d.park)
		if err != nil {
			return nil, fmt.Errorf("message %s: %w", old.ID, err)
		}
		return []any{old.ID, old.Customer, dayText(l.day), lane, l.raw, raw, "", "park", "", "0"}, nil
	}
	if d.forget {
		return []any{old.ID, old.Customer, dayText(l.day), lane, "", "", "", "forget", "", "0"}, nil
	}
	r := d.record
	r.UpdatedAt = r.UpdatedAt.UTC().Truncate(time.Millisecond)
	raw, err := encodeRecord(r)
	if err != nil {
		return nil, err
	}
	op, at := "end", "0"
	switch r.State {
	case care.StateDue, care.StateRetry:
		op, at = "queue", score(d.next)
	case care.StateUncertain:
		op, at = "held", score(r.UpdatedAt)
	case care.StateFailed:
		op, at = "failed", score(r.UpdatedAt)
	}
	return []any{
		old.ID, old.Customer, dayText(l.day), lane, l.raw, raw, encodeEntry(entryOf(r, care.DateFromDays(l.day), r.UpdatedAt)),
		op, care.LaneOf(r.Channel, r.Class).String(), at,
	}, nil
}

// Resolve settles uncertain messages as an operator found them: as StateSent, StateFailed, or StateDue to send them again, which counts
// as a repeat.
func (s *Store) Resolve(ctx context.Context, ids []string, as care.State) ([]Outcome, error) {
	if as != care.StateSent && as != care.StateFailed && as != care.StateDue {
		return nil, fmt.Errorf("an uncertain message is resolved as sent, failed or due (resend), not as %q", as)
	}
	now := s.clock()
	return s.amend(ctx, ids, func(_ int, l *located) decision {
		if l.record.State != care.StateUncertain {
			return decision{err: fmt.Errorf("it is %s: only an uncertain message is resolved", l.record.State)}
		}
		r := l.record
		r.State, r.Reason, r.UpdatedAt = as, "resolved", now
		if as == care.StateDue {
			r.Repeats++
			r.Crashes = 0
			r.Release = now.UTC()
		}
		return decision{record: &r, next: now}
	})
}

// Retry puts failed messages back into the queue, due now. One that has expired by then will be recorded so.
func (s *Store) Retry(ctx context.Context, ids []string) ([]Outcome, error) {
	now := s.clock()
	return s.amend(ctx, ids, func(_ int, l *located) decision {
		if l.record.State != care.StateFailed {
			if l.record.State == care.StateUncertain {
				return decision{err: errors.New("it is uncertain: resolve it as sent, failed or resend")}
			}
			return decision{err: fmt.Errorf("it is %s: only a failed message is tried again", l.record.State)}
		}
		r := l.record
		r.State, r.Reason, r.UpdatedAt, r.Crashes, r.Tried, r.Release = care.StateDue, "", now, 0, nil, now.UTC()
		r.FirstTry = time.Time{}
		return decision{record: &r, next: now}
	})
}

// Drop ends messages that wait in the queue: skipped, reason dropped.
func (s *Store) Drop(ctx context.Context, ids []string) ([]Outcome, error) {
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

// Receipts records what providers said later, in any order and however often. A message's state only moves up: sent becomes delivered or
// undelivered, a delivery ends an uncertain, waiting or failed message too, undelivered becomes delivered and never the
// other way round. What comes before the message is settled is kept until it is (a week). A receipt that names only the provider's
// id finds its message for a week after it was sent. One that belongs to no message is left out, and logged.
func (s *Store) Receipts(ctx context.Context, receipts []care.Receipt) error {
	known, err := s.identify(ctx, receipts)
	if err != nil || len(known) == 0 {
		return err
	}
	ids := make([]string, len(known))
	for i := range known {
		ids[i] = known[i].ID
	}
	outcomes, err := s.amend(ctx, ids, func(i int, l *located) decision { return receive(l, &known[i]) })
	if err != nil {
		return fmt.Errorf("receipts: %w", err)
	}
	var again []care.Receipt
	for i, o := range outcomes {
		switch {
		case errors.Is(o.Err, errClaimed):
			again = append(again, known[i])
		case o.Err != nil:
			s.log.WarnContext(ctx, "a receipt belongs to no message", slog.String("id", o.ID), slog.Any("error", o.Err))
		}
	}
	if len(again) > 0 {
		// Claimed between the look and the write: now it shows, and the receipt is parked.
		return s.Receipts(ctx, again)
	}
	return nil
}

// receive decides what a receipt means for a message.
func receive(l *located, rc *care.Receipt) decision {
	r := l.record
	switch r.State {
	case care.StateClaimed, care.StateSending:
		return decision{park: rc}
	case care.StateDelivered:
		return decision{forget: true}
	}
	switch rc.State {
	case care.StateDelivered:
		r.State, r.Reason = care.StateDelivered, ""
	case care.StateUndelivered:
		if r.State != care.StateSent && r.State != care.StateUncertain {
			return decision{forget: true}
		}
		r.State, r.Reason = care.StateUndelivered, rc.Code
	case care.StateSent:
		if r.State != care.StateUncertain {
			return decision{forget: true}
		}
		r.State, r.Reason = care.StateSent, ""
	case care.StateFailed:
		switch r.State {
		case care.StateSent:
			r.State = care.StateUndelivered // it was taken once: another channel would be a second message
		case care.StateUncertain:
			r.State = care.StateFailed
		default:
			return decision{forget: true}
		}
		r.Reason = rc.Code
	default:
		return decision{forget: true}
	}
	if rc.Parts > 0 {
		r.Parts = rc.Parts
	}
	r.UpdatedAt = rc.At
	return decision{record: &r}
}

// providerKept is how long a provider's id is remembered.
const providerKept = 8 * 24 * time.Hour

func providerTable(day int) string { return "provider:" + dayText(day) }

// linkProviders remembers which messages the providers' ids belong to, and returns the receipts that were there before them. Only SMS
// gateways answer with nothing but an id of their own.
func (s *Store) linkProviders(ctx context.Context, results []care.Result, ours []bool) ([]care.Receipt, error) {
	type pair struct{ provider, id string }
	var groups [care.Shards][]pair
	for i := range results {
		r := &results[i].Record
		if !ours[i] || r.Channel != care.SMS || len(r.Attempts) == 0 {
			continue
		}
		if p := r.Attempts[len(r.Attempts)-1].Provider; p != "" {
			shard := care.Shard(p)
			groups[shard] = append(groups[shard], pair{p, r.ID})
		}
	}
	var calls []*call
	var flat []pair
	for shard, pairs := range groups {
		if len(pairs) == 0 {
			continue
		}
		c := &call{script: s.lua.link, key: fenceKey(shard)}
		c.add(providerTable(dayOf(s.clock())), int(providerKept/time.Second))
		for _, p := range pairs {
			c.add(p.provider, p.id)
		}
		calls = append(calls, c)
		flat = append(flat, pairs...)
	}
	if err := s.exec(ctx, calls, false); err != nil {
		return nil, err
	}
	var out []care.Receipt
	at := 0
	for _, c := range calls {
		l, err := c.list(0)
		if err != nil {
			return nil, err
		}
		for j := range l {
			if raw := text(l[j]); raw != "" {
				var rc care.Receipt
				if json.Unmarshal([]byte(raw), &rc) == nil {
					rc.ID = flat[at+j].id
					out = append(out, rc)
				}
			}
		}
		at += len(l)
	}
	return out, nil
}

// identify gives receipts that name only a provider's id the id of their message. Those whose message is not known (yet) are kept for
// a week, for when it is.
func (s *Store) identify(ctx context.Context, receipts []care.Receipt) ([]care.Receipt, error) {
	known := make([]care.Receipt, 0, len(receipts))
	var open []care.Receipt
	for i := range receipts {
		switch {
		case care.ShardOf(receipts[i].ID) >= 0:
			known = append(known, receipts[i])
		case receipts[i].ProviderID != "":
			open = append(open, receipts[i])
		default:
			s.log.WarnContext(ctx, "a receipt names no message", slog.String("gateway", receipts[i].Gateway))
		}
	}
	if len(open) == 0 {
		return known, nil
	}
	// Parked first, looked up afterwards: a message that is settled in between finds the receipt, or the receipt the message.
	today := dayOf(s.clock())
	const back = int(providerKept / (24 * time.Hour))
	pipe := s.client.Pipeline()
	cmds := make([][]interface{ Val() string }, len(open))
	for i := range open {
		raw, err := json.Marshal(&open[i])
		if err != nil {
			return nil, fmt.Errorf("receipts: %w", err)
		}
		shard, p := care.Shard(open[i].ProviderID), open[i].ProviderID
		key := shardKey(shard, "parked")
		pipe.HSet(ctx, key, p, raw)
		pipe.Expire(ctx, key, providerKept)
		for day := today + 1; day >= today-back; day-- {
			cmds[i] = append(cmds[i], pipe.HGet(ctx, shardKey(shard, providerTable(day)), p))
		}
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("receipts: %w", err)
	}
	pipe = s.client.Pipeline()
	for i := range open {
		for _, c := range cmds[i] {
			if id := c.Val(); id != "" {
				open[i].ID = id
				known = append(known, open[i])
				pipe.HDel(ctx, shardKey(care.Shard(open[i].ProviderID), "parked"), open[i].ProviderID)
				break
			}
		}
	}
	if pipe.Len() == 0 {
		return known, nil
	}
	return known, run(ctx, pipe)
}

// parked reads the receipts that came before their messages were settled. amend removes them once they are applied.
func (s *Store) parked(ctx context.Context, ids []string) ([]care.Receipt, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := s.client.Pipeline()
	cmds := make([]interface{ Val() string }, len(ids))
	for i, id := range ids {
		cmds[i] = pipe.HGet(ctx, shardKey(care.ShardOf(id), "early"), id)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("receipts: %w", err)
	}
	var out []care.Receipt
	for _, c := range cmds {
		var rc care.Receipt
		if c.Val() != "" && json.Unmarshal([]byte(c.Val()), &rc) == nil {
			out = append(out, rc)
		}
	}
	return out, nil
}

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
