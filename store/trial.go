package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/store/keyspace"
)

// trialKept is how long what a trial recorded can be looked at when it has ended.
const trialKept = 14 * 24 * time.Hour

// trialKey names the trial that goes on.
func trialKey() string { return keyspace.Shared.Global("trial") }

// enterTrial begins a trial, or ends the one that went on before, by whether the store is a trial's (Options.Trial). A new trial begins with
// nothing: what an ended one left is deleted. What an ended one recorded is kept for 14 days.
func (s *Store) enterTrial(ctx context.Context) error {
	on, err := s.client.Get(ctx, trialKey()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("look for a trial: %w", err)
	}
	switch {
	case s.opts.Trial == on:
		return nil
	case s.keys == keyspace.Trial:
		if err := s.eachTrialKey(ctx, func(pipe redis.Pipeliner, key string) { pipe.Unlink(ctx, key) }); err != nil {
			return err // it is not begun, so that the next start deletes the rest
		}
		return s.client.Set(ctx, trialKey(), s.opts.Trial, 0).Err()
	}
	if err := s.eachTrialKey(ctx, func(pipe redis.Pipeliner, key string) { pipe.Expire(ctx, key, trialKept) }); err != nil {
		return err
	}
	return s.client.Del(ctx, trialKey()).Err()
}

// eachTrialKey does the same with all keys of the trial.
func (s *Store) eachTrialKey(ctx context.Context, do func(pipe redis.Pipeliner, key string)) error {
	return s.eachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		for cursor := uint64(0); ; {
			keys, next, err := c.Scan(ctx, cursor, string(keyspace.Trial)+"*", trimPage).Result()
			if err != nil {
				return fmt.Errorf("look through the trial's keys: %w", err)
			}
			pipe := c.Pipeline()
			for _, key := range keys {
				do(pipe, key)
			}
			if err := run(ctx, pipe); err != nil {
				return fmt.Errorf("change the trial's keys: %w", err)
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
}
