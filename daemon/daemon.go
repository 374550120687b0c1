package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/webhook"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/store"
	"github.com/carebell/carebell/web/httpx"
	sdnotify "github.com/coreos/go-systemd/v22/daemon"
)

// Parts replaces what a daemon is made of, for the demo and for tests. The zero value is a daemon as it is run.
type Parts struct {
	Store *store.Store     // already open; else CARE_REDIS_URL is opened
	Book  carebook.Options // where the book comes from; else CARE_BOOK
	Busy  func(delta int)
	Pages map[string]http.Handler // more pages of the private listener
	Idle  time.Duration           // between looks at an empty queue
}

// Daemon is a running carebell: one replica.
type Daemon struct {
	env        *Env
	parts      Parts
	log        *slog.Logger
	store      *store.Store
	channels   atomic.Pointer[senders]
	wrap       failpoint
	metrics    *metrics
	book       atomic.Pointer[carebook.Compiled]
	engine     *delivery.Engine
	sweeper    *scheduler.Sweeper
	sweeps     *sweepState
	leads      atomic.Bool
	bounces    []*feedback.BouncePoller
	stops      *stops
	holder     string // this replica's name, its own among all processes
	share      share
	watermarks watermarks
	unsafe     atomic.Pointer[string] // why messages could be lost in this Redis; nil = they could not
	reading    sync.Mutex             // one reload at a time
	servers    []*listening
	failed     chan error

	life     sync.Mutex // of what follows
	started  bool
	stopped  bool
	lifetime context.Context // of the components' work; ends with Stop
	undo     []undo          // what was acquired and started
	result   error           // of Stop
}

// undo is one thing that was acquired or started, and how it is given back.
type undo struct {
	what string
	do   func(ctx context.Context) error
}

// stopWithin bounds the whole of Stop (reliability: out within 25 s even with a provider and a Redis that hang).
const stopWithin = 24 * time.Second

// New acquires everything that can fail: the book, Redis, the channels, the listeners. Nothing runs yet. On an error everything is
// given back.
func (e *Env) New(ctx context.Context, parts Parts) (*Daemon, error) {
	d := &Daemon{
		env: e, parts: parts, log: e.Log, metrics: newMetrics(e.Version), failed: make(chan error, 4), holder: newHolder(), wrap: newFailpoint(e.Log),
		lifetime: context.Background(),
	}
	for _, step := range []func(context.Context) error{d.openBook, d.openStore, d.openWatermark, d.openChannels, d.assemble, d.openBounces, d.listen} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, d.unwind(context.WithoutCancel(ctx)))
		}
	}
	return d, nil
}

func (d *Daemon) bookOptions() carebook.Options {
	opt := d.env.bookOptions(d.env.Settings.Book)
	if d.parts.Book.Files != nil {
		opt.Files = d.parts.Book.Files
	}
	// The channels are set up after the book is read, because gateways are described in it.
	opt.Gateway = func(ch care.Channel, dealer *care.Dealer, address string) bool {
		set := d.channels.Load()
		return d.env.Settings.DryRun || set == nil || set.reaches(ch, dealer, address)
	}
	return opt
}

func (d *Daemon) openBook(context.Context) error {
	checked, problems, err := carebook.Check(d.bookOptions())
	if err != nil {
		return carebook.FirstFault(problems, err)
	}
	d.take(checked, problems)
	return nil
}

// take puts a checked book in force.
func (d *Daemon) take(checked *carebook.Compiled, problems []problem.Problem) {
	for _, p := range problems {
		d.log.Warn("the care book", slog.String("problem", p.Error()))
	}
	d.book.Store(checked)
	d.metrics.book(checked.Book, d.env.Now())
	d.log.Info("the care book is in force", slog.Int("dealers", len(checked.Book.Dealers)),
		slog.Int("programs", len(checked.Book.Programs)), slog.String("version", checked.Book.Version))
}

