package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	// Begin records that messages are about to be sent. Only what is true in the answer may be sent, with an error too.
	Begin(ctx context.Context, intents []care.Intent) ([]bool, error)
	// Complete records how claims ended. After an error it is called with the same results again, which changes nothing that has been
	// done.
	Complete(ctx context.Context, results []care.Result) ([]bool, error)
	// Publish writes events of results that are on record.
	Publish(ctx context.Context, events []*care.EventEntry) error
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

// Sender sends a message to a provider. Its errors are *care.Error; any other counts as care.KindRetry.
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
	Deferred(ch care.Channel, gateway, why string) // a message that waits because of its gateway or domain: WhyFull, WhyResting, WhyDomain, WhyWarmup
	Completed(rec *care.Record, lag time.Duration) // an outcome is recorded. lag: from when it could first have gone, for accepted messages; else 0
	Fenced(n int)                                  // outcomes refused because another replica had taken over
	Dropped(n int)                                 // outcomes that could not be recorded before the end
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
	Warmup      Warmup                     // of e-mail
	Share       func() float64             // this replica's part of Rates, from 0 to 1; nil = all of it
	Lease       time.Duration              // 0 = 30 s
	Idle        time.Duration              // between looks at an empty queue; 0 = 40 ms
	Timeout     time.Duration              // of one attempt; 0 = 30 s
	// Timeouts are those of channels whose sender takes less.
	Timeouts map[care.Channel]time.Duration
	Grace    time.Duration   // how long Stop lets attempts end by themselves; 0 = 20 s
	DryRun   bool            // gate, render and record; send nothing
	Busy     func(delta int) // told how many messages are claimed and have no outcome yet; the demo's clock stands still meanwhile
	// Batch is told of each batch before any of it is sent; on an error the batch is deferred. nil = nobody is told.
	Batch func(ctx context.Context, batch []*care.Message) error
	// Hash is the keyed hash under which a dead address is suppressed; nil = dead addresses are not kept.
	Hash func(address string) string
}

const (
	stale        = 5 * time.Second // a message prepared longer ago is prepared again before it is sent
	maxCrashes   = 3
	suspectAfter = maxCrashes - 1 // crashes after which a message is sent alone
	aloneLook    = 10 * time.Millisecond
	busyCustomer = 500 * time.Millisecond // until a customer's other message may be looked at again
	// recordWithin is how long a shutdown goes on trying to record outcomes after the last attempt has ended.
	recordWithin = 4 * time.Second
	// stopReserve is what Stop keeps of its caller's time for calls that notice late that they were cut off.
	stopReserve = 500 * time.Millisecond
)

// The reasons why contexts end.
var (
	errStopping      = errors.New("delivery is stopping")
	errCutOff        = errors.New("delivery has stopped: its time for attempts is over")
	errRecordingOver = errors.New("delivery has stopped: its time for recording outcomes is over")
	errAttempt       = errors.New("the attempt took too long")
	errTurn          = errors.New("the rate gave the message no turn in time")
	errReplaced      = errors.New("the channel's gateways were replaced")
)

// Engine runs the delivery of one replica.
type Engine struct {
	cfg       Config
	inFlight  atomic.Int64 // messages that are begun and have no outcome yet
	begins    *beginner
	completes *completer
	leases    leases
	limiters  map[care.Channel]*limiter
	channels  map[care.Channel]*channel
	lifted    map[care.Channel]*atomic.Int64 // when a stop of the channel was last found lifted, in ms since 1970

	stopping atomic.Bool
	mu       sync.Mutex
	started  bool
	result   error              // of Stop
	stop     context.CancelFunc // ends claiming
	cutOff   context.CancelFunc // ends attempts
	giveUp   context.CancelFunc // ends recording
	runners  sync.WaitGroup
	keepers  sync.WaitGroup // of leases and records
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
	e := &Engine{cfg: cfg, leases: newLeases(), limiters: map[care.Channel]*limiter{}, channels: map[care.Channel]*channel{}, lifted: map[care.Channel]*atomic.Int64{}}
	for _, ch := range care.Channels {
		e.lifted[ch] = &atomic.Int64{}
		e.limiters[ch] = newLimiter(cfg.Rates[ch], cfg.Share, cfg.Machine)
		if cfg.Senders[ch] != nil || cfg.DryRun {
			e.channels[ch] = &channel{e: e, name: ch, next: &exit{sender: cfg.Senders[ch], gateways: cfg.Gateways[ch]}}
		}
	}
	e.begins = newBeginner(cfg.Queue)
	e.completes = newCompleter(&e.cfg, &e.inFlight)
	e.completes.ended = e.ended
	return e, nil
}

// Start begins to claim and send. It returns at once.
func (e *Engine) Start() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started || e.stopping.Load() {
		return
	}
	e.started = true
	claiming, stop := context.WithCancelCause(context.Background())
	sending, cutOff := context.WithCancelCause(context.Background())
	// Outcomes are recorded even after attempts were cut off: what was sent must be on record.
	recording, giveUp := context.WithCancelCause(context.Background())
	e.stop, e.cutOff, e.giveUp = func() { stop(errStopping) }, func() { cutOff(errCutOff) }, func() { giveUp(errRecordingOver) }
	e.keepers.Go(func() { e.begins.run(recording) })
	e.keepers.Go(func() { e.completes.run(recording) })
	e.keepers.Go(func() { e.renew(recording, e.completes.done) })
	for _, c := range e.channels {
		e.runners.Go(func() { c.run(claiming, sending) })
	}
}

