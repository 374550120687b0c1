package store

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
	"github.com/carebell/carebell/store/redistest"
)

// sharedRedis is the address of the redis-server that most tests use, each with a database of its own.
var (
	sharedRedis string
	database    atomic.Int32
)

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "carebell-store")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	server, err := redistest.New(dir, "--appendonly", "yes", "--appendfsync", "no", "--databases", "4000")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	sharedRedis = server.Addr
	code := m.Run()
	server.Kill()
	if code == 0 {
		// go-redis' probe for a server that is away ends within a second of Close, asleep until then.
		probe := goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
		if err := goleak.Find(probe); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// ownRedis starts a redis-server for one test.
func ownRedis(t testing.TB, args ...string) *redistest.Server {
	t.Helper()
	return redistest.Run(t, args...)
}

// clock is a daemon's clock that tests set. It starts far from the real time, as the demo's does.
type clock struct{ at atomic.Int64 }

var epoch = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func newClock() *clock {
	c := new(clock)
	c.at.Store(epoch.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// bundle is a store under test with its clock, and a second view of the same Redis.
type bundle struct {
	*Store
	clock *clock
	redis redis.UniversalClient
	url   string
	embed bool
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// another opens a second replica on the same Redis, with the same clock.
func (b *bundle) another(t testing.TB) *Store {
	t.Helper()
	return open(t, Options{URL: b.url, Clock: b.clock.now, Embedded: b.embed})
}

func onRedis(t testing.TB) *bundle {
	t.Helper()
	return bundleAt(t, fmt.Sprintf("redis://%s/%d", sharedRedis, database.Add(1)), false)
}

func embedded(t testing.TB) *bundle {
	t.Helper()
	m := miniredis.RunT(t)
	return bundleAt(t, "redis://"+m.Addr()+"/0", true)
}

func bundleAt(t testing.TB, url string, embed bool) *bundle {
	t.Helper()
	b := &bundle{clock: newClock(), url: url, embed: embed}
	b.Store = b.another(t)
	b.redis = b.client
	return b
}

// onBoth runs a test on a real redis-server and on the embedded store.
func onBoth(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) { t.Parallel(); test(t, onRedis(t)) })
	t.Run("embedded", func(t *testing.T) { t.Parallel(); test(t, embedded(t)) })
}

// occurrence is one that a test queues; n tells them apart.
func occurrence(customer string, n int, release time.Time) *care.Occurrence {
	o := &care.Occurrence{
		Customer: customer, Dealer: "sh-pudong", Vehicle: "LSGHXRT911E8RM77M", Program: "maintenance", Step: "heads-up",
		Cycle: fmt.Sprint("c", n), On: care.DateOf(release), Class: care.Service, Topic: "maintenance", Template: "maintenance",
		Release: release, Scheduled: release, Expires: release.Add(72 * time.Hour), Channel: care.SMS, Verdict: care.Send,
	}
	o.ID = care.OccurrenceID(o.Customer, o.Vehicle, o.Program, o.Step, o.Cycle)
	return o
}

func customer(i int) string { return fmt.Sprintf("C%06d", i) }

// queue adds one due message for each of n customers.
func (b *bundle) queue(t testing.TB, n int, edit ...func(*care.Occurrence)) []*care.Occurrence {
	t.Helper()
	var all []*care.Occurrence
	var changes []care.Change
	for i := range n {
		o := occurrence(customer(i), 0, b.clock.now().Add(-time.Minute))
		for _, e := range edit {
			e(o)
		}
		all = append(all, o)
		changes = append(changes, care.Change{Customer: o.Customer, Add: []*care.Occurrence{o}})
	}
	got, err := b.Apply(t.Context(), changes)
	if err != nil || got.Added != n {
		t.Fatalf("Apply: %+v, %v; want %d added", got, err, n)
	}
	return all
}

// claimOne claims exactly one message.
func claimOne(t testing.TB, s *Store, lease time.Duration) *care.Claim {
	t.Helper()
	claims, err := s.Claim(t.Context(), care.Lanes, 1, lease)
	if err != nil || len(claims) != 1 {
		t.Fatalf("Claim: %d claims, %v; want one", len(claims), err)
	}
	return claims[0]
}

func begin(t testing.TB, s *Store, c *care.Claim) bool {
	t.Helper()
	ok, err := s.Begin(t.Context(), []care.Intent{{Claim: c, At: s.clock()}})
	if err != nil {
		t.Fatal(err)
	}
	return ok[0]
}

func result(c *care.Claim, state care.State, at time.Time) care.Result {
	r := c.Record
	r.State, r.UpdatedAt = state, at
	return care.Result{Claim: c, Record: r}
}

func complete(t testing.TB, s *Store, res care.Result) bool {
	t.Helper()
	ok, err := s.Complete(t.Context(), []care.Result{res})
	if err != nil {
		t.Fatal(err)
	}
	return ok[0]
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// waiting lists what waits in a lane, those that were there at a crash too.
func (b *bundle) waiting(tb testing.TB, shard int, lane care.Lane) []string {
	tb.Helper()
	return append(b.redis.ZRange(tb.Context(), dueKey(shard, lane), 0, -1).Val(), b.redis.ZRange(tb.Context(), suspectsKey(shard, lane), 0, -1).Val()...)
}

// smsQueue is the lane of what queue and fill plan.
var smsQueue = care.LaneOf(care.SMS, care.Service)

// deleteQueue deletes all keys of a shard's queue.
func (b *bundle) deleteQueue(tb testing.TB, shard int) {
	tb.Helper()
	for _, pattern := range []string{"due:*", "leased", "suspects:*"} {
		for _, key := range b.redis.Keys(tb.Context(), shardKey(shard, pattern)).Val() {
			b.redis.Del(tb.Context(), key)
		}
	}
}

// refOf is what a claim is called in the sets of its shard, and leasedOf in that of the leases.
func refOf(c *care.Claim) string {
	return codec.Ref{ID: c.Record.ID, Day: c.Day, Customer: c.Record.Customer}.String()
}

func leasedOf(c *care.Claim) string { return c.Lane.String() + "|" + refOf(c) }

// ofShard gives n customers of a shard.
func ofShard(shard, n int) (ids []string) {
	for i := 0; len(ids) < n; i++ {
		if care.Shard(customer(i)) == shard {
			ids = append(ids, customer(i))
		}
	}
	return ids
}

// sentOn counts the messages sent on the day of the epoch for dealer/program.
func (b *bundle) sentOn(tb testing.TB, name string) (n int) {
	tb.Helper()
	for shard := range care.Shards {
		one, _ := b.redis.HGet(tb.Context(), shardKey(shard, keyspace.SentTable(codec.DayOf(epoch))), name).Int()
		n += one
	}
	return n
}

// The keys of what is no trial.
func fenceKey(shard int) string                 { return keyspace.Shared.Fence(shard) }
func dueKey(shard int, lane care.Lane) string   { return keyspace.Shared.Due(shard, lane) }
func leasedKey(shard int) string                { return keyspace.Shared.Leased(shard) }
func suspectsKey(shard int, l care.Lane) string { return keyspace.Shared.Suspects(shard, l) }
func busyKey(shard int) string                  { return keyspace.Shared.Busy(shard) }
func messagesKey(shard, day int) string         { return keyspace.Shared.Messages(shard, day) }
func ledgerKey(customer string) string          { return keyspace.Shared.Ledger(customer) }
func timelineKey(customer string) string        { return keyspace.Shared.Timeline(customer) }
func shardKey(shard int, name string) string    { return keyspace.Shared.Shard(shard, name) }
func tasksKey() string                          { return keyspace.Shared.Tasks() }
func parkedKey(provider string) string          { return keyspace.Shared.Parked(provider) }
