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
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon/metrics"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/scheduler/sweep"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/events"
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
	Pages map[string]http.Handler             // more pages of the private listener
	Idle  time.Duration                       // between looks at an empty queue
	Queue func(delivery.Queue) delivery.Queue // what the engine is to work on instead of its own
}

// Daemon is a running carebell: one replica.
type Daemon struct {
	env        *Env
	parts      Parts
	log        *slog.Logger
	store      *store.Store
	channels   atomic.Pointer[senders]
	wrap       failpoint
	metrics    *metrics.Metrics
	book       atomic.Pointer[carebook.Compiled]
	engine     *delivery.Engine
	sweeper    *sweep.Sweeper
	sweeps     *sweepState
	leads      atomic.Bool
	bounces    []*feedback.BouncePoller
	stops      *stops
	holder     string // this replica's name, its own among all processes
	share      share
	watermarks watermarks
	clock      clock
	waiting    atomic.Pointer[error]  // why Redis is waited for; nil = it is there
	waited     bool                   // it was waited for: the book may be another by now
	unsafe     atomic.Pointer[string] // why messages could be lost in this Redis; nil = they could not
	reading    sync.Mutex             // one reload at a time
	warned     []string               // the book's warnings as they were told last
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

// New acquires everything that can fail: first what the settings name, then the listeners, which answer from then on, then Redis, for which
// it waits until ctx ends. Nothing else runs yet. On an error everything is given back.
func (e *Env) New(ctx context.Context, parts Parts) (*Daemon, error) {
	d := &Daemon{
		env: e, parts: parts, log: e.Log, metrics: metrics.New(e.Version), failed: make(chan error, 4), holder: newHolder(), wrap: newFailpoint(e.Log),
		lifetime: context.Background(),
	}
	d.loop("watchdog", d.watchdog)
	for _, step := range []func(context.Context) error{d.openSettings, d.listen, d.openStore, d.openAddresses, d.assemble} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, d.unwind(context.WithoutCancel(ctx)))
		}
	}
	d.servers[0].door.open(d.private().Handler())
	if len(d.servers) > 1 {
		d.servers[1].door.open(d.public().Handler())
	}
	return d, nil
}

// openSettings opens what the settings name on this machine. What is wrong with it is a mistake of the settings.
func (d *Daemon) openSettings(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.openBook, d.openChannels, d.openBounces, d.readWatermark} {
		if err := step(ctx); err != nil {
			return config.AsMistake(err)
		}
	}
	return nil
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
	if err := d.optOut(checked); err != nil {
		return err
	}
	if d.env.Settings.PublicURL == "" && d.env.Settings.RedirectEmail == "" && d.parts.Store == nil {
		d.log.Warn("CARE_PUBLIC_URL is not set: mails carry no link to unsubscribe, and no commercial e-mail is sent")
	}
	d.take(checked, problems)
	return nil
}

// optOut refuses a book whose commercial e-mail nobody could unsubscribe from.
func (d *Daemon) optOut(checked *carebook.Compiled) error {
	if names := checked.WithoutOptOut(); len(names) > 0 && !d.env.Settings.DryRun {
		return carebook.ErrOptOut(names)
	}
	return nil
}

// take puts a checked book in force.
func (d *Daemon) take(checked *carebook.Compiled, problems []problem.Problem) {
	warnings := make([]string, len(problems))
	for i, p := range problems {
		warnings[i] = p.Error()
	}
	for _, w := range without(warnings, d.warned) { // those that stood there before were told
		d.log.Warn("the care book", slog.String("problem", w))
	}
	d.warned = warnings
	d.book.Store(checked)
	d.metrics.Book(checked.Book, d.env.Now())
	d.log.Info("the care book is in force", slog.Int("dealers", len(checked.Book.Dealers)),
		slog.Int("programs", len(checked.Book.Programs)), slog.String("version", checked.Book.Version))
}

// openAddresses has the store read what is known of addresses, with the key that they were hashed with.
func (d *Daemon) openAddresses(ctx context.Context) error {
	used, err := d.store.HashKey(ctx, d.env.Settings.Fingerprint())
	if err != nil {
		return err
	}
	d.store.ReadAddresses(func(c *care.Customer) []care.AddressHash { return d.book.Load().Addresses(c) })
	return config.AsMistake(d.env.Settings.UseHashKey(used))
}

func (d *Daemon) openChannels(context.Context) error {
	set, err := d.env.newSenders(d.book.Load().Book.Files)
	if err != nil {
		return err
	}
	if len(set.byChannel) == 0 && !d.env.Settings.DryRun {
		return errors.New("no channel is set up: set CARE_SMTP_URL, CARE_SMS_GATEWAY or CARE_WEBHOOK_URL")
	}
	set.byChannel[care.Task] = events.Caller{Note: d.store.Note}
	d.channels.Store(set)
	d.metrics.GatewaysOf(set.gateways)
	d.later("channels", func(context.Context) error { return d.channels.Load().close() })
	return nil
}

