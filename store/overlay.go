package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
	"github.com/carebell/carebell/store/lua"
)

// casTries is how often a compare-and-set starts again when somebody else was faster.
const casTries = 20

// errBusy is why a compare-and-set gave up: somebody keeps changing the same key.
var errBusy = errors.New("it keeps being changed by others; try again")

// UpdateOverlay changes what the daemon knows of a customer beside the record. fn gets the overlay as it is (never nil) and may be
// called again when another change came between. A damaged overlay is not overwritten: there may be an opt-out in it.
// Of an erased customer nothing is kept but opt-outs and dead addresses.
func (s *Store) UpdateOverlay(ctx context.Context, customer string, fn func(*care.Overlay) error) error {
	err := s.updateField(ctx, keyspace.Shared.Ledger(customer), codec.OverlayField, func(old []byte) ([]byte, error) {
		o := new(care.Overlay)
		if len(old) > 0 && json.Unmarshal(old, o) != nil {
			return nil, errOverlay
		}
		erased := o.Erased
		if err := fn(o); err != nil {
			return nil, err
		}
		if erased {
			keepTombstone(o)
		}
		return json.Marshal(o)
	})
	switch {
	case wrongType(err):
		return fmt.Errorf("customer %s: %w", customer, errOverlay)
	case err != nil:
		return fmt.Errorf("overlay of %s: %w", customer, err)
	}
	return nil
}

// updateField changes a field of a hash that holds JSON by compare-and-set. fn may be called again when another change came between.
func (s *Store) updateField(ctx context.Context, key, field string, fn func(old []byte) ([]byte, error)) error {
	for range casTries {
		old, err := s.client.HGet(ctx, key, field).Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		raw, err := fn(old)
		if err != nil {
			return err
		}
		if bytes.Equal(raw, old) || len(old) == 0 && string(raw) == "{}" {
			return nil
		}
		c := &lua.Call{Script: s.lua.Swap, Key: key, Args: []any{field, old, raw}}
		if err := s.lua.Exec(ctx, []*lua.Call{c}, true); err != nil {
			return err
		}
		if c.Number() == 1 {
			return nil
		}
	}
	return errBusy
}
