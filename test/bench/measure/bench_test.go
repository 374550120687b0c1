package measure_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/test/bench/measure"
)

// TestMain lets the test binary be carebell where the bench starts its own program so.
func TestMain(m *testing.M) {
	var err error
	switch words := strings.Join(os.Args[1:], " "); words {
	case "serve":
		err = serve()
	case "--endpoint":
		err = measure.Endpoint(context.Background(), os.Stdin, os.Stdout)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	settings, err := config.FromEnv()
	if err != nil {
		return err
	}
	if err := settings.ForServe(); err != nil {
		return err
	}
	env := &daemon.Env{Settings: settings, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Now: time.Now, Version: "test"}
	return env.Serve(ctx, nil)
}

// TestEveryRow makes each row do a little work: it must come with its figures and its limit, or say what to install. How fast
// anything was is no business of a test.
func TestEveryRow(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range measure.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []measure.Result
			err := measure.Run(t.Context(), measure.Options{Only: name, Program: self, Runs: 1, Messages: 48, Customers: 3000}, func(r measure.Result) error {
				got = append(got, r)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0].Row != name {
				t.Fatalf("got %+v", got)
			}
			r := got[0]
			if r.Runs == 0 {
				if name == "memory" && runtime.GOOS != "linux" {
					return
				}
				if !strings.Contains(r.Note, "apt-get install") {
					t.Errorf("it was not measured and does not say what to install: %q", r.Note)
				}
				return
			}
			if r.Ours <= 0 || r.Score <= 0 || r.Low > r.Score || r.High < r.Score || r.Meets == "" || r.Against != "" && r.Limit <= 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRunRefusesUnknownRowsAndStopsAtAnError(t *testing.T) {
	t.Parallel()
	if err := measure.Run(t.Context(), measure.Options{Only: "nothing"}, nil); err == nil || !strings.Contains(err.Error(), "email") {
		t.Errorf("an unknown row: %v", err)
	}
	stop := errors.New("enough")
	err := measure.Run(t.Context(), measure.Options{Only: "queue", Runs: 1, Messages: 16}, func(measure.Result) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// TestRunGivesEachRowAProcess has a script for carebell, which says how it was called and fails at the row due.
func TestRunGivesEachRowAProcess(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "carebell")
	script := `#!/bin/sh
[ "$2" = due ] && exit 3
echo "{\"row\": \"$2\", \"runs\": 1, \"note\": \"$*\"}"
`
	syscall.ForkLock.RLock() // a child forked by a test beside this one would hold the file open, and what is written to cannot be run
	err := os.WriteFile(program, []byte(script), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	before := measure.Names()[:slices.Index(measure.Names(), "due")]
	var rows, told []string
	opt := measure.Options{Bench: program, Program: "/bin/carebell", Quick: true, Messages: 70, Progress: func(what string, done, total int64) {
		told = append(told, fmt.Sprintf("%s %d/%d", what, done, total))
	}}
	err = measure.Run(t.Context(), opt, func(r measure.Result) error {
		rows = append(rows, r.Row)
		if want := "--only " + r.Row + " --format jsonl --program /bin/carebell --runs 2 --customers 50000 --messages 70"; r.Note != want {
			t.Errorf("called with %q, want %q", r.Note, want)
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "row due") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("the error does not say which row failed, and how: %v", err)
	}
	if !slices.Equal(rows, before) {
		t.Errorf("got the rows %v, want those before due: %v", rows, before)
	}
	if want := fmt.Sprintf("due %d/%d", len(before), len(measure.Names())); len(told) != len(before)+1 || told[len(told)-1] != want {
		t.Errorf("told of %v, want %s as the last", told, want)
	}
}

func TestMemoryNeedsADaemonThatRunsAndEndsCleanly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return
	}
	for _, program := range []string{"/bin/false", "/bin/true", "/nowhere/carebell"} {
		err := measure.Run(t.Context(), measure.Options{Only: "memory", Program: program, Runs: 1, Messages: 16, Customers: 100}, func(r measure.Result) error {
			if r.Runs == 0 && strings.Contains(r.Note, "apt-get install") {
				return errors.New(r.Note)
			}
			t.Errorf("%s was measured: %+v", program, r)
			return nil
		})
		if err == nil {
			t.Errorf("%s: no error", program)
		}
	}
}
