package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// Renew lengthens leases, counted from now, on Redis' clock. False = the claim is no longer ours. The claims themselves stay
// as they are, token and Until included: others may be reading them.
func (s *Store) Renew(ctx context.Context, claims []*care.Claim, lease time.Duration) ([]bool, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	if len(claims) > atOnce {
		return inParts(claims, func(part []*care.Claim) ([]bool, error) { return s.Renew(ctx, part, lease) })
	}
	var calls []*call
	groups := byShard(claims, func(c **care.Claim) string { return (*c).Record.Customer })
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		c := &call{script: s.lua.renew, key: fenceKey(shard)}
		c.add(lease.Microseconds())
		for _, i := range items {
			c.say(owner(claims[i]), claims[i].Record.Customer, claims[i].Lane.String())
		}
		calls = append(calls, c)
	}
	err := s.exec(ctx, calls, false)
	return answers(calls, groups, len(claims), 0, nil), err
}

// answers collects what scripts said of each item: a list with skip words before it.
func answers(calls []*call, groups [care.Shards][]int, n, skip int, each func(shard, item int, answer int64)) []bool {
	out := make([]bool, n)
	next := 0
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		l, err := calls[next].list(skip + len(items))
		next++
		if err != nil {
			continue
		}
		for j, i := range items {
			a := number(l[skip+j])
			out[i] = a > 0
			if each != nil {
				each(shard, i, a)
			}
		}
	}
	return out
}

// Begin records that messages are about to be handed over: state sending, with the channel that the claim's record names. Only what
// is true in the answer may be sent: there the claim was still ours and, where Redis has replicas, one of them has the intent.
func (s *Store) Begin(ctx context.Context, intents []care.Intent) ([]bool, error) {
	if len(intents) == 0 {
		return nil, nil
	}
	if len(intents) > atOnce {
		return inParts(intents, func(part []care.Intent) ([]bool, error) { return s.Begin(ctx, part) })
	}
	if err := s.marks.stopped(); err != nil {
		return make([]bool, len(intents)), err
	}
	var calls []*call
	groups := byShard(intents, func(i *care.Intent) string { return i.Claim.Record.Customer })
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		c := &call{script: s.lua.begin, key: fenceKey(shard)}
		for _, i := range items {
			r := intents[i].Claim.Record // a copy: the claim stays as it is
			r.State, r.UpdatedAt = care.StateSending, intents[i].At.UTC().Truncate(time.Millisecond)
			if r.FirstTry.IsZero() {
				r.FirstTry = r.UpdatedAt
			}
			c.say(owner(intents[i].Claim), r.Customer, encodeRecord(&r))
		}
		calls = append(calls, c)
	}
	floor := s.marks.floor()
	err := s.exec(ctx, calls, true)
	ours := answers(calls, groups, len(intents), 1, nil)
	s.noteMarks(calls, groups, &floor)
	return ours, err
}

// noteMarks remembers the marks that came with confirmed answers.
func (s *Store) noteMarks(calls []*call, groups [care.Shards][]int, floor *Mark) {
	next := 0
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		if l, err := calls[next].list(1); err == nil {
			s.marks.seen(shard, text(l[0]), floor[shard], true, s.machine())
		}
		next++
	}
}

// Settle records how claims ended: the record, the ledger, the queue, what was learnt of the customer (Suppress, Stop), and the
// entry on care:events. A pending state goes back to the queue at Next; uncertain goes to the list of those that wait for a
// receipt or a person. False = the claim was no longer ours, and nothing was changed for it.
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
	// What the customer's overlay learns comes first: after a crash in between it would not be learnt again.
	if err := s.learn(ctx, results); err != nil {
		return make([]bool, len(results)), err
	}
	ours := make([]bool, len(results))
	todo := make([]int, len(results))
	for i := range todo {
		todo[i] = i
	}
	var early []string
	for range casTries {
		if len(todo) == 0 {
			break
		}
		var err error
		if todo, early, err = s.settleOnce(ctx, results, todo, ours, early); err != nil {
			return ours, err
		}
	}
	if len(todo) > 0 {
		return ours, errBusy
	}
	return ours, s.settled(ctx, results, ours, early)
}

