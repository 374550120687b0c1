package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// NextDue returns when the earliest message is due, on the daemon's clock; the zero time if there is none in the queue. One that a replica
// has claimed and not settled yet is due since long ago: whoever waits for the queue to be empty until a moment must wait for it too.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	pipe := s.client.Pipeline()
	cmds := make([]*redis.ZSliceCmd, 0, len(care.Lanes)*care.Shards)
	for _, lane := range care.Lanes {
		for shard := range care.Shards {
			cmds = append(cmds, pipe.ZRangeByScoreWithScores(ctx, dueKey(shard, lane), &redis.ZRangeBy{Min: "-inf", Max: "+inf", Count: 1}))
		}
	}
	var hands [care.Shards]*redis.IntCmd
	for shard := range hands {
		hands[shard] = pipe.ZCard(ctx, handsKey(shard))
	}
	if err := run(ctx, pipe); err != nil {
		return time.Time{}, fmt.Errorf("look for the next message: %w", err)
	}
	for _, c := range hands {
		if c.Val() > 0 {
			return time.UnixMilli(1), nil
		}
	}
	var next time.Time
	for _, c := range cmds {
		if z := c.Val(); len(z) > 0 {
			if at := time.UnixMilli(max(int64(z[0].Score), 1)); next.IsZero() || at.Before(next) {
				next = at
			}
		}
	}
	return next, nil
}
