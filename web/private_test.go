package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/web/auth"
)

func TestTokenGuard(t *testing.T) {
	t.Parallel()
	clock := now
	d := staffed()
	p := private(d, "right")
	p.Ready = func(context.Context) error { return errDown }
	p.Now = func() time.Time { return clock }
	h := p.Handler()
	send := func(method, path, secret, from string, body string) int {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.RemoteAddr = from
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		return serve(t, h, r).Code
	}
	ask := func(path, secret, from string) int { return send(http.MethodGet, path, secret, from, "") }
	const me, other = "198.51.100.1:1", "198.51.100.2:1"
	for _, pattern := range p.Routes() {
		method, path, body, want := walk(pattern)
		if c := send(method, path, "", me, body); c != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", pattern, c)
		}
		if d.writes != 0 {
			t.Fatalf("%s without a token has changed something", pattern)
		}
		if c := send(method, path, "right", me, body); c != want {
			t.Errorf("%s with the token: %d", pattern, c)
		}
		d = staffed()
		p.Service = d
		h = p.Handler()
	}
	if a, b := ask("/healthz", "", me), ask("/readyz", "", me); a != http.StatusOK || b != http.StatusServiceUnavailable {
		t.Errorf("healthz %d, readyz %d", a, b)
	}
	refused := 0
	for range 10_000 {
		if ask("/", "wrong", me) == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 9_990 {
		t.Errorf("%d of 10,000 guesses were not looked at", refused)
	}
	if c := ask("/", "right", me); c != http.StatusTooManyRequests {
		t.Errorf("the right token right after: %d", c)
	}
	if c := ask("/", "right", other); c != http.StatusOK {
		t.Errorf("another client: %d", c)
	}
	clock = clock.Add(10 * time.Second)
	if c := ask("/", "right", me); c != http.StatusOK {
		t.Errorf("later: %d", c)
	}
}

// walk makes a request of a route's pattern that the staffed memory has an answer to.
func walk(pattern string) (method, path, body string, want int) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.NewReplacer("{$}", "", "{id}", "C1").Replace(path)
	key := strings.Repeat("2", 32)
	switch {
	case method == http.MethodGet:
		return method, path, "", http.StatusOK
	case strings.HasPrefix(path, "/api/"):
		return method, path, `{"key":"` + key + `"}`, http.StatusOK
	default:
		return method, path, "dealer=sh-pudong&key=" + key, http.StatusSeeOther
	}
}

// TestOnlyOurOwnPagesAct tries every route there is as another site's page would, and with the methods that must not change anything.
func TestOnlyOurOwnPagesAct(t *testing.T) {
	t.Parallel()
	acted := 0
	for _, pattern := range private(staffed(), "").Routes() {
		method, path, body, want := walk(pattern)
		for _, tt := range []struct {
			name, method string
			header       map[string]string
			acts         bool
		}{
			{"another site's", method, map[string]string{"Sec-Fetch-Site": "cross-site"}, false},
			{"a sibling host's", method, map[string]string{"Sec-Fetch-Site": "same-site"}, false},
			{"an old browser's", method, map[string]string{"Origin": "https://evil.example"}, false},
			{"a hidden frame's", method, map[string]string{"Origin": "null"}, false},
			{"GET", http.MethodGet, nil, false},
			{"HEAD", http.MethodHead, nil, false},
			{"our own", method, map[string]string{"Sec-Fetch-Site": "same-origin"}, true},
			{"our own, over plain HTTP", method, map[string]string{"Origin": "http://example.com"}, true},
			{"a program's", method, nil, true},
		} {
			d := staffed()
			h := private(d, "").Handler()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := serve(t, h, r)
			switch {
			case method == http.MethodGet && d.writes > 0:
				t.Errorf("%s, %s: something was changed", pattern, tt.name)
			case method == http.MethodGet:
			case tt.acts && (w.Code != want || d.writes != 1):
				t.Errorf("%s, %s: %d, %d changes", pattern, tt.name, w.Code, d.writes)
			case !tt.acts && (w.Code < 400 || d.writes != 0):
				t.Errorf("%s, %s: %d, %d changes", pattern, tt.name, w.Code, d.writes)
			case tt.acts:
				acted++
			}
		}
	}
	if acted != 6 {
		t.Errorf("%d requests have acted: what does this test look at?", acted)
	}
}

