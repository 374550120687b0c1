//go:build e2e || faults

package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/sink"
	"github.com/carebell/carebell/test/sink/serve"
)

// killing runs one replica that is killed again and again, and leaves one that goes on.
func (h *house) killing(kills int, every time.Duration) *replica {
	h.t.Helper()
	r := h.serve()
	for range kills {
		time.Sleep(every)
		r.Kill()
		r = h.serve()
	}
	return r
}

// faulty makes a sink of which one message in ten goes wrong and the others take a moment, so that there is something in flight at
// each kill.
func faulty(moment time.Duration) sink.Faults {
	ten := sink.When{Percent: 10}
	return sink.Faults{
		SMTP: []sink.SMTPFault{{At: serve.AtRandom, Do: serve.DoMixed, When: ten}, {At: serve.AtBody, Do: serve.DoSlow, Delay: moment}},
		HTTP: []sink.HTTPFault{{Do: serve.DoMixed, When: ten}, {Do: serve.DoSlow, Delay: moment}},
	}
}

func TestRow1KillsUnderEmail(t *testing.T) {
	t.Parallel()
	due, kills, every := pick(2000, 20000), pick(6, 30), pick(time.Second, 2*time.Second)
	h := newHouse(t, houseOptions{sink: sink.Options{Faults: faulty(pick(40*time.Millisecond, 30*time.Millisecond))}})
	h.customers(due, care.Email, false)
	h.release()
	h.killing(kills, every)
	h.sink.Set(sink.Faults{})
	h.awaitDrained(pick(5*time.Minute, 30*time.Minute)) // a message that failed three times waits up to 144 s
	f := h.judge("1", fmt.Sprintf("kills %d", kills))
	if inFlight := kills * 32; f.Duplicates > inFlight {
		t.Errorf("%d duplicates, but at most %d were in flight", f.Duplicates, inFlight)
	}
	if f.Pending > 0 || f.Uncertain > f.Planned/100 {
		t.Errorf("%d pending, %d uncertain at the end", f.Pending, f.Uncertain)
	}
	if f.Accepts < due/2 || f.Sent < due*8/10 {
		t.Errorf("only %d sent", f.Sent)
	}
}

func TestRow2KillsUnderHeldSMS(t *testing.T) {
	t.Parallel()
	due, kills, every := pick(2000, 20000), pick(6, 30), pick(time.Second, 2*time.Second)
	h := newHouse(t, houseOptions{channels: []care.Channel{care.SMS}, sink: sink.Options{Faults: faulty(pick(20*time.Millisecond, 15*time.Millisecond))}})
	h.customers(due, care.SMS, false)
	h.release()
	h.killing(kills, every)
	h.sink.Set(sink.Faults{})
	h.awaitDrained(pick(2*time.Minute, 30*time.Minute))
	unanswered := map[string]bool{}
	for _, e := range h.sink.Journal() {
		if e.Event == serve.EventFault && (e.Fault == "http:reset" || e.Fault == "http:hang") {
			unanswered[e.ID] = true
		}
	}
	f := h.judge("2", fmt.Sprintf("kills %d, never answered by the sink %d", kills, len(unanswered)))
	if f.Duplicates > 0 {
		t.Errorf("%d duplicates under hold", f.Duplicates)
	}
	if most := kills*32 + len(unanswered); f.Uncertain > most || f.Uncertain == 0 {
		t.Errorf("%d uncertain, want 1 to %d", f.Uncertain, most)
	}
	listed := h.records("--state", "uncertain")
	if len(listed) != f.Uncertain {
		t.Errorf("%d uncertain are listed of %d", len(listed), f.Uncertain)
	}
	h.resolveAll(listed)
}

// resolveAll has a person look at the sink's journal and decide about everything that is uncertain.
func (h *house) resolveAll(listed []care.Record) {
	h.t.Helper()
	accepts := h.sink.Accepts()
	sent, failed := []string{"messages", "resolve", "--as", "sent"}, []string{"messages", "resolve", "--as", "failed"}
	for _, r := range listed {
		if accepts[r.ID+"-"+string(r.Channel)] > 0 {
			sent = append(sent, r.ID)
		} else {
			failed = append(failed, r.ID)
		}
	}
	for _, args := range [][]string{sent, failed} {
		if len(args) > 4 {
			h.carebell(args...)
		}
	}
	if f := h.judge("2, after messages resolve"); f.Uncertain > 0 || f.Pending > 0 {
		h.t.Errorf("%d uncertain and %d pending are left", f.Uncertain, f.Pending)
	}
}
