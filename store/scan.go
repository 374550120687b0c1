package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/keyspace"
)

// batch is how many customers are read at a time.
const batch = 1000

func logCustomer(id string) slog.Attr { return slog.String("customer", id) }

// Scan calls fn with the facts of every customer, in batches of about a thousand, all cluster masters side by side but fn never
// twice at once. Ledger entries older than 400
// days are removed on the way. A customer may come twice when keys change during the scan. Afterwards come the customers whose key is gone but
// for whom messages are still queued: their Err is care.ErrGone. It stops at fn's first error, or when ctx ends.
func (s *Store) Scan(ctx context.Context, fn func([]*care.Facts) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var one sync.Mutex
	visit := func(f *fetched) error {
		facts, old := s.decode(ctx, f)
		if err := s.Learn(ctx, facts); err != nil {
			return err
		}
		if err := s.prune(ctx, old); err != nil {
			return err
		}
		if err := s.endSignals(ctx, facts); err != nil {
			return err
		}
		one.Lock()
		defer one.Unlock()
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := fn(facts); err != nil {
			cancel(err) // the other masters stop too
			return err
		}
		return nil
	}
	err := s.eachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		// Redis answers for one batch while the one before is worked on.
		return s.ahead(ctx, func(ctx context.Context, next func([]string) error) error { return scanNode(ctx, c, next) }, visit)
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("scan customers: %w", err)
	}
	return s.scanGone(ctx, func(ids []string) error {
		f, err := s.fetch(ctx, ids, true)
		if err != nil {
			return err
		}
		return visit(f)
	})
}

// endSignals takes the signals of which nothing can come any more out of customers' overlays.
func (s *Store) endSignals(ctx context.Context, facts []*care.Facts) (err error) {
	now := s.clock()
	end := func(o *care.Overlay) error { o.EndSignals(now); return nil }
	for _, f := range facts {
		if f.Overlay != nil && f.Overlay.EndSignals(now) && !s.opts.Reader {
			err = errors.Join(err, s.UpdateOverlay(ctx, f.ID, end))
		}
	}
	return err
}

// ahead reads the batches of customers that list finds and hands them to visit, in order; it reads one ahead of what visit works on.
func (s *Store) ahead(ctx context.Context, list func(context.Context, func([]string) error) error, visit func(*fetched) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan *fetched)
	failed := make(chan error, 1)
	go func() {
		defer close(batches)
		failed <- list(ctx, func(ids []string) error {
			f, err := s.fetch(ctx, ids, true)
			if err != nil {
				return err
			}
			select {
			case batches <- f:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	for f := range batches {
		if err := visit(f); err != nil {
			cancel()
			<-failed //nolint:errcheck // it was told to end
			return err
		}
	}
	return <-failed
}

// scanNode visits the customers whose keys are on one node. Twice the same key in one batch is left out.
func scanNode(ctx context.Context, c *redis.Client, visit func([]string) error) error {
	ids := make([]string, 0, 2*batch)
	seen := make(map[string]bool, 2*batch)
	flush := func() error {
		if len(ids) == 0 {
			return nil
		}
		err := visit(slices.Clone(ids))
		ids = ids[:0]
		clear(seen)
		return err
	}
	cursor := uint64(0)
	for {
		keys, next, err := c.Scan(ctx, cursor, keyspace.CustomerPrefix+"*", batch).Result()
		if err != nil {
			return err
		}
		for _, key := range keys {
			id := strings.TrimPrefix(key, keyspace.CustomerPrefix)
			if !seen[id] && care.ValidID(id) {
				seen[id] = true
				ids = append(ids, id)
			}
		}
		if len(ids) >= batch {
			if err := flush(); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return flush()
		}
	}
}

// scanGone visits the customers in the queues whose key is gone.
func (s *Store) scanGone(ctx context.Context, visit func([]string) error) error {
	for shard := range care.Shards {
		seen := make(map[string]bool)
		for _, lane := range care.Lanes {
			for _, key := range []string{s.keys.Due(shard, lane), s.keys.Suspects(shard, lane)} {
				for at := int64(0); ; at += batch { // what moves meanwhile may be missed, or come twice
					members, err := s.client.ZRange(ctx, key, at, at+batch-1).Result()
					if err == nil {
						err = s.visitGone(ctx, members, seen, visit)
					}
					if err != nil {
						return fmt.Errorf("scan the queue: %w", err)
					}
					if len(members) < batch {
						break
					}
				}
			}
		}
	}
	return nil
}

// visitGone visits those of the members' customers whose key is gone.
func (s *Store) visitGone(ctx context.Context, members []string, seen map[string]bool, visit func([]string) error) error {
	var ids []string
	for _, r := range appendRefs(nil, members) {
		if !seen[r.Customer] {
			seen[r.Customer] = true
			ids = append(ids, r.Customer)
		}
	}
	gone, err := s.gone(ctx, ids)
	if err != nil || len(gone) == 0 {
		return err
	}
	return visit(gone)
}

// gone returns those of the customers whose key is gone.
func (s *Store) gone(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := s.client.Pipeline()
	there := make([]*redis.IntCmd, len(ids))
	for i, id := range ids {
		there[i] = pipe.Exists(ctx, keyspace.Customer(id))
	}
	if err := run(ctx, pipe); err != nil {
		return nil, err
	}
	var gone []string
	for i, id := range ids {
		if there[i].Val() == 0 {
			gone = append(gone, id)
		}
	}
	return gone, nil
}
