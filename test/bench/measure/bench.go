package measure

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// Options say what is measured.
type Options struct {
	Only      string // one row, measured in this process; "" = all, each in a process of its own
	Runs      int    // per row; the median counts. 0 = 5
	Quick     bool   // a tenth of the work, two runs: to see that it works
	Customers int    // for the rows that go through all customers; 0 = 1,000,000 (50,000 with Quick)
	Messages  int    // per run of the rows that send; 0 = 20,000 (3,000 with Quick)
	Bench     string // the bench that measures a row of all and has the endpoint; "" = this program
	Program   string // the carebell whose memory is measured; without one, the row memory says so
	Version   string
	Log       *slog.Logger                         // of a row measured in this process; others write to this one's standard error
	Progress  func(what string, done, total int64) // within the row of Only, else told of each row before it begins; may be nil
}

// Result is one line of the table.
type Result struct {
	Row     string  `json:"row"`
	What    string  `json:"what"`
	Ours    float64 `json:"ours,omitempty"`  // the median of the runs
	Limit   float64 `json:"limit,omitempty"` // what the machine can do, in the same runs
	Unit    string  `json:"unit,omitempty"`  // of both
	Against string  `json:"against,omitempty"`
	Score   float64 `json:"score"` // what Must is about; the median of the runs
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Must    float64 `json:"must"`
	Of      string  `json:"of,omitempty"` // unit of Score; "" = a ratio
	More    bool    `json:"more_is_better"`
	Meets   string  `json:"meets"` // yes or no; "" if it could not be measured
	Runs    int     `json:"runs"`
	Note    string  `json:"note,omitempty"`
}

// run is what one run of a row found.
type run struct {
	ours, limit, score float64
	note               string
}

// row is a line to be measured.
type row struct {
	Result
	needs   []tool
	system  string // where alone it can be measured; "" = everywhere
	live    bool   // it plays now and not on a working day, for a daemon with a clock of its own
	measure func(ctx context.Context, w *world) (run, error)
	prepare func(ctx context.Context, w *world) error // once, before the first run; may be nil
}

// Names lists the rows.
func Names() []string {
	var out []string
	for _, r := range rows() {
		out = append(out, r.Row)
	}
	return out
}

