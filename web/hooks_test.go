package web_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/hooks"
)

// TestLookingChangesNothing asks every route of both listeners with GET and HEAD, with and without a query that looks like a form.
func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	for _, locale := range []string{"zh-CN", "en"} {
		d := staffed()
		d.facts = facts(locale)
		d.posted, d.replies = []care.Receipt{{ID: "occ-1", Channel: care.SMS, State: care.StateDelivered}}, nil
		d.asked = []feedback.Asked{{Customer: "C1"}}
		public, private := d.public(), private(d, "")
		n := 0
		for _, of := range []struct {
			h      http.Handler
			routes []string
		}{{public.Handler(), public.Routes()}, {private.Handler(), private.Routes()}} {
			for _, pattern := range of.routes {
				_, path, _ := strings.Cut(pattern, " ")
				path = strings.NewReplacer("{$}", "", "{id}", "C1", "{gateway}", "kannel").Replace(path)
				for p, with := range map[string]token.Purpose{"/u/": 'u', "/s/": 's', "/e/": 'e', "/o/": 'o', "/calendar/": 'c'} {
					if strings.HasPrefix(path, p) {
						path = link(with, care.SMS)
					}
				}
				for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
					for _, query := range []string{"", "?do=stop&do=all&List-Unsubscribe=One-Click&promise=1&answer=no&km=1&sure=1&do=sold&do=not_me"} {
						if method == http.MethodGet && strings.HasPrefix(path, "/hooks/sms/") {
							continue // Kannel's receipts come by GET, with a secret
						}
						serve(t, of.h, httptest.NewRequestWithContext(t.Context(), method, path+query, nil))
						n++
						if d.writes != 0 {
							t.Fatalf("%s %s%s changed something", method, pattern, query)
						}
					}
				}
			}
		}
		if n < 100 {
			t.Errorf("only %d requests were made", n)
		}
	}
}

// TestEveryAnswerIsGuarded checks the headers of every route, and that no cookie is set: there is no session to be fixed.
func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	d := staffed()
	for _, of := range []struct {
		h     http.Handler
		paths []string
	}{
		{handler(d), []string{
			link('u', care.SMS), link('s', care.SMS), link('e', care.SMS), link('o', care.SMS), link('c', care.SMS), "/u/x", "/nothing", "/healthz", "/hooks/sms/kannel",
		}},
		{private(d, "").Handler(), []string{"/", "/console", "/customers/C1", "/api/v1/status", "/nothing", "/healthz"}},
	} {
		for _, path := range of.paths {
			w := get(t, of.h, path)
			csp := w.Header().Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") ||
				w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" ||
				w.Header().Get("Cache-Control") != "no-store" || len(w.Result().Cookies()) > 0 {
				t.Errorf("%s: %v", path, w.Header())
			}
		}
	}
}

