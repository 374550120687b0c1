package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// Filter selects messages; what is zero does not matter.
type Filter struct {
	State    care.State
	Customer string
	Dealer   string
	Program  string
	Channel  care.Channel
	Since    time.Time // last changed at or after it
	Limit    int       // 0 = 1000
}

const messagesLimit = 1000

// ErrNoMessage is returned for an id of which there is no record (any more).
var ErrNoMessage = errors.New("there is no message with this id, or its record has expired")

func (f *Filter) matches(r *care.Record) bool {
	return (f.State == "" || r.State == f.State) && (f.Customer == "" || r.Customer == f.Customer) &&
		(f.Dealer == "" || r.Dealer == f.Dealer) && (f.Program == "" || r.Program == f.Program) &&
		(f.Channel == "" || r.Channel == f.Channel) && (f.Since.IsZero() || !r.UpdatedAt.Before(f.Since))
}

// Messages returns the messages that a filter selects, the last changed first. For uncertain and failed ones, those of a
// customer, and those in the queue there are indexes; anything else reads the records of the days from Filter.Since on.
func (s *Store) Messages(ctx context.Context, f Filter) ([]care.Record, error) {
	if f.Limit <= 0 {
		f.Limit = messagesLimit
	}
	var found []located
	var err error
	switch {
	case f.Customer != "":
		found, err = s.ofCustomer(ctx, f.Customer)
	case f.State == care.StateUncertain:
		found, err = s.listed(ctx, "held")
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
	record  care.Record
	raw     string // as it stands among the day's records
	note    string // of Begin, "" = it is not being sent
	day     int
	claimed bool
}

// read decodes a record and gives it the state that it has in hand.
func (l *located) read(id string) (err error) {
	if l.record, err = decodeRecord(id, l.raw); err != nil {
		return err
	}
	switch {
	case l.note != "":
		sending(&l.record, l.note)
	case l.claimed && l.record.State != care.StateSending:
		l.record.State = care.StateClaimed
	}
	return nil
}

// over reports whether the ledger has a part of the record.
func (l *located) over() bool { return !l.record.State.Pending() }

// complete adds what the ledger has of messages that are over, in one round trip per Redis node.
func (s *Store) complete(ctx context.Context, found []located) error {
	pipe := s.client.Pipeline()
	cmds := make([]*redis.StringCmd, len(found))
	for i := range found {
		if r := &found[i].record; found[i].over() {
			cmds[i] = pipe.HGet(ctx, ledgerKey(r.Customer), r.ID)
		}
	}
	if pipe.Len() == 0 {
		return nil
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("read ledgers: %w", err)
	}
	for i, c := range cmds {
		if c != nil {
			complete(&found[i].record, c.Val())
		}
	}
	return nil
}

// listMost is how many messages of a list are read in each shard, at most.
const listMost = 100_000

// queued reads the messages of a lane: those that wait, those that were there at a crash, and those that have left the queue because they
// are in hand.
func (s *Store) queued(ctx context.Context, lane care.Lane) ([]located, error) {
	var out []located
	there := make(map[string]bool)
	add := func(member string, claimed bool, note string) {
		id, day, record, ok := splitMember(member)
		if !ok || there[id] {
			return
		}
		l := located{raw: record, day: day, claimed: claimed, note: note}
		if err := l.read(id); err != nil {
			s.log.ErrorContext(ctx, "a message's record cannot be read", slog.String("id", id))
			return
		}
		there[id] = true
		out = append(out, l)
	}
	for shard := range care.Shards {
		late, err := s.client.ZRange(ctx, lateKey(shard, lane), 0, listMost-1).Result()
		if err != nil {
			return nil, fmt.Errorf("list messages: %w", err)
		}
		for _, m := range late {
			add(m, true, "")
		}
		enough := len(out) + listMost
		err = s.eachMember(ctx, shard, lane, func(members []string) error {
			for _, m := range members {
				add(m, false, "")
			}
			if len(out) >= enough {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, fmt.Errorf("list messages: %w", err)
		}
	}
	held, err := s.everyHand(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		if h.lane == lane.String() {
			add(h.member, true, h.note)
		}
	}
	return out, nil
}

// errEnough ends a listing.
var errEnough = errors.New("there are enough")

// listed reads the messages of one of the shards' sorted sets.
func (s *Store) listed(ctx context.Context, list string) ([]located, error) {
	pipe := s.client.Pipeline()
	cmds := make([]interface{ Val() []string }, care.Shards)
	for shard := range cmds {
		cmds[shard] = pipe.ZRange(ctx, shardKey(shard, list), 0, listMost-1)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	var refs []ref
	for shard := range cmds {
		for _, m := range cmds[shard].Val() {
			if id, day, _, ok := splitMember(m); ok {
				refs = append(refs, ref{id: id, shard: shard, day: day})
			}
		}
	}
	var out []located
	for chunk := range slices.Chunk(refs, batch) {
		some, err := s.readRefs(ctx, chunk)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// ref says where a record is.
type ref struct {
	id         string
	shard, day int
}

func (s *Store) readRefs(ctx context.Context, refs []ref) ([]located, error) {
	pipe := s.client.Pipeline()
	cmds := make([]interface{ Val() string }, len(refs))
	for i, r := range refs {
		cmds[i] = pipe.HGet(ctx, messagesKey(r.shard, r.day), r.id)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	out := make([]located, 0, len(refs))
	for i, r := range refs {
		l := located{raw: cmds[i].Val(), day: r.day}
		if l.raw == "" {
			continue
		}
		if err := l.read(r.id); err != nil {
			s.log.ErrorContext(ctx, "a message's record cannot be read", slog.String("id", r.id))
			continue
		}
		out = append(out, l)
	}
	return out, s.complete(ctx, out)
}

func (s *Store) ofCustomer(ctx context.Context, customer string) ([]located, error) {
	fields, err := s.client.HGetAll(ctx, ledgerKey(customer)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	ids := make([]string, 0, len(fields))
	for id := range fields {
		if id != overlayField {
			ids = append(ids, id)
		}
	}
	found, err := s.find(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]located, 0, len(found))
	for _, l := range found {
		if l != nil {
			out = append(out, *l)
		}
	}
	return out, nil
}

// everyDay reads the records of every day that can hold what the filter asks for, newest first, until there are enough.
func (s *Store) everyDay(ctx context.Context, f *Filter) ([]located, error) {
	days := make(map[int]bool)
	pipe := s.client.Pipeline()
	cmds := make([]interface{ Val() []string }, care.Shards)
	for shard := range cmds {
		cmds[shard] = pipe.ZRange(ctx, shardKey(shard, "days"), 0, -1)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("list days: %w", err)
	}
	held, err := s.everyHand(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range cmds {
		for _, d := range c.Val() {
			if n, err := strconv.Atoi(d); err == nil {
				days[n] = true
			}
		}
	}
	order := make([]int, 0, len(days))
	for d := range days {
		order = append(order, d)
	}
	sort.Sort(sort.Reverse(sort.IntSlice(order)))
	var out []located
	for _, day := range order {
		matching := 0
		for shard := range care.Shards {
			some, err := s.oneDay(ctx, shard, day, f, held)
			if err != nil {
				return nil, err
			}
			matching += len(some)
			out = append(out, some...)
		}
		if len(out) >= f.Limit {
			break
		}
	}
	return out, nil
}

func (s *Store) oneDay(ctx context.Context, shard, day int, f *Filter, held map[string]*inHand) ([]located, error) {
	var out []located
	for cursor := uint64(0); ; {
		page, next, err := s.client.HScan(ctx, messagesKey(shard, day), cursor, "", batch).Result()
		if err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		some := make([]located, 0, len(page)/2)
		for i := 1; i < len(page); i += 2 {
			l := located{raw: page[i], day: day}
			err := l.read(page[i-1])
			if h, ok := held[page[i-1]]; ok && err == nil {
				l.claimed, l.note = true, h.note
				err = l.read(page[i-1])
			}
			if err != nil {
				s.log.ErrorContext(ctx, "a message's record cannot be read", slog.String("id", page[i-1]))
				continue
			}
			some = append(some, l)
		}
		if err := s.complete(ctx, some); err != nil {
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

// find looks records up by their ids, in the same order; nil = there is none.
func (s *Store) find(ctx context.Context, ids []string) ([]*located, error) {
	var groups [care.Shards][]int
	for i, id := range ids {
		if shard := care.ShardOf(id); shard >= 0 {
			groups[shard] = append(groups[shard], i)
		}
	}
	var calls []*call
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		c := &call{script: s.lua.find, key: fenceKey(shard)}
		for _, i := range items {
			c.add(ids[i])
		}
		calls = append(calls, c)
	}
	if err := s.exec(ctx, calls, false); err != nil {
		return nil, err
	}
	out := make([]*located, len(ids))
	next := 0
	for _, items := range groups {
		if len(items) == 0 {
			continue
		}
		l, err := calls[next].list(5 * len(items))
		if err != nil {
			return nil, err
		}
		next++
		for j, i := range items {
			day := text(l[5*j])
			if day == "" {
				continue
			}
			found := &located{raw: text(l[5*j+1]), note: text(l[5*j+2]), claimed: text(l[5*j+3]) == "1"}
			if found.day, err = strconv.Atoi(day); err != nil {
				return nil, fmt.Errorf("find messages: %w", err)
			}
			if err := found.read(ids[i]); err != nil {
				s.log.ErrorContext(ctx, "a message's record cannot be read", slog.String("id", ids[i]))
				continue
			}
			if found.over() {
				complete(&found.record, text(l[5*j+4]))
			}
			out[i] = found
		}
	}
	return out, nil
}

func sortTimeline(entries []care.EventEntry) {
	sort.SliceStable(entries, func(i, j int) bool {
		if !entries[i].At.Equal(entries[j].At) {
			return entries[i].At.After(entries[j].At)
		}
		return entries[i].ID < entries[j].ID
	})
}
