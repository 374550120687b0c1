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

// Renew lengthens leases, counted from now, on Redis' clock. False = the claim is no longer ours. The claims themselves stay
// as they are, token and Until included: others may be reading them.
func (s *Store) Renew(ctx context.Context, claims []*care.Claim, lease time.Duration) ([]bool, error) {
	if len(claims) == 0 {
		return nil, nil
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
			r := &claims[i].Record
			c.add(r.ID, r.Customer, claims[i].Lane.String(), claims[i].Token, dayText(dayOf(r.Release)))
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
			raw, err := encodeRecord(&r)
			if err != nil {
				return nil, err
			}
			c.add(r.ID, r.Customer, intents[i].Claim.Lane.String(), intents[i].Claim.Token,
				encodeEntry(entryOf(&r, care.DateFromDays(dayOf(r.Release)), r.UpdatedAt)), raw)
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
	// What the customer's overlay learns comes first: after a crash in between it would not be learnt again.
	if err := s.learn(ctx, results); err != nil {
		return make([]bool, len(results)), err
	}
	now := s.clock()
	var calls []*call
	groups := byShard(results, func(r *care.Result) string { return r.Claim.Record.Customer })
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		c := &call{script: s.lua.settle, key: fenceKey(shard)}
		c.add("sent:"+dayText(dayOf(now)), int(countersKept/time.Second))
		for _, i := range items {
			words, err := settleWords(&results[i], now)
			if err != nil {
				return make([]bool, len(results)), err
			}
			c.add(words...)
		}
		calls = append(calls, c)
	}
	floor := s.marks.floor()
	err := s.exec(ctx, calls, true)
	var early []string
	ours := answers(calls, groups, len(results), 1, func(_, i int, answer int64) {
		if answer == 2 {
			early = append(early, results[i].Record.ID)
		}
	})
	s.noteMarks(calls, groups, &floor)
	if err != nil {
		return ours, err
	}
	return ours, s.settled(ctx, results, ours, early)
}

// settleWords are the thirteen words that settle.lua takes of a result.
func settleWords(res *care.Result, now time.Time) ([]any, error) {
	r := res.Record
	if r.ID != res.Claim.Record.ID || r.Customer != res.Claim.Record.Customer {
		return nil, fmt.Errorf("settle: the result's record is %s, the claim's %s", r.ID, res.Claim.Record.ID)
	}
	if r.UpdatedAt.IsZero() {
		r.UpdatedAt = now
	}
	r.UpdatedAt = r.UpdatedAt.UTC().Truncate(time.Millisecond)
	lane, at, op := res.Claim.Lane.String(), "0", "end"
	switch r.State {
	case care.StateDue, care.StateRetry:
		next := res.Next
		if next.IsZero() {
			next = now
		}
		op, at, lane = "queue", score(next), care.LaneOf(r.Channel, r.Class).String()
	case care.StateUncertain:
		op, at = "held", score(r.UpdatedAt)
	case care.StateFailed:
		op, at = "failed", score(r.UpdatedAt)
	case care.StateSent, care.StateDelivered, care.StateUndelivered, care.StateExpired, care.StateSkipped:
	default:
		return nil, fmt.Errorf("settle: message %s cannot end as %q", r.ID, r.State)
	}
	raw, err := encodeRecord(&r)
	if err != nil {
		return nil, err
	}
	counter, also, merged := "", "", ""
	if r.State == care.StateSent || r.State == care.StateDelivered || r.State == care.StateUndelivered {
		counter = r.Dealer + "/" + r.Program
	}
	day := care.DateFromDays(dayOf(res.Claim.Record.Release))
	if r.State.Final() && r.State != care.StateExpired && r.State != care.StateSkipped || r.State == care.StateUncertain {
		also = joinIDs(r.Also)
		merged = encodeEntry(care.LedgerEntry{State: care.StateSkipped, At: r.UpdatedAt, Class: r.Class, Reason: "merged", Merged: r.ID})
	}
	return []any{
		r.ID, r.Customer, res.Claim.Lane.String(), res.Claim.Token, encodeEntry(entryOf(&r, day, r.UpdatedAt)), raw,
		op, lane, at, counter, strconv.Itoa(r.Crashes), also, merged,
	}, nil
}

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
