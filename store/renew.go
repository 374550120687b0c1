package store

import (
	"context"
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
)

// Renew lengthens the leases of the hands that the claims belong to, counted from now, on Redis' clock. False = the lease had ended. The
// claims themselves stay as they are, token and Until included: others may be reading them.
func (s *Store) Renew(ctx context.Context, claims []*care.Claim, lease time.Duration) ([]bool, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	type hand struct {
		shard int
		token int64
	}
	of := make([]hand, len(claims))
	alive := make(map[hand]bool)
	var hands [care.Shards][]int64
	for i, c := range claims {
		of[i] = hand{care.Shard(c.Record.Customer), c.Token}
		if _, known := alive[of[i]]; !known {
			alive[of[i]] = false
			hands[of[i].shard] = append(hands[of[i].shard], c.Token)
		}
	}
	var calls []*call
	for shard, tokens := range hands {
		if len(tokens) == 0 {
			continue
		}
		c := &call{script: s.lua.renew, key: fenceKey(shard)}
		c.add(lease.Microseconds())
		for _, token := range tokens {
			c.say(strconv.FormatInt(token, 10))
		}
		calls = append(calls, c)
	}
	err := s.exec(ctx, calls, false)
	next := 0
	for shard, tokens := range hands {
		if len(tokens) == 0 {
			continue
		}
		if l, err := calls[next].list(len(tokens)); err == nil {
			for i, token := range tokens {
				alive[hand{shard, token}] = number(l[i]) > 0
			}
		}
		next++
	}
	oks := make([]bool, len(claims))
	for i := range oks {
		oks[i] = alive[of[i]]
	}
	return oks, err
}
