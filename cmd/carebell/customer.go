package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/operate"
	"github.com/spf13/cobra"
)

func newCustomer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "customer",
		Short: "Show, export or erase what is held of a customer, or allow one who came with an erased address",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &misuse{errors.New("customer needs show, export, erase or allow, and an id")}
		},
	}
	cmd.AddCommand(newCustomerShow(), newCustomerExport(), newCustomerErase(), newCustomerAllow())
	return cmd
}

func newCustomerShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show everything that is held of a customer",
		Args:  cobra.ExactArgs(1),
	}
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *format != "table" && *format != "jsonl" {
			return &misuse{fmt.Errorf("--format %s: it is table or jsonl", *format)}
		}
		d, err := dossier(cmd, args[0])
		if err != nil {
			return err
		}
		if *format == "jsonl" {
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetEscapeHTML(false)
			return enc.Encode(d)
		}
		return showDossier(cmd.OutOrStdout(), d)
	}
	return cmd
}

func newCustomerExport() *cobra.Command {
	return &cobra.Command{
		Use:   "export ID",
		Short: "Write everything that is held of a customer as JSON: the answer to a request for access",
		Long: "Write everything that is held of a customer as one JSON document: the record as it was written, what the customer told us,\n" +
			"every message of the last 400 days, and why each is kept (PIPL art. 45; GDPR arts. 15 and 20).",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := dossier(cmd, args[0])
			if err != nil {
				return err
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			return enc.Encode(d)
		},
	}
}

func dossier(cmd *cobra.Command, id string) (*operate.Dossier, error) {
	service, s, err := act(cmd)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return service.Customer(cmd.Context(), s.who, id)
}

func newCustomerErase() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "erase ID --yes",
		Short: "Erase a customer for good, and never serve them again",
		Long: "Delete what waits for a customer, what became of their messages, their timeline and what they told carebell, and leave a\n" +
			"tombstone, so that they are never served again, also when their record comes back (PIPL art. 47; GDPR art. 17). The\n" +
			"tombstone holds the opt-outs and, as keyed hashes, the dead addresses. It cannot be undone.\n" +
			"Their number and mailbox are remembered as keyed hashes too: a record that comes with one later, under whatever id, is not\n" +
			"served until carebell customer allow says so. Whoever has one today is served on.\n" +
			"The record at care:customer:<id> belongs to the dealership's system and must be deleted there; --record deletes it here too.",
		Args: cobra.ExactArgs(1),
	}
	yes := cmd.Flags().Bool("yes", false, "really do it")
	record := cmd.Flags().Bool("record", false, "delete care:customer:<id> too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !*yes {
			return &misuse{fmt.Errorf("erasing %s cannot be undone: repeat with --yes (carebell customer export %s keeps a copy)", args[0], args[0])}
		}
		service, s, err := act(cmd)
		if err != nil {
			return err
		}
		defer s.close()
		if err := s.keepKey(cmd.Context()); err != nil {
			return err
		}
		done, err := service.Erase(cmd.Context(), s.who, args[0], *record)
		if err != nil {
			return err
		}
		return showErasure(cmd.OutOrStdout(), done)
	}
	return cmd
}

func newCustomerAllow() *cobra.Command {
	return &cobra.Command{
		Use:   "allow ID",
		Short: "Serve a customer who came with the number or mailbox of somebody who was erased",
		Long: "A record that first appears after an erasure with an address of the erased customer is not served (erased), whatever its id: it may\n" +
			"be the same person. carebell hygiene lists such records. This serves the customer from now on: somebody else has the address now,\n" +
			"or the customer came back and wants to hear from you.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			service, s, err := act(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			changed, err := service.Allow(cmd.Context(), s.who, args[0])
			switch {
			case err != nil:
				return err
			case !changed:
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is not held back: no address of theirs is that of an erased customer\n", args[0])
			default:
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is served from now on\n", args[0])
			}
			return err
		},
	}
}

func showErasure(w io.Writer, done *operate.Erasure) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s is erased: a tombstone keeps the customer from being served again\n", done.Customer)
	fmt.Fprintf(&b, "deleted: waiting messages %d, ledger entries %d, message records %d, timeline entries %d, and what the customer told us\n",
		done.Waiting, done.Entries, done.Messages, done.Notes)
	if done.Sending > 0 {
		fmt.Fprintf(&b, "%d more being sent just now: that cannot be called back, and its result is not recorded\n", done.Sending)
	}
	if done.Kept > 0 {
		fmt.Fprintf(&b, "kept in the tombstone: opt-outs and hashes of dead addresses %d\n", done.Kept)
	}
	if done.Unread {
		fmt.Fprintf(&b, "no address of the customer could be read: a keyed hash of one may still lead to the id %s, and to nothing else\n", done.Customer)
	}
	switch done.Record {
	case "kept":
		fmt.Fprintf(&b, "The record at care:customer:%s belongs to the dealership's system: it must be deleted there, else it holds what was erased here\n", done.Customer)
	case "deleted":
		fmt.Fprintf(&b, "The record at care:customer:%s is deleted: delete the customer in the dealership's system too, else it comes back\n", done.Customer)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func showDossier(w io.Writer, d *operate.Dossier) error {
	fmt.Fprintf(w, "%s: all that is held, as of %s\n\nRECORD (written by the dealership's systems)\n", d.Customer, d.ExportedAt.Format(time.RFC3339))
	switch {
	case d.Unreadable != "":
		fmt.Fprintf(w, "no JSON: %q\n", d.Unreadable)
	case len(d.Record) == 0:
		fmt.Fprintln(w, "none")
	default:
		var b bytes.Buffer
		if err := json.Indent(&b, d.Record, "", "  "); err != nil {
			return err
		}
		fmt.Fprintln(w, b.String())
	}
	if d.Withheld {
		fmt.Fprintf(w, "erased: an address is that of somebody who was erased; carebell customer allow %s serves the customer\n", d.Customer)
	}
	for _, f := range d.Defects {
		fmt.Fprintf(w, "defect: %s %s\n", f.Path, f.Message)
	}
	fmt.Fprintln(w, "\nWHAT THE CUSTOMER TOLD US AND WHAT WE FOUND OUT")
	if d.Overlay == nil {
		fmt.Fprintln(w, "nothing")
	} else {
		raw, err := json.MarshalIndent(d.Overlay, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintln(w, string(raw))
	}
	var cells [][]string
	for _, l := range d.Ledger {
		cells = append(cells, []string{l.At.Format(time.RFC3339), l.ID, l.Program + "/" + l.Step, l.Vehicle, string(l.Channel), care.Shown(l.State, l.Reason), l.Reason})
	}
	if err := section(w, []string{"LEDGER", "ID", "MESSAGE", "CAR", "BY", "STATE", "WHY"}, cells); err != nil {
		return err
	}
	cells = nil
	for _, n := range d.Notes {
		cells = append(cells, []string{n.At.Format(time.RFC3339), n.Kind, n.Value, n.Program, n.Reason})
	}
	if err := section(w, []string{"TIMELINE", "WHAT", "VALUE", "PROGRAM", "WHY"}, cells); err != nil {
		return err
	}
	cells = nil
	for _, m := range d.Messages {
		for _, a := range m.Attempts {
			cells = append(cells, []string{a.At.Format(time.RFC3339), m.ID, string(a.Channel), a.Gateway, string(a.Kind), a.Code, a.Provider, a.Said})
		}
	}
	return section(w, []string{"ATTEMPT", "ID", "BY", "GATEWAY", "FAULT", "CODE", "PROVIDER'S ID", "IT SAID"}, cells)
}
