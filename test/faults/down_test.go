//go:build e2e || faults

package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/sink/serve"
)

// The messages' day is yesterday, so that no clock has to be wrong: by now they have been due for a day and a
// half, queued by a replica that was allowed to send next to nothing before it was stopped. A program whose messages hold for a day
// only since then stands for those that have become too late.
func TestRow22DownForADayAndAHalf(t *testing.T) {
	t.Parallel()
	n, late, quiet := pick(300, 5000), 50, 10
	h := newHouse(t, houseOptions{})
	yesterday := care.DateOf(time.Now().In(h.location())).AddDays(-1).String()
	program := func(name, class, expires string) {
		h.write("programs/"+name+".yaml", `program: `+name+`
title: `+name+`
class: `+class+`
trigger: {on: calendar, dates: ["`+yesterday+`"]}
schedule: "* * * * *"
expires: `+expires+`
audience: '"`+name+`" in customer.tags'
channels: [email]
steps:
  - {step: told, template: `+programOf(care.Email)+`}
`)
	}
	program(programOf(care.Email), "service", "3d")
	program("caring", "care", "3d")
	program("short", "service", "3d")
	h.tagged(n, "caring", "")
	h.tagged(n, programOf(care.Email), "")
	h.tagged(late, "short", "")
	h.tagged(quiet, "caring", "00:00-23:00")
	for _, name := range []string{"caring", "short", programOf(care.Email)} {
		h.carebell("resume", "--dealer", "d", "--program", name)
	}
	r := h.serve("CARE_SMTP_RATE=0.001")
	h.awaitPlanned(30 * time.Second)
	r.term(25 * time.Second)
	before := h.accepted()

	program("short", "service", "1d")
	h.serve("CARE_SMTP_CONNECTIONS=2")
	h.eventually(pick(time.Minute, 10*time.Minute), "all but those in their quiet hours are done with", func() error {
		left, err := h.queued()
		if err == nil && left != quiet {
			err = fmt.Errorf("%d are left", left)
		}
		return err
	})
	f := h.judge("22", fmt.Sprintf("due for 34 hours, %d sent before the stop", before))
	if f.Sent < 2*n || f.Expired < late-before || f.Pending != quiet || f.Duplicates > 0 {
		t.Errorf("want %d sent, %d expired, %d waiting for the end of their quiet hours", 2*n, late, quiet)
	}
	if first, second := h.place("by-"), h.place("caring"); first >= second {
		t.Errorf("service goes at place %.0f on average, care at %.0f", first, second)
	}
}

// tagged writes n customers with the tag of a program.
func (h *house) tagged(n int, program, quiet string) {
	h.t.Helper()
	pipe := h.client.Pipeline()
	for range n {
		h.next++
		id := fmt.Sprintf("C%07d", h.next)
		h.planned = append(h.planned, Planned{id, program})
		preferences := ""
		if quiet != "" {
			preferences = fmt.Sprintf(`,"preferences":{"quiet":%q}`, quiet)
		}
		pipe.Set(h.t.Context(), "care:customer:"+id, fmt.Sprintf(
			`{"id":%q,"dealer":"d","name":"Wang %d","email":"c%d@example.com","tags":[%q]%s}`, id, h.next, h.next, program, preferences), 0)
	}
	if _, err := pipe.Exec(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// place is the average place in the journal of the messages of programs whose name begins so.
func (h *house) place(program string) float64 {
	h.t.Helper()
	of := map[string]bool{}
	for _, rec := range h.records() {
		of[rec.ID] = strings.HasPrefix(rec.Program, program)
	}
	sum, n := 0, 0
	for i, e := range h.sink.Journal() {
		id, _, _ := strings.Cut(e.ID, "-")
		if e.Event == serve.EventAccept && of[id] {
			sum, n = sum+i, n+1
		}
	}
	if n == 0 {
		h.t.Fatalf("nothing of %s was accepted", program)
	}
	return float64(sum) / float64(n)
}
