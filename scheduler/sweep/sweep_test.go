package sweep

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
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/scheduler"
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
	surges   []care.Surge // as they were said
	resigned int

	announced []care.Announcement
	noted     time.Time
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
		read := *f // each reads its own
		all = append(all, &read)
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
		out[i] = &care.Facts{ID: id, Err: care.ErrGone}
		if f := s.facts[id]; f != nil {
			*out[i] = *f
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
	op.Brakes, op.Goes = map[string]bool{}, map[string]bool{}
	for _, name := range s.engaged {
		op.Brakes[name], op.Goes[name] = !s.gone, s.gone
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

func (s *shop) Announced(context.Context) ([]care.Announcement, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.announced), s.noted, s.away()
}

func (s *shop) Announce(_ context.Context, list []care.Announcement, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announced, s.noted = append(s.announced, list...), now
	return s.away()
}

func (s *shop) EngageBrake(_ context.Context, surge care.Surge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name := surge.Dealer + "/" + surge.Program; !slices.Contains(s.engaged, name) {
		s.engaged, s.surges = append(s.engaged, name), append(s.surges, surge)
	}
	return nil
}

func (s *shop) EaseBrake(_ context.Context, dealer, program string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engaged = slices.DeleteFunc(s.engaged, func(name string) bool { return name == dealer+"/"+program })
	return nil
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

func sweeperOf(t testing.TB, s *shop, p *scheduler.Planner, holder string, observer Observer) *Sweeper {
	t.Helper()
	sw, err := New(Config{
		Planner: func() *scheduler.Planner { return p }, Source: s, Queue: s, Operators: s, Leader: s, Brake: s, Holder: holder, Now: time.Now,
		Schedule: "@every 15m", Observer: observer,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sw
}

// welcomes plans one message on the day of a delivery, for a dealer in Shanghai.
func welcomes(t testing.TB) *scheduler.Planner {
	t.Helper()
	p, problems := scheduler.New(&care.Book{
		Dealers: []*care.Dealer{{
			Dealer: "sh", TimeZone: "Asia/Shanghai", Locale: "zh-CN", Country: "CN",
			Caps: map[string]care.Cap{"default": {}}, ConsentDefault: care.Consent{Service: new(true)},
		}},
		Programs: []*care.Program{{
			Program: "welcome", Enabled: true, Trigger: care.Trigger{On: care.OnDelivery}, Expires: care.Expiry{Hours: 72},
			Steps: []care.Step{{Step: "due", Template: "welcome"}},
		}},
	}, scheduler.Capabilities{})
	for _, problem := range problems {
		t.Fatal(problem)
	}
	return p
}

// at reads a moment in Shanghai.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	when, err := time.ParseInLocation("2006-01-02 15:04", s, time.FixedZone("CST", 8*3600))
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// visitor is a customer whose car was delivered on a day.
func visitor(t testing.TB, id, day string) *care.Facts {
	t.Helper()
	c, defects, err := record.Decode([]byte(`{"id":"` + id + `","phone":"+8613800138000","vehicles":[{"id":"V` + id + `","delivered_on":"` + day + `"}]}`))
	if err != nil || len(defects) > 0 {
		t.Fatal(err, defects)
	}
	return &care.Facts{ID: id, Customer: c}
}

// The synctest clock starts at midnight UTC 2000-01-01: 08:00 in Shanghai.
func TestSweeperQueuesWhatIsDueAndFollowsChanges(t *testing.T) {
	t.Parallel()
	p := welcomes(t)
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
		if s.resigned != 1 || s.scans != 11 {
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
	p := welcomes(t)
	f := visitor(t, "A", "2026-11-22")
	now := at(t, "2026-11-22 07:00")
	plan := p.Plan(f, scheduler.Request{From: now.Add(-72 * time.Hour), To: now.Add(48 * time.Hour), Now: now})
	ledger := care.Ledger{plan[0].ID: {State: care.StateDue, At: plan[0].Release, Channel: care.SMS, Program: "welcome", Vehicle: "VA", Step: "due", Cycle: "once"}}
	for _, c := range []struct {
		facts *care.Facts
		want  []care.Drop
	}{
		{&care.Facts{ID: "A", Err: care.ErrGone, Ledger: ledger}, []care.Drop{{ID: plan[0].ID, State: care.StateSkipped, Reason: "erased"}}},
		{&care.Facts{ID: "A", Err: care.ErrNotJSON, Ledger: ledger}, nil},
		{&care.Facts{ID: "A", Customer: f.Customer, Ledger: ledger, Overlay: &care.Overlay{Erased: true}}, []care.Drop{{ID: plan[0].ID, State: care.StateSkipped, Reason: "erased"}}},
	} {
		occurrences := p.Plan(c.facts, scheduler.Request{From: now.Add(-72 * time.Hour), To: now.Add(48 * time.Hour), Now: now})
		if diff := cmp.Diff(c.want, p.Changes(c.facts, occurrences, scheduler.Request{Now: now}).Drop); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOneLeaderAtATime(t *testing.T) {
	t.Parallel()
	p := welcomes(t)
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
	p := welcomes(t)
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
	p := welcomes(t)
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
	p := welcomes(t)
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		sw := sweeperOf(t, s, p, "one", Observer{})
		sw.Start()
		time.Sleep(time.Second)
		sw.Kick()
		synctest.Wait()
		_ = sw.Stop(t.Context())
		if s.scans != 4 { // the first looks twice, and two weeks ahead; the second goes on from there
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
	sw := sweeperOf(t, s, welcomes(t), "one", Observer{})
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
	if got := len(s.queued()); got != 100 {
		t.Errorf("%d queued", got)
	}
	if _, err := sw.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(s.queued()); len(s.engaged) != 1 || got != 0 {
		t.Errorf("%d queued, engaged: %v", got, s.engaged)
	}
}

func TestParseSchedule(t *testing.T) {
	t.Parallel()
	for spec, ok := range map[string]bool{
		"@every 15m": true, "*/5 * * * *": true, "@hourly": true, "": false, "TZ=UTC": false, "CRON_TZ=UTC * * * * *": false, "soon": false,
	} {
		if _, err := ParseSchedule(spec); (err == nil) != ok {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

// What nobody announced is held beyond what its day may send, is said once, and goes at the next look after an operator says go.
func TestBrakeHoldsWhatNobodyAnnounced(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-11-22 07:00")
	day := care.NewDate(2026, 11, 22)
	p := welcomes(t)
	said := func(n int, before time.Duration) care.Announcement {
		return care.Announcement{Dealer: "sh", Program: "welcome", Day: day, Messages: n, At: now.Add(2*time.Hour - before)}
	}
	confirmed := said(280, 0)
	confirmed.At = time.Time{}
	for name, c := range map[string]struct {
		announced []care.Announcement
		usual     float64
		want      int
	}{
		"nothing announced":            {nil, 0, 100},
		"five times its usual day":     {nil, 30, 150},
		"and that is enough":           {nil, 56, 280},
		"announced a day before":       {[]care.Announcement{said(190, 24*time.Hour)}, 0, 280},
		"half more and no more":        {[]care.Announcement{said(160, 24*time.Hour)}, 0, 240},
		"announced an hour too late":   {[]care.Announcement{said(280, 23*time.Hour)}, 0, 100},
		"confirmed a moment ago":       {[]care.Announcement{confirmed}, 0, 280},
		"the best of what was said":    {[]care.Announcement{said(10, 30*time.Hour), said(120, 54*time.Hour)}, 0, 180},
		"another program's are no use": {[]care.Announcement{{Dealer: "sh", Program: "other", Day: day, Messages: 500}}, 0, 100},
	} {
		s := newShop()
		s.usual, s.announced = c.usual, c.announced
		for i := range 280 {
			id := fmt.Sprintf("C%03d", i)
			s.facts[id] = visitor(t, id, "2026-11-22")
		}
		sw := sweeperOf(t, s, p, "one", Observer{})
		sw.cfg.Now = func() time.Time { return now }
		sweep := func(want int) {
			t.Helper()
			if _, err := sw.Sweep(t.Context()); err != nil {
				t.Fatal(name, err)
			}
			if got := len(s.queued()); got != want {
				t.Errorf("%s: %d queued, want %d", name, got, want)
			}
		}
		sweep(c.want)
		sweep(0) // nothing that the brake holds and nothing twice
		if c.want == 280 {
			if len(s.surges) > 0 {
				t.Errorf("%s: it says %v", name, s.surges)
			}
			continue
		}
		want := []care.Surge{{Dealer: "sh", Program: "welcome", Day: day, Planned: 280, Allowed: c.want, Held: 280 - c.want, Until: s.surges[0].Until}}
		if !slices.Equal(want, s.surges) || s.surges[0].Until.Before(now) {
			t.Errorf("%s: %v, want %v", name, s.surges, want)
		}
		s.gone = true
		sweep(280 - c.want)
		sweep(0)
	}
}

// A pause is no way around the brake: what is too much stays out of the queue, whether the rest of the day may leave or not.
func TestBrakeHoldsWhatIsPaused(t *testing.T) {
	t.Parallel()
	s := newShop()
	for i := range 280 {
		id := fmt.Sprintf("C%03d", i)
		s.facts[id] = visitor(t, id, "2026-11-22")
	}
	s.op = care.Operator{Channels: map[care.Channel]bool{care.SMS: true}}
	sw := sweeperOf(t, s, welcomes(t), "one", Observer{})
	sw.cfg.Now = func() time.Time { return at(t, "2026-11-22 07:00") }
	for i, want := range []int{100, 0, 0, 180, 0} {
		if _, err := sw.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(s.queued(), func(line string) bool { return !strings.HasPrefix(line, "add") })
		if len(got) != want || len(s.surges) != 1 {
			t.Errorf("look %d: %d queued, want %d; %v", i, len(got), want, s.surges)
		}
		if s.op.Channels = nil; i == 2 {
			s.gone = true
		}
	}
}

// What was announced for a day goes on it, and a brake that stands keeps no other message back.
func TestTheLeaderAnnouncesTwoWeeks(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-11-20 00:10")
	p := welcomes(t)
	s := newShop()
	for i := range 280 {
		id := fmt.Sprintf("C%03d", i)
		s.facts[id] = visitor(t, id, "2026-11-28")
	}
	sw := sweeperOf(t, s, p, "one", Observer{})
	sw.cfg.Now = func() time.Time { return now }
	queued := 0
	for range 34 {
		if _, err := sw.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		queued += len(s.queued())
		now = now.Add(6 * time.Hour)
	}
	if len(s.surges) > 0 || queued != 280 {
		t.Errorf("%d queued, held %v", queued, s.surges)
	}
	if n := len(s.announced); n < 8 || n > 10 {
		t.Errorf("%d announcements: one each night is enough", n)
	}
}
