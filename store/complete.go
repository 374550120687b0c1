package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/addresses"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
	"github.com/carebell/carebell/store/lua"
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

// claimWords are the five words by which scripts know a claim.
func claimWords(c *care.Claim) []any {
	return []any{c.Lane.String(), c.Record.ID, codec.DayText(c.Day), c.Record.Customer, c.Token}
}

// Begin records that messages are about to be sent: state sending, with the channel that the claim's record names. Only what is true in
// the answer may be sent: there the claim was still ours and, where Redis has replicas, one of them has the intent.
func (s *Store) Begin(ctx context.Context, intents []care.Intent) ([]bool, error) {
	if len(intents) > atOnce {
		return inParts(intents, func(part []care.Intent) ([]bool, error) { return s.Begin(ctx, part) })
	}
	begun := make([]bool, len(intents))
	if err := s.watermarks.stopped(); err != nil {
		return begun, err
	}
	calls, err := lua.PerShard(s.lua.Begin, s.keys.Fence, len(intents), func(i int) int { return care.Shard(intents[i].Claim.Record.Customer) }, []any{s.lua.Moves()}, func(i int) ([]any, error) {
		claim := intents[i].Claim
		r := claim.Record
		r.State, r.UpdatedAt = care.StateSending, intents[i].At.UTC().Truncate(time.Millisecond)
		if r.FirstTry.IsZero() {
			r.FirstTry = r.UpdatedAt
		}
		return append(claimWords(claim), codec.EncodeRecord(&r), codec.EncodeEntry(codec.EntryOf(&r, care.DateFromDays(claim.Day), r.UpdatedAt))), nil
	})
	if err != nil {
		return begun, err
	}
	floor := s.watermarks.floor()
	err = s.lua.Exec(ctx, calls.All, true)
	s.noteWatermarks(&calls, &floor)
	calls.Each(1, func(i int, answer any) { begun[i] = number(answer) == 1 })
	return begun, err
}

// Renew lengthens the leases of claims, counted from now, on Redis' clock. False = the claim was no longer ours, or its lease had ended. The
// claims themselves stay as they are, token and Until included: others may be reading them.
func (s *Store) Renew(ctx context.Context, claims []*care.Claim, lease time.Duration) ([]bool, error) {
	if len(claims) > atOnce {
		return inParts(claims, func(part []*care.Claim) ([]bool, error) { return s.Renew(ctx, part, lease) })
	}
	alive := make([]bool, len(claims))
	calls, err := lua.PerShard(s.lua.Renew, s.keys.Fence, len(claims), func(i int) int { return care.Shard(claims[i].Record.Customer) }, []any{lease.Microseconds()},
		func(i int) ([]any, error) { return claimWords(claims[i]), nil })
	if err != nil {
		return alive, err
	}
	err = s.lua.Exec(ctx, calls.All, false)
	calls.Each(0, func(i int, answer any) { alive[i] = number(answer) == 1 })
	return alive, err
}

// Complete records how claims ended: the record, the ledger, the queue, and what was learnt of the customer (Suppress, Stop). A pending
// state goes back to the queue at Next; uncertain goes to the list of those that wait for a receipt or a person. A receipt that came before
// the result is applied. False = the claim was no longer ours, and nothing was changed for it. Of a Leftover nothing is recorded. Events are
// Publish's.
//
// With an error it is not known what was recorded: complete the same again, which changes nothing that has been done.
func (s *Store) Complete(ctx context.Context, results []care.Result) ([]bool, error) {
	if len(results) > atOnce {
		return inParts(results, func(part []care.Result) ([]bool, error) { return s.Complete(ctx, part) })
	}
	recorded := make([]bool, len(results))
	if len(results) == 0 {
		return recorded, nil
	}
	// What customers' overlays learn comes before the results: after a crash in between it would not be learnt again.
	if err := s.learn(ctx, results); err != nil {
		return recorded, err
	}
	calls, err := s.completeCalls(results)
	if err != nil {
		return recorded, err
	}
	floor := s.watermarks.floor()
	if err := s.lua.Exec(ctx, calls.All, true); err != nil {
		calls.Each(1, func(i int, answer any) { recorded[i] = answer != int64(0) })
		return recorded, err
	}
	s.noteWatermarks(&calls, &floor)
	var early []care.Receipt
	calls.Each(1, func(i int, answer any) {
		recorded[i] = answer != int64(0)
		if raw := text(answer); raw != "" {
			if rc, _, ok := codec.DecodeEarly(raw); ok {
				early = append(early, rc)
			}
		}
	})
	waiting, err := s.linkProviders(ctx, results, recorded)
	if err != nil {
		return recorded, err
	}
	if early = append(early, waiting...); len(early) > 0 {
		err = s.Receipts(ctx, early)
	}
	return recorded, err
}

