package store

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
)

// The model of a message's life. It knows nothing of Redis: what it says must hold of the store after any sequence of operations,
// crashes included.
type modelMessage struct {
	o       *care.Occurrence
	state   care.State // as the record says: due, sending, retry, sent, …
	release time.Time  // of a pending one that nobody holds
	held    *care.Claim
	lost    bool // the lease has ended without a word
	crashes int
	parked  care.State // the receipt that came while it was held
}

type model struct {
	b        *bundle
	replicas []*Store
	messages map[string]*modelMessage
	stale    []*care.Claim // claims that have ended, one way or another
	planned  int
	t        *testing.T
}

func (m *model) pick(t *rapid.T, fits func(*modelMessage) bool) *modelMessage {
	var ids []string
	for id, msg := range m.messages {
		if fits(msg) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		t.Skip("none")
	}
	slices.Sort(ids)
	return m.messages[rapid.SampledFrom(ids).Draw(t, "message")]
}

func (m *model) waiting(msg *modelMessage) bool {
	return msg.held == nil && !msg.lost && (msg.state == care.StateDue || msg.state == care.StateRetry)
}

// replica is one of those that share the Redis.
func (m *model) replica(t *rapid.T) *Store { return rapid.SampledFrom(m.replicas).Draw(t, "replica") }

func (m *model) now() time.Time { return m.b.clock.now() }

func (m *model) plan(t *rapid.T) {
	o := occurrence(customer(m.planned), 0, m.now().Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "hours"))*time.Hour))
	o.Channel = rapid.SampledFrom(care.Channels).Draw(t, "channel")
	m.planned++
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		if _, err := m.replica(t).Apply(m.t.Context(), []care.Change{{Customer: o.Customer, Add: []*care.Occurrence{o}}}); err != nil {
			t.Fatal(err)
		}
	}
	m.messages[o.ID] = &modelMessage{o: o, state: care.StateDue, release: o.Release}
}

func (m *model) planAgain(t *rapid.T) {
	msg := m.pick(t, func(*modelMessage) bool { return true })
	got, err := m.replica(t).Apply(m.t.Context(), []care.Change{{Customer: msg.o.Customer, Add: []*care.Occurrence{msg.o}}})
	if err != nil || got != (Applied{Refused: 1}) {
		t.Fatalf("planned again: %+v, %v", got, err)
	}
}

func (m *model) drop(t *rapid.T) {
	msg := m.pick(t, func(*modelMessage) bool { return true })
	got, err := m.replica(t).Apply(m.t.Context(), []care.Change{{Customer: msg.o.Customer, Drop: []care.Drop{{ID: msg.o.ID, State: care.StateSkipped, Reason: "sold"}}}})
	if err != nil || (got.Dropped == 1) != m.waiting(msg) {
		t.Fatalf("dropping a %s message: %+v, %v", msg.state, got, err)
	}
	if m.waiting(msg) {
		msg.state, msg.crashes = care.StateSkipped, 0
	}
}

func (m *model) move(t *rapid.T) {
	msg := m.pick(t, func(*modelMessage) bool { return true })
	o := *msg.o
	o.Release = m.now().Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "hours")) * time.Hour)
	o.Channel = rapid.SampledFrom(care.Channels).Draw(t, "channel")
	o.Template = rapid.SampledFrom([]string{"", "other", "a|b"}).Draw(t, "template")
	may := m.waiting(msg) && msg.state == care.StateDue
	got, err := m.replica(t).Apply(m.t.Context(), []care.Change{{Customer: o.Customer, Move: []*care.Occurrence{&o}}})
	if err != nil || (got.Moved == 1) != may {
		t.Fatalf("moving a %s message: %+v, %v", msg.state, got, err)
	}
	if may {
		msg.o, msg.release = &o, o.Release
	}
}

func (m *model) advance(t *rapid.T) {
	m.b.clock.advance(time.Duration(rapid.IntRange(1, 120).Draw(t, "minutes")) * time.Minute)
}

