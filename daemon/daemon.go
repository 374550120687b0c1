package daemon

import (
	"context"
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
	env     *Env
	parts   Parts
	log     *slog.Logger
	store   *store.Store
	senders *senders
	metrics *metrics
	book    atomic.Pointer[carebook.Compiled]
	engine  *delivery.Engine
	sweeper *scheduler.Sweeper
	sweeps  *sweepState
	leads   atomic.Bool
	bounces []*feedback.BouncePoller
	stops   *stops
	share   share
	memory  memory
	unsafe  atomic.Pointer[string] // why messages could be lost in this Redis; nil = they could not
	reading sync.Mutex             // one reload at a time
	servers []*listening
	undo    []undo
	running sync.WaitGroup
	cancel  context.CancelFunc
	failed  chan error
}

// undo is one thing that was acquired, and how it is given back.
type undo struct {
	what string
	do   func(ctx context.Context) error
}

type listening struct {
	name   string
	server *http.Server
	on     net.Listener
}

// stopWithin bounds the whole of Stop (reliability: out within 25 s even with a provider that hangs).
const stopWithin = 25 * time.Second

// New acquires everything that can fail: the book, Redis, the channels, the listeners. Nothing runs yet. On an error everything is
// given back.
func (e *Env) New(ctx context.Context, parts Parts) (*Daemon, error) {
	d := &Daemon{env: e, parts: parts, log: e.Log, metrics: newMetrics(e.Version), failed: make(chan error, 4)}
	for _, step := range []func(context.Context) error{d.openBook, d.openStore, d.openMarks, d.openChannels, d.assemble, d.openBounces, d.listen} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, d.unwind(context.WithoutCancel(ctx)))
		}
	}
	return d, nil
}

func (d *Daemon) later(what string, do func(context.Context) error) {
	d.undo = append(d.undo, undo{what, do})
}

func (d *Daemon) bookOptions() carebook.Options {
	opt := d.env.bookOptions(d.env.Settings.Book)
	if d.parts.Book.Files != nil {
		opt.Files = d.parts.Book.Files
	}
	// The channels are set up after the book is read, because gateways are described in it.
	opt.Gateway = func(ch care.Channel, dealer *care.Dealer, address string) bool {
		return d.env.Settings.DryRun || d.senders == nil || d.senders.reaches(ch, dealer, address)
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
func (d *Daemon) take(checked *carebook.Compiled, problems []care.Problem) {
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

func (d *Daemon) openChannels(context.Context) (err error) {
	if d.senders, err = d.env.newSenders(d.book.Load().Book.Files); err != nil {
		return err
	}
	d.metrics.gatewaysOf(d.senders.gateways)
	d.later("channels", func(context.Context) error { return d.senders.close() })
	return nil
}

// assemble joins the parts: the plan's sweep and delivery on the same queue.
func (d *Daemon) assemble(context.Context) (err error) {
	set := d.env.Settings
	d.stops = &stops{store: d.store, metrics: d.metrics, lifted: func() { d.sweeper.Kick() }}
	hashKey := d.env.hashKey()
	d.engine, err = delivery.New(failpoints(delivery.Config{
		Queue: d.store, Customers: d.store, Operator: guard{d.stops, &d.unsafe}, Observer: d.metrics, Log: d.log, Now: d.env.Now,
		Book: func() delivery.Book { return d.book.Load() }, Senders: d.senders.byChannel, DryRun: set.DryRun, Busy: d.parts.Busy,
		Batch:       d.link,
		Hash:        func(a string) string { return contact.Hash(hashKey, a) },
		Connections: map[care.Channel]int{care.Email: set.SMTP.Connections, care.SMS: set.SMS.Connections, care.Webhook: set.Webhook.Connections},
		Rates:       map[care.Channel]float64{care.Email: set.SMTP.Rate, care.SMS: set.SMS.Rate, care.Webhook: set.Webhook.Rate},
		Gateways:    d.senders.gateways, Domains: d.env.domains(),
		Share: func() float64 { return d.share.of(time.Now()) },
		Lease: time.Duration(set.Lease), Idle: d.parts.Idle, Timeouts: map[care.Channel]time.Duration{care.Webhook: webhook.Timeout},
	}, d.log))
	if err != nil {
		return err
	}
	d.sweeper, err = d.newSweeper()
	return err
}

// holder names this replica in the leader's lease.
func holder() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s:%d", host, os.Getpid())
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
	l := &listening{name: name, server: httpx.Server(handler, d.log), on: on}
	d.servers = append(d.servers, l)
	d.later(name+" listener", func(ctx context.Context) error {
		_ = on.Close() // the server closes it too, once it serves
		return l.server.Shutdown(ctx)
	})
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
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	for _, l := range d.servers {
		d.running.Go(func() {
			if err := l.server.Serve(l.on); !errors.Is(err, http.ErrServerClosed) {
				d.failed <- fmt.Errorf("the %s listener: %w", l.name, err)
			}
		})
		d.log.Info("listening", slog.String("listener", l.name), slog.String("address", l.on.Addr().String()))
	}
	d.later("watchers", func(context.Context) error { cancel(); return nil })
	d.running.Go(func() { d.watch(ctx) })
	d.running.Go(func() { d.watchdog(ctx) })
	d.running.Go(func() { d.keepHouse(ctx) })
	d.startFollow(ctx)
	d.startLive()
	d.startEvents(ctx)
	d.startAsking(ctx)
	for _, p := range d.bounces {
		d.running.Go(func() { p.Run(ctx) })
	}
	d.engine.Start()
	d.later("delivery", func(context.Context) error { return d.engine.Stop() })
	d.sweeper.Start()
	d.later("sweep", func(context.Context) error { return d.sweeper.Stop() })
}

// Stop gives everything back in the reverse order, within stopWithin. What is being handed over is allowed to end first.
func (d *Daemon) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	err := d.unwind(ctx)
	d.running.Wait()
	return err
}

func (d *Daemon) unwind(ctx context.Context) error {
	var errs []error
	for len(d.undo) > 0 {
		last := d.undo[len(d.undo)-1]
		d.undo = d.undo[:len(d.undo)-1]
		if err := last.do(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("%s: %w", last.what, err))
		}
	}
	return errors.Join(errs...)
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

// Reload reads the book anew. A book with faults changes nothing.
func (d *Daemon) Reload() error {
	d.reading.Lock()
	defer d.reading.Unlock()
	checked, problems, err := carebook.Check(d.bookOptions())
	if err != nil {
		d.metrics.reloads.WithLabelValues("error").Inc()
		for _, p := range problems {
			if p.Severity != care.Warning {
				d.log.Error("the care book was not taken: the old one stays in force", slog.String("problem", p.Error()))
			}
		}
		return carebook.FirstFault(problems, err)
	}
	d.metrics.reloads.WithLabelValues("ok").Inc()
	d.take(checked, problems)
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
	e.Log.Info("carebell serves", slog.String("version", e.Version), slog.String("channels", channelNames(d.senders.byChannel)),
		slog.Bool("dry_run", e.Settings.DryRun), slog.Bool("redirected", e.Settings.RedirectEmail != "" || e.Settings.RedirectPhone != ""))
	d.Start()
	notify(sdnotify.SdNotifyReady)
	for {
		select {
		case <-ctx.Done():
			e.Log.Info("stopping: what is being handed over may end first")
			notify(sdnotify.SdNotifyStopping)
			err := d.Stop()
			e.Log.Info("stopped")
			return err
		case err := <-d.Failed():
			return errors.Join(err, d.Stop())
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
