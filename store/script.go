package store

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by their SHA-1
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// script is a Lua script as the server is given it.
type script struct{ name, text, sha string }

type scripts struct {
	claim, begin, complete, renew, reclaim, plan, amend, park, erase, requeue, find, swap, write, lead, alive *script
}

// loadScripts reads the scripts. The embedded store knows no flags in a first line #!lua: for it the line is emptied.
func loadScripts(embedded bool) (scripts, error) {
	var s scripts
	for name, at := range map[string]**script{
		"claim": &s.claim, "begin": &s.begin, "complete": &s.complete, "renew": &s.renew, "reclaim": &s.reclaim, "plan": &s.plan,
		"amend": &s.amend, "park": &s.park, "erase": &s.erase, "requeue": &s.requeue, "find": &s.find, "swap": &s.swap, "write": &s.write,
		"lead": &s.lead, "alive": &s.alive,
	} {
		raw, err := fs.ReadFile(luaFiles, "lua/"+name+".lua")
		if err != nil {
			return s, fmt.Errorf("script %s: %w", name, err)
		}
		text := string(raw)
		if embedded {
			_, text, _ = strings.Cut(text, "\n")
		}
		sum := sha1.Sum([]byte(text)) //nolint:gosec // see the import
		*at = &script{name: name, text: text, sha: hex.EncodeToString(sum[:])}
	}
	return s, nil
}

// call is one run of a script on one key's slot, and its answer.
type call struct {
	script *script
	key    string
	args   []any
	reply  any
	err    error
}

func (c *call) add(args ...any) { c.args = append(c.args, args...) }

// errUnconfirmed is why an intent or a result counts for nothing: no replica has it, so a failover could lose it.
var errUnconfirmed = errors.New("no replica of Redis has confirmed the write")

// replicaWait is how long a replica may take to confirm. Longer than a healthy one ever needs, shorter than a lease.
const replicaWait = 1000 * time.Millisecond

// exec runs the calls in one round trip per master, all masters side by side. Afterwards each call has its reply or its error; the
// error returned is the first of them. With confirm, where there are replicas, an answer counts only once one of them has it.
//
// A script that a master does not know (restarted, SCRIPT FLUSH, a new master) is sent again in full; slots that have moved and
// masters that are away are looked up again a few times. All scripts are harmless when run twice.
func (s *Store) exec(ctx context.Context, calls []*call, confirm bool) error {
	todo, full := calls, false
	for try := 0; len(todo) > 0; try++ {
		s.round(ctx, todo, full, confirm)
		var again []*call
		moved := false
		for _, c := range todo {
			switch {
			case c.err == nil:
			case redis.HasErrorPrefix(c.err, "NOSCRIPT"):
				again, full = append(again, c), true
			case passing(c.err):
				again, moved = append(again, c), true
			}
		}
		if len(again) == 0 || try >= 5 || ctx.Err() != nil {
			break
		}
		if moved {
			if s.cluster != nil {
				s.cluster.ReloadState(ctx)
			}
			if sleep(ctx, time.Duration(50<<try)*time.Millisecond) != nil {
				break
			}
		}
		todo = again
	}
	for _, c := range calls {
		if c.err != nil {
			return fmt.Errorf("redis script %s: %w", c.script.name, c.err)
		}
	}
	return nil
}

// passing reports whether the fault is one of a cluster or failover that is under way. A single server's connection errors have
// been repeated by go-redis already.
func passing(err error) bool {
	for _, p := range []string{"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN"} {
		if redis.HasErrorPrefix(err, p) {
			return true
		}
	}
	// A key of the script's slot has been moved ahead of the others; each script finds that out before it writes.
	return strings.Contains(err.Error(), "non local key")
}

// round runs each call once.
func (s *Store) round(ctx context.Context, calls []*call, full, confirm bool) {
	if s.cluster == nil {
		s.runOn(ctx, s.single, calls, full, confirm)
		return
	}
	nodes := make(map[*redis.Client][]*call)
	for _, c := range calls {
		node, err := s.cluster.MasterForKey(ctx, c.key)
		if err != nil {
			c.err = err
			continue
		}
		nodes[node] = append(nodes[node], c)
	}
	var wg sync.WaitGroup
	for node, mine := range nodes {
		wg.Go(func() { s.runOn(ctx, node, mine, full, confirm) })
	}
	wg.Wait()
}

