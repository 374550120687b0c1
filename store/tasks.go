package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store/codec"
	"github.com/carebell/carebell/store/keyspace"
)

// How many open tasks are kept, the newest, and how long.
const (
	tasksKept = 10_000
	taskKept  = 30 * 24 * time.Hour
)

// The reasons of tasks that are about a message. Such a task is open while the message is as it was.
const (
	TaskNotReached = "not_reached" // every channel has failed: somebody should call
	TaskUncertain  = "uncertain"   // nobody knows whether it arrived: look it up, then resolve it
	TaskCall       = "call"        // a call that a program has due: it is open until somebody says what came of it
)

// taskStates are the states of the messages that keep their tasks open.
var taskStates = map[string][]care.State{
	TaskNotReached: {care.StateFailed}, TaskUncertain: {care.StateUncertain},
	TaskCall: {care.StateSending, care.StateClaimed, care.StateRetry, care.StateSent, care.StateUncertain},
}

// Task is what a person has to do about a customer. Value is set of calls only: what the customer said stands on their timeline.
type Task struct {
	Key string // names it to TaskDone; 32 hexadecimal digits
	care.EventEntry

	member string
}

// taskMember is a task as it is stored: without what the customer said. The same task is the same member.
func taskMember(e *care.EventEntry) (string, error) {
	t := *e
	t.At, t.State, t.Kind = e.At.UTC(), "", ""
	if t.Reason != TaskCall { // of a call it says that there is no number
		t.Value = ""
	}
	raw, err := json.Marshal(&t)
	return string(raw), err
}

// addTasks puts those of the entries that are tasks on the list, each once, and returns them by customer.
func (s *Store) addTasks(ctx context.Context, entries []care.EventEntry) (map[string][]any, error) {
	added := make(map[string][]any)
	var all []redis.Z
	for i := range entries {
		e := &entries[i]
		if e.Kind != care.KindTask || e.Customer == "" {
			continue
		}
		m, err := taskMember(e)
		if err != nil {
			return nil, err
		}
		all = append(all, redis.Z{Score: float64(e.At.UnixMilli()), Member: m})
		added[e.Customer] = append(added[e.Customer], m)
	}
	if len(all) == 0 {
		return nil, nil
	}
	pipe := s.client.Pipeline()
	pipe.ZAdd(ctx, s.keys.Tasks(), all...)
	pipe.ZRemRangeByRank(ctx, s.keys.Tasks(), 0, -tasksKept-1)
	_, err := pipe.Exec(ctx)
	return added, err
}

// Tasks returns up to limit open tasks, the newest first, and how many there are; of one dealer unless that is "". A task about a
// message that was tried again, resolved, dropped or delivered meanwhile is open no more. Three round trips at most; nothing is changed.
func (s *Store) Tasks(ctx context.Context, dealer string, limit int) (tasks []Task, open int, err error) {
	all, _, err := s.readTasks(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read the tasks: %w", err)
	}
	for i := range all {
		if dealer != "" && all[i].Dealer != dealer {
			continue
		}
		if open++; open <= limit {
			tasks = append(tasks, all[i])
		}
	}
	return tasks, open, nil
}

// TaskDone takes a task off the list and notes task_done on the customer's timeline and in care:events. It returns false if the list
// has no such task, or has it no more: of two who tick it off at once one is told so.
func (s *Store) TaskDone(ctx context.Context, key string) (bool, error) {
	return s.CloseTask(ctx, key, "", "")
}

// CloseTask is TaskDone with what came of it, in a word, and who says so.
func (s *Store) CloseTask(ctx context.Context, key, outcome, by string) (bool, error) {
	members, err := s.client.ZRange(ctx, s.keys.Tasks(), 0, -1).Result()
	if err != nil {
		return false, fmt.Errorf("tick a task off: %w", err)
	}
	for _, m := range members {
		if taskKey(m) != key {
			continue
		}
		done, err := readTask(m)
		if err != nil {
			return false, fmt.Errorf("tick a task off: %w", err)
		}
		gone := []any{m}
		for _, other := range members { // the same was said of an earlier try
			if t, err := readTask(other); err == nil && !t.At.After(done.At) && t.about() != "" && t.about() == done.about() {
				gone = append(gone, other)
			}
		}
		n, err := s.client.ZRem(ctx, s.keys.Tasks(), gone...).Result()
		if err != nil || n == 0 {
			return false, err
		}
		e := done.EventEntry
		e.At, e.Kind, e.Value, e.By, e.Script = s.clock().UTC(), care.KindTaskDone, outcome, by, ""
		return true, s.Note(ctx, []care.EventEntry{e})
	}
	return false, nil
}

