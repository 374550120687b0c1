package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/web"
	"github.com/carebell/carebell/web/httpx"
)

var update = flag.Bool("update", false, "write the pages of testdata anew")

type golden struct {
	name string
	make func(d *memory, h http.Handler) *httptest.ResponseRecorder
}

// pagesOf lists every customer's page in every state that a customer can see.
func pagesOf(t *testing.T) []golden {
	t.Helper()
	show := func(p token.Purpose) func(*memory, http.Handler) *httptest.ResponseRecorder {
		return func(_ *memory, h http.Handler) *httptest.ResponseRecorder { return get(t, h, link(p, care.Email)) }
	}
	send := func(p token.Purpose, form url.Values) func(*memory, http.Handler) *httptest.ResponseRecorder {
		return func(_ *memory, h http.Handler) *httptest.ResponseRecorder {
			return post(t, h, link(p, care.Email), form)
		}
	}
	good := url.Values{"promise": {"5"}, "response": {"4"}}
	return []golden{
		{"preferences", show(token.Unsubscribe)},
		{"preferences-stopped", send(token.Unsubscribe, url.Values{"do": {"stop"}})},
		{"preferences-calm", send(token.Unsubscribe, url.Values{"do": {"calm"}})},
		{"preferences-all", send(token.Unsubscribe, url.Values{"do": {"all"}})},
		{"survey", show(token.Survey)},
		{"survey-empty", send(token.Survey, nil)},
		{"survey-thanks", send(token.Survey, good)},
		{"survey-sorry", send(token.Survey, url.Values{"promise": {"1"}})},
		{"survey-again", func(_ *memory, h http.Handler) *httptest.ResponseRecorder {
			post(t, h, link(token.Survey, care.Email), good)
			return get(t, h, link(token.Survey, care.Email))
		}},
		{"rsvp", show(token.RSVP)},
		{"rsvp-coming", send(token.RSVP, url.Values{"answer": {"yes"}, "guests": {"2"}})},
		{"rsvp-declined", send(token.RSVP, url.Values{"answer": {"no"}})},
		{"odometer", show(token.Odometer)},
		{"odometer-two-cars", func(d *memory, h http.Handler) *httptest.ResponseRecorder {
			other := care.Vehicle{ID: "V2", Plate: "沪AD12345", Make: "Buick", Model: "Velite 6"}
			d.facts.Vehicle, d.facts.Vehicles = nil, append(d.facts.Vehicles, other)
			return get(t, h, link(token.Odometer, care.Email))
		}},
		{"odometer-doubt", send(token.Odometer, url.Values{"car": {carKey(t)}, "km": {"3400"}})},
		{"odometer-thanks", send(token.Odometer, url.Values{"car": {carKey(t)}, "km": {"36,500 km"}})},
		{"odometer-miles", func(d *memory, h http.Handler) *httptest.ResponseRecorder {
			d.facts.Miles = true
			return get(t, h, link(token.Odometer, care.Email))
		}},
		{"odometer-miles-doubt", func(d *memory, h http.Handler) *httptest.ResponseRecorder {
			d.facts.Miles = true
			return send(token.Odometer, url.Values{"car": {carKey(t)}, "km": {"2,100"}})(d, h)
		}},
		{"odometer-sold", send(token.Odometer, url.Values{"car": {carKey(t)}, "do": {"sold"}})},
		{"not-me", send(token.Odometer, url.Values{"do": {"not_me"}})},
		{"gone", func(d *memory, h http.Handler) *httptest.ResponseRecorder {
			d.gone = true
			return get(t, h, link(token.Survey, care.Email))
		}},
		{"not-found", func(d *memory, h http.Handler) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/u/forged", nil)
			r.Header.Set("Accept-Language", d.facts.Locale)
			return serve(t, h, r)
		}},
	}
}

// carKey reads the key of the customer's car from the page, as a browser does.
func carKey(t *testing.T) string {
	t.Helper()
	w := get(t, handler(&memory{facts: facts("en")}), link(token.Odometer, care.Email))
	found := regexp.MustCompile(`name="car" value="([0-9a-f]+)"`).FindStringSubmatch(w.Body.String())
	if found == nil {
		t.Fatalf("the page names no car:\n%s", w.Body)
	}
	return found[1]
}

// TestPages holds every page against what was looked at by people, in both languages.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, locale := range []string{"zh-CN", "en"} {
		for _, g := range pagesOf(t) {
			t.Run(locale+"/"+g.name, func(t *testing.T) {
				t.Parallel()
				d := &memory{facts: facts(locale)}
				w := g.make(d, handler(d))
				compare(t, filepath.Join("testdata", "pages", g.name+"."+locale+".html"), w)
			})
		}
	}
}

// TestConsole does the same for the pages of the private listener.
func TestConsole(t *testing.T) {
	t.Parallel()
	for _, locale := range []string{"zh-CN", "en"} {
		for name, path := range map[string]string{
			"start": "/", "customer": "/customers/C1", "nobody": "/customers/C2", "tasks": "/tasks", "tasks-some": "/tasks?dealer=sh-pudong&limit=2", "tasks-none": "/tasks?dealer=bj-chaoyang",
		} {
			t.Run(locale+"/"+name, func(t *testing.T) {
				t.Parallel()
				d := staffed()
				if name == "nobody" {
					d.file = nil
				}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
				r.Header.Set("Accept-Language", locale+",fr;q=0.5")
				compare(t, filepath.Join("testdata", "console", name+"."+locale+".html"), serve(t, private(d, "").Handler(), r))
			})
		}
	}
}

