package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/webhook"
	"github.com/carebell/carebell/store"
	"github.com/google/go-cmp/cmp"
)

// reel is care:events in memory.
type reel struct {
	mu      sync.Mutex
	entries []store.Event
	trimmed int64
	places  map[string]store.Cursor
	broken  bool // places cannot be kept
}

func (r *reel) Events(_ context.Context, after string, limit int) ([]store.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := 0
	if after != "" {
		from = slices.IndexFunc(r.entries, func(e store.Event) bool { return e.Entry > after })
		if from < 0 {
			return nil, nil
		}
	}
	return slices.Clone(r.entries[from:min(from+limit, len(r.entries))]), nil
}

func (r *reel) EventCursor(_ context.Context, reader string) (store.Cursor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.places[reader], nil
}

func (r *reel) SetEventCursor(_ context.Context, reader string, p store.Cursor) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return errors.New("full")
	}
	if r.places == nil {
		r.places = map[string]store.Cursor{}
	}
	r.places[reader] = p
	return nil
}

func (r *reel) EventsTrimmed(context.Context) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trimmed, nil
}

func (r *reel) Note(_ context.Context, entries []care.EventEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		r.entries = append(r.entries, store.Event{Entry: fmt.Sprintf("%08d-0", int(r.trimmed)+len(r.entries)+1), EventEntry: e})
	}
	return nil
}

func (r *reel) Timeline(_ context.Context, customer string) ([]care.EventEntry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []care.EventEntry
	for _, e := range r.entries {
		if e.Customer == customer {
			out = append(out, e.EventEntry)
		}
	}
	return out, nil
}

func (r *reel) trim(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = r.entries[n:]
	r.trimmed += int64(n)
}

func (r *reel) told(t *testing.T, entries ...care.EventEntry) {
	t.Helper()
	if err := r.Note(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

// endpoint is the receiving side, which answers by the event's customer.
type endpoint struct {
	mu     sync.Mutex
	got    map[string]int // ids that were taken
	tries  map[string]int // by customer
	answer func(customer string, try int) error
}

func (p *endpoint) post(_ context.Context, e webhook.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	customer := e.Data.(data).Customer
	p.tries[customer]++
	if p.answer != nil {
		if err := p.answer(customer, p.tries[customer]); err != nil {
			return err
		}
	}
	p.got[e.ID]++
	return nil
}

func (p *endpoint) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

func (p *endpoint) asked(customer string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tries[customer]
}

// tally counts what was given up.
type tally struct{ n atomic.Int64 }

func (c *tally) add(n float64) { c.n.Add(int64(n)) }

// newPublisher returns one that leads, on its stream and endpoint.
func newPublisher(t *testing.T, r *reel, p *endpoint) *Publisher {
	p.got, p.tries = map[string]int{}, map[string]int{}
	return NewPublisher(PublisherConfig{
		Stream: r, Leads: func() bool { return true }, All: true, Post: p.post, Wait: func(context.Context) error { return nil },
		Text: func(*care.EventEntry) string { return "a task" }, Paused: func(context.Context) bool { return false },
		Pause: func(context.Context, string) {}, Dropped: func(float64) {}, Now: time.Now, Idle: Idle,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError + 1})),
	})
}

func sent(customer string) care.EventEntry {
	return care.EventEntry{At: time.Now(), ID: "a" + strings.Repeat("x", 25-len(customer)) + customer, Customer: customer, State: care.StateSent}
}

func refusal(kind care.Kind, code string, after time.Duration) error {
	return &care.Error{Kind: kind, Code: code, RetryAfter: after}
}

// during has a publisher work inside of a bubble until the function returns.
func during(t *testing.T, h *Publisher, work func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	work()
	cancel()
	<-done
}

