//go:build e2e

package peers

import (
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const within = 20 * time.Second

// calls collects the requests that a gateway makes.
type calls struct {
	mu   sync.Mutex
	got  []string
	base string
}

func listenForCalls(t *testing.T) *calls {
	c := &calls{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, fmt.Sprintf("%s id=%s s=%s from=%s to=%s text=%s", r.URL.Path, q.Get("ref"), q.Get("s"), q.Get("from"), q.Get("to"), q.Get("text")))
	}))
	t.Cleanup(srv.Close)
	c.base = srv.URL
	return c
}

func (c *calls) await(t *testing.T, want string) {
	t.Helper()
	Eventually(t, within, "call "+want, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !slices.Contains(c.got, want) {
			return fmt.Errorf("so far %q", c.got)
		}
		return nil
	})
}

func TestKannelRoundTrip(t *testing.T) {
	t.Parallel()
	c := listenForCalls(t)
	k := Kannel(t, KannelOptions{MO: c.base + "/mo"})
	text := strings.Repeat("【浦东别克】王先生,您好!您的君威预计需要保养 100%。\n", 6) + "😀回T退订"
	if code, body := k.SendSMS("8613800138000", text, c.base+"/dlr?ref=abc-sms&s=%d"); code != http.StatusAccepted || body != "0: Accepted for delivery" {
		t.Fatalf("sendsms: %d %q", code, body)
	}
	var got []SMS
	Eventually(t, within, "the message arrives", func() error {
		if got = k.Received(); len(got) != 1 || !got[0].Complete() {
			return fmt.Errorf("%d messages", len(got))
		}
		return nil
	})
	if m := got[0]; m.Text != text || m.Coding != 2 || m.To != "8613800138000" || m.From != "10690000" || m.Total < 3 {
		t.Errorf("arrived as %+v", m)
	}
	c.await(t, "/dlr id=abc-sms s=8 from= to= text=")
	c.await(t, "/dlr id=abc-sms s=1 from= to= text=")

	k.Reply("8613800138001", "10690000", "退订 100% +1 好")
	c.await(t, "/mo id= s= from=8613800138001 to=10690000 text=退订 100% +1 好")
}

