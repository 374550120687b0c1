//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
	"github.com/carebell/carebell/test/sink"
	"github.com/emersion/go-msgauth/dkim"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Kannel reports what became of each text, in parts where it is long, and a customer who answers 退订 gets no other.
func TestTextsComeBackAsReceiptsAndReplies(t *testing.T) {
	o := open(t, false)
	o.kannel(peers.KannelOptions{})
	long := strings.Repeat("冬天到了，请检查防冻液、电瓶和轮胎；雪天慢行，平安最要紧。", 6) + "😀祝您一路平安"
	o.edit("programs/campaign.yaml", `channels: \[webhook\]`, "channels: [sms]")
	o.write("templates/campaign/zh-CN/sms.txt", long)
	o.carebell("lint", o.book)

	stops, stays := o.person("STOPS", care.SMS, o.bornToday), o.person("STAYS", care.SMS, o.bornToday)
	reads := o.person("READS", care.SMS, func(c *care.Customer) { c.Tags = []string{"ev"} })
	o.put([]care.Customer{stops, stays, reads})
	p := o.serve()

	for _, c := range []care.Customer{stops, stays} {
		if r := o.state(c.ID, "birthday", care.StateDelivered); r.Channel != care.SMS {
			t.Errorf("%s: by %s", c.ID, r.Channel)
		}
	}
	o.state(reads.ID, "campaign", care.StateDelivered)
	if got, want := o.texted(reads, 1)[0], "【示例汽车】"+long; got != want {
		t.Errorf("the long text arrived as %q, want %q", got, want)
	}
	for _, s := range o.gateway.Received() {
		if "+"+s.To == reads.Phone && (s.Total < 3 || s.Coding != 2 || slices.ContainsFunc(s.Parts, func(p string) bool { return strings.Contains(p, "\uFFFD") })) {
			t.Errorf("%d parts in coding %d: %q", s.Total, s.Coding, s.Parts)
		}
	}

	// Whose number it is gets written down within a second; nobody reads and answers faster.
	peers.Eventually(t, 10*time.Second, "the numbers are written down", func() error {
		if n := len(strings.Fields(o.redis.CLI("KEYS", "*:addr:*"))); n < 3 {
			return fmt.Errorf("%d so far", n)
		}
		return nil
	})
	o.gateway.Reply(strings.TrimPrefix(stops.Phone, "+"), "10690000", "退订")
	if e := o.told(stops.ID, "opt_out"); e.Value != "sms" {
		t.Errorf("the reply was taken as %+v", e)
	}
	o.newCar(&stops)
	o.newCar(&stays)
	o.put([]care.Customer{stops, stays})
	o.texted(stays, 2)
	if got := o.verdict(stops.ID, "welcome"); !strings.HasSuffix(got, "opted_out") {
		t.Errorf("after 退订 the next text is planned as %q", got)
	}
	if n := len(o.texts()[stops.Phone]); n != 1 {
		t.Errorf("%d texts to somebody who wrote 退订 after the first", n)
	}
	if strings.Contains(p.Logs(), "token=") || strings.Contains(p.Logs(), "退订") {
		t.Error("the log tells the callback's secret or what a customer wrote")
	}
}

// What the gateway's own SMSC refuses for good comes back as undelivered; what it cannot take now is tried again by the gateway.
func TestARefusingSMSC(t *testing.T) {
	o := open(t, false)
	smsc := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(smsc.Close)
	o.kannel(peers.KannelOptions{Extra: peers.HTTPSMSC("HTTP", smsc.URL, peers.FreePorts(t, 1)[0])})
	o.set("CARE_SMS_URL=" + o.gateway.SendURL() + "?smsc=HTTP")
	c := o.person("DEAD", care.SMS, o.bornToday)
	o.put([]care.Customer{c})
	o.serve()
	if r := o.state(c.ID, "birthday", care.StateUndelivered); len(r.Attempts) != 1 {
		t.Errorf("%d attempts: a text that a gateway took is not handed over again", len(r.Attempts))
	}
	if n := len(o.texts()); n != 0 {
		t.Errorf("%d texts arrived", n)
	}
}

