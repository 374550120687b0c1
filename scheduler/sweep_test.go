package scheduler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a source, a queue, a lease and a brake in memory.
type shop struct {
	mu       sync.Mutex
	facts    map[string]*care.Facts
	applied  []care.Change
	changes  []string
	added    chan struct{}
	holder   string
	until    time.Time
	broken   bool // Redis is away
	scans    int
	op       care.Operator
	usual    float64
	gone     bool // the operator said go
	engaged  []string
	resigned int
}

func newShop() *shop { return &shop{facts: map[string]*care.Facts{}, added: make(chan struct{}, 1)} }

var errAway = errors.New("redis is away")

func (s *shop) away() error {
	if s.broken {
		return errAway
	}
	return nil
}

func (s *shop) Scan(_ context.Context, fn func([]*care.Facts) error) error {
	s.mu.Lock()
	s.scans++
	all := make([]*care.Facts, 0, len(s.facts))
	for _, f := range s.facts {
		all = append(all, f)
	}
	err := s.away()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b *care.Facts) int { return strings.Compare(a.ID, b.ID) })
	for batch := range slices.Chunk(all, 50) {
		if err := fn(batch); err != nil {
			return err
		}
	}
	return nil
}

func (s *shop) Facts(_ context.Context, ids []string) ([]*care.Facts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*care.Facts, len(ids))
	for i, id := range ids {
		if out[i] = s.facts[id]; out[i] == nil {
			out[i] = &care.Facts{ID: id, Err: care.ErrGone}
		}
	}
	return out, s.away()
}

func (s *shop) Changes(ctx context.Context, after string, block time.Duration) ([]string, string, error) {
	place := 0
	s.mu.Lock()
	if after == "" {
		defer s.mu.Unlock()
		return nil, fmt.Sprint(len(s.changes)), s.away()
	}
	s.mu.Unlock()
	if _, err := fmt.Sscan(after, &place); err != nil {
		return nil, "", err
	}
	timer := time.NewTimer(block)
	defer timer.Stop()
	for {
		s.mu.Lock()
		ids, err := slices.Clone(s.changes[place:]), s.away()
		s.mu.Unlock()
		if len(ids) > 0 || err != nil {
			return ids, fmt.Sprint(place + len(ids)), err
		}
		select {
		case <-ctx.Done():
			return nil, after, ctx.Err()
		case <-timer.C:
			return nil, after, nil
		case <-s.added:
		}
	}
}

func (s *shop) Apply(_ context.Context, changes []care.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.away(); err != nil {
		return err
	}
	for _, c := range changes {
		s.applied = append(s.applied, c)
		f := s.facts[c.Customer]
		if f == nil {
			continue
		}
		next := *f // plans of before must not change under those who hold them
		next.Ledger = care.Ledger{}
		maps.Copy(next.Ledger, f.Ledger)
		for _, o := range slices.Concat(c.Add, c.Move) {
			next.Ledger[o.ID] = care.LedgerEntry{
				State: care.StateDue, At: o.Release, Class: o.Class, Channel: o.Channel, Program: o.Program, Vehicle: o.Vehicle, Step: o.Step,
				Cycle: o.Cycle, On: o.On,
			}
		}
		for _, d := range c.Drop {
			e := next.Ledger[d.ID]
			e.State, e.Reason = d.State, d.Reason
			next.Ledger[d.ID] = e
		}
		s.facts[c.Customer] = &next
	}
	return nil
}

func (s *shop) Operator(context.Context) (*care.Operator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op := s.op
	op.Brakes = map[string]bool{}
	for _, name := range s.engaged {
		op.Brakes[name] = !s.gone
	}
	return &op, s.away()
}

func (s *shop) Lead(_ context.Context, holder string, ttl time.Duration) (int64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.away(); err != nil {
		return 0, false, err
	}
	if s.holder != holder && s.holder != "" && time.Now().Before(s.until) {
		return 0, false, nil
	}
	s.holder, s.until = holder, time.Now().Add(ttl)
	return 1, true, nil
}

func (s *shop) Resign(_ context.Context, holder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder == holder {
		s.holder = ""
		s.resigned++
	}
	return nil
}

func (s *shop) Usual(context.Context, string, string) (float64, error) { return s.usual, nil }

func (s *shop) EngageBrake(_ context.Context, dealer, program string, _ int, _ float64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return false, nil
	}
	s.engaged = append(s.engaged, dealer+"/"+program)
	return true, nil
}

func (s *shop) change(f *care.Facts, id string) {
	s.mu.Lock()
	if f == nil {
		delete(s.facts, id)
	} else {
		if old := s.facts[id]; old != nil {
			f.Ledger = old.Ledger
		}
		s.facts[id] = f
	}
	s.changes = append(s.changes, id)
	s.mu.Unlock()
	select {
	case s.added <- struct{}{}:
	default:
	}
}

