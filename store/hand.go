package store

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

// What is claimed together is a hand: one token, one lease. Its messages have left the queue. In each shard
//
//	hands           token → end of its lease, microseconds of Redis' clock
//	left            token → how many of its messages have no result; token! = somebody of the hand was erased
//	flight          customer → token|lane|member|, until the message has a result
//	begun:<token>   what Begin noted: a line for each message that is being sent
//
// A line of begun is \n customer | when | repeats | the ids that it was merged with, comma-separated; what is empty at the end is left
// out. With the message's own record it says with what the message was about to be sent, should nobody be left to tell.

// appendNote writes what Begin notes of a message.
func appendNote(b []byte, r *care.Record, at time.Time) []byte {
	b = append(b, '\n')
	b = append(b, r.Customer...)
	b = append(b, '|')
	b = appendTime(b, at)
	if r.Repeats == 0 && len(r.Also) == 0 {
		return b
	}
	b = append(b, '|')
	b = strconv.AppendInt(b, int64(r.Repeats), 10)
	if len(r.Also) > 0 {
		b = append(b, '|')
		b = append(b, joinIDs(r.Also)...)
	}
	return b
}

// sending makes a record that of a message that is being sent, by what Begin noted of it.
func sending(r *care.Record, note string) {
	w := words{rest: note, sep: '|'}
	at, _ := parseTime(w.raw())
	repeats, _ := strconv.Atoi(w.raw())
	r.State, r.UpdatedAt = care.StateSending, at
	r.Repeats = max(r.Repeats, repeats)
	if r.FirstTry.IsZero() {
		r.FirstTry = at
	}
	if also := w.raw(); also != "" {
		r.Also = strings.Split(also, ",")
	}
}

// inHand is a message that a replica has, or had when it crashed a moment ago.
type inHand struct {
	shard  int
	token  string
	lane   string
	member string
	note   string // what Begin noted of it, "" = it is not being sent
}

// inFlight reads a value of flight.
func inFlight(shard int, value string) *inHand {
	w := words{rest: value, sep: '|'}
	return &inHand{shard: shard, token: w.raw(), lane: w.raw(), member: w.raw()}
}

// addNotes adds what Begin noted of messages in hand, in one round trip per Redis node.
func (s *Store) addNotes(ctx context.Context, held []*inHand) error {
	if len(held) == 0 {
		return nil
	}
	type key struct {
		shard int
		token string
	}
	begun := make(map[key]*redis.StringCmd)
	pipe := s.client.Pipeline()
	for _, h := range held {
		if k := (key{h.shard, h.token}); begun[k] == nil {
			begun[k] = pipe.Get(ctx, begunKey(h.shard, h.token))
		}
	}
	if err := run(ctx, pipe); err != nil {
		return fmt.Errorf("read what is in hand: %w", err)
	}
	notes := make(map[key]map[string]string, len(begun))
	for k, c := range begun {
		notes[k] = notesOf(c.Val())
	}
	for _, h := range held {
		if _, _, customer, ok := splitMember(h.member); ok {
			h.note = notes[key{h.shard, h.token}][customer]
		}
	}
	return nil
}

// notesOf reads begun:<token>, by customer.
func notesOf(raw string) map[string]string {
	out := make(map[string]string)
	for line := range strings.SplitSeq(raw, "\n") {
		if customer, note, ok := strings.Cut(line, "|"); ok {
			out[customer] = note
		}
	}
	return out
}

// everyHand returns what is in hand in all shards, by member.
func (s *Store) everyHand(ctx context.Context) (map[string]*inHand, error) {
	pipe := s.client.Pipeline()
	var flights [care.Shards]*redis.StringSliceCmd
	for shard := range flights {
		flights[shard] = pipe.HVals(ctx, flightKey(shard))
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read what is in hand: %w", err)
	}
	var held []*inHand
	out := make(map[string]*inHand)
	for shard, c := range flights {
		for _, value := range c.Val() {
			h := inFlight(shard, value)
			held, out[h.member] = append(held, h), h
		}
	}
	return out, s.addNotes(ctx, held)
}

// dissolveAtOnce is how many hands of a shard are dissolved before something of them is claimed.
const dissolveAtOnce = 16

// dissolve puts the messages of a shard's hands whose lease has ended back into their queues, and says whether there were any. What was
// being sent is written onto its record first, and into the ledger. A hand of which nothing was being sent takes one trip, others two.
func (s *Store) dissolve(ctx context.Context, shard int) (some bool, err error) {
	for range dissolveAtOnce {
		look := &call{script: s.lua.dissolve, key: fenceKey(shard)}
		answer, l, err := s.dissolved(ctx, look)
		if err == nil && answer < 0 && len(l) > 2 {
			answer, _, err = s.dissolved(ctx, s.spoken(ctx, shard, l))
		}
		if some = some || answer > 0; err != nil || answer < 2 {
			return some, err
		}
	}
	return some, nil
}

// dissolved runs dissolve.lua.
func (s *Store) dissolved(ctx context.Context, c *call) (int64, []any, error) {
	if err := s.exec(ctx, []*call{c}, true); err != nil {
		return 0, nil, err
	}
	l, err := c.list(1)
	if err != nil {
		return 0, nil, err
	}
	return number(l[0]), l, nil
}

// spoken makes the call that dissolves a hand with the records of what was being sent.
func (s *Store) spoken(ctx context.Context, shard int, l []any) *call {
	c := &call{script: s.lua.dissolve, key: fenceKey(shard)}
	c.add(text(l[1]), number(l[2]))
	for i := 3; i+2 < len(l); i += 3 {
		id, day, customer, ok := splitMember(text(l[i]))
		r, err := decodeRecord(id, text(l[i+2]))
		if !ok || err != nil {
			s.log.ErrorContext(ctx, "a message's record cannot be read", slog.String("id", id))
			continue // whoever claims it sets it aside
		}
		sending(&r, text(l[i+1]))
		c.say(customer, id+dayText(day), encodeRecord(&r), encodeEntry(entryOf(&r, care.DateFromDays(day), r.UpdatedAt)))
	}
	return c
}
