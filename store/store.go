package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/addresses"
	"github.com/carebell/carebell/store/inbox"
	"github.com/carebell/carebell/store/keyspace"
	"github.com/carebell/carebell/store/lua"
	"github.com/carebell/carebell/store/migrate"
	"github.com/carebell/carebell/store/operator"
)

// Options say which Redis, and with which clock.
type Options struct {
	// URL is redis://, rediss://, redis-sentinel://h1,h2/master (rediss-sentinel:// with TLS) or redis-cluster://h1,h2
	// (rediss-cluster://); each may carry user:password@ and the query parameters of URL parsing in docs/redis.md.
	URL string
	// AllowUnsafe goes on where Doctor finds a setting that can lose messages.
	AllowUnsafe bool
	// Embedded says that the server is the demo's in-process one: it knows neither INFO nor the flags of scripts.
	Embedded bool
	// Reader opens without writing anything, not even the version of the layout: for commands that look, or write customers only.
	Reader bool
	// Migrate brings state of an older version to this one before anything else is done, and begins or ends a trial: for the daemon. Without it
	// such a state is refused.
	Migrate bool
	// Clock is the daemon's clock, by which messages become due; nil = time.Now. Leases never follow it.
	Clock func() time.Time
	// Logger takes what Redis and go-redis report; nil = nothing.
	Logger *slog.Logger
	// Trial keeps queue, ledgers, records and events apart: for a dry run, and when everything goes to one address. It names the trial:
	// one of another name begins anew; "" = none.
	Trial string
	// Retention is how long message records are kept; 0 = 180 days.
	Retention time.Duration
	// Changed is told of each message that comes into another state by a receipt, the plan or a person; nil = nobody is. It must not block.
	Changed func(*care.Record)
	// Dialer replaces the network, for tests.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
	// PoolSize limits the connections to each Redis node; 0 = 16.
	PoolSize int

	steps []migrate.Step // nil = those of the released versions; tests have their own
}

// Stop is one of the operator's stops.
type Stop = operator.Stop

// Store is carebell's Redis. It is safe for any number of goroutines.
type Store struct {
	client              redis.UniversalClient
	cluster             *redis.ClusterClient // nil unless it is a cluster
	single              *redis.Client        // nil if it is one
	opts                Options
	log                 *slog.Logger
	clock               func() time.Time
	machine             func() time.Time // the machine's clock, for leases
	retention           time.Duration
	lua                 *lua.Runner
	keys                keyspace.Space
	failsOver           bool // Sentinel or Cluster: a server that is no master will soon be left for one
	*addresses.Index         // of what is known of addresses
	*operator.Decisions      // stops, brakes and announcements
	*inbox.Inbox             // what other systems say

	looks      [1 << 8]remembered // by set of care.Lanes
	watermarks watermarks
	walking    sync.Mutex // one Repair at a time
	walks      [care.Shards]walk
	trims      sync.Map // trimWalk → where the next TrimLedgers goes on
	connected  atomic.Int64
	closing    sync.Once
}

// ErrURL is returned by Open when Options.URL cannot be read, or Redis refuses the user, the password or the database that it names.
var ErrURL = errors.New("CARE_REDIS_URL")

var errNoMaster = errors.New("the server is no master (any more)")

// ErrUnsafe is returned by Open when Doctor finds what can lose messages.
var ErrUnsafe = errors.New("this Redis can lose messages")

// ErrState is returned by Open when the state is of a version that this carebell cannot read.
var ErrState = errors.New("this state cannot be used")