// assemble joins the parts: the plan's sweep and delivery on the same queue.
func (d *Daemon) assemble(ctx context.Context) (err error) {
	set := d.env.Settings
	d.clock.machine, d.clock.log = time.Now, d.log
	if d.parts.Store == nil {
		d.clock.now = d.env.Now
		d.clock.compare(ctx, d.store.Time)
	}
	d.stops = newStops(d.env.trialStops(d.store.Operator), d.pauseChannel, d.stopsChanged)
	d.later("the operators' stops", d.stops.Stop)
	hashKey := d.env.hashKey()
	queue := d.wrap.queue(d.store)
	if d.parts.Queue != nil {
		queue = d.parts.Queue(queue)
	}
	d.engine, err = delivery.New(delivery.Config{
		Queue: queue, Customers: d.store, Operator: guard{d.stops, &d.unsafe, &d.clock}, Observer: d.metrics, Log: d.log, Now: d.env.Now,
		Book: func() delivery.Book { return d.book.Load() }, Senders: d.wrap.senders(d.channels.Load().byChannel), DryRun: set.DryRun, Busy: d.parts.Busy,
		Batch:       feedback.Directory{Store: d.store, HashKey: hashKey}.Link,
		Hash:        func(a string) string { return contact.Hash(hashKey, a) },
		Connections: map[care.Channel]int{care.Email: set.SMTP.Connections, care.SMS: set.SMS.Connections, care.Webhook: set.Webhook.Connections},
		Rates:       map[care.Channel]float64{care.Email: set.SMTP.Rate, care.SMS: set.SMS.Rate, care.Webhook: set.Webhook.Rate},
		Gateways:    d.channels.Load().gateways, Domains: d.env.domains(),
		Warmup: delivery.Warmup{From: set.SMTP.Warmup.From, First: set.SMTP.Warmup.First, Growth: set.SMTP.Warmup.Growth, Count: d.store.CountWarmup},
		Share:  func() float64 { return d.share.of(time.Now()) },
		Lease:  time.Duration(set.Lease), Idle: d.parts.Idle, Timeouts: map[care.Channel]time.Duration{care.Email: email.Timeout, care.Webhook: webhook.Timeout},
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
	if err := d.bind(ctx, "private", set.Listen, d.lobby()); err != nil {
		return err
	}
	if set.PublicListen == "" {
		return nil
	}
	return d.bind(ctx, "public", set.PublicListen, http.HandlerFunc(publicLobby))
}

func (d *Daemon) bind(ctx context.Context, name, address string, handler http.Handler) error {
	on, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("the %s listener: %w", name, err)
	}
	door := &door{}
	door.open(handler)
	l := d.newListening(name, httpx.Server(door, d.log), on)
	l.door = door
	d.servers = append(d.servers, l)
	d.run(name+" listener", l)
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
	d.loop("watch", d.watch)
	d.loop("housekeeping", d.keepHouse)
	d.startFollow()
	d.startLive()
	d.startEvents()
	d.startAsking()
	for _, p := range d.bounces {
		d.loop("mailbox "+p.Where(), p.Run)
	}
	if dir := d.env.Settings.ImportDir; dir != "" {
		d.loop("import folder", func(ctx context.Context) {
			if err := d.imports(dir).Run(ctx); err != nil {
				d.failed <- fmt.Errorf("CARE_IMPORT_DIR: %w", err)
			}
		})
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
	if err := d.store.Ping(ctx); err != nil {
		return fmt.Errorf("no answer from Redis: %w", err)
	}
	_, err := d.halted(ctx)
	return err
}

// Reload reads the book anew, and with it the files of SMS gateways. A book with faults changes nothing.
func (d *Daemon) Reload() error {
	d.reading.Lock()
	defer d.reading.Unlock()
	checked, problems, err := carebook.Check(d.bookOptions())
	if err != nil {
		d.metrics.Reloaded(false)
		for _, p := range problems {
			if p.Severity != problem.Warning {
				d.log.Error("the care book was not taken: the old one stays in force", slog.String("problem", p.Error()))
			}
		}
		return carebook.FirstFault(problems, err)
	}
	var swap func()
	if err = d.optOut(checked); err == nil {
		swap, err = d.reopenChannels(checked.Book.Files)
	}
	if err != nil {
		d.metrics.Reloaded(false)
		d.log.Error("the care book was not taken: the old one stays in force", slog.Any("error", err))
		return err
	}
	d.metrics.Reloaded(true)
	d.take(checked, problems)
	swap()
	d.sweeper.Kick()
	return nil
}

// Serve runs the daemon until ctx ends; reload makes it read the book anew. systemd is told when it is ready and when it stops.
func (e *Env) Serve(ctx context.Context, reload <-chan os.Signal) error {
	e.Now = skewed(e.Now)
	d, err := e.New(ctx, Parts{})
	if err != nil && ctx.Err() != nil {
		e.Log.Info("stopped before Redis was there")
		return nil
	}
	if err != nil {
		return err
	}
	e.Log.Info("carebell serves", slog.String("version", e.Version), slog.String("channels", channelNames(d.channels.Load().byChannel)),
		slog.String("trial", e.Settings.Trial()))
	if trial := e.Settings.Trial(); trial != "" {
		e.Log.Warn("this is a trial: no customer gets anything, what is recorded stays apart, and what has not expired goes when the trial ends",
			slog.String("trial", trial))
	}
	d.Start()
	notify(sdnotify.SdNotifyReady)
	if d.waited {
		_ = d.Reload() // it says itself what is wrong
	}
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
