//go:build e2e || faults

package faults

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/sink"
	"github.com/carebell/carebell/test/sink/serve"
)

// inFlight is how many messages are being handed over when the daemon is told to stop.
const inFlight = 64

func TestRow8StopAtASlowSink(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{
		env:  []string{fmt.Sprintf("CARE_SMTP_CONNECTIONS=%d", inFlight)},
		sink: sink.Options{Faults: sink.Faults{SMTP: []sink.SMTPFault{{At: serve.AtBody, Do: serve.DoSlow, Delay: 5 * time.Second}}}},
	})
	h.customers(200, care.Email, false)
	h.release()
	r := h.serve()
	h.awaitAccepts(inFlight, 20*time.Second)
	took := r.term(30 * time.Second)
	if took > 10*time.Second {
		t.Errorf("out after %v, want at most 10 s", took)
	}
	for _, rec := range h.records() {
		if rec.State != care.StateDue && rec.State != care.StateSent || rec.State == care.StateDue && len(rec.Attempts) > 0 {
			t.Errorf("after the stop %s is %s with %d attempts: a shutdown is no attempt", rec.ID, rec.State, len(rec.Attempts))
		}
	}
	h.sink.Set(sink.Faults{})
	h.serve()
	h.awaitDrained(30 * time.Second)
	f := h.judge("8, slow sink", fmt.Sprintf("%d in flight, out after %.1f s", inFlight, took.Seconds()))
	if f.Duplicates+f.Repeats+f.Uncertain > 0 || f.Sent != f.Planned {
		t.Error("a clean stop leaves nothing uncertain")
	}
}

func TestRow8StopAtAHangingSink(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{
		env:     []string{fmt.Sprintf("CARE_SMTP_CONNECTIONS=%d", inFlight)},
		program: "uncertain: {email: hold}\n",
		sink:    sink.Options{Faults: sink.Faults{SMTP: []sink.SMTPFault{{At: serve.AtBody, Do: serve.DoHang}}}},
	})
	h.customers(200, care.Email, false)
	h.release()
	r := h.serve()
	h.awaitFaults(inFlight, 20*time.Second)
	took := r.term(40 * time.Second)
	if took > 25*time.Second {
		t.Errorf("out after %v, want at most 25 s", took)
	}
	if n := len(h.records("--state", "uncertain")); n != inFlight {
		t.Errorf("%d are uncertain, want the %d in flight", n, inFlight)
	}
	h.sink.Set(sink.Faults{})
	h.serve()
	h.awaitDrained(30 * time.Second)
	f := h.judge("8, hanging sink", fmt.Sprintf("%d in flight, out after %.1f s", inFlight, took.Seconds()))
	if f.Uncertain != inFlight || f.Duplicates > 0 || f.Sent != f.Planned-inFlight {
		t.Errorf("want %d uncertain and the others sent", inFlight)
	}
}

// awaitFaults waits until the sink has refused or kept waiting n messages.
func (h *house) awaitFaults(n int, within time.Duration) {
	h.t.Helper()
	h.eventually(within, "messages meet faults", func() error {
		got := 0
		for _, e := range h.sink.Journal() {
			if e.Event == serve.EventFault {
				got++
			}
		}
		if got < n {
			return fmt.Errorf("%d of %d have", got, n)
		}
		return nil
	})
}

// A message that kills the process that sends it is simulated by an endpoint that kills its client.
func TestRow9AMessageThatKills(t *testing.T) {
	t.Parallel()
	due := pick(1000, 10000)
	h := newHouse(t, houseOptions{channels: []care.Channel{care.Webhook}})
	ids := h.customers(due, care.Webhook, false)
	poison := ids[due/2]
	var victim atomic.Pointer[replica]
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if bytes.Contains(body, []byte(poison)) {
			victim.Load().Kill()
			return
		}
		forward(w, r, h.sink.WebhookURL(), body)
	}))
	defer front.Close()
	h.env = append(h.env, "CARE_WEBHOOK_URL="+front.URL)
	h.release()
	crashes := 0
	for {
		r := h.replica()
		victim.Store(r)
		if h.outlives(r, 40*time.Second) {
			break
		}
		if crashes++; crashes > 5 {
			break
		}
	}
	f := h.judge("9", fmt.Sprintf("crashes %d", crashes))
	if crashes > 3 || crashes == 0 {
		t.Errorf("%d crashes, want 1 to 3", crashes)
	}
	if f.Sent != due-1 || f.Failed+f.Uncertain != 1 {
		t.Errorf("want %d delivered and one set aside", due-1)
	}
	for _, rec := range h.records() {
		if rec.Customer == poison && rec.Reason != "crashes" {
			t.Errorf("the message that kills is %s (%s)", rec.State, rec.Reason)
		}
	}
}

// outlives waits until the queue is empty (true) or the replica has ended (false).
func (h *house) outlives(r *replica, within time.Duration) bool {
	h.t.Helper()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if !r.Running() {
			return false
		}
		done, err := h.recorded()
		if err != nil {
			h.t.Fatal(err)
		}
		left, err := h.queued()
		if err != nil {
			h.t.Fatal(err)
		}
		if done == len(h.planned) && left == 0 {
			return true
		}
	}
	h.t.Errorf("the queue is not empty after %v", within)
	return true
}

// forward repeats a request at the sink.
func forward(w http.ResponseWriter, r *http.Request, to string, body []byte) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, to, bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	req.Header = r.Header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body)
}

// slow makes a sink that takes a moment for each message.
func slow(moment time.Duration) sink.Options {
	return sink.Options{Faults: sink.Faults{
		SMTP: []sink.SMTPFault{{At: serve.AtBody, Do: serve.DoSlow, Delay: moment}},
		HTTP: []sink.HTTPFault{{Do: serve.DoSlow, Delay: moment}},
	}}
}

// refused counts the outcomes that the store refused to a replica because another one had taken over.
func (r *replica) refused() int {
	n := 0
	for line := range strings.Lines(r.Logs()) {
		if _, rest, ok := strings.Cut(line, "another replica had taken over"); ok {
			_, count, _ := strings.Cut(rest, "messages=")
			var k int
			if _, err := fmt.Sscan(count, &k); err == nil {
				n += k
			}
		}
	}
	return n
}
