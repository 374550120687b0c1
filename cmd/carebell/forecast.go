package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/insight"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

func newForecast() *cobra.Command {
	var opt insight.ForecastOptions
	var from, book, page, locale string
	var days int
	cmd := &cobra.Command{
		Use:   "forecast",
		Short: "Show what the coming weeks bring: messages per day, program and channel, cost, caps, whom nothing reaches",
		Long: "Plan everybody for some weeks and add it up: messages per day, program, channel and dealer, SMS parts and their cost\n" +
			"(prices stand in dealers.yaml), who meets a cap and whose it is, what is put off or merged, whom no channel reaches.\n" +
			"--html writes the same as one page with plots that needs nothing else. From a file no Redis is needed.",
		Args: cobra.NoArgs,
	}
	format := formatFlag(cmd)
	f := cmd.Flags()
	f.IntVar(&days, "days", 90, "how many days")
	f.StringVar(&from, "from", "", "first day (default: today)")
	f.StringVar(&opt.File, "customers", "", "a file of customer records, one JSON document per line; - is standard input")
	f.StringVar(&book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	f.StringVar(&page, "html", "", "write a page with plots into this file")
	f.StringVar(&locale, "locale", "", "language of the page: zh-CN or en (default: that of the environment)")
	confirm := f.Bool("confirm", false, "say that you have seen what the coming 14 days bring: the brake lets it go")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if *confirm && opt.File != "" {
			return &misuse{errors.New("--confirm: what is in a file is not sent: import it first")}
		}
		if opt.From, opt.To, err = insight.ParseDays(from, days, time.Now()); err != nil {
			return &misuse{err}
		}
		lang, err := language(locale)
		if err != nil {
			return &misuse{err}
		}
		if *format != "table" && *format != "jsonl" {
			return &misuse{fmt.Errorf("--format %s: it is table or jsonl", *format)}
		}
		service, s, err := ask(cmd, book, opt.File)
		if err != nil {
			return err
		}
		defer s.close()
		opt.Defect = printDefect(cmd.ErrOrStderr())
		bar := newCount(cmd.ErrOrStderr())
		opt.Progress = bar.at
		forecast, err := service.Forecast(cmd.Context(), s.who, opt)
		bar.end()
		if err != nil {
			return err
		}
		if page != "" {
			if err := writePage(page, forecast, lang); err != nil {
				return err
			}
		}
		if *confirm {
			if _, err := service.Confirm(cmd.Context(), s.who); err != nil {
				return err
			}
		}
		if *format == "jsonl" {
			return forecast.WriteJSONL(cmd.OutOrStdout())
		}
		return printForecast(cmd.OutOrStdout(), forecast)
	}
	return cmd
}

func writePage(name string, f *insight.Forecast, locale string) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := f.WritePage(out, locale); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

// printDefect says what is wrong with a record, whichever worker finds it.
func printDefect(w io.Writer) func(customer, path, message string) {
	var one sync.Mutex
	return func(customer, path, message string) {
		one.Lock()
		defer one.Unlock()
		fmt.Fprintf(w, "customer %s: %s %s\n", customer, path, message)
	}
}

func printForecast(w io.Writer, f *insight.Forecast) error {
	total := f.Total()
	fmt.Fprintf(w, "%s to %s: %d messages to %d of %d customers; %d SMS parts; cost %s\n",
		f.First, f.Last, total.Messages, f.Planned, f.Customers, total.Parts, total.CostText())
	if f.Broken > 0 {
		fmt.Fprintf(w, "%d records cannot be planned: carebell hygiene names them\n", f.Broken)
	}
	if total.Messages > 0 {
		if err := printVolumes(w, f); err != nil {
			return err
		}
	}
	return printHeld(w, f)
}

