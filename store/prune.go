package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// What one TrimLedgers looks at: prunePages pages of about prunePage keys on each master.
const (
	prunePages = 16
	prunePage  = 1000
)

// TrimLedgers removes what is too old to be kept from the ledgers of customers whose record is gone; those of the others are trimmed by
// Scan, which does not see these. A ledger has no time to live of its own: Redis would look into its table of those with every key that is
// read. One call looks at 16,000 keys of each master and the next goes on from there; the leader calls it every half minute.
func (s *Store) TrimLedgers(ctx context.Context) error {
	return s.eachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		at, _ := s.prunes.Load(c.Options().Addr)
		cursor, _ := at.(uint64)
		for range prunePages {
			keys, next, err := c.Scan(ctx, cursor, "care:{*}:ledger:*", prunePage).Result()
			if err != nil {
				return fmt.Errorf("trim ledgers: %w", err)
			}
			if err := s.pruneGone(ctx, keys); err != nil {
				return err
			}
			cursor = next
			s.prunes.Store(c.Options().Addr, cursor)
			if cursor == 0 {
				return nil
			}
		}
		return nil
	})
}

// pruneGone trims those of the ledgers whose customers are gone.
func (s *Store) pruneGone(ctx context.Context, ledgers []string) error {
	var ids []string
	for _, key := range ledgers {
		if _, id, ok := strings.Cut(key, ":ledger:"); ok && care.ValidID(id) {
			ids = append(ids, id)
		}
	}
	gone, err := s.gone(ctx, ids)
	if err != nil {
		return fmt.Errorf("trim ledgers: %w", err)
	}
	_, old, err := s.readFacts(ctx, gone, everything)
	if err != nil {
		return err
	}
	return s.prune(ctx, old)
}

// prune removes ledger entries that are too old to be kept. A ledger of which nothing is left is no more.
func (s *Store) prune(ctx context.Context, old map[string][]string) error {
	if len(old) == 0 {
		return nil
	}
	pipe := s.client.Pipeline()
	for customer, ids := range old {
		pipe.HDel(ctx, ledgerKey(customer), ids...)
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("prune ledgers: %w", err)
	}
	return nil
}
