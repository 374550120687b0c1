package store

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// Lengths to which the streams are trimmed, about.
const (
	eventsKept  = 100_000
	changesKept = 1_000_000
)

// afterwards does what follows settled results: it notes which message each provider's id belongs to, then the receipts that were waiting
// for the messages are applied.
func (s *Store) afterwards(ctx context.Context, results []care.Result, ours []bool, early []string) error {
	waiting, err := s.linkProviders(ctx, results, ours)
	if err != nil {
		return err
	}
	parked, err := s.parked(ctx, early)
	if err != nil {
		return err
	}
	if waiting = append(waiting, parked...); len(waiting) > 0 {
		return s.Receipts(ctx, waiting)
	}
	return nil
}

// tell adds entries to care:events.
func (s *Store) tell(ctx context.Context, events []*care.EventEntry) error {
	if len(events) == 0 {
		return nil
	}
	t := tellings(ctx, events)
	defer t.free()
	pipelined(ctx, s.client.Pipeline(), t.cmds)
	return s.toldAll(ctx, events, t.cmds)
}

// pipelined sends commands in one trip. What comes of them stands in each.
func pipelined(ctx context.Context, pipe redis.Pipeliner, cmds []*redis.Cmd) {
	for _, c := range cmds {
		_ = pipe.Process(ctx, c)
	}
	_, _ = pipe.Exec(ctx)
}

// telling is the commands that add entries to care:events, and their words.
type telling struct {
	cmds  []*redis.Cmd
	words []any
	times []string
}

// tellingSpace keeps what the words of a trip have grown to for those of the next.
var tellingSpace = sync.Pool{New: func() any { return new(telling) }}

// tellings makes the commands that add entries to care:events. Who is done with them frees them.
func tellings(ctx context.Context, events []*care.EventEntry) *telling {
	t, _ := tellingSpace.Get().(*telling)
	// The commands share one list, which must not move while they are made.
	t.words = slices.Grow(t.words, 3+len(events)*(3+2*len(eventFields)))
	t.times = slices.Grow(t.times, len(events))[:len(events)]
	for i, e := range events {
		start := len(t.words)
		t.words = append(t.words, "xadd", eventsKey)
		if i == 0 { // once for the batch is enough
			t.words = append(t.words, "maxlen", "~", eventsKept)
		}
		t.words = appendEvent(append(t.words, "*"), e, &t.times[i])
		t.cmds = append(t.cmds, redis.NewCmd(ctx, t.words[start:len(t.words):len(t.words)]...))
	}
	return t
}

func (t *telling) free() {
	clear(t.cmds)
	clear(t.words)
	clear(t.times)
	t.cmds, t.words, t.times = t.cmds[:0], t.words[:0], t.times[:0]
	tellingSpace.Put(t)
}

// toldAll looks what came of the commands. Where Redis is full, a script that may write goes in their place: what was sent is on record, and
// must be told too.
func (s *Store) toldAll(ctx context.Context, events []*care.EventEntry, cmds []*redis.Cmd) error {
	c := &call{script: s.lua.tell, key: eventsKey}
	c.add(eventsKept)
	for i, cmd := range cmds {
		switch err := cmd.Err(); {
		case err == nil:
		case redis.HasErrorPrefix(err, "OOM"):
			words := appendEvent(nil, events[i], new(string))
			c.add(len(words))
			c.add(words...)
		default:
			return fmt.Errorf("write %s: %w", eventsKey, err)
		}
	}
	if len(c.args) == 1 {
		return nil
	}
	return s.exec(ctx, []*call{c}, false)
}

// eventFields are the names of an entry's fields, in the order in which they are written; the first four are always there.
var eventFields = [...]any{"at", "id", "customer", "dealer", "vehicle", "program", "step", "channel", "state", "reason", "kind", "value"}

