package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
)

// What one TrimLedgers looks at: trimPages pages of about trimPage keys of each kind on each master.
const (
	trimPages = 16
	trimPage  = 1000
)

// trimWalk is where the next TrimLedgers goes on: a master and a pattern.
type trimWalk struct{ address, pattern string }

// TrimLedgers removes what is too old to be kept from the ledgers of customers whose record is gone, and then the customers themselves from the
// index of addresses. The ledgers of the others are trimmed by Scan, which does not see these. A ledger has no time to live of its own: Redis
// would look into its table of those with every key that is read. One call looks at 16,000 keys of each kind and master and the next goes on from
// there; the leader calls it every half minute.
func (s *Store) TrimLedgers(ctx context.Context) error {
	return s.eachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		if err := s.walkKeys(ctx, c, string(s.keys)+"{*}:ledger:*", s.pruneGone); err != nil {
			return err
		}
		return s.walkKeys(ctx, c, "care:{*}:addr:*", s.trimAddresses)
	})
}

// walkKeys goes on through a master's keys of a pattern.
func (s *Store) walkKeys(ctx context.Context, c *redis.Client, pattern string, visit func(context.Context, []string) error) error {
	at := trimWalk{c.Options().Addr, pattern}
	was, _ := s.trims.Load(at)
	cursor, _ := was.(uint64)
	for range trimPages {
		keys, next, err := c.Scan(ctx, cursor, pattern, trimPage).Result()
		if err != nil {
			return fmt.Errorf("trim %s: %w", pattern, err)
		}
		if len(keys) > 0 {
			if err := visit(ctx, keys); err != nil {
				return err
			}
		}
		cursor = next
		s.trims.Store(at, cursor)
		if cursor == 0 {
			return nil
		}
	}
	return nil
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
	_, old, err := s.readFacts(ctx, gone, true)
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
		pipe.HDel(ctx, s.keys.Ledger(customer), ids...)
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("prune ledgers: %w", err)
	}
	return nil
}

// Trim shortens the streams and the list of tasks, and forgets the days whose records have expired; the leader calls it now and then.
func (s *Store) Trim(ctx context.Context) error {
	if err := s.trimTasks(ctx); err != nil {
		return fmt.Errorf("trim the tasks: %w", err)
	}
	pipe := s.client.Pipeline()
	pipe.XTrimMaxLenApprox(ctx, keyspace.Changes, keyspace.ChangesKept, 0)
	pipe.XTrimMaxLenApprox(ctx, s.keys.Events(), eventsKept, 0)
	oldest := s.clock().Add(-s.retention)
	type day struct {
		shard int
		name  string
		there *redis.IntCmd
	}
	var lists [care.Shards]*redis.StringSliceCmd
	for shard := range care.Shards {
		for _, set := range []string{"failed", "uncertain"} { // their records go by then
			pipe.ZRemRangeByScore(ctx, s.keys.Shard(shard, set), "-inf", strconv.FormatInt(oldest.UnixMilli(), 10))
		}
		lists[shard] = pipe.ZRangeByScore(ctx, s.keys.Shard(shard, "days"), &redis.ZRangeBy{Min: "-inf", Max: strconv.Itoa(codec.DayOf(oldest))})
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	pipe = s.client.Pipeline()
	var days []day
	for shard, list := range lists {
		for _, name := range list.Val() {
			days = append(days, day{shard, name, pipe.Exists(ctx, s.keys.Shard(shard, "msg:"+name))})
		}
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	pipe = s.client.Pipeline()
	for _, d := range days {
		if d.there.Val() == 0 {
			pipe.ZRem(ctx, s.keys.Shard(d.shard, "days"), d.name)
		}
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	return nil
}
