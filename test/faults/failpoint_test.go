//go:build e2e || faults

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/sink"
	"github.com/carebell/carebell/test/sink/serve"
)

// The fail points are no part of what is delivered.
func TestTheBinaryHasNoFailPoints(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{binary: false, failing: true} {
		program, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []string{"CAREBELL_FAILPOINT", "CAREBELL_CLOCK", "daemon.crashing"} {
			if got := bytes.Contains(program, []byte(sign)); got != want {
				t.Errorf("%s holds %s: %v, want %v", filepath.Base(file), sign, got, want)
			}
		}
	}
}

// step is a step of a hand-over, after which the process dies, and what must be on record then and in the end.
type step struct {
	name  string
	point string // of CAREBELL_FAILPOINT
	at    string // where the sink kills instead
	crash books
	email books // after the lease has ended: policy resend
	sms   books // policy hold
}

// books are a message on both sides.
type books struct {
	state    care.State
	attempts int
	repeats  int
	accepts  int
}

var (
	untouched = books{care.StateClaimed, 0, 0, 0}
	begun     = books{care.StateSending, 0, 0, 0} // nobody knows that nothing arrived
	accepted  = books{care.StateSending, 0, 0, 1} // nobody here knows
	sentOnce  = books{care.StateSent, 1, 0, 1}
	sentAgain = books{care.StateSent, 2, 1, 1}
	sentTwice = books{care.StateSent, 2, 1, 2}
	heldNone  = books{care.StateUncertain, 1, 0, 0}
	heldOne   = books{care.StateUncertain, 1, 0, 1}
)

var steps = []step{
	{name: "claim", point: "claim", crash: untouched, email: sentOnce, sms: sentOnce},
	{name: "intent", point: "intent", crash: begun, email: sentAgain, sms: heldNone},
	{name: "first byte", point: "none", at: serve.AtFirstByte, crash: begun, email: sentAgain, sms: heldNone},
	{name: "last byte", point: "none", at: serve.AtBody, crash: accepted, email: sentTwice, sms: heldOne},
	{name: "yes", point: "yes", crash: accepted, email: sentTwice, sms: heldOne},
	{name: "settle", point: "settle", crash: sentOnce, email: sentOnce, sms: sentOnce},
}

// victim is a message that was in hand when a process died.
type victim struct {
	step    step
	channel care.Channel
}

// after is what must be in the books of a victim in the end.
func (v victim) after() books {
	if v.channel == care.SMS {
		return v.step.sms
	}
	return v.step.email
}

// crash is one process that is to die with its nth message in hand.
type crash struct {
	victim
	nth int
}

// Each process takes one message after another and dies with the first, second or third of them in hand. The leases are so long that
// all messages stay as the crashes have left them until they have been looked at; then the binary that is delivered goes on.
func TestRow3FailPoints(t *testing.T) {
	t.Parallel()
	each, leaseFor, most := pick(8, 100), pick(20*time.Second, 75*time.Second), pick(48, 400)
	channels := []care.Channel{care.Email, care.SMS}
	h := newHouse(t, houseOptions{channels: channels, env: []string{"CARE_LEASE=" + leaseFor.String()}})
	var todo []crash
	for i := range each {
		for _, s := range steps {
			todo = append(todo, crash{victim{s, channels[i%2]}, 1 + i/2%3})
		}
	}
	count, groups, wrong := len(todo), 0, 0
	for ; len(todo) > 0; groups++ {
		done, bad := h.crashes(todo[:min(most, len(todo))], leaseFor)
		todo, wrong = todo[done:], wrong+bad
	}
	f := h.judge("3", fmt.Sprintf("%d crashes, %d after each of %d steps, half of them with an e-mail (resend) and half with an SMS (hold); not in the exact state at the crash or in the end %d",
		count, each, len(steps), wrong))
	// Of the steps with an outcome that nobody knows, an SMS stays uncertain, and an e-mail goes again; of two of them it had arrived.
	if f.Uncertain != 4*each/2 || f.Repeats != 4*each/2 || f.Duplicates != 2*each/2 || f.Sent != f.Planned-f.Uncertain {
		t.Errorf("want %d uncertain, %d repeats, %d duplicates and the others sent", 4*each/2, 4*each/2, each)
	}
}

