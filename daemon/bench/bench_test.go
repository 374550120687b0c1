package bench_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon"
	"github.com/carebell/carebell/daemon/bench"
)

// TestMain lets the test binary be carebell where the bench starts its own program so.
func TestMain(m *testing.M) {
	var err error
	switch words := strings.Join(os.Args[1:], " "); words {
	case "serve":
		err = serve()
	case "bench --endpoint":
		err = bench.Endpoint(context.Background(), os.Stdin, os.Stdout)
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
	for _, name := range bench.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []bench.Result
			err := bench.Run(t.Context(), bench.Options{Only: name, Runs: 1, Messages: 48, Customers: 3000}, func(r bench.Result) error {
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
	if err := bench.Run(t.Context(), bench.Options{Only: "nothing"}, nil); err == nil || !strings.Contains(err.Error(), "email") {
		t.Errorf("an unknown row: %v", err)
	}
	stop := errors.New("enough")
	err := bench.Run(t.Context(), bench.Options{Only: "queue", Runs: 1, Messages: 16}, func(bench.Result) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestMemoryNeedsADaemonThatRunsAndEndsCleanly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return
	}
	for _, program := range []string{"/bin/false", "/bin/true", "/nowhere/carebell"} {
		err := bench.Run(t.Context(), bench.Options{Only: "memory", Program: program, Runs: 1, Messages: 16, Customers: 100}, func(r bench.Result) error {
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
