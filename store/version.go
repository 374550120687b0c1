package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/store/keyspace"
	"github.com/carebell/carebell/store/migrate"
)

// firstVersion is the version of the released layout, the one that docs/redis.md describes.
const firstVersion = 1

// steps lead from each released version of the state to the next. There is one version so far.
var steps []migrate.Step

// Keys of the state's version, in the first shard. A layout from before the first release has its version in unreleasedKey.
func versionKey() string { return keyspace.Shared.Global("state") }

func migrationKey() string { return keyspace.Shared.Global("migration") }

func unreleasedKey() string { return keyspace.Shared.Global("schema") }

// Version is the version of the state that this Store reads and writes.
func (s *Store) Version() int {
	if len(s.opts.steps) == 0 {
		return firstVersion
	}
	return s.opts.steps[len(s.opts.steps)-1].To
}

// judge reads the state's version and says what this Store makes of it.
func (s *Store) judge(ctx context.Context) (state int, v migrate.Verdict, err error) {
	pipe := s.client.Pipeline()
	version, old := pipe.Get(ctx, versionKey()), pipe.Exists(ctx, unreleasedKey())
	if err := run(ctx, pipe); err != nil {
		return 0, 0, err
	}
	if state, err = version.Int(); err != nil && !errors.Is(err, redis.Nil) {
		return 0, 0, err
	}
	return state, migrate.Judge(state, s.Version(), old.Val() == 1), nil
}

// stateFinding judges the state's version for Doctor.
func (s *Store) stateFinding(ctx context.Context) Finding {
	state, verdict, err := s.judge(ctx)
	if err != nil {
		return Finding{What: "the state's version cannot be read: " + err.Error(), Remedy: "see that Redis answers", Fatal: true, Unknown: true, err: err}
	}
	switch verdict {
	case migrate.Fresh:
		return Finding{OK: true, What: "no state of carebell yet"}
	case migrate.Current:
		return Finding{OK: true, What: fmt.Sprintf("state of version %d", state)}
	case migrate.Ahead:
		return Finding{OK: true, What: fmt.Sprintf(
			"state of version %d, which a newer carebell has migrated; this one knows %d and may run beside it until the upgrade is over", state, s.Version())}
	case migrate.Behind:
		return Finding{
			What:   fmt.Sprintf("the state is of version %d and this carebell needs %d", state, s.Version()),
			Remedy: "start carebell serve of this version: it migrates the state, and nothing is lost", Fatal: true,
		}
	case migrate.TooNew:
		return Finding{
			What:   fmt.Sprintf("the state is of version %d and this carebell knows %d", state, s.Version()),
			Remedy: "run the newer carebell that wrote it", Fatal: true,
		}
	}
	return Finding{
		What: "the state is of a layout from before the first release; nothing of it was changed",
		Remedy: "give this carebell another database (CARE_REDIS_URL) and take the customers and what they decided over: " +
			"docs/redis.md, \"State from before the first release\". The old database keeps the proof of opt-outs and erasures",
		Fatal: true,
	}
}

// migrate brings an older state to this version. A fresh one gets it.
func (s *Store) migrate(ctx context.Context) error {
	_, verdict, err := s.judge(ctx)
	if err != nil || verdict != migrate.Behind {
		return err
	}
	m := &migrate.Migrator{Client: s.client, Version: versionKey(), Lock: migrationKey(), Steps: s.opts.steps, Log: s.log}
	return m.Run(ctx)
}