// completeCalls are the calls of complete.lua for some results.
func (s *Store) completeCalls(results []care.Result) (lua.Calls, error) {
	now := s.clock()
	more := make([][][]any, len(results)) // what else each does
	calls, err := lua.PerShard(s.lua.Complete, s.keys.Fence, len(results), func(i int) int { return care.Shard(results[i].Claim.Record.Customer) },
		[]any{s.lua.Moves(), keyspace.SentTable(codec.DayOf(now)), int(countersKept / time.Second), 0}, func(i int) (words []any, err error) {
			words, more[i], err = completeWords(&results[i], now)
			return words, err
		})
	for n, c := range calls.All {
		c.Args[3] = len(calls.Items[n])
		for j, i := range calls.Items[n] {
			for _, command := range more[i] {
				c.Add(append([]any{j + 1}, command...)...)
			}
		}
	}
	return calls, err
}

// completeWords are the words that complete.lua takes of a result, and the commands that it runs beside.
func completeWords(res *care.Result, now time.Time) (words []any, more [][]any, err error) {
	r := res.Record
	if r.ID != res.Claim.Record.ID || r.Customer != res.Claim.Record.Customer {
		return nil, nil, fmt.Errorf("complete: the result's record is %s, the claim's %s", r.ID, res.Claim.Record.ID)
	}
	if res.Leftover {
		return append(claimWords(res.Claim), "", "", ""), nil, nil
	}
	if r.UpdatedAt.IsZero() {
		r.UpdatedAt = now
	}
	r.UpdatedAt = r.UpdatedAt.UTC().Truncate(time.Millisecond)
	to, at, err := codec.Destination(&r, res.Next, now)
	if err != nil {
		return nil, nil, err
	}
	if to != "" {
		more = append(more, []any{"ZADD", to, at, codec.Ref{ID: r.ID, Day: res.Claim.Day, Customer: r.Customer}.String()})
	}
	count := ""
	switch r.State {
	case care.StateSent, care.StateDelivered, care.StateUndelivered:
		count = r.Dealer + "/" + r.Program
	}
	if over := r.State.Final() && r.State != care.StateExpired && r.State != care.StateSkipped; over || r.State == care.StateUncertain {
		for _, also := range r.Also {
			id, merged := care.EntryOfKey(r.Customer, also)
			merged.State, merged.At, merged.Class, merged.Reason, merged.Merged = care.StateSkipped, r.UpdatedAt, r.Class, "merged", r.ID
			more = append(more, []any{"HSETNX", "ledger:" + r.Customer, id, codec.EncodeEntry(merged)})
		}
	}
	entry := codec.EncodeEntry(codec.EntryOf(&r, care.DateFromDays(res.Claim.Day), r.UpdatedAt))
	return append(claimWords(res.Claim), codec.EncodeRecord(&r), entry, count), more, nil
}

// noteWatermarks remembers the watermarks that came with confirmed answers.
func (s *Store) noteWatermarks(cs *lua.Calls, floor *Watermark) {
	for n, c := range cs.All {
		if l, err := c.List(1); err == nil {
			s.watermarks.seen(cs.Shard[n], text(l[0]), floor[cs.Shard[n]], true, s.machine())
		}
	}
}

// learn records dead addresses and opt-outs: with the address, for whoever has it, and in the overlays of the results.
func (s *Store) learn(ctx context.Context, results []care.Result) error {
	for i := range results {
		res := &results[i]
		if res.Suppress == nil && res.Stop == "" {
			continue
		}
		at := s.clock().UTC().Truncate(time.Second)
		if res.Address != "" {
			err := s.UpdateAddress(ctx, res.Address, func(a *care.AddressState) {
				if sup := res.Suppress; sup != nil && a.Dead.At.IsZero() {
					a.Dead = *sup
				}
				if res.Stop != "" {
					a.Refuse(care.Stop{At: at, Source: "provider"})
				}
			})
			if err != nil && !errors.Is(err, addresses.ErrDamaged) {
				return err
			}
		}
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