// Of two gateways each gets the numbers that it is meant for, and the second stands in while the first is away.
func TestTwoGateways(t *testing.T) {
	h := build(t)
	first, second := sink.Start(t, sink.Options{Keep: true}), sink.Start(t, sink.Options{Keep: true})
	h.write("gateways/acme.yaml", "url: "+second.SMSURL()+"\nmethod: POST\nbody: '{\"to\": \"{to}\", \"text\": \"{text}\", \"id\": \"{id}\"}'\n")
	accounts := filepath.Join(t.TempDir(), "accounts.yaml")
	list := "- {gateway: kannel, url: '" + first.KannelURL() + "', user: u, password: canary-pw, prefixes: ['+86']}\n- {gateway: acme, user: u, password: canary-pw}\n"
	if err := os.WriteFile(accounts, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	h.env = slices.DeleteFunc(h.env, func(v string) bool { return strings.HasPrefix(v, "CARE_SMS_") })
	h.set("CARE_SMS_ACCOUNTS_FILE=" + accounts)
	near := h.person("NEAR", care.SMS, h.bornToday)
	far := h.person("FAR", care.SMS, h.bornToday)
	far.Phone = "+4915112345678"
	h.put([]care.Customer{near, far})
	p := h.serve()
	for _, tt := range []struct {
		customer care.Customer
		at       *sink.Sink
		gateway  string
	}{{near, first, "kannel"}, {far, second, "acme"}} {
		r := h.state(tt.customer.ID, "birthday", care.StateSent)
		if got := r.Attempts[len(r.Attempts)-1].Gateway; got != tt.gateway || tt.at.Accepts()[r.ID+"-sms"] != 1 {
			t.Errorf("%s: by %s, accepts %v", tt.customer.ID, got, tt.at.Accepts())
		}
	}
	first.Kill()
	late := h.person("LATE", care.SMS, h.bornToday)
	h.put([]care.Customer{late})
	r := h.state(late.ID, "birthday", care.StateSent)
	if got := r.Attempts[len(r.Attempts)-1].Gateway; got != "acme" || second.Accepts()[r.ID+"-sms"] != 1 {
		t.Errorf("with the first away: by %s, accepts %v", got, second.Accepts())
	}
	if strings.Contains(p.Logs(), "canary-pw") {
		t.Error("the log tells a gateway's password")
	}
}

// A mail to somebody whom the next server does not know comes back into the mailbox of returned mail, and nobody writes there again:
// whether that mailbox is a folder of this machine or one of a mail server elsewhere.
func TestABounceSuppressesTheAddress(t *testing.T) {
	t.Run("Maildir", func(t *testing.T) {
		bounces(t, func(o *opened) {
			o.set("CARE_BOUNCE_MAILDIR=" + o.mail.Maildir("pudong.example"))
		})
	})
	t.Run("IMAP", func(t *testing.T) {
		o := bounces(t, func(o *opened) {
			imap := peers.Dovecot(t, o.mail.Maildir("pudong.example"))
			o.set("CARE_BOUNCE_IMAP_URL="+imap.URL(), "SSL_CERT_FILE="+imap.CertFile())
			if told, _ := o.try("doctor"); !strings.Contains(told, "lets us in: 2 mails are waiting") || strings.Contains(told, "canary-imap-pw") {
				t.Errorf("doctor says:\n%s", told)
			}
		})
		// Both mails are still there, and seen.
		seen, err := filepath.Glob(o.mail.Maildir("pudong.example") + "/cur/*:2,*S*")
		if err != nil || len(seen) != 2 {
			t.Errorf("%d mails are marked as seen: %v %v", len(seen), seen, err)
		}
	})
}

// bounces has a mail come back; read says how the mailbox is read.
func bounces(t *testing.T, read func(*opened)) *opened {
	o := open(t, false)
	o.set("CARE_SMTP_RETURN_PATH=bounce+{id}@pudong.example")
	gone := o.person("GONE", care.Email, o.newCar)
	gone.Email = "nobody.here@strict.example"
	known := o.person("KNOWN", care.Email, o.newCar)
	known.Email = "known@strict.example"
	o.put([]care.Customer{gone, known})
	// Any mail into that domain makes the mailbox; Postfix makes it with the first delivery.
	o.makeMaildir("pudong.example")
	p := o.serve()
	var report peers.Mail
	peers.Eventually(t, 20*time.Second, "the report comes back", func() error {
		all := o.mail.Messages()
		i := slices.IndexFunc(all, func(m peers.Mail) bool { return strings.HasPrefix(m.To, "bounce+") })
		if i < 0 {
			return fmt.Errorf("%d mails; on record: %s", len(all), o.brief())
		}
		report = all[i]
		return nil
	})
	if r := o.state(gone.ID, "welcome", care.StateSent); !strings.HasPrefix(report.To, "bounce+"+r.ID+"-email-") {
		t.Errorf("the report came to %s, the message is %s", report.To, r.ID)
	}
	o.mailed(known, 1)
	// The mailbox is read at the start, and then every half minute.
	p.Term()
	if err := p.Wait(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	read(o)
	p = o.serve()
	o.state(gone.ID, "welcome", care.StateUndelivered)
	if e := o.told(gone.ID, "task"); e.Reason != "dead_address" {
		t.Errorf("the task is %+v", e)
	}
	o.bornToday(&gone)
	o.bornToday(&known)
	o.put([]care.Customer{gone, known})
	o.mailed(known, 2)
	if got := o.verdict(gone.ID, "birthday"); !strings.HasSuffix(got, "suppressed_address") {
		t.Errorf("the next mail to a dead address is planned as %q", got)
	}
	if len(o.mailOf(known)) != 2 {
		t.Errorf("%d mails to the address that is well", len(o.mailOf(known)))
	}
	if strings.Contains(p.Logs(), "canary-imap-pw") {
		t.Error("the log tells the mailbox's password")
	}
	return o
}

// makeMaildir has Postfix make the mailbox, by a mail that is no report: it is put away and changes nothing.
func (h *house) makeMaildir(domain string) {
	h.t.Helper()
	h.sendMail("somebody@example.com", "hello@"+domain, "Subject: no report\r\n\r\nhello\r\n")
	peers.Eventually(h.t, 20*time.Second, "the mailbox is there", func() error {
		if !slices.ContainsFunc(h.mail.Messages(), func(m peers.Mail) bool { return m.To == "hello@"+domain }) {
			return fmt.Errorf("no mail yet")
		}
		return nil
	})
}

// DKIM verifies after Postfix has had the mail in its hands, over the pair of List-Unsubscribe too, as RFC 8058 asks.
func TestSignaturesVerifyElsewhere(t *testing.T) {
	h := build(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	h.set("CARE_DKIM_DOMAIN=example.com", "CARE_DKIM_SELECTOR=s1", "CARE_DKIM_KEY="+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	c := h.person("SIGNED", care.Email, h.newCar)
	ev := h.person("HOOKED", care.Email, func(c *care.Customer) { c.Tags = []string{"ev"} })
	h.put([]care.Customer{c, ev})
	h.serve()
	raw := h.mailed(c, 1)[0].Raw
	verifications, err := dkim.VerifyWithOptions(strings.NewReader(strings.ReplaceAll(string(raw), "\n", "\r\n")), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if name != "s1._domainkey.example.com" {
				return nil, fmt.Errorf("asked for %s", name)
			}
			return []string{"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)}, nil
		},
	})
	if err != nil || len(verifications) != 1 || verifications[0].Err != nil {
		t.Fatalf("DKIM: %v %+v", err, verifications)
	}
	for _, name := range []string{"List-Unsubscribe", "List-Unsubscribe-Post", "From", "Subject", "Message-ID"} {
		if !slices.ContainsFunc(verifications[0].HeaderKeys, func(k string) bool { return strings.EqualFold(k, name) }) {
			t.Errorf("%s is not signed", name)
		}
	}
	h.webhooksVerify()
}

// webhooksVerify holds every webhook against the verifiers of Standard Webhooks, in Go and in JavaScript.
func (h *house) webhooksVerify() {
	t := h.t
	t.Helper()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	type posted struct {
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	var all []posted
	peers.Eventually(t, 20*time.Second, "a webhook", func() error {
		all = nil
		for _, e := range h.hooks.Journal() {
			if e.Kind != "webhook" {
				continue
			}
			p := posted{Headers: map[string]string{}, Body: string(e.Body)}
			for name := range e.Header {
				p.Headers[strings.ToLower(name)] = e.Header[name][0]
			}
			all = append(all, p)
		}
		if len(all) == 0 {
			return fmt.Errorf("none yet; on record: %s", h.brief())
		}
		return nil
	})
	for _, p := range all {
		header := http.Header{}
		for name, value := range p.Headers {
			header.Set(name, value)
		}
		if err := wh.Verify([]byte(p.Body), header); err != nil {
			t.Errorf("the Go library: %v", err)
		}
		if wh.Verify([]byte(p.Body+" "), header) == nil {
			t.Error("a changed body verifies")
		}
	}
	dir := npm(t, "standardwebhooks@1.1.1")
	out := node(t, dir, "webhooks.cjs", map[string]any{"secret": secret, "posted": all})
	if want := fmt.Sprintf("%d verified, %d forged refused\n", len(all), len(all)); out != want {
		t.Errorf("the npm package: %q, want %q", out, want)
	}
}
