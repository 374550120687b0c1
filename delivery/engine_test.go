package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a queue in memory with the store's rules: a claim has a lease and a fencing token.
type memory struct {
	mu      sync.Mutex
	records map[string]*care.Record
	due     map[string]time.Time
	token   map[string]int64
	next    int64
	broken  error // what every call answers
	trips   map[string]int
	most    int         // messages that were sending at the same time
	ledger  care.Ledger // of every customer

	completed []*care.Claim
	published []*care.EventEntry
}

func newMemory(n int) *memory {
	m := &memory{records: map[string]*care.Record{}, due: map[string]time.Time{}, token: map[string]int64{}, trips: map[string]int{}}
	for i := range n {
		id := fmt.Sprintf("m%05d", i)
		now := time.Now()
		m.records[id] = &care.Record{
			ID: id, Customer: fmt.Sprintf("C%d", i), Program: "birthday", Class: care.Care, Channel: care.Email, State: care.StateDue,
			Release: now, Expires: now.Add(72 * time.Hour),
		}
		m.due[id] = now
	}
	return m
}

func (m *memory) call(name string) error {
	m.trips[name]++
	return m.broken
}

func (m *memory) Claim(_ context.Context, lanes []care.Lane, most int, lease time.Duration) ([]*care.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("claim"); err != nil {
		return nil, err
	}
	var claims []*care.Claim
	for id, at := range m.due {
		rec := m.records[id]
		if len(claims) == most || at.After(time.Now()) || rec.Channel != lanes[0].Channel {
			continue
		}
		m.next++
		was := rec.State
		switch rec.State {
		case care.StateClaimed:
			rec.Crashes++
		case care.StateSending:
			was = care.StateUncertain
		}
		rec.State = care.StateClaimed
		if was == care.StateUncertain {
			rec.State = care.StateUncertain
		}
		m.token[id], m.due[id] = m.next, time.Now().Add(lease)
		claims = append(claims, &care.Claim{Record: *rec, Lane: care.LaneOf(rec.Channel, rec.Class), Token: m.next, Was: was, Until: m.due[id]})
	}
	return claims, nil
}

func (m *memory) Renew(_ context.Context, claims []*care.Claim, lease time.Duration) ([]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	oks := make([]bool, len(claims))
	for i, c := range claims {
		if oks[i] = m.token[c.Record.ID] == c.Token; oks[i] {
			m.due[c.Record.ID] = time.Now().Add(lease)
		}
	}
	return oks, m.call("renew")
}

func (m *memory) Publish(_ context.Context, events []*care.EventEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("publish"); err != nil {
		return err
	}
	m.published = append(m.published, events...)
	return nil
}

func (m *memory) Begin(_ context.Context, intents []care.Intent) ([]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	oks := make([]bool, len(intents))
	if err := m.call("begin"); err != nil {
		return nil, err
	}
	for i, in := range intents {
		if oks[i] = m.token[in.Claim.Record.ID] == in.Claim.Token; oks[i] {
			rec := in.Claim.Record
			m.records[rec.ID] = &rec
		}
	}
	sending := 0
	for _, r := range m.records {
		if r.State == care.StateSending {
			sending++
		}
	}
	m.most = max(m.most, sending)
	return oks, nil
}

func (m *memory) Complete(_ context.Context, results []care.Result) ([]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	oks := make([]bool, len(results))
	if err := m.call("complete"); err != nil {
		return nil, err
	}
	for i, r := range results {
		if oks[i] = m.token[r.Record.ID] == r.Claim.Token; !oks[i] {
			continue
		}
		rec := r.Record
		if !r.Leftover {
			m.records[rec.ID] = &rec
		}
		m.completed = append(m.completed, r.Claim)
		delete(m.token, rec.ID)
		delete(m.due, rec.ID)
		if rec.State == care.StateDue || rec.State == care.StateRetry {
			m.due[rec.ID] = r.Next
		}
	}
	return oks, nil
}

