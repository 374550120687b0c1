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

// A mail server that breaks off, refuses or stalls at 15 % of the verbs, for half a minute or for twenty: every mail arrives in the end, what
// came twice is on record as repeated, and neither memory nor descriptors grow.
func TestRow47ASoakThroughABadMailServer(t *testing.T) {
	t.Parallel()
	lasts, early := pick(30*time.Second, 20*time.Minute), pick(10*time.Second, 2*time.Minute)
	const rate = 8 // mails a second: so the time is filled
	h := newHouse(t, houseOptions{env: []string{"CARE_SMTP_CONNECTIONS=8", fmt.Sprintf("CARE_SMTP_RATE=%d", rate)}})
	bad := func(do string) sink.SMTPFault {
		return sink.SMTPFault{At: serve.AtAny, Do: do, Delay: 2 * time.Second, When: sink.When{Percent: 5}}
	}
	h.sink.Set(sink.Faults{SMTP: []sink.SMTPFault{bad(serve.DoReset), bad(serve.DoReply), bad(serve.DoSlow)}})
	h.customers(rate*int(lasts.Seconds()), care.Email, false)
	h.release()
	r := h.serve()
	time.Sleep(early)
	memory, files := r.metric("process_resident_memory_bytes"), r.metric("process_open_fds")
	time.Sleep(lasts - early)
	after, open := r.metric("process_resident_memory_bytes"), r.metric("process_open_fds")
	h.sink.Set(sink.Faults{})
	h.awaitDrained(10 * time.Minute)
	f := h.judge("47", fmt.Sprintf("memory %.0f to %.0f MiB, descriptors %.0f to %.0f", memory/(1<<20), after/(1<<20), files, open))
	if lost := f.Planned - f.Sent - f.Uncertain; lost != 0 || f.Uncertain > f.Planned/100 {
		t.Errorf("%d lost, %d uncertain", lost, f.Uncertain)
	}
	// Eight connections come and go; what a mail costs is given back.
	if after > memory+32<<20 || open > files+16 {
		t.Errorf("memory grew from %.0f to %.0f, descriptors from %.0f to %.0f", memory, after, files, open)
	}
}