// claim takes what is due; with crash the replica dies at once.
func (m *model) claim(t *rapid.T) {
	crash := rapid.Bool().Draw(t, "crash")
	lease := time.Hour
	if crash {
		lease = time.Microsecond
	}
	most := rapid.IntRange(1, 4).Draw(t, "most")
	claims, err := m.replica(t).Claim(m.t.Context(), care.Lanes, most, lease)
	if err != nil || len(claims) > most {
		t.Fatalf("%d claims, %v", len(claims), err)
	}
	for _, c := range claims {
		msg := m.messages[c.Record.ID]
		switch {
		case msg == nil:
			t.Fatalf("claimed an unknown message %s", c.Record.ID)
		case msg.lost:
			want := care.StateClaimed
			if msg.state == care.StateSending {
				want = care.StateUncertain
			}
			msg.crashes++
			if c.Was != want || c.Record.Crashes != msg.crashes || len(claims) != 1 {
				t.Fatalf("rescued as %s (want %s) with %d crashes (want %d) among %d", c.Was, want, c.Record.Crashes, msg.crashes, len(claims))
			}
		case !m.waiting(msg) || msg.release.After(m.now()) || c.Was != msg.state:
			t.Fatalf("claimed a %s message as %s, due %v at %v", msg.state, c.Was, msg.release, m.now())
		}
		msg.lost, msg.held = crash, nil
		if crash {
			m.stale = append(m.stale, c)
		} else {
			msg.held = c
		}
	}
	if crash && len(claims) > 0 {
		time.Sleep(2 * time.Microsecond)
	}
	if m.spared(t) || len(claims) > 0 {
		return
	}
	for _, msg := range m.messages {
		if m.waiting(msg) && !msg.release.After(m.now()) || msg.lost {
			t.Fatalf("nothing was claimed, though a %s message is due (lost: %v)", msg.state, msg.lost)
		}
	}
}

// spared finds messages that a claim did not hand out because the provider had said meanwhile what became of them.
func (m *model) spared(t *rapid.T) bool {
	found := false
	for id, msg := range m.messages {
		if !msg.lost || msg.parked == "" || msg.state != care.StateSending {
			continue
		}
		r, err := m.b.Message(m.t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if r.State != care.StateSending {
			found, msg.lost, msg.state = true, false, care.StateUncertain
			m.received(msg, msg.parked)
			msg.parked = ""
		}
	}
	return found
}

func (m *model) begin(t *rapid.T) {
	msg := m.pick(t, func(msg *modelMessage) bool { return msg.held != nil })
	ok, err := m.replica(t).Begin(m.t.Context(), []care.Intent{{Claim: msg.held, At: m.now()}})
	if err != nil || !ok[0] {
		t.Fatalf("our own intent: %v, %v", ok, err)
	}
	msg.state = care.StateSending
}

func (m *model) renew(t *rapid.T) {
	msg := m.pick(t, func(msg *modelMessage) bool { return msg.held != nil })
	ok, err := m.replica(t).Renew(m.t.Context(), []*care.Claim{msg.held}, 2*time.Hour)
	if err != nil || !ok[0] {
		t.Fatalf("our own renewal: %v, %v", ok, err)
	}
}

// die ends a lease as if its holder had died.
func (m *model) die(t *rapid.T) {
	msg := m.pick(t, func(msg *modelMessage) bool { return msg.held != nil })
	m.b.endLease(m.t, msg.held)
	m.stale = append(m.stale, msg.held)
	msg.held, msg.lost = nil, true
}

// endLease lets a claim's lease be over.
func (b *bundle) endLease(t testing.TB, c *care.Claim) {
	t.Helper()
	if err := b.redis.Do(t.Context(), "ZADD", leasedKey(care.Shard(c.Record.Customer)), "XX", "1", leasedOf(c)).Err(); err != nil {
		t.Fatal(err)
	}
}

func (m *model) complete(t *rapid.T) {
	msg := m.pick(t, func(msg *modelMessage) bool { return msg.held != nil })
	state := rapid.SampledFrom([]care.State{
		care.StateDue, care.StateRetry, care.StateSent, care.StateDelivered, care.StateFailed, care.StateExpired, care.StateSkipped, care.StateUncertain,
	}).Draw(t, "state")
	res := result(msg.held, state, m.now())
	if state.Pending() {
		res.Next = m.now().Add(time.Duration(rapid.IntRange(-1, 3).Draw(t, "hours")) * time.Hour)
		res.Record.Channel = rapid.SampledFrom(care.Channels).Draw(t, "channel")
		msg.o.Channel = res.Record.Channel
	}
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		ok, err := m.replica(t).Complete(m.t.Context(), []care.Result{res})
		if err != nil || !ok[0] && msg.parked == "" {
			t.Fatalf("our own result: %v, %v", ok, err)
		}
	}
	m.stale = append(m.stale, msg.held)
	msg.held, msg.state, msg.release = nil, state, res.Next
	if !state.Pending() {
		msg.crashes = 0
	}
	if msg.parked != "" {
		m.received(msg, msg.parked)
		msg.parked = ""
	}
}

