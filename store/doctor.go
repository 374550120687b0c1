package store

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Finding is one thing that Doctor looked at.
type Finding struct {
	OK     bool
	What   string // what it is, or what is wrong
	Remedy string // what to set; "" when all is well
	Fatal  bool   // stands even when the operator allows an unsafe Redis
	// Unknown: Redis did not answer, so nothing was found out.
	Unknown bool
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
		info, err := readInfo(ctx, c, "server", "replication", "memory", "persistence")
		if err != nil {
			return err
		}
		s.noteReplicas(c, info)
		mu.Lock()
		defer mu.Unlock()
		findings = append(findings, examine(info, c.Options().Addr)...)
		return nil
	})
	if err != nil {
		return append(findings, Finding{What: "Redis does not answer INFO: " + err.Error(), Remedy: "see that it is up and that the user may run INFO", Unknown: true})
	}
	return findings
}

// noteReplicas remembers whether a master has replicas, so that intents and results wait for one of them.
func (s *Store) noteReplicas(c *redis.Client, info map[string]string) {
	s.replicated.Store(c.Options().Addr, info["role"] == "master" && info["connected_slaves"] != "0")
}

func readInfo(ctx context.Context, c *redis.Client, sections ...string) (map[string]string, error) {
	info := make(map[string]string)
	for _, section := range sections {
		raw, err := c.Info(ctx, section).Result()
		if err != nil {
			return nil, err
		}
		for line := range strings.SplitSeq(raw, "\n") {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[name] = value
			}
		}
	}
	return info, nil
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

// anyReplicas reports whether any master had a replica when it was looked at last.
func (s *Store) anyReplicas() bool {
	found := false
	s.replicated.Range(func(_, has any) bool {
		found, _ = has.(bool)
		return !found
	})
	return found
}

func (s *Store) hasReplicas(c *redis.Client) bool {
	has, _ := s.replicated.Load(c.Options().Addr)
	yes, _ := has.(bool)
	return yes
}
