package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/carebell/carebell/config"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make keys",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return &misuse{errors.New("token needs new-key")} },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "new-key",
		Short: "Print a key for CARE_SECRET_KEY, CARE_ADDRESS_KEY or CARE_CONSOLE_TOKEN that nobody can guess",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), config.NewKey())
			return err
		},
	})
	return cmd
}
