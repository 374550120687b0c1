package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// MergeResult says what Merge did for one id. Err is fn's own, or that others keep changing the record.
type MergeResult struct {
	Created, Changed bool // neither = it is as it was
	Err              error
}

// Merge changes customer records by compare-and-set and tells care:changes of those that changed. fn gets the place in ids and the
// record as it is (nil = there is none) and returns the new one; nil leaves it as it is, an error too, and stands in the result.
// It may be called again for the same place when another writer came between. An id that stands in ids twice gets both
// changes in order. A batch takes three round trips per Redis node, whatever its size; a thousand at a time serve well.
func (s *Store) Merge(ctx context.Context, ids []string, fn func(i int, old []byte) ([]byte, error)) ([]MergeResult, error) {
	out := make([]MergeResult, len(ids))
	todo := make([]int, len(ids))
	for i := range todo {
		todo[i] = i
	}
	tries := make([]int, len(ids))
	for len(todo) > 0 {
		var wave, later []int
		in := make(map[string]bool, len(todo))
		for _, i := range todo {
			switch {
			case in[ids[i]]:
				later = append(later, i)
			case tries[i] >= casTries:
				out[i].Err = fmt.Errorf("customer %s: %w", ids[i], errBusy)
			default:
				in[ids[i]] = true
				tries[i]++
				wave = append(wave, i)
			}
		}
		if len(wave) == 0 && len(later) == 0 {
			break
		}
		lost, err := s.mergeWave(ctx, ids, wave, out, fn)
		if err != nil {
			return out, err
		}
		// A lost one goes before the later ones of the same id.
		todo = append(lost, later...)
	}
	return out, nil
}

// mergeWave tries each of the wave once and returns those that another writer was faster for.
func (s *Store) mergeWave(ctx context.Context, ids []string, wave []int, out []MergeResult, fn func(int, []byte) ([]byte, error)) ([]int, error) {
	pipe := s.client.Pipeline()
	olds := make([]*redis.StringCmd, len(wave))
	for j, i := range wave {
		olds[j] = pipe.Get(ctx, customerKey(ids[i]))
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read customers: %w", err)
	}
	var calls []*call
	var places []int
	for j, i := range wave {
		old, err := olds[j].Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			out[i].Err = fmt.Errorf("customer %s: %w", ids[i], err)
			continue
		}
		missing := err != nil
		if missing {
			old = nil
		}
		fresh, err := fn(i, old)
		if err != nil {
			out[i].Err = err
			continue
		}
		if fresh == nil || !missing && bytes.Equal(fresh, old) {
			continue
		}
		out[i].Created, out[i].Changed = missing, !missing
		calls = append(calls, &call{script: s.lua.replace, key: customerKey(ids[i]), args: []any{old, fresh}})
		places = append(places, i)
	}
	if err := s.exec(ctx, calls, false); err != nil {
		return nil, err
	}
	pipe = s.client.Pipeline()
	var lost []int
	told := 0
	for j, c := range calls {
		i := places[j]
		if number(c.reply) != 1 {
			out[i] = MergeResult{}
			lost = append(lost, i)
			continue
		}
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: changesKey, MaxLen: changesKept, Approx: true, Values: []any{"id", ids[i]}})
		told++
	}
	if told == 0 {
		return lost, nil
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("write %s: %w", changesKey, err)
	}
	return lost, nil
}