func printVolumes(w io.Writer, f *insight.Forecast) error {
	header := func(first string) []string {
		return []string{first, "MESSAGES", "EMAIL", "SMS", "PARTS", "WEBHOOK", "COST"}
	}
	row := func(name string, s *insight.Sum) []string {
		return []string{
			name, strconv.Itoa(s.Messages), count(s.By[care.Email]), count(s.By[care.SMS]), count(s.Parts), count(s.By[care.Webhook]), s.CostText(),
		}
	}
	var cells [][]string
	byDay := f.ByDay()
	for _, day := range f.Days {
		if s := byDay[day]; s != nil {
			cells = append(cells, row(day.String()+" "+day.Weekday().String()[:3], s))
		}
	}
	fmt.Fprintln(w)
	if err := printTable(w, header("DAY"), cells); err != nil {
		return err
	}
	cells = nil
	byProgram := f.ByProgram()
	for _, p := range f.Programs {
		cells = append(cells, row(p, byProgram[p]))
	}
	fmt.Fprintln(w)
	if err := printTable(w, header("PROGRAM"), cells); err != nil {
		return err
	}
	cells = nil
	byDealer := f.ByDealer()
	for _, d := range slices.Sorted(maps.Keys(byDealer)) {
		cells = append(cells, row(d, byDealer[d]))
	}
	fmt.Fprintln(w)
	return printTable(w, header("DEALER"), cells)
}

// count writes nothing for none, so that a table shows at a glance where something is.
func count(n int) string {
	if n == 0 {
		return "·"
	}
	return strconv.Itoa(n)
}

func printHeld(w io.Writer, f *insight.Forecast) error {
	var cells [][]string
	for _, g := range f.HeldGroups() {
		var programs []string
		for _, h := range g.Programs {
			programs = append(programs, fmt.Sprintf("%s %d", h.Program, h.Messages))
		}
		cells = append(cells, []string{outcomes[g.Outcome], g.Reason, strconv.Itoa(g.Messages), strings.Join(programs, ", ")})
	}
	if err := section(w, []string{"WHAT", "WHY", "MESSAGES", "PROGRAMS"}, cells); err != nil {
		return err
	}
	cells = nil
	for _, c := range f.Caps {
		cells = append(cells, []string{capName(c.Cap), c.Dealer, strconv.Itoa(c.Customers), strconv.Itoa(c.PutOff), strconv.Itoa(c.Lost)})
	}
	if err := section(w, []string{"CAP", "DEALER", "CUSTOMERS", "PUT OFF", "NO ROOM BEFORE EXPIRY"}, cells); err != nil {
		return err
	}
	cells = nil
	for _, c := range f.Capped {
		cells = append(cells, []string{c.Customer, c.Dealer, capName(c.Cap), strconv.Itoa(c.PutOff), strconv.Itoa(c.Lost)})
	}
	if err := section(w, []string{"CAPPED MOST", "DEALER", "CAP", "PUT OFF", "NO ROOM BEFORE EXPIRY"}, cells); err != nil {
		return err
	}
	cells = nil
	for _, u := range f.Unreachable {
		cells = append(cells, []string{u.Reason, u.Dealer, strconv.Itoa(u.Customers), some(u.Some, u.Customers)})
	}
	if err := section(w, []string{"UNREACHABLE", "DEALER", "CUSTOMERS", "WHO"}, cells); err != nil {
		return err
	}
	cells = nil
	for _, u := range f.Unwritten {
		cells = append(cells, []string{u.Template, u.Code, strconv.Itoa(u.Messages)})
	}
	return section(w, []string{"SET ASIDE: TEMPLATE", "WHY", "SMS"}, cells)
}

func section(w io.Writer, header []string, cells [][]string) error {
	if len(cells) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return printTable(w, header, cells)
}

var outcomes = map[string]string{"put_off": "put off", "merged": "merged", "stopped": "does not go"}

func some(ids []string, all int) string {
	s := strings.Join(ids, " ")
	if all > len(ids) {
		s += " …"
	}
	return s
}

func capName(c scheduler.Cap) string {
	return fmt.Sprintf("%s: %d in 7 days", insight.CapName(c, "en"), c.Limit)
}

// counter draws a bar on a terminal while customers are gone through: bytes of a file, or customers of Redis, whose number nobody
// knows beforehand. It may be told from many goroutines.
type counter struct {
	mu  sync.Mutex
	w   io.Writer
	bar *progressbar.ProgressBar
	of  string
}

func newCount(w io.Writer) *counter {
	if !onTerminal(w) {
		return &counter{}
	}
	return &counter{w: w}
}

func (c *counter) at(what string, done, total int64) {
	if c.w == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar == nil || c.of != what {
		c.of = what
		if total == 0 {
			total = -1 // a spinner
		}
		c.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(c.w), progressbar.OptionSetDescription(what),
			progressbar.OptionShowBytes(total > 0), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(65*time.Millisecond))
	}
	_ = c.bar.Set64(done)
}

func (c *counter) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		_ = c.bar.Finish()
		_ = c.bar.Clear()
	}
}
