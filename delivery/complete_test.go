package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
)

// publishing is a queue that looks at what it publishes, and refuses to at first.
type publishing struct {
	*memory
	refuse int // so many trips
	early  []string
	at     time.Time // of the last trip
}

func (q *publishing) Publish(ctx context.Context, events []*care.EventEntry) error {
	q.mu.Lock()
	for _, e := range events {
		if state := q.records[e.ID].State; state != e.State {
			q.early = append(q.early, fmt.Sprintf("%s published as %s while it was %s", e.ID, e.State, state))
		}
	}
	q.mu.Unlock()
	q.at = time.Now()
	if q.refuse > 0 {
		q.refuse--
		return errors.New("care:events is of the wrong type")
	}
	return q.memory.Publish(ctx, events)
}

// Every outcome is published once, and only when it is on record.
func TestEventsFollowTheirOutcomes(t *testing.T) {
	t.Parallel()
	for _, refuse := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			q := &publishing{memory: newMemory(300), refuse: refuse}
			e := start(t, q.memory, yes{}, ok, func(c *Config) { c.Queue = q })
			time.Sleep(time.Minute)
			if err := e.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			published := make(map[string]int)
			for _, ev := range q.published {
				published[ev.ID]++
			}
			want := make(map[string]int)
			for id := range q.records {
				want[id] = 1
			}
			if diff := cmp.Diff(want, published); diff != "" || len(q.early) > 0 {
				t.Errorf("refused %d times (-want +got):\n%s\n%v", refuse, diff, q.early)
			}
		})
	}
}

// With nothing else to do an event follows its outcome at once.
func TestAnEventDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &publishing{memory: newMemory(1)}
		began := time.Now()
		e := start(t, q.memory, yes{}, ok, func(c *Config) { c.Queue = q })
		time.Sleep(time.Minute)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(q.published) != 1 || q.at.Sub(began) > 5*time.Millisecond {
			t.Errorf("%d published, after %v", len(q.published), q.at.Sub(began))
		}
	})
}

// incomplete is a queue that records no outcomes for a while.
type incomplete struct {
	*memory
	until time.Time
}

func (q *incomplete) Complete(ctx context.Context, results []care.Result) ([]bool, error) {
	if time.Now().After(q.until) {
		return q.memory.Complete(ctx, results)
	}
	return nil, errors.New("a shard does not answer")
}

// While outcomes cannot be recorded although intents can, no more is begun than there are permits.
func TestWhatCannotBeCompletedHoldsItsPermit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &incomplete{memory: newMemory(300), until: time.Now().Add(3 * time.Second)}
		e := start(t, q.memory, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			time.Sleep(time.Millisecond)
			return care.Receipt{}, nil
		}, func(c *Config) { c.Queue = q })
		time.Sleep(time.Minute)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := q.states()[care.StateSent]; n != 300 {
			t.Errorf("%d sent", n)
		}
		if q.most > 2*4 {
			t.Errorf("%d were recorded as sending at a time; the channel has 4 connections", q.most)
		}
	})
}

// faulty is a queue whose calls take any time and fail now and then, also after they were done.
type faulty struct {
	*memory
	takes func() time.Duration
	fails func() bool
}

var errFaulty = errors.New("no answer")

func (q *faulty) Begin(ctx context.Context, intents []care.Intent) ([]bool, error) {
	time.Sleep(q.takes())
	ours, err := q.memory.Begin(ctx, intents)
	if q.fails() {
		return nil, errFaulty // the store may have them, and its answer was lost
	}
	return ours, err
}

func (q *faulty) Complete(ctx context.Context, results []care.Result) ([]bool, error) {
	time.Sleep(q.takes())
	if q.fails() {
		return nil, errFaulty
	}
	return q.memory.Complete(ctx, results)
}

// Whatever the store and the provider do, no more is on record as begun than the pool has permits, and each message goes once.
func TestBegunIsNeverMoreThanThePermits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		connections := rapid.IntRange(1, 6).Draw(rt, "connections")
		most := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond}).Draw(rt, "provider")
		trip := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 30 * time.Millisecond}).Draw(rt, "trip")
		faults := rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(rt, "faults")
		wrong := "" // said outside of the bubble, where rapid can make it smaller
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			draw := func() float64 { mu.Lock(); defer mu.Unlock(); return random.Float64() }
			upTo := func(d time.Duration) time.Duration { return time.Duration(draw() * float64(d)) }
			m, n := newMemory(60), 60
			q := &faulty{memory: m, takes: func() time.Duration { return upTo(trip) }, fails: func() bool { return draw() < faults }}
			sent := map[string]int{}
			e := start(t, m, yes{}, func(_ context.Context, msg *care.Message) (care.Receipt, error) {
				mu.Lock()
				sent[msg.ID]++
				mu.Unlock()
				time.Sleep(upTo(most))
				return care.Receipt{}, nil
			}, func(c *Config) {
				c.Queue, c.Connections, c.Idle = q, map[care.Channel]int{care.Email: connections}, 500*time.Millisecond
			})
			time.Sleep(5 * time.Minute)
			err := e.Stop(t.Context())
			switch got := m.states()[care.StateSent]; {
			case err != nil:
				wrong = err.Error()
			case m.most > 2*connections:
				wrong = fmt.Sprintf("%d were on record as begun with %d permits", m.most, 2*connections)
			case got != n || len(sent) != n:
				wrong = fmt.Sprintf("%v, %d sent: want %d", m.states(), len(sent), n)
			}
			for id, times := range sent {
				if times != 1 {
					wrong = fmt.Sprintf("%s went %d times", id, times)
				}
			}
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// What is begun during a fault is not sent, and outcomes wait until they can be written: none is lost, none goes twice.
func TestOutcomesOutlastAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(400)
		sent := make(map[string]int)
		e := start(t, m, yes{}, func(_ context.Context, msg *care.Message) (care.Receipt, error) {
			m.mu.Lock()
			sent[msg.ID]++
			m.mu.Unlock()
			time.Sleep(time.Millisecond)
			return care.Receipt{}, nil
		})
		for range 5 {
			time.Sleep(7 * time.Millisecond)
			m.mu.Lock()
			m.broken = errors.New("Redis is away")
			m.mu.Unlock()
			time.Sleep(5 * time.Second)
			m.mu.Lock()
			m.broken = nil
			m.mu.Unlock()
		}
		time.Sleep(time.Minute)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.states()[care.StateSent]; n != 400 || len(m.published) != 400 {
			t.Errorf("%v, %d published: want 400 sent and published", m.states(), len(m.published))
		}
		for id, n := range sent {
			if n != 1 {
				t.Errorf("%s went %d times", id, n)
			}
		}
	})
}
