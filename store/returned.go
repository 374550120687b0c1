package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Returned counts returned mail that taught nothing, by why.
type Returned struct {
	Why   string
	Count int
	Last  time.Time
}

// CountReturned counts a returned mail that taught nothing. It reports whether it is the first of its kind for an hour.
func (s *Store) CountReturned(ctx context.Context, why string, at time.Time) (first bool, err error) {
	pipe := s.client.Pipeline()
	pipe.HIncrBy(ctx, globalKey("returned"), why, 1)
	pipe.HSet(ctx, globalKey("returned"), why+":at", at.Unix())
	told := pipe.SetNX(ctx, globalKey("returned:"+why), 1, time.Hour)
	if err := run(ctx, pipe); err != nil {
		return false, fmt.Errorf("count a returned mail: %w", err)
	}
	return told.Val(), nil
}

// ReturnedMail returns the counts, ordered by why.
func (s *Store) ReturnedMail(ctx context.Context) ([]Returned, error) {
	all, err := s.client.HGetAll(ctx, globalKey("returned")).Result()
	if err != nil {
		return nil, fmt.Errorf("count returned mail: %w", err)
	}
	var out []Returned
	for why, n := range all {
		at, ok := all[why+":at"]
		if !ok {
			continue
		}
		count, _ := strconv.Atoi(n)
		seconds, _ := strconv.ParseInt(at, 10, 64)
		out = append(out, Returned{Why: why, Count: count, Last: time.Unix(seconds, 0)})
	}
	slices.SortFunc(out, func(a, b Returned) int { return len(a.Why) - len(b.Why) })
	return out, nil
}
