package store

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/lua"
)

// claimAtOnce limits what one run of claim.lua is asked for, which stops its Redis meanwhile.
const claimAtOnce = 500

// reclaimAtOnce limits one run of reclaim.lua.
const reclaimAtOnce = 500

// remembered is what the last look at the shards told, for one set of lanes.
type remembered struct {
	mu       sync.Mutex
	suspects [care.Shards]bool // messages of these lanes whose lease ended wait there
	turn     bool              // the last claim was of a suspect
	due      [care.Shards]int  // how many more were due there
	next     int               // the shard whose turn it is to give a batch
	looked   time.Time         // at all shards
}

// lookEvery is how often all shards are asked although some are known to have enough: what is urgent in the others waits no longer.
const lookEvery = 50 * time.Millisecond

// together is how many messages of one shard go together. Redis keeps small hashes and sets as lists, in which it looks from the beginning
// for each customer: with more, that costs it more than another run of the scripts.
const together = 64

// batch says how many each shard is asked for when some are known to have n messages: as few shards as can be, in turn, because what is
// begun and completed together then takes one script instead of sixteen. ok is false when it is time to look at all, or n is so few that
// what is urgent anywhere should come first.
func (r *remembered) batch(n int, now time.Time) (quota [care.Shards]int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for shard := range quota {
		quota[shard] = -1
	}
	if n <= care.Shards || now.Sub(r.looked) >= lookEvery {
		r.looked = now
		return quota, false
	}
	for i := 0; i < care.Shards && n > 0; i++ {
		shard := (r.next + i) % care.Shards
		if part := min(n, r.due[shard], together); part > 0 {
			quota[shard], n = part, n-part
			if n == 0 {
				r.next = (shard + 1) % care.Shards
			}
		}
	}
	return quota, n == 0
}

// remembered returns what is remembered for these lanes. Whoever delivers a channel claims its lanes only.
func (s *Store) remembered(lanes []care.Lane) *remembered {
	set := 0
	for i, lane := range care.Lanes {
		if slices.Contains(lanes, lane) {
			set |= 1 << i
		}
	}
	return &s.looks[set]
}

// Claim leases up to most messages that are due by the daemon's clock, in each shard those of the first lanes first. The lease runs on
// Redis' own clock; Claim.Until is its end on this machine's. The messages come from all shards alike, at most one of each customer, whose
// next one can be claimed when this one is completed.
//
// A message whose lease ended without a word is a suspect: it comes back alone, as the only one of a Claim, because it may be what killed
// its replica. Was is StateUncertain if it was being sent, else StateClaimed, and Record.Crashes counts how often that has happened. Whoever
// claims one with three crashes should set it aside. Claims of suspects and of what is due take turns.
func (s *Store) Claim(ctx context.Context, lanes []care.Lane, most int, lease time.Duration) ([]*care.Claim, error) {
	if most <= 0 || len(lanes) == 0 {
		return nil, nil
	}
	if err := s.watermarks.stopped(); err != nil {
		return nil, err
	}
	claims, err := s.claim(ctx, lanes, most, lease)
	if stopped := s.watermarks.stopped(); stopped != nil {
		return nil, stopped // the answer itself has shown it; the leases end by themselves
	}
	return claims, err
}

// claim claims one suspect or what is due.
func (s *Store) claim(ctx context.Context, lanes []care.Lane, most int, lease time.Duration) ([]*care.Claim, error) {
	seen := s.remembered(lanes)
	seen.mu.Lock()
	turn := !seen.turn
	seen.turn = false
	seen.mu.Unlock()
	if turn {
		if claims, err := s.claimSuspect(ctx, lanes, lease); err != nil || len(claims) > 0 {
			return claims, err
		}
	}
	claims, ended, err := s.claimDue(ctx, lanes, most, lease)
	if err != nil {
		return nil, err
	}
	if len(ended) > 0 {
		if err := s.reclaim(ctx, seen, ended); err != nil && len(claims) == 0 {
			return nil, err
		}
	}
	if len(claims) > 0 {
		return claims, nil
	}
	if claims, err = s.claimSuspect(ctx, lanes, lease); err != nil || len(claims) > 0 || len(ended) == 0 {
		return claims, err
	}
	claims, _, err = s.claimDue(ctx, lanes, most, lease) // of customers who waited for what has been reclaimed
	return claims, err
}

