//go:build e2e || faults

package faults

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/sink"
	"github.com/carebell/carebell/test/sink/serve"
)

// httpCase is one row of the table of HTTP faults.
type httpCase struct {
	name   string
	faults []sink.HTTPFault
	want   outcome
	after  time.Duration // the least time until it is due again
	most   time.Duration // and the most; 0 = does not matter
}

func status(code int, header ...string) sink.HTTPFault {
	f := sink.HTTPFault{Do: serve.DoStatus, Code: code, When: sink.When{Times: 1}}
	if len(header) == 2 {
		f.Header = map[string]string{header[0]: header[1]}
	}
	return f
}

func does(what string) sink.HTTPFault { return sink.HTTPFault{Do: what, When: sink.When{Times: 1}} }

// answer has the sink answer messages so. Call tasks come to the same endpoint, when the clerk gets to them: a fault that hits once is
// not for them.
func (h *house) answer(faults ...sink.HTTPFault) {
	h.t.Helper()
	for i := range faults {
		faults[i].Spare = taskID
	}
	h.sink.Set(sink.Faults{HTTP: faults})
}

func TestRow25FaultsOfHTTP(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{channels: []care.Channel{care.Webhook}})
	r := h.serve()
	h.leads([]*replica{r}, 10*time.Second)
	sent := outcome{care.StateSent, ""}
	again := outcome{care.StateRetry, care.KindRetry}
	content := outcome{care.StateFailed, care.KindContent}
	uncertain := outcome{care.StateRetry, care.KindUncertain}
	date := time.Now().Add(5 * time.Minute).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	cases := []httpCase{
		{"200, then reset", []sink.HTTPFault{does(serve.DoResetAfter)}, sent, 0, 0},
		{"1xx", []sink.HTTPFault{does(serve.DoInformational)}, sent, 0, 0},
		{"yes lost once: repeated at once", []sink.HTTPFault{does(serve.DoLostYes)}, sent, 0, 0},
		{"yes lost always", []sink.HTTPFault{{Do: serve.DoLostYes, When: sink.When{Times: 3}}}, uncertain, 0, 0},
		{"yes lost, then refused", []sink.HTTPFault{does(serve.DoLostYes), status(413)}, outcome{care.StateUncertain, care.KindContent}, 0, 0},
		{"302", []sink.HTTPFault{{Do: serve.DoRedirect, Location: "http://127.0.0.1:1/", When: sink.When{Times: 1}}}, again, 20 * time.Second, 0},
		{"413", []sink.HTTPFault{status(413)}, content, 0, 0},
		{"500", []sink.HTTPFault{status(500)}, again, 20 * time.Second, time.Minute},
		{"429, seconds", []sink.HTTPFault{status(429, "Retry-After", "120")}, again, 115 * time.Second, 121 * time.Second},
		{"200: no pause is asked for twice in a row, which would rest the endpoint", nil, sent, 0, 0},
		{"429, date", []sink.HTTPFault{status(429, "Retry-After", date)}, again, 4 * time.Minute, 5 * time.Minute},
		{"429, rubbish", []sink.HTTPFault{status(429, "Retry-After", "soon; -x")}, again, 20 * time.Second, time.Minute},
		{"429, negative", []sink.HTTPFault{status(429, "Retry-After", "-60")}, again, 20 * time.Second, time.Minute},
		{"429, huge", []sink.HTTPFault{status(429, "Retry-After", "99999999999999999999")}, again, 5 * time.Hour, 6*time.Hour + time.Second},
		{"200", nil, sent, 0, 0},
		{"a slow header", []sink.HTTPFault{{Do: serve.DoDribble, Delay: 20 * time.Millisecond, When: sink.When{Times: 1}}}, sent, 0, 0},
	}
	for _, c := range cases {
		h.answer(c.faults...)
		start := time.Now()
		rec := h.tell(care.Webhook)
		c.want.check(t, c.name, rec)
		if c.after > 0 {
			wait := h.dueAt(rec).Sub(start)
			if wait < c.after || c.most > 0 && wait > c.most+time.Since(start) {
				t.Errorf("%s: due again after %v, want %v to %v", c.name, wait, c.after, c.most)
			}
		}
	}
	before := memory(t, r.Pid())
	for _, what := range []string{serve.DoGzipBomb, serve.DoEndless} {
		h.answer(sink.HTTPFault{Do: what})
		for range 8 {
			sent.check(t, what, h.tell(care.Webhook))
		}
	}
	more := memory(t, r.Pid()) - before
	if more > 10<<20 {
		t.Errorf("%d bytes more after gzip bombs and endless answers, want 10 MiB at most", more)
	}
	h.answer(status(410))
	gone := h.tell(care.Webhook)
	outcome{care.StateRetry, care.KindOperator}.check(t, "410", gone)
	h.answer()
	h.judge("25", fmt.Sprintf("%d answers and 16 bombs, memory + %.1f MiB", len(cases)+1, float64(more)/(1<<20)))
}

// dueAt reads from the queue when a message is due again.
func (h *house) dueAt(rec care.Record) time.Time {
	h.t.Helper()
	var at time.Time
	d := &damage{h: h}
	for _, m := range d.queue() {
		if m.id == rec.ID {
			at = m.due
		}
	}
	if at.IsZero() {
		h.t.Fatalf("%s stands in no queue", rec.ID)
	}
	return at
}

// memory is the most that a process has had resident (Linux: VmHWM), so that no peak is missed.
func memory(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
