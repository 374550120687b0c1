package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
	"github.com/spf13/cobra"
)

func newDoctor() *cobra.Command {
	var callbacks bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check Redis, mail servers, gateways, book and clock: each line ok, or what to do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := start(cmd, "")
			if err != nil {
				return err
			}
			defer s.close()
			if callbacks {
				return showCallbacks(cmd, s.env)
			}
			bad := 0
			s.examine(cmd.Context(), func(f store.Finding) {
				mark := "ok  "
				if !f.OK {
					mark = "FAIL"
					bad++
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", mark, f.What)
				if f.Remedy != "" {
					fmt.Fprintf(cmd.OutOrStdout(), "      → %s\n", f.Remedy)
				}
			})
			if bad > 0 {
				return errQuiet
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&callbacks, "show-callbacks", false, "print the URLs that gateways and mail servers must be given, with their secrets, and check nothing")
	return cmd
}

// examine runs the doctor, and names the addresses that others are to call.
func (s *session) examine(ctx context.Context, tell func(store.Finding)) {
	connect, cancel := context.WithTimeout(ctx, 2*operate.DialTimeout)
	err := s.connect(connect)
	cancel()
	doctor := operate.Doctor{
		Settings: s.env.Settings, Now: s.env.Now, Store: s.store, StoreErr: err, Gateways: s.env.Gateways, Senders: s.env.OpenSenders,
	}
	if tag, err := language(""); err == nil {
		doctor.Words = texts.For(tag)
	}
	doctor.Run(ctx, tell)
	for _, c := range feedback.Callbacks(s.env.Settings) {
		tell(c.Finding())
	}
}

func showCallbacks(cmd *cobra.Command, env *daemon.Env) error {
	all := feedback.Callbacks(env.Settings)
	if len(all) == 0 {
		return errors.New("there are no callbacks: set CARE_PUBLIC_URL and CARE_SECRET_KEY")
	}
	out := cmd.OutOrStdout()
	for _, c := range all {
		fmt.Fprintf(out, "%s\n  %s\n", c.From, c.URL)
		if c.Secret != "" {
			fmt.Fprintf(out, "  %s\n", c.Secret)
		}
		fmt.Fprintf(out, "  %s\n", c.How)
	}
	return nil
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "carebell "+daemon.VersionText(version))
			return err
		},
	}
}
