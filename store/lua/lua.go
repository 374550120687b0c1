package lua

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
)

//go:embed *.lua
var luaFiles embed.FS

// Script is a Lua script as the server is given it.
type Script struct {
	*redis.Script

	name string
}

// Scripts are the scripts of this folder, each described in its file.
type Scripts struct {
	Claim, Begin, Complete, Renew, Reclaim, Plan, Amend, Park, Erase, Requeue, Find, Swap, Write, Lead, Alive *Script
}

// load reads the scripts. The embedded store knows no flags in a first line #!lua: for it the line is emptied.
func load(embedded bool) (Scripts, error) {
	var s Scripts
	for name, at := range map[string]**Script{
		"claim": &s.Claim, "begin": &s.Begin, "complete": &s.Complete, "renew": &s.Renew, "reclaim": &s.Reclaim, "plan": &s.Plan,
		"amend": &s.Amend, "park": &s.Park, "erase": &s.Erase, "requeue": &s.Requeue, "find": &s.Find, "swap": &s.Swap, "write": &s.Write,
		"lead": &s.Lead, "alive": &s.Alive,
	} {
		raw, err := fs.ReadFile(luaFiles, name+".lua")
		if err != nil {
			return s, fmt.Errorf("script %s: %w", name, err)
		}
		text := string(raw)
		if embedded {
			_, text, _ = strings.Cut(text, "\n")
		}
		*at = &Script{Script: redis.NewScript(text), name: name}
	}
	return s, nil
}

// Runner runs scripts on one Redis, on the master that Sentinel names, or on the masters of a cluster. It is safe for any number of goroutines.
type Runner struct {
	Scripts

	single     *redis.Client
	cluster    *redis.ClusterClient
	replicated sync.Map // address of a master → it has replicas
}

// New makes a runner of one of the clients; the other is nil. embedded says that the server knows no flags of scripts.
func New(single *redis.Client, cluster *redis.ClusterClient, embedded bool) (*Runner, error) {
	scripts, err := load(embedded)
	return &Runner{Scripts: scripts, single: single, cluster: cluster}, err
}

// Call is one run of a script on one key's slot, and its answer.
type Call struct {
	Script *Script
	Key    string
	Args   []any
	reply  any
	err    error
}

// Add appends words to the script's arguments.
func (c *Call) Add(args ...any) { c.Args = append(c.Args, args...) }

// Number is the answer if it is a number, else 0.
func (c *Call) Number() int64 {
	n, _ := c.reply.(int64)
	return n
}

// ErrUnconfirmed is why an intent or a result counts for nothing: no replica has it, so a failover could lose it.
var ErrUnconfirmed = errors.New("no replica of Redis has confirmed the write")

// replicaWait is how long a replica may take to confirm. Longer than a healthy one ever needs, shorter than a lease.
const replicaWait = 1000 * time.Millisecond

// Exec runs the calls in one round trip per master, all masters side by side. Afterwards each call has its reply or its error; the
// error returned is the first of them. With confirm, where there are replicas, an answer counts only once one of them has it.
//
// A script that a master does not know (restarted, SCRIPT FLUSH, a new master) is sent again in full; slots that have moved and
// masters that are away are looked up again a few times. All scripts are harmless when run twice.
func (r *Runner) Exec(ctx context.Context, calls []*Call, confirm bool) error {
	todo, full := calls, false
	for try := 0; len(todo) > 0; try++ {
		r.round(ctx, todo, full, confirm)
		var again []*Call
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
			if r.cluster != nil {
				r.cluster.ReloadState(ctx)
			}
			if !care.Sleep(ctx, time.Duration(50<<try)*time.Millisecond) {
				break
			}
		}
		todo = again
	}
	for _, c := range calls {
		if c.err != nil {
			return fmt.Errorf("redis script %s: %w", c.Script.name, c.err)
		}
	}
	return nil
}

// Moves is 1 if keys can move to another node while a script runs, else 0.
func (r *Runner) Moves() int {
	if r.cluster != nil {
		return 1
	}
	return 0
}

