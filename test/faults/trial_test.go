//go:build e2e || faults

package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
	"github.com/carebell/carebell/test/sink/serve"
)

// Two programs wait for customers, one by e-mail and one by SMS. First nothing may leave, then e-mail only, to one address; in the end both go.
func TestRow43ATrialThenTheRealThing(t *testing.T) {
	t.Parallel()
	n, me := pick(60, 2000), "me@dealer.example"
	h := newHouse(t, houseOptions{channels: []care.Channel{care.Email, care.SMS}, env: []string{"CARE_SWEEP=@every 1s"}})
	h.customers(n, care.Email, false)
	h.customers(n, care.SMS, false)
	h.release()

	r := h.serve("CARE_DRY_RUN=true")
	h.awaitTried(2*n, 0)
	r.term(25 * time.Second)
	if got := h.accepted(); got > 0 {
		t.Errorf("a dry run sent %d messages", got)
	}

	r = h.serve("CARE_REDIRECT_EMAIL=" + me)
	h.awaitAccepts(n, time.Minute)
	h.awaitTried(2*n, n) // the texts wait
	r.term(25 * time.Second)
	tried := h.accepts()
	for _, e := range h.sink.Journal() {
		if e.Event == serve.EventAccept && !strings.Contains(fmt.Sprint(e.To), me) {
			t.Errorf("%v got a message of the trial by %s", e.To, e.Kind)
		}
	}
	if len(tried) != n {
		t.Errorf("%d of %d messages were tried out", len(tried), n)
	}

	h.serve()
	h.awaitDrained(time.Minute)
	arrived := h.accepts()
	for id := range tried {
		if arrived[id] > 1 {
			t.Errorf("%s goes for real under the id that it had in the trial", id)
		}
		delete(arrived, id)
	}
	f, broken := Judge(h.planned, h.records(), arrived)
	h.say("43", f.String(), fmt.Sprintf("%d tried out before", len(tried)))
	for _, b := range broken {
		t.Error(b)
	}
	if f.Sent != 2*n || f.Duplicates > 0 {
		t.Errorf("want each of %d sent once", 2*n)
	}
}

// awaitTried waits until a trial has planned n messages and is done with all but those that are held.
func (h *house) awaitTried(n, held int) {
	h.t.Helper()
	peers.Eventually(h.t, time.Minute, "the trial has come to its end", func() error {
		planned, err := h.counted("care:trial:{*}:msg:*", (*redis.Client).HLen)
		if err != nil {
			return err
		}
		left := 0
		for _, pattern := range []string{"care:trial:{*}:due:*", "care:trial:{*}:suspects:*", "care:trial:{*}:leased"} {
			waits, err := h.counted(pattern, (*redis.Client).ZCard)
			if err != nil {
				return err
			}
			left += waits
		}
		if planned != n || left != held {
			return fmt.Errorf("%d of %d are planned, %d are left", planned, n, left)
		}
		return nil
	})
}
