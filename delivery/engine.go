package delivery

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
)

// Queue is where messages wait and where their outcomes are kept. Each call is a constant number of trips whatever the batch's
// size. A false answer means that the claim was no longer ours.
type Queue interface {
	Claim(ctx context.Context, lanes []care.Lane, most int, lease time.Duration) ([]*care.Claim, error)
	Renew(ctx context.Context, claims []*care.Claim, lease time.Duration) ([]bool, error)
	Commit(ctx context.Context, c care.Commit) care.Committed
}

// Customers reads what the plan of the customers depends on, as it is now, in the order of the ids.
type Customers interface {
	Facts(ctx context.Context, ids []string) ([]*care.Facts, error)
}

// Book is the care book in force: the plan's gates, the templates and what to do with an unknown outcome.
type Book interface {
	// Check asks the plan for one message at the moment of sending.
	Check(f *care.Facts, rec *care.Record, now time.Time, op *care.Operator) *care.Occurrence
	// Compose renders the message for a channel, addressed. Its errors are *care.Error.
	Compose(f *care.Facts, occ *care.Occurrence, ch care.Channel, now time.Time) (*care.Message, error)
	// Program returns a program by name, nil if the book no longer has it.
	Program(name string) *care.Program
}

// Sender hands a message to a provider. Its errors are *care.Error; any other counts as care.KindRetry.
type Sender interface {
	Send(ctx context.Context, m *care.Message) (care.Receipt, error)
}

// Operator is what operators have stopped, and the stop that delivery itself pulls when a provider says that a person must act.
type Operator interface {
	Operator(ctx context.Context) (*care.Operator, error)
	PauseChannel(ctx context.Context, ch care.Channel, code string) error
}

// Observer is told what happens, for metrics. Its methods must not block.
type Observer interface {
	Attempt(ch care.Channel, gateway string, kind care.Kind, took time.Duration)
	PutBack(ch care.Channel, gateway, why string) // a message that waits because of its gateway or domain: WhyFull, WhyResting, WhyDomain
	Settled(rec *care.Record, lag time.Duration)  // lag: release → accepted, for accepted messages; else 0
	Fenced(n int)                                 // results refused because another replica had taken over
}

// Config is everything an Engine is made of.
type Config struct {
	Queue     Queue
	Customers Customers
	Book      func() Book // the one in force; asked once per batch
	Senders   map[care.Channel]Sender
	Operator  Operator
	Observer  Observer // may be nil
	Log       *slog.Logger
	Now       func() time.Time // schedules and records
	Machine   func() time.Time // the machine's own clock, for durations; nil = time.Now

	Connections map[care.Channel]int       // to a gateway that does not say how many; 0 = 16
	Rates       map[care.Channel]float64   // attempts per second of such a gateway, all replicas together; 0 = no limit
	Gateways    map[care.Channel][]Gateway // of channels with more than one, whose Sender is a Router
	Domains     Domains                    // of e-mail
	Share       func() float64             // this replica's part of Rates, from 0 to 1; nil = all of it
	Lease       time.Duration              // 0 = 30 s
	Idle        time.Duration              // between looks at an empty queue; 0 = 40 ms
	Timeout     time.Duration              // of one attempt; 0 = 30 s
	// Timeouts are those of channels whose sender takes less: a deadline that is right from the start need not be set again for each message.
	Timeouts map[care.Channel]time.Duration
	Grace    time.Duration   // how long Stop lets attempts end by themselves; 0 = 20 s
	DryRun   bool            // gate, render and record; send nothing
	Busy     func(delta int) // told how many messages are in hand; the demo's clock stands still meanwhile
	// Batch is told of each batch before any of it is handed over; on an error the batch is given back. nil = nobody is told.
	Batch func(ctx context.Context, batch []*care.Message) error
	// Hash is the keyed hash under which a dead address is suppressed; nil = dead addresses are not kept.
	Hash func(address string) string
}