func TestKannelAwayAndBack(t *testing.T) {
	t.Parallel()
	k := Kannel(t, KannelOptions{})
	k.StopSMSBox()
	if _, _, err := get(k.SendURL()); err == nil {
		t.Error("the gateway answers while it is away")
	}
	k.StartSMSBox()
	if code, _ := k.SendSMS("8613800138000", "好", ""); code != http.StatusAccepted {
		t.Errorf("after the return: %d", code)
	}
	Eventually(t, within, "the message arrives", func() error {
		if got := k.Received(); len(got) != 1 || got[0].Text != "好" {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
}

func TestKannelIsFull(t *testing.T) {
	t.Parallel()
	k := Kannel(t, KannelOptions{QueueLimit: 1})
	k.StopSMSC()
	if code, body := k.SendSMS("8613800138000", "one", ""); code != http.StatusAccepted || body != "3: Queued for later delivery" {
		t.Errorf("without an SMSC: %d %q", code, body)
	}
	if code, body := k.SendSMS("8613800138000", "two", ""); code != http.StatusServiceUnavailable || body != "Temporal failure, try again later." {
		t.Errorf("with a full queue: %d %q", code, body)
	}
	k.StartSMSC()
	Eventually(t, within, "the queued message arrives", func() error {
		if got := k.Received(); len(got) != 1 || got[0].Text != "one" {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
}

func TestKannelHTTPSMSCRefuses(t *testing.T) {
	t.Parallel()
	c := listenForCalls(t)
	smsc := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(smsc.Close)
	k := Kannel(t, KannelOptions{Extra: HTTPSMSC("HTTP", smsc.URL, FreePorts(t, 1)[0])})
	if code, body := k.SendSMS("8613800138000", "好", c.base+"/dlr?ref=x&s=%d", "smsc", "HTTP"); code != http.StatusAccepted {
		t.Fatalf("%d %q", code, body)
	}
	c.await(t, "/dlr id=x s=16 from= to= text=")
	if got := k.Received(); len(got) != 0 {
		t.Errorf("the fake SMSC got %+v", got)
	}
}

func TestPostfixRoundTrip(t *testing.T) {
	t.Parallel()
	before := etcPostfix(t)
	p := Postfix(t, PostfixOptions{})
	msg := "Message-ID: <abc-email@pudong.example>\r\nSubject: =?utf-8?q?=E6=82=A8=E5=A5=BD?=\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: 8bit\r\n\r\n王先生,您好\r\n.dot\r\n"
	send := func(from, to string) {
		t.Helper()
		if err := smtp.SendMail(p.Addr(), nil, from, []string{to}, []byte(msg)); err != nil {
			t.Fatal(err)
		}
	}
	find := func(to, what string) Mail {
		t.Helper()
		var m Mail
		Eventually(t, within, what, func() error {
			all := p.Messages()
			i := slices.IndexFunc(all, func(m Mail) bool { return m.To == to })
			if i < 0 {
				return fmt.Errorf("%d messages", len(all))
			}
			m = all[i]
			return nil
		})
		return m
	}
	send("care+m1@pudong.example", "anybody.at.all@example.com")
	m := find("anybody.at.all@example.com", "the message arrives")
	if m.Envelope.GetHeader("Subject") != "您好" || !strings.Contains(m.Text, "王先生,您好\n.dot") && !strings.Contains(m.Text, "王先生,您好\r\n.dot") {
		t.Errorf("arrived as %q: %q", m.Envelope.GetHeader("Subject"), m.Text)
	}
	if m.From != "care+m1@pudong.example" || m.Headers.Get("Message-Id") != "<abc-email@pudong.example>" {
		t.Errorf("from %q, id %q", m.From, m.Headers.Get("Message-Id"))
	}

	send("bounce+m123@dealer.example", "nobody.here@strict.example")
	dsn := find("bounce+m123@dealer.example", "the DSN arrives")
	for _, want := range []string{"report-type=delivery-status", "rfc822; nobody.here@strict.example", "Action: failed", "Status: 5.1.1"} {
		if !strings.Contains(string(dsn.Raw), want) {
			t.Errorf("the DSN has no %q", want)
		}
	}
	if dsn.From != "" && dsn.From != "MAILER-DAEMON" {
		t.Errorf("the DSN's sender is %q", dsn.From)
	}

	p.Stop()
	if err := smtp.SendMail(p.Addr(), nil, "a@pudong.example", []string{"down@example.com"}, []byte(msg)); err == nil {
		t.Error("a stopped server takes mail")
	}
	p.Start()
	send("a@pudong.example", "up@example.com")
	find("up@example.com", "mail arrives after a restart")
	if after := etcPostfix(t); after != before {
		t.Error("/etc/postfix has changed")
	}
}

func etcPostfix(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk("/etc/postfix", func(path string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestClusterSurvivesALostMaster(t *testing.T) {
	t.Parallel()
	c := Cluster(t)
	masters := c.Masters()
	if len(masters) != 3 {
		t.Fatalf("%d masters", len(masters))
	}
	masters[0].Kill()
	Eventually(t, within, "a replica is promoted", func() error {
		if n := len(c.Masters()); n != 3 {
			return fmt.Errorf("%d masters", n)
		}
		return nil
	})
	masters[0].Restart()
	c.AwaitReady(t)
	if got := c.Masters()[0].CLI("-c", "SET", "k", "v"); got != "OK" {
		t.Errorf("SET: %q", got)
	}
}

func TestSentinelPromotes(t *testing.T) {
	t.Parallel()
	s := Sentinel(t)
	first := s.Master()
	first.Kill()
	Eventually(t, within, "another master", func() error {
		if s.Master() == first {
			return errors.New("still the dead one")
		}
		return nil
	})
	first.Restart()
	s.AwaitReady()
	if role := first.CLI("INFO", "replication"); !strings.Contains(role, fmt.Sprintf("master_port:%d", s.Master().Port())) {
		t.Errorf("the node that has come back follows nobody, or the wrong one:\n%s", role)
	}
	if got := s.Master().CLI("SET", "k", "v"); got != "OK" {
		t.Errorf("SET: %q", got)
	}
}

func TestChromiumTakesAPicture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, "page.html")
	html := `<style>body{margin:0;background:#fff;height:1200px}@media(prefers-color-scheme:dark){body{background:#000}}</style><body>`
	if err := os.WriteFile(page, []byte(html), 0o644); err != nil {
		t.Fatal(err)
	}
	b := Chromium(t)
	for _, dark := range []bool{false, true} {
		out := filepath.Join(dir, fmt.Sprint(dark)+".png")
		b.Screenshot(page, 390, 844, dark, out)
		f, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if size := img.Bounds().Size(); size.X != 390 || size.Y != 1200 {
			t.Errorf("dark %v: size %v", dark, size)
		}
		if r, _, _, _ := img.At(10, 10).RGBA(); (r == 0) != dark {
			t.Errorf("dark %v: the background's red is %d", dark, r)
		}
	}
}
