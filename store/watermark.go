package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// Watermark is how far each shard had come: a number that grows with every intent and result that Redis has confirmed. One that has
// gone back shows that Redis was restored from a snapshot or lost its last writes.
type Watermark [care.Shards]int64

// ErrRestored is returned by Claim and Begin once the state has gone back in time: messages may have been sent that it does not know
// of. Nothing is sent until an operator has looked and Accept is called.
var ErrRestored = errors.New("the state in Redis is older than what this replica has seen: it was restored from a snapshot, or its last " +
	"writes are lost; look at what was sent since, then tell carebell to go on")

// lastWrites is how much an append-only file that is synced every second may lack after a crash of the machine. What is that young is
// not expected to be there.
const (
	lastWrites      = 2 * time.Second
	watermarksEvery = 200 * time.Millisecond
)

type watermarks struct {
	mu    sync.Mutex
	high  Watermark // confirmed
	solid Watermark // high as it was lastWrites ago
	young []aged
	back  bool
}

// aged is what high was at a moment that is not old enough.
type aged struct {
	at        time.Time
	watermark Watermark
}

// floor is what an answer to a question that is asked now may not fall short of.
func (m *watermarks) floor() Watermark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.solid
}

// seen takes a shard's watermark out of an answer. floor is as it was when the question was asked, because answers may overtake each
// other. Only a confirmed watermark is expected from then on: a failover may lose the others, and nothing was sent on them.
func (m *watermarks) seen(shard int, text string, floor int64, confirmed bool, now time.Time) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil { // a script that changed nothing does not say
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.compare(shard, n, floor, confirmed)
	m.age(now)
}

// compare takes what a shard's watermark is now.
func (m *watermarks) compare(shard int, n, floor int64, confirmed bool) {
	switch {
	case n < floor:
		m.back = true
	case n < m.high[shard]:
		// The answer was overtaken, or the last writes are lost: those are not expected any more.
		m.high[shard] = n
		for i := range m.young {
			m.young[i].watermark[shard] = min(m.young[i].watermark[shard], n)
		}
	case confirmed:
		m.high[shard] = n
	}
}

// age lets what was seen long enough ago become solid.
func (m *watermarks) age(now time.Time) {
	if n := len(m.young); n == 0 || now.Sub(m.young[n-1].at) >= watermarksEvery {
		m.young = append(m.young, aged{now, m.high})
	}
	for len(m.young) > 0 && now.Sub(m.young[0].at) >= lastWrites {
		for shard, n := range m.young[0].watermark {
			m.solid[shard] = max(m.solid[shard], n)
		}
		m.young = slices.Delete(m.young, 0, 1)
	}
}

func (m *watermarks) stopped() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.back {
		return ErrRestored
	}
	return nil
}

// Watermark reads the shards' watermarks as they are in Redis.
func (s *Store) Watermark(ctx context.Context) (Watermark, error) {
	var m Watermark
	cmds, err := fromShards(ctx, s, func(pipe redis.Pipeliner, shard int) *redis.StringCmd {
		return pipe.Get(ctx, s.keys.Shard(shard, "watermark"))
	})
	if err != nil {
		return m, fmt.Errorf("read the watermarks: %w", err)
	}
	for shard, c := range cmds {
		m[shard], _ = c.Int64() // no watermark yet is 0
	}
	return m, nil
}

// Expect compares Redis with watermarks that were remembered elsewhere (CARE_STATE_DIR) and with what this replica has seen. If a shard has
// gone back, ErrRestored is returned, and Claim and Begin return it from then on. Call it at the start, every second or so, and after a
// reconnect.
func (s *Store) Expect(ctx context.Context, remembered Watermark) error {
	floor := s.watermarks.floor()
	now, err := s.Watermark(ctx)
	if err != nil {
		return err
	}
	confirmed := !s.lua.AnyReplicas()
	s.watermarks.mu.Lock()
	defer s.watermarks.mu.Unlock()
	for shard := range now {
		s.watermarks.compare(shard, now[shard], max(remembered[shard], floor[shard]), confirmed)
		s.watermarks.high[shard] = max(s.watermarks.high[shard], remembered[shard])
		s.watermarks.solid[shard] = max(s.watermarks.solid[shard], remembered[shard])
	}
	s.watermarks.age(s.machine())
	if s.watermarks.back {
		return ErrRestored
	}
	return nil
}

// Restored reports whether this replica has noticed that the state went back in time.
func (s *Store) Restored() bool { return s.watermarks.stopped() != nil }

// Seen returns the highest watermarks that this replica has seen, for CARE_STATE_DIR at a stop.
func (s *Store) Seen() Watermark {
	s.watermarks.mu.Lock()
	defer s.watermarks.mu.Unlock()
	return s.watermarks.high
}

// Solid returns the watermarks without what is so young that a crash of Redis' machine may lose it, for CARE_STATE_DIR while it runs.
func (s *Store) Solid() Watermark { return s.watermarks.floor() }

// Accept takes the state as it is, after ErrRestored.
func (s *Store) Accept(ctx context.Context) error {
	now, err := s.Watermark(ctx)
	if err != nil {
		return err
	}
	s.watermarks.mu.Lock()
	defer s.watermarks.mu.Unlock()
	s.watermarks.high, s.watermarks.solid, s.watermarks.young, s.watermarks.back = now, now, nil, false
	return nil
}