func TestTasks(t *testing.T) {
	t.Parallel()
	d := staffed()
	d.tasks[0].Dealer = "bj-chaoyang"
	h := private(d, "").Handler()
	w := get(t, h, "/tasks?dealer=bj-chaoyang")
	if page := w.Body.String(); !strings.Contains(page, d.tasks[0].Key) || strings.Contains(page, d.tasks[1].Key) {
		t.Errorf("another dealer's task, or not the dealer's own:\n%s", page)
	}
	// Or else a browser would send Origin: null with the page's own buttons, which is refused.
	if got := w.Header().Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("Referrer-Policy %s", got)
	}
	var list struct {
		Tasks []map[string]any
		Open  int
	}
	read := func(path string) {
		w := get(t, h, path)
		list.Tasks, list.Open = nil, 0
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %v\n%s", path, w.Code, err, w.Body)
		}
	}
	read("/api/v1/tasks?dealer=sh-pudong&limit=2")
	if len(list.Tasks) != 2 || list.Open != 5 || list.Tasks[0]["reason"] != "uncertain" || list.Tasks[0]["advisor"] != "陈志强" || list.Tasks[1]["at"] != "2026-11-21T23:44:00Z" {
		t.Errorf("%+v", list)
	}
	for _, bad := range []string{"limit=0", "limit=x", "limit=1001"} {
		for _, path := range []string{"/tasks?", "/api/v1/tasks?"} {
			if w := get(t, h, path+bad); w.Code != http.StatusBadRequest {
				t.Errorf("%s%s: %d", path, bad, w.Code)
			}
		}
	}

	form := url.Values{"key": {d.tasks[1].Key}, "dealer": {"a&b=c"}}
	for range 2 { // somebody else may have been faster
		if w := post(t, h, "/tasks/done", form); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/tasks?dealer=a%26b%3Dc" {
			t.Errorf("%d %s", w.Code, w.Header())
		}
	}
	if w := post(t, h, "/tasks/done?key="+d.tasks[2].Key, url.Values{"key": {"x"}}); w.Code != http.StatusBadRequest {
		t.Errorf("a key that is none: %d", w.Code)
	}
	api := func(body string) int {
		return serve(t, h, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/tasks/done", strings.NewReader(body))).Code
	}
	key := d.tasks[1].Key
	for _, tt := range []struct {
		body string
		want int
	}{
		{`{"key":"` + key + `"}`, http.StatusOK},
		{`{"key":"` + key + `"}`, http.StatusNotFound},
		{`{"key":"x"}`, http.StatusBadRequest},
		{"", http.StatusBadRequest},
		{`{"key":"` + strings.Repeat("1", 70_000), http.StatusBadRequest},
	} {
		if got := api(tt.body); got != tt.want {
			t.Errorf("%.50s: %d", tt.body, got)
		}
	}
	if len(d.done) != 2 {
		t.Errorf("ticked off: %v", d.done)
	}
	d.blind = errDown
	if a, b, c := get(t, h, "/tasks").Code, post(t, h, "/tasks/done", form).Code, api(`{"key":"`+key+`"}`); a != 503 || b != 503 || c != 503 {
		t.Errorf("Redis down: %d, %d, %d", a, b, c)
	}
	d.blind, d.tasks = nil, nil
	if w := get(t, h, "/api/v1/tasks"); !strings.Contains(w.Body.String(), `"tasks":[]`) {
		t.Errorf("none: %s", w.Body)
	}
}

func TestCrossOriginIsRefused(t *testing.T) {
	t.Parallel()
	d := staffed()
	p := private(d, "")
	did := false
	p.Pages = map[string]http.Handler{"POST /do": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { did = true })}
	h := p.Handler()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/do", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if w := serve(t, h, r); w.Code != http.StatusForbidden || did {
		t.Errorf("%d, done %v", w.Code, did)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if serve(t, h, r); !did {
		t.Error("our own page cannot act")
	}
}