func sms(t *testing.T, d *memory) *httptest.ResponseRecorder {
	t.Helper()
	return post(t, handler(d), "/hooks/sms/kannel", url.Values{"x": {"y"}})
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	at := now.Add(-time.Minute)
	tests := map[string]struct {
		receipt    care.Receipt
		failures   int
		before     care.Overlay
		suppressed string
		stopped    bool
	}{
		"delivered":          {receipt: care.Receipt{State: care.StateDelivered}},
		"dead number":        {receipt: care.Receipt{State: care.StateUndelivered, Kind: care.KindRecipient, Code: "MK:0001"}, suppressed: "MK:0001"},
		"phone off":          {receipt: care.Receipt{State: care.StateUndelivered, Kind: care.KindRetry, Code: "MK:0023"}, failures: 2},
		"phone off for long": {receipt: care.Receipt{State: care.StateUndelivered, Kind: care.KindRetry, Code: "MK:0023"}, failures: 3, suppressed: "soft:MK:0023"},
		"policy":             {receipt: care.Receipt{State: care.StateUndelivered, Kind: care.KindContent, Code: "5.7.1"}, failures: 9},
		"opted out there":    {receipt: care.Receipt{State: care.StateUndelivered, Kind: care.KindOptedOut, Code: "MBBLACK"}, stopped: true},
		"opted in since": {
			receipt: care.Receipt{State: care.StateUndelivered, Kind: care.KindOptedOut},
			before:  care.Overlay{Grants: map[string]care.Stop{"sms": {At: now}}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.receipt.ID, tt.receipt.Channel, tt.receipt.At = "occ-1", care.SMS, at
			d := &memory{facts: facts("en"), posted: []care.Receipt{tt.receipt, {ID: "nobody's", Kind: care.KindRecipient}}, failures: tt.failures}
			*d.of("C1") = tt.before
			for range 2 { // a repeat does nothing more
				w := sms(t, d)
				if w.Code != http.StatusOK || w.Body.String() != `{"code":0}` || w.Header().Get("Content-Type") != "application/json" {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			if len(d.receipts) != 4 {
				t.Errorf("%d receipts were kept", len(d.receipts))
			}
			o, got := d.of("C1"), ""
			for _, s := range o.Suppressed {
				got += s.Reason
			}
			_, stop := o.Stops["sms"]
			if got != tt.suppressed || stop != tt.stopped {
				t.Errorf("suppressed %q, stops %v", got, o.Stops)
			}
			want := 0
			if tt.suppressed != "" || tt.stopped {
				want = 1
			}
			if len(d.events) != want {
				t.Errorf("told %v", d.told())
			}
		})
	}
}

// TestAReportOfAnAddressThatWasLeft: reports may lie in a mailbox for weeks, and the customer has another address since.
func TestAReportOfAnAddressThatWasLeft(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		to, suppressed string
		told           int
	}{
		"the present one": {"now@example.com", "hash-email", 1},
		"the one before":  {"old@example.com", "hash of old@example.com", 0},
		"not said":        {"", "hash-email", 1},
		"no address":      {"?", "hash-email", 1},
	} {
		d := &memory{facts: facts("en")}
		d.facts.AddressHash = map[care.Channel]string{care.Email: "hash-email"}
		d.posted = []care.Receipt{{ID: "occ-1", Channel: care.Email, State: care.StateUndelivered, Kind: care.KindRecipient, Code: "5.1.1", To: tt.to}}
		p := d.public()
		p.Feedback.Hash = func(_ care.Channel, address string) string {
			return map[string]string{"now@example.com": "hash-email", "old@example.com": "hash of old@example.com"}[address]
		}
		for range 2 {
			if err := p.Feedback.Returned(t.Context(), strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
		}
		got := d.of("C1").Suppressed
		if len(got) != 1 || got[0].Hash != tt.suppressed || len(d.events) != tt.told {
			t.Errorf("%s: suppressed %+v, told %v", name, got, d.told())
		}
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	asked := func(asks string) []feedback.Asked {
		return []feedback.Asked{{Customer: "C2", Occurrence: "occ-0", At: now.Add(-48 * time.Hour)}, {Customer: "C1", Occurrence: "occ-1", At: now.Add(-time.Hour), Asks: asks}}
	}
	tests := map[string]struct {
		reply feedback.Reply
		asks  string
		told  []string
		check func(d *memory) bool
	}{
		"stop is for everybody with the number": {
			reply: feedback.Reply{Text: "R", OptOut: true}, told: []string{"opt_out=sms", "opt_out=sms"},
			check: func(d *memory) bool {
				return d.of("C1").Stops["sms"].Source == "sms" && d.of("C2").Stops["sms"].Source == "sms"
			},
		},
		"start": {
			reply: feedback.Reply{Text: "START", OptIn: true}, told: []string{"opt_in=sms", "opt_in=sms"},
			check: func(d *memory) bool { return d.of("C1").Grants["sms"].Source == "sms" && len(d.of("C1").Grants) == 1 },
		},
		"a mileage": {
			reply: feedback.Reply{Text: "３６５００公里"}, asks: "odometer", told: []string{"odometer=36500"},
			check: func(d *memory) bool { return len(d.of("C1").Readings) == 1 && len(d.of("C2").Readings) == 0 },
		},
		"a mileage nobody believes": {
			reply: feedback.Reply{Text: "365"}, asks: "odometer", told: []string{"task(odometer)=365"},
			check: func(d *memory) bool { return len(d.of("C1").Readings) == 0 },
		},
		"a good score": {
			reply: feedback.Reply{Text: " 5! "}, asks: "survey", told: []string{"survey=overall=5"},
			check: func(d *memory) bool { return len(d.of("C1").Holds) == 0 },
		},
		"a score in words": {reply: feedback.Reply{Text: "５分！"}, asks: "survey", told: []string{"survey=overall=5"}},
		"stars":            {reply: feedback.Reply{Text: "4 stars"}, asks: "survey", told: []string{"survey=overall=4"}},
		"a Chinese number": {reply: feedback.Reply{Text: "五分"}, asks: "survey", told: []string{"survey=overall=5"}},
		"no score":         {reply: feedback.Reply{Text: "6"}, asks: "survey", told: []string{"reply=6", "task(reply)=6"}},
		"a score and more": {reply: feedback.Reply{Text: "3天后再联系"}, asks: "survey", told: []string{"reply=3天后再联系", "task(reply)=3天后再联系"}},
		"a bad score": {
			reply: feedback.Reply{Text: "1"}, asks: "survey", told: []string{"survey=overall=1", "task(complaint)=overall=1"},
			check: func(d *memory) bool { return len(d.of("C1").Holds) == 1 },
		},
		"yes":                       {reply: feedback.Reply{Text: "来"}, asks: "rsvp", told: []string{"rsvp=owners-day yes"}},
		"no":                        {reply: feedback.Reply{Text: "来不了。"}, asks: "rsvp", told: []string{"rsvp=owners-day no"}},
		"a number nobody asked for": {reply: feedback.Reply{Text: "5"}, told: []string{"reply=5", "task(reply)=5"}},
		"more":                      {reply: feedback.Reply{Text: "More"}, told: []string{"reply=More", "task(more)=More"}},
		"free text":                 {reply: feedback.Reply{Text: "please stop by tomorrow"}, told: []string{"reply=please stop by tomorrow", "task(reply)=please stop by tomorrow"}},
		"a complaint": {
			reply: feedback.Reply{Text: "没人管，我要投诉"}, asks: "survey", told: []string{"reply=没人管，我要投诉", "task(complaint)=没人管，我要投诉"},
			check: func(d *memory) bool { return len(d.of("C1").Holds) == 1 },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.reply.Gateway, tt.reply.ID, tt.reply.From, tt.reply.At = "kannel", "r-1", "+8613800138000", now
			d := &memory{facts: facts("zh-CN"), replies: []feedback.Reply{tt.reply}, asked: asked(tt.asks)}
			for range 3 { // gateways repeat, and replays must have no effect
				if w := sms(t, d); w.Code != http.StatusOK {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			if diff := cmp.Diff(tt.told, d.told()); diff != "" {
				t.Error(diff)
			}
			if tt.check != nil && !tt.check(d) {
				t.Errorf("C1 %+v, C2 %+v", d.of("C1"), d.of("C2"))
			}
		})
	}
}

// TestReplayOfAnOldStop must not undo what the customer said since.
func TestReplayOfAnOldStop(t *testing.T) {
	t.Parallel()
	stop := feedback.Reply{Gateway: "kannel", ID: "r-1", From: "+8613800138000", Text: "STOP", OptOut: true, At: now}
	start := feedback.Reply{Gateway: "kannel", ID: "r-2", From: "+8613800138000", Text: "START", OptIn: true, At: now}
	d := &memory{facts: facts("en"), asked: []feedback.Asked{{Customer: "C1"}}}
	for _, r := range []feedback.Reply{stop, start, stop} {
		d.replies = []feedback.Reply{r}
		sms(t, d)
	}
	if d.of("C1").Stopped(care.SMS, care.Service, "", "") {
		t.Error("a replayed STOP took the customer's START back")
	}
	// Without ids a STOP after a START counts: better one opt-out too many.
	d = &memory{facts: facts("en"), asked: []feedback.Asked{{Customer: "C1"}}}
	p := d.public()
	clock := now
	p.Now = func() time.Time { clock = clock.Add(time.Second); return clock }
	p.Feedback.Now = p.Now
	h := p.Handler()
	for _, r := range []feedback.Reply{stop, start, stop} {
		r.ID = ""
		d.replies = []feedback.Reply{r}
		post(t, h, "/hooks/sms/kannel", nil)
	}
	if !d.of("C1").Stopped(care.SMS, care.Service, "", "") {
		t.Error("the second STOP was taken for a repeat of the first")
	}
}

// TestStopOfSomebodyGone is kept: the record may come back with the next import.
func TestStopOfSomebodyGone(t *testing.T) {
	t.Parallel()
	d := &memory{gone: true, asked: []feedback.Asked{{Customer: "C1"}}}
	d.replies = []feedback.Reply{{Gateway: "kannel", ID: "r-1", From: "+8613800138000", Text: "TD", OptOut: true, At: now}}
	if w := sms(t, d); w.Code != http.StatusOK || !d.of("C1").Stopped(care.SMS, care.Service, "", "") {
		t.Errorf("%d, %+v", w.Code, d.of("C1"))
	}
}

// TestReplyIsTakenAgainAfterAFailure keeps a reply from being lost between being done and being told.
func TestReplyIsTakenAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	d := &memory{facts: facts("en"), asked: []feedback.Asked{{Customer: "C1", Occurrence: "occ-1"}}, mute: errDown}
	d.replies = []feedback.Reply{{Gateway: "kannel", ID: "r-1", From: "+8613800138000", Text: "call me", At: now}}
	if w := sms(t, d); w.Code != http.StatusServiceUnavailable {
		t.Fatalf("%d", w.Code)
	}
	d.mute = nil
	if w := sms(t, d); w.Code != http.StatusOK || len(d.events) != 2 {
		t.Errorf("%d, told %v", w.Code, d.told())
	}
}

func TestHooksRefuse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		path string
		want int
	}{
		"forged":       {fmt.Errorf("twilio: %w", hooks.ErrForged), "/hooks/sms/kannel", http.StatusForbidden},
		"unreadable":   {feedback.ErrUnreadable, "/hooks/sms/kannel", http.StatusBadRequest},
		"unknown":      {nil, "/hooks/sms/nobody", http.StatusNotFound},
		"cannot check": {errDown, "/hooks/sms/kannel", http.StatusServiceUnavailable},
	} {
		d := &memory{facts: facts("en"), hookErr: tt.err, posted: []care.Receipt{{ID: "occ-1"}}}
		if w := post(t, handler(d), tt.path, nil); w.Code != tt.want || d.writes != 0 {
			t.Errorf("%s: %d, %d writes", name, w.Code, d.writes)
		}
	}
	d := &memory{hookErr: hooks.ErrForged}
	h := handler(d)
	for range 20 {
		post(t, h, "/hooks/sms/kannel", nil)
	}
	if w := post(t, h, "/hooks/sms/kannel", nil); w.Code != http.StatusTooManyRequests {
		t.Errorf("the 21st forged callback: %d", w.Code)
	}
	d = &memory{}
	if w := post(t, handler(d), "/hooks/sms/kannel", url.Values{"x": {strings.Repeat("y", 300<<10)}}); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge callback: %d", w.Code)
	}
	p := (&memory{}).public()
	p.Gateways = nil
	if w := post(t, p.Handler(), "/hooks/sms/kannel", nil); w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
		t.Errorf("without a gateway: %d", w.Code)
	}
}