func (m *memory) Facts(_ context.Context, ids []string) ([]*care.Facts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("facts"); err != nil {
		return nil, err
	}
	facts := make([]*care.Facts, len(ids))
	for i, id := range ids {
		facts[i] = &care.Facts{ID: id, Customer: &care.Customer{ID: id}, Ledger: maps.Clone(m.ledger)}
	}
	return facts, nil
}

func (m *memory) states() map[care.State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := map[care.State]int{}
	for _, r := range m.records {
		n[r.State]++
	}
	return n
}

func (m *memory) Operator(context.Context) (*care.Operator, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	op := &care.Operator{Channels: map[care.Channel]bool{}}
	if m.trips["pause"] > 0 {
		op.Channels[care.Email] = true
	}
	return op, nil
}

func (m *memory) PauseChannel(context.Context, care.Channel, string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.call("pause")
}

// yes is a book in which everything may go.
type yes struct {
	check   func(rec *care.Record, now time.Time) *care.Occurrence
	compose error
}

func (y yes) Check(_ *care.Facts, rec *care.Record, now time.Time, _ *care.Operator) *care.Occurrence {
	if y.check != nil {
		return y.check(rec, now)
	}
	return &care.Occurrence{ID: rec.ID, Verdict: care.Send, Release: rec.Release, Channel: rec.Channel, Channels: []care.Channel{rec.Channel}}
}

func (y yes) Compose(_ *care.Facts, occ *care.Occurrence, ch care.Channel, _ time.Time) (*care.Message, error) {
	return &care.Message{ID: occ.ID, Channel: ch, To: occ.ID + "@example.com"}, y.compose
}
func (yes) Program(string) *care.Program { return nil }

type senderFunc func(ctx context.Context, m *care.Message) (care.Receipt, error)

func (f senderFunc) Send(ctx context.Context, m *care.Message) (care.Receipt, error) {
	return f(ctx, m)
}

func start(t *testing.T, m *memory, b yes, send senderFunc, change ...func(*Config)) *Engine {
	t.Helper()
	cfg := Config{
		Queue: m, Customers: m, Operator: m, Book: func() Book { return b }, Senders: map[care.Channel]Sender{care.Email: send},
		Now: time.Now, Connections: map[care.Channel]int{care.Email: 4},
	}
	for _, c := range change {
		c(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.Start()
	return e
}

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func ok(context.Context, *care.Message) (care.Receipt, error) { return care.Receipt{}, nil }

func TestEachMessageOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(500)
		var mu sync.Mutex
		got := map[string]int{}
		e := start(t, m, yes{}, func(_ context.Context, msg *care.Message) (care.Receipt, error) {
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			got[msg.ID]++
			return care.Receipt{}, nil
		})
		time.Sleep(time.Minute)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.states()[care.StateSent]; n != 500 || len(got) != 500 {
			t.Errorf("%d recorded as sent, %d received, want 500", n, len(got))
		}
		for id, n := range got {
			if n != 1 {
				t.Errorf("%s was sent %d times", id, n)
			}
		}
		if m.most > 2*4 {
			t.Errorf("%d were recorded as sending at a time; the channel has 4 connections", m.most)
		}
		if n := m.trips["facts"]; n > 20 {
			t.Errorf("500 messages took %d reads of customers: that is no batch", n)
		}
	})
}

func TestPassingFaultsAreRepeatedUntilItGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(50)
		began := time.Now()
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			if time.Since(began) < 20*time.Second {
				return care.Receipt{}, &care.Error{Kind: care.KindRetry, Code: "421"}
			}
			return care.Receipt{}, nil
		})
		time.Sleep(5 * time.Minute)
		_ = e.Stop(t.Context())
		if n := m.states()[care.StateSent]; n != 50 {
			t.Fatalf("%v: want 50 sent", m.states())
		}
		tried := 0
		for _, r := range m.records {
			tried += len(r.Attempts)
		}
		if tried <= 50 || tried > 150 {
			t.Errorf("%d attempts on record for 50 messages and 20 s of trouble", tried)
		}
	})
}

func TestStopWaitsForWhatIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(64)
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			time.Sleep(5 * time.Second)
			return care.Receipt{}, nil
		})
		time.Sleep(time.Second)
		began := time.Now()
		_ = e.Stop(t.Context())
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("stopping took %v", took)
		}
		if s := m.states(); s[care.StateSent] != 4 || s[care.StateDue] != 60 {
			t.Errorf("%v: want 4 sent, 60 deferred", s)
		}
		for _, r := range m.records {
			if r.State == care.StateDue && len(r.Attempts) > 0 {
				t.Error("a shutdown is no attempt")
			}
		}
	})
}

func TestStopCutsOffAHangingProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(10)
		e := start(t, m, yes{}, func(ctx context.Context, _ *care.Message) (care.Receipt, error) {
			<-ctx.Done()
			return care.Receipt{}, &care.Error{Kind: care.KindUncertain, Err: ctx.Err()}
		}, func(c *Config) { c.Timeout = time.Hour })
		time.Sleep(time.Second)
		began := time.Now()
		_ = e.Stop(t.Context())
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("stopping took %v", took)
		}
		uncertain := 0
		for _, r := range m.records {
			if afterUncertain(r) {
				uncertain++
			}
		}
		if uncertain != 4 {
			t.Errorf("%d of the 4 in flight are known as uncertain", uncertain)
		}
	})
}

func TestOutcomesSurviveAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(8)
		sent := 0
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			sent++
			m.broken = errors.New("away")
			return care.Receipt{}, nil
		})
		time.Sleep(10 * time.Second)
		m.mu.Lock()
		m.broken = nil
		m.mu.Unlock()
		time.Sleep(20 * time.Second)
		m.mu.Lock()
		m.broken = nil
		m.mu.Unlock()
		time.Sleep(20 * time.Second)
		m.mu.Lock()
		m.broken = nil
		m.mu.Unlock()
		_ = e.Stop(t.Context())
		if got := m.states()[care.StateSent]; got != sent || sent < 1 {
			t.Errorf("%d sent, %d recorded as sent", sent, got)
		}
	})
}

func TestOperatorFaultPausesTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(200)
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			return care.Receipt{}, &care.Error{Kind: care.KindOperator, Code: "535"}
		}, func(c *Config) { c.Connections = map[care.Channel]int{care.Email: 1} })
		time.Sleep(10 * time.Minute)
		_ = e.Stop(t.Context())
		tried := 0
		for _, r := range m.records {
			tried += len(r.Attempts)
			if r.State.Final() {
				t.Errorf("%s is %s: it should wait", r.ID, r.State)
			}
		}
		if m.trips["pause"] == 0 || tried > batchMost {
			t.Errorf("paused %d times, %d attempts", m.trips["pause"], tried)
		}
	})
}

func TestAMessageAtThreeCrashesIsSetAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(3)
		m.records["m00001"].Crashes = 3
		e := start(t, m, yes{}, ok)
		time.Sleep(time.Second)
		_ = e.Stop(t.Context())
		if r := m.records["m00001"]; r.State != care.StateFailed || r.Reason != "crashes" {
			t.Errorf("it is %s (%s)", r.State, r.Reason)
		}
		if n := m.states()[care.StateSent]; n != 2 {
			t.Errorf("%d of the 2 others were sent", n)
		}
	})
}

// What the ledger knows as over does not go again, whatever stands in the queue: its claim ends, and nothing is recorded. What cannot be
// read in the ledger stops nothing.
func TestALeftoverDoesNotGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(4)
		m.ledger = care.Ledger{
			"m00000": {State: care.StateSent}, "m00001": {State: care.StateSkipped, Reason: "dropped"}, "m00002": care.DamagedEntry(),
			"m00003": {State: care.StateRetry},
		}
		var sent []string
		var completed []care.Record
		e := start(t, m, yes{}, func(_ context.Context, msg *care.Message) (care.Receipt, error) {
			sent = append(sent, msg.ID)
			return care.Receipt{}, nil
		}, func(c *Config) {
			c.Connections[care.Email] = 1
			c.Observer = &completions{records: &completed}
		})
		time.Sleep(time.Second)
		_ = e.Stop(t.Context())
		slices.Sort(sent)
		if want := []string{"m00002", "m00003"}; !slices.Equal(sent, want) || len(completed) != len(want) {
			t.Errorf("sent %v, %d outcomes were counted; want %v", sent, len(completed), want)
		}
		if n := m.states()[care.StateSent]; n != 2 || len(m.due) != 0 {
			t.Errorf("%d are on record as sent, %d in the queue", n, len(m.due))
		}
	})
}

