package main

import (
	"fmt"
	"os"
	"time"

	"github.com/carebell/carebell/service/insight"
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

// onTerminal reports whether f is a terminal that a progress bar can be drawn on.
func onTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
