package store

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
)

// hunger remembers, for one set of lanes, which shards had more to give than they were asked for, so that a backlog in one of them
// is not claimed a sixteenth at a time, and which hold messages that were in hand at a crash, or hands whose lease has ended.
type hunger struct {
	mu      sync.Mutex
	more    [care.Shards]bool
	late    [care.Shards]bool // messages wait to be rescued
	ended   [care.Shards]bool // the lease of a hand has ended
	rescued bool              // the last claim was a rescue
	next    int               // the shard whose turn it is to give a batch
	looked  time.Time
}

// shardBatch is how many messages a shard gives before another one is asked in the same claim.
const shardBatch = 256

// lookAround is how often all shards are asked while some are known to have more: what is urgent in the others waits no longer.
const lookAround = 20 * time.Millisecond

// hungerOf returns what is remembered for these lanes. Whoever delivers a channel claims its lanes only.
func (s *Store) hungerOf(lanes []care.Lane) *hunger {
	set := 0
	for i, lane := range care.Lanes {
		if slices.Contains(lanes, lane) {
			set |= 1 << i
		}
	}
	return &s.hungers[set]
}

// Claim leases up to max messages that are due by the daemon's clock, the urgent lanes first. The lease runs on Redis' own clock;
// Claim.Until is its end on this machine's. The messages come from all shards alike, at most one of each customer, whose next
// one can be claimed when this one is settled.
//
// A message whose lease ended without a word comes back alone, as the only one of a Claim: Was is StateUncertain if it was being
// sent, else StateClaimed, and Record.Crashes counts how often that has happened. Whoever claims one with three crashes
// should set it aside.
func (s *Store) Claim(ctx context.Context, lanes []care.Lane, maximum int, lease time.Duration) ([]*care.Claim, error) {
	if maximum <= 0 || len(lanes) == 0 {
		return nil, nil
	}
	if err := s.marks.stopped(); err != nil {
		return nil, err
	}
	claims, err := s.claim(ctx, lanes, maximum, lease)
	if stopped := s.marks.stopped(); stopped != nil {
		return nil, stopped // the answer itself has shown it; the leases end by themselves
	}
	return claims, err
}

// claim rescues one message or claims what is due.
func (s *Store) claim(ctx context.Context, lanes []care.Lane, maximum int, lease time.Duration) ([]*care.Claim, error) {
	h := s.hungerOf(lanes)
	h.mu.Lock()
	turn := !h.rescued
	h.rescued = false
	h.mu.Unlock()
	if turn {
		if claims, _, err := s.rescue(ctx, lanes, lease); err != nil || len(claims) > 0 {
			return claims, err
		}
	}
	claims, err := s.claimDue(ctx, lanes, maximum, lease)
	if err != nil || len(claims) > 0 {
		return claims, err
	}
	claims, freed, err := s.rescue(ctx, lanes, lease)
	if err != nil || len(claims) > 0 || !freed {
		return claims, err
	}
	return s.claimDue(ctx, lanes, maximum, lease) // customers whose other messages waited for a hand that has been dissolved
}

// claimDue asks the shards until there are enough messages. A batch of a backlog comes from as few shards as it can, in turn, because
// what is begun and settled together then takes one script instead of sixteen; a small one comes from all alike. All are asked now and
// then, and when none is known to have more.
func (s *Store) claimDue(ctx context.Context, lanes []care.Lane, maximum int, lease time.Duration) ([]*care.Claim, error) {
	h := s.hungerOf(lanes)
	var claims []*care.Claim
	var asked, dry [care.Shards]bool
	spread := maximum <= care.Shards
	for len(claims) < maximum {
		// What the first did not give comes from all others that have more, in one trip: one of them alone may have little.
		quota := s.quotas(h, maximum-len(claims), spread || len(claims) > 0, &asked, &dry)
		var calls []*call
		var shards []int
		for shard, n := range quota {
			if n > 0 {
				asked[shard] = true
				calls = append(calls, s.claimCall(shard, lanes, n, lease, false))
				shards = append(shards, shard)
			}
		}
		if len(calls) == 0 {
			break
		}
		given, err := s.ask(ctx, h, calls, shards, lease, maximum)
		for i, some := range given {
			// What else is due there belongs to customers who have a message in flight: asking again brings nothing.
			dry[shards[i]] = len(some) < quota[shards[i]]
			claims = append(claims, some...)
		}
		if err != nil {
			if len(claims) > 0 { // what one master gave is ours, even if another did not answer
				s.log.WarnContext(ctx, "some shards could not be claimed from", slog.Any("error", err))
				return claims, nil
			}
			return nil, err
		}
	}
	return claims, nil
}