const (
	batchMost    = 256             // claims at a time
	stale        = 5 * time.Second // a message prepared longer ago is prepared again before it is sent
	maxCrashes   = 3
	suspectAfter = maxCrashes - 1 // crashes after which a message is handed over alone
	aloneLook    = 10 * time.Millisecond
	// writeAgain is the longest pause between tries to record outcomes: after a failover no worker goes on before one succeeds.
	writeAgain   = 500 * time.Millisecond
	busyCustomer = 500 * time.Millisecond // until a customer's other message may be looked at again
)

// Engine runs the delivery of one replica.
type Engine struct {
	cfg      Config
	flight   atomic.Int64 // messages that are begun and have no outcome yet
	settle   *committer
	held     held
	paces    map[care.Channel]*pace
	mu       sync.Mutex
	started  bool
	stopped  bool
	stop     context.CancelFunc // ends claiming
	hardStop context.CancelFunc // cuts attempts off
	runners  sync.WaitGroup
	keepers  sync.WaitGroup
	commits  sync.WaitGroup
}

// New checks the configuration and fills in its defaults.
func New(cfg Config) (*Engine, error) {
	switch {
	case cfg.Queue == nil || cfg.Customers == nil || cfg.Book == nil || cfg.Operator == nil || cfg.Now == nil:
		return nil, errors.New("delivery: a queue, customers, a book, an operator and a clock are needed")
	case len(cfg.Senders) == 0 && !cfg.DryRun:
		return nil, errors.New("delivery: no channel is set up: set CARE_SMTP_URL, CARE_SMS_GATEWAY or CARE_WEBHOOK_URL")
	}
	if cfg.Machine == nil {
		cfg.Machine = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	if cfg.Busy == nil {
		cfg.Busy = func(int) {}
	}
	for value, or := range map[*time.Duration]time.Duration{
		&cfg.Lease: 30 * time.Second, &cfg.Idle: 40 * time.Millisecond, &cfg.Timeout: 30 * time.Second, &cfg.Grace: 20 * time.Second,
	} {
		if *value <= 0 {
			*value = or
		}
	}
	e := &Engine{cfg: cfg, held: held{claims: map[string]*care.Claim{}, customers: map[string]int{}}, paces: map[care.Channel]*pace{}}
	for _, ch := range care.Channels {
		e.paces[ch] = newPace(cfg.Rates[ch], cfg.Share, cfg.Machine)
	}
	e.settle = newCommitter(&e.cfg, &e.flight)
	e.settle.written, e.settle.lost, e.settle.ending = e.written, e.lost, e.stopping
	return e, nil
}

// Start begins to claim and send. It returns at once.
func (e *Engine) Start() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started || e.stopped {
		return
	}
	e.started = true
	claiming, stop := context.WithCancel(context.Background())
	sending, hardStop := context.WithCancel(context.Background())
	e.stop, e.hardStop = stop, hardStop
	// Results are written even after the hard stop: what was sent must be recorded. The store's own time-outs bound a write.
	e.commits.Go(func() { e.settle.run(context.WithoutCancel(sending)) })
	e.keepers.Go(func() { e.renew(sending) })
	for _, ch := range care.Channels {
		if e.cfg.Senders[ch] != nil || e.cfg.DryRun {
			r := newRunner(e, ch)
			e.runners.Go(func() { r.run(claiming, sending) })
		}
	}
}

// Stop ends claiming at once, lets attempts in hand end for Config.Grace, then cuts them off; what may have been handed over is
// recorded as uncertain. It is safe before Start and twice. The error says that outcomes could not be recorded.
func (e *Engine) Stop() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped || !e.started {
		e.stopped = true
		return nil
	}
	e.stopped = true
	e.stop()
	done := make(chan struct{})
	go func() { e.runners.Wait(); close(done) }()
	timer := time.NewTimer(e.cfg.Grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		e.hardStop()
		<-done
	}
	e.settle.close()
	e.hardStop()
	e.keepers.Wait()
	e.commits.Wait()
	return nil
}

