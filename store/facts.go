package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// ledgerKept is how long the ledger remembers an occurrence.
const ledgerKept = 400 * 24 * time.Hour

// errOverlay is why a customer with a damaged overlay is not planned: there may be an opt-out in it.
var errOverlay = errors.New("the customer's overlay (state:<customer>) is damaged")

// Facts reads customers' records with overlays and ledgers, in the order of the ids and in one round trip per Redis node,
// however many there are. A customer whose key is gone has Err care.ErrGone; one whose record or overlay cannot be read has its
// reason in Err. The error returned is Redis' own.
func (s *Store) Facts(ctx context.Context, ids []string) ([]*care.Facts, error) {
	facts, _, err := s.readFacts(ctx, ids)
	return facts, err
}

// readFacts also returns the ids of the ledger entries that are too old to be kept, by customer.
func (s *Store) readFacts(ctx context.Context, ids []string) ([]*care.Facts, map[string][]string, error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	pipe := s.client.Pipeline()
	records := make([]*redis.StringCmd, len(ids))
	overlays := make([]*redis.StringCmd, len(ids))
	ledgers := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		records[i] = pipe.Get(ctx, customerKey(id))
		overlays[i] = pipe.Get(ctx, overlayKey(id))
		ledgers[i] = redis.NewSliceCmd(ctx, "hgetall", ledgerKey(id)) // a list is half the work of a map
		_ = pipe.Process(ctx, ledgers[i])
	}
	groups := byShard(ids, func(id *string) string { return *id })
	flights := readFlights(ctx, pipe, ids, &groups)
	if err := run(ctx, pipe); err != nil {
		return nil, nil, fmt.Errorf("read customers: %w", err)
	}
	out := make([]*care.Facts, len(ids))
	var old map[string][]string
	stale := s.clock().Add(-ledgerKept)
	for i, id := range ids {
		if err := ledgers[i].Err(); err != nil && wrongType(err) {
			s.log.ErrorContext(ctx, "a ledger has the wrong type", logCustomer(id))
		}
		out[i] = s.facts(id, records[i], overlays[i])
		var gone []string
		if out[i].Ledger, gone = readLedger(ledgers[i].Val(), stale); len(gone) > 0 {
			if old == nil {
				old = make(map[string][]string)
			}
			old[id] = gone
		}
	}
	for shard, items := range groups {
		for j, i := range items {
			if values := flights[shard].Val(); j < len(values) && values[j] != nil {
				noteSending(out[i].Ledger, text(values[j]))
			}
		}
	}
	return out, old, nil
}

// readFlights asks what the customers have in hand, shard by shard.
func readFlights(ctx context.Context, pipe redis.Pipeliner, ids []string, groups *[care.Shards][]int) (out [care.Shards]*redis.SliceCmd) {
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		customers := make([]string, len(items))
		for j, i := range items {
			customers[j] = ids[i]
		}
		out[shard] = pipe.HMGet(ctx, flightKey(shard), customers...)
	}
	return out
}

// noteSending marks the ledger's entry of the message that is being sent: flight knows of it before the ledger does.
func noteSending(l care.Ledger, flight string) {
	m, raw := begun(flight)
	if raw == "" {
		return
	}
	id, day, _, ok := splitMember(m)
	if _, known := l[id]; !ok || !known {
		return
	}
	if r, err := decodeRecord(id, raw); err == nil {
		l[id] = entryOf(&r, care.DateFromDays(day), r.UpdatedAt)
	}
}

// run sends a pipeline. What single commands have to say (no such key, wrong type) is theirs; what is left is Redis being away.
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

func (s *Store) facts(id string, record, overlay *redis.StringCmd) *care.Facts {
	f := &care.Facts{ID: id}
	raw, err := record.Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		f.Err = care.ErrGone
	case err != nil:
		f.Err = care.ErrNotJSON // of another type than a string
	default:
		f.Customer, f.Defects, f.Err = care.Decode(raw)
		if f.Err == nil && f.Customer.ID != id {
			f.Customer, f.Err = nil, fmt.Errorf("%w: the id in the record is not the one in its key", care.ErrNoID)
		}
	}
	raw, err = overlay.Bytes()
	if errors.Is(err, redis.Nil) {
		return f
	}
	f.Overlay = new(care.Overlay)
	if err != nil || json.Unmarshal(raw, f.Overlay) != nil {
		f.Customer, f.Overlay, f.Err = nil, nil, errOverlay
	}
	return f
}

// readLedger reads the flat answer of HGETALL. What is over and older than stale is left out and named.
func readLedger(flat []any, stale time.Time) (l care.Ledger, old []string) {
	if len(flat) == 0 {
		return nil, nil
	}
	l = make(care.Ledger, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		id, _ := flat[i].(string)
		raw, _ := flat[i+1].(string)
		e, err := decodeEntry(raw)
		if err != nil {
			// It was planned once; what became of it is lost. Serving it again could be a repeat in silence.
			e = care.LedgerEntry{State: care.StateFailed, Reason: "damaged_ledger"}
		} else if !e.State.Pending() && e.At.Before(stale) {
			old = append(old, id)
			continue
		}
		l[id] = e
	}
	return l, old
}