// claimDue asks the shards until there are enough messages, or no more. ended are the shards where a lease has ended.
func (s *Store) claimDue(ctx context.Context, lanes []care.Lane, most int, lease time.Duration) (claims []*care.Claim, ended []int, err error) {
	seen := s.remembered(lanes)
	var more [care.Shards]bool
	for shard := range more {
		more[shard] = true
	}
	looked := false // at all shards
	for round := 0; len(claims) < most; round++ {
		var quota [care.Shards]int
		known := false
		if round == 0 {
			quota, known = seen.batch(most, s.machine())
		}
		if !known {
			quota = share(most-len(claims), &more, !looked)
			looked = true
		}
		var asked []*lua.Call
		var shards []int
		for shard, n := range quota {
			if n >= 0 {
				asked, shards = append(asked, s.claimCall(shard, "due", lanes, n, lease)), append(shards, shard)
			}
		}
		if len(asked) == 0 {
			break
		}
		until, floor := s.machine().Add(lease), s.watermarks.floor()
		err := s.lua.Exec(ctx, asked, false)
		for n, c := range asked {
			shard := shards[n]
			given, look := s.readClaims(ctx, c, shard, until, &floor)
			// What else is due where fewer came than were asked for belongs to customers of whom a message is claimed.
			more[shard] = len(given) == quota[shard] && look.due > 0
			claims = append(claims, given...)
			seen.note(shard, &look, len(given) == quota[shard])
			if look.ended && !slices.Contains(ended, shard) {
				ended = append(ended, shard)
			}
		}
		if err != nil {
			if len(claims) > 0 { // what one master gave is ours, even if another did not answer
				s.log.WarnContext(ctx, "some shards could not be claimed from", slog.Any("error", err))
				return claims, ended, nil
			}
			return nil, nil, err
		}
	}
	return claims, ended, nil
}

// share says how many of n each shard that has more is asked for; -1 = it is not asked. All are looked at first, those that are asked for
// nothing too.
func share(n int, more *[care.Shards]bool, all bool) (quota [care.Shards]int) {
	var from []int
	first := rand.IntN(care.Shards) //nolint:gosec // it only has to be fair
	for i := range care.Shards {
		shard := (first + i) % care.Shards
		if quota[shard] = -1; more[shard] {
			from = append(from, shard)
		}
	}
	for i, shard := range from {
		part := min((n+len(from)-i-1)/(len(from)-i), claimAtOnce)
		if part > 0 || all {
			quota[shard] = part
		}
		n -= part
	}
	return quota
}

func (s *Store) claimCall(shard int, from string, lanes []care.Lane, n int, lease time.Duration) *lua.Call {
	c := &lua.Call{Script: s.lua.Claim, Key: s.keys.Fence(shard)}
	// Milliseconds are rounded down here and up in score: nothing is due before its time.
	c.Add(s.clock().UnixMilli(), lease.Microseconds(), n, from)
	for _, lane := range lanes {
		c.Add(lane.String())
	}
	return c
}

// note remembers what a shard told, and that it has no more to give if it gave less than it was asked for.
func (r *remembered) note(shard int, l *look, full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspects[shard], r.due[shard] = l.suspects, 0
	if full {
		r.due[shard] = int(l.due)
	}
}

func (r *remembered) setSuspects(shard int, some bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspects[shard] = some
}

// reclaim makes suspects of the messages whose lease has ended.
func (s *Store) reclaim(ctx context.Context, seen *remembered, shards []int) error {
	for len(shards) > 0 {
		calls := make([]*lua.Call, len(shards))
		for i, shard := range shards {
			calls[i] = &lua.Call{Script: s.lua.Reclaim, Key: s.keys.Fence(shard), Args: []any{reclaimAtOnce}}
		}
		if err := s.lua.Exec(ctx, calls, true); err != nil {
			return err
		}
		var again []int
		seen.mu.Lock()
		for i, c := range calls {
			seen.suspects[shards[i]] = true // perhaps of other lanes: the next look tells
			if c.Number() == reclaimAtOnce {
				again = append(again, shards[i])
			}
		}
		seen.mu.Unlock()
		shards = again
	}
	return nil
}

// claimSuspect claims one suspect, from the first shard that is known to have one.
func (s *Store) claimSuspect(ctx context.Context, lanes []care.Lane, lease time.Duration) ([]*care.Claim, error) {
	seen := s.remembered(lanes)
	first := rand.IntN(care.Shards) //nolint:gosec // it only has to be fair
	for i := range care.Shards {
		shard := (first + i) % care.Shards
		seen.mu.Lock()
		some := seen.suspects[shard]
		seen.mu.Unlock()
		if !some {
			continue
		}
		c := s.claimCall(shard, "suspects", lanes, 1, lease)
		until, floor := s.machine().Add(lease), s.watermarks.floor()
		if err := s.lua.Exec(ctx, []*lua.Call{c}, false); err != nil {
			return nil, err
		}
		claims, look := s.readClaims(ctx, c, shard, until, &floor)
		if len(claims) == 0 {
			seen.setSuspects(shard, false) // none, or their customers are busy: the next look tells
			continue
		}
		seen.setSuspects(shard, look.suspects)
		seen.mu.Lock()
		seen.turn = true
		seen.mu.Unlock()
		suspect := claims[0]
		suspect.Was = care.StateClaimed
		if suspect.Record.State == care.StateSending {
			suspect.Was = care.StateUncertain
		}
		suspect.Record.State = care.StateClaimed
		return s.askReceipts(ctx, claims)
	}
	return nil, nil
}