// completions keeps the records of the outcomes that it is told of.
type completions struct {
	nobody
	records *[]care.Record
}

func (s *completions) Completed(rec *care.Record, _ time.Duration) {
	*s.records = append(*s.records, *rec)
}

// A message that was there at two crashes goes alone, so that it takes no other to its third.
func TestASuspectGoesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(100)
		suspects := []string{"m00010", "m00050", "m00090"}
		for _, id := range suspects {
			m.records[id].Crashes = 2
		}
		var mu sync.Mutex
		inFlight, most := map[string]bool{}, 0
		e := start(t, m, yes{}, func(_ context.Context, msg *care.Message) (care.Receipt, error) {
			mu.Lock()
			inFlight[msg.ID] = true
			most = max(most, len(inFlight))
			for id := range inFlight {
				if slices.Contains(suspects, id) && len(inFlight) > 1 {
					t.Errorf("%s is sent together with %v", id, inFlight)
				}
			}
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			delete(inFlight, msg.ID)
			mu.Unlock()
			return care.Receipt{}, nil
		})
		time.Sleep(time.Minute)
		_ = e.Stop(t.Context())
		if n := m.states()[care.StateSent]; n != 100 || most < 2 {
			t.Errorf("%d sent, %d at once at most", n, most)
		}
	})
}

func TestACrashWhileSending(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ch    care.Channel
		state care.State
		sends int
	}{{care.Email, care.StateSent, 1}, {care.SMS, care.StateUncertain, 0}} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(1)
			m.records["m00000"].State, m.records["m00000"].Channel = care.StateSending, tt.ch
			sends := 0
			send := senderFunc(func(context.Context, *care.Message) (care.Receipt, error) { sends++; return care.Receipt{}, nil })
			e := start(t, m, yes{}, send, func(c *Config) { c.Senders = map[care.Channel]Sender{tt.ch: send} })
			time.Sleep(time.Second)
			_ = e.Stop(t.Context())
			r := m.records["m00000"]
			if r.State != tt.state || sends != tt.sends || r.Repeats != tt.sends {
				t.Errorf("%s: %s (%s) after %d sends, %d repeats on record", tt.ch, r.State, r.Reason, sends, r.Repeats)
			}
		})
	}
}

// What may have arrived before a crash is never called failed, skipped or expired afterwards, and takes no other channel.
func TestAfterACrashWhileSendingNoEndIsCertain(t *testing.T) {
	t.Parallel()
	refuse := func(context.Context, *care.Message) (care.Receipt, error) {
		return care.Receipt{}, &care.Error{Kind: care.KindContent, Code: "554"}
	}
	check := func(occ *care.Occurrence) func(*care.Record, time.Time) *care.Occurrence {
		return func(*care.Record, time.Time) *care.Occurrence { return occ }
	}
	both := &care.Occurrence{ID: "m00000", Verdict: care.Send, Channel: care.Email, Channels: []care.Channel{care.Email, care.SMS}}
	for name, tt := range map[string]struct {
		book    yes
		send    senderFunc
		crashes int
		repeats int
	}{
		"the repeat is refused":        {yes{check: check(both)}, refuse, 1, 1},
		"three crashes":                {yes{}, ok, maxCrashes, 0},
		"the plan no longer yields it": {yes{check: check(nil)}, ok, 1, 0},
		"it is too late":               {yes{check: check(&care.Occurrence{Verdict: care.Skip, Reason: "expired"})}, ok, 1, 0},
		"it cannot be rendered":        {yes{compose: &care.Error{Kind: care.KindContent, Code: "missing_variable"}}, ok, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(1)
			m.records["m00000"].State, m.records["m00000"].Crashes = care.StateSending, tt.crashes
			sms := senderFunc(func(context.Context, *care.Message) (care.Receipt, error) {
				t.Errorf("%s: another channel was tried", name)
				return care.Receipt{}, nil
			})
			e := start(t, m, tt.book, tt.send, func(c *Config) { c.Senders[care.SMS] = sms })
			time.Sleep(5 * time.Second) // a refusal waits for what comes after it
			_ = e.Stop(t.Context())
			r := m.records["m00000"]
			if r.State != care.StateUncertain || r.Repeats != tt.repeats || r.Attempts[0].Code != crashed {
				t.Errorf("%s: it is %s (%s) with %d repeats and %+v", name, r.State, r.Reason, r.Repeats, r.Attempts)
			}
		})
	}
}