// Wait returns when one more request may go over a channel without exceeding its rate, for what is sent beside the messages. An error
// means that ctx ended first.
func (e *Engine) Wait(ctx context.Context, ch care.Channel) error {
	if err := e.paces[ch].wait(ctx); err != nil {
		return err
	}
	return e.paces[ch].pass(ctx)
}

// lost lets go of what could not be recorded before the end: its leases end, and another replica has it as uncertain.
func (e *Engine) lost(batch []care.Result) {
	for i := range batch {
		e.held.release(batch[i].Claim)
	}
}

func (e *Engine) stopping() bool {
	if e.mu.TryLock() {
		defer e.mu.Unlock()
		return e.stopped
	}
	return true // Stop holds it
}

func (e *Engine) written(batch []care.Result, oks []bool) {
	fenced := 0
	for i := range batch {
		e.held.release(batch[i].Claim)
		if i >= len(oks) || !oks[i] {
			fenced++
			continue
		}
		if batch[i].Leftover {
			continue
		}
		rec := &batch[i].Record
		lag := time.Duration(0)
		if rec.State == care.StateSent || rec.State == care.StateDelivered {
			lag = max(rec.UpdatedAt.Sub(rec.Release), 1)
		}
		e.cfg.Observer.Settled(rec, lag)
	}
	e.cfg.Busy(-len(batch))
	if fenced > 0 {
		e.cfg.Observer.Fenced(fenced)
		e.cfg.Log.Warn("outcomes refused: another replica had taken over", slog.Int("messages", fenced))
	}
}

// renew keeps the leases of everything in hand; a claim that was taken over is dropped from the list, and its result will be
// refused.
func (e *Engine) renew(ctx context.Context) {
	tick := time.NewTicker(e.cfg.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		claims := e.held.list()
		if len(claims) == 0 {
			continue
		}
		oks, err := e.cfg.Queue.Renew(ctx, claims, e.cfg.Lease)
		if err != nil {
			e.cfg.Log.Warn("leases could not be renewed", slog.Any("error", err), slog.Int("messages", len(claims)))
			continue
		}
		for i, ok := range oks {
			if !ok {
				e.held.release(claims[i])
			}
		}
	}
}

// held is what this replica has in hand.
type held struct {
	mu        sync.Mutex
	claims    map[string]*care.Claim
	customers map[string]int // people with a message in hand: their caps are asked one at a time
}

func (h *held) take(c *care.Claim) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.claims[c.Record.ID] == nil && c.Record.Channel.ToPerson() {
		h.customers[c.Record.Customer]++
	}
	h.claims[c.Record.ID] = c
}

func (h *held) release(c *care.Claim) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.claims[c.Record.ID] != c {
		return
	}
	delete(h.claims, c.Record.ID)
	if c.Record.Channel.ToPerson() {
		if h.customers[c.Record.Customer]--; h.customers[c.Record.Customer] <= 0 {
			delete(h.customers, c.Record.Customer)
		}
	}
}

// others reports whether anything of these lanes is in hand but what waits.
func (h *held) others(lanes []care.Lane, waiting []*care.Claim) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.claims {
		if !slices.Contains(waiting, c) && slices.Contains(lanes, c.Lane) {
			return true
		}
	}
	return false
}

func (h *held) busy(customer string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.customers[customer] > 0
}

func (h *held) list() []*care.Claim {
	h.mu.Lock()
	defer h.mu.Unlock()
	claims := make([]*care.Claim, 0, len(h.claims))
	for _, c := range h.claims {
		claims = append(claims, c)
	}
	return claims
}

type nobody struct{}

func (nobody) Attempt(care.Channel, string, care.Kind, time.Duration) {}
func (nobody) PutBack(care.Channel, string, string)                   {}
func (nobody) Settled(*care.Record, time.Duration)                    {}
func (nobody) Fenced(int)                                             {}

func jitter() float64 { return rand.Float64() } //nolint:gosec // jitter spreads load; it guards nothing