func (s *shop) queued() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []string{}
	for _, c := range s.applied {
		for _, o := range c.Add {
			out = append(out, "add "+o.Customer+" "+o.Release.Format("01-02 15:04"))
		}
		for _, o := range c.Move {
			out = append(out, "move "+o.Customer+" "+o.Release.Format("01-02 15:04"))
		}
		for _, d := range c.Drop {
			out = append(out, "drop "+c.Customer+" "+string(d.State)+" "+d.Reason)
		}
	}
	s.applied = nil
	return out
}

func sweeperOf(t testing.TB, s *shop, p *Planner, holder string, observer Observer) *Sweeper {
	t.Helper()
	sw, err := NewSweeper(SweeperConfig{
		Planner: func() *Planner { return p }, Source: s, Queue: s, Operators: s, Leader: s, Brake: s, Holder: holder, Now: time.Now,
		Schedule: "@every 15m", Observer: observer,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sw
}

// visitor is a customer whose car was delivered on a day.
func visitor(t testing.TB, id, day string) *care.Facts {
	t.Helper()
	return facts(t, `{"id":"`+id+`","phone":"+8613800138000","vehicles":[{"id":"V`+id+`","delivered_on":"`+day+`"}]}`)
}

// The synctest clock starts at midnight UTC 2000-01-01: 08:00 in Shanghai.
func TestSweeperQueuesWhatIsDueAndFollowsChanges(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("welcome", care.OnDelivery))
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.change(visitor(t, "A", "2000-01-01"), "A")
		s.change(visitor(t, "B", "2000-01-03"), "B") // released at 09:00 on the 3rd: 49 hours ahead
		s.change(visitor(t, "C", "1999-12-28"), "C") // stale
		var replanned atomic.Int32
		sw := sweeperOf(t, s, p, "one", Observer{Replanned: func(n int) { replanned.Add(int32(n)) }})
		sw.Start()
		sw.Start()
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		expectQueued(t, s, "add A 01-01 09:00")

		began := time.Now()
		s.change(visitor(t, "D", "2000-01-02"), "D")
		synctest.Wait()
		expectQueued(t, s, "add D 01-02 09:00")
		if took := time.Since(began); took > time.Second {
			t.Errorf("a change took %v", took)
		}
		s.change(visitor(t, "D", "2000-01-01"), "D")
		synctest.Wait()
		expectQueued(t, s, "move D 01-01 09:00")
		s.change(nil, "D")
		synctest.Wait()
		if n := replanned.Load(); n != 3 {
			t.Errorf("%d re-planned", n)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		expectQueued(t, s, "add B 01-03 09:00")
		if err := sw.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.resigned != 1 || s.scans != 9 {
			t.Errorf("resigned %d times after %d scans", s.resigned, s.scans)
		}
		_ = sw.Stop(t.Context())
		sw.Start()
	})
}

func expectQueued(t *testing.T, s *shop, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.queued()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

func TestSweeperOfAGoneCustomerDropsWhatIsQueued(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("welcome", care.OnDelivery))
	f := visitor(t, "A", "2026-11-22")
	now := at(t, "2026-11-22 07:00")
	plan := p.Plan(f, Request{From: now.Add(-72 * time.Hour), To: now.Add(48 * time.Hour), Now: now})
	ledger := care.Ledger{plan[0].ID: {State: care.StateDue, At: plan[0].Release, Channel: care.SMS, Program: "welcome", Vehicle: "VA", Step: "due", Cycle: "once"}}
	for _, c := range []struct {
		facts *care.Facts
		want  []care.Drop
	}{
		{&care.Facts{ID: "A", Err: care.ErrGone, Ledger: ledger}, []care.Drop{{ID: plan[0].ID, State: care.StateSkipped, Reason: "erased"}}},
		{&care.Facts{ID: "A", Err: care.ErrNotJSON, Ledger: ledger}, nil},
		{&care.Facts{ID: "A", Customer: f.Customer, Ledger: ledger, Overlay: &care.Overlay{Erased: true}}, []care.Drop{{ID: plan[0].ID, State: care.StateSkipped, Reason: "erased"}}},
	} {
		occurrences := p.Plan(c.facts, Request{From: now.Add(-72 * time.Hour), To: now.Add(48 * time.Hour), Now: now})
		if diff := cmp.Diff(c.want, p.Changes(c.facts, occurrences, Request{Now: now}).Drop); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOneLeaderAtATime(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("welcome", care.OnDelivery))
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		var leads [2]atomic.Bool
		sweepers := [2]*Sweeper{}
		for i := range sweepers {
			sweepers[i] = sweeperOf(t, s, p, fmt.Sprint("replica", i), Observer{Leading: func(yes bool) { leads[i].Store(yes) }})
		}
		sweepers[0].Start()
		synctest.Wait()
		sweepers[1].Start()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !leads[0].Load() || leads[1].Load() {
			t.Fatal("the first should lead, and it alone")
		}
		// The leader vanishes: its lease is another's to take within 15 seconds.
		s.mu.Lock()
		s.holder = "ghost"
		s.mu.Unlock()
		began := time.Now()
		for !leads[1].Load() && !leads[0].Load() || time.Since(began) < 4*time.Second {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("taken over after %v", took)
		}
		// At a stop at once: the other asks every second.
		leader := 0
		if leads[1].Load() {
			leader = 1
		}
		_ = sweepers[leader].Stop(t.Context())
		time.Sleep(askEvery)
		synctest.Wait()
		if leads[leader].Load() || !leads[1-leader].Load() {
			t.Errorf("after a stop of %d the other does not lead", leader)
		}
		_ = sweepers[1-leader].Stop(t.Context())
	})
}