func TestGatesAreAskedAgain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		occ   *care.Occurrence
		err   error
		state care.State
		why   string
	}{
		"the plan no longer yields it": {nil, nil, care.StateSkipped, "serviced"},
		"the customer opted out":       {&care.Occurrence{Verdict: care.Skip, Reason: "opted_out"}, nil, care.StateSkipped, "opted_out"},
		"it is too late":               {&care.Occurrence{Verdict: care.Skip, Reason: "expired", Over: true}, nil, care.StateExpired, "expired"},
		"put off":                      {&care.Occurrence{Verdict: care.Send, Reason: "hold:complaint", Release: time.Now().Add(1e6 * time.Hour)}, nil, care.StateDue, "hold:complaint"},
		"it cannot be rendered":        {nil, &care.Error{Kind: care.KindContent, Code: "missing_variable"}, care.StateFailed, "missing_variable"},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(1)
			b := yes{compose: tt.err}
			if tt.err == nil {
				b.check = func(*care.Record, time.Time) *care.Occurrence { return tt.occ }
			}
			e := start(t, m, b, func(context.Context, *care.Message) (care.Receipt, error) {
				t.Errorf("%s: it was sent", name)
				return care.Receipt{}, nil
			})
			time.Sleep(time.Second)
			_ = e.Stop(t.Context())
			if r := m.records["m00000"]; r.State != tt.state || r.Reason != tt.why {
				t.Errorf("%s: it is %s (%s), want %s (%s)", name, r.State, r.Reason, tt.state, tt.why)
			}
		})
	}
}

// The store finds a message by its release's day, and this process what it holds by its channel: neither may change in a claim.
func TestAClaimKeepsItsPlace(t *testing.T) {
	t.Parallel()
	for name, occ := range map[string]care.Occurrence{
		"put off to another day": {Verdict: care.Send, Release: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)},
		"moved to a webhook":     {Verdict: care.Send, Channel: care.Webhook, Channels: []care.Channel{care.Webhook}},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(1)
			released := m.records["m00000"].Release
			e := start(t, m, yes{check: func(rec *care.Record, _ time.Time) *care.Occurrence {
				o := occ
				return &o
			}}, ok)
			time.Sleep(time.Second)
			m.mu.Lock()
			for _, c := range m.completed {
				if !c.Record.Release.Equal(released) || c.Record.Channel != care.Email {
					t.Errorf("%s: the claim now says %v by %s", name, c.Record.Release, c.Record.Channel)
				}
			}
			if len(m.completed) == 0 {
				t.Errorf("%s: nothing was completed", name)
			}
			m.mu.Unlock()
			_ = e.Stop(t.Context())
			if len(e.leases.customers) != 0 {
				t.Errorf("%s: %d customers are still held", name, len(e.leases.customers))
			}
		})
	}
}