// settleOnce settles those results of todo whose claims are all still ours, shard by shard, and returns the others that are to be asked
// for again without the ones that are not.
func (s *Store) settleOnce(ctx context.Context, results []care.Result, todo []int, ours []bool, early []string) (again []int, found []string, err error) {
	now := s.clock()
	var calls []*call
	var groups [care.Shards][]int
	for _, i := range todo {
		shard := care.Shard(results[i].Claim.Record.Customer)
		groups[shard] = append(groups[shard], i)
	}
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		c := &call{script: s.lua.settle, key: fenceKey(shard), args: make([]any, 0, 2+10*len(items))}
		moving := 0
		if s.cluster != nil {
			moving = 1
		}
		c.add(moving, len(items))
		var after commands
		for _, i := range items {
			if err := after.settle(c, &results[i], now); err != nil {
				return nil, early, err
			}
		}
		after.addTo(c)
		calls = append(calls, c)
	}
	floor := s.marks.floor()
	err = s.exec(ctx, calls, true)
	answers(calls, groups, len(results), 1, func(_, i int, answer int64) {
		ours[i] = answer > 0
		switch answer {
		case -1:
			again = append(again, i)
		case 2:
			early = append(early, results[i].Record.ID)
		}
	})
	s.noteMarks(calls, groups, &floor)
	return again, early, err
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

// settle adds to a call the six words that settle.lua takes of a result, and notes the commands that follow them.
func (cs *commands) settle(c *call, res *care.Result, now time.Time) error {
	r := res.Record
	if r.ID != res.Claim.Record.ID || r.Customer != res.Claim.Record.Customer {
		return fmt.Errorf("settle: the result's record is %s, the claim's %s", r.ID, res.Claim.Record.ID)
	}
	if r.UpdatedAt.IsZero() {
		r.UpdatedAt = now
	}
	r.UpdatedAt = r.UpdatedAt.UTC().Truncate(time.Millisecond)
	was, is := res.Claim.Lane, care.LaneOf(r.Channel, r.Class)
	m := member(r.ID, res.Claim.Day, r.Customer)
	queued := false
	switch r.State {
	case care.StateDue, care.StateRetry:
		next := res.Next
		if next.IsZero() {
			next = now
		}
		queued = true
		cs.add("ZADD", "due:"+is.String(), score(next), m)
	case care.StateUncertain:
		cs.add("ZADD", "held", score(r.UpdatedAt), m)
	case care.StateFailed:
		cs.add("ZADD", "failed", score(r.UpdatedAt), m)
	case care.StateSent, care.StateDelivered, care.StateUndelivered, care.StateExpired, care.StateSkipped:
	default:
		return fmt.Errorf("settle: message %s cannot end as %q", r.ID, r.State)
	}
	if !queued || is != was {
		cs.add("ZREM", "due:"+was.String(), m)
	}
	if queued && r.Crashes > 0 {
		cs.add("HSET", "crash", r.ID, strconv.Itoa(r.Crashes))
	} else if res.Claim.Record.Crashes > 0 {
		cs.add("HDEL", "crash", r.ID)
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
	c.say(owner(res.Claim), r.Customer, r.ID, dayText(res.Claim.Day),
		encodeEntry(entryOf(&r, care.DateFromDays(res.Claim.Day), r.UpdatedAt)), encodeRecord(&r))
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

// owner is how what a claim has in flight begins. A claim takes one message of a customer, so the token says which.
func owner(c *care.Claim) string { return strconv.FormatInt(c.Token, 10) + "|" }

// learn records dead addresses and opt-outs in the overlays of the results that have any.
func (s *Store) learn(ctx context.Context, results []care.Result) error {
	for i := range results {
		res := &results[i]
		if res.Suppress == nil && res.Stop == "" {
			continue
		}
		at := s.clock().UTC().Truncate(time.Second)
		err := s.UpdateOverlay(ctx, res.Record.Customer, func(o *care.Overlay) error {
			if sup := res.Suppress; sup != nil && !slices.ContainsFunc(o.Suppressed, func(have care.Suppression) bool {
				return have.Channel == sup.Channel && have.Hash == sup.Hash
			}) {
				o.Suppressed = append(o.Suppressed, *sup)
			}
			if _, have := o.Stops[res.Stop]; res.Stop != "" && !have {
				if o.Stops == nil {
					o.Stops = make(map[string]care.Stop)
				}
				o.Stops[res.Stop] = care.Stop{At: at, Source: "provider"}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errOverlay) {
			return err
		}
		if err != nil {
			s.log.ErrorContext(ctx, "a result could not be noted", logCustomer(res.Record.Customer), slog.Any("error", err))
		}
	}
	return nil
}
