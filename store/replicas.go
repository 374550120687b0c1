package store

import (
	"context"
	"time"

	"github.com/carebell/carebell/store/lua"
)

// Alive says that a replica is alive for ttl of Redis' clock, and counts those that are. agreed reports whether each of them knows of
// all others: until then one that has just come must leave to the others what they believe is theirs.
func (s *Store) Alive(ctx context.Context, replica string, ttl time.Duration) (count int, agreed bool, err error) {
	c := &lua.Call{Script: s.lua.Alive, Key: s.keys.Fence(0), Args: []any{replica, ttl.Milliseconds()}}
	if err := s.lua.Exec(ctx, []*lua.Call{c}, false); err != nil {
		return 0, false, err
	}
	l, err := c.List(2)
	if err != nil {
		return 0, false, err
	}
	return int(number(l[0])), number(l[1]) == 1, nil
}

// Leave takes a replica off the count at once.
func (s *Store) Leave(ctx context.Context, replica string) error {
	return s.lua.Exec(ctx, []*lua.Call{{Script: s.lua.Alive, Key: s.keys.Fence(0), Args: []any{replica, 0}}}, false)
}
