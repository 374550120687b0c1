package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/carebell/carebell/care"
)

// Mark is how far each shard had come: a number that grows with every intent and result that Redis has confirmed. One that has
// gone back shows that Redis was restored from a snapshot or lost its last writes.
type Mark [care.Shards]int64

// ErrRestored is returned by Claim and Begin once the state has gone back in time: messages may have been sent that it does not know
// of. Nothing is sent until an operator has looked and Accept is called.
var ErrRestored = errors.New("the state in Redis is older than what this replica has seen: it was restored from a snapshot, or its last " +
	"writes are lost; look at what was sent since, then tell carebell to go on")

type marks struct {
	mu   sync.Mutex
	high Mark
	back bool
}

func (m *marks) seen(shard int, text string) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case n >= m.high[shard]:
		m.high[shard] = n
	case m.high[shard]-n > markSlack:
		m.back = true
	}
}

// markSlack is how far answers may overtake each other: pipelines run side by side, and an older answer may be read after a newer.
const markSlack = 64

func (m *marks) stopped() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.back {
		return ErrRestored
	}
	return nil
}

// Mark reads the shards' marks as they are in Redis.
func (s *Store) Mark(ctx context.Context) (Mark, error) {
	pipe := s.client.Pipeline()
	var m Mark
	cmds := make([]interface{ Int64() (int64, error) }, care.Shards)
	for shard := range cmds {
		cmds[shard] = pipe.Get(ctx, shardKey(shard, "mark"))
	}
	if err := run(ctx, pipe); err != nil {
		return m, fmt.Errorf("read the marks: %w", err)
	}
	for shard, c := range cmds {
		m[shard], _ = c.Int64() // no mark yet is 0
	}
	return m, nil
}

// Expect compares Redis with a mark that was remembered elsewhere (CARE_STATE_DIR) or seen by this replica before. If a shard has
// gone back, ErrRestored is returned, and Claim and Begin return it from then on. Call it at the start and after every reconnect.
func (s *Store) Expect(ctx context.Context, remembered Mark) error {
	now, err := s.Mark(ctx)
	if err != nil {
		return err
	}
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	for shard := range now {
		if now[shard] < remembered[shard] || now[shard] < s.marks.high[shard] {
			s.marks.back = true
		}
		s.marks.high[shard] = max(s.marks.high[shard], remembered[shard])
	}
	if s.marks.back {
		return ErrRestored
	}
	return nil
}

// Seen returns the highest marks that this replica has seen, for CARE_STATE_DIR.
func (s *Store) Seen() Mark {
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	return s.marks.high
}

// Accept takes the state as it is, after ErrRestored.
func (s *Store) Accept(ctx context.Context) error {
	now, err := s.Mark(ctx)
	if err != nil {
		return err
	}
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	s.marks.high, s.marks.back = now, false
	return nil
}
