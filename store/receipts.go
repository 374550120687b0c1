package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/lua"
)

// Receipts records what providers said later, in any order and however often. A message's state only moves up: sent becomes delivered or
// undelivered, a delivery ends an uncertain, waiting or failed message too, undelivered becomes delivered and never the
// other way round. What comes before the message is completed is kept until it is (a week). A receipt that names only the provider's
// id finds its message for a week after it was sent. One that belongs to no message is left out, and logged.
func (s *Store) Receipts(ctx context.Context, receipts []care.Receipt) error {
	return s.receive(ctx, receipts, true)
}

// receive is Receipts. Without park what comes before a result is left where it waits already.
func (s *Store) receive(ctx context.Context, receipts []care.Receipt, park bool) error {
	known, err := s.identify(ctx, receipts)
	if err != nil || len(known) == 0 {
		return err
	}
	ids := make([]string, len(known))
	for i := range known {
		ids[i] = known[i].ID
	}
	now := s.clock()
	outcomes, err := s.amendByID(ctx, ids, func(i int, l *located) decision {
		d := received(l, &known[i], now)
		if !park {
			d.park = nil
		}
		return d
	})
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
		return s.receive(ctx, again, park)
	}
	return nil
}

// received decides what a receipt means for a message.
func received(l *located, rc *care.Receipt, now time.Time) decision {
	r := l.record
	switch {
	case r.State == care.StateClaimed, r.State == care.StateSending:
		return decision{park: rc}
	case r.State == care.StateDelivered, rc.Channel == care.SMS && !r.WentBy(care.SMS, rc.Gateway):
		return decision{stale: rc} // one gateway does not speak for another
	}
	switch rc.State {
	case care.StateDelivered:
		r.State, r.Reason = care.StateDelivered, ""
	case care.StateUndelivered:
		if r.State != care.StateSent && r.State != care.StateUncertain {
			return decision{stale: rc}
		}
		r.State, r.Reason = care.StateUndelivered, rc.Code
	case care.StateSent:
		if r.State != care.StateUncertain {
			return decision{stale: rc}
		}
		r.State, r.Reason = care.StateSent, ""
	case care.StateFailed:
		switch r.State {
		case care.StateSent:
			r.State = care.StateUndelivered // it was taken once: another channel would be a second message
		case care.StateUncertain:
			r.State = care.StateFailed
		default:
			return decision{stale: rc}
		}
		r.Reason = rc.Code
	default:
		return decision{stale: rc}
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

func providerTable(day int) string { return "provider:" + codec.DayText(day) }

// linkProviders remembers which messages the providers' ids belong to, and returns the receipts that were there before them. Only SMS
// gateways answer with nothing but an id of their own.
func (s *Store) linkProviders(ctx context.Context, results []care.Result, recorded []bool) ([]care.Receipt, error) {
	type pair struct{ provider, id string }
	var pairs []pair
	for i := range results {
		r := &results[i].Record
		if !recorded[i] || r.Channel != care.SMS || len(r.Attempts) == 0 {
			continue
		}
		if p := r.Attempts[len(r.Attempts)-1].Provider; p != "" {
			pairs = append(pairs, pair{p, r.ID})
		}
	}
	table := providerTable(codec.DayOf(s.clock()))
	// Written first, looked up afterwards: see identify.
	cs, err := lua.PerShard(s.lua.Write, s.keys.Fence, len(pairs), func(i int) int { return care.Shard(pairs[i].provider) }, nil, func(i int) ([]any, error) {
		shard := care.Shard(pairs[i].provider)
		key := s.keys.Shard(shard, table)
		return []any{
			4, "HSET", key, pairs[i].provider, pairs[i].id, 3, "EXPIRE", key, int(providerKept / time.Second), 2, "GET", s.keys.Parked(pairs[i].provider),
		}, nil
	})
	if err != nil || len(pairs) == 0 {
		return nil, err
	}
	if err := s.lua.Exec(ctx, cs.All, false); err != nil {
		return nil, err
	}
	var out []care.Receipt
	for n, c := range cs.All {
		l, err := c.List(3 * len(cs.Items[n]))
		if err != nil {
			return nil, err
		}
		for j, i := range cs.Items[n] {
			var rc care.Receipt
			if raw := text(l[3*j+2]); raw != "" && json.Unmarshal([]byte(raw), &rc) == nil {
				rc.ID = pairs[i].id
				out = append(out, rc)
			}
		}
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
	// Parked first, looked up afterwards: a message that is completed in between finds the receipt, or the receipt the message.
	today := codec.DayOf(s.clock())
	const back = int(providerKept / (24 * time.Hour))
	pipe := s.client.Pipeline()
	cmds := make([][]*redis.StringCmd, len(open))
	for i := range open {
		raw, err := json.Marshal(&open[i])
		if err != nil {
			return nil, fmt.Errorf("receipts: %w", err)
		}
		p := open[i].ProviderID
		if open[i].State == care.StateSent {
			pipe.SetNX(ctx, s.keys.Parked(p), raw, providerKept) // it says least: what waits already stays
		} else {
			pipe.Set(ctx, s.keys.Parked(p), raw, providerKept)
		}
		for day := today + 1; day >= today-back; day-- {
			cmds[i] = append(cmds[i], pipe.HGet(ctx, s.keys.Shard(care.Shard(p), providerTable(day)), p))
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
				pipe.Del(ctx, s.keys.Parked(open[i].ProviderID))
				break
			}
		}
	}
	return known, run(ctx, pipe)
}

// earlyKept is how long a receipt waits in early for its message's result.
const earlyKept = 7 * 24 * time.Hour

// CountReturned counts a returned mail that taught nothing. It reports whether it is the first of its kind for an hour.
func (s *Store) CountReturned(ctx context.Context, why string) (first bool, err error) {
	pipe := s.client.Pipeline()
	pipe.HIncrBy(ctx, s.keys.Global("returned"), why, 1)
	told := pipe.SetNX(ctx, s.keys.Global("returned:"+why), 1, time.Hour)
	err = run(ctx, pipe)
	return told.Val(), err
}

// CountWarmup counts one more mail to a domain on a day, and returns how many there were with it.
func (s *Store) CountWarmup(ctx context.Context, day time.Time, domain string) (int, error) {
	key := s.keys.Global("warmup:" + day.Format(time.DateOnly))
	pipe := s.client.Pipeline()
	n := pipe.HIncrBy(ctx, key, domain, 1)
	pipe.Expire(ctx, key, 3*24*time.Hour)
	err := run(ctx, pipe)
	return int(n.Val()), err
}

// ReturnedMail returns what was counted, by why.
func (s *Store) ReturnedMail(ctx context.Context) (map[string]string, error) {
	return s.client.HGetAll(ctx, s.keys.Global("returned")).Result()
}
