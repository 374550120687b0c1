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
)

//go:embed lua/*.lua
var luaFiles embed.FS

// script is a Lua script as the server is given it.
type script struct{ name, text, sha string }

type scripts struct {
	apply, claim, begin, renew, settle, find, amend, replace, lead, resign, repair, link, alive, tell, erase, unlink, dissolve, overlay, depth *script
}

// withSlots is the line of a script in whose place slots.lua comes.
const withSlots = "-- with slots.lua\n"

// loadScripts reads the scripts. The embedded store knows no flags in a first line #!lua: for it the line is emptied.
func loadScripts(embedded bool) (scripts, error) {
	var s scripts
	slots, err := fs.ReadFile(luaFiles, "lua/slots.lua")
	if err != nil {
		return s, fmt.Errorf("script slots: %w", err)
	}
	for name, at := range map[string]**script{
		"apply": &s.apply, "claim": &s.claim, "begin": &s.begin, "renew": &s.renew, "settle": &s.settle, "find": &s.find,
		"amend": &s.amend, "replace": &s.replace, "lead": &s.lead, "resign": &s.resign, "repair": &s.repair, "link": &s.link,
		"alive": &s.alive, "tell": &s.tell, "erase": &s.erase, "unlink": &s.unlink, "dissolve": &s.dissolve, "overlay": &s.overlay, "depth": &s.depth,
	} {
		raw, err := fs.ReadFile(luaFiles, "lua/"+name+".lua")
		if err != nil {
			return s, fmt.Errorf("script %s: %w", name, err)
		}
		text := strings.Replace(string(raw), withSlots, string(slots), 1)
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
	texts  []string // behind those args that are pointers
	space  []byte   // what write wrote
	late   []written
	reply  any
	err    error
}

// written is a word in the space of a call.
type written struct {
	call     *call
	from, to int
}

// MarshalBinary implements encoding.BinaryMarshaler: go-redis asks for the word when it is sent.
func (w *written) MarshalBinary() ([]byte, error) { return w.call.space[w.from:w.to], nil }

// callSpace keeps what the calls of a trip have grown to for those of the next.
var callSpace = sync.Pool{New: func() any { return new(call) }}

// newCall returns a call with the room of an earlier one. Who is done with it, and with its answer, frees it.
func newCall(script *script, key string) *call {
	c, _ := callSpace.Get().(*call)
	c.script, c.key = script, key
	return c
}

// free ends calls. Nothing of them may be used any more but the texts of their answers.
func free(over []*call) {
	for _, c := range over {
		clear(c.args)
		clear(c.texts)
		clear(c.late)
		*c = call{args: c.args[:0], texts: c.texts[:0], space: c.space[:0], late: c.late[:0]}
		callSpace.Put(c)
	}
}

func (c *call) add(args ...any) { c.args = append(c.args, args...) }

// say adds texts. go-redis takes pointers to them, and many side by side are one allocation instead of one each.
func (c *call) say(texts ...string) {
	if cap(c.texts)-len(c.texts) < len(texts) {
		c.texts = make([]string, 0, max(len(texts), 2*cap(c.texts), 128)) // those that are pointed to stay where they are
	}
	for _, t := range texts {
		c.texts = append(c.texts, t)
		c.args = append(c.args, &c.texts[len(c.texts)-1])
	}
}

// write adds a text that into appends.
func (c *call) write(into func([]byte) []byte) {
	if len(c.late) == cap(c.late) {
		c.late = make([]written, 0, max(2*cap(c.late), 128)) // as in say
	}
	from := len(c.space)
	c.space = into(c.space)
	c.late = append(c.late, written{c, from, len(c.space)})
	c.args = append(c.args, &c.late[len(c.late)-1])
}

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
	s.execWith(ctx, calls, nil, confirm)
	return failed(calls)
}

// failed returns the first error of calls.
func failed(calls []*call) error {
	for _, c := range calls {
		if c.err != nil {
			return fmt.Errorf("redis script %s: %w", c.script.name, c.err)
		}
	}
	return nil
}

// execWith is exec with events that are written in the same trip. They are sent once: what becomes of them stands in each.
func (s *Store) execWith(ctx context.Context, calls []*call, events []*redis.Cmd, confirm bool) {
	todo := calls
	full := false
	for try := 0; len(todo)+len(events) > 0; try++ {
		s.round(ctx, todo, events, full, confirm)
		events = nil
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
			return
		}
		if moved {
			if s.cluster != nil {
				s.cluster.ReloadState(ctx)
			}
			if sleep(ctx, time.Duration(50<<try)*time.Millisecond) != nil {
				return
			}
		}
		todo = again
	}
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
func (s *Store) round(ctx context.Context, calls []*call, events []*redis.Cmd, full, confirm bool) {
	if s.cluster == nil {
		s.runOn(ctx, s.single, calls, events, full, confirm)
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
		wg.Go(func() { s.runOn(ctx, node, mine, nil, full, confirm) })
	}
	if len(events) > 0 {
		// The cluster's own pipeline follows the stream where it moves.
		wg.Go(func() { pipelined(ctx, s.cluster.Pipeline(), events) })
	}
	wg.Wait()
}

// runOn runs the calls on one node in one pipeline. WAIT counts for the connection that wrote, so it ends the same pipeline.
func (s *Store) runOn(ctx context.Context, node *redis.Client, calls []*call, events []*redis.Cmd, full, confirm bool) {
	pipe := node.Pipeline()
	cmds := make([]*redis.Cmd, len(calls))
	for i, c := range calls {
		if full {
			cmds[i] = pipe.Eval(ctx, c.script.text, []string{c.key}, c.args...)
		} else {
			cmds[i] = pipe.EvalSha(ctx, c.script.sha, []string{c.key}, c.args...)
		}
	}
	for _, e := range events {
		_ = pipe.Process(ctx, e)
	}
	var wait *redis.Cmd
	if confirm && len(calls) > 0 && s.hasReplicas(node) {
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

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int64 {
	n, _ := v.(int64)
	return n
}