// One entry that the endpoint never takes holds nobody up and is given up after a day; one that it does not understand at once.
func TestAnEventNobodyTakesHoldsUpNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, p := &reel{}, &endpoint{answer: func(customer string, _ int) error {
			switch customer {
			case "poison":
				return refusal(care.KindRetry, "http 500", 0)
			case "strange":
				return refusal(care.KindContent, "http 422", 0)
			}
			return nil
		}}
		h := newPublisher(t, r, p)
		var dropped tally
		h.Dropped, h.Idle = dropped.add, 20*time.Second
		during(t, h, func() {
			r.told(t, sent("poison"), sent("strange"))
			for i := range 1000 {
				r.told(t, sent(fmt.Sprint("C", i)))
			}
			time.Sleep(5 * time.Minute)
			if p.taken() != 1000 || dropped.n.Load() != 1 {
				t.Errorf("%d taken, %v dropped", p.taken(), dropped.n.Load())
			}
			if place, _ := r.EventCursor(t.Context(), "webhook"); place.Entry != "" {
				t.Errorf("the place has passed what is not done: %+v", place)
			}
			for range 30 {
				time.Sleep(time.Hour)
				r.told(t, sent(fmt.Sprint("L", time.Now().Unix())))
			}
			time.Sleep(2 * time.Hour)
			if dropped.n.Load() != 2 {
				t.Errorf("%v dropped", dropped.n.Load())
			}
			if place, _ := r.EventCursor(t.Context(), "webhook"); place.Count != 1032 {
				t.Errorf("the place is %+v", place)
			}
			if tries := p.asked("poison"); tries < 20 || tries > 60 {
				t.Errorf("tried %d times in a day", tries)
			}
		})
	})
}

// An endpoint that is away loses nothing, is not hammered, and gets everything soon after it is back.
func TestAnEndpointThatIsAwayMissesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		var tries atomic.Int64
		r, p := &reel{}, &endpoint{answer: func(string, int) error {
			tries.Add(1)
			if away.Load() {
				return refusal(care.KindRetry, "connect", 0)
			}
			return nil
		}}
		h := newPublisher(t, r, p)
		h.Idle = 20 * time.Second
		during(t, h, func() {
			for i := range 600 {
				r.told(t, sent(fmt.Sprint("C", i)))
			}
			time.Sleep(36 * time.Hour)
			if p.taken() != 0 || tries.Load() > 600 {
				t.Errorf("%d tries in 36 hours", tries.Load())
			}
			away.Store(false)
			time.Sleep(6 * time.Minute)
			if p.taken() != 600 {
				t.Errorf("%d of 600 taken after it came back", p.taken())
			}
		})
	})
}

func TestRetryAfterAndGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		r, p := &reel{}, &endpoint{answer: func(_ string, try int) error {
			switch {
			case gone.Load():
				return refusal(care.KindOperator, "http 410", 0)
			case try == 1:
				return refusal(care.KindRetry, "http 429", 10*time.Minute)
			}
			return nil
		}}
		h := newPublisher(t, r, p)
		var paused atomic.Bool
		h.Paused = func(context.Context) bool { return paused.Load() }
		h.Pause = func(context.Context, string) { paused.Store(true) }
		during(t, h, func() {
			r.told(t, sent("C1"))
			time.Sleep(9 * time.Minute)
			if p.asked("C1") != 1 {
				t.Errorf("asked %d times before its time", p.asked("C1"))
			}
			time.Sleep(2 * time.Minute)
			if p.taken() != 1 {
				t.Error("not posted after its time")
			}
			gone.Store(true)
			r.told(t, sent("C2"))
			time.Sleep(24 * time.Hour)
			if p.asked("C2") != 1 || !paused.Load() {
				t.Errorf("asked %d times after 410, paused %v", p.asked("C2"), paused.Load())
			}
			gone.Store(false)
			paused.Store(false)
			time.Sleep(10 * time.Second) // C2's second try is taken
			if p.taken() != 2 {
				t.Error("not posted after the channel was resumed")
			}
		})
	})
}

