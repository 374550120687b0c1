package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// AddressLink says that a customer can be reached at an address, which is kept as a keyed hash only (contact.Hash).
type AddressLink struct{ Hash, Customer string }

// addressKey returns the bucket of a hash and its field there: small hashes of a few dozen addresses take a quarter of the memory
// that a key for each would.
func addressKey(hash string) (key, field string) {
	const head, tail = 4, 16
	cut := min(head, len(hash))
	return shardKey(care.Shard(hash), "addr:"+hash[:cut]), hash[cut:min(cut+tail, len(hash))]
}

// Link remembers whom addresses belong to, for replies and bounces that name nothing else. A customer who has left an address stays
// linked to it: whoever uses the link compares it with the record. One who was erased is not linked.
func (s *Store) Link(ctx context.Context, links []AddressLink) error {
	for chunk := range slices.Chunk(links, batch) {
		pipe := s.client.Pipeline()
		cmds := make([]*redis.StringCmd, len(chunk))
		for i, l := range chunk {
			key, field := addressKey(l.Hash)
			cmds[i] = pipe.HGet(ctx, key, field)
		}
		if err := run(ctx, pipe); err != nil {
			return fmt.Errorf("link addresses: %w", err)
		}
		merged := make(map[string][]string, len(chunk))
		changed := make(map[string]bool)
		for i, l := range chunk {
			if _, ok := merged[l.Hash]; !ok {
				merged[l.Hash] = splitList(cmds[i].Val())
			}
			if !slices.Contains(merged[l.Hash], l.Customer) {
				merged[l.Hash] = append(merged[l.Hash], l.Customer)
				changed[l.Hash] = true
			}
		}
		if len(changed) == 0 {
			continue
		}
		pipe = s.client.Pipeline()
		var customers []string
		for hash := range changed {
			key, field := addressKey(hash)
			pipe.HSet(ctx, key, field, joinIDs(merged[hash]))
			customers = append(customers, merged[hash]...)
		}
		if err := run(ctx, pipe); err != nil {
			return fmt.Errorf("link addresses: %w", err)
		}
		// Written first, looked at afterwards: of an erasure at the same time either this sees the tombstone, or the erasure the link.
		erased, err := s.erased(ctx, customers)
		if err != nil {
			return err
		}
		for hash := range changed {
			for _, id := range merged[hash] {
				if erased[id] {
					if err := s.unlink(ctx, id, []string{hash}); err != nil {
						return fmt.Errorf("link addresses: %w", err)
					}
				}
			}
		}
	}
	return nil
}

// ByAddress returns the customers linked to an address's hash.
func (s *Store) ByAddress(ctx context.Context, hash string) ([]string, error) {
	pipe := s.client.Pipeline()
	key, field := addressKey(hash)
	cmd := pipe.HGet(ctx, key, field)
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("look an address up: %w", err)
	}
	return splitList(cmd.Val()), nil
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
