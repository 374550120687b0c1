package main

import (
	"fmt"
	"os"
	"time"

	"github.com/carebell/carebell/daemon"
	"github.com/spf13/cobra"
)

func newPlan() *cobra.Command {
	var opt daemon.PlanOptions
	var from, to string
	cmd := &cobra.Command{
		Use:   "plan --from D --to D",
		Short: "Print every message whose release lies between two dates, and the reason of each that will not go",
		Long: "Print every occurrence whose release lies in [from, to), with its verdict as known at --from.\n" +
			"Dates are YYYY-MM-DD (midnight on each recipient's clock) or RFC 3339.\nWith --customers it reads records from a file and needs no Redis.",
		Args: cobra.NoArgs,
	}
	format := formatFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "first moment (default: today)")
	f.StringVar(&to, "to", "", "first moment that is not looked at any more (default: a week after --from)")
	f.StringVar(&opt.File, "customers", "", "a file of customer records, one JSON document per line; - is standard input")
	f.StringVar(&opt.Book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if opt.From, opt.To, err = daemon.ParseSpan(from, to, time.Now()); err != nil {
			return &misuse{err}
		}
		out, err := newRows(cmd.OutOrStdout(), *format, "RELEASE", "CUSTOMER", "VEHICLE", "PROGRAM", "STEP", "CHANNEL", "VERDICT", "REASON")
		if err != nil {
			return err
		}
		env, err := commandEnv(cmd)
		if err != nil {
			return err
		}
		opt.Defect = func(customer, path, message string) {
			fmt.Fprintf(cmd.ErrOrStderr(), "customer %s: %s %s\n", customer, path, message)
		}
		err = env.Plan(cmd.Context(), opt, func(l daemon.PlanLine) error {
			return out.add(l, l.Release.Format("2006-01-02 15:04 -0700"), l.Customer, l.Vehicle, l.Program, l.Step, string(l.Channel), string(l.Verdict), l.Reason)
		})
		if err != nil {
			return err
		}
		return out.end("nothing is due in that time")
	}
	return cmd
}

func newImport() *cobra.Command {
	var opt daemon.ImportOptions
	var recalls bool
	var makes []string
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Merge customers from CSV (UTF-8 or GB18030), XLSX, vCard or JSON lines into Redis",
		Long: "Merge customers into Redis. Only columns that a file has are set, and a blank changes nothing. Rows that cannot be used\n" +
			"change nothing and go into FILE.rejected.csv with the reason; the status is 0 all the same.\n\n" +
			"With --recalls the files are recalls in NHTSA's flat format and become bulletins of the care book, switched off until\nsomebody has read them.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			env, err := commandEnv(cmd)
			if err != nil {
				return err
			}
			if recalls {
				return env.Recalls(daemon.RecallOptions{Files: files, Book: opt.Book, Makes: makes, DryRun: opt.DryRun}, cmd.OutOrStdout())
			}
			opt.Files = files
			opt.Progress = newProgress(cmd.ErrOrStderr())
			report, err := env.Import(cmd.Context(), opt)
			if err != nil {
				return err
			}
			return report.Print(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.Dealer, "dealer", "", "the dealer of rows that name none (default: the only one in the book)")
	f.StringVar(&opt.Map, "map", "", "a YAML file with more column names: 手机: phone")
	f.BoolVar(&recalls, "recalls", false, "the files are recalls in NHTSA's flat format: write bulletins into the book")
	f.StringSliceVar(&makes, "make", nil, "with --recalls: only these makes (default: those of the dealers' intervals)")
	f.BoolVar(&opt.DryRun, "dry-run", false, "read, check and count everything, and change nothing")
	f.StringVar(&opt.Book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	return cmd
}

// onTerminal reports whether f is a terminal that a progress bar can be drawn on.
func onTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
