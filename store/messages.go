package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/lua"
)

// Filter selects messages; what is zero does not matter.
type Filter struct {
	State    care.State
	Customer string
	Dealer   string
	Program  string
	Channel  care.Channel
	Since    time.Time // last changed at or after it
	Code     string    // of the last attempt
	Reason   string
	Limit    int // 0 = all
}

// ErrNoMessage is returned for an id of which there is no record (any more).
var ErrNoMessage = errors.New("there is no message with this id, or its record has expired")

func (f *Filter) matches(r *care.Record) bool {
	return (f.State == "" || r.State == f.State) && (f.Customer == "" || r.Customer == f.Customer) &&
		(f.Dealer == "" || r.Dealer == f.Dealer) && (f.Program == "" || r.Program == f.Program) &&
		(f.Reason == "" || r.Reason == f.Reason) && (f.Code == "" || len(r.Attempts) > 0 && r.Attempts[len(r.Attempts)-1].Code == f.Code) &&
		(f.Channel == "" || r.Channel == f.Channel) && (f.Since.IsZero() || !r.UpdatedAt.Before(f.Since))
}

// Messages returns the messages that a filter selects, the last changed first. For uncertain and failed ones, those of a
// customer, and those in the queue there are indexes; anything else reads the records of the days from Filter.Since on.
func (s *Store) Messages(ctx context.Context, f Filter) ([]care.Record, error) {
	if f.Limit <= 0 {
		f.Limit = math.MaxInt
	}
	var found []*located
	var err error
	switch {
	case f.Customer != "":
		found, err = s.ofCustomer(ctx, f.Customer)
	case f.State == care.StateUncertain:
		found, err = s.listed(ctx, "uncertain")
	case f.State == care.StateFailed:
		found, err = s.listed(ctx, "failed")
	case f.State.Pending():
		for _, lane := range care.Lanes {
			if f.Channel != "" && lane.Channel != f.Channel {
				continue
			}
			some, listErr := s.queued(ctx, lane)
			if err = listErr; err != nil {
				break
			}
			found = append(found, some...)
		}
	default:
		found, err = s.everyDay(ctx, &f)
	}
	if err != nil {
		return nil, err
	}
	out := make([]care.Record, 0, len(found))
	for i := range found {
		if f.matches(&found[i].record) {
			out = append(out, found[i].record)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if !out[i].UpdatedAt.Equal(out[j].UpdatedAt) {
			return out[i].UpdatedAt.After(out[j].UpdatedAt)
		}
		return out[i].ID < out[j].ID
	})
	return out[:min(len(out), f.Limit)], nil
}

// located is a message record with where it is kept.
type located struct {
	record care.Record // claimed if a replica has it, or had when its lease ended, and it was not being sent
	raw    string      // as it stands among the day's records
	day    int
	entry  care.LedgerEntry // of a message that was found by its ledger
}

// read decodes a record.
func (s *Store) read(ctx context.Context, id, raw string, day int) (*located, bool) {
	r, err := codec.DecodeRecord(id, raw)
	if err != nil {
		s.log.ErrorContext(ctx, "a message's record cannot be read", slog.String("id", id))
		return nil, false
	}
	return &located{record: r, raw: raw, day: day}, true
}

// claim gives a record the state that it has while it is claimed: its record tells only when it is being sent.
func (l *located) claim() {
	if l.record.State != care.StateSending {
		l.record.State = care.StateClaimed
	}
}

// noteClaimed looks which of the messages are claimed, or were when their lease ended, in one round trip per Redis node.
func (s *Store) noteClaimed(ctx context.Context, found []*located) error {
	pipe := s.client.Pipeline()
	busy, suspect := make([]*redis.StringCmd, len(found)), make([]*redis.FloatCmd, len(found))
	for i, l := range found {
		if l == nil || !l.record.State.Pending() {
			continue
		}
		r := &l.record
		shard := care.ShardOf(r.ID)
		busy[i] = pipe.HGet(ctx, s.keys.Busy(shard), r.Customer)
		suspect[i] = pipe.ZScore(ctx, s.keys.Suspects(shard, care.LaneOf(r.Channel, r.Class)), codec.Ref{ID: r.ID, Day: l.day, Customer: r.Customer}.String())
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("look for claims: %w", err)
	}
	for i, l := range found {
		if busy[i] != nil && (strings.HasPrefix(busy[i].Val(), l.record.ID+"|") || suspect[i].Err() == nil) {
			l.claim()
		}
	}
	return nil
}

// listMost is how many messages of a list are read in each shard, at most.
const listMost = 100_000