// Open connects, and checks that nothing is set so that messages could be lost (unless AllowUnsafe) and that the state is of a version that
// this carebell can read; see Options.Migrate. The error says what to do.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{opts: o, log: o.Logger, clock: o.Clock, machine: time.Now, retention: o.Retention, keys: keyspace.Shared}
	if o.Trial != "" {
		s.keys = keyspace.Trial
	}
	if s.opts.steps == nil {
		s.opts.steps = steps
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.clock == nil {
		s.clock = s.machine
	}
	if s.retention <= 0 {
		s.retention = 180 * 24 * time.Hour
	}
	if err := s.connect(o); err != nil {
		return nil, err
	}
	s.Index, s.Decisions, s.Inbox = s.indexAddresses(), operator.New(s.client, s.keys, s.clock), inbox.New(s.client, s.clock)
	var err error
	if s.lua, err = lua.New(s.single, s.cluster, o.Embedded); err == nil {
		err = s.check(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// check is what Open asks of the server.
func (s *Store) check(ctx context.Context) error {
	if err := s.client.Ping(ctx).Err(); misset(err) {
		return fmt.Errorf("%w: %w", ErrURL, err)
	} else if err != nil {
		return fmt.Errorf("redis does not answer (see CARE_REDIS_URL): %w", err)
	}
	var unsafe []error
	for _, f := range s.servers(ctx) {
		switch {
		case f.OK:
		case s.opts.AllowUnsafe && !f.Fatal:
			s.log.Warn("redis is not safe", slog.String("finding", f.What), slog.String("remedy", f.Remedy))
		case f.Unknown:
			return fmt.Errorf("%s; %s: %w", f.What, f.Remedy, f.err)
		default:
			unsafe = append(unsafe, fmt.Errorf("%s; %s", f.What, f.Remedy))
		}
	}
	if len(unsafe) > 0 {
		return fmt.Errorf("%w: %w", ErrUnsafe, errors.Join(unsafe...))
	}
	if s.opts.Migrate && !s.opts.Reader {
		if err := s.migrate(ctx); err != nil {
			return err
		}
	}
	if f := s.stateFinding(ctx); f.Unknown {
		return fmt.Errorf("%s: %w", f.What, f.err)
	} else if !f.OK {
		return fmt.Errorf("%w: %s; %s", ErrState, f.What, f.Remedy)
	}
	if s.opts.Migrate && !s.opts.Reader {
		if err := s.enterTrial(ctx); err != nil {
			return err
		}
	}
	// Redis refuses a SETNX when it is full, even of a key that is there.
	if s.opts.Reader || s.client.Exists(ctx, versionKey()).Val() == 1 {
		return nil
	}
	if err := s.client.SetNX(ctx, versionKey(), s.Version(), 0).Err(); err != nil && !s.opts.AllowUnsafe {
		return fmt.Errorf("redis takes no writes: %w", err)
	}
	return nil
}

// Close ends the connections. What runs is cut off. It may be called twice.
func (s *Store) Close() {
	s.closing.Do(func() {
		if s.client != nil {
			s.client.Close()
		}
	})
}

// MayPass reports whether an error of Open can end by itself: Redis is away, loads its data or fails over.
func MayPass(err error) bool {
	return !errors.Is(err, ErrURL) && !errors.Is(err, ErrUnsafe) && !errors.Is(err, ErrState)
}

// misset reports whether Redis does not take what the URL says: the user, the password, the database.
func misset(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return false
	}
	kind, text, _ := strings.Cut(reply.Error(), " ")
	return kind == "NOAUTH" || kind == "WRONGPASS" || kind == "NOPERM" || kind == "ERR" && !strings.HasPrefix(text, "max number of clients")
}

// Ping asks whether Redis answers; readiness depends on it.
func (s *Store) Ping(ctx context.Context) error { return s.client.Ping(ctx).Err() }

// Time is Redis' clock.
func (s *Store) Time(ctx context.Context) (time.Time, error) { return s.client.Time(ctx).Result() }

// Connections counts the connections that were ever made: when it has grown, the server may have been restarted or be another one.
func (s *Store) Connections() int64 { return s.connected.Load() }

// eachMaster calls fn for every master, side by side.
func (s *Store) eachMaster(ctx context.Context, fn func(ctx context.Context, c *redis.Client) error) error {
	if s.cluster != nil {
		return s.cluster.ForEachMaster(ctx, fn)
	}
	return fn(ctx, s.single)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int64 {
	n, _ := v.(int64)
	return n
}
