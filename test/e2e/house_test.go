//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
	"github.com/carebell/carebell/test/sink"
	"github.com/carebell/carebell/test/sink/serve"
)

var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "carebell-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "carebell")
	build := exec.Command("go", "build", "-o", binary, "./cmd/carebell")
	build.Dir = "../.." // the product is built with its own versions, not with those of the tests' module
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build carebell: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// house is a dealership's whole set-up: a book, Redis, and the providers.
type house struct {
	t       *testing.T
	book    string
	redis   *peers.RedisServer
	mail    *peers.PostfixServer
	gateway *peers.KannelServer
	hooks   *sink.Sink
	port    int
	zone    string
	env     []string
}

// noonish returns a fixed-offset zone in which it is between ten and eleven in the morning now, so that what is due today is due, and
// midnight is far away.
func noonish(now time.Time) (zone string, loc *time.Location) {
	offset := (10 - now.UTC().Hour() + 24) % 24
	if offset > 12 {
		offset -= 24
	}
	name := "Etc/GMT" // POSIX signs: Etc/GMT-8 is eight hours ahead
	switch {
	case offset > 0:
		name = fmt.Sprintf("Etc/GMT-%d", offset)
	case offset < 0:
		name = fmt.Sprintf("Etc/GMT+%d", -offset)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return name, loc
}

// build sets a house up. Schedules are widened so that what is due on a day may leave at once.
func build(t *testing.T) *house {
	t.Helper()
	zone, _ := noonish(time.Now())
	h := &house{
		t: t, book: filepath.Join(t.TempDir(), "book"), redis: peers.Redis(t), mail: peers.Postfix(t, peers.PostfixOptions{}),
		gateway: peers.Kannel(t, peers.KannelOptions{}), hooks: sink.Start(t, sink.Options{Keep: true}), port: peers.FreePorts(t, 1)[0], zone: zone,
	}
	h.env = []string{
		"CARE_REDIS_URL=" + h.redis.URL(), "CARE_BOOK=" + h.book, fmt.Sprintf("CARE_LISTEN=127.0.0.1:%d", h.port),
		"CARE_SMTP_URL=" + h.mail.URL() + "?starttls=never", "CARE_SMS_GATEWAY=kannel", "CARE_SMS_URL=" + h.gateway.SendURL(),
		"CARE_SMS_USER=" + h.gateway.User(), "CARE_SMS_PASSWORD=" + h.gateway.Password(), "CARE_SMS_FROM=10690000",
		"CARE_WEBHOOK_URL=" + h.hooks.WebhookURL(), "CARE_WEBHOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"CARE_SECRET_KEY=the key of an end-to-end test long enough", "CARE_PUBLIC_URL=https://care.example", "CARE_LEASE=5s",
	}
	h.carebell("init", h.book)
	h.edit("dealers.yaml", `(?m)^(\s+time_zone:) .*$`, "$1 "+zone)
	h.edit("dealers.yaml", `(?m)^(\s+)(quiet_hours:) .*$`, "$1$2 {default: none}")
	programs, err := filepath.Glob(filepath.Join(h.book, "programs", "*.yaml"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("no programs in %s: %v", h.book, err)
	}
	for _, p := range programs {
		h.edit(filepath.Join("programs", filepath.Base(p)), `(?m)^schedule: .*$`, `schedule: "* * * * *"`)
	}
	h.write("programs/campaign.yaml", `program: campaign
title: {en: Winter check, zh-CN: 冬季检测}
class: service
trigger: {on: calendar, dates: ["`+h.today(0).String()+`"]}
schedule: "* * * * *"
audience: '"ev" in customer.tags'
channels: [webhook]
steps:
  - {step: told, template: campaign}
`)
	h.write("templates/campaign/zh-CN/webhook.json", `{"type": "campaign", "customer": "{{ customer.id }}", "name": "{{ customer.name }}"}`)
	h.write("templates/campaign/en/webhook.json", `{"type": "campaign", "customer": "{{ customer.id }}", "name": "{{ customer.name }}"}`)
	h.carebell("lint", h.book)
	return h
}

func (h *house) today(days int) care.Date {
	loc, err := time.LoadLocation(h.zone)
	if err != nil {
		h.t.Fatal(err)
	}
	return care.DateOf(time.Now().In(loc)).AddDays(days)
}

func (h *house) edit(file, pattern, with string) {
	h.t.Helper()
	name := filepath.Join(h.book, file)
	raw, err := os.ReadFile(name)
	if err != nil {
		h.t.Fatal(err)
	}
	re := regexp.MustCompile(pattern)
	if !re.Match(raw) {
		h.t.Fatalf("%s: nothing matches %s", file, pattern)
	}
	if err := os.WriteFile(name, re.ReplaceAll(raw, []byte(with)), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) write(file, text string) {
	h.t.Helper()
	name := filepath.Join(h.book, file)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// carebell runs a command to its end and returns what it printed; a command that fails fails the test.
func (h *house) carebell(args ...string) string {
	h.t.Helper()
	out, err := h.try(args...)
	if err != nil {
		h.t.Fatalf("carebell %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (h *house) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, h.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// serve runs the daemon as its own process and returns when it is ready.
func (h *house) serve(env ...string) *peers.Process {
	h.t.Helper()
	p := peers.Daemon(h.t, binary, append(append([]string(nil), h.env...), env...), "serve")
	peers.Eventually(h.t, 20*time.Second, "carebell is ready", func() error {
		if !p.Running() {
			h.t.Fatalf("carebell has ended:\n%s", p.Logs())
		}
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", h.port))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(res.Body)
			return fmt.Errorf("%s: %s", res.Status, body)
		}
		return nil
	})
	return p
}

// put imports customers as JSON lines.
func (h *house) put(customers []care.Customer) {
	h.t.Helper()
	name := filepath.Join(h.t.TempDir(), "customers.jsonl")
	f, err := os.Create(name)
	if err != nil {
		h.t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for _, c := range customers {
		if err := json.NewEncoder(w).Encode(c); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		h.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.carebell("import", name)
}

// records lists what the daemon has on record, by state ("" = all).
func (h *house) records(state string) []care.Record {
	h.t.Helper()
	args := []string{"messages", "--format", "jsonl", "--limit", "100000"}
	if state != "" {
		args = append(args, "--state", state)
	}
	var out []care.Record
	for line := range strings.Lines(h.carebell(args...)) {
		var r care.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			h.t.Fatalf("messages: %v in %q", err, line)
		}
		out = append(out, r)
	}
	return out
}

// accepts counts how often each message arrived anywhere, by its id on the wire.
func (h *house) accepts() map[string]int {
	h.t.Helper()
	n := map[string]int{}
	for _, m := range h.mail.Messages() {
		n[serve.WithoutProof(strings.Trim(m.Envelope.GetHeader("X-Carebell-Id"), " "))]++
	}
	for id, times := range h.hooks.Accepts() {
		n[id] += times
	}
	return n
}

// text messages carry no id on the radio; the customer's number tells whose it is.
func (h *house) texts() map[string][]string {
	h.t.Helper()
	out := map[string][]string{}
	for _, s := range h.gateway.Received() {
		if s.Complete() {
			out["+"+strings.TrimPrefix(s.To, "+")] = append(out["+"+strings.TrimPrefix(s.To, "+")], s.Text)
		}
	}
	return out
}
