package store

import (
	"context"
	"time"

	"github.com/carebell/carebell/store/lua"
)

// Lead takes or keeps the leader's lease for ttl of Redis' clock. While ok, fence is the leader's term: a number that grows with each new
// one. Call it several times within ttl.
func (s *Store) Lead(ctx context.Context, holder string, ttl time.Duration) (fence int64, ok bool, err error) {
	c := &lua.Call{Script: s.lua.Lead, Key: s.keys.Fence(0), Args: []any{holder, ttl.Milliseconds()}}
	if err := s.lua.Exec(ctx, []*lua.Call{c}, true); err != nil {
		return 0, false, err
	}
	fence = c.Number()
	return fence, fence > 0, nil
}

// Resign gives the lease up, so that another replica leads at once. Nothing happens if holder does not lead.
func (s *Store) Resign(ctx context.Context, holder string) error {
	return s.lua.Exec(ctx, []*lua.Call{{Script: s.lua.Lead, Key: s.keys.Fence(0), Args: []any{holder, 0}}}, false)
}