func TestBounces(t *testing.T) {
	t.Parallel()
	mail := func(d *memory, set func(*http.Request), body string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/email/bounce", strings.NewReader(body))
		r.Header.Set("Content-Type", "message/rfc822")
		set(r)
		return serve(t, handler(d), r).Code
	}
	basic := func(r *http.Request) { r.SetBasicAuth("postfix", "bounce-secret") }
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer bounce-secret") }
	for name, tt := range map[string]struct {
		set  func(*http.Request)
		body string
		want int
	}{
		"basic":        {basic, "From: x\n\n", http.StatusNoContent},
		"bearer":       {bearer, "From: x\n\n", http.StatusNoContent},
		"no secret":    {func(*http.Request) {}, "", http.StatusUnauthorized},
		"wrong secret": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer bounce-secre") }, "", http.StatusUnauthorized},
		"not a mail":   {bearer, "rubbish", http.StatusBadRequest},
		"too large":    {bearer, strings.Repeat("x", 1<<20+1), http.StatusRequestEntityTooLarge},
		"a form":       {func(r *http.Request) { bearer(r); r.Header.Set("Content-Type", "text/html") }, "", http.StatusUnsupportedMediaType},
	} {
		d := &memory{facts: facts("en"), posted: []care.Receipt{{ID: "occ-1", Channel: care.Email, State: care.StateUndelivered, Kind: care.KindRecipient, Code: "5.1.1"}}}
		if got := mail(d, tt.set, tt.body); got != tt.want {
			t.Errorf("%s: %d", name, got)
		}
		if done := len(d.of("C1").Suppressed) == 1; done != (tt.want == http.StatusNoContent) {
			t.Errorf("%s: suppressed %v", name, d.of("C1").Suppressed)
		}
	}
	// A complaint to the mailbox provider (RFC 5965) is an opt-out.
	d := &memory{facts: facts("en"), posted: []care.Receipt{{ID: "occ-1", Channel: care.Email, State: care.StateDelivered, Kind: care.KindOptedOut, At: now}}}
	if mail(d, bearer, "x"); d.of("C1").Stops["email"].Source != "provider" {
		t.Errorf("stops %v", d.of("C1").Stops)
	}
}