// What must be known before a message leaves is told once for a batch; while it cannot be, nothing leaves.
func TestNothingLeavesBeforeItsBatchIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(100)
		told, fail := 0, true
		var mu sync.Mutex
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			mu.Lock()
			defer mu.Unlock()
			if fail {
				t.Error("a message left before its batch was told")
			}
			return care.Receipt{}, nil
		}, func(c *Config) {
			c.Batch = func(_ context.Context, batch []*care.Message) error {
				mu.Lock()
				defer mu.Unlock()
				told += len(batch)
				if fail {
					return errors.New("away")
				}
				return nil
			}
		})
		time.Sleep(10 * time.Second)
		mu.Lock()
		fail = false
		mu.Unlock()
		time.Sleep(2 * time.Minute)
		_ = e.Stop(t.Context())
		if n := m.states()[care.StateSent]; n != 100 || told < 200 {
			t.Errorf("%d sent, told of %d", n, told)
		}
		for _, r := range m.records {
			if len(r.Attempts) != 1 {
				t.Errorf("%d attempts on record: being deferred is none", len(r.Attempts))
			}
		}
	})
}

// panicking is a book with a fault that one message meets.
type panicking struct {
	yes
	in string
}

func (p panicking) Check(f *care.Facts, rec *care.Record, now time.Time, op *care.Operator) *care.Occurrence {
	if p.in == "check" && rec.ID == "m00001" {
		panic("an expression")
	}
	return p.yes.Check(f, rec, now, op)
}

func (p panicking) Compose(f *care.Facts, occ *care.Occurrence, ch care.Channel, now time.Time) (*care.Message, error) {
	if p.in == "compose" && occ.ID == "m00001" {
		panic("a template")
	}
	return p.yes.Compose(f, occ, ch, now)
}

// A message whose check or rendering panics is set aside; the others go.
func TestAPanicInPreparingSetsTheMessageAside(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"check", "compose"} {
		for _, sending := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory(3)
				want := care.StateFailed
				if sending { // the process died while it was being sent: nobody knows
					m.records["m00001"].State = care.StateSending
					want = care.StateUncertain
				}
				e := start(t, m, yes{}, ok, func(c *Config) { c.Book = func() Book { return panicking{in: in} } })
				time.Sleep(time.Second)
				if err := e.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
				if r := m.records["m00001"]; r.State != want || r.Reason != panicked {
					t.Errorf("a panic in %s: it is %s (%s), want %s", in, r.State, r.Reason, want)
				}
				if n := m.states()[care.StateSent]; n != 2 {
					t.Errorf("a panic in %s: %d of the 2 others were sent", in, n)
				}
			})
		}
	}
}

func TestAPanicIsUncertain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(1)
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) { panic("no") })
		time.Sleep(time.Second)
		_ = e.Stop(t.Context())
		if r := m.records["m00000"]; !afterUncertain(r) {
			t.Errorf("it is %s with %+v", r.State, r.Attempts)
		}
	})
}

func TestDryRunSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(5)
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			t.Error("a dry run sent something")
			return care.Receipt{}, nil
		}, func(c *Config) { c.DryRun = true })
		time.Sleep(time.Second)
		_ = e.Stop(t.Context())
		if n := m.states()[care.StateSkipped]; n != 5 {
			t.Errorf("%v: want 5 skipped", m.states())
		}
	})
}

func TestStopBeforeStartAndTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(0)
		e, err := New(Config{Queue: m, Customers: m, Operator: m, Book: func() Book { return yes{} }, Now: time.Now, DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = e.Stop(t.Context())
		e.Start()
		_ = e.Stop(t.Context())
		e = start(t, m, yes{}, ok)
		_ = e.Stop(t.Context())
		_ = e.Stop(t.Context())
	})
}

func TestBusyComesBackToNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(100)
		for i, r := range m.records {
			r.Customer = "C" + i[len(i)-1:] // ten customers with ten messages each
		}
		var mu sync.Mutex
		busy := 0
		e := start(t, m, yes{}, func(context.Context, *care.Message) (care.Receipt, error) {
			time.Sleep(time.Second)
			return care.Receipt{}, nil
		}, func(c *Config) {
			c.Busy = func(d int) { mu.Lock(); busy += d; mu.Unlock() }
		})
		time.Sleep(10 * time.Minute)
		_ = e.Stop(t.Context())
		if n := m.states()[care.StateSent]; n != 100 || busy != 0 {
			t.Errorf("%d sent, %d still leased, want 100 and 0", n, busy)
		}
	})
}
