package store

import (
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

// Erase takes a customer out of Redis for good (PIPL art. 47, GDPR art. 17): what waits in the queues, the ledger, the timeline, the
// tasks, the records of their messages and what they told us, also what of it stands in care:events; and, from the addresses with these hashes
// (contact.Hash), the way to the customer. record also deletes care:customer:<id>, and tells care:changes.
//
// What is left is a tombstone: the opt-outs and the dead addresses, as hashes, which the law wants kept, and the word that the
// customer is never served again. Nothing personal gets past it: Apply adds no message for an erased customer, UpdateOverlay keeps no
// more than opt-outs and dead addresses, Link and Note undo what they wrote.
//
// A message that a replica holds goes too. If it was not sent yet, Begin refuses it; what has been sent cannot be called
// back, but Renew and Complete find nothing any more, so its result is not recorded.
//
// After an error it is not known how far it came: erase again. Twice does no harm.
func (s *Store) Erase(ctx context.Context, customer string, hashes []string, record bool) error {
	// The tombstone comes first: what others write from then on sees it, and what they wrote before is taken away below.
	spaces := []keyspace.Space{keyspace.Shared}
	if n, err := s.client.Exists(ctx, keyspace.Trial.Ledger(customer)).Result(); err != nil {
		return fmt.Errorf("erase %s: %w", customer, err)
	} else if n > 0 {
		spaces = append(spaces, keyspace.Trial)
	}
	for _, k := range spaces {
		dead, err := s.leaveTombstone(ctx, k, customer)
		if err == nil {
			err = s.Unlink(ctx, customer, append(dead, hashes...))
		}
		if err == nil {
			err = s.eraseTasks(ctx, k, customer)
		}
		if err == nil {
			err = s.eraseEvents(ctx, k, customer)
		}
		if err != nil {
			return fmt.Errorf("erase %s: %w", customer, err)
		}
	}
	if err := s.EraseSignals(ctx, customer); err != nil {
		return fmt.Errorf("erase %s: %w", customer, err)
	}
	if !record {
		return nil
	}
	if err := s.client.Del(ctx, keyspace.Customer(customer)).Err(); err != nil {
		return fmt.Errorf("erase %s: its record: %w", customer, err)
	}
	if err := s.Changed(ctx, customer); err != nil {
		return fmt.Errorf("erase %s: %w", customer, err)
	}
	return nil
}

// leaveTombstone empties the customer's shard of them and returns the hashes of their dead addresses. What is in a damaged overlay is lost, an
// opt-out in it too: the tombstone stops more than any of them.
func (s *Store) leaveTombstone(ctx context.Context, k keyspace.Space, customer string) (dead []string, err error) {
	for range casTries {
		old, err := s.client.HGet(ctx, k.Ledger(customer), codec.OverlayField).Result()
		if err != nil && !errors.Is(err, redis.Nil) && !wrongType(err) {
			return nil, err
		}
		o := new(care.Overlay)
		if old != "" && json.Unmarshal([]byte(old), o) != nil {
			s.log.ErrorContext(ctx, "the overlay of an erased customer is damaged", logCustomer(customer))
			o = new(care.Overlay)
		}
		keepTombstone(o)
		raw, err := json.Marshal(o)
		if err != nil {
			return nil, err
		}
		c := &lua.Call{Script: s.lua.Erase, Key: k.Fence(care.Shard(customer)), Args: []any{customer, old, raw}}
		for _, lane := range care.Lanes {
			c.Add(lane.String())
		}
		if err := s.lua.Exec(ctx, []*lua.Call{c}, true); err != nil {
			return nil, err
		}
		if c.Number() == 0 {
			continue
		}
		for _, sup := range o.Suppressed {
			dead = append(dead, sup.Hash)
		}
		return dead, nil
	}
	return nil, errBusy
}

// keepTombstone leaves of an overlay what is kept of an erased customer.
func keepTombstone(o *care.Overlay) {
	*o = care.Overlay{Stops: o.Stops, Suppressed: o.Suppressed, Erased: true}
}

// eraseEvents deletes from care:events what has a value: the words and numbers that the customer sent. Entries without one carry ids and
// states only and stay until they are trimmed.
func (s *Store) eraseEvents(ctx context.Context, k keyspace.Space, customer string) error {
	for from := "-"; ; {
		page, err := s.client.XRangeN(ctx, k.Events(), from, "+", batch).Result()
		if err != nil {
			return fmt.Errorf("read %s: %w", k.Events(), err)
		}
		var theirs []string
		for _, entry := range page {
			if text(entry.Values["customer"]) == customer && text(entry.Values["value"]) != "" {
				theirs = append(theirs, entry.ID)
			}
		}
		if len(theirs) > 0 {
			n, err := s.client.XDel(ctx, k.Events(), theirs...).Result()
			if err == nil {
				// Redis counts them among what the stream has lost; EventsTrimmed takes them off again.
				err = s.client.IncrBy(ctx, k.Global("events:erased"), n).Err()
			}
			if err != nil {
				return fmt.Errorf("write %s: %w", k.Events(), err)
			}
		}
		if len(page) < batch {
			return nil
		}
		from = "(" + page[len(page)-1].ID
	}
}

// erased says which of the customers have a tombstone.
func (s *Store) erased(ctx context.Context, customers []string) (map[string]bool, error) {
	pipe := s.client.Pipeline()
	cmds := make([]*redis.StringCmd, len(customers))
	for i, id := range customers {
		cmds[i] = pipe.HGet(ctx, keyspace.Shared.Ledger(id), codec.OverlayField)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("look for tombstones: %w", err)
	}
	out := make(map[string]bool)
	for i, id := range customers {
		if isTombstone(cmds[i].Val()) {
			out[id] = true
		}
	}
	return out, nil
}

// isTombstone reports whether an overlay, as it is stored, is a tombstone.
func isTombstone(raw string) bool {
	var o struct {
		Erased bool `json:"erased"`
	}
	return raw != "" && json.Unmarshal([]byte(raw), &o) == nil && o.Erased
}
