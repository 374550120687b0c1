package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/carebell/carebell/service/operate"
	"github.com/spf13/cobra"
)

var errNoCall = errors.New("there is no such call that is due: look at carebell tasks")

func newTasks() *cobra.Command {
	cmd := &cobra.Command{Use: "tasks", Short: "List the calls that are due, or say what came of one", Args: cobra.NoArgs}
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out, err := newRows(cmd.OutOrStdout(), *format, "KEY", "SINCE", "CUSTOMER", "VEHICLE", "PROGRAM", "STEP", "SAY")
		if err != nil {
			return err
		}
		service, s, err := act(cmd)
		if err != nil {
			return err
		}
		defer s.close()
		calls, err := service.Calls(cmd.Context(), s.who)
		if err != nil {
			return err
		}
		for i := range calls {
			c := &calls[i]
			say := c.Script
			if c.Value != "" {
				say = "(" + c.Value + ") " + say
			}
			if err := out.add(c.EventEntry, c.Key, c.At.Format(time.RFC3339), c.Customer, c.Vehicle, c.Program, c.Step, strings.Join(strings.Fields(say), " ")); err != nil {
				return err
			}
		}
		return out.end("no calls are due")
	}
	var outcome string
	done := &cobra.Command{Use: "done KEY", Short: "Close a call with what came of it", Args: cobra.ExactArgs(1)}
	done.Flags().StringVar(&outcome, "as", "", strings.Join(operate.CallOutcomes, ", "))
	done.RunE = func(cmd *cobra.Command, args []string) error {
		service, s, err := act(cmd)
		if err != nil {
			return err
		}
		defer s.close()
		closed, err := service.CloseCall(cmd.Context(), s.who, args[0], outcome)
		if err == nil && !closed {
			err = errNoCall
		}
		if err == nil {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "closed:", outcome)
		}
		return err
	}
	cmd.AddCommand(done)
	return cmd
}
