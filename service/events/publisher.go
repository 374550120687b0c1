package events

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/text"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/channels/webhook"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/store"
)

// Idle is how long the readers of care:events pause when there is nothing to read.
const Idle = 500 * time.Millisecond

// How events are posted.
const (
	eventsOpen   = 256 // entries not done: only so many that the endpoint does not take hold up the others
	eventsAtOnce = 16  // requests side by side
	eventsBroken = 3   // entries that failed, and none was taken, after which the endpoint rests and one probes it
	eventsRest   = 5 * time.Minute
	eventsGiveUp = 24 * time.Hour // from the first try, if the endpoint takes others meanwhile
	eventsTry    = 30 * time.Second
	eventsUnsure = 3         // posts of one entry to a group bot of which nobody knows whether they arrived
	eventsTell   = time.Hour // between two warnings that the endpoint refuses
	pausedLook   = 5 * time.Second
)

// Stream is care:events as its two readers see it.
type Stream interface {
	Events(ctx context.Context, after string, limit int) ([]store.Event, error)
	EventCursor(ctx context.Context, reader string) (store.Cursor, error)
	SetEventCursor(ctx context.Context, reader string, p store.Cursor) error
	EventsTrimmed(ctx context.Context) (int64, error)
	Note(ctx context.Context, entries []care.EventEntry) error
	Timeline(ctx context.Context, customer string) ([]care.EventEntry, error)
}

// Publisher posts care:events to CARE_WEBHOOK_URL: tasks always, the rest if it is wanted. Each entry is posted at least once while
// the stream holds it, in no promised order, and always under the same id. It works on the leader and never in the way of delivery.
type Publisher struct {
	PublisherConfig

	failing map[*open]bool // entries that failed since the endpoint last took one
	probes  int            // that failed since then, while the endpoint rests
	rest    time.Time      // until then nothing is posted
	told    time.Time      // when the log last said that the endpoint takes nothing
	taken   time.Time      // when the endpoint last took an entry
}

// PublisherConfig is what a publisher works with.
type PublisherConfig struct {
	Stream Stream
	Leads  func() bool
	All    bool                            // messages and answers too, not only tasks
	Wait   func(ctx context.Context) error // for a place in the channel's rate
	// Post posts one event; nil = what comes is passed over.
	Post    func(ctx context.Context, e webhook.Event) error
	Text    func(e *care.EventEntry) string        // of a task, for group bots
	More    string                                 // where all tasks stand, for what is too long for a bot; "" = nowhere
	Bot     bool                                   // a repeat is a second message there
	Paused  func(ctx context.Context) bool         // whether an operator has stopped the channel
	Pause   func(ctx context.Context, code string) // stops it
	Dropped func(n float64)                        // counts entries that are given up
	Now     func() time.Time
	Idle    time.Duration // between looks at the stream
	Log     *slog.Logger
}

// NewPublisher returns a publisher that does nothing until Run.
func NewPublisher(cfg PublisherConfig) *Publisher { return &Publisher{PublisherConfig: cfg} }

// open is an entry that is not done with.
type open struct {
	before store.Cursor // the entry before it: the place while this one is open
	event  webhook.Event
	tries  int
	unsure int // tries of which nobody knows whether they arrived
	first  time.Time
	next   time.Time
	done   bool
}

// Run posts whenever this replica leads, until ctx ends.
func (p *Publisher) Run(ctx context.Context) {
	for {
		if p.Leads() {
			p.term(ctx)
		}
		if !care.Sleep(ctx, p.Idle) {
			return
		}
	}
}

