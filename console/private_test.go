package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/console"
)

func TestTokenGuard(t *testing.T) {
	t.Parallel()
	clock := now
	d := staffed()
	p := private(d, "right")
	p.Ready = func(context.Context) error { return errDown }
	p.Now = func() time.Time { return clock }
	h := p.Handler()
	ask := func(path, secret, from string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.RemoteAddr = from
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		return serve(t, h, r).Code
	}
	const me, other = "198.51.100.1:1", "198.51.100.2:1"
	for _, pattern := range p.Routes() {
		path := strings.NewReplacer("GET ", "", "{$}", "", "{id}", "C1").Replace(pattern)
		if c := ask(path, "", me); c != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", path, c)
		}
		if c := ask(path, "right", me); c != http.StatusOK {
			t.Errorf("%s with the token: %d", path, c)
		}
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
	want := console.MessageFilter{State: care.StateFailed, Program: "recall", Channel: care.SMS, Customer: "C1", Dealer: "x", Limit: 7}
	if d.filter != want || len(messages.Messages) != 6 {
		t.Errorf("filter %+v, %d messages", d.filter, len(messages.Messages))
	}
	for _, bad := range []string{"state=x", "channel=fax", "customer=a{b}", "limit=0", "limit=1e9", "limit=1001"} {
		if w := get(t, h, "/api/v1/messages?"+bad); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	var status console.Status
	if read("/api/v1/status", &status); status.Uncertain != 2 || len(status.Lanes) != 6 {
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

// TestSlowLoris holds connections open that never finish a request, and still gets an answer.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	s := console.Server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("here")) }), quiet())
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Fatal("a time-out is missing")
	}
	s.ReadHeaderTimeout = 50 * time.Millisecond
	on, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(on) }()
	t.Cleanup(func() { _ = s.Close() })
	for range 50 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", on.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "))
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				return // 408
			} else if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a connection that sends nothing stays open")
			}
		}()
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+on.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
}

func TestLimiterForgets(t *testing.T) {
	t.Parallel()
	l := console.NewLimiter(100, func() time.Time { return now })
	for i := range 10_000 {
		l.Take(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	if n := l.Len(); n != 100 {
		t.Errorf("%d clients are remembered", n)
	}
}

func TestReadKM(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"35000": 35000, "35,000 km": 35000, "35.000": 35000, "1'234'567": 1234567, "3.5万公里": 35000, "３５０００": 35000, "35000.4": 35000, "35000,4 KM": 35000,
		"0": 0, "": -1, "km": -1, "-5": -1, "35k": -1, "1,23,4": -1, "2000001": -1, "1e9": -1, "201万": -1, "٣٥": -1, "5 stars": -1, ".": -1,
	} {
		if got, ok := console.ReadKM(text); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d %v", text, got, ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if n, ok := console.ReadKM(rapid.String().Draw(t, "text")); ok && (n < 0 || n > 2_000_000) {
			t.Fatalf("%d", n)
		}
	})
}

func TestClean(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		got := console.Clean(s, 20)
		if len([]rune(got)) > 20 || strings.ContainsAny(got, "\x00\r\u202e\u2028") || console.Clean(got, 20) != got {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

func TestComplaintWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"I want a refund": true, "Refunds? no": false, "RUDE!": true, "He is a crude oil trader": false, "服务太差了": true, "真是ＴＥＲＲＩＢＬＥ": true,
		"没有投诉，很满意": false, "没问题": false, "不错": false, "I'm very disappointed.": true, "not bad at all": false, "no complaints": false, "rip-off": true,
		"投 诉": true, "": false, "还是漏油": true, "thanks": false, "not fixed": true, "车没修好，但没问题": true,
	} {
		if got := console.Complains(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