// appendEvent adds an entry's names and values; the values are pointers into the entry, and to at, which is set.
func appendEvent(words []any, e *care.EventEntry, at *string) []any {
	*at = e.At.UTC().Format(time.RFC3339Nano)
	for i, v := range [len(eventFields)]*string{
		at, &e.ID, &e.Customer, &e.Dealer, &e.Vehicle, &e.Program, &e.Step, (*string)(&e.Channel), (*string)(&e.State), &e.Reason,
		&e.Kind, &e.Value,
	} {
		if i < 4 || *v != "" {
			words = append(words, eventFields[i], v)
		}
	}
	return words
}

// Event is an entry of care:events with its place in the stream.
type Event struct {
	Place string
	care.EventEntry
}

// Events returns up to limit entries of care:events after a place ("" = from the oldest), oldest first.
func (s *Store) Events(ctx context.Context, after string, limit int) ([]Event, error) {
	start := "-"
	if after != "" {
		start = "(" + after
	}
	entries, err := s.client.XRangeN(ctx, eventsKey, start, "+", int64(limit)).Result()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", eventsKey, err)
	}
	out := make([]Event, len(entries))
	for i, x := range entries {
		get := func(name string) string { return text(x.Values[name]) }
		at, _ := time.Parse(time.RFC3339Nano, get("at"))
		out[i] = Event{Place: x.ID, EventEntry: care.EventEntry{
			At: at, ID: get("id"), Customer: get("customer"), Dealer: get("dealer"), Vehicle: get("vehicle"), Program: get("program"),
			Step: get("step"), Channel: care.Channel(get("channel")), State: care.State(get("state")), Reason: get("reason"),
			Kind: get("kind"), Value: get("value"),
		}}
	}
	return out, nil
}

// timelineKept is how many entries a customer's timeline keeps beside the messages, which the ledger remembers.
const timelineKept = 50

// Note writes entries to care:events and to their customers' timelines: answers, opt-outs, what operators did. An erased
// customer has no timeline. A task goes on the list of tasks too.
func (s *Store) Note(ctx context.Context, entries []care.EventEntry) error {
	pipe := s.client.Pipeline()
	overlays := make(map[string]*redis.StringCmd)
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
		key := timelineKey(e.Customer)
		pipe.LPush(ctx, key, raw)
		pipe.LTrim(ctx, key, 0, timelineKept-1)
		pipe.Expire(ctx, key, ledgerKept)
		overlays[e.Customer] = pipe.HGet(ctx, ledgerKey(e.Customer), overlayField) // read after the write, as in Link
	}
	if err := s.tell(ctx, events); err != nil {
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
		if !buried(overlay.Val()) {
			continue
		}
		err := s.client.Del(ctx, timelineKey(id)).Err()
		if err == nil && len(tasks[id]) > 0 {
			err = s.client.ZRem(ctx, tasksKey(), tasks[id]...).Err()
		}
		if err != nil {
			return fmt.Errorf("note: %w", err)
		}
	}
	return nil
}

// Timeline returns what happened with a customer, the newest first: their messages as the ledger has them (At of one that is still
// due is its release) and what Note wrote.
func (s *Store) Timeline(ctx context.Context, customer string) ([]care.EventEntry, error) {
	pipe := s.client.Pipeline()
	ledger := redis.NewSliceCmd(ctx, "hgetall", ledgerKey(customer))
	_ = pipe.Process(ctx, ledger)
	noted := pipe.LRange(ctx, timelineKey(customer), 0, -1)
	flight := pipe.HGet(ctx, flightKey(care.Shard(customer)), customer)
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read the timeline: %w", err)
	}
	var out []care.EventEntry
	entries, _, _ := readLedger(ledger.Val(), s.clock().Add(-ledgerKept))
	if value := flight.Val(); value != "" {
		held, err := s.inHands(ctx, []aloft{{customer, value}})
		if err != nil {
			return nil, fmt.Errorf("read the timeline: %w", err)
		}
		noteSending(entries, held[0])
	}
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
		out = append(out, e)
	}
	sortTimeline(out)
	return out, nil
}