// Refused runs commands on keys of one slot again that Redis refused because it is full, by a script that it does not refuse. err is what
// their pipeline returned.
func (r *Runner) Refused(ctx context.Context, key string, cmds []*redis.Cmd, err error) error {
	if !redis.HasErrorPrefix(err, "OOM") {
		return err
	}
	c := &Call{Script: r.Write, Key: key}
	for _, cmd := range cmds {
		switch err := cmd.Err(); {
		case redis.HasErrorPrefix(err, "OOM"):
			c.Add(len(cmd.Args()))
			c.Add(cmd.Args()...)
		case err != nil:
			return err
		}
	}
	return r.Exec(ctx, []*Call{c}, false)
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
func (r *Runner) round(ctx context.Context, calls []*Call, full, confirm bool) {
	if r.cluster == nil {
		r.runOn(ctx, r.single, calls, full, confirm)
		return
	}
	nodes := make(map[*redis.Client][]*Call)
	for _, c := range calls {
		node, err := r.cluster.MasterForKey(ctx, c.Key)
		if err != nil {
			c.err = err
			continue
		}
		nodes[node] = append(nodes[node], c)
	}
	var wg sync.WaitGroup
	for node, mine := range nodes {
		wg.Go(func() { r.runOn(ctx, node, mine, full, confirm) })
	}
	wg.Wait()
}

// runOn runs the calls on one node in one pipeline. WAIT counts for the connection that wrote, so it ends the same pipeline.
func (r *Runner) runOn(ctx context.Context, node *redis.Client, calls []*Call, full, confirm bool) {
	pipe := node.Pipeline()
	cmds := make([]*redis.Cmd, len(calls))
	for i, c := range calls {
		if full {
			cmds[i] = c.Script.Eval(ctx, pipe, []string{c.Key}, c.Args...)
		} else {
			cmds[i] = c.Script.EvalSha(ctx, pipe, []string{c.Key}, c.Args...)
		}
	}
	var wait *redis.Cmd
	if confirm && r.hasReplicas(node) {
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
		if info, err := Info(ctx, node, "replication"); err == nil {
			r.NoteReplicas(node, info)
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
			c.err = ErrUnconfirmed
		}
	}
}

// List reads a script's answer as a list of at least n.
func (c *Call) List(n int) ([]any, error) {
	if c.err != nil {
		return nil, c.err
	}
	l, ok := c.reply.([]any)
	if !ok || len(l) < n {
		return nil, fmt.Errorf("redis script %s: an answer of an unknown form", c.Script.name)
	}
	return l, nil
}

// Calls are a script's runs for items of several shards: one call for each shard that has any, in the order of the shards.
type Calls struct {
	All   []*Call
	Shard []int   // of each call
	Items [][]int // of each call, in the order of its words
}

// PerShard makes the calls of a script. key is where a shard is, shard says where an item belongs, words what the script takes of it; head are the words before
// those of the first item. An item of no shard (-1) is left out.
func PerShard(
	script *Script, key func(shard int) string, n int, shard func(i int) int, head []any, words func(i int) ([]any, error),
) (Calls, error) {
	var groups [care.Shards][]int
	for i := range n {
		if at := shard(i); at >= 0 {
			groups[at] = append(groups[at], i)
		}
	}
	var out Calls
	for at, items := range groups {
		if len(items) == 0 {
			continue
		}
		c := &Call{Script: script, Key: key(at), Args: append([]any(nil), head...)}
		for _, i := range items {
			some, err := words(i)
			if err != nil {
				return out, err
			}
			c.Add(some...)
		}
		out.All, out.Shard, out.Items = append(out.All, c), append(out.Shard, at), append(out.Items, items)
	}
	return out, nil
}

// Each gives what the calls answered for each item, behind skip words of another meaning. Calls that failed are left out.
func (cs *Calls) Each(skip int, fn func(i int, answer any)) {
	for n, c := range cs.All {
		l, err := c.List(skip + len(cs.Items[n]))
		if err != nil {
			continue
		}
		for j, i := range cs.Items[n] {
			fn(i, l[skip+j])
		}
	}
}

// Split makes several calls of those with more than most items, each of a number of words. There must be no words before them.
func (cs *Calls) Split(words, most int) {
	var out Calls
	for n, c := range cs.All {
		for at := 0; at < len(cs.Items[n]); at += most {
			end := min(at+most, len(cs.Items[n]))
			out.All = append(out.All, &Call{Script: c.Script, Key: c.Key, Args: c.Args[at*words : end*words]})
			out.Shard, out.Items = append(out.Shard, cs.Shard[n]), append(out.Items, cs.Items[n][at:end])
		}
	}
	*cs = out
}