// staleOwner lets a replica that has lost its claim go on: nothing of it may be taken, but its own last word said again.
func (m *model) staleOwner(t *rapid.T) {
	if len(m.stale) == 0 {
		t.Skip("none")
	}
	c := rapid.SampledFrom(m.stale).Draw(t, "claim")
	msg := m.messages[c.Record.ID]
	if msg.lost && msg.held == nil {
		// Its lease has ended, but nobody has taken over: its result is as good as any.
		t.Skip("still the last owner")
	}
	res := result(c, care.StateFailed, m.now().Add(time.Nanosecond))
	res.Record.Reason = "stale"
	ok, err := m.replica(t).Complete(m.t.Context(), []care.Result{res})
	if err != nil || ok[0] {
		t.Fatalf("a stale result: %v, %v", ok, err)
	}
	if ok, err := m.replica(t).Begin(m.t.Context(), []care.Intent{{Claim: c, At: m.now()}}); err != nil || ok[0] {
		t.Fatalf("a stale intent: %v, %v", ok, err)
	}
	if ok, err := m.replica(t).Renew(m.t.Context(), []*care.Claim{c}, time.Hour); err != nil || ok[0] {
		t.Fatalf("a stale renewal: %v, %v", ok, err)
	}
}

func (m *model) receipt(t *rapid.T) {
	msg := m.pick(t, func(*modelMessage) bool { return true })
	state := rapid.SampledFrom([]care.State{care.StateSent, care.StateDelivered, care.StateUndelivered, care.StateFailed}).Draw(t, "receipt")
	if err := m.replica(t).Receipts(m.t.Context(), []care.Receipt{receipt(msg.o.ID, state)}); err != nil {
		t.Fatal(err)
	}
	if msg.held != nil || msg.lost {
		if said := map[care.State]int{care.StateFailed: 1, care.StateUndelivered: 2, care.StateDelivered: 3}; said[state] >= said[msg.parked] {
			msg.parked = state // the one that says most, of two alike the later
		}
		return
	}
	m.received(msg, state)
}

// received is what a receipt means, by the table in docs/redis.md.
func (m *model) received(msg *modelMessage, state care.State) {
	table := map[care.State]map[care.State]care.State{
		care.StateSent:        {care.StateUncertain: care.StateSent},
		care.StateFailed:      {care.StateUncertain: care.StateFailed, care.StateSent: care.StateUndelivered},
		care.StateUndelivered: {care.StateUncertain: care.StateUndelivered, care.StateSent: care.StateUndelivered},
	}
	if state == care.StateDelivered {
		msg.state, msg.crashes = care.StateDelivered, 0
	} else if to, ok := table[state][msg.state]; ok {
		msg.state, msg.crashes = to, 0
	}
}

