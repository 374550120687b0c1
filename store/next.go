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
	cmds := make([]*redis.StringSliceCmd, 0, len(care.Lanes)*care.Shards)
	var held []*redis.IntCmd
	for _, lane := range care.Lanes {
		for shard := range care.Shards {
			cmds = append(cmds, pipe.ZRange(ctx, dueKey(shard, lane), 0, 0))
			held = append(held, pipe.ZCard(ctx, lateKey(shard, lane)))
		}
	}
	for shard := range care.Shards {
		held = append(held, pipe.ZCard(ctx, handsKey(shard)))
	}
	if err := run(ctx, pipe); err != nil {
		return time.Time{}, fmt.Errorf("look for the next message: %w", err)
	}
	for _, c := range held {
		if c.Val() > 0 {
			return time.UnixMilli(1), nil
		}
	}
	var next time.Time
	for _, c := range cmds {
		if slots := c.Val(); len(slots) > 0 {
			if at := slotTime(slots[0]); next.IsZero() || at.Before(next) {
				next = at
			}
		}
	}
	return next, nil
}