// compare holds a page against a file. The sheet is left out of the file; it is held by its hash in the policy.
func compare(t *testing.T, file string, w *httptest.ResponseRecorder) {
	t.Helper()
	page := w.Body.String()
	if len(page) > 15<<10 {
		t.Errorf("the page has %d bytes: more than 15 kB", len(page))
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)
	if style == nil {
		t.Fatalf("%d %s", w.Code, page)
	}
	sum := sha256.Sum256([]byte(style[1]))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(w.Header().Get("Content-Security-Policy"), want) {
		t.Errorf("the policy does not know the sheet: %s is not in %s", want, w.Header().Get("Content-Security-Policy"))
	}
	for _, never := range []string{"<script", "style=", " onclick", "http://", "ZgotmplZ", "%!"} {
		if strings.Contains(strings.Replace(page, style[0], "", 1), never) {
			t.Errorf("the page has %q", never)
		}
	}
	page = strings.Replace(page, style[1], "", 1)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page); diff != "" {
		t.Errorf("run go test ./web -update and look at the page (-want +got):\n%s", diff)
	}
}

// staffed has something to show in the console.
func staffed() *memory {
	car := facts("zh-CN").Vehicle
	d := &memory{facts: facts("zh-CN")}
	for i, s := range []care.State{care.StateDelivered, care.StateSent, care.StateUncertain, care.StateFailed, care.StateRetry, care.StateSkipped, care.StateExpired} {
		d.messages = append(d.messages, care.Record{
			ID: "a", Customer: "C1", Program: "maintenance", Step: "due", Channel: care.Channels[i%3], State: s, UpdatedAt: now.Add(-time.Duration(i) * time.Minute),
			Reason: map[care.State]string{care.StateFailed: "550 5.1.1", care.StateSkipped: "serviced", care.StateExpired: care.ReasonPaused}[s],
		})
	}
	d.messages[3].Attempts = []care.Attempt{{Kind: care.KindRecipient, Code: "550 5.1.1", Said: "no such <user> here"}}
	for i, reason := range []string{"not_reached", "uncertain", "complaint", "dead_address", "odometer", "not_me", "reply", "more"} {
		task := operate.Task{
			Key: strings.Repeat(strconv.Itoa(i), 32), At: now.Add(-time.Duration(i*i*i) * 17 * time.Minute), Customer: "C" + strconv.Itoa(i+1), Dealer: "sh-pudong",
			Program: "maintenance", Step: "heads-up", Channel: care.SMS, Reason: reason, Advisor: "陈志强", Location: shanghai,
		}
		if i > 5 { // a text that answers no message, from a customer of whom the book knows nothing
			task.Program, task.Step, task.Advisor, task.Dealer, task.Location = "", "", "", "", nil
		}
		d.tasks = append(d.tasks, task)
	}
	d.file = &operate.CustomerFile{
		Customer: &care.Customer{ID: "C1", Dealer: "sh-pudong", Name: "王小明", Grade: "A", Vehicles: []care.Vehicle{*car}},
		Defects:  []care.Defect{{Path: "$.birthday", Message: "no such birthday"}},
		Overlay: &care.Overlay{
			Holds: []care.Hold{{Reason: "complaint", Since: care.NewDate(2026, 11, 20)}},
			Stops: map[string]care.Stop{"sms": {At: now}},
		},
		Timeline: []care.EventEntry{
			{At: now, Kind: feedback.KindSurvey, Value: "promise=1", Program: "service-followup"},
			{At: now.Add(-time.Hour), ID: "a", Program: "service-followup", Step: "thanks", Channel: care.SMS, State: care.StateDelivered},
			{At: now.Add(-48 * time.Hour), ID: "b", Program: "birthday", Step: "day", Channel: care.Email, State: care.StateSkipped, Reason: "no_consent"},
		},
		Due: []*care.Occurrence{
			{ID: "c", Customer: "C1", Program: "maintenance", Step: "heads-up", Channel: care.Email, Verdict: care.Send, Release: now.Add(24 * time.Hour), Reason: "hold:complaint", On: care.NewDate(2026, 11, 23)},
			{ID: "d", Customer: "C1", Program: "birthday", Step: "day", Channel: care.Email, Verdict: care.Skip, Release: now.Add(48 * time.Hour), Reason: "not_in_audience", On: care.NewDate(2026, 11, 24)},
		},
		Location: shanghai,
	}
	return d
}

func private(d *memory, secret string) *web.Private {
	return &web.Private{
		Ready: nil, Metrics: http.NotFoundHandler(), Token: secret, Hosts: httpx.NewHosts("127.0.0.1:8080", "http://example.com"), Service: d, Now: func() time.Time { return now }, Log: quiet(),
	}
}
