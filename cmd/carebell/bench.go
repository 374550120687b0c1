package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"

	"github.com/carebell/carebell/daemon/bench"
	"github.com/spf13/cobra"
)

func newBench() *cobra.Command {
	opt := bench.Options{Version: version}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: every figure beside its limit in the same run",
		Long: "Measure the whole daemon on this machine, against a redis-server, a mail server and an HTTP server that the bench starts on loopback.\n" +
			"Each line stands beside its limit: what smtp-source, redis-benchmark or bare net/http make of the same work in the same run.\n" +
			"Only ratios within one run can be compared. Nothing outside of this machine is touched, and no setting is read.",
		Args: cobra.NoArgs,
	}
	format := formatFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&opt.Only, "only", "", "measure one row")
	_ = cmd.RegisterFlagCompletionFunc("only", cobra.FixedCompletions(bench.Names(), cobra.ShellCompDirectiveNoFileComp))
	f.IntVar(&opt.Runs, "runs", 0, "how often each row is measured; the median counts (default 5, with --quick 2)")
	f.BoolVar(&opt.Quick, "quick", false, "little work and two runs: to see that it works, not to compare")
	f.IntVar(&opt.Customers, "customers", 0, "customers in the rows due, sweep and import (default 1000000, with --quick 50000)")
	f.IntVar(&opt.Messages, "messages", 0, "messages per run of the rows that send (default 20000, with --quick 3000)")
	profile := f.String("cpuprofile", "", "write a processor profile of the row of --only into this file, for go tool pprof")
	endpoint := f.Bool("endpoint", false, "answer as the provider of another bench does, until the input ends")
	_ = f.MarkHidden("endpoint")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *endpoint {
			return bench.Endpoint(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		}
		if opt.Runs < 0 || opt.Customers < 0 || opt.Messages < 0 {
			return &misuse{fmt.Errorf("--runs, --customers and --messages are 1 or more")}
		}
		if *profile != "" && opt.Only == "" {
			return &misuse{fmt.Errorf("--cpuprofile is of one row, because each has a process of its own: name it with --only")}
		}
		out, err := newRows(cmd.OutOrStdout(), *format, "ROW", "WHAT", "OURS", "LIMIT", "AGAINST", "RESULT", "SPREAD", "MUST", "AIM", "MEETS")
		if err != nil {
			return err
		}
		if *profile != "" {
			file, err := os.Create(*profile)
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }()
			if err := pprof.StartCPUProfile(file); err != nil {
				return err
			}
			defer pprof.StopCPUProfile()
		}
		tuneCollector(cmd.Context()) // as serve does
		bar := newCount(cmd.ErrOrStderr())
		opt.Progress = bar.at
		if opt.Only == "" {
			opt.Progress = announceRow(cmd.ErrOrStderr())
		}
		opt.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
		var notes []string
		err = bench.Run(cmd.Context(), opt, func(r bench.Result) error {
			if r.Note != "" {
				notes = append(notes, r.Row+": "+r.Note)
			}
			return out.add(r, benchCells(r)...)
		})
		bar.end()
		if err != nil || out.jsonl {
			return err
		}
		w := cmd.OutOrStdout()
		fmt.Fprintf(w, "%d cores, %s %s/%s\n\n", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		if err := out.end("no rows"); err != nil {
			return err
		}
		fmt.Fprintln(w)
		for _, n := range notes {
			fmt.Fprintln(w, n)
		}
		return nil
	}
	return cmd
}

// announceRow writes a line of a terminal for each row that begins. The bar below it is drawn by the row's own process, and two would
// overwrite each other.
func announceRow(w io.Writer) func(what string, done, total int64) {
	if !onTerminal(w) {
		return nil
	}
	return func(what string, done, total int64) { fmt.Fprintf(w, "row %d of %d: %s\n", done+1, total, what) }
}

func benchCells(r bench.Result) []string {
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
	return []string{r.Row, r.What, ours, limit, r.Against, score, spread, goal + figure(r.Must) + than, goal + figure(r.Aim) + than, r.Meets}
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
