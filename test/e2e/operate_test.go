//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
)

// plan asks twice for the same span: from a file without Redis, and with it.
func TestPlanIsTheSameFromAFile(t *testing.T) {
	redis := peers.Redis(t)
	dir := t.TempDir()
	h := &house{t: t, redis: redis, env: []string{"CARE_REDIS_URL=" + redis.URL()}}
	raw, err := os.ReadFile("testdata/dealership-gb18030.csv")
	if err != nil {
		t.Fatal(err)
	}
	export := filepath.Join(dir, "export.csv")
	if err := os.WriteFile(export, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	h.carebell("import", export)
	records := filepath.Join(dir, "customers.jsonl")
	f, err := os.Create(records)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for _, key := range strings.Fields(redis.CLI("KEYS", "care:customer:*")) {
		fmt.Fprintln(w, strings.TrimSpace(redis.CLI("GET", key)))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	span := []string{"--from", "2026-11-22", "--to", "2027-02-22", "--format", "jsonl"}
	with := h.carebell(append([]string{"plan"}, span...)...)
	without := &house{t: t, env: []string{"CARE_REDIS_URL=redis://127.0.0.1:1/0"}}
	from := without.carebell(append([]string{"plan", "--customers", records}, span...)...)
	if with != from {
		t.Errorf("the plans differ:\n%s\n---\n%s", with, from)
	}
	lines := 0
	last := ""
	for line := range strings.Lines(from) {
		var o struct {
			Release              time.Time
			Customer, ID, On     string
			Channel, Verdict     string
			Program, Step, Cycle string
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil || len(o.ID) != 26 || o.On == "" || o.Verdict == "" {
			t.Fatalf("%v in %s", err, line)
		}
		if key := o.Release.UTC().Format(time.RFC3339) + o.Customer; key < last {
			t.Errorf("out of order: %s", line)
		} else {
			last = key
		}
		lines++
	}
	if lines < 200 {
		t.Errorf("three months of 260 customers make %d lines", lines)
	}
}

// An operator's first days: nothing goes in a dry run, which leaves no trace; everything goes to one address under a redirect, a pause
// holds, and the brake asks before a surge.
func TestASafeFirstDay(t *testing.T) {
	h := build(t)
	const n = 3
	h.put(h.dueNow(n))
	outside := h.env
	h.env = append(slices.Clone(outside), "CARE_DRY_RUN=true")
	p := h.serve()
	peers.Eventually(t, 30*time.Second, "the dry run records everything", func() error {
		if got := len(h.records("skipped")); got != 4*n {
			return fmt.Errorf("%d of %d", got, 4*n)
		}
		return nil
	})
	if got := len(h.mail.Messages()) + len(h.gateway.Received()) + len(h.hooks.Accepts()); got != 0 {
		t.Errorf("a dry run sent %d messages", got)
	}
	p.Term()
	if err := p.Wait(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if h.env = outside; len(h.records("")) != 0 {
		t.Errorf("the dry run has left %d real records", len(h.records("")))
	}

	h.carebell("pause", "--channel", "sms")
	h.put(more(h, n, n))
	p = h.serve("CARE_REDIRECT_EMAIL=me@example.com", "CARE_REDIRECT_PHONE=+8613912345678")
	peers.Eventually(t, 30*time.Second, "the redirected mails", func() error {
		if got := len(h.mail.Messages()); got != 4*n {
			return fmt.Errorf("%d of %d", got, 4*n)
		}
		return nil
	})
	for _, m := range h.mail.Messages() {
		if m.To != "me@example.com" || strings.Contains(m.Envelope.GetHeader("To"), "王小明") {
			t.Errorf("a mail went to %s (%s)", m.To, m.Envelope.GetHeader("To"))
		}
	}
	if got := len(h.gateway.Received()); got != 0 {
		t.Errorf("%d texts went through a paused channel", got)
	}
	h.carebell("resume", "--channel", "sms")
	peers.Eventually(t, 30*time.Second, "the texts after the pause", func() error {
		if got := len(h.texts()["+8613912345678"]); got != 2*n {
			return fmt.Errorf("%d of %d", got, 2*n)
		}
		return nil
	})
	p.Term()
	if err := p.Wait(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	h.brake()
}

// more makes customers beside the first ones.
func more(h *house, from, n int) []care.Customer {
	all := h.dueNow(from + n)
	var out []care.Customer
	for kind := range 4 {
		for i := from; i < from+n; i++ {
			out = append(out, all[4*i+kind])
		}
	}
	return out
}

func (h *house) brake() {
	h.t.Helper()
	var surge []care.Customer
	for i, c := range h.dueNow(200) {
		if i%4 == 3 || i < 4*10 { // the campaign's, by webhook; and not those that are known already
			continue
		}
		surge = append(surge, c)
	}
	var births []care.Customer
	for _, c := range surge {
		if strings.HasPrefix(c.ID, "B") {
			births = append(births, c)
		}
	}
	h.put(births)
	h.serve()
	peers.Eventually(h.t, 30*time.Second, "the brake stands", func() error {
		out, _ := h.try("doctor")
		if !strings.Contains(out, " of example/birthday: ") {
			return fmt.Errorf("doctor says:\n%s", out)
		}
		return nil
	})
	if got := len(h.texts()); got > 130 {
		h.t.Errorf("%d texts went before the brake", got)
	}
	h.carebell("resume", "--dealer", "example", "--program", "birthday")
}

// Whoever renames a program or a step is told before it goes out once more: lint asks the store what it knows.
func TestLintNamesWhatWasRenamed(t *testing.T) {
	h := build(t)
	c := h.person("BORN", care.SMS, h.bornToday)
	h.put([]care.Customer{c})
	p := h.serve()
	h.state(c.ID, "birthday", care.StateSent)
	p.Term()
	if err := p.Wait(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	renamed := func() string {
		var said []string
		for line := range strings.Lines(h.carebell("lint", "--redis", h.book, "--format", "jsonl")) {
			var p struct{ Rule, File, Severity, Message string }
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			if p.Rule == "renamed" {
				said = append(said, fmt.Sprintf("%s: %s: %s", p.File, p.Severity, p.Message))
			}
		}
		return strings.Join(said, "\n")
	}
	if got := renamed(); got != "" {
		t.Errorf("nothing was renamed, and lint says:\n%s", got)
	}
	h.edit("programs/birthday.yaml", `step: wish`, "step: greeting")
	if got, want := renamed(), "programs/birthday.yaml: warning: the store knows 1 messages of the step wish, which the program birthday does not have"; got != want {
		t.Errorf("after a step: %q, want %q", got, want)
	}
	h.edit("programs/birthday.yaml", `program: birthday`, "program: geburtstag")
	if err := os.Rename(filepath.Join(h.book, "programs/birthday.yaml"), filepath.Join(h.book, "programs/geburtstag.yaml")); err != nil {
		t.Fatal(err)
	}
	if got, want := renamed(), "programs: warning: the store knows 1 messages of the program birthday, which this book does not have"; got != want {
		t.Errorf("after a program: %q, want %q", got, want)
	}
}
