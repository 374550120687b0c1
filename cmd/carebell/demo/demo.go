package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/store"
)

// Options are the flags of carebell demo.
type Options struct {
	Days      int
	Speed     float64 // how many times as fast as the machine's clock
	Exit      bool    // stop at the end, and fail unless every planned message arrived exactly once
	Report    string  // file for the figures, "" = none
	Listen    string
	Customers int
	Stores    string // "zh", "en", or "both": whose customers
	Sharing   bool   // some customers share a number, as a household does
	Import    int    // so many customers more are imported half way, which nobody announced: the brake holds them until they are let go
	Out       io.Writer
	Version   string
	Start     care.Date // first day; zero = today
}

// ErrNotOnce is returned with Exit when a planned message did not arrive, or arrived twice.
var ErrNotOnce = errors.New("demo: not every planned message arrived exactly once")

// ParseSpeed reads "1d/s", "6h/s" or "90m/s".
func ParseSpeed(s string) (float64, error) {
	span, ok := strings.CutSuffix(s, "/s")
	if !ok || len(span) < 2 {
		return 0, fmt.Errorf("%q is no speed: write 1d/s or 6h/s", s)
	}
	n, err := strconv.ParseFloat(span[:len(span)-1], 64)
	unit := map[byte]float64{'d': 86400, 'h': 3600, 'm': 60, 's': 1}[span[len(span)-1]]
	if err != nil || unit == 0 || n*unit < 1 || n*unit > 30*86400 {
		return 0, fmt.Errorf("%q is no speed: write 1d/s or 6h/s, at most 30d/s", s)
	}
	return n * unit, nil
}

// demo is one run.
type demo struct {
	opt     Options
	clock   *clock
	inbox   *inbox
	servers *servers
	redis   *miniredis.Miniredis
	store   *store.Store
	daemon  *daemon.Daemon
	insight *insight.Service
	longest time.Duration // how long after its release a message of the book may still go
	mu      sync.Mutex
	planned map[string]*care.Occurrence
	wave    *wave
	busy    atomic.Int64
	due     map[care.Channel]*atomic.Bool // something may be due by now
	log     *slog.Logger
	clean   []func()
}

// Run runs the demo. It returns when its days are over (with Exit), or when ctx ends.
func Run(ctx context.Context, opt Options) error {
	if opt.Start.IsZero() {
		opt.Start = care.DateOf(time.Now())
	}
	if opt.Customers <= 0 {
		opt.Customers = 300
	}
	if opt.Stores == "" {
		opt.Stores = "both"
	}
	d := &demo{opt: opt, planned: map[string]*care.Occurrence{}, log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))}
	defer d.close()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	d.daemon.Start()
	d.clean = append(d.clean, func() { _ = d.daemon.Stop(context.WithoutCancel(ctx)) })
	began := time.Now()
	view := newTable(opt.Out, d)
	stopView := view.start()
	err := d.clock.run(ctx, d.quiet(ctx))
	stopView()
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	figures := d.figures(time.Since(began))
	view.end(figures)
	if opt.Report != "" {
		if err := writeReport(opt.Report, figures); err != nil {
			return err
		}
	}
	if opt.Exit {
		if !figures.ExactlyOnce {
			return ErrNotOnce
		}
		return nil
	}
	if err == nil {
		fmt.Fprintf(opt.Out, "\nEvery message as its customer saw it: http://%s/   (Ctrl-C ends the demo)\n", d.daemon.Addr())
		<-ctx.Done()
	}
	return nil
}

func (d *demo) close() {
	for i := len(d.clean) - 1; i >= 0; i-- {
		d.clean[i]()
	}
}

func (d *demo) prepare(ctx context.Context) error {
	zone := time.UTC
	from := startOf(d.opt.Start, zone)
	d.clock = newClock(from, from.AddDate(0, 0, d.opt.Days), d.opt.Speed)
	d.inbox = newInbox(d.clock.Now)
	var err error
	if d.servers, err = serve(ctx, d.inbox, d.log); err != nil {
		return err
	}
	d.clean = append(d.clean, d.servers.close)
	d.redis = miniredis.NewMiniRedis()
	if err := d.redis.Start(); err != nil {
		return fmt.Errorf("demo: the embedded store: %w", err)
	}
	d.clean = append(d.clean, d.redis.Close)
	if d.store, err = store.Open(ctx, store.Options{
		URL: "redis://" + d.redis.Addr(), Embedded: true, AllowUnsafe: true, Clock: d.clock.Now, Logger: d.log,
	}); err != nil {
		return err
	}
	d.clean = append(d.clean, d.store.Close)
	first, all := d.opt.Customers, d.opt.Customers+d.opt.Import
	if err := d.write(ctx, people(0, first, d.opt, d.opt.Start)); err != nil {
		return err
	}
	if d.opt.Import > 0 {
		half := d.opt.Days / 2
		day := d.opt.Start.AddDays(half)
		d.wave = &wave{at: from.AddDate(0, 0, half), customers: people(first, all, d.opt, day)}
		rush(d.wave.customers, day)
	}
	return d.build(ctx)
}

