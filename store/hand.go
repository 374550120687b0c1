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
//	flight          customer → token, until the message has a result; | → filling
//	hand:<token>    lines: | and a lane, its members as they stood in the queue, the next lane …; behind an empty line what Begin noted
//
// A note is customer | when | repeats | the ids that it was merged with, comma-separated; what is empty at the end is left out. With the
// message's own record it says with what the message was about to be sent, should nobody be left to tell.

// flightFill is the field of flight that is no customer's; see claim.lua.
const flightFill = "|"

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
	lane   string
	member string
	note   string // what Begin noted of it, "" = it is not being sent
}

// readHand reads hand:<token>: what it has of each customer, of whom it has one message.
func readHand(text string) map[string]*inHand {
	named, notes, _ := strings.Cut(text, "\n\n")
	hand := make(map[string]*inHand, strings.Count(named, "\n"))
	lane := ""
	for line := range strings.SplitSeq(named, "\n") {
		if name, ok := strings.CutPrefix(line, "|"); ok {
			lane = name
		} else if _, _, record, ok := splitMember(line); ok {
			hand[customerOf(record)] = &inHand{lane: lane, member: line}
		}
	}
	for line := range strings.SplitSeq(notes, "\n") {
		if customer, note, ok := strings.Cut(line, "|"); ok && hand[customer] != nil {
			hand[customer].note = note
		}
	}
	return hand
}

// aloft is a customer of whom something is in flight, and the hand that has it.
type aloft struct{ customer, token string }

// inHands returns the messages that are in flight, in the order of their customers, in one round trip per Redis node; nil where the hand is
// gone meanwhile.
func (s *Store) inHands(ctx context.Context, flights []aloft) ([]*inHand, error) {
	if len(flights) == 0 {
		return nil, nil
	}
	type key struct {
		shard int
		token string
	}
	texts := make(map[key]*redis.StringCmd)
	pipe := s.client.Pipeline()
	for _, f := range flights {
		if k := (key{care.Shard(f.customer), f.token}); texts[k] == nil {
			texts[k] = pipe.Get(ctx, handKey(k.shard, k.token))
		}
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read what is in hand: %w", err)
	}
	hands := make(map[key]map[string]*inHand, len(texts))
	for k, c := range texts {
		hands[k] = readHand(c.Val())
	}
	out := make([]*inHand, len(flights))
	for i, f := range flights {
		out[i] = hands[key{care.Shard(f.customer), f.token}][f.customer]
	}
	return out, nil
}

// everyHand returns what is in hand in all shards, by the message's id.
func (s *Store) everyHand(ctx context.Context) (map[string]*inHand, error) {
	pipe := s.client.Pipeline()
	var cmds [care.Shards]*redis.MapStringStringCmd
	for shard := range cmds {
		cmds[shard] = pipe.HGetAll(ctx, flightKey(shard))
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read what is in hand: %w", err)
	}
	var flights []aloft
	for _, c := range cmds {
		for customer, token := range c.Val() {
			if customer != flightFill {
				flights = append(flights, aloft{customer, token})
			}
		}
	}
	held, err := s.inHands(ctx, flights)
	out := make(map[string]*inHand, len(held))
	for _, h := range held {
		if h != nil {
			out[h.member[:idLen]] = h
		}
	}
	return out, err
}

// dissolveAtOnce is how many hands of a shard are dissolved before something of them is claimed.
const dissolveAtOnce = 16

// dissolve ends a shard's hands whose lease has ended: their messages wait to be rescued. It says whether there were any. What was
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
	for i := 3; i+1 < len(l); i += 2 {
		id, day, record, ok := splitMember(text(l[i]))
		r, err := decodeRecord(id, record)
		if !ok || err != nil {
			s.log.ErrorContext(ctx, "a message's record cannot be read", slog.String("id", id))
			continue // whoever claims it sets it aside
		}
		sending(&r, text(l[i+1]))
		c.say(r.Customer, id+dayText(day), encodeRecord(&r, noSlot), encodeEntry(entryOf(&r, care.DateFromDays(day), r.UpdatedAt)))
	}
	return c
}
