package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/insight"
	"github.com/carebell/carebell/store"
	"github.com/carebell/carebell/store/redistest"
	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be carebell when a script calls it so: what runs is run itself, with its exit status.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"carebell": func() { os.Exit(run(os.Args[1:])) }})
}

// updateScripts writes what a command printed into the script that compares it.
var updateScripts = os.Getenv("CAREBELL_UPDATE_SCRIPTS") != ""

func TestScripts(t *testing.T) {
	t.Parallel()
	address := redistest.Run(t, "--appendonly", "yes", "--databases", "64").Addr
	var databases atomic.Int32
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: updateScripts, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			// Each script has a Redis of its own: a database that nobody else uses.
			env.Setenv("REDIS", fmt.Sprintf("redis://%s/%d", address, databases.Add(1)))
			env.Setenv("LANG", "en_US.UTF-8")
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "redis": redisCommand, "deliver": deliver, "message": message,
		},
	})
}

// exits N COMMAND… runs a command and fails unless its exit status is N.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with status %d, want %d", args[1], got, want)
	}
}

func client(ts *testscript.TestScript) *redis.Client {
	opt, err := redis.ParseURL(ts.Getenv("REDIS"))
	ts.Check(err)
	return redis.NewClient(opt)
}

// redis set KEY FILE, get KEY, hset HASH FIELD FILE, hgetall HASH, gone KEY, len STREAM: what the dealership's system would do, or see.
func redisCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: redis set KEY FILE | get KEY | hset HASH FIELD FILE | hgetall HASH | gone KEY | len STREAM")
	}
	c := client(ts)
	defer func() { _ = c.Close() }()
	ctx := context.Background()
	switch args[0] {
	case "set":
		ts.Check(c.Set(ctx, args[1], ts.ReadFile(args[2]), 0).Err())
	case "get":
		v, err := c.Get(ctx, args[1]).Result()
		ts.Check(err)
		_, _ = fmt.Fprintln(ts.Stdout(), v)
	case "hset":
		ts.Check(c.HSet(ctx, args[1], args[2], ts.ReadFile(args[3])).Err())
	case "hgetall":
		all, err := c.HGetAll(ctx, args[1]).Result()
		ts.Check(err)
		for field, v := range all {
			_, _ = fmt.Fprintln(ts.Stdout(), field, v)
		}
	case "gone":
		n, err := c.Exists(ctx, args[1]).Result()
		ts.Check(err)
		if n != 0 {
			ts.Fatalf("%s is still there", args[1])
		}
	case "len":
		n, err := c.XLen(ctx, args[1]).Result()
		ts.Check(err)
		_, _ = fmt.Fprintln(ts.Stdout(), n)
	default:
		ts.Fatalf("redis %s: unknown", args[0])
	}
}

// message VARIABLE CUSTOMER puts the id of the customer's only message into a variable.
func message(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: message VARIABLE CUSTOMER")
	}
	ctx := context.Background()
	st, err := store.Open(ctx, store.Options{URL: ts.Getenv("REDIS"), AllowUnsafe: true, Reader: true})
	ts.Check(err)
	defer st.Close()
	found, err := st.Messages(ctx, store.Filter{Customer: args[1]})
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s has %d messages, want one", args[1], len(found))
	}
	ts.Setenv(args[0], found[0].ID)
}

// deliver DAY sends what is due on a day: everything that the plan of that day says will go is queued, claimed, begun and recorded as
// sent. With "queue" behind the day it is only queued, with "begin" the daemon crashes in the middle of sending, with "failed" or
// "uncertain" that is the outcome.
func deliver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: deliver DAY [queue | begin | failed | uncertain]")
	}
	day, err := care.ParseDate(args[0])
	ts.Check(err)
	ctx := context.Background()
	now := day.At(23, 0, time.UTC)
	st, err := store.Open(ctx, store.Options{URL: ts.Getenv("REDIS"), AllowUnsafe: true, Clock: func() time.Time { return now }})
	ts.Check(err)
	defer st.Close()
	clock := func() time.Time { return now }
	service := insight.Service{Store: st, Now: clock, Book: func() (*carebook.Compiled, error) {
		return carebook.Open(carebook.FromSettings(&config.Settings{}, "", clock))
	}}
	opt := insight.PlanOptions{Period: insight.Period{From: insight.Moment{Date: day}, To: insight.Moment{Date: day.AddDays(1)}}}
	plan, err := service.Occurrences(ctx, care.CommandLine(), opt)
	ts.Check(err)
	for _, o := range plan {
		if o.Verdict == care.Send {
			_, err := st.Apply(ctx, []care.Change{{Customer: o.Customer, Add: []*care.Occurrence{o}}})
			ts.Check(err)
		}
	}
	if len(args) > 1 && args[1] == "queue" {
		return
	}
	claims, err := st.Claim(ctx, care.Lanes, 100, time.Minute)
	ts.Check(err)
	if len(claims) == 0 {
		ts.Fatalf("nothing was due on %s", day)
	}
	outcome := care.StateSent
	if len(args) > 1 {
		outcome = care.State(args[1])
	}
	if outcome == "begin" {
		for _, c := range claims {
			_, err := st.Begin(ctx, []care.Intent{{Claim: c, At: now}})
			ts.Check(err)
		}
		return
	}
	recordOutcome(ctx, ts, st, claims, outcome, now)
}

func recordOutcome(ctx context.Context, ts *testscript.TestScript, st *store.Store, claims []*care.Claim, outcome care.State, now time.Time) {
	intents := make([]care.Intent, len(claims))
	results := make([]care.Result, len(claims))
	for i, c := range claims {
		intents[i] = care.Intent{Claim: c, At: now}
	}
	begun, err := st.Begin(ctx, intents)
	ts.Check(err)
	for i, c := range claims {
		if !begun[i] {
			ts.Fatalf("the claim of %s was lost", c.Record.ID)
		}
		r := c.Record
		r.State, r.UpdatedAt, r.FirstTry = outcome, now, now
		r.Attempts = append(r.Attempts, care.Attempt{N: 1, At: now, Channel: r.Channel, Gateway: "test"})
		results[i] = care.Result{Claim: c, Record: r}
	}
	_, err = st.Complete(ctx, results)
	ts.Check(err)
}