func (d *Daemon) openStore(ctx context.Context) error {
	if d.store = d.parts.Store; d.store != nil {
		return nil
	}
	set := d.env.Settings
	st, err := store.Open(ctx, store.Options{
		URL: set.RedisURL.Reveal(), AllowUnsafe: set.AllowUnsafeRedis, Clock: d.env.Now, Logger: d.log, Retention: time.Duration(set.Retention),
		Migrate: true,
	})
	if err != nil {
		return err
	}
	d.store = st
	d.later("redis", func(context.Context) error { st.Close(); return nil })
	return nil
}

func (d *Daemon) openChannels(context.Context) error {
	set, err := d.env.newSenders(d.book.Load().Book.Files)
	if err != nil {
		return err
	}
	d.channels.Store(set)
	d.metrics.gatewaysOf(set.gateways)
	d.later("channels", func(context.Context) error { return d.channels.Load().close() })
	return nil
}

// assemble joins the parts: the plan's sweep and delivery on the same queue.
func (d *Daemon) assemble(context.Context) (err error) {
	set := d.env.Settings
	d.stops = newStops(d.store.Operator, d.store.Pause, func() { d.sweeper.Kick() })
	d.later("the operators' stops", d.stops.Stop)
	hashKey := d.env.hashKey()
	d.engine, err = delivery.New(delivery.Config{
		Queue: d.wrap.queue(d.store), Customers: d.store, Operator: guard{d.stops, &d.unsafe}, Observer: d.metrics, Log: d.log, Now: d.env.Now,
		Book: func() delivery.Book { return d.book.Load() }, Senders: d.wrap.senders(d.channels.Load().byChannel), DryRun: set.DryRun, Busy: d.parts.Busy,
		Batch:       d.link,
		Hash:        func(a string) string { return contact.Hash(hashKey, a) },
		Connections: map[care.Channel]int{care.Email: set.SMTP.Connections, care.SMS: set.SMS.Connections, care.Webhook: set.Webhook.Connections},
		Rates:       map[care.Channel]float64{care.Email: set.SMTP.Rate, care.SMS: set.SMS.Rate, care.Webhook: set.Webhook.Rate},
		Gateways:    d.channels.Load().gateways, Domains: d.env.domains(),
		Share: func() float64 { return d.share.of(time.Now()) },
		Lease: time.Duration(set.Lease), Idle: d.parts.Idle, Timeouts: map[care.Channel]time.Duration{care.Email: email.Timeout, care.Webhook: webhook.Timeout},
	})
	if err != nil {
		return err
	}
	d.sweeper, err = d.newSweeper()
	return err
}

// newHolder names this replica in the leader's lease and in the count of replicas: host and process id for people, and what makes it
// its own, since containers may have both in common.
func newHolder() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), rand.Text()[:8])
}

func (d *Daemon) listen(ctx context.Context) error {
	set := d.env.Settings
	if err := d.bind(ctx, "private", set.Listen, d.private().Handler()); err != nil {
		return err
	}
	if set.PublicListen == "" {
		return nil
	}
	return d.bind(ctx, "public", set.PublicListen, d.public().Handler())
}

func (d *Daemon) bind(ctx context.Context, name, address string, handler http.Handler) error {
	on, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("the %s listener: %w", name, err)
	}
	l := d.newListening(name, httpx.Server(handler, d.log), on)
	d.servers = append(d.servers, l)
	d.later(name+" listener", l.Stop)
	return nil
}

// Addr returns the private listener's address.
func (d *Daemon) Addr() string { return d.servers[0].on.Addr().String() }

// PublicAddr returns the public listener's address, "" if there is none.
func (d *Daemon) PublicAddr() string {
	if len(d.servers) < 2 {
		return ""
	}
	return d.servers[1].on.Addr().String()
}

// Failed delivers what makes the daemon unable to go on.
func (d *Daemon) Failed() <-chan error { return d.failed }

