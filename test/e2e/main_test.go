//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
	"github.com/carebell/carebell/test/sink"
)

// dueNow makes n customers of each kind for whom something is due today: a birthday (by SMS), the first week with a new car and
// a maintenance (by e-mail), a campaign (by webhook).
func (h *house) dueNow(n int) []care.Customer {
	yes := true
	consent := map[care.Channel]care.Consent{care.SMS: {Service: &yes}, care.Email: {Service: &yes}}
	today := h.today(0)
	var out []care.Customer
	add := func(kind string, i int, change func(*care.Customer)) {
		c := care.Customer{
			ID: fmt.Sprintf("%s%04d", kind, i), Dealer: "example", Name: "王小明", Salutation: "王先生", Locale: "zh-CN",
			Email: fmt.Sprintf("%s%04d@example.com", strings.ToLower(kind), i), Phone: fmt.Sprintf("+86138%s%06d", map[string]string{"B": "10", "W": "20", "M": "30", "E": "40"}[kind], i),
			Consent: consent, Preferences: care.Preferences{Channels: []care.Channel{care.Email}},
		}
		change(&c)
		out = append(out, c)
	}
	for i := range n {
		add("B", i, func(c *care.Customer) {
			c.Birthday = care.Birthday{Year: 1985, Month: uint8(today.Month()), Day: uint8(today.Day())}
			c.Preferences.Channels = []care.Channel{care.SMS}
			c.Email = ""
		})
		add("W", i, func(c *care.Customer) {
			c.Vehicles = []care.Vehicle{{ID: fmt.Sprintf("LSGW%013d", i), Make: "Buick", Model: "君威", DeliveredOn: today.AddDays(-1)}}
		})
		add("M", i, func(c *care.Customer) {
			// Baseline + 12 months is today; the few kilometres a day put the mileage's date far off.
			km := 900
			c.Vehicles = []care.Vehicle{{
				ID: fmt.Sprintf("LSGM%013d", i), Plate: "沪A12345", Make: "Buick", Model: "昂科威", DeliveredOn: today.AddMonths(-25),
				Visits:          []care.Visit{{Order: fmt.Sprintf("RO-%d", i), ClosedOn: today.AddMonths(-12), KM: &km, Kind: "maintenance"}},
				ServiceInterval: care.Interval{KM: 10000, Months: 12},
			}}
		})
		add("E", i, func(c *care.Customer) { c.Tags = []string{"ev"} })
	}
	return out
}

// planned asks for what is due now, as `carebell plan` knows it.
func (h *house) planned() int {
	n := 0
	for line := range strings.Lines(h.carebell("plan", "--from", h.today(-1).String(), "--to", h.today(1).String(), "--format", "jsonl")) {
		if strings.Contains(line, `"verdict":"send"`) {
			n++
		}
	}
	return n
}

// settled waits until nothing is left to do and returns every record.
func (h *house) settled(within time.Duration, want int) []care.Record {
	h.t.Helper()
	var records []care.Record
	peers.Eventually(h.t, within, "every message is settled", func() error {
		records = h.records("")
		open := 0
		for _, r := range records {
			if !r.State.Final() && r.State != care.StateUncertain {
				open++
			}
		}
		if open > 0 || len(records) < want {
			return fmt.Errorf("%d on record of %d, %d still open", len(records), want, open)
		}
		return nil
	})
	return records
}

// onceEach checks that every message that is recorded as sent arrived exactly once, and nothing else did.
func (h *house) onceEach(records []care.Record) {
	h.t.Helper()
	peers.Eventually(h.t, 20*time.Second, "everything sent has arrived", func() error {
		accepts, texts := h.accepts(), h.texts()
		for _, r := range records {
			if r.State != care.StateSent && r.State != care.StateDelivered {
				return fmt.Errorf("%s of %s is %s (%s)", r.ID, r.Customer, r.State, r.Reason)
			}
			n := accepts[r.ID+"-"+string(r.Channel)]
			if r.Channel == care.SMS {
				n = len(texts[h.phone(r.Customer)])
			}
			if n != 1 {
				return fmt.Errorf("%s of %s arrived %d times by %s", r.ID, r.Customer, n, r.Channel)
			}
		}
		return nil
	})
}

func (h *house) phone(id string) string {
	return "+86138" + map[string]string{"B": "10", "W": "20", "M": "30", "E": "40"}[id[:1]] + "00" + id[1:]
}

