package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

// The index from addresses to customers is a hash per bucket of addresses: small hashes of a few dozen take a quarter of the memory that a key
// for each address would. A field is an address and one of its customers, so that nobody who adds one has to read who was there.

// AddressLink says that a customer can be reached at an address, which is kept as a keyed hash only (contact.Hash).
type AddressLink struct{ Hash, Customer string }

// addressKey returns the bucket of a hash, and how the fields of the address begin there.
func addressKey(hash string) (key, address string) {
	const head, tail = 4, 16
	cut := min(head, len(hash))
	return shared.shard(care.Shard(hash), "addr:"+hash[:cut]), hash[cut:min(cut+tail, len(hash))] + "|"
}

// Link adds customers to the index, for replies and bounces that name nothing but an address. A customer who has left an address stays
// in it: whoever uses the index compares it with the record. One who was erased is not added.
func (s *Store) Link(ctx context.Context, links []AddressLink) error {
	for chunk := range slices.Chunk(links, batch) {
		pipe := s.client.Pipeline()
		customers := make([]string, len(chunk))
		for i, l := range chunk {
			key, address := addressKey(l.Hash)
			pipe.HSet(ctx, key, address+l.Customer, "")
			customers[i] = l.Customer
		}
		if err := run(ctx, pipe); err != nil {
			return fmt.Errorf("link addresses: %w", err)
		}
		// Written first, looked at afterwards: of an erasure at the same time either this sees the tombstone, or the erasure the link.
		erased, err := s.erased(ctx, customers)
		if err != nil {
			return err
		}
		for _, l := range chunk {
			if !erased[l.Customer] {
				continue
			}
			if err := s.unlink(ctx, l.Customer, []string{l.Hash}); err != nil {
				return fmt.Errorf("link addresses: %w", err)
			}
		}
	}
	return nil
}

// ByAddress returns the customers of an address's hash, in the order of their ids.
func (s *Store) ByAddress(ctx context.Context, hash string) ([]string, error) {
	key, address := addressKey(hash)
	fields, err := s.client.HKeys(ctx, key).Result()
	if err != nil {
		return nil, fmt.Errorf("look an address up: %w", err)
	}
	var out []string
	for _, f := range fields {
		if customer, ok := strings.CutPrefix(f, address); ok {
			out = append(out, customer)
		}
	}
	slices.Sort(out)
	return out, nil
}

// unlink takes a customer off addresses.
func (s *Store) unlink(ctx context.Context, customer string, hashes []string) error {
	pipe := s.client.Pipeline()
	for _, hash := range hashes {
		if hash != "" {
			key, address := addressKey(hash)
			pipe.HDel(ctx, key, address+customer)
		}
	}
	return run(ctx, pipe)
}

// trimAddresses takes those off the buckets whose record is gone and of whom the ledger knows no message any more.
func (s *Store) trimAddresses(ctx context.Context, buckets []string) error {
	pipe := s.client.Pipeline()
	fields := make([]*redis.StringSliceCmd, len(buckets))
	for i, key := range buckets {
		fields[i] = pipe.HKeys(ctx, key)
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("trim addresses: %w", err)
	}
	at := make(map[string][]string) // bucket and field by customer
	for i, c := range fields {
		for _, f := range c.Val() {
			if _, customer, ok := strings.Cut(f, "|"); ok {
				at[customer] = append(at[customer], buckets[i], f)
			}
		}
	}
	ids := make([]string, 0, len(at))
	for id := range at {
		ids = append(ids, id)
	}
	gone, err := s.gone(ctx, ids)
	if err != nil {
		return fmt.Errorf("trim addresses: %w", err)
	}
	pipe = s.client.Pipeline()
	entries, overlays := make([]*redis.IntCmd, len(gone)), make([]*redis.BoolCmd, len(gone))
	for i, id := range gone {
		entries[i], overlays[i] = pipe.HLen(ctx, shared.ledger(id)), pipe.HExists(ctx, shared.ledger(id), codec.OverlayField)
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("trim addresses: %w", err)
	}
	pipe = s.client.Pipeline()
	for i, id := range gone {
		if n := entries[i].Val(); n > 1 || n == 1 && !overlays[i].Val() || entries[i].Err() != nil {
			continue // a reply to one of their messages may still come
		}
		for pair := range slices.Chunk(at[id], 2) {
			pipe.HDel(ctx, pair[0], pair[1])
		}
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("trim addresses: %w", err)
	}
	return nil
}
