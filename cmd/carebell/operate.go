package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/service/feedback"
	"github.com/spf13/cobra"
)

func newMessages() *cobra.Command {
	var opt daemon.MessagesOptions
	cmd := &cobra.Command{
		Use:   "messages",
		Short: "List messages by state, or decide about failed and uncertain ones",
		Args:  cobra.NoArgs,
	}
	format := formatFlag(cmd)
	cmd.Flags().StringVar((*string)(&opt.State), "state", "", "only this state: "+stateNames())
	cmd.Flags().StringVar(&opt.Customer, "customer", "", "only this customer's")
	cmd.Flags().StringVar(&opt.Program, "program", "", "only this program's")
	cmd.Flags().IntVar(&opt.Limit, "limit", 1000, "at most so many, the newest first")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if opt.State != "" && !slices.Contains(care.States, opt.State) {
			return &misuse{fmt.Errorf("--state %s: it is one of %s", opt.State, stateNames())}
		}
		out, err := newRows(cmd.OutOrStdout(), *format, "ID", "CUSTOMER", "PROGRAM", "STEP", "CHANNEL", "STATE", "REASON", "TRIES", "RELEASE")
		if err != nil {
			return err
		}
		env, err := commandEnv(cmd)
		if err != nil {
			return err
		}
		err = env.Messages(cmd.Context(), opt, func(r care.Record) error {
			return out.add(r, r.ID, r.Customer, r.Program, r.Step, string(r.Channel), string(r.State), r.Reason,
				fmt.Sprint(len(r.Attempts)), r.Release.Format(time.RFC3339))
		})
		if err != nil {
			return err
		}
		return out.end("no such messages")
	}
	decide := func(use, short string, flags func(*cobra.Command) func() (daemon.Decision, error)) {
		sub := &cobra.Command{Use: use, Short: short, Args: cobra.MinimumNArgs(1)}
		decision := flags(sub)
		sub.RunE = func(cmd *cobra.Command, ids []string) error {
			d, err := decision()
			if err != nil {
				return err
			}
			env, err := commandEnv(cmd)
			if err != nil {
				return err
			}
			refused := 0
			err = env.Decide(cmd.Context(), d, ids, func(id, why string) {
				if why != "" {
					refused++
					fmt.Fprintf(cmd.OutOrStdout(), "%s: refused: %s\n", id, why)
					return
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: done\n", id)
			})
			if err == nil && refused > 0 {
				return errQuiet
			}
			return err
		}
		cmd.AddCommand(sub)
	}
	fixed := func(d daemon.Decision) func(*cobra.Command) func() (daemon.Decision, error) {
		return func(*cobra.Command) func() (daemon.Decision, error) {
			return func() (daemon.Decision, error) { return d, nil }
		}
	}
	decide("retry ID…", "Send failed messages again", fixed(daemon.DecideRetry))
	decide("drop ID…", "Give waiting messages up", fixed(daemon.DecideDrop))
	decide("resolve ID…", "Say what became of uncertain messages", func(sub *cobra.Command) func() (daemon.Decision, error) {
		as := sub.Flags().String("as", "", "sent (it arrived), failed (it did not) or resend (send it once more, on record)")
		return func() (daemon.Decision, error) {
			switch *as {
			case "sent":
				return daemon.DecideSent, nil
			case "failed":
				return daemon.DecideFailed, nil
			case "resend":
				return daemon.DecideResend, nil
			}
			return "", &misuse{fmt.Errorf("--as %s: it is sent, failed or resend", *as)}
		}
	})
	return cmd
}

func stateNames() string {
	names := make([]string, len(care.States))
	for i, s := range care.States {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

func newPause() *cobra.Command {
	return newStop("pause", "Stop sending: everything, or one program, dealer or channel", true)
}

func newResume() *cobra.Command {
	return newStop("resume", "Go on sending after a pause, or after the brake asked", false)
}

func newStop(use, short string, stop bool) *cobra.Command {
	var scope daemon.Scope
	var restored bool
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		Long: short + ".\nWhat is due meanwhile waits and is not lost, unless it expires. A program and a dealer together name the\nbrake that stands for that dealer's program (resume only). When Redis was restored from a snapshot, messages may\nhave been sent that it does not know of: then nothing goes until resume --restored.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if scope.Channel != "" && !scope.Channel.Known() {
				return &misuse{fmt.Errorf("--channel %s: it is email, sms or webhook", scope.Channel)}
			}
			env, err := commandEnv(cmd)
			if err != nil {
				return err
			}
			if restored && scope != (daemon.Scope{}) {
				return &misuse{errors.New("--restored goes alone: it is about everything")}
			}
			decide := func() (string, error) { return env.Stop(cmd.Context(), scope, stop) }
			if restored {
				decide = func() (string, error) { return env.AcceptRestored(cmd.Context()) }
			}
			said, err := decide()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), said)
			return nil
		},
	}
	cmd.Flags().StringVar(&scope.Program, "program", "", "only this program")
	cmd.Flags().StringVar(&scope.Dealer, "dealer", "", "only this dealer")
	cmd.Flags().StringVar((*string)(&scope.Channel), "channel", "", "only this channel")
	if !stop {
		cmd.Flags().BoolVar(&restored, "restored", false, "go on with a Redis that was restored from a snapshot")
	}
	return cmd
}

func newDoctor() *cobra.Command {
	var callbacks bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check Redis, mail servers, gateways, book and clock: each line ok, or what to do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			env, err := commandEnv(cmd)
			if err != nil {
				return err
			}
			if callbacks {
				return showCallbacks(cmd, env)
			}
			bad := 0
			env.Doctor(cmd.Context(), func(f daemon.Finding) {
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
