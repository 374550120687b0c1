package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/addresses"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
)

// AddressLink says that a customer can be reached at an address.
type AddressLink = addresses.Link

// indexAddresses joins what is known of addresses with this store.
func (s *Store) indexAddresses() *addresses.Index {
	return addresses.New(addresses.Config{
		Client: s.client, Key: keyspace.Shared.Shard, Change: s.updateField, Erased: s.erased, Clock: s.clock, Log: s.log,
	})
}

// WhoHas returns for each of the hashes who has such an address in their record. It reads every customer.
func (s *Store) WhoHas(ctx context.Context, hashes []string) (map[string][]string, error) {
	out := make(map[string][]string)
	err := s.Scan(ctx, func(facts []*care.Facts) error {
		for _, f := range facts {
			if f.Customer == nil || f.AddressErased {
				continue
			}
			for _, at := range s.AddressesOf(f.Customer) {
				if slices.Contains(hashes, at.Hash) && !slices.Contains(out[at.Hash], f.ID) {
					out[at.Hash] = append(out[at.Hash], f.ID)
				}
			}
		}
		return nil
	})
	return out, err
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
		entries[i], overlays[i] = pipe.HLen(ctx, keyspace.Shared.Ledger(id)), pipe.HExists(ctx, keyspace.Shared.Ledger(id), codec.OverlayField)
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
