// Package inbox reads what other systems say of customers: the stream care:signals.
//
// What it promises: the place up to which all was taken is kept, and nothing after it is lost to carebell; what was taken stays in the
// stream for a week. What it does not promise: that an entry comes once only. It does not know what a signal means.
package inbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/store/keyspace"
)

// kept is how long what was taken stays in the stream.
const kept = 7 * 24 * time.Hour

// Inbox is the stream of signals. It is safe for any number of goroutines.
type Inbox struct {
	client redis.UniversalClient
	clock  func() time.Time
}

// New returns the inbox of a Redis. It is the same for a trial: what is said there counts when the trial is over.
func New(client redis.UniversalClient, clock func() time.Time) *Inbox { return &Inbox{client, clock} }

// Entry is what was written to the stream.
type Entry struct {
	ID     string
	At     time.Time // by Redis' clock, unless the writer chose the id
	Fields map[string]string
}

func placeKey() string { return keyspace.Shared.Global("read:signals") }

// Signals returns up to limit entries that were not taken yet, the oldest first.
func (i *Inbox) Signals(ctx context.Context, limit int) ([]Entry, error) {
	start := "-"
	place, err := i.client.Get(ctx, placeKey()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read %s: %w", keyspace.Signals, err)
	}
	if place != "" {
		start = "(" + place
	}
	list, err := i.client.XRangeN(ctx, keyspace.Signals, start, "+", int64(limit)).Result()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", keyspace.Signals, err)
	}
	out := make([]Entry, len(list))
	for n, x := range list {
		out[n] = Entry{ID: x.ID, At: momentOf(x.ID), Fields: make(map[string]string, len(x.Values))}
		for name, v := range x.Values {
			out[n].Fields[name], _ = v.(string)
		}
	}
	return out, nil
}

// momentOf is the time that an entry's id begins with.
func momentOf(id string) time.Time {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return time.UnixMilli(n).UTC()
}

// SignalsTaken remembers that all up to an entry was taken, and takes what is older than a week out of the stream.
func (i *Inbox) SignalsTaken(ctx context.Context, place string) error {
	if err := i.client.Set(ctx, placeKey(), place, 0).Err(); err != nil {
		return fmt.Errorf("keep the place in %s: %w", keyspace.Signals, err)
	}
	old := momentOf(place)
	if week := i.clock().Add(-kept); week.Before(old) {
		old = week
	}
	return i.client.XTrimMinIDApprox(ctx, keyspace.Signals, strconv.FormatInt(old.UnixMilli(), 10), 0).Err()
}

// EraseSignals takes a customer's signals out of the stream.
func (i *Inbox) EraseSignals(ctx context.Context, customer string) error {
	const page = 1000
	for start := "-"; ; {
		list, err := i.client.XRangeN(ctx, keyspace.Signals, start, "+", page).Result()
		if err != nil {
			return fmt.Errorf("read %s: %w", keyspace.Signals, err)
		}
		for _, x := range list {
			if x.Values["customer"] == customer {
				if err := i.client.XDel(ctx, keyspace.Signals, x.ID).Err(); err != nil {
					return fmt.Errorf("erase from %s: %w", keyspace.Signals, err)
				}
			}
		}
		if len(list) < page {
			return nil
		}
		start = "(" + list[len(list)-1].ID
	}
}

// Changed has a customer planned again at once.
func (i *Inbox) Changed(ctx context.Context, customer string) error {
	args := &redis.XAddArgs{Stream: keyspace.Changes, MaxLen: keyspace.ChangesKept, Approx: true, Values: []any{"id", customer}}
	if err := i.client.XAdd(ctx, args).Err(); err != nil {
		return fmt.Errorf("write %s: %w", keyspace.Changes, err)
	}
	return nil
}