// readTasks returns the tasks that are open, the newest first, and the members of those that are not: too old, damaged, overtaken by
// what became of their message, or said again later.
func (s *Store) readTasks(ctx context.Context) (open []Task, over []any, err error) {
	members, err := s.client.ZRangeArgs(ctx, redis.ZRangeArgs{Key: s.keys.Tasks(), Start: 0, Stop: -1, Rev: true}).Result()
	if err != nil || len(members) == 0 {
		return nil, nil, err
	}
	oldest := s.clock().Add(-taskKept)
	seen := make(map[string]bool)
	pipe := s.client.Pipeline()
	entries := make([]*redis.StringCmd, 0, len(members))
	for _, m := range members {
		t, err := readTask(m)
		about := t.about()
		if err != nil {
			s.log.ErrorContext(ctx, "a task cannot be read", slog.Any("error", err))
		}
		if err != nil || t.At.Before(oldest) || seen[about] {
			over = append(over, m)
			continue
		}
		var entry *redis.StringCmd
		if about != "" {
			seen[about] = true
			entry = pipe.HGet(ctx, s.keys.Ledger(t.Customer), t.ID)
		}
		open, entries = append(open, t), append(entries, entry)
	}
	if err := run(ctx, pipe); err != nil {
		return nil, nil, err
	}
	still := open[:0]
	for i := range open {
		// A message that the ledger no longer knows says nothing against its task.
		if e := entries[i]; e != nil && e.Val() != "" && !slices.Contains(taskStates[open[i].Reason], codec.EntryState(e.Val())) {
			over = append(over, open[i].member)
			continue
		}
		still = append(still, open[i])
	}
	return still, over, nil
}

// trimTasks takes off the list what is not open any more.
func (s *Store) trimTasks(ctx context.Context) error {
	_, over, err := s.readTasks(ctx)
	if err != nil || len(over) == 0 {
		return err
	}
	return s.client.ZRem(ctx, s.keys.Tasks(), over...).Err()
}

// eraseTasks takes a customer's tasks off the list.
func (s *Store) eraseTasks(ctx context.Context, k keyspace.Space, customer string) error {
	members, err := s.client.ZRange(ctx, k.Tasks(), 0, -1).Result()
	if wrongType(err) || err == nil && len(members) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the tasks: %w", err)
	}
	var theirs []any
	for _, m := range members {
		// What cannot be read may be theirs too.
		if t, err := readTask(m); err != nil && strings.Contains(m, customer) || err == nil && t.Customer == customer {
			theirs = append(theirs, m)
		}
	}
	if len(theirs) == 0 {
		return nil
	}
	if err := s.client.ZRem(ctx, k.Tasks(), theirs...).Err(); err != nil {
		return fmt.Errorf("erase the tasks: %w", err)
	}
	return nil
}

var errTask = errors.New("a member of the list of tasks is damaged")

func readTask(member string) (Task, error) {
	t := Task{Key: taskKey(member), member: member}
	if json.Unmarshal([]byte(member), &t.EventEntry) != nil || t.Customer == "" {
		return Task{}, errTask
	}
	return t, nil
}

// about names the message and the reason of a task that follows its message, "" of any other.
func (t *Task) about() string {
	if _, follows := taskStates[t.Reason]; !follows || t.ID == "" {
		return ""
	}
	return t.ID + " " + t.Reason
}

func taskKey(member string) string {
	sum := sha256.Sum256([]byte(member))
	return hex.EncodeToString(sum[:16])
}