// Start runs everything. It returns at once.
func (d *Daemon) Start() {
	d.life.Lock()
	defer d.life.Unlock()
	if d.started || d.stopped {
		return
	}
	d.started = true
	var cancel context.CancelCauseFunc
	d.lifetime, cancel = context.WithCancelCause(context.Background())
	for _, l := range d.servers {
		l.Start(d.lifetime)
	}
	d.loop("watch", d.watch)
	d.loop("watchdog", d.watchdog)
	d.loop("housekeeping", d.keepHouse)
	d.startFollow()
	d.startLive()
	d.startEvents()
	d.startAsking()
	for _, p := range d.bounces {
		d.loop("mailbox "+p.Where(), p.Run)
	}
	// All loops are told at once, so that they end side by side; each is then waited for.
	d.later("loops", func(context.Context) error { cancel(errStopped); return nil })
	d.run("delivery", within(startStop{d.engine.Start, d.engine.Stop}, 0, afterwards))
	d.run("sweep", within(startStop{d.sweeper.Start, d.sweeper.Stop}, sweepWithin, 0))
}

// Stop ends everything in the reverse order, within stopWithin and ctx, and waits for each part before what that part uses is closed.
// What is being sent may end first. The error says what has not ended in time or could not be recorded. It is safe before Start, twice and
// at the same time as either.
func (d *Daemon) Stop(ctx context.Context) error {
	d.life.Lock()
	defer d.life.Unlock()
	if d.stopped {
		return d.result
	}
	d.stopped = true
	ctx, cancel := context.WithTimeoutCause(ctx, stopWithin, errStopLate)
	defer cancel()
	d.result = d.unwind(ctx)
	return d.result
}

// ready tells whether the daemon can do its work: Redis answers and is fit for it, and a book is in force.
func (d *Daemon) ready(ctx context.Context) error {
	if d.book.Load() == nil {
		return errors.New("no care book")
	}
	if err := d.store.Ping(ctx); err != nil {
		return fmt.Errorf("no answer from Redis: %w", err)
	}
	return d.halted(ctx)
}

// Reload reads the book anew, and with it the files of SMS gateways. A book with faults changes nothing.
func (d *Daemon) Reload() error {
	d.reading.Lock()
	defer d.reading.Unlock()
	checked, problems, err := carebook.Check(d.bookOptions())
	if err != nil {
		d.metrics.reloads.WithLabelValues("error").Inc()
		for _, p := range problems {
			if p.Severity != problem.Warning {
				d.log.Error("the care book was not taken: the old one stays in force", slog.String("problem", p.Error()))
			}
		}
		return carebook.FirstFault(problems, err)
	}
	swap, err := d.reopenChannels(checked.Book.Files)
	if err != nil {
		d.metrics.reloads.WithLabelValues("error").Inc()
		d.log.Error("the care book was not taken: the old one stays in force", slog.Any("error", err))
		return err
	}
	d.metrics.reloads.WithLabelValues("ok").Inc()
	d.take(checked, problems)
	swap()
	d.sweeper.Kick()
	return nil
}

// Serve runs the daemon until ctx ends; reload makes it read the book anew. systemd is told when it is ready and when it stops.
func (e *Env) Serve(ctx context.Context, reload <-chan os.Signal) error {
	e.Now = skewed(e.Now)
	d, err := e.New(ctx, Parts{})
	if err != nil {
		return err
	}
	e.Log.Info("carebell serves", slog.String("version", e.Version), slog.String("channels", channelNames(d.channels.Load().byChannel)),
		slog.Bool("dry_run", e.Settings.DryRun), slog.Bool("redirected", e.Settings.RedirectEmail != "" || e.Settings.RedirectPhone != ""))
	d.Start()
	notify(sdnotify.SdNotifyReady)
	for {
		select {
		case <-ctx.Done():
			e.Log.Info("stopping: what is being sent may end first")
			notify(sdnotify.SdNotifyStopping)
			err := d.Stop(context.WithoutCancel(ctx))
			e.Log.Info("stopped")
			return err
		case err := <-d.Failed():
			return errors.Join(err, d.Stop(context.WithoutCancel(ctx)))
		case <-reload:
			notify(sdnotify.SdNotifyReloading)
			if err := d.Reload(); err != nil {
				e.Log.Error("reload", slog.Any("error", err))
			}
			notify(sdnotify.SdNotifyReady)
		}
	}
}

// notify tells systemd; without systemd it does nothing.
func notify(state string) { _, _ = sdnotify.SdNotify(false, state) }
