package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/store"
	"github.com/spf13/cobra"
)

const stopLong = ".\nWhat is due meanwhile waits and is not lost, unless it expires. "

func scopeFlags(cmd *cobra.Command, scope *operate.Scope) {
	cmd.Flags().StringVar(&scope.Program, "program", "", "only this program")
	cmd.Flags().StringVar(&scope.Dealer, "dealer", "", "only this dealer")
	cmd.Flags().StringVar((*string)(&scope.Channel), "channel", "", "only this channel")
}

func checkScope(scope operate.Scope) error {
	if scope.Channel != "" && !scope.Channel.Known() {
		return &misuse{fmt.Errorf("--channel %s: it is email, sms or webhook", scope.Channel)}
	}
	return nil
}

func newPause() *cobra.Command {
	var scope operate.Scope
	const short = "Stop sending: everything, or one program, dealer or channel"
	cmd := &cobra.Command{Use: "pause", Short: short, Args: cobra.NoArgs, Long: short + stopLong}
	scopeFlags(cmd, &scope)
	reason := cmd.Flags().String("reason", "", "why, for whoever finds it paused")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkScope(scope); err != nil {
			return err
		}
		service, s, err := act(cmd)
		if err != nil {
			return err
		}
		defer s.close()
		fresh, err := service.Pause(cmd.Context(), s.who, scope, *reason)
		if err != nil {
			return err
		}
		name, _ := scope.Name()
		what := " is paused"
		if !fresh {
			what = " was paused before"
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), name+what+": what is due waits until carebell resume, unless it expires")
		return err
	}
	return cmd
}

func newResume() *cobra.Command {
	var scope operate.Scope
	const short = "Go on sending after a pause, or after the brake asked"
	cmd := &cobra.Command{
		Use: "resume", Short: short, Args: cobra.NoArgs,
		Long: short + ".\nWithout a scope it lists all that is stopped and lifts it; where there is more than one thing it asks first. A program and a\n" +
			"dealer together name the brake that stands for that dealer's program. When Redis was restored from a snapshot, messages may\n" +
			"have been sent that it does not know of: then nothing goes until resume --restored.",
	}
	scopeFlags(cmd, &scope)
	restored := cmd.Flags().Bool("restored", false, "go on with a Redis that was restored from a snapshot")
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkScope(scope); err != nil {
			return err
		}
		if *restored && scope != (operate.Scope{}) {
			return &misuse{errors.New("--restored goes alone: it is about everything")}
		}
		service, s, err := act(cmd)
		if err != nil {
			return err
		}
		defer s.close()
		var said string
		switch {
		case *restored:
			said = "the state in Redis is accepted as it is: every replica goes on within seconds"
			err = service.AcceptRestored(cmd.Context(), s.who)
		case scope == operate.Scope{}:
			return resumeAll(cmd, service, s, *yes)
		default:
			said, err = resumeOne(cmd.Context(), service, s, scope)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
		return err
	}
	return cmd
}

func resumeOne(ctx context.Context, service *operate.Service, s *session, scope operate.Scope) (said string, err error) {
	was, err := service.Resume(ctx, s.who, scope)
	if err != nil {
		return "", err
	}
	name, _ := scope.Name() // two things together are a brake, or were refused
	switch {
	case scope.Brake():
		return fmt.Sprintf("%s of dealer %s goes on: its brake is released", scope.Program, scope.Dealer), nil
	case !was:
		return name + " was not paused", nil
	}
	return name + " goes on", nil
}

// resumeAll lists what is stopped and lifts it. A single stop leaves nothing to ask about.
func resumeAll(cmd *cobra.Command, service *operate.Service, s *session, yes bool) error {
	stopped, err := service.Stopped(cmd.Context(), s.who)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if len(stopped) == 0 {
		_, err := fmt.Fprintln(out, "nothing is paused")
		return err
	}
	cells := make([][]string, len(stopped))
	for i, stop := range stopped {
		cells[i] = []string{stop.Scope, stop.At.Local().Format(time.DateTime), cmp.Or(stop.By, "carebell"), stopReason(&stop)}
	}
	if err := printTable(out, []string{"STOPPED", "SINCE", "BY", "REASON"}, cells); err != nil {
		return err
	}
	if err := sure(cmd, yes || len(stopped) == 1, fmt.Sprintf("%d things are stopped: let all go on?", len(stopped))); err != nil {
		return err
	}
	if err := service.ResumeAll(cmd.Context(), s.who, stopped); err != nil {
		return err
	}
	for _, stop := range stopped {
		fmt.Fprintln(out, stop.Scope+" goes on")
	}
	return nil
}

func stopReason(stop *store.Stop) string {
	if stop.Planned > 0 {
		return fmt.Sprintf("%d planned for a day, %d may go, %d wait", stop.Planned, stop.Allowed, stop.Held)
	}
	return stop.Reason
}