// queued reads the messages of a lane: those that wait, those that are claimed, and those that were when their lease ended.
func (s *Store) queued(ctx context.Context, lane care.Lane) ([]*located, error) {
	pipe := s.client.Pipeline()
	var due, suspects, leased [care.Shards]*redis.StringSliceCmd
	for shard := range care.Shards {
		due[shard] = pipe.ZRange(ctx, s.keys.Due(shard, lane), 0, listMost-1)
		suspects[shard] = pipe.ZRange(ctx, s.keys.Suspects(shard, lane), 0, listMost-1)
		leased[shard] = pipe.ZRange(ctx, s.keys.Leased(shard), 0, -1)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	var refs []codec.Ref
	claimed := make(map[string]bool)
	for shard := range care.Shards {
		refs = appendRefs(refs, due[shard].Val())
		waiting := len(refs)
		refs = appendRefs(refs, suspects[shard].Val())
		for _, member := range leased[shard].Val() {
			if at, r, ok := codec.ParseLeased(member); ok && at == lane {
				refs = append(refs, r)
			}
		}
		for _, r := range refs[waiting:] {
			claimed[r.ID] = true
		}
	}
	out, err := s.readRefs(ctx, refs)
	for _, l := range out {
		if claimed[l.record.ID] {
			l.claim()
		}
	}
	return out, err
}

func appendRefs(refs []codec.Ref, members []string) []codec.Ref {
	for _, m := range members {
		if r, ok := codec.ParseRef(m); ok {
			refs = append(refs, r)
		}
	}
	return refs
}

// listed reads the messages of one of the shards' sets.
func (s *Store) listed(ctx context.Context, set string) ([]*located, error) {
	cmds, err := fromShards(ctx, s, func(pipe redis.Pipeliner, shard int) *redis.StringSliceCmd {
		return pipe.ZRange(ctx, s.keys.Shard(shard, set), 0, listMost-1)
	})
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	var refs []codec.Ref
	for _, c := range cmds {
		refs = appendRefs(refs, c.Val())
	}
	return s.readRefs(ctx, refs)
}

// readRefs reads the records of messages, a thousand in a round trip. Those that are gone are left out, and those that stand there twice.
func (s *Store) readRefs(ctx context.Context, refs []codec.Ref) ([]*located, error) {
	out := make([]*located, 0, len(refs))
	there := make(map[string]bool, len(refs))
	for chunk := range slices.Chunk(refs, batch) {
		pipe := s.client.Pipeline()
		cmds := make([]*redis.StringCmd, len(chunk))
		for i, r := range chunk {
			cmds[i] = pipe.HGet(ctx, s.keys.Messages(care.ShardOf(r.ID), r.Day), r.ID)
		}
		if err := run(ctx, pipe); err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		for i, r := range chunk {
			if raw := cmds[i].Val(); raw != "" && !there[r.ID] {
				if l, ok := s.read(ctx, r.ID, raw, r.Day); ok {
					there[r.ID] = true
					out = append(out, l)
				}
			}
		}
	}
	return out, nil
}

func (s *Store) ofCustomer(ctx context.Context, customer string) ([]*located, error) {
	fields, err := s.client.HGetAll(ctx, s.keys.Ledger(customer)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	ids := make([]string, 0, len(fields))
	for id := range fields {
		if id != codec.OverlayField {
			ids = append(ids, id)
		}
	}
	found, err := s.find(ctx, ids)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(l *located) bool { return l == nil }), nil
}

// everyDay reads the records of every day that can hold what the filter asks for, newest first, until there are enough.
func (s *Store) everyDay(ctx context.Context, f *Filter) ([]*located, error) {
	cmds, err := fromShards(ctx, s, func(pipe redis.Pipeliner, shard int) *redis.StringSliceCmd {
		return pipe.ZRange(ctx, s.keys.Shard(shard, "days"), 0, -1)
	})
	if err != nil {
		return nil, fmt.Errorf("list days: %w", err)
	}
	var days []int
	for _, c := range cmds {
		for _, d := range c.Val() {
			if n, err := strconv.Atoi(d); err == nil {
				days = append(days, n)
			}
		}
	}
	slices.Sort(days)
	days = slices.Compact(days)
	slices.Reverse(days)
	var out []*located
	for _, day := range days {
		for shard := range care.Shards {
			some, err := s.oneDay(ctx, shard, day, f)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
		if len(out) >= f.Limit {
			break
		}
	}
	return out, nil
}

func (s *Store) oneDay(ctx context.Context, shard, day int, f *Filter) ([]*located, error) {
	var out []*located
	for cursor := uint64(0); ; {
		page, next, err := s.client.HScan(ctx, s.keys.Messages(shard, day), cursor, "", batch).Result()
		if err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		some := make([]*located, 0, len(page)/2)
		for i := 1; i < len(page); i += 2 {
			if l, ok := s.read(ctx, page[i-1], page[i], day); ok {
				some = append(some, l)
			}
		}
		if err := s.noteClaimed(ctx, some); err != nil {
			return nil, err
		}
		for _, l := range some {
			if f.matches(&l.record) {
				out = append(out, l)
			}
		}
		if cursor = next; cursor == 0 {
			return out, nil
		}
	}
}

// Message returns one message's record, or ErrNoMessage.
func (s *Store) Message(ctx context.Context, id string) (care.Record, error) {
	found, err := s.find(ctx, []string{id})
	if err != nil {
		return care.Record{}, err
	}
	if found[0] == nil {
		return care.Record{}, ErrNoMessage
	}
	return found[0].record, nil
}

// find looks records up by their ids, in the same order; nil = there is none. It takes two round trips per Redis node.
func (s *Store) find(ctx context.Context, ids []string) ([]*located, error) {
	cs, err := lua.PerShard(s.lua.Find, s.keys.Fence, len(ids), func(i int) int { return care.ShardOf(ids[i]) }, nil, func(i int) ([]any, error) { return []any{ids[i]}, nil })
	if err != nil {
		return nil, err
	}
	cs.Split(1, atOnce)
	if err := s.lua.Exec(ctx, cs.All, false); err != nil {
		return nil, err
	}
	out := make([]*located, len(ids))
	for n, c := range cs.All {
		l, err := c.List(2 * len(cs.Items[n]))
		if err != nil {
			return nil, err
		}
		for j, i := range cs.Items[n] {
			if day := text(l[2*j]); day != "" {
				at, err := strconv.Atoi(day)
				if err != nil {
					return nil, fmt.Errorf("find messages: %w", err)
				}
				out[i], _ = s.read(ctx, ids[i], text(l[2*j+1]), at)
			}
		}
	}
	return out, s.noteClaimed(ctx, out)
}

func sortTimeline(entries []care.EventEntry) {
	sort.SliceStable(entries, func(i, j int) bool {
		if !entries[i].At.Equal(entries[j].At) {
			return entries[i].At.After(entries[j].At)
		}
		return entries[i].ID < entries[j].ID
	})
}