// ask makes the calls and reads what each gave. Those of a large claim go in parts, so that Redis works for one while another is read.
func (s *Store) ask(ctx context.Context, h *hunger, calls []*call, shards []int, lease time.Duration, maximum int) ([][]*care.Claim, error) {
	given := make([][]*care.Claim, len(calls))
	part := func(from, to int) error {
		start, floor := s.machine(), s.marks.floor()
		err := s.exec(ctx, calls[from:to], false)
		for i := from; i < to; i++ {
			given[i] = s.readClaims(ctx, h, shards[i], calls[i], start.Add(lease), false, &floor)
		}
		return err
	}
	if maximum <= atOnce {
		return given, part(0, len(calls))
	}
	var wg sync.WaitGroup
	errs := make([]error, len(calls))
	var next atomic.Int32
	for range min(len(calls), 3) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(calls); i = int(next.Add(1)) - 1 {
				errs[i] = part(i, i+1)
			}
		})
	}
	wg.Wait()
	return given, errors.Join(errs...)
}

// quotas says how many of n each shard is asked for. When it is time to look around, those of which nothing is known are asked for
// one each, or for all when no shard is known to have more; the rest comes from those that do: from all of them alike (spread), or
// from as few as give enough, whose turn it is.
func (s *Store) quotas(h *hunger, n int, spread bool, asked, dry *[care.Shards]bool) (quota [care.Shards]int) {
	first := rand.IntN(care.Shards) //nolint:gosec // it only has to be fair
	h.mu.Lock()
	defer h.mu.Unlock()
	var hungry []int
	for i := range care.Shards {
		if shard := (h.next + i) % care.Shards; h.more[shard] && !dry[shard] {
			hungry = append(hungry, shard)
		}
	}
	if now := s.machine(); spread || len(hungry) == 0 || now.Sub(h.looked) >= lookAround {
		h.looked = now
		each := 1
		if len(hungry) == 0 {
			each = max(1, n/care.Shards)
		}
		for i := range care.Shards {
			shard := (first + i) % care.Shards
			if known := h.more[shard] && !spread; !asked[shard] && !known && n > 0 {
				quota[shard] = each
				n -= each
			}
		}
	}
	if len(hungry) == 0 || n <= 0 {
		return quota
	}
	if !spread {
		hungry = hungry[:min(len(hungry), (n+shardBatch-1)/shardBatch)]
		h.next = (hungry[len(hungry)-1] + 1) % care.Shards
	}
	for i, shard := range hungry {
		share := min(n/(len(hungry)-i), atOnce)
		quota[shard] += share
		n -= share
	}
	return quota
}

func (s *Store) claimCall(shard int, lanes []care.Lane, n int, lease time.Duration, rescue bool) *call {
	flag := "0"
	if rescue {
		flag = "1"
	}
	c := &call{script: s.lua.claim, key: fenceKey(shard)}
	// Milliseconds are rounded down here and up in slotOf: nothing is due before its time.
	c.add(slotText(s.clock()), lease.Microseconds(), n, flag)
	for _, lane := range lanes {
		c.add(lane.String())
	}
	return c
}

// rescue claims one message whose lease has ended, from the first shard that is known to have one. A hand whose
// lease has just ended is dissolved first (freed).
func (s *Store) rescue(ctx context.Context, lanes []care.Lane, lease time.Duration) (claims []*care.Claim, freed bool, err error) {
	h := s.hungerOf(lanes)
	first := rand.IntN(care.Shards) //nolint:gosec // it only has to be fair
	for i := range care.Shards {
		shard := (first + i) % care.Shards
		h.mu.Lock()
		late, ended := h.late[shard], h.ended[shard]
		h.late[shard], h.ended[shard] = false, false // the next look will tell
		h.mu.Unlock()
		if ended {
			some, err := s.dissolve(ctx, shard)
			if err != nil {
				return nil, freed, err
			}
			freed, late = freed || some, late || some
		}
		if !late {
			continue
		}
		c := s.claimCall(shard, lanes, 1, lease, true)
		start, floor := s.machine(), s.marks.floor()
		if err := s.exec(ctx, []*call{c}, false); err != nil {
			return nil, freed, err
		}
		if claims = s.readClaims(ctx, h, shard, c, start.Add(lease), true, &floor); len(claims) > 0 {
			h.mu.Lock()
			h.rescued = true
			h.late[shard] = true
			h.mu.Unlock()
			claims, err = s.askReceipts(ctx, claims)
			return claims, freed, err
		}
	}
	return nil, freed, nil
}