// term posts what comes until the lead is lost.
func (p *Publisher) term(ctx context.Context) {
	const reader = "webhook"
	place, err := p.Stream.EventCursor(ctx, reader)
	if err != nil {
		return // Redis is away; run asks again
	}
	read, kept := place, place
	var entries []*open
	behind := true // look whether something was trimmed
	for ctx.Err() == nil && p.Leads() {
		if room := eventsOpen - len(entries); room > 0 {
			got, err := p.Stream.Events(ctx, read.Entry, room)
			if err != nil {
				got = nil
			}
			if len(got) > 0 && behind {
				read.Count = p.gap(ctx, read)
			}
			behind = len(got) == room
			for i := range got {
				if o := p.opened(&got[i], read); !o.done {
					entries = append(entries, o)
				}
				read = store.Cursor{Entry: got[i].Entry, Count: read.Count + 1}
			}
		}
		posted := p.round(ctx, entries)
		entries = slices.DeleteFunc(entries, func(o *open) bool { return o.done })
		if place = read; len(entries) > 0 {
			place = entries[0].before
		}
		if place != kept && ctx.Err() == nil && p.Stream.SetEventCursor(ctx, reader, place) == nil {
			kept = place
		}
		if !posted && !care.Sleep(ctx, p.Idle) {
			break
		}
	}
	if place != kept {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = p.Stream.SetEventCursor(ctx, reader, place) // what came after the last place comes twice
	}
}

// gap counts what the stream has lost to its bound before it was posted.
func (p *Publisher) gap(ctx context.Context, read store.Cursor) int64 {
	trimmed, err := p.Stream.EventsTrimmed(ctx)
	if err != nil || trimmed <= read.Count {
		return read.Count
	}
	if lost := trimmed - read.Count; read.Entry != "" {
		p.Dropped(float64(lost))
		p.Log.Error("events for CARE_WEBHOOK_URL were trimmed from care:events before they could be posted", slog.Int64("events", lost))
	}
	return trimmed
}

// opened makes an entry to post, or one that is done if nobody wants it.
func (p *Publisher) opened(e *store.Event, before store.Cursor) *open {
	o := &open{before: before, event: eventOf(e)}
	if e.Kind == care.KindTask {
		o.event.Text, o.event.More = p.Text(&e.EventEntry), p.More
	}
	o.done = p.Post == nil || e.Kind != care.KindTask && !p.All || o.event.Type == ""
	return o
}

// round posts what is due; false = there was nothing to do.
func (p *Publisher) round(ctx context.Context, entries []*open) bool {
	now := p.Now()
	if now.Before(p.rest) {
		return false
	}
	broken := len(p.failing) >= eventsBroken
	due := slices.Clone(entries)
	due = slices.DeleteFunc(due, func(o *open) bool { return o.done || !broken && now.Before(o.next) })
	if len(due) == 0 {
		return false
	}
	if broken { // the probe is one that is not known to be the trouble itself
		due = []*open{slices.MinFunc(due, func(a, b *open) int { return a.tries - b.tries })}
	}
	due = due[:min(len(due), eventsAtOnce)]
	if p.Paused(ctx) {
		p.rest = now.Add(pausedLook)
		return false
	}
	answers := make([]error, len(due))
	var posts sync.WaitGroup
	for i, o := range due {
		if p.Wait(ctx) != nil {
			due = due[:i]
			break
		}
		posts.Go(func() {
			try, cancel := context.WithTimeout(ctx, eventsTry)
			defer cancel()
			answers[i] = p.Post(try, o.event)
		})
	}
	posts.Wait()
	if ctx.Err() != nil {
		return false // a shutdown is no answer: it is posted again
	}
	for i, o := range due {
		p.answered(ctx, o, answers[i])
	}
	if broken && len(p.failing) == 0 { // the endpoint is back: nobody waits out a time that was meant for it
		for _, o := range entries {
			o.next = time.Time{}
		}
	}
	return true
}

