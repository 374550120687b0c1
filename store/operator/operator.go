// Package operator keeps what operators decided, and what they were told for it: stops, brakes and the announcements of the coming days.
//
// What it promises: who stopped something first stays on record; a stop that cannot be read stands all the same.
package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
)

// The operator's stops are the fields of one hash: "all", "program:x", "dealer:x", "channel:x", "brake:dealer/program", and
// "go:dealer/program" for a brake that was released; "restored" while the state is known to have gone back in time, "accepted" when
// an operator last said to go on with it. Each holds a Stop as JSON.

// Decisions are kept in Redis. They are safe for any number of goroutines.
type Decisions struct {
	client redis.UniversalClient
	keys   keyspace.Space
	clock  func() time.Time
}

// New returns what was decided. Announcements and what was sent belong to a space; stops and brakes are shared by all.
func New(client redis.UniversalClient, keys keyspace.Space, clock func() time.Time) *Decisions {
	return &Decisions{client: client, keys: keys, clock: clock}
}

// Stop is one of the operator's stops.
type Stop struct {
	Scope   string    `json:"-"` // all, program:x, dealer:x, channel:x, brake:dealer/program, restored
	At      time.Time `json:"at"`
	Planned int       `json:"planned,omitempty"` // of a brake: what was about to go in a day
	Allowed int       `json:"allowed,omitempty"` // what may
	Held    int       `json:"held,omitempty"`    // what waits
	Until   time.Time `json:"until,omitzero"`    // when the first of it expires
	By      string    `json:"by,omitempty"`      // who stopped it; "" = the daemon
	Reason  string    `json:"reason,omitempty"`  // their words, or the provider's code
}

// goFor is how long a released brake stays released.
const goFor = 24 * time.Hour

var errScope = errors.New("no such scope: all, program:NAME, dealer:NAME or channel:email|sms|webhook")

func operatorKey() string { return keyspace.Shared.Global("operator") }

// ValidScope reports whether Pause takes the scope.
func ValidScope(scope string) error {
	kind, name, _ := strings.Cut(scope, ":")
	switch {
	case scope == "all", kind == "program" && name != "", kind == "dealer" && name != "", kind == "channel" && care.Channel(name).Known():
		return nil
	}
	return errScope
}

// Pause stops everything ("all"), a program ("program:x"), a dealer ("dealer:x") or a channel ("channel:sms") until Resume. It reports
// whether that is new: who stopped it first stays on record.
func (d *Decisions) Pause(ctx context.Context, scope, by, reason string) (bool, error) {
	if err := ValidScope(scope); err != nil {
		return false, err
	}
	return d.stop(ctx, scope, Stop{At: d.clock().UTC(), By: by, Reason: reason})
}

// Resume lifts a stop. It reports whether there was one.
func (d *Decisions) Resume(ctx context.Context, scope string) (bool, error) {
	if err := ValidScope(scope); err != nil {
		return false, err
	}
	n, err := d.client.HDel(ctx, operatorKey(), scope).Result()
	return n > 0, err
}

func (d *Decisions) stop(ctx context.Context, scope string, stop Stop) (bool, error) {
	raw, err := json.Marshal(stop)
	if err != nil {
		return false, fmt.Errorf("stop %s: %w", scope, err)
	}
	return d.client.HSetNX(ctx, operatorKey(), scope, raw).Result()
}

// ReleaseBrake lets the dealer's program go, for a day at least.
func (d *Decisions) ReleaseBrake(ctx context.Context, dealer, program string) error {
	raw, err := json.Marshal(Stop{At: d.clock().UTC()})
	if err != nil {
		return fmt.Errorf("release the brake: %w", err)
	}
	pipe := d.client.TxPipeline()
	pipe.HSet(ctx, operatorKey(), "go:"+dealer+"/"+program, raw)
	pipe.HDel(ctx, operatorKey(), "brake:"+dealer+"/"+program)
	_, err = pipe.Exec(ctx)
	return err
}

// The fields of a restored snapshot.
const (
	restored = "restored"
	accepted = "accepted"
)

