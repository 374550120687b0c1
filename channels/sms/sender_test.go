package sms_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config/yaml"
)

// fleet starts one fake Kannel and one described gateway.
func fleet(t *testing.T, first, second http.HandlerFunc, change func(*sms.Config)) (s *sms.Sender, a, b *recorder) {
	t.Helper()
	srvA, a := kannel(t, 0, "")
	srvA.Config.Handler = noting(a, first)
	srvB, b := kannel(t, 0, "")
	srvB.Config.Handler = noting(b, second)
	cfg := sms.Config{
		Gateways: []sms.Gateway{{Name: "kannel", URL: srvA.URL}, {Name: "backup"}},
		Files:    book("backup", `{url: "`+srvB.URL+`/send?to={to}&text={text}"}`),
	}
	if change != nil {
		change(&cfg)
	}
	return newSender(t, cfg), a, b
}

func noting(rec *recorder, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec.note(r, "")
		h(w, r)
	})
}

func drop(w http.ResponseWriter, _ *http.Request) {
	if h, ok := w.(http.Hijacker); ok {
		if c, _, err := h.Hijack(); err == nil {
			c.Close()
		}
	}
}

func TestFailover(t *testing.T) {
	t.Parallel()
	ok := answers(200, "ok")
	tests := map[string]struct {
		first   http.HandlerFunc
		gateway string
		kind    care.Kind
		used    bool // the second gateway
		tries   int
	}{
		"the first takes it":                {answers(202, "0: Accepted"), "kannel", "", false, 0},
		"busy: the second takes it":         {answers(503, ""), "backup", "", true, 2},
		"locked out: the second takes it":   {answers(403, ""), "backup", "", true, 2},
		"perhaps taken: nobody else may":    {drop, "", care.KindUncertain, false, 0},
		"yes unread: nobody else may":       {answers(200, "?"), "", care.KindUncertain, false, 0},
		"refused for its content: it stays": {answers(400, ""), "", care.KindContent, false, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, b := fleet(t, tt.first, ok, nil)
			r, err := s.Send(t.Context(), testMessage())
			if care.KindOf(err) != tt.kind || r.Gateway != tt.gateway || r.Tries != tt.tries {
				t.Errorf("gateway %q after %d tries, %v", r.Gateway, r.Tries, err)
			}
			if used := b.count() > 0; used != tt.used {
				t.Errorf("second gateway used: %v", used)
			}
		})
	}
	s, _, _ := fleet(t, answers(403, ""), answers(503, ""), nil)
	_, err := s.Send(t.Context(), testMessage())
	if e := new(care.Error); !errors.As(err, &e) || e.Kind != care.KindRetry || e.Tries != 2 {
		t.Errorf("one locked out, one busy: %v; what is busy is tried again", err)
	}
}

// TestDeadGatewayIsNotAskedEachTime: the next messages go to the one that works, until the dead one has rested.
func TestDeadGatewayIsNotAskedEachTime(t *testing.T) {
	t.Parallel()
	s, a, b := fleet(t, answers(503, ""), answers(200, "ok"), nil)
	for range 5 {
		if _, err := s.Send(t.Context(), testMessage()); err != nil {
			t.Fatal(err)
		}
	}
	if a.count() != 1 || b.count() != 5 {
		t.Errorf("%d and %d requests", a.count(), b.count())
	}
	if g := s.GatewayFor(number, "CN", "sh"); g != "backup" {
		t.Errorf("the next goes to %s", g)
	}
}