func TestTheMainJob(t *testing.T) {
	h := build(t)
	const n = 20
	h.put(h.dueNow(n))
	want := h.planned()
	if want != 4*n {
		t.Fatalf("%d messages are planned for today, want %d:\n%s", want, 4*n, h.carebell("plan", "--from", h.today(-1).String(), "--to", h.today(1).String()))
	}
	p := h.serve()
	records := h.settled(40*time.Second, want)
	if len(records) != want {
		t.Errorf("%d messages on record, %d were planned", len(records), want)
	}
	h.onceEach(records)
	h.chineseIsIntact()
	h.mailIsProper()
	h.hooksAreSigned()

	// A customer that is written while the daemon runs is served at once.
	began := time.Now()
	late := h.dueNow(n + 1)[4*n : 4*n+1]
	h.put(late)
	peers.Eventually(t, 10*time.Second, "a new customer's birthday text", func() error {
		if len(h.texts()[late[0].Phone]) == 0 {
			return fmt.Errorf("nothing yet")
		}
		return nil
	})
	t.Logf("written to arrived: %v", time.Since(began))
	p.Term()
	if err := p.Wait(10 * time.Second); err != nil {
		t.Errorf("stopping: %v", err)
	}
	for _, canary := range []string{"王小明", "13810000", "@example.com", "whsec_", h.gateway.Password()} {
		if strings.Contains(p.Logs(), canary) {
			t.Errorf("the log tells %q", canary)
		}
	}
}

func (h *house) chineseIsIntact() {
	h.t.Helper()
	long := 0
	for phone, texts := range h.texts() {
		if !strings.Contains(texts[0], "生日") || !strings.HasPrefix(texts[0], "【") {
			h.t.Errorf("the text to …%s is %q", phone[len(phone)-4:], texts[0])
		}
		long++
	}
	if long == 0 {
		h.t.Error("no text messages")
	}
}

func (h *house) mailIsProper() {
	h.t.Helper()
	for _, m := range h.mail.Messages() {
		get := m.Envelope.GetHeader
		switch {
		case !strings.Contains(m.Text, "王先生") || !strings.Contains(m.HTML, "王先生"):
			h.t.Errorf("a mail without its customer: %q", m.Text)
		case get("Auto-Submitted") != "auto-generated":
			h.t.Errorf("Auto-Submitted: %q", get("Auto-Submitted"))
		case !strings.HasPrefix(get("List-Unsubscribe"), "<https://care.example/u/") || get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
			h.t.Errorf("List-Unsubscribe: %q", get("List-Unsubscribe"))
		case !strings.HasPrefix(get("Message-ID"), "<"+get("X-Carebell-Id")+"@"):
			h.t.Errorf("Message-ID %q of %q", get("Message-ID"), get("X-Carebell-Id"))
		case len(m.Envelope.Errors) > 0:
			h.t.Errorf("a mail with faults: %v", m.Envelope.Errors[0])
		}
	}
}

func (h *house) hooksAreSigned() {
	h.t.Helper()
	for _, e := range h.hooks.Journal() {
		if e.Kind == "webhook" && (len(e.Header["Webhook-Signature"]) != 1 || len(e.Header["Webhook-Timestamp"]) != 1 || len(e.Header["Webhook-Id"]) != 1) {
			h.t.Errorf("a webhook without the headers of Standard Webhooks: %v", e.Header)
		}
	}
}

// The daemon is killed in the middle and started again: nothing is lost, and what may have gone twice is on record.
func TestKilledInTheMiddle(t *testing.T) {
	h := build(t)
	const n = 60
	h.put(h.dueNow(n))
	p := h.serve()
	killed := 0
	for killed < 3 {
		arrived := 0
		peers.Eventually(t, 30*time.Second, "some have arrived", func() error {
			arrived = len(h.accepts()) + len(h.texts())
			if arrived <= killed*40 {
				return fmt.Errorf("%d", arrived)
			}
			return nil
		})
		p.Kill()
		killed++
		p = h.serve()
	}
	records := h.settled(90*time.Second, 4*n)
	if len(records) != 4*n {
		t.Errorf("%d on record, want %d", len(records), 4*n)
	}
	repeats, extra, held := 0, 0, 0
	var accepts map[string]int
	var texts map[string][]string
	peers.Eventually(t, 20*time.Second, "everything recorded as sent has arrived", func() error {
		accepts, texts = h.accepts(), h.texts()
		for _, r := range records {
			if r.State == care.StateSent && accepts[r.ID+"-"+string(r.Channel)] == 0 && len(texts[h.phone(r.Customer)]) == 0 {
				return fmt.Errorf("%s of %s has not", r.ID, r.Customer)
			}
		}
		return nil
	})
	for _, r := range records {
		repeats += r.Repeats
		got := accepts[r.ID+"-"+string(r.Channel)]
		if r.Channel == care.SMS {
			got = len(texts[h.phone(r.Customer)])
			if got > 1 {
				t.Errorf("a text arrived %d times", got)
			}
		}
		extra += max(0, got-1)
		switch r.State {
		case care.StateUncertain:
			held++
		case care.StateSent, care.StateDelivered:
		default:
			t.Errorf("%s of %s is %s (%s)", r.ID, r.Customer, r.State, r.Reason)
		}
	}
	if extra > repeats {
		t.Errorf("%d accepts beyond one, but only %d repeats on record", extra, repeats)
	}
	t.Logf("killed %d times: lost 0, accepts beyond one %d, repeats on record %d, texts held %d", killed, extra, repeats, held)
	h.resolveHeld(held)
}