func TestSweeperOutlivesRedis(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("welcome", care.OnDelivery))
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.broken = true
		var leading atomic.Bool
		sw := sweeperOf(t, s, p, "one", Observer{Leading: leading.Store})
		sw.Start()
		time.Sleep(time.Minute)
		s.mu.Lock()
		s.broken = false
		s.mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !leading.Load() {
			t.Fatal("not leading after Redis came back")
		}
		s.mu.Lock()
		s.broken = true
		s.mu.Unlock()
		time.Sleep(leaseTTL)
		synctest.Wait()
		if leading.Load() {
			t.Error("still leading after the lease ran out")
		}
		s.mu.Lock()
		s.broken = false
		s.mu.Unlock()
		s.change(visitor(t, "A", "2000-01-01"), "A")
		time.Sleep(15 * time.Second)
		synctest.Wait()
		expectQueued(t, s, "add A 01-01 09:00")
		_ = sw.Stop(t.Context())
	})
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer())
	sw := sweeperOf(t, newShop(), p, "one", Observer{})
	if err := sw.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	sw.Start() // a stopped sweeper stays stopped
	if sw.done != nil {
		t.Error("it runs")
	}
}

func TestKickSweepsNow(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer())
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		sw := sweeperOf(t, s, p, "one", Observer{})
		sw.Start()
		time.Sleep(time.Second)
		sw.Kick()
		synctest.Wait()
		_ = sw.Stop(t.Context())
		if s.scans != 2 {
			t.Errorf("%d scans", s.scans)
		}
	})
}

// A record that is written again and again does not look like a runaway program.
func TestTheBrakeCountsAChangedCustomerOnce(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-11-22 07:00")
	s := newShop()
	s.facts["A"] = visitor(t, "A", "2026-11-22")
	sw := sweeperOf(t, s, newPlanner(t, testDealer(), testProgram("welcome", care.OnDelivery)), "one", Observer{})
	sw.cfg.Now = func() time.Time { return now }
	if _, err := sw.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := sw.replan(t.Context(), []string{"A"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.engaged) > 0 {
		t.Error("the brake was engaged")
	}
	// Two hundred new ones that come in one by one are another thing.
	for i := range 200 {
		id := fmt.Sprintf("B%03d", i)
		s.facts[id] = visitor(t, id, "2026-11-22")
		if err := sw.replan(t.Context(), []string{id}); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.queued()); len(s.engaged) != 1 || got != 100 {
		t.Errorf("%d queued, engaged: %v", got, s.engaged)
	}
}

func TestParseSweep(t *testing.T) {
	t.Parallel()
	for spec, ok := range map[string]bool{
		"@every 15m": true, "*/5 * * * *": true, "@hourly": true, "": false, "TZ=UTC": false, "CRON_TZ=UTC * * * * *": false, "soon": false,
	} {
		if _, err := ParseSweep(spec); (err == nil) != ok {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func TestRunaway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		planned int
		usual   float64
		want    bool
	}{{100, 0, false}, {101, 0, true}, {120, 20, false}, {121, 20, true}, {130, 26, false}, {500, 100, false}, {501, 100, true}, {1000, 250, false}} {
		if got := Runaway(c.planned, c.usual); got != c.want {
			t.Errorf("%d where %v is usual: %v", c.planned, c.usual, got)
		}
	}
}

func TestBrakeHoldsARunawayProgram(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-11-22 07:00")
	p := newPlanner(t, testDealer(), testProgram("welcome", care.OnDelivery))
	for _, c := range []struct {
		gone    bool
		usual   float64
		want    int
		engaged []string
	}{
		{usual: 0, want: 100, engaged: []string{"sh/welcome"}},
		{usual: 60, want: 280},
		{usual: 0, gone: true, want: 280},
	} {
		s := newShop()
		s.usual, s.gone = c.usual, c.gone
		for i := range 280 {
			id := fmt.Sprintf("C%03d", i)
			s.facts[id] = visitor(t, id, "2026-11-22")
		}
		sw := sweeperOf(t, s, p, "one", Observer{})
		sw.cfg.Now = func() time.Time { return now }
		progress, err := sw.Sweep(t.Context())
		if err != nil || progress.Customers != 280 {
			t.Fatal(progress, err)
		}
		if got := len(s.queued()); got != c.want {
			t.Errorf("usual %v, gone %v: %d queued, want %d", c.usual, c.gone, got, c.want)
		}
		if diff := cmp.Diff(c.engaged, s.engaged); diff != "" {
			t.Error(diff)
		}
		// A second sweep adds nothing that the brake holds and nothing twice.
		if _, err := sw.Sweep(t.Context()); err != nil || len(s.queued()) != 0 {
			t.Error("the second sweep queued more", err)
		}
	}
}