// TestGuestPages lets the demo have the start page and its own styles, and keeps ours at /console.
func TestGuestPages(t *testing.T) {
	t.Parallel()
	p := private(staffed(), "")
	p.Pages = map[string]http.Handler{"GET /{$}": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("guest")) })}
	h := p.Handler()
	w := get(t, h, "/")
	if w.Body.String() != "guest" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "style-src 'unsafe-inline'") {
		t.Errorf("%s %s", w.Body, w.Header().Get("Content-Security-Policy"))
	}
	if w := get(t, h, "/console"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `action="/console"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAPI(t *testing.T) {
	t.Parallel()
	d := staffed()
	p := private(d, "")
	h := p.Handler()
	read := func(path string, into any) int {
		w := get(t, h, path)
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, w.Body)
		}
		return w.Code
	}
	var messages struct{ Messages []care.Record }
	read("/api/v1/messages?state=failed&program=recall&channel=sms&customer=C1&dealer=x&limit=7", &messages)
	want := operate.MessageFilter{State: care.StateFailed, Program: "recall", Channel: care.SMS, Customer: "C1", Dealer: "x", Limit: 7}
	if d.filter != want || len(messages.Messages) != 7 {
		t.Errorf("filter %+v, %d messages", d.filter, len(messages.Messages))
	}
	for _, bad := range []string{"state=x", "channel=fax", "customer=a{b}", "limit=0", "limit=1e9", "limit=1001"} {
		if w := get(t, h, "/api/v1/messages?"+bad); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	var status operate.Status
	if read("/api/v1/status", &status); status.Uncertain != 2 || len(status.Lanes) != 8 {
		t.Errorf("%+v", status)
	}
	var file struct {
		Timeline []care.EventEntry
		Due      []map[string]any
	}
	if read("/api/v1/customers/C1/timeline", &file); len(file.Timeline) != 3 || len(file.Due) != 2 || file.Due[0]["verdict"] != "send" || file.Due[0]["on"] != "2026-11-23" {
		t.Errorf("%+v", file)
	}
	d.messages = nil
	if w := get(t, h, "/api/v1/messages"); strings.TrimSpace(w.Body.String()) != `{"messages":[]}` {
		t.Errorf("none: %s", w.Body)
	}
	d.blind = errDown
	if w := get(t, h, "/api/v1/status"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("Redis down: %d", w.Code)
	}
	d.blind, d.file = nil, nil
	for _, id := range []string{"C9", "a%7Bb%7D"} {
		if w := get(t, h, "/api/v1/customers/"+id+"/timeline"); w.Code != http.StatusNotFound || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", id, w.Code, w.Body)
		}
	}
	// The document names exactly the routes there are.
	var doc struct {
		Paths map[string]map[string]any
	}
	read("/api/v1/openapi.json", &doc)
	there := 0
	for _, pattern := range p.Routes() {
		method, path, _ := strings.Cut(pattern, " ")
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		there++
		if doc.Paths[path][strings.ToLower(method)] == nil {
			t.Errorf("the document does not know %s", pattern)
		}
	}
	if there != len(doc.Paths) {
		t.Errorf("the document has %d paths, the API %d", len(doc.Paths), there)
	}
}

// TestEachRequestIsSomebodys: the services are asked in the name of who has the token or, without one, of whoever is at the machine.
func TestEachRequestIsSomebodys(t *testing.T) {
	t.Parallel()
	for secret, role := range map[string]string{"": "operator", "right": "admin"} {
		for _, pattern := range private(staffed(), secret).Routes() {
			d := staffed()
			method, path, body, _ := walk(pattern)
			r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if secret != "" {
				r.SetBasicAuth("anybody", secret)
			}
			serve(t, private(d, secret).Handler(), r)
			if path != "/api/v1/openapi.json" && (d.who.Role != role || !d.who.All()) {
				t.Errorf("%s with token %q is asked by %+v", pattern, secret, d.who)
			}
		}
	}
}

// TestARequestWithoutAGuardIsNobodys: what forgets the guard shows nobody anything.
func TestARequestWithoutAGuardIsNobodys(t *testing.T) {
	t.Parallel()
	who := auth.Of(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if who.All() || who.Sees("sh-pudong") {
		t.Errorf("%+v sees something", who)
	}
}