// askReceipts looks whether the provider has said meanwhile what became of a message that was being sent at a crash. Then nothing is
// left to decide for whoever claims it.
func (s *Store) askReceipts(ctx context.Context, claims []*care.Claim) ([]*care.Claim, error) {
	if claims[0].Was != care.StateUncertain {
		return claims, nil
	}
	parked, err := s.parked(ctx, []string{claims[0].Record.ID})
	if err != nil || len(parked) == 0 {
		return claims, err
	}
	r := claims[0].Record
	r.State, r.Reason, r.UpdatedAt = care.StateUncertain, "crash_while_sending", s.clock()
	_, err = s.Settle(ctx, []care.Result{{Claim: claims[0], Record: r}}) // which applies the receipt
	return nil, err
}

// readClaims reads the answer of claim.lua.
func (s *Store) readClaims(ctx context.Context, h *hunger, shard int, c *call, until time.Time, rescued bool, floor *Mark) []*care.Claim {
	l, err := c.list(4)
	if err != nil {
		return nil
	}
	s.marks.seen(shard, text(l[0]), floor[shard], !s.anyReplicas(), s.machine())
	token, _ := strconv.ParseInt(text(l[1]), 10, 64)
	if !rescued {
		h.mu.Lock()
		waits := text(l[2])
		h.late[shard], h.ended[shard] = waits == "1" || waits == "3", waits == "2" || waits == "3"
		h.more[shard] = text(l[3]) == "1"
		h.mu.Unlock()
	}
	if len(l) < 6 {
		return nil
	}
	crashes, _ := strconv.Atoi(text(l[5]))
	lines := words{rest: text(l[4]), sep: '\n'}
	room := make([]care.Claim, strings.Count(lines.rest, "\n"))
	claims := make([]*care.Claim, 0, len(room))
	var lane care.Lane
	for line := lines.raw(); line != ""; line = lines.raw() {
		if name, ok := strings.CutPrefix(line, "|"); ok {
			lane, _ = laneNamed(name)
			continue
		}
		claim := &room[len(claims)]
		id, day, record, _ := splitMember(line)
		claim.Lane, claim.Token, claim.Until, claim.Day = lane, token, until, day
		if claim.Record, err = decodeRecord(id, record); err != nil {
			s.setAside(ctx, claim, line)
			continue
		}
		claim.Was = claim.Record.State
		if rescued {
			claim.Record.Crashes = max(claim.Record.Crashes, crashes)
			claim.Was = care.StateClaimed
		}
		if claim.Record.State == care.StateSending {
			claim.Was = care.StateUncertain
		}
		claim.Record.State = care.StateClaimed
		claims = append(claims, claim)
	}
	return claims
}

// setAside ends a message whose record cannot be read: it would come back for ever.
func (s *Store) setAside(ctx context.Context, claim *care.Claim, m string) {
	id, _, record, ok := splitMember(m)
	if !ok {
		return
	}
	customer := customerOf(record)
	s.log.ErrorContext(ctx, "a message's record cannot be read; it is set aside", slog.String("id", id), logCustomer(customer))
	claim.Record = care.Record{
		ID: id, Customer: customer, Channel: claim.Lane.Channel, State: care.StateFailed, Reason: "damaged_record",
		UpdatedAt: s.clock().UTC(),
	}
	if !claim.Lane.Urgent {
		claim.Record.Class = care.Care
	} else {
		claim.Record.Class = care.Service
	}
	if _, err := s.Settle(ctx, []care.Result{{Claim: claim, Record: claim.Record}}); err != nil {
		s.log.ErrorContext(ctx, "it could not be set aside", slog.String("id", id), slog.Any("error", err))
	}
}
