package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/carebell/carebell/intake"
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
	var recalls, columns bool
	var makes []string
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Merge customers from CSV, XLSX, vCard or JSON lines into Redis",
		Long: "Merge customers into Redis. Only columns that a file has are set, and a blank changes nothing. Rows that cannot be used\n" +
			"change nothing and go into FILE.rejected.csv with the reasons; but a no, a death or a sale in them counts. The status is 1 if a file\nhas no row that could be used. The file - is standard input.\n\n" +
			"With --recalls the files are recalls in NHTSA's flat format and become bulletins of the care book, switched off until\nsomebody has read them.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, files []string) error {
			if columns {
				return intake.PrintColumns(cmd.OutOrStdout())
			}
			if err := cobra.MinimumNArgs(1)(cmd, files); err != nil {
				return err
			}
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
			opt.Files, opt.Stdin = files, cmd.InOrStdin()
			opt.Progress = newProgress(cmd.ErrOrStderr())
			report, err := s.operate().Import(cmd.Context(), s.who, opt)
			if err != nil {
				return err
			}
			if err := report.Print(cmd.OutOrStdout()); err != nil {
				return err
			}
			if report.Nothing() {
				return errQuiet
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.Dealer, "dealer", "", "the dealer of rows that name none (default: the only one in the book)")
	f.StringVar(&opt.Map, "map", "", "a YAML file with more column names, 手机: phone, and with columns to join, First + Last: name")
	f.StringVar(&opt.Dates, "dates", "", "the order of day, month and year where a date could be read two ways: DMY, MDY or YMD (default: the dealer's date_format)")
	f.StringVar(&opt.Encoding, "encoding", "", "UTF-8, UTF-16LE, UTF-16BE, GB18030, Big5 or Windows-1252 (default: by evidence)")
	f.StringVar(&opt.Sheet, "sheet", "", "the sheet of a workbook (default: all that are visible)")
	f.StringVar(&opt.IDFrom, "id-from", "", "phone or email: the customer's id of vCards without a UID")
	f.BoolVar(&columns, "columns", false, "print every field with the headers that are known for it, and read nothing")
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