// resolveHeld settles every held text as its outcome really was.
func (h *house) resolveHeld(held int) {
	h.t.Helper()
	uncertain := h.records("uncertain")
	if len(uncertain) != held {
		h.t.Errorf("messages --state uncertain lists %d, %d are held", len(uncertain), held)
	}
	texts := h.texts()
	for _, r := range uncertain {
		as := "resend"
		if len(texts[h.phone(r.Customer)]) > 0 {
			as = "sent"
		}
		h.carebell("messages", "resolve", r.ID, "--as", as)
	}
	peers.Eventually(h.t, 20*time.Second, "what was resolved is settled", func() error {
		if left := h.records("uncertain"); len(left) > 0 {
			return fmt.Errorf("%d are still uncertain", len(left))
		}
		for id, texts := range h.texts() {
			if len(texts) > 1 {
				return fmt.Errorf("a text to …%s arrived %d times", id[len(id)-4:], len(texts))
			}
		}
		if len(h.texts()) < 60 {
			return fmt.Errorf("%d texts arrived", len(h.texts()))
		}
		return nil
	})
}

// Every provider is in trouble for a while: everything arrives afterwards, once, with its attempts on record.
func TestBrokenProviders(t *testing.T) {
	h := build(t)
	const n = 10
	h.put(h.dueNow(n))
	broken := sink.Start(t, sink.Options{Keep: true, Faults: sink.Faults{HTTP: []sink.HTTPFault{
		{When: sink.When{Times: 5}, Path: "/webhook", Do: "status", Code: 429, Header: map[string]string{"Retry-After": "3"}},
		{When: sink.When{Times: 5}, Path: "/cgi-bin/sendsms", Do: "status", Code: 503, Body: "Temporal failure, try again later."},
	}}})
	h.hooks = broken
	h.env = slices.DeleteFunc(h.env, func(e string) bool {
		return strings.HasPrefix(e, "CARE_WEBHOOK_URL=") || strings.HasPrefix(e, "CARE_SMS_URL=")
	})
	h.env = append(h.env, "CARE_WEBHOOK_URL="+broken.WebhookURL(), "CARE_SMS_URL="+broken.KannelURL())
	h.mail.Stop()
	h.serve()
	mailAway := time.After(20 * time.Second)
	<-mailAway
	h.mail.Start()
	records := h.settled(150*time.Second, 4*n)
	retried := map[care.Channel]int{}
	for _, r := range records {
		if r.State != care.StateSent && r.State != care.StateDelivered {
			t.Errorf("%s by %s is %s (%s)", r.Customer, r.Channel, r.State, r.Reason)
		}
		retried[r.Channel] += len(r.Attempts) - 1
		if last := r.Attempts[len(r.Attempts)-1]; last.Kind != "" {
			t.Errorf("%s: the last attempt on record is %q", r.Customer, last.Kind)
		}
	}
	for ch, atLeast := range map[care.Channel]int{care.Email: 2 * n, care.SMS: 5, care.Webhook: 5} {
		if retried[ch] < atLeast {
			t.Errorf("%d attempts beyond the first on record by %s, want at least %d", retried[ch], ch, atLeast)
		}
	}
	accepts := h.accepts()
	for _, r := range records {
		if got := accepts[r.ID+"-"+string(r.Channel)]; r.Channel != care.SMS && got != 1 {
			t.Errorf("%s arrived %d times by %s", r.Customer, got, r.Channel)
		}
	}
	t.Logf("attempts beyond the first: %v", retried)
}
