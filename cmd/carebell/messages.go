package main

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/operate"
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
	filterFlags(cmd, &opt)
	cmd.Flags().StringVar(&opt.Customer, "customer", "", "only this customer's")
	cmd.Flags().IntVar(&opt.Limit, "limit", 1000, "at most so many, the newest first; 0: all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkFilter(&opt); err != nil {
			return err
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
			return out.add(r, r.ID, r.Customer, r.Program, r.Step, string(r.Channel), care.Shown(r.State, r.Reason), r.Reason,
				fmt.Sprint(len(r.Attempts)), r.Release.Format(time.RFC3339), r.LastWords())
		})
		if err != nil {
			return err
		}
		return out.end("no such messages")
	}
	retry := newDecide("retry [ID…]", "Send failed messages again", operate.DecideRetry)
	retry.cmd.Flags().BoolVar(&retry.expired, "even-expired", false, "also those that have expired: they go within a day")
	drop := newDecide("drop [ID…]", "Give waiting messages up", operate.DecideDrop)
	resolve := newDecide("resolve [ID…]", "Say what became of uncertain messages", "")
	resolve.cmd.Flags().StringVar((*string)(&resolve.decision), "as", "", "sent (it arrived), failed (it did not) or resend (send it once more, on record)")
	cmd.AddCommand(retry.cmd, drop.cmd, resolve.cmd)
	return cmd
}

// filterFlags adds what messages are selected by.
func filterFlags(cmd *cobra.Command, opt *operate.MessagesOptions) {
	f := cmd.Flags()
	f.StringVar((*string)(&opt.State), "state", "", "only this state: "+stateNames())
	f.StringVar(&opt.Program, "program", "", "only this program's")
	f.StringVar(&opt.Dealer, "dealer", "", "only this dealer's")
	f.StringVar((*string)(&opt.Channel), "channel", "", "only this channel: email, sms or webhook")
	f.StringVar(&opt.Code, "code", "", "only those whose last attempt ended with this code of the provider's")
	f.StringVar(&opt.Reason, "reason", "", "only those with this reason")
}

func checkFilter(opt *operate.MessagesOptions) error {
	switch {
	case opt.State != "" && !slices.Contains(care.States, opt.State):
		return &misuse{fmt.Errorf("--state %s: it is one of %s", opt.State, stateNames())}
	case opt.Channel != "" && !opt.Channel.Known():
		return &misuse{fmt.Errorf("--channel %s: it is email, sms or webhook", opt.Channel)}
	case opt.Limit < 0:
		return &misuse{fmt.Errorf("--limit %d: it is 0 or more", opt.Limit)}
	}
	return nil
}

func stateNames() string {
	names := make([]string, len(care.States))
	for i, s := range care.States {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// decide is a command that decides about messages: those whose ids it is given, or those that a filter selects.
type decide struct {
	cmd      *cobra.Command
	decision operate.Decision
	opt      operate.MessagesOptions
	yes      bool
	expired  bool // those too
}

func newDecide(use, short string, decision operate.Decision) *decide {
	d := &decide{decision: decision}
	d.cmd = &cobra.Command{
		Use: use, Short: short, RunE: d.run,
		Long: short + ": those with the ids that are given, or all with what they have in common. What a filter selects is counted\nand asked about first; --yes answers for a script.",
	}
	filterFlags(d.cmd, &d.opt)
	d.cmd.Flags().BoolVar(&d.yes, "yes", false, "do not ask")
	return d
}

func (d *decide) run(cmd *cobra.Command, ids []string) error {
	if d.expired {
		d.decision = operate.DecideReopen
	}
	switch {
	case !slices.Contains([]operate.Decision{operate.DecideRetry, operate.DecideReopen, operate.DecideDrop, operate.DecideSent, operate.DecideFailed, operate.DecideResend}, d.decision):
		return &misuse{fmt.Errorf("--as %s: it is sent, failed or resend", d.decision)}
	case len(ids) > 0 && d.opt != (operate.MessagesOptions{}):
		return &misuse{errors.New("name ids or a filter, not both")}
	case len(ids) == 0 && d.opt == (operate.MessagesOptions{}):
		return &misuse{operate.ErrNoFilter}
	}
	if err := checkFilter(&d.opt); err != nil {
		return err
	}
	service, s, err := act(cmd)
	if err != nil {
		return err
	}
	defer s.close()
	single := len(ids) > 0
	if !single {
		if ids, err = d.choose(cmd, service, s.who); err != nil || len(ids) == 0 {
			return err
		}
	}
	refused := 0
	err = service.Decide(cmd.Context(), s.who, d.decision, ids, func(id, why string) {
		switch {
		case why != "":
			refused++
			fmt.Fprintf(cmd.OutOrStdout(), "%s: refused: %s\n", id, why)
		case single:
			fmt.Fprintf(cmd.OutOrStdout(), "%s: done\n", id)
		}
	})
	if err != nil {
		return err
	}
	if !single {
		fmt.Fprintf(cmd.OutOrStdout(), "done: %d of %d\n", len(ids)-refused, len(ids))
	}
	if refused > 0 {
		return errQuiet
	}
	return nil
}

// choose counts what the filter selects and asks whether it is meant.
func (d *decide) choose(cmd *cobra.Command, service *operate.Service, who care.Principal) ([]string, error) {
	found, err := service.Select(cmd.Context(), who, d.decision, d.opt)
	if err != nil {
		return nil, err
	}
	out := cmd.OutOrStdout()
	if len(found.IDs) == 0 {
		_, err := fmt.Fprintln(out, "no such messages")
		return nil, err
	}
	cells := make([][]string, len(found.Groups))
	for i, g := range found.Groups {
		cells[i] = []string{fmt.Sprint(g.Count), g.Program, string(g.Channel), care.Shown(g.State, g.Reason), g.Reason}
	}
	if err := printTable(out, []string{"MESSAGES", "PROGRAM", "CHANNEL", "STATE", "REASON"}, cells); err != nil {
		return nil, err
	}
	verb := map[operate.Decision]string{
		operate.DecideRetry: "send them again", operate.DecideReopen: "send them again", operate.DecideDrop: "give them up", operate.DecideSent: "record them as sent",
		operate.DecideFailed: "record them as failed", operate.DecideResend: "send them once more",
	}[d.decision]
	return found.IDs, sure(cmd, d.yes, fmt.Sprintf("%d messages: %s?", len(found.IDs), verb))
}

// sure asks a question, which --yes answers; a no is errQuiet.
func sure(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	if !onTerminal(cmd.InOrStdin()) {
		return &misuse{fmt.Errorf("%s There is no terminal to ask on, and nothing was changed: repeat with --yes", question)}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s [y/N] ", question)
	answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if word := strings.ToLower(strings.TrimSpace(answer)); word == "y" || word == "yes" {
		return nil
	}
	fmt.Fprintln(cmd.OutOrStdout(), "nothing was changed")
	return errQuiet
}
