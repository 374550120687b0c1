package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/service/operate"
	"github.com/spf13/cobra"
)

func newInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Write the default care book into a folder, to be made your own",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := config.WriteDefault(args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The default care book is in %s. Make dealers.yaml yours, then run carebell lint %s.\n", args[0], args[0])
			return nil
		},
	}
}

func newLint() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint [DIR]",
		Short: "Check a care book: where, what is wrong, what to write instead",
		Long:  "Check a care book and say for each mistake file:line:column, what is wrong and what to write instead.\nWithout DIR the book of CARE_BOOK is checked, without that the default book.\nWith --customers or --redis it also says who would get what today, and with --redis which programs were renamed.\nExit 0: no faults (warnings do not count), 1: faults.",
		Args:  cobra.MaximumNArgs(1),
	}
	format := formatFlag(cmd)
	var customers string
	var redis bool
	cmd.Flags().StringVar(&customers, "customers", "", "say who of a file (customer records, one JSON document per line) would get what today")
	cmd.Flags().BoolVar(&redis, "redis", false, "say who of Redis would get what today, and what was renamed since it was sent")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := os.Getenv("CARE_BOOK")
		if len(args) == 1 {
			dir = args[0]
		}
		if *format != "table" && *format != "jsonl" {
			return &misuse{fmt.Errorf("--format %s: it is table or jsonl", *format)}
		}
		problems, err := carebook.Lint(carebook.Options{Dir: dir, Now: time.Now, PublicURL: os.Getenv("CARE_PUBLIC_URL")})
		if err != nil {
			return err
		}
		if redis && customers != "" {
			return &misuse{fmt.Errorf("--customers and --redis: say one of them")}
		}
		var today *insight.Today
		if (redis || customers != "") && !problem.Faults(problems) {
			service, s, err := ask(cmd, dir, customers)
			if err != nil {
				return err
			}
			defer s.close()
			var more []problem.Problem
			if today, more, err = service.Today(cmd.Context(), s.who, customers); err != nil {
				return err
			}
			problems = append(problems, more...)
		}
		out := cmd.OutOrStdout()
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		faults := 0
		for _, p := range problems {
			if p.Severity != problem.Warning {
				faults++
			}
			if *format == "jsonl" {
				if err := enc.Encode(p); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintln(out, p.Error())
			if p.Excerpt != "" {
				fmt.Fprintln(out, p.Excerpt)
			}
		}
		switch {
		case *format == "table":
			fmt.Fprintf(out, "%d faults, %d warnings\n", faults, len(problems)-faults)
			if today != nil {
				fmt.Fprint(out, today)
			}
		case today != nil:
			if err := enc.Encode(map[string]any{"today": today}); err != nil {
				return err
			}
		}
		if faults > 0 {
			return errQuiet
		}
		return nil
	}
	return cmd
}

func newPreview() *cobra.Command {
	var opt carebook.PreviewOptions
	var out carebook.PreviewFile
	var book, customer string
	cmd := &cobra.Command{
		Use:   "preview TEMPLATE",
		Short: "Show a message as the customer will see it",
		Long:  "Show a message as the customer will see it: for a made-up customer, or with --customer for one of your own.\nWith --out FILE.html the mail is written as a page to open in a browser; with --frame that page shows all messages\nas phones and desktops do, light and dark. With --out FILE.png Chromium takes a picture as wide as a phone.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.Check(); err != nil {
				return err
			}
			s, err := start(cmd, book)
			if err != nil {
				return err
			}
			defer s.close()
			opt.Template, opt.Now = args[0], s.env.Now()
			return preview(cmd, s, customer, opt, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.Locale, "locale", "", "locale: zh-CN, en, … (default: the customer's, else the dealer's)")
	f.StringVar(&customer, "customer", "", "a customer's id in Redis; without it a made-up one")
	f.StringVar((*string)(&opt.Channel), "channel", "", "email, sms or webhook (default: all that the template has)")
	f.BoolVar(&opt.Branches, "all-branches", false, "show each outcome of each if, unless and case as well")
	f.StringVar(&out.Name, "out", "", "write the mail's HTML (.html), its plain text (.txt), the webhook's body (.json) or a picture (.png) into this file")
	f.BoolVar(&out.Frame, "frame", false, "with --out FILE.html: one page with every message on phone and desktop, light and dark")
	f.StringVar(&book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	return cmd
}

func preview(cmd *cobra.Command, s *session, customer string, opt carebook.PreviewOptions, file carebook.PreviewFile) error {
	book, err := s.book()
	if err != nil {
		return err
	}
	if customer != "" {
		if err := s.connect(cmd.Context()); err != nil {
			return err
		}
		ask := insight.Service{Store: s.store, Book: s.book, Now: s.env.Now}
		if opt.Customer, err = ask.Customer(cmd.Context(), s.who, customer); err != nil {
			return err
		}
	}
	shown, err := book.Preview(opt)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	carebook.Describe(out, shown)
	if file.Name == "" {
		return nil
	}
	if err := file.Write(cmd.Context(), opt.Template, shown); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "written: %s\n", file.Name)
	return err
}

func newSend() *cobra.Command {
	var opt operate.TestSend
	var book string
	cmd := &cobra.Command{
		Use:   "send TEMPLATE --to ADDRESS",
		Short: "Send a test message to an address of your own",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opt.To == "" {
				return &misuse{fmt.Errorf("send needs --to ADDRESS: a mail address, a telephone number or a URL")}
			}
			s, err := start(cmd, book)
			if err != nil {
				return err
			}
			defer s.close()
			if opt.Customer != "" {
				if err := s.connect(cmd.Context()); err != nil {
					return err
				}
			}
			opt.Template = args[0]
			sent, err := s.operate().SendTest(cmd.Context(), s.who, opt)
			if err != nil {
				return err
			}
			as := ""
			if sent.ProviderID != "" {
				as = " as " + sent.ProviderID
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "accepted by the %s provider%s\n", sent.Channel, as)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.To, "to", "", "where it goes: a mail address, a telephone number (+86…) or an http(s) URL; it chooses the channel")
	f.StringVar(&opt.Locale, "locale", "", "locale: zh-CN, en, …")
	f.StringVar(&opt.Customer, "customer", "", "a customer's id in Redis; without it a made-up one")
	f.StringVar(&book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	return cmd
}
