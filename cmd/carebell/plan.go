package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/service/operate"
	"github.com/spf13/cobra"
)

func newPlan() *cobra.Command {
	var opt insight.PlanOptions
	var from, to, book string
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
	f.StringVar(&book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if opt.From, opt.To, err = insight.ParsePeriod(from, to, time.Now()); err != nil {
			return &misuse{err}
		}
		out, err := newRows(cmd.OutOrStdout(), *format, "RELEASE", "CUSTOMER", "VEHICLE", "PROGRAM", "STEP", "CHANNEL", "VERDICT", "REASON")
		if err != nil {
			return err
		}
		service, s, err := ask(cmd, book, opt.File)
		if err != nil {
			return err
		}
		defer s.close()
		opt.Defect = func(customer, path, message string) {
			fmt.Fprintf(cmd.ErrOrStderr(), "customer %s: %s %s\n", customer, path, message)
		}
		err = service.Plan(cmd.Context(), s.who, opt, func(l insight.PlanLine) error {
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
	var opt operate.ImportOptions
	var book string
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
			s, err := start(cmd, book)
			if err != nil {
				return err
			}
			defer s.close()
			if recalls {
				return importRecalls(s, cmp.Or(book, s.env.Settings.Book), operate.RecallOptions{Files: files, Makes: makes, DryRun: opt.DryRun}, cmd.OutOrStdout())
			}
			if _, err := s.book(); err != nil {
				return err
			}
			if err := s.connect(cmd.Context()); err != nil {
				if !opt.DryRun {
					return err
				}
				s.env.Log.Warn("Redis does not answer: every customer of the files counts as new", slog.Any("error", err))
			}
			opt.Files = files
			opt.Progress = newProgress(cmd.ErrOrStderr())
			report, err := s.operate().Import(cmd.Context(), s.who, opt)
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
	f.StringVar(&book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	return cmd
}

// importRecalls writes bulletins into the book's folder.
func importRecalls(s *session, dir string, opt operate.RecallOptions, w io.Writer) error {
	if dir == "" {
		return errors.New("recalls go into a care book: name it with --book or CARE_BOOK")
	}
	book, err := s.book()
	if err != nil {
		return err
	}
	return operate.ImportRecalls(dir, book.Book, opt, w)
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
