package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

// Depth is how many messages a lane holds.
type Depth struct {
	Lane    care.Lane
	Due     int // released
	Later   int // not yet
	Claimed int // claimed by a replica, or there when a lease ended
}

// Depth counts the queue, lane by lane, in one round trip per Redis node.
func (s *Store) Depth(ctx context.Context) ([]Depth, error) {
	now := strconv.FormatInt(s.clock().UnixMilli(), 10)
	pipe := s.client.Pipeline()
	var leased [care.Shards]*redis.StringSliceCmd
	due, all, suspects := make([]*redis.IntCmd, 0, 96), make([]*redis.IntCmd, 0, 96), make([]*redis.IntCmd, 0, 96)
	for shard := range leased {
		leased[shard] = pipe.ZRange(ctx, s.keys.Leased(shard), 0, -1)
		for _, lane := range care.Lanes {
			due = append(due, pipe.ZCount(ctx, s.keys.Due(shard, lane), "-inf", now))
			all = append(all, pipe.ZCard(ctx, s.keys.Due(shard, lane)))
			suspects = append(suspects, pipe.ZCard(ctx, s.keys.Suspects(shard, lane)))
		}
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("count the queue: %w", err)
	}
	claimed := make(map[care.Lane]int)
	out := make([]Depth, len(care.Lanes))
	for shard := range leased {
		for _, member := range leased[shard].Val() {
			if lane, _, ok := codec.ParseLeased(member); ok {
				claimed[lane]++
			}
		}
		for i, lane := range care.Lanes {
			at := shard*len(care.Lanes) + i
			out[i].Lane = lane
			out[i].Due += int(due[at].Val())
			out[i].Later += int(all[at].Val() - due[at].Val())
			out[i].Claimed += int(suspects[at].Val())
		}
	}
	for i := range out {
		out[i].Claimed += claimed[out[i].Lane]
	}
	return out, nil
}

// NextDue returns when the earliest message is due, on the daemon's clock; the zero time if there is none in the queue. One that a replica
// has claimed and not completed yet is due since long ago: whoever waits for the queue to be empty until a moment must wait for it too.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	pipe := s.client.Pipeline()
	var first []*redis.ZSliceCmd
	var claimed []*redis.IntCmd
	for shard := range care.Shards {
		claimed = append(claimed, pipe.ZCard(ctx, s.keys.Leased(shard)))
		for _, lane := range care.Lanes {
			first = append(first, pipe.ZRangeWithScores(ctx, s.keys.Due(shard, lane), 0, 0))
			claimed = append(claimed, pipe.ZCard(ctx, s.keys.Suspects(shard, lane)))
		}
	}
	if err := run(ctx, pipe); err != nil {
		return time.Time{}, fmt.Errorf("look for the next message: %w", err)
	}
	for _, c := range claimed {
		if c.Val() > 0 {
			return time.UnixMilli(1), nil
		}
	}
	var next time.Time
	for _, c := range first {
		for _, z := range c.Val() {
			if at := time.UnixMilli(int64(z.Score)); next.IsZero() || at.Before(next) {
				next = at
			}
		}
	}
	return next, nil
}

// Uncertain counts the messages whose outcome nobody knows and that wait for a receipt or a person.
func (s *Store) Uncertain(ctx context.Context) (int, error) { return s.count(ctx, "uncertain") }

// Failed counts the messages that failed and can be tried again by an operator.
func (s *Store) Failed(ctx context.Context) (int, error) { return s.count(ctx, "failed") }

func (s *Store) count(ctx context.Context, set string) (int, error) {
	cmds, err := fromShards(ctx, s, func(pipe redis.Pipeliner, shard int) *redis.IntCmd { return pipe.ZCard(ctx, s.keys.Shard(shard, set)) })
	if err != nil {
		return 0, fmt.Errorf("count %s messages: %w", set, err)
	}
	n := 0
	for _, c := range cmds {
		n += int(c.Val())
	}
	return n, nil
}
