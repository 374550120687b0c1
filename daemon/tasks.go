package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/webhook"
	"github.com/carebell/carebell/store"
)

const (
	tasksAtOnce = 256
	taskWorth   = 7 * 24 * time.Hour // what failed longer ago is nobody's task any more
)

// noTask are ends that a call would not mend: the channel is paused anyway, the message's time is over, or an operator decided.
var noTask = []string{"operator", "expired", "resolved", "dropped"}

// clerk adds a task for the advisor to care:events, the list of tasks and the customer's timeline, Value saying why, for each message that reached nobody or may have.
// It runs on the leader. A task may be added twice after a crash, with the same id.
type clerk struct {
	stream stream
	leads  func() bool
	now    func() time.Time
	log    *slog.Logger
}

func (c *clerk) run(ctx context.Context) {
	for {
		if c.leads() {
			c.term(ctx)
		}
		if !pauseFor(ctx, eventsIdle) {
			return
		}
	}
}

func (c *clerk) term(ctx context.Context) {
	const reader = "tasks"
	place, err := c.stream.EventPlace(ctx, reader)
	if err != nil {
		return
	}
	for fresh := true; ctx.Err() == nil && c.leads(); {
		got, err := c.stream.Events(ctx, place.Entry, tasksAtOnce)
		var tasks []care.EventEntry
		for i := range got {
			if t, ok := c.task(&got[i].EventEntry); ok && !(fresh && c.has(ctx, &t)) {
				tasks = append(tasks, t)
			}
		}
		if err == nil && len(tasks) > 0 {
			err = c.stream.Note(ctx, tasks)
		}
		if err != nil {
			c.log.Debug("tasks could not be added; trying again", slog.Any("error", err))
		} else if len(got) > 0 {
			place = store.Place{Entry: got[len(got)-1].Place, Count: place.Count + int64(len(got))}
			if err := c.stream.SetEventPlace(ctx, reader, place); err != nil {
				c.log.Debug("the place in care:events could not be kept", slog.Any("error", err))
			}
			// Only what came after the last place that was kept can have been done before.
			fresh = false
			continue
		}
		if !pauseFor(ctx, eventsIdle) {
			return
		}
	}
}

// task is what an entry asks of a person, if anything.
func (c *clerk) task(e *care.EventEntry) (care.EventEntry, bool) {
	t := *e
	t.State, t.Kind, t.Value = "", care.KindTask, e.Reason
	switch {
	case e.Kind != "" || c.now().Sub(e.At) > taskWorth:
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
func (c *clerk) has(ctx context.Context, t *care.EventEntry) bool {
	line, err := c.stream.Timeline(ctx, t.Customer)
	return err == nil && slices.ContainsFunc(line, func(e care.EventEntry) bool {
		return e.Kind == t.Kind && e.ID == t.ID && e.Reason == t.Reason && e.At.Equal(t.At)
	})
}

func asError(err error) (*care.Error, bool) { return errors.AsType[*care.Error](err) }

// startEvents has the leader add tasks, and post what CARE_WEBHOOK_URL wants to know.
func (d *Daemon) startEvents() {
	c := &clerk{stream: d.store, leads: d.leads.Load, now: d.env.Now, log: d.log}
	d.loop("tasks", c.run)
	sender, ok := d.channels.Load().byChannel[care.Webhook].(*webhook.Sender)
	if !ok || d.env.Settings.Webhook.URL.IsZero() {
		return
	}
	h := &herald{
		stream: d.store, leads: d.leads.Load, all: d.env.Settings.Webhook.Events, text: d.taskText, dropped: d.metrics.eventsDropped.Add,
		now: time.Now, idle: eventsIdle, log: d.log,
		paused: func(ctx context.Context) bool {
			op, err := d.stops.Operator(ctx)
			return err != nil || op.Channels[care.Webhook]
		},
		pause: func(ctx context.Context, code string) {
			if err := d.stops.PauseChannel(ctx, care.Webhook, code); err != nil {
				d.log.Error("the channel could not be paused", slog.Any("error", err))
			}
		},
	}
	if !d.env.Settings.DryRun { // a dry run sends nothing: what happens meanwhile is passed over
		h.wait = func(ctx context.Context) error { return d.engine.Wait(ctx, care.Webhook) }
		h.post = sender.Post
	}
	d.loop("events", h.run)
}
