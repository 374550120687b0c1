package events

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/store"
)

const (
	tasksAtOnce = 256
	taskWorth   = 7 * 24 * time.Hour // what failed longer ago is nobody's task any more
)

// noTask are ends that a call would not mend: the channel is paused anyway, the message's time is over, or an operator decided.
var noTask = []string{"operator", "expired", "resolved", "dropped"}

// TaskMaker adds a task for the advisor to care:events, the list of tasks and the customer's timeline, Value saying why, for each
// message that reached nobody or may have. It works on the leader. A task may be added twice after a crash, with the same id.
type TaskMaker struct {
	stream Stream
	leads  func() bool
	now    func() time.Time
	log    *slog.Logger
}

// NewTaskMaker returns one that does nothing until Run.
func NewTaskMaker(stream Stream, leads func() bool, now func() time.Time, log *slog.Logger) *TaskMaker {
	return &TaskMaker{stream: stream, leads: leads, now: now, log: log}
}

// Run adds tasks whenever this replica leads, until ctx ends.
func (m *TaskMaker) Run(ctx context.Context) {
	for {
		if m.leads() {
			m.term(ctx)
		}
		if !care.Sleep(ctx, Idle) {
			return
		}
	}
}

func (m *TaskMaker) term(ctx context.Context) {
	const reader = "tasks"
	place, err := m.stream.EventCursor(ctx, reader)
	if err != nil {
		return
	}
	for fresh := true; ctx.Err() == nil && m.leads(); {
		got, err := m.stream.Events(ctx, place.Entry, tasksAtOnce)
		var tasks []care.EventEntry
		for i := range got {
			if t, ok := m.task(&got[i].EventEntry); ok && !(fresh && m.has(ctx, &t)) {
				tasks = append(tasks, t)
			}
		}
		if err == nil && len(tasks) > 0 {
			err = m.stream.Note(ctx, tasks)
		}
		if err != nil {
			m.log.Debug("tasks could not be added; trying again", slog.Any("error", err))
		} else if len(got) > 0 {
			place = store.Cursor{Entry: got[len(got)-1].Entry, Count: place.Count + int64(len(got))}
			if err := m.stream.SetEventCursor(ctx, reader, place); err != nil {
				m.log.Debug("the place in care:events could not be kept", slog.Any("error", err))
			}
			// Only what came after the last place that was kept can have been done before.
			fresh = false
			continue
		}
		if !care.Sleep(ctx, Idle) {
			return
		}
	}
}

// task is what an entry asks of a person, if anything.
func (m *TaskMaker) task(e *care.EventEntry) (care.EventEntry, bool) {
	t := *e
	t.State, t.Kind, t.Value = "", care.KindTask, e.Reason
	switch {
	case e.Kind != "" || m.now().Sub(e.At) > taskWorth:
		return t, false
	case e.State == care.StateFailed && !slices.Contains(noTask, e.Reason):
		t.Reason = store.TaskNotReached
	case e.State == care.StateUncertain:
		t.Reason = store.TaskUncertain
	default:
		return t, false
	}
	return t, true
}

// has reports whether the task is on the customer's timeline already.
func (m *TaskMaker) has(ctx context.Context, t *care.EventEntry) bool {
	line, err := m.stream.Timeline(ctx, t.Customer)
	return err == nil && slices.ContainsFunc(line, func(e care.EventEntry) bool {
		return e.Kind == t.Kind && e.ID == t.ID && e.Reason == t.Reason && e.At.Equal(t.At)
	})
}
