// Command carebell keeps in touch with a dealership's customers the way a good service advisor would. Run carebell -h.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // only to silence it: see run
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones without a zoneinfo folder: the binary alone is enough, in a container from scratch too

	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/store"
	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

// The exit codes of design A7.
const (
	exitDone   = 0
	exitFailed = 1
	exitMisuse = 64 // EX_USAGE of sysexits.h: 2 is what a Go program that has crashed says
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	// net/http writes what a server says unasked on an idle connection to the standard logger, and there is no other way to keep it out of
	// the log: it may hold a customer's data. carebell itself logs by slog.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errQuiet):
		return exitFailed
	}
	fmt.Fprintln(os.Stderr, "carebell: "+err.Error())
	if _, ok := errors.AsType[*misuse](err); ok {
		return exitMisuse
	}
	if _, ok := errors.AsType[*config.Mistake](err); ok || errors.Is(err, store.ErrURL) {
		fmt.Fprintln(os.Stderr, "run carebell serve -h for all settings")
		return exitMisuse
	}
	return exitFailed
}

// errQuiet ends a command that has said itself what is wrong.
var errQuiet = errors.New("failed")

// misuse is a command line that cannot be understood.
type misuse struct{ err error }

func (m *misuse) Error() string {
	return m.err.Error() + "\nrun carebell -h for the commands and their flags"
}
func (m *misuse) Unwrap() error { return m.err }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "carebell",
		Short:         "Care reminders for car dealerships: by e-mail, SMS and webhook, once, on time, with consent",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &misuse{err} })
	root.AddCommand(
		newServe(), newDemo(), newInit(), newLint(), newImport(), newPlan(), newForecast(), newExplain(), newHygiene(), newCustomer(), newToken(), newPreview(), newSend(), newMessages(), newTasks(),
		newPause(), newResume(), newDoctor(), newHealthcheck(), newVersion(),
	)
	for _, c := range root.Commands() {
		checkArgs(c)
	}
	args := root.Args
	root.Args = func(cmd *cobra.Command, a []string) error { return asMisuse(args(cmd, a)) }
	return root
}

// checkArgs makes a wrong number of arguments a misuse, in every command below c.
func checkArgs(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(cmd *cobra.Command, a []string) error { return asMisuse(args(cmd, a)) }
	}
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
}

func asMisuse(err error) error {
	if err == nil {
		return nil
	}
	return &misuse{err}
}
