package web_test

import (
	"bytes"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/web/public"
)

// form reads a form of the page as a browser would send it when only the changes are made.
func form(t *testing.T, h http.Handler, path string, changes map[string]string) url.Values {
	t.Helper()
	page := get(t, h, path).Body.String()
	v := url.Values{"do": {"save"}}
	for _, m := range regexp.MustCompile(`<input ([^>]*)>`).FindAllStringSubmatch(page, -1) {
		name := regexp.MustCompile(`name="([^"]*)"`).FindStringSubmatch(m[1])
		value := regexp.MustCompile(`value="([^"]*)"`).FindStringSubmatch(m[1])
		hidden, checked := strings.Contains(m[1], "hidden"), strings.Contains(m[1], " checked")
		if name != nil && value != nil && (hidden || checked) && name[1] != "do" {
			v.Set(name[1], value[1])
		}
	}
	if !v.Has("was") {
		t.Fatalf("the page has no form:\n%s", page)
	}
	for name, value := range changes {
		if value == "" {
			v.Del(name)
		} else {
			v.Set(name, value)
		}
	}
	return v
}

func TestOneClick(t *testing.T) {
	t.Parallel()
	multi := func() (string, string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		_ = w.WriteField("List-Unsubscribe", "One-Click")
		_ = w.Close()
		return b.String(), w.FormDataContentType()
	}
	body, kind := multi()
	for name, tt := range map[string]struct{ body, kind string }{
		"urlencoded": {"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"},
		"multipart":  {body, kind},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &memory{facts: facts("en")}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, link(token.Unsubscribe, care.Email), strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.kind)
			r.Header.Set("Origin", "https://mail.example") // it comes from elsewhere, without a cookie
			w := serve(t, handler(d), r)
			if w.Code != http.StatusOK || len(w.Result().Cookies()) > 0 {
				t.Fatalf("%d, cookies %v", w.Code, w.Result().Cookies())
			}
			want := map[string]care.Stop{"email": {At: now, Source: "one_click", Wording: public.Wording}}
			if diff := cmp.Diff(want, d.of("C1").Stops); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"opt_out=email"}, d.told()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestOptOutAlwaysCounts takes away everything that an opt-out does not need.
func TestOptOutAlwaysCounts(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]*memory{
		"the record is gone":    {gone: true},
		"nothing can be found":  {blind: errDown},
		"nobody can be told":    {facts: facts("en"), mute: errDown},
		"the form says nothing": {facts: facts("en")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := post(t, handler(d), link(token.Unsubscribe, care.SMS), nil)
			if _, ok := d.of("C1").Stops["sms"]; !ok || w.Code != http.StatusOK {
				t.Errorf("%d, stops %v", w.Code, d.of("C1").Stops)
			}
		})
	}
	d := &memory{facts: facts("en"), broken: errDown}
	if w := post(t, handler(d), link(token.Unsubscribe, care.SMS), nil); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("an opt-out that is not on record was answered with %d", w.Code)
	}
}

// TestNothingIsSavedBlindly: without the facts nobody can tell what the customer changed, or who asks.
func TestNothingIsSavedBlindly(t *testing.T) {
	t.Parallel()
	d := &memory{blind: errDown}
	h := handler(d)
	for path, form := range map[string]url.Values{
		link(token.Unsubscribe, care.SMS): {"do": {"save"}, "limit": {"1"}},
		link(token.Survey, care.SMS):      {"skill": {"1"}},
		link(token.RSVP, care.SMS):        {"answer": {"yes"}},
		link(token.Odometer, care.SMS):    {"do": {"not_me"}},
	} {
		if w := post(t, h, path, form); w.Code != http.StatusServiceUnavailable || d.writes != 0 {
			t.Errorf("%s: %d, %d writes", path[:3], w.Code, d.writes)
		}
	}
}