func (m *model) decide(t *rapid.T) {
	msg := m.pick(t, func(*modelMessage) bool { return true })
	ids := []string{msg.o.ID}
	free := msg.held == nil && !msg.lost
	var why []error
	var err error
	var allowed bool
	var to care.State
	switch rapid.SampledFrom([]string{"retry", "drop", "resolve"}).Draw(t, "decision") {
	case "retry":
		why, err = m.b.Retry(m.t.Context(), ids)
		allowed, to = free && msg.state == care.StateFailed, care.StateDue
	case "drop":
		why, err = m.b.Drop(m.t.Context(), ids)
		allowed, to = m.waiting(msg) || free && msg.state == care.StateFailed, care.StateSkipped
	default:
		as := rapid.SampledFrom([]string{"sent", "failed", "resend"}).Draw(t, "as")
		why, err = m.b.Resolve(m.t.Context(), ids, as)
		allowed, to = free && msg.state == care.StateUncertain, map[string]care.State{"sent": care.StateSent, "failed": care.StateFailed, "resend": care.StateDue}[as]
	}
	if err != nil || (why[0] == nil) != allowed {
		t.Fatalf("decision %s on a %s message (held %v): %v, %v", to, msg.state, !free, why, err)
	}
	if allowed {
		msg.state, msg.release, msg.crashes = to, m.now(), 0
	}
}

func (m *model) repair(t *rapid.T) {
	if n, err := m.b.Repair(m.t.Context()); err != nil || n != 0 {
		t.Fatalf("Repair found %d messages in no queue, %v", n, err)
	}
}

// leftover ends a claim as one of a message that was over before: nothing of it changes on record. Its crashes are forgotten, and only for
// one without any does Repair restore all that was known.
func (m *model) leftover(t *rapid.T) {
	msg := m.pick(t, func(msg *modelMessage) bool {
		return msg.held != nil && msg.state != care.StateSending && msg.parked == "" && msg.crashes == 0
	})
	before := m.b.raw(m.t, msg.o.ID)
	for range 2 {
		ok, err := m.replica(t).Complete(m.t.Context(), []care.Result{{Claim: msg.held, Record: msg.held.Record, Leftover: true}})
		if err != nil {
			t.Fatalf("a leftover: %v, %v", ok, err)
		}
	}
	if after := m.b.raw(m.t, msg.o.ID); after != before {
		t.Fatalf("a leftover changed %q to %q", before, after)
	}
	m.stale = append(m.stale, msg.held)
	msg.held = nil
	// Here nothing but the queue was wrong, and Repair puts it right.
	if n, err := m.b.Repair(m.t.Context()); err != nil || n != 1 {
		t.Fatalf("Repair put %d back, %v", n, err)
	}
	msg.release = m.now()
}

// raw is a message's record as it is stored.
func (b *bundle) raw(t testing.TB, id string) string {
	t.Helper()
	found, err := b.find(t.Context(), []string{id})
	if err != nil || found[0] == nil {
		t.Fatalf("%s: %v", id, err)
	}
	return found[0].raw
}