// The next leader goes on where the last one was; what comes twice has the same id. What the stream lost is counted.
func TestTheNextLeaderGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, p := &reel{}, &endpoint{}
		h := newPublisher(t, r, p)
		var dropped tally
		h.Dropped = dropped.add
		count := func() { r.told(t, sent(fmt.Sprint("C", p.taken()))) }
		during(t, h, func() {
			for range 10 {
				count()
				time.Sleep(time.Second)
			}
		})
		r.broken = true
		during(t, h, func() {
			count()
			time.Sleep(time.Second)
		})
		r.broken = false
		during(t, h, func() { time.Sleep(time.Second) })
		if p.taken() != 11 {
			t.Errorf("%d taken", p.taken())
		}
		twice := 0
		for _, n := range p.got {
			twice += n - 1
		}
		if twice != 1 || dropped.n.Load() != 0 {
			t.Errorf("%d came twice, %v dropped", twice, dropped.n.Load())
		}
		for range 20 {
			r.told(t, sent(fmt.Sprint("T", len(r.entries))))
		}
		r.trim(20)
		during(t, h, func() { time.Sleep(time.Second) })
		if dropped.n.Load() != 9 || p.taken() != 22 {
			t.Errorf("%v dropped, %d taken", dropped.n.Load(), p.taken())
		}
	})
}

func TestOnlyTasksUnlessAllIsWanted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, p := &reel{}, &endpoint{}
		h := newPublisher(t, r, p)
		h.All = false
		during(t, h, func() {
			r.told(t, sent("C1"), care.EventEntry{At: time.Now(), Customer: "C2", Kind: "survey"},
				care.EventEntry{At: time.Now(), Customer: "C3", Kind: "task", Reason: "complaint"})
			time.Sleep(time.Second)
		})
		if p.taken() != 1 || p.asked("C3") != 1 {
			t.Errorf("posted %d", p.taken())
		}
	})
}

func TestNamesOfEvents(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1700000000000)
	id := "pabcdefghijklmnopqrstuvwxy"
	for _, tt := range []struct {
		e        care.EventEntry
		kind, id string
	}{
		{care.EventEntry{At: at, ID: id, State: care.StateUndelivered}, "message.undelivered", id + ".undelivered.loyw3v28"},
		{care.EventEntry{At: at, ID: id, Kind: "task"}, "task", id + ".task.loyw3v28"},
		{care.EventEntry{At: at, Kind: "task"}, "task", "evt-1-0"},
		{care.EventEntry{At: at, ID: id, Kind: "task_done"}, "task_done", id + ".task_done.loyw3v28"},
		{care.EventEntry{At: at, ID: id, Kind: "survey", Value: "9"}, "customer.survey", "evt-1-0"},
	} {
		got := eventOf(&store.Event{Entry: "1-0", EventEntry: tt.e})
		if got.Type != tt.kind || got.ID != tt.id || !care.ValidID(got.ID+"-webhook") {
			t.Errorf("%+v: %s %s", tt.e, got.Type, got.ID)
		}
	}
}

func TestATaskForWhatReachedNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reel{}
		entry := func(customer string, state care.State, reason string) care.EventEntry {
			e := sent(customer)
			e.State, e.Reason = state, reason
			return e
		}
		old := entry("OLD", care.StateFailed, "content")
		old.At = old.At.AddDate(0, 0, -8)
		r.told(t, entry("F", care.StateFailed, "recipient"), entry("U", care.StateUncertain, "no_answer"), entry("S", care.StateSent, ""),
			entry("P", care.StateFailed, "operator"), entry("R", care.StateFailed, "resolved"), entry("X", care.StateExpired, "expired"), old)
		work := func() {
			ctx, cancel := context.WithCancel(t.Context())
			m := NewTaskMaker(r, func() bool { return true }, time.Now, slog.New(slog.DiscardHandler))
			done := make(chan struct{})
			go func() { defer close(done); m.Run(ctx) }()
			time.Sleep(10 * time.Second)
			cancel()
			<-done
		}
		work()
		r.places = nil // the next leader knows nothing of it
		work()
		var got []string
		for _, e := range r.entries {
			if e.Kind == "task" {
				got = append(got, e.Customer+" "+e.Reason+" "+e.Value+" "+string(e.State))
			}
		}
		if diff := cmp.Diff([]string{"F not_reached recipient ", "U uncertain no_answer "}, got); diff != "" {
			t.Errorf("tasks (-want +got):\n%s", diff)
		}
	})
}
