package delivery

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
	"pgregory.net/rapid"
)

// gatewayOf is a gateway whose answers the test sets.
type gatewayOf struct {
	mu     sync.Mutex
	answer func(m *care.Message) *care.Error // nil = a yes
	takes  []string
}

func (g *gatewayOf) send(_ context.Context, m *care.Message) (care.Receipt, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.answer(m); err != nil {
		return care.Receipt{}, err
	}
	g.takes = append(g.takes, m.ID)
	return care.Receipt{ID: m.ID, State: care.StateSent}, nil
}

func (g *gatewayOf) set(answer func(m *care.Message) *care.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

func no(kind care.Kind, code string) func(*care.Message) *care.Error {
	return func(*care.Message) *care.Error { return &care.Error{Kind: kind, Code: code} }
}

// addressed has each message go to another recipient.
func addressed(m *memory) func(*Config) {
	return func(c *Config) {
		c.Hash = func(to string) string { return "hash of " + to }
	}
}

func (m *memory) resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trips["pause"] = 0
}

// TestTheSameRefusalForTenIsAboutUs: the gateway is paused, nothing is failed, and after a resume all go.
func TestTheSameRefusalForTenIsAboutUs(t *testing.T) {
	t.Parallel()
	for _, kind := range []care.Kind{care.KindContent, care.KindRecipient} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(40)
			g := &gatewayOf{answer: no(kind, "550 5.9.9")}
			e := start(t, m, yes{}, g.send, addressed(m))
			time.Sleep(time.Minute)
			states := m.states()
			if m.trips["pause"] == 0 || states[care.StateFailed] != 0 || states[care.StateRetry]+states[care.StateDue] != 40 {
				t.Fatalf("%s: paused %d times, %v", kind, m.trips["pause"], states)
			}
			for _, r := range m.records {
				if len(r.Attempts) > 0 && (r.Attempts[0].Kind != kind || len(r.Tried) > 0) {
					t.Errorf("%s: its attempt is %+v", kind, r)
				}
			}
			g.set(func(*care.Message) *care.Error { return nil })
			m.resume()
			time.Sleep(time.Minute)
			if states := m.states(); states[care.StateSent] != 40 || len(g.takes) != 40 {
				t.Errorf("%s: after the resume %v", kind, states)
			}
			_ = e.Stop(t.Context())
		})
	}
}

// TestARefusalBetweenAcceptancesIsOfTheMessage: it fails alone, and no channel is paused.
func TestARefusalBetweenAcceptancesIsOfTheMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(60)
		bad := map[string]bool{}
		for i := 0; i < 60; i += 4 {
			bad[m.id(i)] = true
		}
		g := &gatewayOf{answer: func(msg *care.Message) *care.Error {
			if bad[msg.ID] {
				return &care.Error{Kind: care.KindRecipient, Code: "550 5.1.1"}
			}
			return nil
		}}
		e := start(t, m, yes{}, g.send, addressed(m), func(c *Config) { c.Connections = map[care.Channel]int{care.Email: 1} })
		time.Sleep(30 * time.Second)
		if states := m.states(); m.trips["pause"] > 0 || states[care.StateFailed] != len(bad) || states[care.StateSent] != 60-len(bad) {
			t.Errorf("paused %d times, %v", m.trips["pause"], states)
		}
		_ = e.Stop(t.Context())
	})
}

// TestOneRefusalAloneIsDecidedSoon: nothing else goes that could tell.
func TestOneRefusalAloneIsDecidedSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(1)
		g := &gatewayOf{answer: no(care.KindContent, "554")}
		e := start(t, m, yes{}, g.send)
		time.Sleep(5 * time.Second)
		if states := m.states(); states[care.StateFailed] != 1 || len(m.records[m.id(0)].Attempts) != 1 {
			t.Errorf("%v: %+v", states, m.records[m.id(0)])
		}
		_ = e.Stop(t.Context())
	})
}

func (m *memory) id(i int) string {
	ids := make([]string, 0, len(m.records))
	for id := range m.records {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids[i]
}

// TestGuardHoldsFew: for any answers at most nine wait, and whoever waits is decided by an acceptance, another code or the time.
func TestGuardHoldsFew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var g guard
		now := time.Unix(0, 0)
		for range rapid.IntRange(1, 60).Draw(t, "answers") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			id := rapid.StringMatching(`[a-z]`).Draw(t, "id")
			switch rapid.IntRange(0, 5).Draw(t, "answer") {
			case 0:
				g.accepted()
			case 1:
				g.forget()
			case 2:
				g.look(now, id)
			default:
				rec := care.Record{ID: id, Channel: care.Email, State: care.StateFailed}
				waits, doubted := g.refused(now, rapid.SampledFrom([]string{"550", "554"}).Draw(t, "code"), id, care.Result{Claim: &care.Claim{Record: rec}, Record: rec})
				if waits.Record.State != care.StateRetry || waits.Suppress != nil || doubted && len(g.held) > 0 {
					t.Fatalf("%+v", waits)
				}
			}
			open := 0
			for _, h := range g.held {
				if !h.decided {
					open++
				}
			}
			if open >= guardMost {
				t.Fatalf("%d wait", open)
			}
		}
	})
}

// TestASlowAnswerHoldsNobodyUp: a server that answers after minutes has taken the message; the others go meanwhile, each once.
func TestASlowAnswerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(9)
		slowID := m.id(0)
		var mu sync.Mutex
		sends := map[string]int{}
		send := func(_ context.Context, msg *care.Message) (care.Receipt, error) {
			mu.Lock()
			sends[msg.ID]++
			mu.Unlock()
			if msg.ID == slowID {
				time.Sleep(8 * time.Minute)
			}
			return care.Receipt{ID: msg.ID, State: care.StateSent}, nil
		}
		e := start(t, m, yes{}, send, func(c *Config) {
			c.Connections = map[care.Channel]int{care.Email: 1}
			c.Timeouts = map[care.Channel]time.Duration{care.Email: 40 * time.Minute}
		})
		time.Sleep(2 * time.Minute)
		if states := m.states(); states[care.StateSent] != 8 || states[care.StateSending] != 1 {
			t.Errorf("meanwhile: %v", states)
		}
		time.Sleep(8 * time.Minute)
		if states := m.states(); states[care.StateSent] != 9 {
			t.Errorf("at the end: %v", states)
		}
		for id, n := range sends {
			if n != 1 {
				t.Errorf("%s was sent %d times", id, n)
			}
		}
		_ = e.Stop(t.Context())
	})
}

// TestNoAnswerThreeTimesIsForAPerson: a server that never answers gets three copies at the most.
func TestNoAnswerThreeTimesIsForAPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(1)
		g := &gatewayOf{answer: no(care.KindUncertain, "timeout")}
		e := start(t, m, yes{}, g.send)
		time.Sleep(24 * time.Hour)
		if r := m.records[m.id(0)]; r.State != care.StateUncertain || len(r.Attempts) != 3 || r.Repeats != 2 {
			t.Errorf("%+v", r)
		}
		_ = e.Stop(t.Context())
	})
}
