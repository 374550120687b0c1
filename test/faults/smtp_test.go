//go:build e2e || faults

package faults

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/sink"
	"github.com/carebell/carebell/test/sink/serve"
)

// outcome is what a message looks like after its first answer.
type outcome struct {
	state care.State
	kind  care.Kind // of the last attempt
}

// tell plans one message, and returns its record once it has been tried.
func (h *house) tell(ch care.Channel) care.Record {
	h.t.Helper()
	id := h.customers(1, ch, true)[0]
	var rec care.Record
	h.eventually(20*time.Second, "the message is tried", func() error {
		for _, r := range h.records("--customer", id) {
			// A refusal waits a moment for what comes after it: it may be about us.
			if len(r.Attempts) > 0 && r.State != care.StateSending && r.Reason != "refused" {
				rec = r
				return nil
			}
		}
		return fmt.Errorf("it is not")
	})
	return rec
}

func (o outcome) check(t *testing.T, name string, rec care.Record) {
	t.Helper()
	got := outcome{rec.State, rec.Attempts[len(rec.Attempts)-1].Kind}
	if got != o {
		t.Errorf("%s: %s after %+v, want %s after %q", name, rec.State, rec.Attempts, o.state, o.kind)
	}
}

// newConnections has the sink drop its SMTP connections, so that the next message meets a new one, and returns when it serves again.
func (h *house) newConnections() {
	h.t.Helper()
	h.sink.Down("smtp", 20*time.Millisecond)
	h.eventually(5*time.Second, "the sink serves again", func() error {
		conn, err := net.Dial("tcp", h.sink.SMTPAddr())
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func TestRow24FaultsOfSMTP(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	r := h.serve()
	h.leads([]*replica{r}, 10*time.Second)
	again := outcome{care.StateRetry, care.KindRetry}
	sent := outcome{care.StateSent, ""}
	once := sink.When{Times: 1}
	cases := 0
	try := func(name string, want outcome, f sink.SMTPFault) care.Record {
		t.Helper()
		cases++
		h.newConnections()
		if f.Times == 0 && f.Percent == 0 {
			f.When = once
		}
		h.sink.Set(sink.Faults{SMTP: []sink.SMTPFault{f}})
		rec := h.tell(care.Email)
		want.check(t, name, rec)
		return rec
	}
	always := sink.When{Percent: 100}
	for _, at := range []string{serve.AtConnect, serve.AtHelo, serve.AtMail, serve.AtRcpt, serve.AtData} {
		try("dropped at "+at, again, sink.SMTPFault{At: at, Do: serve.DoReset, When: always})
		try("4xx at "+at, again, sink.SMTPFault{At: at, Do: serve.DoReply, Code: 451, When: always})
	}
	try("4xx at body", again, sink.SMTPFault{At: serve.AtBody, Do: serve.DoReply, Code: 451})
	try("421 at rcpt", again, sink.SMTPFault{At: serve.AtRcpt, Do: serve.DoReply, Code: 421, Text: "4.3.2 going down", When: always})
	for at, kind := range map[string]care.Kind{serve.AtRcpt: care.KindRecipient, serve.AtData: care.KindContent, serve.AtBody: care.KindContent} {
		text, code := "5.6.0 not this message", 554
		if kind == care.KindRecipient {
			text, code = "5.1.1 no such user", 550
		}
		try("5xx at "+at, outcome{care.StateFailed, kind}, sink.SMTPFault{At: at, Do: serve.DoReply, Code: code, Text: text})
	}
	uncertain := outcome{care.StateRetry, care.KindUncertain}
	lost := try("yes lost after the dot", uncertain, sink.SMTPFault{At: serve.AtBody, Do: serve.DoLostYes})
	try("dropped after the dot", uncertain, sink.SMTPFault{At: serve.AtBody, Do: serve.DoReset})
	try("a server that dribbles", sent, sink.SMTPFault{At: serve.AtAny, Do: serve.DoDribble, Delay: 5 * time.Millisecond, When: always})
	h.sink.Set(sink.Faults{})
	h.awaitDrained(3 * time.Minute)
	if n := h.sink.Accepts()[lost.ID+"-email"]; n != 2 {
		t.Errorf("the message whose yes was lost was accepted %d times under its id, want 2", n)
	}
	f := h.judge("24", fmt.Sprintf("%d faults", cases))
	if f.Sent != f.Planned-3 || f.Failed != 3 || f.Duplicates != 1 {
		t.Error("want 3 failed, the others sent, one of them twice")
	}
	var commands []string
	for _, e := range h.sink.Journal() {
		commands = append(commands, e.Commands...)
	}
	if slices.Contains(commands, "") {
		t.Error("an empty command was sent")
	}
}

// A mail server that refuses us, for a reason that is known as such and for one that nobody knows, and then takes mail: the channel is
// paused, nothing is failed, and after a resume every message goes once.
func TestRow42ARelayThatRefusesUs(t *testing.T) {
	t.Parallel()
	type refusing struct {
		name string
		h    *house
	}
	var all []refusing // all at once: each waits half a minute for its repeats
	for name, f := range map[string]sink.SMTPFault{
		"the greeting's name":      {At: serve.AtRcpt, Code: 504, Text: "5.5.2 <vm>: Helo command rejected: need fully-qualified hostname"},
		"relaying":                 {At: serve.AtRcpt, Code: 554, Text: "5.7.1 <x@customer.example>: Relay access denied"},
		"the sender":               {At: serve.AtMail, Code: 553, Text: "Mail from must equal authorized user"},
		"a code that nobody knows": {At: serve.AtRcpt, Code: 550, Text: "5.9.9 E1234"},
		"every address unknown":    {At: serve.AtRcpt, Code: 550, Text: "5.1.1 User unknown"},
	} {
		h := newHouse(t, houseOptions{})
		f.Do, f.When = serve.DoReply, sink.When{Percent: 100}
		h.sink.Set(sink.Faults{SMTP: []sink.SMTPFault{f}})
		h.leads([]*replica{h.serve()}, 10*time.Second)
		h.customers(pick(40, 400), care.Email, true)
		h.eventually(30*time.Second, name+": the channel is paused", func() error {
			if got, err := h.counted("care:{*}:operator", (*redis.Client).HLen); got > 0 || err != nil {
				return err
			}
			return fmt.Errorf("it is not")
		})
		if failed := h.records("--state", "failed"); len(failed) > 0 {
			t.Errorf("%s: %d messages failed: %+v", name, len(failed), failed[0].Attempts)
		}
		h.sink.Set(sink.Faults{})
		h.carebell("resume", "--channel", "email")
		all = append(all, refusing{name, h})
	}
	for _, r := range all {
		r.h.awaitDrained(3 * time.Minute)
		if got := r.h.judge("42", r.name); got.Sent != got.Planned || got.Failed != 0 || got.Duplicates != 0 {
			t.Errorf("%s: want every message sent once", r.name)
		}
	}
}