// answered takes what the endpoint said to one entry.
func (p *Publisher) answered(ctx context.Context, o *open, err error) {
	now := p.Now()
	var failure care.Error
	if e, ok := errors.AsType[*care.Error](err); ok {
		failure = *e
	}
	kind := care.KindOf(err)
	if kind == care.KindContent && (failure.Code == "blocked_address" || failure.Code == "bad_url") {
		kind = care.KindRetry // that is about the endpoint, not about the entry
	}
	if o.tries++; o.first.IsZero() {
		o.first = now
	}
	switch kind {
	case "", care.KindContent, care.KindRecipient:
		o.done, p.taken, p.probes, p.told = true, now, 0, time.Time{}
		clear(p.failing)
		if kind != "" {
			p.Dropped(1)
			p.Log.Error("the endpoint of CARE_WEBHOOK_URL does not take an event, which is given up", slog.String("type", o.event.Type), slog.Any("error", err))
		}
		return
	case care.KindOperator:
		o.tries--
		p.Log.Error("the endpoint of CARE_WEBHOOK_URL wants nothing more: the channel is paused; mend it, then run carebell resume --channel webhook", slog.Any("error", err))
		p.Pause(ctx, failure.Code)
		p.rest = now.Add(pausedLook)
		return
	}
	if now.Sub(p.told) >= eventsTell {
		p.told = now
		p.Log.Warn("the endpoint of CARE_WEBHOOK_URL does not take an event; it is posted again", slog.String("type", o.event.Type), slog.Any("error", err))
	}
	if kind == care.KindUncertain {
		if o.unsure++; p.Bot && o.unsure >= eventsUnsure {
			o.done = true
			p.Dropped(1)
			p.Log.Error("an event is not posted again: the bot never said whether it took it, and it may have", slog.String("type", o.event.Type), slog.Int("posts", o.tries))
			return
		}
	}
	if p.failing == nil {
		p.failing = make(map[*open]bool)
	}
	p.failing[o] = true
	o.next = now.Add(delivery.Backoff(o.tries, failure.RetryAfter, rand.Float64())) //nolint:gosec // jitter
	switch {
	case failure.RetryAfter > 0:
		p.rest = o.next
	case len(p.failing) >= eventsBroken:
		p.probes++
		p.rest = now.Add(min(delivery.Backoff(p.probes, 0, rand.Float64()), eventsRest)) //nolint:gosec // jitter
	}
	if now.Sub(o.first) > eventsGiveUp && p.taken.After(o.first) {
		o.done = true
		p.Dropped(1)
		p.Log.Error("an event is given up: the endpoint of CARE_WEBHOOK_URL takes others", slog.String("type", o.event.Type), slog.Any("error", err))
	}
}

// data is what an event carries: the entry's fields, without those that are empty.
type data struct {
	At       time.Time    `json:"at"`
	ID       string       `json:"id,omitempty"`
	Customer string       `json:"customer,omitempty"`
	Dealer   string       `json:"dealer,omitempty"`
	Vehicle  string       `json:"vehicle,omitempty"`
	Program  string       `json:"program,omitempty"`
	Step     string       `json:"step,omitempty"`
	Channel  care.Channel `json:"channel,omitempty"`
	State    care.State   `json:"state,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Kind     string       `json:"kind,omitempty"`
	Value    string       `json:"value,omitempty"`
	By       string       `json:"by,omitempty"`
	Script   string       `json:"-"`
}

// eventOf names an entry for the world. An entry that was written twice (an outcome that was recorded twice, a crash) has the same id both times.
func eventOf(e *store.Event) webhook.Event {
	out := webhook.Event{ID: "evt-" + e.Entry, At: e.At, Data: data(e.EventEntry)}
	what := ""
	switch {
	case e.Kind == care.KindTask:
		out.Type, what = "task", "task"
	case e.Kind == care.KindTaskDone:
		out.Type, what = "task_done", "task_done"
	case e.State != "":
		out.Type, what = "message."+string(e.State), string(e.State)
	case e.Kind == care.KindPause || e.Kind == care.KindResume:
		out.Type = "operator." + e.Kind
	case e.Kind != "":
		out.Type = "customer." + e.Kind
	}
	if what != "" && e.ID != "" {
		// 56 characters are what webhook-id leaves of its 64.
		if id := e.ID + "." + what + "." + strconv.FormatInt(e.At.UnixMilli(), 36); len(id) <= 56 {
			out.ID = id
		}
	}
	return out
}

// TaskText is what a group bot is told of a task, in the language of a locale. What a customer wrote stays what it is: no mention of the
// whole group, no link under another name, no line that looks like a second task.
func TaskText(locale string, e *care.EventEntry) string {
	return texts.For(locale).T("event.task", "customer", e.Customer, "program", e.Program, "step", e.Step, "reason", e.Reason, "value", plain(e.Value))
}

// plain takes from a text what a bot's language would act on: tags (<at user_id="all">, <@all>), Markdown's links, line ends.
func plain(s string) string {
	return strings.NewReplacer("<", "＜", ">", "＞", "](", "] (", "@all", "@ all", "@所有人", "@ 所有人").Replace(text.Line(s))
}