// crashes plans what a group of crashes needs, has them happen while the leases last, and looks at the books then and after the leases
// have ended. It returns how many of them have happened, and how many messages were in another state than the expected one.
func (h *house) crashes(group []crash, leaseFor time.Duration) (done, wrong int) {
	h.t.Helper()
	h.release()
	for _, ch := range []care.Channel{care.Email, care.SMS} {
		n := 2 // the planner sends one of each channel
		for _, c := range group {
			if c.channel == ch {
				n += c.nth
			}
		}
		h.customers(n, ch, false)
	}
	planner := h.serve("CARE_SMTP_RATE=0.001", "CARE_SMS_RATE=0.001")
	h.awaitPlanned(time.Minute)
	planner.term(10 * time.Second)

	victims := map[string]victim{}
	start := time.Now()
	for _, c := range group {
		if time.Since(start) > leaseFor*7/10 { // this machine is slow today: the rest is for the next group
			break
		}
		id := h.die(c)
		if _, twice := victims[id]; twice {
			h.t.Fatalf("%s was taken by two processes", id)
		}
		victims[id] = c.victim
		done++
	}
	h.sink.Set(sink.Faults{})
	wrong = h.look("at the crash", victims, func(v victim) books { return v.step.crash })
	if took := time.Since(start); took > leaseFor {
		h.t.Errorf("looked at the crashes after %v: the first leases had ended", took)
	}
	r := h.serve()
	h.awaitDrained(leaseFor + time.Minute)
	r.term(25 * time.Second)
	return done, wrong + h.look("in the end", victims, victim.after)
}

var takes = regexp.MustCompile(`a message meets the fail point.* n=(\d+) message=(\w+)`)

// die runs a process until it dies at its fail point, and returns the message that it had in hand.
func (h *house) die(c crash) string {
	h.t.Helper()
	pid := filepath.Join(h.t.TempDir(), "pid")
	faults := sink.Faults{}
	if kill := (sink.When{After: c.nth - 1, Times: 1}); c.step.at != "" {
		faults.SMTP = []sink.SMTPFault{{At: c.step.at, Do: serve.DoKill, PIDFile: pid, When: kill}}
		at := c.step.at
		if at == serve.AtBody {
			at = "" // the whole request
		}
		faults.HTTP = []sink.HTTPFault{{At: at, Do: serve.DoKill, PIDFile: pid, When: kill}}
	}
	h.sink.Set(faults)
	ctx, cancel := context.WithTimeout(h.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, failing, "serve")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, h.env...)
	cmd.Env = append(cmd.Env, "CARE_LISTEN=127.0.0.1:0", "CARE_PUBLIC_LISTEN=127.0.0.1:0", "CARE_PUBLIC_URL=https://care.example",
		fmt.Sprintf("CAREBELL_FAILPOINT=%s:%s:%d", c.step.point, c.channel, c.nth))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(pid, fmt.Appendln(nil, cmd.Process.Pid), 0o644); err != nil {
		h.t.Fatal(err)
	}
	var exit *exec.ExitError
	err := cmd.Wait()
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || ctx.Err() != nil {
		h.t.Fatalf("%s of %s: the process ended with %v (%v), want SIGKILL by itself or the sink:\n%s", c.step.name, c.channel, err, ctx.Err(), last(log.String()))
	}
	taken := takes.FindAllStringSubmatch(log.String(), -1)
	if len(taken) != c.nth || taken[c.nth-1][1] != fmt.Sprint(c.nth) {
		h.t.Fatalf("%s of %s: it took %d messages, want %d:\n%s", c.step.name, c.channel, len(taken), c.nth, last(log.String()))
	}
	return taken[c.nth-1][2]
}

// look compares the books with what they must say of the victims, and of all others: sent, or not tried yet.
func (h *house) look(when string, victims map[string]victim, want func(victim) books) (wrong int) {
	h.t.Helper()
	accepts, seen := h.accepts(), 0
	for _, rec := range h.records() {
		v, ours := victims[rec.ID]
		if !ours {
			continue
		}
		seen++
		got := books{rec.State, len(rec.Attempts), rec.Repeats, accepts[rec.ID+"-"+string(v.channel)]}
		if w := want(v); got != w {
			wrong++
			h.t.Errorf("a crash after %s of %s, %s: %+v, want %+v (%s, attempts %+v)", v.step.name, v.channel, when, got, w, rec.ID, rec.Attempts)
		}
	}
	if seen != len(victims) {
		h.t.Errorf("%s: %d victims on record, want %d", when, seen, len(victims))
	}
	return wrong
}
