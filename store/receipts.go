package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/carebell/carebell/care"
)

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
	now := s.clock()
	outcomes, err := s.amend(ctx, ids, func(i int, l *located) decision { return receive(l, &known[i], now) })
	if err != nil {
		return fmt.Errorf("receipts: %w", err)
	}
	var again []care.Receipt
	for i, why := range outcomes {
		switch {
		case errors.Is(why, errClaimed):
			again = append(again, known[i])
		case why != nil:
			s.log.WarnContext(ctx, "a receipt belongs to no message", slog.String("id", ids[i]), slog.Any("error", why))
		}
	}
	if len(again) > 0 {
		// Claimed between the look and the write: now it shows, and the receipt is parked.
		return s.Receipts(ctx, again)
	}
	return nil
}

// receive decides what a receipt means for a message.
func receive(l *located, rc *care.Receipt, now time.Time) decision {
	r := l.record
	switch r.State {
	case care.StateClaimed, care.StateSending:
		return decision{park: rc}
	case care.StateDelivered:
		return decision{forget: rc}
	}
	switch rc.State {
	case care.StateDelivered:
		r.State, r.Reason = care.StateDelivered, ""
	case care.StateUndelivered:
		if r.State != care.StateSent && r.State != care.StateUncertain {
			return decision{forget: rc}
		}
		r.State, r.Reason = care.StateUndelivered, rc.Code
	case care.StateSent:
		if r.State != care.StateUncertain {
			return decision{forget: rc}
		}
		r.State, r.Reason = care.StateSent, ""
	case care.StateFailed:
		switch r.State {
		case care.StateSent:
			r.State = care.StateUndelivered // it was taken once: another channel would be a second message
		case care.StateUncertain:
			r.State = care.StateFailed
		default:
			return decision{forget: rc}
		}
		r.Reason = rc.Code
	default:
		return decision{forget: rc}
	}
	if rc.Parts > 0 {
		r.Parts = rc.Parts
	}
	// Providers' clocks are their own.
	if rc.At.After(r.UpdatedAt) && rc.At.Before(now) {
		now = rc.At
	}
	r.UpdatedAt = now
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
		if open[i].State == care.StateSent {
			pipe.HSetNX(ctx, key, p, raw) // it says least: what waits already stays
		} else {
			pipe.HSet(ctx, key, p, raw)
		}
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