// StopRestored stops everything on every replica, because this one has seen the state go back in time (ErrRestored).
func (d *Decisions) StopRestored(ctx context.Context) error {
	_, err := d.stop(ctx, restored, Stop{At: d.clock().UTC()})
	return err
}

// AcceptRestored is the operator's word that the state is to be gone on with. Every replica learns of it by Accepted.
func (d *Decisions) AcceptRestored(ctx context.Context) error {
	raw, err := json.Marshal(Stop{At: d.clock().UTC()})
	if err != nil {
		return fmt.Errorf("accept the restored state: %w", err)
	}
	pipe := d.client.TxPipeline()
	pipe.HSet(ctx, operatorKey(), accepted, raw)
	pipe.HDel(ctx, operatorKey(), restored)
	_, err = pipe.Exec(ctx)
	return err
}

// Accepted returns when an operator last accepted a restored state, the zero time if none ever did, and whether everything is stopped
// because of one now.
func (d *Decisions) Accepted(ctx context.Context) (at time.Time, stopped bool, err error) {
	stops, err := d.stops(ctx)
	for _, stop := range stops {
		switch stop.Scope {
		case accepted:
			at = stop.At
		case restored:
			stopped = true
		}
	}
	return at, stopped, err
}

// Stops lists the operator's stops and the brakes, by scope.
func (d *Decisions) Stops(ctx context.Context) ([]Stop, error) {
	all, err := d.stops(ctx)
	if err != nil {
		return nil, err
	}
	out := all[:0]
	for _, stop := range all {
		if !strings.HasPrefix(stop.Scope, "go:") && stop.Scope != accepted {
			out = append(out, stop)
		}
	}
	return out, nil
}

func (d *Decisions) stops(ctx context.Context) ([]Stop, error) {
	fields, err := d.client.HGetAll(ctx, operatorKey()).Result()
	if err != nil {
		return nil, fmt.Errorf("read the operator's stops: %w", err)
	}
	out := make([]Stop, 0, len(fields))
	for scope, raw := range fields {
		var stop Stop
		// A stop that cannot be read stands all the same.
		_ = json.Unmarshal([]byte(raw), &stop)
		stop.Scope = scope
		out = append(out, stop)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Scope < out[j].Scope })
	return out, nil
}

// Operator reads what operators have stopped: one key, to be remembered by the caller for a second or so.
func (d *Decisions) Operator(ctx context.Context) (*care.Operator, error) {
	stops, err := d.stops(ctx)
	if err != nil {
		return nil, err
	}
	o := &care.Operator{}
	set := func(m *map[string]bool, name string) {
		if *m == nil {
			*m = make(map[string]bool)
		}
		(*m)[name] = true
	}
	for _, stop := range stops {
		kind, name, _ := strings.Cut(stop.Scope, ":")
		switch kind {
		case "all", restored:
			o.All = true
		case "program":
			set(&o.Programs, name)
		case "dealer":
			set(&o.Dealers, name)
		case "brake":
			set(&o.Brakes, name)
		case "go":
			if d.clock().Sub(stop.At) < goFor {
				set(&o.Goes, name)
			}
		case "channel":
			if o.Channels == nil {
				o.Channels = make(map[care.Channel]bool)
			}
			o.Channels[care.Channel(name)] = true
		}
	}
	return o, nil
}

// usualDays is how many days make a dealer's program's usual day.
const usualDays = 14

// Usual is how many messages a dealer's program sent per day, over the 14 UTC days before today.
func (d *Decisions) Usual(ctx context.Context, dealer, program string) (float64, error) {
	today := codec.DayOf(d.clock())
	pipe := d.client.Pipeline()
	cmds := make([]interface{ Int64() (int64, error) }, 0, usualDays*care.Shards)
	for back := 1; back <= usualDays; back++ {
		for shard := range care.Shards {
			cmds = append(cmds, pipe.HGet(ctx, d.keys.Shard(shard, keyspace.SentTable(today-back)), dealer+"/"+program))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("count what is usual: %w", err)
	}
	sum := int64(0)
	for _, c := range cmds {
		n, _ := c.Int64() // a day without any has no field
		sum += n
	}
	return float64(sum) / usualDays, nil
}