func TestThousandOneClicksFromOneAddress(t *testing.T) {
	t.Parallel()
	d := &memory{facts: facts("en")}
	h := handler(d)
	for i := range 1000 {
		path := "/u/" + signer.Sign(token.Token{Purpose: token.Unsubscribe, Customer: "C" + string(rune('a'+i%26)) + strings.Repeat("x", i/26), Channel: care.Email})
		get(t, h, path)
		serve(t, h, httptest.NewRequestWithContext(t.Context(), http.MethodHead, path, nil))
		if d.writes != 2*i { // a stop and an event for each before
			t.Fatalf("looking at link %d changed something", i)
		}
		if w := post(t, h, path, url.Values{"List-Unsubscribe": {"One-Click"}}); w.Code != http.StatusOK {
			t.Fatalf("one-click %d: %d", i, w.Code)
		}
	}
	for id, o := range d.overlay {
		if !o.Stopped(care.Email, care.Care, "", "") {
			t.Errorf("%s still gets mail", id)
		}
	}
	if len(d.overlay) != 1000 {
		t.Errorf("%d customers opted out", len(d.overlay))
	}
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	path := link(token.Unsubscribe, care.Email)
	how := care.Stop{At: now, Source: "link", Wording: public.Wording}
	tests := map[string]struct {
		record  func(*feedback.CustomerFacts)
		before  care.Overlay
		changes map[string]string
		want    care.Overlay
		told    []string
	}{
		"nothing changed": {},
		"a channel off":   {changes: map[string]string{"way:sms": ""}, want: care.Overlay{Stops: map[string]care.Stop{"sms": how}}, told: []string{"preferences=-sms"}},
		"offers off, on this channel": {
			changes: map[string]string{"kind:email/commercial": ""}, want: care.Overlay{Stops: map[string]care.Stop{"email/commercial": how}}, told: []string{"preferences=-email/commercial"},
		},
		"offers off, on the other channel": {
			record: func(f *feedback.CustomerFacts) {
				yes := true
				f.Consent = map[care.Channel]care.Consent{care.SMS: {Commercial: &yes}}
			},
			changes: map[string]string{"kind:sms/commercial": ""}, want: care.Overlay{Stops: map[string]care.Stop{"sms/commercial": how}}, told: []string{"preferences=-sms/commercial"},
		},
		"offers on, on the other channel": {
			changes: map[string]string{"kind:sms/commercial": "on"}, want: care.Overlay{Grants: map[string]care.Stop{"sms/commercial": how}}, told: []string{"preferences=+sms/commercial"},
		},
		"a class that the record has off, on for one channel": {
			record:  func(f *feedback.CustomerFacts) { f.Preferences.Off = []string{"care", "birthday"} },
			changes: map[string]string{"kind:sms/care": "on"},
			want: care.Overlay{
				Preferences: &care.Preferences{Off: []string{"birthday"}}, Stops: map[string]care.Stop{"email/care": how}, Grants: map[string]care.Stop{"sms/care": how},
			}, told: []string{"preferences=+sms/care"},
		},
		"and on for both": {
			record:  func(f *feedback.CustomerFacts) { f.Preferences.Off = []string{"care"} },
			changes: map[string]string{"kind:sms/care": "on", "kind:email/care": "on"},
			want: care.Overlay{
				Preferences: &care.Preferences{Off: []string{}}, Stops: map[string]care.Stop{"sms/care": how},
				Grants: map[string]care.Stop{"email/care": how, "sms/care": {At: now.Add(time.Millisecond), Source: "link", Wording: public.Wording}},
			}, told: []string{"preferences=+email/care +sms/care"},
		},
		"a topic off keeps what the record has off": {
			record:  func(f *feedback.CustomerFacts) { f.Preferences.Off = []string{"birthday"} },
			changes: map[string]string{"topic:seasonal": ""},
			want:    care.Overlay{Preferences: &care.Preferences{Off: []string{"birthday", "seasonal"}}}, told: []string{"preferences=-seasonal"},
		},
		"a topic on again": {
			record:  func(f *feedback.CustomerFacts) { f.Preferences.Off = []string{"seasonal"} },
			changes: map[string]string{"topic:seasonal": "on"},
			want:    care.Overlay{Preferences: &care.Preferences{Off: []string{}}}, told: []string{"preferences=+seasonal"},
		},
		"once a week": {
			changes: map[string]string{"limit": "1"},
			want:    care.Overlay{Preferences: &care.Preferences{MaxPerWeek: new(1)}}, told: []string{"preferences=max_per_week=1"},
		},
		"offers on for mail only, after a stop for all": {
			before:  care.Overlay{Stops: map[string]care.Stop{"commercial": {At: now.Add(-time.Hour), Source: "sms"}}},
			changes: map[string]string{"kind:email/commercial": "on"},
			want: care.Overlay{
				Stops: map[string]care.Stop{
					"commercial": {At: now.Add(-time.Hour), Source: "sms"}, "sms/commercial": {At: now.Add(-time.Hour), Source: "sms"},
				},
				Grants: map[string]care.Stop{"email/commercial": how, "commercial": how},
			}, told: []string{"preferences=+email/commercial"},
		},
		"a topic that is not in the book": {changes: map[string]string{"topic:../x": "on"}},
		"a limit that is none":            {changes: map[string]string{"limit": "1000"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &memory{facts: facts("en")}
			if tt.record != nil {
				tt.record(&d.facts)
			}
			*d.of("C1") = tt.before
			h := handler(d)
			if w := post(t, h, path, form(t, h, path, tt.changes)); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(tt.want, *d.of("C1"), cmp.AllowUnexported(care.Window{}, care.Date{}), cmp.Transformer("off", func(s []string) string {
				return strings.Join(s, " ")
			})); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.told, d.told()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBackIn lifts what the page's buttons stopped, but never agrees to offers.
func TestBackIn(t *testing.T) {
	t.Parallel()
	for _, do := range []string{"stop", "calm", "all"} {
		d := &memory{facts: facts("en")}
		h, path := handler(d), link(token.Unsubscribe, care.Email)
		post(t, h, path, url.Values{"do": {do}})
		o := d.of("C1")
		if !o.Stopped(care.Email, care.Service, "maintenance", "maintenance") {
			t.Errorf("%s: service messages still go", do)
		}
		if got := o.Stopped(care.Email, care.Safety, "", ""); got != (do != "calm") {
			t.Errorf("%s: safety stopped %v", do, got)
		}
		post(t, h, path, url.Values{"do": {"back"}})
		o = d.of("C1")
		if o.Stopped(care.Email, care.Service, "maintenance", "maintenance") || o.Stopped(care.Email, care.Care, "", "") {
			t.Errorf("%s: back in, and still stopped: %+v", do, o)
		}
		if _, agreed := o.Grants["commercial"]; agreed {
			t.Errorf("%s: back in agreed to offers", do)
		}
	}
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	good := strings.TrimPrefix(link(token.Unsubscribe, care.Email), "/u/")
	rapid.Check(t, func(t *rapid.T) {
		raw, _ := base64.RawURLEncoding.DecodeString(good)
		i := rapid.IntRange(0, len(raw)-1).Draw(t, "byte")
		raw[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		d := &memory{facts: facts("en")}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/u/"+base64.RawURLEncoding.EncodeToString(raw), nil)
		handler(d).ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || d.writes != 0 {
			t.Fatalf("%d, %d writes", w.Code, d.writes)
		}
	})
	// A token for one purpose opens no other page.
	d := &memory{facts: facts("en")}
	for _, path := range []string{"/s/", "/e/", "/o/"} {
		if w := post(t, handler(d), path+good, url.Values{"promise": {"1"}, "answer": {"no"}, "do": {"sold"}}); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := get(t, handler(d), "/calendar/"+good+".ics"); w.Code != http.StatusNotFound || d.writes != 0 {
		t.Errorf("calendar: %d, %d writes", w.Code, d.writes)
	}
}

func TestGuessesAreSlowedDown(t *testing.T) {
	t.Parallel()
	d := &memory{facts: facts("en")}
	h := handler(d)
	slowed := 0
	for range 200 {
		if get(t, h, "/u/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").Code == http.StatusTooManyRequests {
			slowed++
		}
	}
	if slowed != 180 {
		t.Errorf("%d of 200 guesses were slowed down", slowed)
	}
	// Behind the same address there may be customers with good links.
	if w := get(t, h, link(token.Survey, care.Email)); w.Code != http.StatusOK {
		t.Errorf("a good link: %d", w.Code)
	}
}

func TestFloodIsLimited(t *testing.T) {
	t.Parallel()
	p := (&memory{facts: facts("en")}).public()
	p.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	h := p.Handler()
	ask := func(remote, forwarded string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", forwarded)
		return serve(t, h, r).Code
	}
	limited := 0
	for i := range 10_100 {
		// What a stranger writes in front of the proxy's own entry does not count.
		if ask("192.0.2.1:1", "10.1.1."+string(rune('0'+i%10))+", 203.0.113.7") == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 100 {
		t.Errorf("%d of 10,100 were limited", limited)
	}
	if c := ask("192.0.2.1:1", "203.0.113.8"); c != http.StatusOK {
		t.Errorf("another client behind the proxy: %d", c)
	}
	if c := ask("198.51.100.1:1", "203.0.113.7"); c != http.StatusOK {
		t.Errorf("an untrusted sender counts as who it names: %d", c)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	for _, path := range []string{link(token.Unsubscribe, care.Email), link(token.Survey, care.Email), link(token.RSVP, care.Email), link(token.Odometer, care.Email)} {
		d := &memory{facts: facts("en")}
		w := post(t, handler(d), path, url.Values{"text": {strings.Repeat("x", 64<<10)}})
		if w.Code != http.StatusRequestEntityTooLarge || d.writes != 0 {
			t.Errorf("%s: %d, %d writes", path[:3], w.Code, d.writes)
		}
	}
}

// hostile stands wherever a name can stand.
const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>'` + "\u202e\x00</title></style>"

func TestHostileNames(t *testing.T) {
	t.Parallel()
	f := facts("en")
	f.Dealer, f.DealerPhone, f.Advisor = hostile, "javascript:alert(1)", hostile
	f.Vehicle.Model, f.Vehicle.Plate = hostile, `<b>"'12345`
	f.Vehicles = []care.Vehicle{*f.Vehicle, {ID: "2", Model: hostile, Plate: hostile}}
	e := *f.Event
	e.Title, e.Place, e.Address = care.Text{"": hostile}, care.Text{"": hostile}, care.Text{"": hostile + "\r\nATTENDEE:x"}
	f.Event = &e
	f.Topics = []feedback.TopicChoice{{Topic: hostile, Title: hostile}}
	d := &memory{facts: f}
	h := handler(d)
	for _, p := range []token.Purpose{token.Unsubscribe, token.Survey, token.RSVP, token.Odometer} {
		for _, w := range []*httptest.ResponseRecorder{
			get(t, h, link(p, care.Email)),
			post(t, h, link(p, care.Email), url.Values{"do": {hostile}, "text": {hostile}, "km": {hostile}, "car": {hostile}, "answer": {hostile}, "promise": {hostile}}),
		} {
			page := w.Body.String()
			page = page[:strings.Index(page, "<style>")] + page[strings.Index(page, "</style>"):]
			for _, never := range []string{"<script", "<img", "<b>", `href="javascript`, `onerror=alert(1)>`} {
				if strings.Contains(page, never) {
					t.Errorf("%c: %s is on the page", p, never)
				}
			}
		}
	}
	ics := get(t, h, link(token.Calendar, care.Email)).Body.String()
	if strings.Contains(ics, "\nATTENDEE") || strings.Contains(ics, "\x00") {
		t.Errorf("a name wrote a line of its own:\n%s", ics)
	}
}