// TestAMessageGoesWhereItWasRouted: the gateway whose limits it has used is the one that gets it, unless that one failed meanwhile.
func TestAMessageGoesWhereItWasRouted(t *testing.T) {
	t.Parallel()
	s, a, b := fleet(t, answers(202, "0: ok"), answers(200, "ok"), nil)
	m := testMessage()
	if g := s.Route(m, func(string) bool { return false }); g != "kannel" {
		t.Errorf("it is routed to %q: one that is busy is waited for", g)
	}
	m.Gateway = "backup"
	if _, err := s.Send(t.Context(), m); err != nil || a.count() != 0 || b.count() != 1 {
		t.Errorf("%d and %d requests, %v", a.count(), b.count(), err)
	}
	s, a, b = fleet(t, answers(202, "0: ok"), answers(503, ""), nil)
	for range 3 {
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if a.count() != 3 || b.count() != 1 {
		t.Errorf("%d and %d requests: one that just failed is not asked first", a.count(), b.count())
	}
}

// TestOneNumbersLimitIsNoSickness: that a number got its share today says nothing of the next one.
func TestOneNumbersLimitIsNoSickness(t *testing.T) {
	t.Parallel()
	first, rec := kannel(t, 0, "")
	first.Config.Handler = noting(rec, answers(codeAnswers["aliyun"]("isv.DAY_LIMIT_CONTROL")))
	second, _ := kannel(t, 202, "0: ok")
	account := accounts["aliyun"]
	account.URL = first.URL
	s := newSender(t, sms.Config{Gateways: []sms.Gateway{account, {Name: "kannel", URL: second.URL}}})
	for range 3 {
		if r, err := s.Send(t.Context(), templated()); err != nil || r.Gateway != "kannel" {
			t.Fatalf("%s, %v", r.Gateway, err)
		}
	}
	if rec.count() != 3 {
		t.Errorf("%d requests", rec.count())
	}
}

func TestRouting(t *testing.T) {
	t.Parallel()
	s, a, b := fleet(t, answers(202, "0: ok"), answers(200, ""), func(c *sms.Config) {
		c.Gateways[0].Countries = []string{"cn"}
		c.Gateways[0].Prefixes = []string{"+86138", "+86139"}
		c.Gateways[1].Countries = []string{"US"}
		c.Gateways[1].Dealers = []string{"ny"}
		c.Countries = []string{"86", "+1"}
	})
	for _, tt := range []struct {
		to, country, dealer, gateway string
	}{
		{"+8613800138001", "CN", "sh", "kannel"},
		{"+8613900138001", "CN", "sh", "kannel"},
		{"+8618600138001", "CN", "sh", ""},
		{"+12125550123", "US", "ny", "backup"},
		{"+12125550123", "US", "boston", ""},
		{"+447700900123", "GB", "sh", ""},
	} {
		m := testMessage()
		m.To, m.Country, m.Dealer = tt.to, tt.country, tt.dealer
		r, err := s.Send(t.Context(), m)
		if r.Gateway != tt.gateway || (tt.gateway == "") != (care.KindOf(err) == care.KindContent) {
			t.Errorf("%+v: %q, %v", tt, r.Gateway, err)
		}
		if s.Accepts(tt.to, tt.country, tt.dealer) != (tt.gateway != "") {
			t.Errorf("%+v: Accepts says otherwise", tt)
		}
	}
	if a.count() != 2 || b.count() != 1 {
		t.Errorf("%d and %d requests", a.count(), b.count())
	}
}

func TestCommercialMessagesSayHowToRefuse(t *testing.T) {
	t.Parallel()
	s, a, _ := fleet(t, answers(202, "0: ok"), answers(200, ""), nil)
	m := testMessage()
	m.Class = care.Commercial
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if text := a.all[0].URL.Query().Get("text"); !strings.HasSuffix(text, "，拒收请回复R") {
		t.Errorf("text %q", text)
	}
}

func TestMessagesThatNobodyTakes(t *testing.T) {
	t.Parallel()
	s, a, b := fleet(t, answers(202, "0: ok"), answers(200, ""), nil)
	for name, tt := range map[string]struct {
		change func(*care.Message)
		kind   care.Kind
		code   string
	}{
		"no number":  {func(m *care.Message) { m.To = "" }, care.KindRecipient, "bad_number"},
		"national":   {func(m *care.Message) { m.To = "13800138001" }, care.KindRecipient, "bad_number"},
		"zero first": {func(m *care.Message) { m.To = "+013800138001" }, care.KindRecipient, "bad_number"},
		"letters":    {func(m *care.Message) { m.To = "+86138001380a1" }, care.KindRecipient, "bad_number"},
		"two":        {func(m *care.Message) { m.To = "+8613800138001,+8613800138002" }, care.KindRecipient, "bad_number"},
		"no text":    {func(m *care.Message) { m.Text = []byte(" \n") }, care.KindContent, "empty"},
		"over 500":   {func(m *care.Message) { m.Text = []byte(strings.Repeat("车", 495)) }, care.KindContent, "too_long"},
		"too long":   {func(m *care.Message) { m.Text = []byte(strings.Repeat("车", 671)) }, care.KindContent, "too_long"},
	} {
		m := testMessage()
		tt.change(m)
		_, err := s.Send(t.Context(), m)
		if e := new(care.Error); !errors.As(err, &e) || e.Kind != tt.kind || e.Code != tt.code {
			t.Errorf("%s: %v, want %s %s", name, err, tt.kind, tt.code)
		}
	}
	if a.count()+b.count() != 0 {
		t.Error("a request was made")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]sms.Config{
		"none":            {Clock: testClock},
		"no clock":        {Gateways: []sms.Gateway{{Name: "kannel", URL: "http://x"}}},
		"kannel, no URL":  {Clock: testClock, Gateways: []sms.Gateway{{Name: "kannel"}}},
		"bad URL":         {Clock: testClock, Gateways: []sms.Gateway{{Name: "kannel", URL: "x:y"}}},
		"twice":           {Clock: testClock, Gateways: []sms.Gateway{{Name: "kannel", URL: "http://x"}, {Name: "kannel", URL: "http://y"}}},
		"unknown":         {Clock: testClock, Gateways: []sms.Gateway{{Name: "other"}}},
		"no file":         {Clock: testClock, Gateways: []sms.Gateway{{Name: "other"}}, Files: book("acme", acme), Decode: yaml.Decode},
		"twilio, no user": {Clock: testClock, Gateways: []sms.Gateway{{Name: "twilio", Password: "canary"}}},
		"vonage":          {Clock: testClock, Gateways: []sms.Gateway{{Name: "vonage", Password: "canary"}}},
		"aliyun":          {Clock: testClock, Gateways: []sms.Gateway{{Name: "aliyun", Password: "canary"}}},
		"tencent":         {Clock: testClock, Gateways: []sms.Gateway{{Name: "tencent", Password: "canary"}}},
		"path":            {Clock: testClock, Gateways: []sms.Gateway{{Name: "../dealers"}}, Files: book("acme", acme), Decode: yaml.Decode},
	} {
		if _, err := sms.New(cfg); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGatewayFilesAreChecked holds one complaint per defect, and that it says where.
func TestGatewayFilesAreChecked(t *testing.T) {
	t.Parallel()
	replace := func(old, with string) string {
		whole := strings.ReplaceAll(acme, "URL", "https://sms.example")
		if !strings.Contains(whole, old) {
			t.Fatalf("%q is not in the file", old)
		}
		return strings.Replace(whole, old, with, 1)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"unknown field":        {replace("method: POST", "methode: POST"), "methode"},
		"method":               {replace("method: POST", "method: FETCH"), "method"},
		"no URL":               {replace(`"https://sms.example/v1/send"`, `"/v1/send"`), "url"},
		"host is a variable":   {replace(`"https://sms.example/v1/send"`, `"https://{country}.sms.example/v1"`), "host"},
		"unknown placeholder":  {replace("{from}", "{sender}"), "{sender}"},
		"no recipient":         {replace("{to}", "x"), "{to}"},
		"no text":              {replace("{text}", "x"), "{text}"},
		"not inside of quotes": {replace(`"{text}"`, `{text}`), "quotes"},
		"auth":                 {replace("kind: hmac", "kind: magic"), "auth.kind"},
		"hmac without text":    {replace(`text: "{timestamp}.{body}", `, ""), "auth.text"},
		"header name":          {replace("X-App", "X App"), "X App"},
		"pointer":              {replace("code: /result/code", "code: result.code"), "answer.code"},
		"escape in pointer":    {replace("code: /result/code", "code: /result~2"), "answer.code"},
		"code twice":           {replace(`retry: ["busy"]`, `retry: ["21"]`), "21"},
		"no success":           {replace(`success: ["0"]`, `success: []`), "codes.success"},
		"status":               {replace("status: [200]", "status: [404]"), "404"},
		"receipts, no id":      {replace("  id: /ref\n  provider_id: /id\n", ""), "receipts.id"},
		"receipts, no status":  {replace("  status: /status\n", ""), "receipts.status"},
		"replies, no text":     {replace("text: /content, ", ""), "replies"},
		"no YAML":              {"a: b: c", "acme.yaml"},
	} {
		_, err := sms.ReadGateway(book("acme", tt.text), yaml.Decode, "acme")
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "gateways/acme.yaml") {
			t.Errorf("%s: %v, want something of %q", name, err, tt.want)
		}
	}
	if _, err := sms.ReadGateway(book("acme", replace("method: POST", "method: post")), yaml.Decode, "acme"); err != nil {
		t.Error(err)
	}
}

// TestFormsAndQueries sends hostile text through the other two ways of a described gateway.
func TestFormsAndQueries(t *testing.T) {
	t.Parallel()
	const hostile = "a&b=c d+e%20\"'<>#?/\r\n你"
	for name, spec := range map[string]string{
		"form":  `{url: "URL/send", format: form, body: "to={to}&text={text}&key={password}"}`,
		"get":   `{url: "URL/send?to={to}&text={text}&key={password}"}`,
		"basic": `{url: "URL/send?to={to}&text={text}&key={password}", auth: {kind: basic}}`,
	} {
		s, rec := generic(t, spec, answers(200, ""))
		m := testMessage()
		m.Text, m.Signature = []byte(hostile), ""
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(name, err)
		}
		values := rec.all[0].URL.Query()
		if name == "form" {
			r, err := http.NewRequest(http.MethodPost, "/", strings.NewReader(rec.body[0]))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", rec.all[0].Header.Get("Content-Type"))
			if err := r.ParseForm(); err != nil {
				t.Fatal(err)
			}
			values = r.PostForm
		}
		if got := values.Get("text"); got != strings.ReplaceAll(hostile, "\r\n", "\n") || values.Get("to") != number || values.Get("key") != password || len(values) != 3 {
			t.Errorf("%s: %q", name, values)
		}
		if user, pass, ok := rec.all[0].BasicAuth(); ok != (name == "basic") || (ok && (user != "care" || pass != password)) {
			t.Errorf("%s: basic auth %v", name, ok)
		}
	}
}
