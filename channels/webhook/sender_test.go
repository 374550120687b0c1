package webhook_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/webhook"
)

const (
	secret1 = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secret2 = "whsec_c2VjcmV0LWNhbmFyeS1zZWNyZXQtY2FuYXJ5LXg="
)

func testClock() time.Time { return time.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC) }

func testMessage() *care.Message {
	return &care.Message{
		ID: "abcdefghijklmnopqrstuvwxyz", Channel: care.Webhook, Customer: "C1", Dealer: "sh-pudong", Vehicle: "V1", Program: "maintenance",
		Step: "due", Class: care.Service, Topic: "maintenance", Locale: "zh-CN", At: testClock(), Subject: "保养", Text: []byte("王小明canary"),
	}
}

type request struct {
	header http.Header
	method string
	uri    string
	body   string
}

type sink struct {
	*httptest.Server
	mu  sync.Mutex
	got []request
}

func (s *sink) requests() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.got...)
}

func newSink(t testing.TB, answer http.HandlerFunc) *sink {
	t.Helper()
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.got = append(s.got, request{r.Header, r.Method, r.RequestURI, string(b)})
		s.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func newSender(t testing.TB, cfg webhook.Config) *webhook.Sender {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = testClock
	}
	s, err := webhook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStandardWebhookVerifies(t *testing.T) {
	t.Parallel()
	srv := newSink(t, nil)
	s := newSender(t, webhook.Config{URL: srv.URL + "/hook?a=1", Secrets: []string{secret1, secret2}})
	got, err := s.Send(t.Context(), testMessage())
	if err != nil {
		t.Fatal(err)
	}
	want := care.Receipt{ID: testMessage().ID, Channel: care.Webhook, Gateway: "standard", State: care.StateSent, At: testClock()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	r := srv.requests()[0]
	for _, secret := range []string{secret1, secret2} {
		oracle, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := oracle.VerifyIgnoringTimestamp([]byte(r.body), r.header); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
		if err := oracle.VerifyIgnoringTimestamp([]byte(r.body+" "), r.header); err == nil {
			t.Error("a changed body verifies")
		}
	}
	wantBody := `{"type":"care.maintenance","timestamp":"2026-11-22T01:30:00Z","data":{"id":"abcdefghijklmnopqrstuvwxyz","customer":"C1","dealer":"sh-pudong",` +
		`"vehicle":"V1","program":"maintenance","step":"due","class":"service","topic":"maintenance","locale":"zh-CN","subject":"保养","text":"王小明canary"}}`
	if diff := cmp.Diff(wantBody, r.body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	seen := []string{r.method, r.uri, r.header.Get("webhook-id"), r.header.Get("webhook-timestamp"), r.header.Get("Content-Type")}
	wantSeen := []string{"POST", "/hook?a=1", "abcdefghijklmnopqrstuvwxyz-webhook", strconv.FormatInt(testClock().Unix(), 10), "application/json"}
	if diff := cmp.Diff(wantSeen, seen); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestTemplateDecides(t *testing.T) {
	t.Parallel()
	srv := newSink(t, nil)
	s := newSender(t, webhook.Config{AllowHosts: []string{"127.0.0.1"}})
	m := testMessage()
	m.To, m.Method, m.Body = srv.URL, "put", []byte(`{"x":1}`)
	m.Headers = map[string]string{"X-Dealer": "a\r\nX-Evil: 1\u2028", "Content-Type": "application/vnd.x+json"}
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r := srv.requests()[0]
	got := []string{r.method, r.body, r.header.Get("X-Dealer"), r.header.Get("X-Evil"), r.header.Get("Content-Type")}
	if diff := cmp.Diff([]string{"PUT", `{"x":1}`, "a X-Evil: 1", "", "application/vnd.x+json"}, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	for _, name := range []string{"webhook-signature", "Host", "Transfer-Encoding", "a b", "a\r\nb", ""} {
		m.Headers = map[string]string{name: "1"}
		if _, err := s.Send(t.Context(), m); care.KindOf(err) != care.KindContent {
			t.Errorf("header %q: %v", name, err)
		}
	}
	m.Headers, m.Method = nil, "CONNECT"
	if _, err := s.Send(t.Context(), m); care.KindOf(err) != care.KindContent {
		t.Errorf("method: %v", err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := map[int]care.Kind{
		200: "", 201: "", 204: "", 301: care.KindRetry, 302: care.KindRetry, 307: care.KindRetry, 400: care.KindContent, 401: care.KindOperator,
		404: care.KindRetry, 408: care.KindRetry, 410: care.KindOperator, 413: care.KindContent, 418: care.KindRetry, 422: care.KindContent,
		429: care.KindRetry, 500: care.KindRetry, 502: care.KindRetry, 503: care.KindRetry, 504: care.KindRetry,
	}
	for status, want := range tests {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			elsewhere := newSink(t, nil)
			srv := newSink(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", elsewhere.URL)
				w.Header().Set("Retry-After", "17")
				w.WriteHeader(status)
			})
			_, err := newSender(t, webhook.Config{URL: srv.URL}).Send(t.Context(), testMessage())
			if got := care.KindOf(err); got != want {
				t.Errorf("got %v, want %q", err, want)
			}
			var e *care.Error
			if errors.As(err, &e) && (e.Code != "http "+strconv.Itoa(status) || e.RetryAfter != 17*time.Second) {
				t.Errorf("code %q, retry after %v", e.Code, e.RetryAfter)
			}
			if n := len(srv.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
			if n := len(elsewhere.requests()); n != 0 {
				t.Error("the redirect was followed")
			}
		})
	}
}

func TestBrokenConnectionIsRepeatedWithTheSameID(t *testing.T) {
	t.Parallel()
	var now time.Time
	var mu sync.Mutex
	clock := func() time.Time { // every reading a second later
		mu.Lock()
		defer mu.Unlock()
		if now.IsZero() {
			now = testClock()
		}
		now = now.Add(time.Second)
		return now
	}
	broken := 2
	srv := newSink(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if broken--; broken >= 0 {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		}
	})
	r, err := newSender(t, webhook.Config{URL: srv.URL, Secrets: []string{secret1}, Clock: clock}).Send(t.Context(), testMessage())
	if err != nil || r.Tries != 3 {
		t.Fatalf("tries %d, %v", r.Tries, err)
	}
	got := srv.requests()
	if len(got) != 3 {
		t.Fatalf("%d requests", len(got))
	}
	oracle, err := standardwebhooks.NewWebhook(secret1)
	if err != nil {
		t.Fatal(err)
	}
	stamps := map[string]bool{}
	for _, r := range got {
		if r.header.Get("webhook-id") != got[0].header.Get("webhook-id") || r.body != got[0].body {
			t.Error("the repeat differs")
		}
		if err := oracle.VerifyIgnoringTimestamp([]byte(r.body), r.header); err != nil {
			t.Error(err)
		}
		stamps[r.header.Get("webhook-timestamp")] = true
	}
	if len(stamps) != 3 {
		t.Errorf("timestamps %v: each try has its own", stamps)
	}
}

func TestGuardHoldsAtTheDial(t *testing.T) {
	t.Parallel()
	srv := newSink(t, nil)
	s := newSender(t, webhook.Config{URL: "https://hooks.example/"})
	_, port, _ := strings.Cut(strings.TrimPrefix(srv.URL, "http://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		m := testMessage()
		m.To = "http://" + host + ":" + port + "/secret-canary"
		_, err := s.Send(t.Context(), m)
		if err == nil {
			t.Errorf("%s was called", host)
			continue
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("the URL is in the error: %v", err)
		}
	}
	if n := len(srv.requests()); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func TestPost(t *testing.T) {
	t.Parallel()
	srv := newSink(t, nil)
	s := newSender(t, webhook.Config{URL: srv.URL, Secrets: []string{secret1}})
	err := s.Post(t.Context(), webhook.Event{ID: "task-1", Type: "task", At: testClock(), Data: map[string]int{"n": 1}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"type":"task","timestamp":"2026-11-22T01:30:00Z","data":{"n":1}}`, srv.requests()[0].body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// A group bot takes words only; an event without any is not for people.
func TestPostToABot(t *testing.T) {
	t.Parallel()
	srv := newSink(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"errcode":0}`)) })
	s := newSender(t, webhook.Config{URL: srv.URL, Preset: webhook.WeCom})
	for _, text := range []string{"", "Task: customer C1"} {
		if err := s.Post(t.Context(), webhook.Event{ID: "task-1", Type: "task", At: testClock(), Data: 1, Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	if got := srv.requests(); len(got) != 1 || got[0].body != `{"msgtype":"text","text":{"content":"Task: customer C1"}}` {
		t.Errorf("%d requests: %+v", len(got), got)
	}
}

func TestCloudEvents(t *testing.T) {
	t.Parallel()
	srv := newSink(t, nil)
	m := testMessage()
	m.Body = []byte(`{"km":31000}`)
	if _, err := newSender(t, webhook.Config{URL: srv.URL, Preset: webhook.CloudEvents}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r := srv.requests()[0]
	var got map[string]any
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"specversion": "1.0", "id": "abcdefghijklmnopqrstuvwxyz-webhook", "source": "/carebell/sh-pudong", "type": "carebell.maintenance.due",
		"time": "2026-11-22T01:30:00Z", "datacontenttype": "application/json", "data": map[string]any{"km": 31000.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if ct := r.header.Get("Content-Type"); ct != "application/cloudevents+json" {
		t.Errorf("type %q", ct)
	}
}

// Each try that broke off after it was written may have been taken: whoever counts repeats must be told.
func TestTriesThatMayHaveBeenTakenAreTold(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	defer srv.Close()
	s, err := webhook.New(webhook.Config{URL: srv.URL, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Send(t.Context(), &care.Message{ID: "abcdefghijklmnopqrstuvwxyz", Channel: care.Webhook, Body: []byte(`{}`)})
	e, ok := errors.AsType[*care.Error](err)
	if !ok || e.Kind != care.KindUncertain || e.Tries != 3 || !e.Reached {
		t.Errorf("three tries, no answer: %+v", e)
	}
}