// queued checks that each message stands in exactly one of due, suspects and leased, or is over, and that busy says what leased says.
func (m *model) queued(t *rapid.T) {
	ctx := m.t.Context()
	pipe := m.b.redis.Pipeline()
	var leased [care.Shards]*redis.StringSliceCmd
	var busy [care.Shards]*redis.MapStringStringCmd
	waiting := make(map[string]*redis.StringSliceCmd)
	for shard := range care.Shards {
		leased[shard], busy[shard] = pipe.ZRange(ctx, leasedKey(shard), 0, -1), pipe.HGetAll(ctx, busyKey(shard))
		for _, lane := range care.Lanes {
			for _, key := range []string{dueKey(shard, lane), suspectsKey(shard, lane)} {
				waiting[key] = pipe.ZRange(ctx, key, 0, -1)
			}
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	sets := make(map[string][]string)
	for shard := range care.Shards {
		there := make(map[string]string)
		for _, member := range leased[shard].Val() {
			lane, r, ok := codec.ParseLeased(member)
			if !ok {
				t.Fatalf("%q is leased", member)
			}
			there[r.Customer] = r.ID
			sets[r.ID] = append(sets[r.ID], "leased "+lane.String())
		}
		for customer, held := range busy[shard].Val() {
			if id, _, _ := strings.Cut(held, "|"); there[customer] != id {
				t.Fatalf("%s is busy with %s, leased is %q", customer, held, there[customer])
			}
			delete(there, customer)
		}
		if len(there) > 0 {
			t.Fatalf("leased without that their customers are busy: %v", there)
		}
	}
	for key, cmd := range waiting {
		_, name, _ := strings.Cut(key, "}:")
		for _, r := range appendRefs(nil, cmd.Val()) {
			sets[r.ID] = append(sets[r.ID], strings.Replace(name, ":", " ", 1))
		}
	}
	for id, msg := range m.messages {
		lane := care.LaneOf(msg.o.Channel, msg.o.Class).String()
		var want []string
		switch {
		case msg.held != nil:
			want = []string{"leased " + lane}
		case msg.lost && slices.Equal(sets[id], []string{"suspects " + lane}): // reclaimed already
			continue
		case msg.lost:
			want = []string{"leased " + lane}
		case m.waiting(msg):
			want = []string{"due " + lane}
		}
		if !slices.Equal(sets[id], want) {
			t.Fatalf("a %s message (held %v, lost %v) stands in %q, want %q", msg.state, msg.held != nil, msg.lost, sets[id], want)
		}
	}
}

// check compares every message with the store.
func (m *model) check(t *rapid.T) {
	m.queued(t)
	for id, msg := range m.messages {
		r, err := m.b.Message(m.t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		want := msg.state
		if (msg.held != nil || msg.lost) && want != care.StateSending {
			want = care.StateClaimed
		}
		if r.State != want {
			t.Fatalf("%s is %q, the model says %q", id, r.State, want)
		}
		f, err := m.b.Facts(m.t.Context(), []string{msg.o.Customer})
		if err != nil {
			t.Fatal(err)
		}
		if got := f[0].Ledger[id].State; got != msg.state {
			t.Fatalf("the ledger has %s as %q, the model says %q", id, got, msg.state)
		}
	}
}

// Several replicas do what they do in any order, on a real Redis and on the embedded store.
func TestModel(t *testing.T) {
	t.Parallel()
	onBoth(t, checkModel)
}

func checkModel(t *testing.T, b *bundle) {
	t.Helper()
	replicas := []*Store{b.Store, b.another(t), b.another(t)}
	rapid.Check(t, func(rt *rapid.T) {
		if err := b.redis.FlushDB(t.Context()).Err(); err != nil {
			rt.Fatal(err)
		}
		b.clock.at.Store(epoch.UnixNano())
		for _, s := range replicas {
			if err := s.Accept(t.Context()); err != nil {
				rt.Fatal(err)
			}
			for i := range s.looks {
				s.looks[i].suspects, s.looks[i].due, s.looks[i].looked = [care.Shards]bool{}, [care.Shards]int{}, time.Time{}
			}
		}
		m := &model{b: b, replicas: replicas, messages: make(map[string]*modelMessage), t: t}
		m.plan(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"plan": m.plan, "planAgain": m.planAgain, "drop": m.drop, "move": m.move, "leftover": m.leftover, "advance": m.advance, "claim": m.claim, "claim again": m.claim,
			"begin": m.begin, "renew": m.renew, "die": m.die, "complete": m.complete, "staleOwner": m.staleOwner, "receipt": m.receipt,
			"decide": m.decide, "repair": m.repair, "": m.check,
		})
	})
}
