package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// What was announced of the coming days is one hash: dealer/program/day → "messages@second" for each time it was, the newest first and
// 0 for a confirmation; and last → the second at which the leader last looked ahead.

func (d *Decisions) announced() string { return d.keys.Global("announced") }

const (
	announcedLast = "last"
	announcedKept = 4 // words about a day: the last three nights and a confirmation
)

// Announced returns what was announced, and when the leader last looked ahead.
func (d *Decisions) Announced(ctx context.Context) (list []care.Announcement, last time.Time, err error) {
	fields, err := d.client.HGetAll(ctx, d.announced()).Result()
	if err != nil {
		return nil, last, fmt.Errorf("read %s: %w", d.announced(), err)
	}
	for name, value := range fields {
		if name == announcedLast {
			if second, err := strconv.ParseInt(value, 10, 64); err == nil {
				last = time.Unix(second, 0).UTC()
			}
			continue
		}
		for word := range strings.FieldsSeq(value) {
			if a, ok := announcement(name, word); ok {
				list = append(list, a)
			}
		}
	}
	return list, last, nil
}

func announcement(name, word string) (a care.Announcement, ok bool) {
	scope, day, ok := cutLast(name, "/")
	if !ok {
		return a, false
	}
	a.Dealer, a.Program, _ = strings.Cut(scope, "/")
	n, at, _ := strings.Cut(word, "@")
	second, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return a, false
	}
	if second != 0 {
		a.At = time.Unix(second, 0).UTC()
	}
	if a.Day, err = care.ParseDate(day); err != nil {
		return a, false
	}
	a.Messages, err = strconv.Atoi(n)
	return a, err == nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Announce adds to what was announced and forgets the days that are over. What the leader says goes by the night, so that a confirmation
// does not keep it from looking ahead.
func (d *Decisions) Announce(ctx context.Context, list []care.Announcement, now time.Time) error {
	fields, err := d.client.HGetAll(ctx, d.announced()).Result()
	if err != nil {
		return fmt.Errorf("read %s: %w", d.announced(), err)
	}
	pipe := d.client.TxPipeline()
	over := care.DateOf(now.UTC()).AddDays(-2)
	for name := range fields {
		if _, text, ok := cutLast(name, "/"); ok {
			if day, err := care.ParseDate(text); err != nil || day.Before(over) {
				pipe.HDel(ctx, d.announced(), name)
			}
		}
	}
	night := true
	for _, a := range list {
		second := int64(0)
		if a.At.IsZero() {
			night = false
		} else {
			second = a.At.Unix()
		}
		name := a.Dealer + "/" + a.Program + "/" + a.Day.String()
		words := append([]string{fmt.Sprintf("%d@%d", a.Messages, second)}, strings.Fields(fields[name])...)
		pipe.HSet(ctx, d.announced(), name, strings.Join(keepWords(words), " "))
	}
	if night {
		pipe.HSet(ctx, d.announced(), announcedLast, now.Unix())
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("write %s: %w", d.announced(), err)
	}
	return nil
}

// keepWords keeps the newest words about a day, and the last confirmation.
func keepWords(words []string) []string {
	out, confirmed := words[:0:0], false
	for _, word := range words {
		switch yes := strings.HasSuffix(word, "@0"); {
		case yes && confirmed:
		case yes:
			confirmed = true
			out = append(out, word)
		case len(out) < announcedKept-1:
			out = append(out, word)
		}
	}
	return out
}

// EngageBrake notes what the brake holds back, and reports whether that is new: the brake did not stand before. Nothing is
// noted for a day after an operator has said go.
func (d *Decisions) EngageBrake(ctx context.Context, surge care.Surge) (bool, error) {
	raw, err := json.Marshal(Stop{At: d.clock().UTC(), Planned: surge.Planned, Allowed: surge.Allowed, Held: surge.Held, Until: surge.Until.UTC()})
	if err != nil {
		return false, fmt.Errorf("engage the brake: %w", err)
	}
	name := "brake:" + surge.Dealer + "/" + surge.Program
	if op, err := d.Operator(ctx); err != nil || op.LetGo(surge.Dealer, surge.Program) {
		return false, err // an operator was faster
	}
	isNew, err := d.client.HSetNX(ctx, operatorKey(), name, raw).Result()
	if err == nil && !isNew {
		err = d.client.HSet(ctx, operatorKey(), name, raw).Err()
	}
	return isNew, err
}

// EaseBrake takes back a brake that holds nothing any more.
func (d *Decisions) EaseBrake(ctx context.Context, dealer, program string) error {
	return d.client.HDel(ctx, operatorKey(), "brake:"+dealer+"/"+program).Err()
}