// write makes customers known as a dealership's system would.
func (d *demo) write(ctx context.Context, customers []*care.Customer) error {
	ids, docs, err := records(customers)
	if err != nil {
		return err
	}
	results, err := d.store.Merge(ctx, ids, func(i int, _ []byte) ([]byte, error) { return docs[i], nil })
	if err != nil {
		return err
	}
	for i := range results {
		if results[i].Err != nil {
			return fmt.Errorf("customer %s: %w", ids[i], results[i].Err)
		}
	}
	return nil
}

// build joins a daemon as serve does, with the demo's store, book and clock.
func (d *demo) build(ctx context.Context) error {
	settings := &config.Settings{
		Listen: freeAddress(ctx, d.opt.Listen), Sweep: "@every 24h", PublicURL: "https://care.example",
		SecretKey: config.Secrets{config.NewSecret("a key of the demo and of nothing else")},
		SMTP:      config.SMTP{URL: config.Secrets{config.NewSecret(d.servers.SMTPURL)}, Connections: 8},
		SMS:       config.SMS{Gateway: "kannel", URL: d.servers.SMSURL, User: "demo", Password: config.NewSecret("demo"), From: "10690000", Connections: 8},
		Webhook:   config.Webhook{URL: config.NewSecret(d.servers.HookURL), Connections: 4},
	}
	page := &page{inbox: d.inbox, planned: d.expected, now: d.clock.Now}
	env := &daemon.Env{Settings: settings, Log: d.log, Now: d.clock.Now, Version: d.opt.Version}
	files := over{config.DefaultBook()}
	var err error
	if err := d.plan(ctx, env, files); err != nil {
		return err
	}
	d.daemon, err = env.New(ctx, daemon.Parts{
		Store: d.store, Book: carebook.Options{Files: files}, Idle: 10 * time.Millisecond,
		Busy:  func(delta int) { d.busy.Add(int64(delta)) },
		Queue: func(q delivery.Queue) delivery.Queue { return d.calm(q) },
		Pages: map[string]http.Handler{"GET /{$}": http.HandlerFunc(page.list), "GET /m/{n}": http.HandlerFunc(page.message)},
	})
	return err
}

// plan asks for all days beforehand, as carebell plan does: that is what must arrive.
func (d *demo) plan(ctx context.Context, env *daemon.Env, files over) error {
	opt := carebook.FromSettings(env.Settings, "", d.clock.Now)
	opt.Files = files
	book, err := carebook.Open(opt)
	if err != nil {
		return err
	}
	d.insight = &insight.Service{Store: d.store, Book: func() (*carebook.Compiled, error) { return book, nil }, Now: d.clock.Now}
	d.longest = book.Planner.LongestExpiry()
	if err := d.planAnew(ctx, d.clock.Now()); err != nil {
		return err
	}
	_, err = d.insight.Confirm(ctx, care.CommandLine()) // the demo has seen what the first days bring
	return err
}

// quiet reports whether everything that is due by now has gone, so that the clock may go on; and when the next thing is due.
func (d *demo) quiet(ctx context.Context) func(time.Time) (bool, time.Time, error) {
	return func(now time.Time) (bool, time.Time, error) {
		if d.busy.Load() > 0 || !d.daemon.Swept(now) {
			return false, time.Time{}, nil
		}
		if ok, err := d.pass(ctx, now); !ok {
			return false, time.Time{}, err
		}
		next, err := d.store.NextDue(ctx)
		if err != nil {
			return false, time.Time{}, err
		}
		if !next.IsZero() && !next.After(now) {
			for _, due := range d.due {
				due.Store(true)
			}
			return false, time.Time{}, nil
		}
		return d.busy.Load() == 0, next, nil
	}
}

// calm is a queue that is looked at only while something is due: the embedded store takes long to say that nothing is.
type calm struct {
	delivery.Queue
	due map[care.Channel]*atomic.Bool
}

func (d *demo) calm(q delivery.Queue) delivery.Queue {
	d.due = map[care.Channel]*atomic.Bool{}
	for _, ch := range care.Channels {
		d.due[ch] = &atomic.Bool{}
	}
	return &calm{q, d.due}
}

// Claim leases what is due. Once there is nothing, it is not asked again until all that was claimed is done.
func (q *calm) Claim(ctx context.Context, lanes []care.Lane, most int, lease time.Duration) ([]*care.Claim, error) {
	due := q.due[lanes[0].Channel]
	if !due.Load() {
		return nil, nil
	}
	claims, err := q.Queue.Claim(ctx, lanes, most, lease)
	due.Store(len(claims) > 0)
	return claims, err
}

// freeAddress returns the address, or one on another port of the same host if it is taken: a demo should not fail over that.
func freeAddress(ctx context.Context, address string) string {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		_ = l.Close()
		return address
	}
	host, _, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return address
	}
	return net.JoinHostPort(host, "0")
}

func writeReport(file string, f Figures) error {
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}
