package store

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/store/lua"
)

// Finding is one thing that Doctor looked at.
type Finding struct {
	OK     bool
	What   string // what it is, or what is wrong
	Remedy string // what to set; "" when all is well
	Fatal  bool   // stands even when the operator allows an unsafe Redis
	// Unknown: Redis did not answer, so nothing was found out.
	Unknown bool
	err     error // why
}

// Doctor looks at every master's version, role, eviction and persistence, and at the version of the state. Call it at the start, every
// minute and after a reconnect: it also learns whether there are replicas, which intents and results wait for.
func (s *Store) Doctor(ctx context.Context) []Finding {
	return append(s.servers(ctx), s.stateFinding(ctx))
}

// servers examines every master.
func (s *Store) servers(ctx context.Context) []Finding {
	if s.opts.Embedded {
		return []Finding{{OK: true, What: "embedded store: nothing outlives this process"}}
	}
	var mu sync.Mutex
	var findings []Finding
	err := s.eachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		info, err := lua.Info(ctx, c, "server", "replication", "memory", "persistence")
		if err != nil {
			return err
		}
		s.lua.NoteReplicas(c, info)
		mu.Lock()
		defer mu.Unlock()
		found := examine(info, c.Options().Addr)
		if s.failsOver && info["role"] != "master" {
			return errNoMaster
		}
		findings = append(findings, found...)
		return nil
	})
	if err != nil {
		return append(findings, Finding{What: "Redis does not answer INFO: " + err.Error(), Remedy: "see that it is up and that the user may run INFO", Unknown: true, err: err})
	}
	return findings
}

// examine judges one server's INFO.
func examine(info map[string]string, address string) []Finding {
	at := " (" + address + ")"
	finding := func(ok bool, good, bad, remedy string) Finding {
		if ok {
			return Finding{OK: true, What: good + at}
		}
		return Finding{What: bad + at, Remedy: remedy}
	}
	version := info["redis_version"]
	major, _ := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
	return []Finding{
		finding(major >= 7, "Redis "+version, "Redis "+version+" is older than 7.0", "run Redis 7.0 or newer"),
		finding(info["role"] == "master", "role master", "this Redis is a "+info["role"]+", not a master",
			"point CARE_REDIS_URL at the master, or use redis-sentinel://"),
		finding(info["maxmemory_policy"] == "noeviction", "maxmemory-policy noeviction",
			"maxmemory-policy is "+info["maxmemory_policy"]+": Redis may throw queued messages and opt-outs away",
			"set maxmemory-policy noeviction"),
		finding(info["aof_enabled"] == "1", "append-only file on", "appendonly is no: a crash loses what was sent since the last snapshot",
			"set appendonly yes (appendfsync everysec will do)"),
	}
}

// Refused reports whether a finding stops the daemon: messages could be lost, and the operator has not allowed that.
func (s *Store) Refused(f Finding) bool {
	return !f.OK && !f.Unknown && (f.Fatal || !s.opts.AllowUnsafe)
}
