package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
)

// countersKept is how long the daily counters behind Usual are kept.
const countersKept = 16 * 24 * time.Hour

// atOnce limits what one run of a script is given: Lua passes at most some thousands of words on, and a script stops its Redis.
const atOnce = 500

func inParts[T any](items []T, do func([]T) ([]bool, error)) ([]bool, error) {
	oks := make([]bool, 0, len(items))
	var errs []error
	for part := range slices.Chunk(items, atOnce) {
		some, err := do(part)
		errs = append(errs, err)
		oks = append(append(oks, some...), make([]bool, len(part)-len(some))...)
	}
	return oks, errors.Join(errs...)
}

// Settle records how claims ended: the record, the ledger, the queue, what was learnt of the customer (Suppress, Stop), and the
// entry on care:events. A pending state goes back to the queue at Next; uncertain goes to the list of those that wait for a
// receipt or a person. False = the claim was no longer ours, and nothing was changed for it. Of a Leftover nothing is recorded.
//
// With an error it is not known what was recorded: settle the same again, which changes nothing that has been done. An event may
// come twice then.
func (s *Store) Settle(ctx context.Context, results []care.Result) ([]bool, error) {
	if len(results) == 0 {
		return nil, nil
	}
	if len(results) > atOnce {
		return inParts(results, func(part []care.Result) ([]bool, error) { return s.Settle(ctx, part) })
	}
	done := s.Commit(ctx, care.Commit{Results: results})
	if done.NotSettled != nil {
		return done.Settled, done.NotSettled
	}
	var events []*care.EventEntry
	for i := range results {
		if done.Settled[i] && results[i].Event != nil {
			events = append(events, results[i].Event)
		}
	}
	return done.Settled, s.tell(ctx, events)
}

// settleCalls makes the calls that settle those results of todo whose claims are all still ours, one for each shard, whose results they
// put into groups, those of a hand and a day side by side.
func (s *Store) settleCalls(results []care.Result, todo []int) (calls []*call, groups [care.Shards][]int, err error) {
	now := s.clock()
	for _, i := range todo {
		shard := care.Shard(results[i].Claim.Record.Customer)
		groups[shard] = append(groups[shard], i)
	}
	moving := 0
	if s.cluster != nil {
		moving = 1
	}
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		slices.SortStableFunc(items, func(a, b int) int { return comparePlaces(results[a].Claim, results[b].Claim) })
		c := newCall(s.lua.settle, fenceKey(shard))
		c.add(moving, 0)
		var after commands
		hands := 0
		for from := 0; from < len(items); {
			first, to := results[items[from]].Claim, from+1
			for to < len(items) && comparePlaces(first, results[items[to]].Claim) == 0 {
				to++
			}
			c.add(first.Token, dayText(first.Day), to-from)
			for _, i := range items[from:to] {
				if err := after.settle(c, &results[i], now); err != nil {
					return nil, groups, err
				}
			}
			hands++
			from = to
		}
		c.args[1] = hands
		after.addTo(c)
		calls = append(calls, c)
	}
	return calls, groups, nil
}

// comparePlaces orders claims by their hand and the day of their records.
func comparePlaces(a, b *care.Claim) int {
	if a.Token != b.Token {
		return cmp.Compare(a.Token, b.Token)
	}
	return cmp.Compare(a.Day, b.Day)
}

// commands gathers what goes to one key into one command.
type commands []*command

type command struct {
	name, key string
	words     []string
}

func (cs *commands) add(name, key string, words ...string) {
	for _, c := range *cs {
		if c.name == name && c.key == key {
			c.words = append(c.words, words...)
			return
		}
	}
	*cs = append(*cs, &command{name, key, slices.Clone(words)})
}

func (cs *commands) addTo(c *call) {
	for _, one := range *cs {
		c.add(2 + len(one.words))
		c.say(one.name, one.key)
		c.say(one.words...)
	}
}

// settle adds to a call the four words that settle.lua takes of a result, and notes the commands that follow them.
func (cs *commands) settle(c *call, res *care.Result, now time.Time) error {
	r := res.Record
	if r.ID != res.Claim.Record.ID || r.Customer != res.Claim.Record.Customer {
		return fmt.Errorf("settle: the result's record is %s, the claim's %s", r.ID, res.Claim.Record.ID)
	}
	if r.UpdatedAt.IsZero() {
		r.UpdatedAt = now
	}
	r.UpdatedAt = r.UpdatedAt.UTC().Truncate(time.Millisecond)
	if r.State.Pending() && !res.Leftover && r.Crashes > 0 {
		cs.add("HSET", "crash", r.ID, strconv.Itoa(r.Crashes))
	} else if res.Claim.Record.Crashes > 0 {
		cs.add("HDEL", "crash", r.ID)
	}
	if res.Leftover {
		c.say(r.Customer, "", "", "")
		return nil
	}
	slot := noSlot
	switch r.State {
	case care.StateDue, care.StateRetry:
		next := res.Next
		if next.IsZero() {
			next = now
		}
		slot = slotOf(next, now)
		lane := care.LaneOf(r.Channel, r.Class).String()
		cs.add("RPUSH", "slot:"+lane+":"+slot, member(r.ID, res.Claim.Day, encodeRecord(&r, slot)))
		cs.add("ZADD", "due:"+lane, slot, slot)
	case care.StateUncertain:
		cs.add("ZADD", "held", score(r.UpdatedAt), member(r.ID, res.Claim.Day, r.Customer))
	case care.StateFailed:
		cs.add("ZADD", "failed", score(r.UpdatedAt), member(r.ID, res.Claim.Day, r.Customer))
	case care.StateSent, care.StateDelivered, care.StateUndelivered, care.StateExpired, care.StateSkipped:
	default:
		return fmt.Errorf("settle: message %s cannot end as %q", r.ID, r.State)
	}
	if r.State == care.StateSent || r.State == care.StateDelivered || r.State == care.StateUndelivered {
		cs.count("sent:"+dayText(dayOf(now)), r.Dealer+"/"+r.Program)
	}
	if r.State.Final() && r.State != care.StateExpired && r.State != care.StateSkipped || r.State == care.StateUncertain {
		for _, id := range r.Also {
			// Each is a command of its own: only the first of two messages that it could have gone with counts.
			*cs = append(*cs, &command{"HSETNX", "ledger:" + r.Customer, []string{id, encodeEntry(care.LedgerEntry{
				State: care.StateSkipped, At: r.UpdatedAt, Class: r.Class, Reason: "merged", Merged: r.ID,
			})}})
		}
	}
	c.say(r.Customer, r.ID)
	c.write(func(b []byte) []byte {
		return appendEntry(b, entryOf(&r, care.DateFromDays(res.Claim.Day), r.UpdatedAt))
	})
	c.write(func(b []byte) []byte { return appendRecord(b, &r, slot) })
	return nil
}

// count adds one to a counter of a table that is kept for countersKept.
func (cs *commands) count(table, counter string) {
	for _, c := range *cs {
		if c.name == "HINCRBY" && c.key == table && c.words[0] == counter {
			n, _ := strconv.Atoi(c.words[1])
			c.words[1] = strconv.Itoa(n + 1)
			return
		}
	}
	*cs = append(*cs, &command{"HINCRBY", table, []string{counter, "1"}})
	if !slices.ContainsFunc(*cs, func(c *command) bool { return c.name == "EXPIRE" }) {
		*cs = append(*cs, &command{"EXPIRE", table, []string{strconv.Itoa(int(countersKept / time.Second))}})
	}
}
