// Command bench measures carebell on this machine, each figure beside its limit in the same run. It promises what package measure
// does, and reads no setting: a redis-server, a mail server and an HTTP server of its own run on loopback, and nothing else is touched.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/test/bench/measure"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// settings are the command's flags.
type settings struct {
	measure.Options
	format, profile string
	endpoint        bool
}

const usage = `Measure the whole daemon on this machine, against a redis-server, a mail server and an HTTP server that the bench starts on loopback.
Each line stands beside its limit: what smtp-source, redis-benchmark or bare net/http make of the same work in the same run.
Only ratios within one run can be compared. Nothing outside of this machine is touched, and no setting is read.

`

// flags reads the command line.
func flags(args []string, errs io.Writer) (s settings, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Usage = func() {
		fmt.Fprint(errs, usage)
		f.PrintDefaults()
	}
	f.StringVar(&s.Program, "program", "", "the carebell whose memory is measured, as `make build` makes it: bin/carebell; the row memory needs it")
	f.StringVar(&s.Only, "only", "", "measure one row: "+strings.Join(measure.Names(), ", "))
	f.IntVar(&s.Runs, "runs", 0, "how often each row is measured; the median counts (default 5, with --quick 2)")
	f.BoolVar(&s.Quick, "quick", false, "little work and two runs: to see that it works, not to compare")
	f.IntVar(&s.Customers, "customers", 0, "customers in the rows due, sweep and import (default 1000000, with --quick 50000)")
	f.IntVar(&s.Messages, "messages", 0, "messages per run of the rows that send (default 20000, with --quick 3000)")
	f.StringVar(&s.format, "format", "table", "how rows are printed: table or jsonl")
	f.StringVar(&s.profile, "cpuprofile", "", "write a processor profile of the row of --only into this file, for go tool pprof")
	f.BoolVar(&s.endpoint, "endpoint", false, "answer as the provider of another bench does, until the input ends")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("what is %q? all there is are flags", f.Arg(0))
	case s.Runs < 0 || s.Customers < 0 || s.Messages < 0:
		err = errors.New("--runs, --customers and --messages are 1 or more")
	case s.profile != "" && s.Only == "":
		err = errors.New("--cpuprofile is of one row, because each has a process of its own: name it with --only")
	case s.format != "table" && s.format != "jsonl":
		err = fmt.Errorf("--format %s: it is table or jsonl", s.format)
	}
	if err != nil {
		fmt.Fprintln(errs, err)
	}
	return s, err
}

// run returns the exit status: 0, 1 for what went wrong, 2 for what was asked wrongly.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	s, err := flags(args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	work := s.bench
	if s.endpoint {
		work = func(ctx context.Context, out, _ io.Writer) error { return measure.Endpoint(ctx, in, out) }
	}
	if err := work(ctx, out, errs); err != nil {
		fmt.Fprintln(errs, "bench:", err)
		return 1
	}
	return 0
}

// bench measures and prints.
func (s *settings) bench(ctx context.Context, out, errs io.Writer) error {
	if s.profile != "" {
		file, err := os.Create(s.profile)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	daemon.TuneCollector(ctx) // as serve does
	s.Version = revision()
	s.Log = slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: slog.LevelError}))
	if s.Only == "" {
		s.Progress = func(what string, done, total int64) { fmt.Fprintf(errs, "row %d of %d: %s\n", done+1, total, what) }
	}
	if s.format == "jsonl" {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return measure.Run(ctx, s.Options, func(r measure.Result) error { return enc.Encode(r) })
	}
	var notes []string
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { fmt.Fprintln(table, strings.Join(cells, "\t")) }
	line("ROW", "WHAT", "OURS", "LIMIT", "AGAINST", "RESULT", "SPREAD", "MUST", "MEETS")
	err := measure.Run(ctx, s.Options, func(r measure.Result) error {
		if r.Note != "" {
			notes = append(notes, r.Row+": "+r.Note)
		}
		line(cells(r)...)
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d cores, %s %s/%s\n\n", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "\n"+strings.Join(notes, "\n"))
	return err
}

// revision is the commit this program was built from, as far as the compiler knows it.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "bench"
}

func cells(r measure.Result) []string {
	goal, than := "≤ ", r.Of
	if r.More {
		goal = "≥ "
	}
	if than != "" {
		than = " " + than
	}
	ours, limit, score, spread := "–", "–", "not measured", "–"
	if r.Runs > 0 {
		ours = figure(r.Ours) + " " + r.Unit
		if r.Limit > 0 {
			limit = figure(r.Limit) + " " + r.Unit
		}
		score, spread = figure(r.Score)+than, figure(r.Low)+"–"+figure(r.High)
	}
	return []string{r.Row, r.What, ours, limit, r.Against, score, spread, goal + figure(r.Must) + than, r.Meets}
}

// figure writes a number with as many digits as say something.
func figure(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
