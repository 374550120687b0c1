package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/store/keyspace"
)

// changesAtOnce is how many entries of care:changes are read at a time.
const changesAtOnce = 1000

// Changes returns the ids of the customers whose records changed after a cursor in care:changes, each once, and the cursor to go on
// from. It waits up to block for the first one, and looks for the end of ctx every half second meanwhile. after "" starts with
// what is written from now on: it returns at once with the cursor of now.
func (s *Store) Changes(ctx context.Context, after string, block time.Duration) (ids []string, next string, err error) {
	if after == "" {
		last, err := s.client.XRevRangeN(ctx, keyspace.Changes, "+", "-", 1).Result()
		if err != nil {
			return nil, "", fmt.Errorf("read %s: %w", keyspace.Changes, err)
		}
		if len(last) == 0 {
			return nil, "0-0", nil
		}
		return nil, last[0].ID, nil
	}
	for deadline := s.machine().Add(block); ; {
		// Redis takes a block of 0 for one without end, and go-redis a negative one for none.
		slice := min(deadline.Sub(s.machine()), 500*time.Millisecond)
		if slice < time.Millisecond {
			slice = -1
		}
		streams, err := s.client.XRead(ctx, &redis.XReadArgs{Streams: []string{keyspace.Changes, after}, Count: changesAtOnce, Block: slice}).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			if ctx.Err() != nil {
				return nil, after, ctx.Err()
			}
			return nil, after, fmt.Errorf("read %s: %w", keyspace.Changes, err)
		}
		seen := make(map[string]bool)
		for _, stream := range streams {
			for _, m := range stream.Messages {
				after = m.ID
				if id := text(m.Values["id"]); id != "" && !seen[id] {
					seen[id] = true
					ids = append(ids, id)
				}
			}
		}
		if len(ids) > 0 || slice < 0 {
			return ids, after, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, after, err
		}
	}
}