// TestReturnedMail comes from a mailbox too, without a door and its secret.
func TestReturnedMail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		over       *memory
		err        error
		suppressed int
	}{
		"a report":        {&memory{facts: facts("en")}, nil, 1},
		"unreadable":      {&memory{facts: facts("en")}, feedback.ErrUnreadable, 0},
		"cannot be kept":  {&memory{facts: facts("en"), broken: errDown}, errDown, 0},
		"a look-up fails": {&memory{facts: facts("en"), blind: errDown}, errDown, 0},
	} {
		tt.over.posted = []care.Receipt{{ID: "occ-1", Channel: care.Email, State: care.StateUndelivered, Kind: care.KindRecipient, Code: "5.1.1"}}
		for range 2 { // a mailbox may hand it in twice
			if err := tt.over.public().Feedback.Returned(t.Context(), strings.NewReader(map[bool]string{true: "rubbish", false: "From: x\n\n"}[name == "unreadable"])); !errors.Is(err, tt.err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := len(tt.over.of("C1").Suppressed); n != tt.suppressed {
			t.Errorf("%s: %d addresses suppressed", name, n)
		}
		if n := len(tt.over.events); n != tt.suppressed {
			t.Errorf("%s: told %v", name, tt.over.told())
		}
	}
}

// TestNothingPersonalIsLogged sends canaries through every path, with everything failing, at debug level.
func TestNothingPersonalIsLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	for _, d := range []*memory{{facts: facts("zh-CN")}, {facts: facts("zh-CN"), broken: errDown}, {facts: facts("zh-CN"), mute: errDown}, {blind: errDown}} {
		d.asked = []feedback.Asked{{Customer: "C1", Occurrence: "occ-1"}}
		d.replies = []feedback.Reply{{Gateway: "kannel", ID: "r", From: "+8613800138000", Text: "canary-text 投诉", At: now}}
		p := d.public()
		p.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		p.Feedback.Log = p.Log
		h := p.Handler()
		for _, purpose := range []token.Purpose{'u', 's', 'e', 'o'} {
			post(t, h, link(purpose, care.SMS), url.Values{"text": {"canary-text"}, "promise": {"1"}, "answer": {"yes"}, "do": {"not_me"}})
		}
		post(t, h, "/hooks/sms/kannel", nil)
		d.replies[0].From = "+8613911112222"
		post(t, h, "/hooks/sms/kannel", nil)
	}
	if log.Len() == 0 {
		t.Fatal("nothing was logged: the test sees nothing")
	}
	for _, canary := range []string{"canary", "138001", "139111", "LSGHXRT", "沪A", "浦东", strings.TrimPrefix(link('s', care.SMS), "/s/")[:20]} {
		if strings.Contains(log.String(), canary) {
			t.Errorf("the log has %q:\n%s", canary, log.String())
		}
	}
}
