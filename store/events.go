package store

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
)

// eventsKept is the length to which care:events is trimmed, about.
const eventsKept = 100_000

// publishAtOnce limits the entries of one trip, or of one script, which stops its Redis meanwhile.
const publishAtOnce = 256

// Publish adds entries to care:events, even where Redis is full: what was sent is on record, and must be told. With an error it is not known
// which were written: written again, an entry can stand there twice.
func (s *Store) Publish(ctx context.Context, events []*care.EventEntry) error {
	for part := range slices.Chunk(events, publishAtOnce) {
		pipe, cmds := s.client.Pipeline(), make([]*redis.Cmd, len(part))
		for i, e := range part {
			words := append(make([]any, 0, 2*len(codec.EventFields)+6), "XADD", s.keys.Events())
			if i == 0 { // once for the batch is enough
				words = append(words, "MAXLEN", "~", eventsKept)
			}
			cmds[i] = pipe.Do(ctx, codec.AppendEvent(append(words, "*"), e)...)
		}
		_, err := pipe.Exec(ctx)
		if err = s.lua.Refused(ctx, s.keys.Events(), cmds, err); err != nil {
			return fmt.Errorf("write %s: %w", s.keys.Events(), err)
		}
	}
	return nil
}

// Event is an entry of care:events with its id in the stream.
type Event struct {
	Entry string
	care.EventEntry
}

// Events returns up to limit entries of care:events after another ("" = from the oldest), oldest first.
func (s *Store) Events(ctx context.Context, after string, limit int) ([]Event, error) {
	start := "-"
	if after != "" {
		start = "(" + after
	}
	entries, err := s.client.XRangeN(ctx, s.keys.Events(), start, "+", int64(limit)).Result()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.keys.Events(), err)
	}
	out := make([]Event, len(entries))
	for i, x := range entries {
		out[i] = Event{Entry: x.ID, EventEntry: codec.Event(x.Values)}
	}
	return out, nil
}

// timelineKept is how many entries a customer's timeline keeps beside the messages, which the ledger remembers.
const timelineKept = 50

// Note writes entries to care:events and to their customers' timelines: answers, opt-outs, what operators did. An erased
// customer has no timeline. A task goes on the list of tasks too.
func (s *Store) Note(ctx context.Context, entries []care.EventEntry) error {
	for len(entries) > atOnce {
		if err := s.Note(ctx, entries[:atOnce]); err != nil {
			return err
		}
		entries = entries[atOnce:]
	}
	pipe := s.client.Pipeline()
	overlays, lines := make(map[string]*redis.StringCmd), make(map[string]*redis.StringSliceCmd)
	events := make([]*care.EventEntry, len(entries))
	for i := range entries {
		e := &entries[i]
		events[i] = e
		if e.Customer == "" {
			continue
		}
		raw, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("note: %w", err)
		}
		key := s.keys.Timeline(e.Customer)
		pipe.LPush(ctx, key, raw)
		pipe.LTrim(ctx, key, 0, timelineKept-1)
		pipe.Expire(ctx, key, ledgerKept)
		overlays[e.Customer] = nil
	}
	for id := range overlays { // read after the write, as in Link
		overlays[id], lines[id] = pipe.HGet(ctx, keyspace.Shared.Ledger(id), codec.OverlayField), pipe.LRange(ctx, s.keys.Timeline(id), 0, -1)
	}
	if err := s.Publish(ctx, events); err != nil {
		return fmt.Errorf("note: %w", err)
	}
	if pipe.Len() == 0 {
		return nil
	}
	tasks, err := s.addTasks(ctx, entries) // in a trip of its own: the tombstones below are read after it
	if err != nil {
		return fmt.Errorf("note: %w", err)
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("note: %w", err)
	}
	for id, overlay := range overlays {
		if !isTombstone(overlay.Val()) {
			if err := s.trimTimeline(ctx, id, lines[id].Val()); err != nil {
				return fmt.Errorf("note: %w", err)
			}
			continue
		}
		err := s.client.Del(ctx, s.keys.Timeline(id)).Err()
		if err == nil && len(tasks[id]) > 0 {
			err = s.client.ZRem(ctx, s.keys.Tasks(), tasks[id]...).Err()
		}
		if err != nil {
			return fmt.Errorf("note: %w", err)
		}
	}
	return nil
}

// trimTimeline takes off a timeline what is too old to be kept: each entry renews the life of all.
func (s *Store) trimTimeline(ctx context.Context, customer string, line []string) error {
	pipe := s.client.Pipeline()
	oldest := s.clock().Add(-ledgerKept)
	for _, raw := range line {
		var e care.EventEntry
		if json.Unmarshal([]byte(raw), &e) == nil && e.At.Before(oldest) {
			pipe.LRem(ctx, s.keys.Timeline(customer), 0, raw)
		}
	}
	return run(ctx, pipe)
}

// Timeline returns what happened with a customer, the newest first: their messages as the ledger has them (At of one that is still
// due is its release) and what Note wrote.
func (s *Store) Timeline(ctx context.Context, customer string) ([]care.EventEntry, error) {
	pipe := s.client.Pipeline()
	ledger := pipe.Do(ctx, "hgetall", s.keys.Ledger(customer))
	noted := pipe.LRange(ctx, s.keys.Timeline(customer), 0, -1)
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read the timeline: %w", err)
	}
	var out []care.EventEntry
	flat, _ := ledger.Val().([]any)
	oldest := s.clock().Add(-ledgerKept)
	entries, _, _ := codec.DecodeLedger(flat, oldest)
	for id, e := range entries {
		out = append(out, care.EventEntry{
			At: e.At, ID: id, Customer: customer, Vehicle: e.Vehicle, Program: e.Program, Step: e.Step, Channel: e.Channel,
			State: e.State, Reason: e.Reason,
		})
	}
	for _, raw := range noted.Val() {
		var e care.EventEntry
		if err := json.Unmarshal([]byte(raw), &e); err != nil {
			s.log.ErrorContext(ctx, "a timeline entry cannot be read", logCustomer(customer), slog.Any("error", err))
			continue
		}
		if !e.At.Before(oldest) {
			out = append(out, e)
		}
	}
	sortTimeline(out)
	return out, nil
}