// runOn runs the calls on one node in one pipeline. WAIT counts for the connection that wrote, so it ends the same pipeline.
func (s *Store) runOn(ctx context.Context, node *redis.Client, calls []*call, full, confirm bool) {
	pipe := node.Pipeline()
	cmds := make([]*redis.Cmd, len(calls))
	for i, c := range calls {
		if full {
			cmds[i] = pipe.Eval(ctx, c.script.text, []string{c.key}, c.args...)
		} else {
			cmds[i] = pipe.EvalSha(ctx, c.script.sha, []string{c.key}, c.args...)
		}
	}
	var wait *redis.Cmd
	if confirm && s.hasReplicas(node) {
		wait = pipe.Do(ctx, "WAIT", 1, replicaWait.Milliseconds())
	}
	_, err := pipe.Exec(ctx)
	confirmed := true
	if wait != nil {
		n, waitErr := wait.Int()
		confirmed = waitErr == nil && n >= 1
	}
	if !confirmed && ctx.Err() == nil {
		// After a failover the new master may have none: then there is nobody to wait for.
		if info, err := readInfo(ctx, node, "replication"); err == nil {
			s.noteReplicas(node, info)
		}
	}
	for i, c := range calls {
		c.reply, c.err = cmds[i].Result()
		switch {
		case errors.Is(c.err, redis.Nil):
			c.err = nil
		case c.err == nil && c.reply == nil && err != nil:
			c.err = err
		case c.err == nil && !confirmed:
			c.err = errUnconfirmed
		}
	}
}

// sleep waits unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// list reads a script's answer as a list of at least n.
func (c *call) list(n int) ([]any, error) {
	if c.err != nil {
		return nil, c.err
	}
	l, ok := c.reply.([]any)
	if !ok || len(l) < n {
		return nil, fmt.Errorf("redis script %s: an answer of an unknown form", c.script.name)
	}
	return l, nil
}

// calls are a script's runs for items of several shards: one call for each shard that has any, in the order of the shards.
type calls struct {
	all   []*call
	shard []int   // of each call
	items [][]int // of each call, in the order of its words
}

// perShard makes the calls of a script. shard says where an item belongs, words what the script takes of it; head are the words before
// those of the first item. An item of no shard (-1) is left out.
func perShard(script *script, n int, shard func(i int) int, head []any, words func(i int) ([]any, error)) (calls, error) {
	var groups [care.Shards][]int
	for i := range n {
		if at := shard(i); at >= 0 {
			groups[at] = append(groups[at], i)
		}
	}
	var out calls
	for at, items := range groups {
		if len(items) == 0 {
			continue
		}
		c := &call{script: script, key: fenceKey(at), args: append([]any(nil), head...)}
		for _, i := range items {
			some, err := words(i)
			if err != nil {
				return out, err
			}
			c.add(some...)
		}
		out.all, out.shard, out.items = append(out.all, c), append(out.shard, at), append(out.items, items)
	}
	return out, nil
}

// each gives what the calls answered for each item, behind skip words of another meaning. Calls that failed are left out.
func (cs *calls) each(skip int, fn func(i int, answer any)) {
	for n, c := range cs.all {
		l, err := c.list(skip + len(cs.items[n]))
		if err != nil {
			continue
		}
		for j, i := range cs.items[n] {
			fn(i, l[skip+j])
		}
	}
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int64 {
	n, _ := v.(int64)
	return n
}

// split makes several calls of those with more than most items, each of a number of words. There must be no words before them.
func (cs *calls) split(words, most int) {
	var out calls
	for n, c := range cs.all {
		for at := 0; at < len(cs.items[n]); at += most {
			end := min(at+most, len(cs.items[n]))
			out.all = append(out.all, &call{script: c.script, key: c.key, args: c.args[at*words : end*words]})
			out.shard, out.items = append(out.shard, cs.shard[n]), append(out.items, cs.items[n][at:end])
		}
	}
	*cs = out
}
