package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Cursor is how far a reader of care:events has come.
type Cursor struct {
	Entry string // the last entry that needs no more work, "" = none yet
	Count int64  // entries up to it, since the stream began: what was trimmed before it was read shows as a gap
}

// EventCursor returns how far a reader of that name had come.
func (s *Store) EventCursor(ctx context.Context, reader string) (Cursor, error) {
	v, err := s.client.Get(ctx, s.keys.Global("read:"+reader)).Result()
	if errors.Is(err, redis.Nil) {
		return Cursor{}, nil
	}
	if err != nil {
		return Cursor{}, fmt.Errorf("read a cursor of %s: %w", s.keys.Events(), err)
	}
	entry, count, _ := strings.Cut(v, " ")
	n, _ := strconv.ParseInt(count, 10, 64)
	return Cursor{entry, n}, nil
}

// SetEventCursor remembers it for the next leader.
func (s *Store) SetEventCursor(ctx context.Context, reader string, p Cursor) error {
	return s.client.Set(ctx, s.keys.Global("read:"+reader), p.Entry+" "+strconv.FormatInt(p.Count, 10), 0).Err()
}

// EventsTrimmed counts the entries that care:events has lost to its bound since it began. What an erasure took
// out of it does not count.
func (s *Store) EventsTrimmed(ctx context.Context) (int64, error) {
	info, err := s.client.XInfoStream(ctx, s.keys.Events()).Result()
	switch {
	case redis.HasErrorPrefix(err, "no such key"):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("examine %s: %w", s.keys.Events(), err)
	}
	erased, err := s.client.Get(ctx, s.keys.Global("events:erased")).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("examine %s: %w", s.keys.Events(), err)
	}
	return max(info.EntriesAdded-info.Length-erased, 0), nil
}