// Stop ends claiming at once, lets attempts end for Config.Grace, then cuts them off; what may have reached a provider is recorded as
// uncertain. It returns when everything has ended, or when ctx has: of a ctx with a deadline it keeps some time for recording. It is safe
// before Start and twice. The error says how many outcomes could not be recorded.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping.Swap(true) || !e.started {
		return e.result
	}
	e.stop()
	attempts, all := make(chan struct{}), make(chan struct{})
	go func() {
		e.runners.Wait()
		close(attempts)
		e.begins.close()
		e.completes.close()
		e.keepers.Wait()
		close(all)
	}()
	if !wait(ctx, attempts, e.grace(ctx)) {
		e.cutOff()
	}
	// The runners may be waiting for room among the outcomes, so that recording has its time from here on.
	giveUp := time.AfterFunc(e.recordFor(ctx), e.giveUp)
	defer giveUp.Stop()
	wait(ctx, all, forever)
	e.cutOff()
	e.giveUp()
	dropped, pending := e.completes.dropped.Load(), e.completes.pending.Load()+e.inFlight.Load()
	if dropped+pending > 0 {
		e.result = fmt.Errorf("delivery: %d outcomes could not be recorded: when their leases end, what was sent is found as uncertain", dropped+pending)
	}
	if pending > 0 { // ctx has ended, and nobody will say it later
		e.cfg.Observer.Dropped(int(pending))
		e.cfg.Log.Error(lostOutcomes, slog.Any("error", context.Cause(ctx)), slog.Int64("messages", pending))
	}
	return e.result
}

// lostOutcomes is what the log says of outcomes that could not be recorded before the end.
const lostOutcomes = "outcomes are lost: when their leases end, what was sent is found as uncertain"

// forever is longer than any shutdown.
const forever = time.Duration(1<<63 - 1)

// grace is how long attempts may go on: Config.Grace, or less if recording would have too little of ctx's time then.
func (e *Engine) grace(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return min(e.cfg.Grace, end.Sub(e.cfg.Machine())-recordWithin-stopReserve)
	}
	return e.cfg.Grace
}

func (e *Engine) recordFor(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return min(recordWithin, max(0, end.Sub(e.cfg.Machine())-stopReserve))
	}
	return recordWithin
}

// wait waits for done, for as long as within and ctx allow, and reports whether it came.
func wait(ctx context.Context, done <-chan struct{}, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// Wait returns when one more request may go over a channel without exceeding its rate, for what is sent beside the messages. An error
// means that ctx ended first.
func (e *Engine) Wait(ctx context.Context, ch care.Channel) error {
	if err := e.limiters[ch].wait(ctx); err != nil {
		return err
	}
	return e.limiters[ch].pass(ctx)
}

// Replace puts another sender and other gateways in the place of a channel's, such as after the gateways' files have changed. It returns
// at once. What is begun goes on through the old sender; when it has an outcome the new one takes over, so that no gateway ever has more
// connections or messages in a second than it may. Then drained is called: nothing uses the old sender any more. A channel that is not
// set up stays so.
func (e *Engine) Replace(ch care.Channel, sender Sender, gateways []Gateway, drained func()) {
	if c := e.channels[ch]; c != nil {
		c.replace(&exit{sender: sender, gateways: gateways, drained: drained})
	}
}

// ended lets go of claims whose outcomes are recorded, or dropped because of err: then their leases end, and another replica has them as
// uncertain.
func (e *Engine) ended(batch []care.Result, ours []bool, err error) {
	fenced := 0
	for i := range batch {
		e.leases.release(batch[i].Claim)
		switch {
		case err != nil:
		case i >= len(ours) || !ours[i]:
			fenced++
		case !batch[i].Leftover:
			rec := &batch[i].Record
			lag := time.Duration(0)
			if rec.State == care.StateSent || rec.State == care.StateDelivered {
				lag = max(rec.UpdatedAt.Sub(e.couldGo(rec)), 1)
			}
			e.cfg.Observer.Completed(rec, lag)
		}
	}
	e.cfg.Busy(-len(batch))
	if fenced > 0 {
		e.cfg.Observer.Fenced(fenced)
		e.cfg.Log.Warn("outcomes refused: another replica had taken over", slog.Int("messages", fenced))
	}
}

// couldGo is when a message could first have gone: not before its release, nor before it was planned or what held it back was lifted.
func (e *Engine) couldGo(rec *care.Record) time.Time {
	return care.Later(care.Later(rec.Release, rec.Ready), time.UnixMilli(e.lifted[rec.Channel].Load()))
}

type nobody struct{}

func (nobody) Attempt(care.Channel, string, care.Kind, time.Duration) {}
func (nobody) Deferred(care.Channel, string, string)                  {}
func (nobody) Completed(*care.Record, time.Duration)                  {}
func (nobody) Fenced(int)                                             {}
func (nobody) Dropped(int)                                            {}

func jitter() float64 { return rand.Float64() } //nolint:gosec // jitter spreads load; it guards nothing
