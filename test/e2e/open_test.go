//go:build e2e

package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
)

// opened is a house whose public listener is there: gateways and customers can call it.
type opened struct {
	*house
	public string // CARE_PUBLIC_URL
	client *http.Client
}

// open builds a house with a public listener: on plain http, as a gateway on the same machine calls it, or behind a reverse proxy with
// TLS, as customers do (one-click unsubscribe needs https).
func open(t *testing.T, secure bool) *opened {
	t.Helper()
	h := build(t)
	listener := fmt.Sprintf("127.0.0.1:%d", peers.FreePorts(t, 1)[0])
	o := &opened{house: h, public: "http://" + listener, client: &http.Client{Timeout: 10 * time.Second}}
	if secure {
		proxy := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: listener}))
		t.Cleanup(proxy.Close)
		o.public = proxy.URL
		roots := proxy.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		t.Cleanup(transport.CloseIdleConnections)
		o.client.Transport = transport
	}
	o.set("CARE_PUBLIC_LISTEN="+listener, "CARE_PUBLIC_URL="+o.public, "CARE_TRUSTED_PROXIES=127.0.0.1")
	return o
}

// set puts settings in the place of those that are there.
func (h *house) set(vars ...string) {
	for _, v := range vars {
		name, _, _ := strings.Cut(v, "=")
		h.env = slices.DeleteFunc(h.env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		h.env = append(h.env, v)
	}
}

// kannel puts a gateway in the house's place that knows where to call us: by what doctor tells an operator.
func (o *opened) kannel(opts peers.KannelOptions) {
	o.t.Helper()
	shown := regexp.MustCompile(`http\S+/hooks/sms/kannel\S+`).FindString(o.carebell("doctor", "--show-callbacks"))
	if shown == "" {
		o.t.Fatal("doctor shows no URL for Kannel")
	}
	opts.MO = shown
	o.gateway = peers.Kannel(o.t, opts)
	o.set("CARE_SMS_URL=" + o.gateway.SendURL())
}

// person is a customer who agreed to one channel only; a reason to write comes with change.
func (h *house) person(id string, ch care.Channel, change func(*care.Customer)) care.Customer {
	yes, no := true, false
	number := 0
	for _, c := range id {
		number = (number*31 + int(c)) % 1_000_000
	}
	c := care.Customer{
		ID: id, Dealer: "example", Name: "王小明", Salutation: "王先生", Locale: "zh-CN", Phone: fmt.Sprintf("+86138%08d", 50_000_000+number),
		Email:   strings.ToLower(id) + "@example.com",
		Consent: map[care.Channel]care.Consent{care.SMS: {Service: &no}, care.Email: {Service: &no}}, Preferences: care.Preferences{Channels: []care.Channel{ch}},
	}
	c.Consent[ch] = care.Consent{Service: &yes} // no other channel stands in
	if change != nil {
		change(&c)
	}
	return c
}

// Reasons to write today.
func (h *house) bornToday(c *care.Customer) {
	today := h.today(0)
	c.Birthday = care.Birthday{Year: 1985, Month: uint8(today.Month()), Day: uint8(today.Day())}
}

func (h *house) newCar(c *care.Customer) {
	c.Vehicles = []care.Vehicle{{ID: "LSGW-" + c.ID, Make: "Buick", Model: "君威", DeliveredOn: h.today(-1)}}
}

func (h *house) afterVisit(c *care.Customer) {
	km := 31000
	c.Vehicles = []care.Vehicle{{
		ID: "LSGV-" + c.ID, Make: "Buick", Model: "君威", DeliveredOn: h.today(-400),
		Visits: []care.Visit{{Order: "RO-" + c.ID, ClosedOn: h.today(-3), KM: &km, Kind: "maintenance"}},
	}}
}

// texted waits until a customer has so many texts and returns them.
func (h *house) texted(c care.Customer, n int) []string {
	h.t.Helper()
	var got []string
	peers.Eventually(h.t, 20*time.Second, fmt.Sprintf("text %d to %s", n, c.ID), func() error {
		if got = h.texts()[c.Phone]; len(got) < n {
			return fmt.Errorf("%d so far; on record: %s", len(got), h.brief())
		}
		return nil
	})
	return got
}

// mailed waits until a customer has so many mails and returns them.
func (h *house) mailed(c care.Customer, n int) []peers.Mail {
	h.t.Helper()
	var got []peers.Mail
	peers.Eventually(h.t, 20*time.Second, fmt.Sprintf("mail %d to %s", n, c.ID), func() error {
		if got = h.mailOf(c); len(got) < n {
			return fmt.Errorf("%d so far; on record: %s", len(got), h.brief())
		}
		return nil
	})
	return got
}

func (h *house) mailOf(c care.Customer) []peers.Mail {
	h.t.Helper()
	return slices.DeleteFunc(h.mail.Messages(), func(m peers.Mail) bool { return m.To != c.Email })
}

func (h *house) brief() string {
	var b strings.Builder
	for _, r := range h.records("") {
		fmt.Fprintf(&b, "%s/%s/%s %s %s; ", r.Customer, r.Program, r.Channel, r.State, r.Reason)
	}
	return b.String()
}

// state waits until all messages of a customer's program are in a state.
func (h *house) state(customer, program string, want care.State) care.Record {
	h.t.Helper()
	var found care.Record
	peers.Eventually(h.t, 20*time.Second, fmt.Sprintf("%s of %s is %s", program, customer, want), func() error {
		for _, r := range h.records("") {
			if r.Customer == customer && r.Program == program {
				if found = r; r.State == want {
					return nil
				}
				return fmt.Errorf("it is %s (%s)", r.State, r.Reason)
			}
		}
		return errors.New("it is not on record")
	})
	return found
}

// event is an entry of care:events, as far as the tests look at it.
type event struct{ Customer, Kind, Value, Reason string }

// events returns all of care:events about a customer, as any other program reads it.
func (h *house) events(customer string) []event {
	h.t.Helper()
	var entries [][2]json.RawMessage
	if err := json.Unmarshal([]byte(h.redis.CLI("--json", "XRANGE", "care:events", "-", "+")), &entries); err != nil {
		h.t.Fatalf("care:events: %v", err)
	}
	var out []event
	for _, entry := range entries {
		var words []string
		if err := json.Unmarshal(entry[1], &words); err != nil {
			h.t.Fatalf("care:events: %v in %s", err, entry[1])
		}
		get := func(name string) string {
			for i := 0; i+1 < len(words); i += 2 {
				if words[i] == name {
					return words[i+1]
				}
			}
			return ""
		}
		if get("customer") == customer {
			out = append(out, event{customer, get("kind"), get("value"), get("reason")})
		}
	}
	return out
}

// told waits for an event of a kind.
func (h *house) told(customer, kind string) event {
	h.t.Helper()
	var found event
	peers.Eventually(h.t, 10*time.Second, fmt.Sprintf("%s of %s in care:events", kind, customer), func() error {
		all := h.events(customer)
		i := slices.IndexFunc(all, func(e event) bool { return e.Kind == kind })
		if i < 0 {
			return fmt.Errorf("there are %+v", all)
		}
		found = all[i]
		return nil
	})
	return found
}

// verdict asks the plan what becomes of a customer's message of a program today.
func (h *house) verdict(customer, program string) string {
	h.t.Helper()
	out := h.carebell("plan", "--from", h.today(-1).String(), "--to", h.today(1).String(), "--format", "jsonl")
	for line := range strings.Lines(out) {
		var p struct{ Customer, Program, Verdict, Reason string }
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			h.t.Fatal(err)
		}
		if p.Customer == customer && p.Program == program {
			return strings.TrimSpace(p.Verdict + " " + p.Reason)
		}
	}
	return ""
}

// fetch calls a page as a browser or a mail provider does.
func (o *opened) fetch(method, address, form string) (int, string) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, address, strings.NewReader(form))
	if err != nil {
		o.t.Fatal(err)
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := o.client.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// link finds the first link of a purpose in a text.
func (o *opened) link(text, purpose string) string {
	o.t.Helper()
	found := regexp.MustCompile(regexp.QuoteMeta(o.public+"/"+purpose+"/") + `[A-Za-z0-9_.-]+`).FindString(text)
	if found == "" {
		o.t.Fatalf("no link for %s in %q", purpose, text)
	}
	return found
}

// npm installs packages of exact versions into a folder of their own and returns it.
func npm(t *testing.T, packages ...string) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatal("npm is not there: install nodejs and npm")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "npm", append([]string{"install", "--no-audit", "--no-fund", "--loglevel=error", "--no-save"}, packages...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	return dir
}

// node runs a script of testdata in a folder of npm's, with a document on its standard input.
func node(t *testing.T, dir, script string, input any, args ...string) string {
	t.Helper()
	source, err := os.ReadFile("testdata/" + script)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/"+script, source, 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{script}, args...)...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(raw)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}