// askReceipts looks whether the provider has said meanwhile what became of a message that was being sent at a crash. Then nothing is
// left to decide for whoever claims it.
func (s *Store) askReceipts(ctx context.Context, claims []*care.Claim) ([]*care.Claim, error) {
	if claims[0].Was != care.StateUncertain {
		return claims, nil
	}
	r := claims[0].Record
	waits, err := s.client.HExists(ctx, s.keys.Shard(care.ShardOf(r.ID), "early"), r.ID).Result()
	if err != nil || !waits {
		return claims, err
	}
	r.State, r.Reason, r.UpdatedAt = care.StateUncertain, "crash_while_sending", s.clock()
	_, err = s.Complete(ctx, []care.Result{{Claim: claims[0], Record: r}}) // which applies the receipt
	return nil, err
}

// look is what a claim tells of its shard.
type look struct {
	suspects, ended bool
	due             int64
}

// readClaims reads the answer of claim.lua. A message that was being sent keeps that state for claimSuspect; any other is claimed.
func (s *Store) readClaims(ctx context.Context, c *lua.Call, shard int, until time.Time, floor *Watermark) ([]*care.Claim, look) {
	l, err := c.List(5)
	if err != nil {
		return nil, look{}
	}
	s.watermarks.seen(shard, text(l[0]), floor[shard], !s.lua.AnyReplicas(), s.machine())
	token, _ := strconv.ParseInt(text(l[1]), 10, 64)
	seen := look{ended: number(l[2]) > 0, suspects: number(l[3]) > 0, due: number(l[4])}
	claims := make([]*care.Claim, 0, len(l)/3)
	for at := 5; at+2 < len(l); at += 3 {
		lane, r, ok := codec.ParseLeased(text(l[at]))
		claim := &care.Claim{Lane: lane, Token: token, Until: until, Day: r.Day}
		if claim.Record, err = codec.DecodeRecord(r.ID, text(l[at+1])); err != nil || !ok {
			s.setAside(ctx, claim, r)
			continue
		}
		crashes, _ := strconv.Atoi(text(l[at+2]))
		claim.Record.Crashes += crashes // since it was last written
		if claim.Was = claim.Record.State; claim.Was != care.StateSending {
			claim.Record.State = care.StateClaimed
		}
		claims = append(claims, claim)
	}
	return claims, seen
}

// forget takes a claimed message out of queue and ledger.
func (s *Store) forget(ctx context.Context, claim *care.Claim, r codec.Ref) error {
	shard := care.ShardOf(r.ID)
	c := &lua.Call{Script: s.lua.Write, Key: s.keys.Fence(shard)}
	c.Add(3, "HDEL", s.keys.Ledger(r.Customer), r.ID, 3, "ZREM", s.keys.Leased(shard), claim.Lane.String()+"|"+r.String(), 3, "HDEL", s.keys.Busy(shard), r.Customer)
	return s.lua.Exec(ctx, []*lua.Call{c}, true)
}

// setAside ends a message whose record is gone or cannot be read: it would come back for ever. The ledger says what it was. One of which
// nothing was begun is forgotten instead: the next sweep plans it anew.
func (s *Store) setAside(ctx context.Context, claim *care.Claim, r codec.Ref) {
	raw, _ := s.client.HGet(ctx, s.keys.Ledger(r.Customer), r.ID).Result()
	e, _ := codec.DecodeEntry(raw) // of what cannot be read nothing is known
	if e.State == care.StateDue && s.forget(ctx, claim, r) == nil {
		s.log.WarnContext(ctx, "a message's record cannot be read; it is planned anew", slog.String("id", r.ID), logCustomer(r.Customer))
		return
	}
	s.log.ErrorContext(ctx, "a message's record cannot be read; it is set aside", slog.String("id", r.ID), logCustomer(r.Customer))
	claim.Record = care.Record{
		ID: r.ID, Customer: r.Customer, Program: e.Program, Vehicle: e.Vehicle, Step: e.Step, Cycle: e.Cycle, On: e.On, Class: e.Class,
		Channel: claim.Lane.Channel, State: care.StateFailed, Reason: "damaged_record", UpdatedAt: s.clock().UTC(),
	}
	if claim.Record.Class == "" {
		claim.Record.Class = care.Care
		if claim.Lane.Urgent {
			claim.Record.Class = care.Service
		}
	}
	if _, err := s.Complete(ctx, []care.Result{{Claim: claim, Record: claim.Record}}); err != nil {
		s.log.ErrorContext(ctx, "it could not be set aside", slog.String("id", r.ID), slog.Any("error", err))
	}
}