// Run measures row by row, and gives each to each as soon as it is there. A row whose outside program is missing comes with a note
// that says what to install. All rows get a process each: what one leaves in the heap and the caches would be measured with the next.
func Run(ctx context.Context, opt Options, each func(Result) error) error {
	opt.defaults()
	if opt.Only != "" && !slices.Contains(Names(), opt.Only) {
		return fmt.Errorf("there is no row %q; there are %v", opt.Only, Names())
	}
	all := rows()
	for i, r := range all {
		measure := r.apart
		switch opt.Only {
		case "":
			opt.Progress(r.Row, int64(i), int64(len(all)))
		case r.Row:
			measure = r.here
		default:
			continue
		}
		res, err := measure(ctx, &opt)
		if err != nil {
			return fmt.Errorf("row %s: %w", r.Row, err)
		}
		if err := each(res); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) defaults() {
	if o.Runs <= 0 {
		o.Runs = 5
		if o.Quick {
			o.Runs = 2
		}
	}
	if o.Customers <= 0 {
		o.Customers = 1_000_000
		if o.Quick {
			o.Customers = 50_000
		}
	}
	if o.Messages <= 0 {
		o.Messages = 20_000
		if o.Quick {
			o.Messages = 3_000
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
}

// bench returns the program that measures a row or stands in for a provider.
func (o *Options) bench() (string, error) {
	if o.Bench != "" {
		return o.Bench, nil
	}
	return os.Executable()
}

// apart has the row measured by a process of its own. What goes wrong there it says itself, on standard error.
func (r row) apart(ctx context.Context, opt *Options) (res Result, err error) {
	path, err := opt.bench()
	if err != nil {
		return res, err
	}
	cmd := exec.CommandContext(ctx, path, "--only", r.Row, "--format", "jsonl", "--program", opt.Program,
		"--runs", strconv.Itoa(opt.Runs), "--customers", strconv.Itoa(opt.Customers), "--messages", strconv.Itoa(opt.Messages))
	cmd.Stderr = os.Stderr
	// It has servers to end and a folder to remove.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return res, context.Cause(ctx)
	case err != nil:
		return res, fmt.Errorf("in a process of its own: %w", err)
	}
	if err := json.Unmarshal(out, &res); err != nil {
		return res, fmt.Errorf("%s gave no result: %w", path, err)
	}
	return res, nil
}

// here measures the row in this process.
func (r row) here(ctx context.Context, opt *Options) (Result, error) {
	dir, err := os.MkdirTemp("", "carebell-bench-")
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return r.run(ctx, *opt, filepath.Join(dir, r.Row))
}

func (r row) run(ctx context.Context, opt Options, dir string) (res Result, err error) {
	res = r.Result
	for _, t := range append([]tool{redisServer}, r.needs...) {
		if _, err := t.find(); err != nil {
			res.Note = err.Error()
			return res, nil
		}
	}
	if r.system != "" && r.system != runtime.GOOS {
		res.Note = "it cannot be measured on this system, only on " + r.system
		return res, nil
	}
	w, err := newWorld(ctx, opt, dir, r.live)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if r.prepare != nil {
		opt.Progress(r.Row+": prepare", 0, int64(opt.Runs))
		if err := r.prepare(ctx, w); err != nil {
			return res, err
		}
	}
	var ours, limits, scores []float64
	for i := range opt.Runs {
		opt.Progress(r.Row, int64(i), int64(opt.Runs))
		one, err := r.measure(ctx, w)
		if err != nil {
			return res, err
		}
		ours, limits, scores = append(ours, one.ours), append(limits, one.limit), append(scores, one.score)
		res.Note = one.note
	}
	opt.Progress(r.Row, int64(opt.Runs), int64(opt.Runs))
	res.Ours, res.Limit, res.Score = median(ours), median(limits), median(scores)
	res.Low, res.High, res.Runs = slices.Min(scores), slices.Max(scores), len(scores)
	res.Meets = res.meets()
	return res, nil
}

func (r *Result) meets() string {
	if r.More && r.Score >= r.Must || !r.More && r.Score <= r.Must {
		return "yes"
	}
	return "no"
}

func median(list []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(list), cmp.Compare[float64])
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// world is what a row is measured in: a Redis of its own, the default book with a dealer, and a clock that begins in the middle of a
// working day, because nobody is disturbed at night. A live one has the machine's clock and a dealer without quiet hours.
type world struct {
	opt     Options
	dir     string
	redis   *redisProcess
	store   *store.Store
	checked *carebook.Compiled
	day     care.Date // the first day of this world
	base    time.Time
	began   time.Time
	extra   any // what a row's prepare keeps for its runs
}

// lastWednesday returns the day on which a bench plays: a working day, so that every program's schedule has it, and a late one, so that
// no record is older than what Redis keeps.
func lastWednesday(today care.Date) care.Date {
	for today.Weekday() != time.Wednesday {
		today = today.AddDays(-1)
	}
	return today
}

func (w *world) now() time.Time { return w.base.Add(time.Since(w.began)) }

func newWorld(ctx context.Context, opt Options, dir string, live bool) (w *world, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	began := time.Now()
	day := lastWednesday(care.DateOf(began))
	w = &world{opt: opt, dir: dir, day: day, base: day.At(11, 0, time.FixedZone("", 8*3600)), began: began}
	if live {
		// What was due three days ago has been released on whatever day this is, and has not expired.
		w.day, w.base = care.DateOf(began).AddDays(-3), began
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.redis, err = startRedis(ctx, dir); err != nil {
		return nil, err
	}
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	if err := writeBook(w.book(), live); err != nil {
		return nil, err
	}
	var problems []problem.Problem
	if w.checked, problems, err = carebook.Check(carebook.Options{Dir: w.book(), Now: w.now}); err != nil {
		return nil, fmt.Errorf("%w: %v", err, problems)
	}
	return w, nil
}

func (w *world) book() string { return filepath.Join(w.dir, "book") }

func (w *world) close() error {
	if w.store != nil {
		w.store.Close()
	}
	if c, ok := w.extra.(io.Closer); ok {
		_ = c.Close()
	}
	if w.redis != nil {
		return w.redis.stop()
	}
	return nil
}

// empty makes Redis as it was at the start. A store remembers how far Redis had come and would refuse one that has lost everything, so
// it is opened anew.
func (w *world) empty(ctx context.Context) error {
	if w.store != nil {
		w.store.Close()
	}
	if _, err := w.redis.do(ctx, "FLUSHALL", "SYNC"); err != nil {
		return err
	}
	return w.open(ctx)
}

func (w *world) open(ctx context.Context) (err error) {
	w.store, err = store.Open(ctx, store.Options{URL: w.redis.url(), Clock: w.now, Logger: w.opt.Log, Retention: 200 * 24 * time.Hour})
	if err == nil { // as the daemon does
		w.store.ReadAddresses(func(c *care.Customer) []care.AddressHash { return w.checked.Addresses(c) })
	}
	return err
}

// daemon builds the daemon as serve does, but with the store of this world: the world's clock is not Redis', which a daemon that opens its own
// store would not stand. done is called with each number of messages whose outcome is recorded. Another replica
// leads the sweep, so that what is measured is delivery alone.
func (w *world) daemon(ctx context.Context, set config.Settings, done func(n int)) (*daemon.Daemon, error) {
	if _, _, err := w.store.Lead(ctx, "bench", time.Hour); err != nil {
		return nil, err
	}
	set.RedisURL = config.NewSecret(w.redis.url())
	set.Book, set.Listen, set.Sweep = w.book(), "127.0.0.1:0", "@every 24h"
	set.PublicURL = "https://care.example"
	set.SecretKey = config.Secrets{config.NewSecret("a key of the bench and of nothing else")}
	env := &daemon.Env{Settings: &set, Log: w.opt.Log, Now: w.now, Version: w.opt.Version}
	return env.New(ctx, daemon.Parts{Store: w.store, Busy: func(delta int) {
		if delta < 0 {
			done(-delta)
		}
	}})
}
