package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/store/keyspace"
	"github.com/carebell/carebell/store/lua"
)

// writeAtOnce is how many records Merge writes with one command where one node has all keys: nobody else waits long for Redis meanwhile.
const writeAtOnce = 100

// MergeResult says what Merge did for one id. Err is fn's own, or that others keep changing the record.
type MergeResult struct {
	Created, Changed bool // neither = it is as it was
	Err              error
}

// Merge changes customer records by compare-and-set and tells care:changes of those that changed. fn gets the place in ids and the
// record as it is (nil = there is none) and returns the new one; nil leaves it as it is, an error too, and stands in the result.
// It may be called again for the same place when another writer came between, and must not write into the record. An id that stands in ids twice gets both
// changes in order. A batch takes three round trips per Redis node, whatever its size; a thousand at a time serve well. Two
// calls side by side for the same id are safe, but go in no order.
func (s *Store) Merge(ctx context.Context, ids []string, fn func(i int, old []byte) ([]byte, error)) ([]MergeResult, error) {
	m := &merging{s: s, ids: ids, fn: fn, out: make([]MergeResult, len(ids)), tries: make([]int, len(ids)), wrote: make([][]byte, len(ids))}
	todo := make([]int, len(ids))
	for i := range todo {
		todo[i] = i
	}
	for len(todo) > 0 {
		wave := make([]int, 0, len(todo))
		var later []int
		in := make(map[string]struct{}, len(todo))
		for _, i := range todo {
			if _, twice := in[ids[i]]; twice {
				later = append(later, i)
				continue
			}
			if m.tries[i] >= casTries {
				m.out[i] = MergeResult{Err: fmt.Errorf("customer %s: %w", ids[i], errBusy)}
				continue
			}
			in[ids[i]] = struct{}{}
			m.tries[i]++
			wave = append(wave, i)
		}
		lost, err := m.wave(ctx, wave)
		if err != nil {
			return m.out, err
		}
		// A lost one goes before the later ones of the same id.
		todo = append(lost, later...)
	}
	return m.out, nil
}

// merging is one call of Merge.
type merging struct {
	s     *Store
	ids   []string
	fn    func(int, []byte) ([]byte, error)
	out   []MergeResult
	tries []int
	wrote [][]byte // what the last try wrote, if that one seemed lost
}

// wave tries each of the wave once, no id twice, and returns those that another writer was faster for.
func (m *merging) wave(ctx context.Context, wave []int) (lost []int, err error) {
	if len(wave) == 0 {
		return nil, nil
	}
	keys := make([]string, len(wave))
	for j, i := range wave {
		keys[j] = keyspace.Customer(m.ids[i])
	}
	records, err := m.read(ctx, wave, keys)
	if err != nil {
		return nil, err
	}
	var calls []*lua.Call
	var swapped, fresh, told []int // places in the wave
	for j, i := range wave {
		missing := errors.Is(records[j].err, redis.Nil)
		if records[j].err != nil && !missing {
			m.out[i] = MergeResult{Err: fmt.Errorf("customer %s: %w", m.ids[i], records[j].err)}
			continue
		}
		var old []byte
		if !missing {
			old = []byte(records[j].text)
		}
		if m.wrote[i] != nil {
			if !missing && bytes.Equal(old, m.wrote[i]) { // the answer was lost, and not the write
				told = append(told, j)
				continue
			}
			m.out[i], m.wrote[i] = MergeResult{}, nil
		}
		merged, err := m.fn(i, old)
		if err != nil {
			m.out[i].Err = err
			continue
		}
		if merged == nil || !missing && bytes.Equal(merged, old) {
			continue
		}
		m.out[i].Created, m.out[i].Changed = missing, !missing
		m.wrote[i] = merged
		if missing && m.tries[i] == 1 {
			fresh = append(fresh, j)
			continue
		}
		calls = append(calls, &lua.Call{Script: m.s.lua.Swap, Key: keys[j], Args: []any{"", old, merged}})
		swapped = append(swapped, j)
	}
	if err := m.s.lua.Exec(ctx, calls, false); err != nil {
		return nil, err
	}
	for n, j := range swapped {
		if calls[n].Number() == 1 {
			told = append(told, j)
		} else {
			lost = append(lost, wave[j])
		}
	}
	late, err := m.create(ctx, wave, keys, fresh, told)
	if err != nil || len(late) == 0 {
		return lost, err
	}
	lost = append(lost, late...)
	slices.Sort(lost)
	return lost, nil
}

// read returns the records, and the errors of those that cannot be read. Who tries again reads each singly: see Store.get.
func (m *merging) read(ctx context.Context, wave []int, keys []string) ([]value, error) {
	pipe := m.s.client.Pipeline()
	records := m.s.get(ctx, pipe, keys, slices.ContainsFunc(wave, func(i int) bool { return m.tries[i] > 1 }))
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("read customers: %w", err)
	}
	return records(), nil
}

// create writes the records of customers who were not there, and tells of them and of those in told. It returns those of them who
// are there after all. On one node the news go with the writes, in order: who reads them finds the record.
func (m *merging) create(ctx context.Context, wave []int, keys []string, fresh, told []int) (lost []int, err error) {
	if len(fresh)+len(told) == 0 {
		return nil, nil
	}
	pipe := m.s.client.Pipeline()
	written := make([]*redis.BoolCmd, 0, len(fresh)/writeAtOnce+1)
	atOnce := writeAtOnce
	if m.s.cluster != nil {
		atOnce = 1
	}
	for part := range slices.Chunk(fresh, atOnce) {
		if len(part) == 1 {
			written = append(written, pipe.SetNX(ctx, keys[part[0]], m.wrote[wave[part[0]]], 0))
			continue
		}
		args := make([]any, 0, 2*len(part))
		for _, j := range part {
			args = append(args, keys[j], m.wrote[wave[j]])
		}
		written = append(written, pipe.MSetNX(ctx, args...))
	}
	if m.s.cluster != nil && len(fresh) > 0 {
		// The stream is on another node: nobody may hear of a record before it is there.
		if err := run(ctx, pipe); err != nil {
			return nil, fmt.Errorf("write customers: %w", err)
		}
		pipe = m.s.client.Pipeline()
	}
	told = append(told, fresh...)
	for n, j := range told {
		entry := &redis.XAddArgs{Stream: keyspace.Changes, Values: []any{"id", m.ids[wave[j]]}}
		if n == len(told)-1 {
			// Once is enough: the stream is longer than its bound for a moment only.
			entry.MaxLen, entry.Approx = keyspace.ChangesKept, true
		}
		pipe.XAdd(ctx, entry)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, fmt.Errorf("write customers and %s: %w", keyspace.Changes, err)
	}
	for n, cmd := range written {
		if !cmd.Val() {
			for _, j := range fresh[n*atOnce : min((n+1)*atOnce, len(fresh))] {
				lost = append(lost, wave[j])
			}
		}
	}
	return lost, nil
}
