package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
	"github.com/spf13/cobra"
)

func newMessages() *cobra.Command {
	var opt operate.MessagesOptions
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
		out, err := newRows(cmd.OutOrStdout(), *format, "ID", "CUSTOMER", "PROGRAM", "STEP", "CHANNEL", "STATE", "REASON", "TRIES", "RELEASE", "PROVIDER SAID")
		if err != nil {
			return err
		}
		service, s, err := act(cmd)
		if err != nil {
			return err
		}
		defer s.close()
		err = service.Messages(cmd.Context(), s.who, opt, func(r care.Record) error {
			return out.add(r, r.ID, r.Customer, r.Program, r.Step, string(r.Channel), string(r.State), r.Reason,
				fmt.Sprint(len(r.Attempts)), r.Release.Format(time.RFC3339), lastWords(&r))
		})
		if err != nil {
			return err
		}
		return out.end("no such messages")
	}
	decide := func(use, short string, flags func(*cobra.Command) func() (operate.Decision, error)) {
		sub := &cobra.Command{Use: use, Short: short, Args: cobra.MinimumNArgs(1)}
		decision := flags(sub)
		sub.RunE = func(cmd *cobra.Command, ids []string) error {
			d, err := decision()
			if err != nil {
				return err
			}
			service, s, err := act(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			refused := 0
			err = service.Decide(cmd.Context(), s.who, d, ids, func(id, why string) {
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
	fixed := func(d operate.Decision) func(*cobra.Command) func() (operate.Decision, error) {
		return func(*cobra.Command) func() (operate.Decision, error) {
			return func() (operate.Decision, error) { return d, nil }
		}
	}
	decide("retry ID…", "Send failed messages again", fixed(operate.DecideRetry))
	decide("drop ID…", "Give waiting messages up", fixed(operate.DecideDrop))
	decide("resolve ID…", "Say what became of uncertain messages", func(sub *cobra.Command) func() (operate.Decision, error) {
		as := sub.Flags().String("as", "", "sent (it arrived), failed (it did not) or resend (send it once more, on record)")
		return func() (operate.Decision, error) {
			switch *as {
			case "sent":
				return operate.DecideSent, nil
			case "failed":
				return operate.DecideFailed, nil
			case "resend":
				return operate.DecideResend, nil
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
	var scope operate.Scope
	var restored bool
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		Long: short + ".\nWhat is due meanwhile waits and is not lost, unless it expires. A program and a dealer together name the\nbrake that stands for that dealer's program (resume only). When Redis was restored from a snapshot, messages may\nhave been sent that it does not know of: then nothing goes until resume --restored.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if scope.Channel != "" && !scope.Channel.Known() {
				return &misuse{fmt.Errorf("--channel %s: it is email, sms or webhook", scope.Channel)}
			}
			if restored && scope != (operate.Scope{}) {
				return &misuse{errors.New("--restored goes alone: it is about everything")}
			}
			service, s, err := act(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			said := stopSaid(scope, stop)
			switch {
			case restored:
				said = "the state in Redis is accepted as it is: every replica goes on within seconds"
				err = service.AcceptRestored(cmd.Context(), s.who)
			case stop:
				err = service.Pause(cmd.Context(), s.who, scope)
			default:
				err = service.Resume(cmd.Context(), s.who, scope)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			return err
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

// stopSaid tells what holds after a pause or a resume.
func stopSaid(scope operate.Scope, stop bool) string {
	name, _ := scope.Name() // what is wrong with it is told when it is used
	switch {
	case stop:
		return name + " is paused: what is due waits until carebell resume, unless it expires"
	case scope.Brake():
		return fmt.Sprintf("%s of dealer %s goes on: its brake is released", scope.Program, scope.Dealer)
	}
	return name + " goes on"
}

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

// lastWords is what the provider said at a message's last attempt.
func lastWords(r *care.Record) string {
	if len(r.Attempts) == 0 {
		return ""
	}
	return r.Attempts[len(r.Attempts)-1].Said
}
