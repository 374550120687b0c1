package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

var errAddress = errors.New("what is known of the address is damaged (a field of care:{…}:addresses)")

// UpdateAddress changes what is known of an address, whoever has it. fn gets it as it is (never nil) and may be called again when
// another change came between. What is damaged is not overwritten: there may be an opt-out in it.
func (s *Store) UpdateAddress(ctx context.Context, hash string, fn func(*care.AddressState)) error {
	err := s.updateField(ctx, addressesKey(hash), hash, func(old []byte) ([]byte, error) {
		a := new(care.AddressState)
		if len(old) > 0 && json.Unmarshal(old, a) != nil {
			return nil, errAddress
		}
		fn(a)
		return json.Marshal(a)
	})
	if err != nil {
		return fmt.Errorf("an address: %w", err)
	}
	return nil
}

// Address returns what is known of an address; it is never nil.
func (s *Store) Address(ctx context.Context, hash string) (*care.AddressState, error) {
	raw, err := s.client.HGet(ctx, addressesKey(hash), hash).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("an address: %w", err)
	}
	return s.readAddress(ctx, raw), nil
}

// readAddress reads a field. A damaged one counts as a no: there may have been one in it.
func (s *Store) readAddress(ctx context.Context, raw string) *care.AddressState {
	a := new(care.AddressState)
	if raw != "" && json.Unmarshal([]byte(raw), a) != nil {
		s.log.ErrorContext(ctx, errAddress.Error())
		return &care.AddressState{Stop: care.Stop{At: s.clock(), Source: "damaged"}}
	}
	return a
}

// ReadAddresses has Facts and Scan read what is known of customers' addresses, whose hashes fn returns: how a number is read depends on the
// care book. It is called before anything else.
func (s *Store) ReadAddresses(fn func(*care.Customer) []care.AddressHash) { s.addresses = fn }

// HashKey returns the fingerprint of the key that addresses are hashed with, "" if there is none yet. With a fingerprint to keep, it becomes
// that one if there is none.
func (s *Store) HashKey(ctx context.Context, keep string) (string, error) {
	const what = "the fingerprint of the addresses' key: %w"
	have, err := s.client.Get(ctx, globalKey("addresses:key")).Result()
	switch {
	case err == nil:
		return have, nil
	case !errors.Is(err, redis.Nil):
		return "", fmt.Errorf(what, err)
	case keep == "":
		return "", nil
	}
	if err := s.client.SetNX(ctx, globalKey("addresses:key"), keep, 0).Err(); err != nil {
		return "", fmt.Errorf(what, err)
	}
	have, err = s.client.Get(ctx, globalKey("addresses:key")).Result()
	if err != nil {
		return "", fmt.Errorf(what, err)
	}
	return have, nil
}

// learnAddresses adds to the facts what is known of the customers' addresses: one round trip per Redis node.
func (s *Store) learnAddresses(ctx context.Context, facts []*care.Facts) error {
	if s.addresses == nil {
		return nil
	}
	type owner struct {
		facts *care.Facts
		at    care.AddressHash
	}
	var fields [care.Shards][]string
	var owners [care.Shards][]owner
	for _, f := range facts {
		if f.Customer == nil {
			continue
		}
		for _, at := range s.addresses(f.Customer) {
			shard := care.Shard(at.Hash)
			fields[shard], owners[shard] = append(fields[shard], at.Hash), append(owners[shard], owner{f, at})
		}
	}
	pipe := s.client.Pipeline()
	var found [care.Shards]*redis.SliceCmd
	for shard := range fields {
		if len(fields[shard]) > 0 {
			found[shard] = pipe.HMGet(ctx, shardKey(shard, "addresses"), fields[shard]...)
		}
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("read addresses: %w", err)
	}
	for shard, cmd := range found {
		if cmd == nil {
			continue
		}
		if err := cmd.Err(); err != nil {
			return fmt.Errorf("read addresses: %w", err) // of a wrong type: nobody may be written to
		}
		for i, v := range cmd.Val() {
			if raw := text(v); raw != "" {
				owners[shard][i].facts.Learn(owners[shard][i].at, s.readAddress(ctx, raw))
			}
		}
	}
	return nil
}

// WhoHas returns for each of the hashes who has such an address in their record. It reads every customer.
func (s *Store) WhoHas(ctx context.Context, hashes []string) (map[string][]string, error) {
	out := make(map[string][]string)
	err := s.Scan(ctx, func(facts []*care.Facts) error {
		for _, f := range facts {
			if f.Customer == nil || f.AddressErased || s.addresses == nil {
				continue
			}
			for _, at := range s.addresses(f.Customer) {
				if slices.Contains(hashes, at.Hash) && !slices.Contains(out[at.Hash], f.ID) {
					out[at.Hash] = append(out[at.Hash], f.ID)
				}
			}
		}
		return nil
	})
	return out, err
}
