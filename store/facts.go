package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	carerecord "github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
)

// ledgerKept is how long the ledger remembers an occurrence.
const ledgerKept = 400 * 24 * time.Hour

// errOverlay is why a customer with a damaged overlay is not planned: there may be an opt-out in it.
var errOverlay = errors.New("the customer's overlay (field + of ledger:<customer>) is damaged")

// Facts reads customers' records with overlays and ledgers, in the order of the ids and in a round trip per Redis node and
// 128 of them, some side by side. A customer whose key is gone has Err care.ErrGone; one whose record or overlay cannot be read has its
// reason in Err. The error returned is Redis' own.
func (s *Store) Facts(ctx context.Context, ids []string) ([]*care.Facts, error) {
	facts, _, err := s.readFacts(ctx, ids, true)
	return facts, err
}

// Customers is Facts without overlays and ledgers, for half of the work: who they are, and not what they were told or want.
func (s *Store) Customers(ctx context.Context, ids []string) ([]*care.Facts, error) {
	facts, _, err := s.readFacts(ctx, ids, false)
	return facts, err
}

// factsAtOnce is how many of the customers that Facts is asked for are read by one goroutine.
const factsAtOnce = 128

// readFacts also returns the ids of the ledger entries that are too old to be kept, by customer. Many customers are read in parts, so
// that Redis answers for one while another is decoded.
func (s *Store) readFacts(ctx context.Context, ids []string, ledgers bool) ([]*care.Facts, map[string][]string, error) {
	if len(ids) <= factsAtOnce {
		f, err := s.fetch(ctx, ids, ledgers)
		if err != nil {
			return nil, nil, err
		}
		facts, old := s.decode(ctx, f)
		if ledgers {
			err = s.Learn(ctx, facts)
		}
		return facts, old, err
	}
	parts := slices.Collect(slices.Chunk(ids, factsAtOnce))
	facts, old, errs := make([][]*care.Facts, len(parts)), make([]map[string][]string, len(parts)), make([]error, len(parts))
	var wg sync.WaitGroup
	var next atomic.Int32
	for range min(len(parts), 3) { // one that Redis works for and two that are decoded; no pool is emptied by one call
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(parts); n = int(next.Add(1)) - 1 {
				facts[n], old[n], errs[n] = s.readFacts(ctx, parts[n], ledgers)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	all := slices.Concat(facts...)
	for _, more := range old[1:] {
		if old[0] == nil {
			old[0] = more
			continue
		}
		maps.Copy(old[0], more)
	}
	return all, old[0], nil
}

// fetched is what Redis has of some customers.
type fetched struct {
	ids     []string
	records []value
	ledgers []*redis.Cmd // with the overlays; none if only records were read
	tried   []*redis.Cmd // the ledgers of a trial
}

// value is what GET has to say of a key, or HGET of a field.
type value struct {
	text string
	err  error // redis.Nil if there is none
}

// fetch reads customers from Redis.
func (s *Store) fetch(ctx context.Context, ids []string, ledgers bool) (*fetched, error) {
	f := &fetched{ids: ids}
	if len(ids) == 0 {
		return f, nil
	}
	records := make([]string, len(ids))
	for i, id := range ids {
		records[i] = keyspace.Customer(id)
	}
	pipe := s.client.Pipeline()
	recordsOf := s.get(ctx, pipe, records, false)
	if ledgers {
		f.ledgers = make([]*redis.Cmd, len(ids))
		for i, id := range ids {
			f.ledgers[i] = pipe.Do(ctx, "hgetall", keyspace.Shared.Ledger(id)) // a list is half the work of a map
			if s.keys == keyspace.Trial {
				f.tried = append(f.tried, pipe.Do(ctx, "hgetall", keyspace.Trial.Ledger(id)))
			}
		}
	}
	err := run(ctx, pipe)
	if err == nil {
		f.records, err = s.askAgain(ctx, records, recordsOf())
	}
	if err != nil {
		return nil, fmt.Errorf("read customers: %w", err)
	}
	return f, nil
}

// readAtOnce is how many keys one MGET takes: short enough that nobody else waits long for Redis meanwhile.
const readAtOnce = 250

// get asks for keys; the answers are there when the pipeline has run. Where one node has all keys, one command takes many, unless each is
// asked for singly: that costs Redis three times as much, but MGET takes a key of another type for one that is not there.
func (s *Store) get(ctx context.Context, pipe redis.Pipeliner, keys []string, singly bool) func() []value {
	if singly || s.cluster != nil {
		cmds := make([]*redis.StringCmd, len(keys))
		for i, key := range keys {
			cmds[i] = pipe.Get(ctx, key)
		}
		return func() []value {
			out := make([]value, len(keys))
			for i, cmd := range cmds {
				out[i].text, out[i].err = cmd.Result()
			}
			return out
		}
	}
	var cmds []*redis.SliceCmd
	for part := range slices.Chunk(keys, readAtOnce) {
		cmds = append(cmds, pipe.MGet(ctx, part...))
	}
	return func() []value {
		out := make([]value, 0, len(keys))
		for _, cmd := range cmds {
			for _, v := range cmd.Val() {
				if text, ok := v.(string); ok {
					out = append(out, value{text: text})
				} else {
					out = append(out, value{err: redis.Nil})
				}
			}
		}
		return out
	}
}

// askAgain asks singly for the keys that seem to be missing, where MGET was asked.
func (s *Store) askAgain(ctx context.Context, keys []string, values []value) ([]value, error) {
	if s.cluster != nil {
		return values, nil
	}
	var missing []string
	var at []int
	for i := range values {
		if values[i].err != nil {
			missing, at = append(missing, keys[i]), append(at, i)
		}
	}
	pipe := s.client.Pipeline()
	again := s.get(ctx, pipe, missing, true)
	if err := run(ctx, pipe); err != nil {
		return nil, err
	}
	for j, v := range again() {
		values[at[j]] = v
	}
	return values, nil
}

// decode makes facts of what was read.
func (s *Store) decode(ctx context.Context, f *fetched) ([]*care.Facts, map[string][]string) {
	out, room := make([]*care.Facts, len(f.ids)), make([]care.Facts, len(f.ids))
	var old map[string][]string
	stale := s.clock().Add(-ledgerKept)
	for i, id := range f.ids {
		out[i] = &room[i]
		out[i].ID = id
		if f.ledgers == nil {
			readCustomer(out[i], f.records[i], nil)
			continue
		}
		flat, _ := f.ledgers[i].Val().([]any)
		ledger, overlay, gone := codec.DecodeLedger(flat, stale)
		if err := f.ledgers[i].Err(); err != nil && wrongType(err) {
			s.log.ErrorContext(ctx, "a ledger has the wrong type", logCustomer(id))
			overlay = new(string) // damaged: there may have been an opt-out in it
		}
		readCustomer(out[i], f.records[i], overlay)
		if f.tried != nil {
			ledger, gone = tried(ledger, f.tried[i], stale)
		}
		if out[i].Ledger = ledger; len(gone) > 0 {
			if old == nil {
				old = make(map[string][]string)
			}
			old[id] = gone
		}
	}
	return out, old
}

// tried is the ledger that a trial goes by: what customers got, what it did itself, and nothing that waits outside of it.
func tried(ledger care.Ledger, own *redis.Cmd, stale time.Time) (care.Ledger, []string) {
	flat, _ := own.Val().([]any)
	of, _, gone := codec.DecodeLedger(flat, stale)
	maps.DeleteFunc(ledger, func(_ string, e care.LedgerEntry) bool { return e.State.Pending() })
	if ledger == nil {
		return of, gone
	}
	maps.Copy(ledger, of)
	return ledger, gone
}

// fromShards asks every shard the same, in one round trip per Redis node.
func fromShards[C redis.Cmder](ctx context.Context, s *Store, ask func(pipe redis.Pipeliner, shard int) C) (out [care.Shards]C, err error) {
	pipe := s.client.Pipeline()
	for shard := range out {
		out[shard] = ask(pipe, shard)
	}
	return out, run(ctx, pipe)
}

// run sends a pipeline; an empty one costs nothing. What single commands have to say (no such key, wrong type) is theirs; what is left is Redis being away.
func run(ctx context.Context, pipe redis.Pipeliner) error {
	cmds, err := pipe.Exec(ctx)
	if err == nil {
		return nil
	}
	for _, c := range cmds {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) && !wrongType(err) {
			return err
		}
	}
	return nil
}

func wrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// readCustomer reads record and overlay.
func readCustomer(f *care.Facts, record value, overlay *string) {
	switch {
	case errors.Is(record.err, redis.Nil):
		f.Err = care.ErrGone
	case record.err != nil:
		f.Err = care.ErrNotJSON // of another type than a string
	default:
		f.Customer, f.Defects, f.Err = carerecord.Decode([]byte(record.text))
		if f.Err == nil && f.Customer.ID != f.ID {
			f.Customer, f.Err = nil, fmt.Errorf("%w: the id in the record is not the one in its key", care.ErrNoID)
		}
	}
	if overlay == nil {
		return
	}
	f.Overlay = new(care.Overlay)
	if json.Unmarshal([]byte(*overlay), f.Overlay) != nil {
		f.Customer, f.Overlay, f.Err = nil, nil, errOverlay
	}
}
