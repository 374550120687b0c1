package store

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
)

// Commit writes intents, results and events in one round trip per Redis node, for up to 500 of each. Where Redis has replicas, intents and
// results count only once one of them has confirmed them. Results go first: what is begun may have their place. See Begin, Settle and
// care:events for what each of them means; what each of them has to say stands for itself.
func (s *Store) Commit(ctx context.Context, c care.Commit) care.Committed {
	done := care.Committed{Begun: make([]bool, len(c.Intents)), Settled: make([]bool, len(c.Results))}
	if len(c.Intents) > 0 {
		done.NotBegun = s.marks.stopped()
	}
	// What customers' overlays learn comes before the results: after a crash in between it would not be learnt again.
	done.NotSettled = s.learn(ctx, c.Results)
	var begin, settle []*call
	var begun, settled [care.Shards][]int
	if done.NotBegun == nil {
		begin, begun = s.beginCalls(c.Intents)
	}
	if done.NotSettled == nil {
		settle, settled, done.NotSettled = s.settleCalls(c.Results, upTo(len(c.Results)))
	}
	all := slices.Concat(settle, begin)
	defer free(all)
	told, floor := tellings(ctx, c.Events), s.marks.floor()
	defer told.free()
	s.execWith(ctx, all, told.cmds, true)
	if err := failed(begin); err != nil {
		done.NotBegun = err
	}
	s.readBegun(c.Intents, begin, begun, &floor, done.Begun)
	done.NotTold = s.toldAll(ctx, c.Events, told.cmds)
	if done.NotSettled == nil {
		done.NotSettled = s.settled(ctx, c.Results, settle, settled, &floor, done.Settled)
	}
	return done
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
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
	done := s.Commit(ctx, care.Commit{Intents: intents})
	return done.Begun, done.NotBegun
}

// beginCalls makes the calls that record intents, one for each shard, those of a hand side by side.
func (s *Store) beginCalls(intents []care.Intent) (calls []*call, groups [care.Shards][]int) {
	groups = byShard(intents, func(i *care.Intent) string { return i.Claim.Record.Customer })
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		slices.SortStableFunc(items, func(a, b int) int { return cmp.Compare(intents[a].Claim.Token, intents[b].Claim.Token) })
		c := newCall(s.lua.begin, fenceKey(shard))
		for from := 0; from < len(items); {
			to := from + 1
			for to < len(items) && intents[items[from]].Claim.Token == intents[items[to]].Claim.Token {
				to++
			}
			hand := items[from:to]
			c.add(intents[hand[0]].Claim.Token)
			c.write(func(b []byte) []byte {
				for _, i := range hand {
					b = appendNote(b, &intents[i].Claim.Record, intents[i].At.Truncate(time.Millisecond))
				}
				return b
			})
			from = to
		}
		calls = append(calls, c)
	}
	return calls, groups
}

// readBegun reads the answers of begin.lua.
func (s *Store) readBegun(intents []care.Intent, calls []*call, groups [care.Shards][]int, floor *Mark, ours []bool) {
	for shard, items := range groups {
		if len(items) == 0 || len(calls) == 0 {
			continue
		}
		c := calls[0]
		calls = calls[1:]
		l, err := c.list(1)
		if err != nil {
			continue
		}
		s.marks.seen(shard, text(l[0]), floor[shard], true, s.machine())
		hand, at := 0, 0 // the hand of the message before, and how many messages of it there were
		for j, i := range items {
			if j == 0 || intents[i].Claim.Token != intents[items[j-1]].Claim.Token {
				hand, at = hand+1, 0
			}
			if hand >= len(l) {
				break
			}
			some, _ := l[hand].(string)
			ours[i] = number(l[hand]) > 0 || at < len(some) && some[at] == '1'
			at++
		}
	}
}

// settled reads the answers of settle.lua, asks again for those that were held up by others, remembers which message each provider's id
// belongs to, and applies the receipts that were waiting for the messages.
func (s *Store) settled(ctx context.Context, results []care.Result, calls []*call, groups [care.Shards][]int, floor *Mark, ours []bool) error {
	var early []string
	for range casTries {
		if err := failed(calls); err != nil {
			return err
		}
		var again []int
		answers(calls, groups, len(results), 1, func(_, i int, answer int64) {
			ours[i] = answer > 0
			switch answer {
			case -1:
				again = append(again, i)
			case 2:
				early = append(early, results[i].Record.ID)
			}
		})
		s.noteMarks(calls, groups, floor)
		if len(again) == 0 {
			return s.afterwards(ctx, results, ours, early)
		}
		var err error
		if calls, groups, err = s.settleCalls(results, again); err != nil {
			return err
		}
		*floor = s.marks.floor()
		s.execWith(ctx, calls, nil, true)
	}
	return errBusy
}

// answers collects what scripts said of each item: a list with skip words before it, or only these if all is well.
func answers(calls []*call, groups [care.Shards][]int, n, skip int, each func(shard, item int, answer int64)) []bool {
	out := make([]bool, n)
	next := 0
	for shard, items := range groups {
		if len(items) == 0 {
			continue
		}
		l, err := calls[next].list(skip)
		next++
		brief := skip > 0 && len(l) == skip
		if err != nil || !brief && len(l) < skip+len(items) {
			continue
		}
		for j, i := range items {
			a := int64(1) // what is not said for each is true for all
			if !brief {
				a = number(l[skip+j])
			}
			out[i] = a > 0
			if each != nil {
				each(shard, i, a)
			}
		}
	}
	return out
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
