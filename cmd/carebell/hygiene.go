package main

import (
	"fmt"
	"strconv"

	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/service/insight"
	"github.com/spf13/cobra"
)

func newHygiene() *cobra.Command {
	var opt insight.HygieneOptions
	var book, locale string
	var limit int
	cmd := &cobra.Command{
		Use:   "hygiene",
		Short: "Show the state of the data: bad addresses, duplicates, stale odometers, sold cars, whom nobody has contacted",
		Long: "Look through all records and name what should be mended in the dealership's system: how many of each kind, and which.\n" +
			"Only ids and JSON paths (RFC 9535) are printed, no name and no address.",
		Args: cobra.NoArgs,
	}
	format := formatFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&opt.File, "customers", "", "a file of customer records, one JSON document per line; - is standard input")
	f.StringVar(&book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	f.StringVar(&locale, "locale", "", "language of the headings: zh-CN or en (default: that of the environment)")
	f.IntVar(&limit, "limit", 50, "how many of each kind the table shows; 0 shows all, and so does --format jsonl")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		lang, err := language(locale)
		if err != nil {
			return &misuse{err}
		}
		if limit < 0 {
			return &misuse{fmt.Errorf("--limit %d: it is 0 or more", limit)}
		}
		t := texts.For(lang)
		out, err := newRows(cmd.OutOrStdout(), *format, t.T("hygiene.column.finding"), t.T("hygiene.column.customer"),
			t.T("hygiene.column.dealer"), t.T("hygiene.column.path"), t.T("hygiene.column.detail"))
		if err != nil {
			return err
		}
		service, s, err := ask(cmd, book, opt.File)
		if err != nil {
			return err
		}
		defer s.close()
		bar := newCount(cmd.ErrOrStderr())
		opt.Progress = bar.at
		counts := map[string]int{}
		customers, err := service.Hygiene(cmd.Context(), s.who, opt, func(f insight.Flaw) error {
			counts[f.Kind]++
			if !out.jsonl && limit > 0 && counts[f.Kind] > limit {
				return nil
			}
			return out.add(f, f.Kind, f.Customer, f.Dealer, f.Path, f.Detail)
		})
		bar.end()
		if err != nil || out.jsonl {
			return err
		}
		w := cmd.OutOrStdout()
		total := 0
		var cells [][]string
		for _, kind := range insight.FlawKinds {
			total += counts[kind]
			cells = append(cells, []string{strconv.Itoa(counts[kind]), kind, insight.FlawTitle(kind, lang)})
		}
		fmt.Fprintf(w, "%s\n\n", t.T("hygiene.head", "customers", strconv.Itoa(customers), "findings", strconv.Itoa(total)))
		counted := []string{t.T("hygiene.column.count"), t.T("hygiene.column.finding"), t.T("hygiene.column.what")}
		if err := printTable(w, counted, cells); err != nil {
			return err
		}
		fmt.Fprintln(w)
		if err := out.end(t.T("hygiene.none")); err != nil {
			return err
		}
		if len(out.cells) < total {
			fmt.Fprintln(w, t.T("hygiene.rest"))
		}
		return nil
	}
	return cmd
}
