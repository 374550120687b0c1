package sms_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config/yaml"
)

// steps is a gateway that answers by path.
func steps(t testing.TB, file string, answer map[string]func(w http.ResponseWriter, r *http.Request)) (*sms.Sender, *recorder) {
	t.Helper()
	return generic(t, file, func(w http.ResponseWriter, r *http.Request) {
		if f := answer[r.URL.Path]; f != nil {
			f(w, r)
			return
		}
		w.WriteHeader(http.StatusTeapot)
	})
}

const asked = `
url: "URL/send"
body: '{"to": "{to}", "text": "{text}"}'
answer: {code: /code}
codes: {success: ["0"], recipient: ["MK:0001"]}
status:
  url: "/status?ref={id}&to={to}"
  report: {list: /reports, id: /ref, status: /state, code: /err, delivered: [DELIVRD], failed: ["*"], pending: [ACCEPTD]}
`

func TestAGatewayFileSaysHowItIsAsked(t *testing.T) {
	t.Parallel()
	const id = "abcdefghijklmnopqrstuvwxyz"
	report := func(ref, state, code string) string {
		return fmt.Sprintf(`{"reports":[{"ref":"bbcdefghijklmnopqrstuvwxyz-sms","state":"DELIVRD"},{"ref":%q,"state":%q,"err":%q}]}`, ref, state, code)
	}
	receipt := func(state care.State, kind care.Kind, code string) care.Receipt {
		return care.Receipt{ID: id, Channel: care.SMS, Gateway: "acme", State: state, Kind: kind, Code: code, At: testClock(), To: "+8613800138001"}
	}
	tests := map[string]struct {
		status int
		body   string
		want   care.Receipt
		kind   care.Kind // of the error; "" = ErrUnknown
	}{
		"delivered":       {200, report(id+"-sms", "DELIVRD", ""), receipt(care.StateDelivered, "", ""), ""},
		"on its way":      {200, report(id+"-sms", "ACCEPTD", ""), receipt(care.StateSent, "", ""), ""},
		"dead number":     {200, report(id+"-sms", "UNDELIV", "MK:0001"), receipt(care.StateUndelivered, care.KindRecipient, "MK:0001"), ""},
		"only others":     {200, report("", "DELIVRD", ""), care.Receipt{}, ""},
		"no reports":      {200, `{"reports":[]}`, care.Receipt{}, ""},
		"no state":        {200, report(id+"-sms", "", ""), care.Receipt{}, ""},
		"not found":       {404, `{}`, care.Receipt{}, ""},
		"refused":         {401, `{}`, care.Receipt{}, care.KindOperator},
		"busy":            {503, ``, care.Receipt{}, care.KindRetry},
		"not to be read":  {200, `<html`, care.Receipt{}, care.KindRetry},
		"too much of one": {429, ``, care.Receipt{}, care.KindRetry},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, rec := generic(t, asked, answers(tt.status, tt.body))
			got, err := s.Ask(t.Context(), sms.Question{ID: id, Gateway: "acme", To: "+8613800138001"})
			var e *care.Error
			switch {
			case tt.want.ID != "" && err != nil:
				t.Fatal(err)
			case tt.want.ID == "" && tt.kind == "" && !errors.Is(err, sms.ErrUnknown), tt.kind != "" && (!errors.As(err, &e) || e.Kind != tt.kind):
				t.Errorf("error %v, want %q", err, tt.kind)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got := rec.all[0]; got.Method != http.MethodGet || got.URL.RequestURI() != "/status?ref=abcdefghijklmnopqrstuvwxyz-sms&to=%2B8613800138001" {
				t.Errorf("asked %s %s", got.Method, got.URL)
			}
		})
	}
}

// A question that is lost is no uncertain message: it may be asked again.
func TestALostQuestionMayBeRepeated(t *testing.T) {
	t.Parallel()
	s, _ := generic(t, asked, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = c.Close()
		}
	})
	_, err := s.Ask(t.Context(), sms.Question{ID: "abcdefghijklmnopqrstuvwxyz", Gateway: "acme", To: "+8613800138001"})
	if care.KindOf(err) != care.KindRetry {
		t.Errorf("%v", err)
	}
}

func TestTheGatewaysOwnID(t *testing.T) {
	t.Parallel()
	file := strings.Replace(asked, "/status?ref={id}&to={to}", "/message/{provider_id}", 1)
	file = strings.Replace(file, "list: /reports, id: /ref, ", "", 1)
	s, rec := generic(t, file, answers(200, `{"state":"DELIVRD"}`))
	q := sms.Question{ID: "abcdefghijklmnopqrstuvwxyz", Gateway: "acme", To: "+8613800138001"}
	if _, err := s.Ask(t.Context(), q); !errors.Is(err, sms.ErrUnknown) || rec.count() != 0 {
		t.Errorf("asked %d times without an id: %v", rec.count(), err)
	}
	q.ProviderID = "a/b"
	got, err := s.Ask(t.Context(), q)
	if err != nil || got.State != care.StateDelivered || rec.all[0].URL.RequestURI() != "/message/a%2Fb" {
		t.Errorf("%+v %v %s", got, err, rec.all[0].URL)
	}
}

const soap = `
url: "URL/sms.asmx"
format: xml
headers: {SOAPAction: '"http://sms.example/send"', Content-Type: text/xml; charset=utf-8}
body: |
  <soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:s="http://sms.example/"><soap:Body>
  <s:send><s:user>{user}</s:user><s:to>{to}</s:to><s:text>{text}</s:text></s:send></soap:Body></soap:Envelope>
answer: {format: xml, code: /Envelope/Body/sendResponse/result || /Envelope/Body/Fault/faultcode, id: /Envelope/Body/sendResponse/message/@id}
codes: {success: ["0"], operator: ["-1"], content: ["soap:Client"]}
receipts: {format: xml, list: /reports/report, id: /ref, status: /state, delivered: [ok], failed: [no], answer: "<ok/>"}
status:
  url: /query.asmx
  headers: {SOAPAction: '"http://sms.example/query"'}
  body: '<Envelope><Body><query><id>{id}</id></query></Body></Envelope>'
  report: {list: /Envelope/Body/queryResponse/item, id: /id, status: /state, delivered: [ok], failed: [no]}
`

func TestSOAP(t *testing.T) {
	t.Parallel()
	const envelope = `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>%s</soap:Body></soap:Envelope>`
	reply := ""
	s, rec := generic(t, soap, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, envelope, reply) })
	m := testMessage()
	m.Text = []byte("</s:text><s:to>+8613900000000</s:to>")
	reply = `<ns1:sendResponse xmlns:ns1="http://sms.example/"><ns1:result> 0 </ns1:result><ns1:message id="M-1"/></ns1:sendResponse>`
	got, err := s.Send(t.Context(), m)
	if err != nil || got.ProviderID != "M-1" {
		t.Errorf("%+v %v", got, err)
	}
	if h := rec.all[0].Header; h.Get("SOAPAction") != `"http://sms.example/send"` || strings.Count(rec.body[0], "<s:to>") != 1 {
		t.Errorf("%v %s", h, rec.body[0])
	}
	for body, kind := range map[string]care.Kind{
		`<sendResponse><result>-1</result></sendResponse>`:            care.KindOperator,
		`<soap:Fault><faultcode>soap:Client</faultcode></soap:Fault>`: care.KindContent,
		`<sendResponse/>`: care.KindUncertain,
		`<unclosed>`:      care.KindUncertain,
	} {
		reply = body
		if _, err := s.Send(t.Context(), testMessage()); care.KindOf(err) != kind {
			t.Errorf("%s: %v", body, err)
		}
	}
	reply = `<queryResponse><item><id>other</id><state>no</state></item><item><id>abcdefghijklmnopqrstuvwxyz-sms</id><state>ok</state></item></queryResponse>`
	state, err := s.Ask(t.Context(), sms.Question{ID: m.ID, Gateway: "acme", To: m.To})
	if err != nil || state.State != care.StateDelivered || rec.all[len(rec.all)-1].Header.Get("SOAPAction") != `"http://sms.example/query"` {
		t.Errorf("%+v %v", state, err)
	}
	r := httptest.NewRequest(http.MethodPost, "/hooks/sms/acme?token="+sms.CallbackToken([]byte("secret"), "acme"),
		strings.NewReader(`<reports><report><ref>abcdefghijklmnopqrstuvwxyz-sms</ref><state>ok</state></report><report><ref>bbcdefghijklmnopqrstuvwxyz-sms</ref><state>no</state></report></reports>`))
	c, err := s.Callback("acme", r)
	if err != nil || len(c.Receipts) != 2 || c.Receipts[0].State != care.StateDelivered || c.Receipts[1].State != care.StateUndelivered {
		t.Errorf("%+v %v", c, err)
	}
}

const tokened = `
url: "URL/send"
body: '{"to": "{to}", "text": "{text}"}'
auth: {kind: token}
answer: {code: /code}
codes: {success: ["0"]}
token:
  url: /oauth
  format: form
  body: "grant_type=client_credentials"
  auth: {kind: basic}
  value: /access_token
  expires_in: /expires_in
  refused: ["40001"]
balance: {url: /balance, value: /account/amount, low: 100}
`

func TestATokenIsAskedForOnceAndAnew(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	given, valid := 0, ""
	s, rec := steps(t, tokened, map[string]func(http.ResponseWriter, *http.Request){
		"/oauth": func(w http.ResponseWriter, r *http.Request) {
			user, pass, _ := r.BasicAuth()
			mu.Lock()
			defer mu.Unlock()
			given++
			valid = fmt.Sprintf("token-%d", given)
			_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600}`, valid)
			if user != "care" || pass != password || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("asked for a token with %v", r.Header)
			}
		},
		"/send": func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.Header.Get("Authorization") == "Bearer "+valid:
				_, _ = io.WriteString(w, `{"code":0}`)
			case given < 3:
				w.WriteHeader(http.StatusUnauthorized)
			default:
				_, _ = io.WriteString(w, `{"code":40001}`)
			}
		},
		"/balance": answers(200, `{"account":{"amount":"42.50"}}`),
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := s.Send(t.Context(), testMessage()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if given != 1 || rec.count() != 9 {
		t.Errorf("%d tokens, %d requests", given, rec.count())
	}
	for range 3 { // by the status, and then by the code
		valid = "gone"
		if _, err := s.Send(t.Context(), testMessage()); err != nil {
			t.Error(err)
		}
	}
	if given != 4 {
		t.Errorf("%d tokens", given)
	}
	want := []sms.Balance{{Gateway: "acme", Value: 42.5, Low: 100}}
	if diff := cmp.Diff(want, s.Balances(t.Context())); diff != "" {
		t.Error(diff)
	}
}

func TestNoTokenNoMessage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		token func(http.ResponseWriter, *http.Request)
		kind  care.Kind
		code  string
	}{
		"the log-in is wrong":   {answers(400, `{"error":"invalid_client"}`), care.KindOperator, "token http 400"},
		"it is refused":         {answers(401, ``), care.KindOperator, "token http 401"},
		"it is busy":            {answers(503, ``), care.KindRetry, "token http 503"},
		"there is none":         {answers(200, `{"token":""}`), care.KindOperator, "token missing"},
		"the answer is no JSON": {answers(200, `hello`), care.KindOperator, "token missing"},
		"it breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = c.Close()
			}
		}, care.KindRetry, "token broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := steps(t, tokened, map[string]func(http.ResponseWriter, *http.Request){
				"/oauth": tt.token, "/send": func(http.ResponseWriter, *http.Request) { t.Error("sent without a token") },
			})
			_, err := s.Send(t.Context(), testMessage())
			var e *care.Error
			if !errors.As(err, &e) || e.Kind != tt.kind || e.Code != tt.code {
				t.Errorf("%v, want %s %s", err, tt.kind, tt.code)
			}
			if strings.Contains(fmt.Sprint(err), password) || strings.Contains(fmt.Sprint(err), base64.StdEncoding.EncodeToString([]byte(password))) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

// A token ends in time: with a minute to spare, or half of what is short.
func TestATokenEnds(t *testing.T) {
	t.Parallel()
	now := testClock()
	given := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth" {
			given++
			_, _ = io.WriteString(w, `{"access_token":"t","expires_in":"600"}`)
			return
		}
		_, _ = io.WriteString(w, `{"code":0}`)
	}))
	defer srv.Close()
	s, err := sms.New(sms.Config{
		Gateways: []sms.Gateway{{Name: "acme", User: "care", Password: password}}, Files: book("acme", strings.ReplaceAll(tokened, "URL", srv.URL)),
		Decode: yaml.Decode, Clock: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {9*time.Minute - time.Second, 1}, {9 * time.Minute, 2}} {
		now = testClock().Add(step.after)
		if _, err := s.Send(t.Context(), testMessage()); err != nil || given != step.want {
			t.Errorf("after %v: %d tokens, want %d; %v", step.after, given, step.want, err)
		}
	}
}

func TestABalanceThatIsNotKnown(t *testing.T) {
	t.Parallel()
	file := "url: URL/send\nbody: '{\"to\": \"{to}\", \"text\": \"{text}\"}'\nbalance: {url: /balance, value: /balance}\n"
	for body, want := range map[string]int{`{"balance": 9.2}`: 1, `{"balance": "ND"}`: 0, `{}`: 1, `nothing`: 1} {
		s, _ := generic(t, file, answers(200, body))
		all := s.Balances(context.Background())
		if len(all) != want || (want == 1 && (all[0].Err == nil) != (all[0].Value == 9.2)) {
			t.Errorf("%s: %+v", body, all)
		}
	}
}

// A gateway whose parameters are signed in the body, as many in China do: sign = MD5(account + password + time).
func TestAComputedPlaceholder(t *testing.T) {
	t.Parallel()
	s, rec := generic(t, `
url: "URL/send"
format: form
body: "account={user}&ts={timestamp}&sign={sign}&mobile={to}&content={text}&url={callback}"
auth: {values: [{name: sign, hash: md5, text: "{user}{password}{timestamp}", encoding: hex}]}
`, answers(200, ""))
	if _, err := s.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	// printf 'carepa55-canary-word1795311000' | md5sum
	want := "account=care&ts=1795311000&sign=" + md5Hex("care"+password+"1795311000") + "&mobile=%2B8613800138001&content="
	if got := rec.body[0]; !strings.HasPrefix(got, want) || strings.Contains(got, "url=") {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestLintOfQuestions(t *testing.T) {
	t.Parallel()
	const send = "url: https://sms.example/send?to={to}&text={text}\n"
	for text, want := range map[string]string{
		"status: {url: '/q'}\n":      "status.url: say what is asked about",
		"status: {url: '/q?{id}'}\n": "status.report: say how the answer is read",
		"status: {url: 'q?{id}', report: {status: /s, delivered: [a], failed: [b]}}\n":        "status.url: write a whole http(s) URL",
		"status: {url: '/q?{id}{text}', report: {status: /s, delivered: [a], failed: [b]}}\n": "status.url: unknown placeholder {text}",
		"status: {url: '/q?{id}', report: {delivered: [a], failed: [b]}}\n":                   "status.report.status: say where the status is",
		"balance: {url: '/b?{to}', value: /v}\n":                                              "balance.url: unknown placeholder {to}",
		"balance: {url: /b}\n":                                                                "balance.value: say where it is",
		"auth: {kind: token}\n":                                                               "token: say where the token comes from",
		"token: {url: /t, value: v}\n":                                                        "token.value: say where it is",
		"token: {url: /t, value: /v, auth: {kind: token}}\n":                                  "token.auth.kind: a token cannot be asked for with itself",
		"auth: {kind: signed}\n":                                                              "auth.headers: say which headers",
		"auth: {values: [{name: to, text: x}]}\n":                                             "auth.values[0].name: \"to\" is taken",
		"auth: {values: [{name: a, text: '{b}'}, {name: b, text: x}]}\n":                      "auth.values[0].text: unknown placeholder {b}",
		"auth: {values: [{name: a, hmac: sha256, text: x}]}\n":                                "auth.values[0].key: an hmac has a key",
		"auth: {values: [{name: a, hash: crc, text: x}]}\n":                                   "auth.values[0].hash: \"crc\" is none of",
		"answer: {format: text, id: /id}\n":                                                   "answer.pattern: write a regular expression",
		"answer: {format: text, pattern: '(', id: /id}\n":                                     "answer.pattern: write a regular expression",
		"answer: {format: csv}\n":                                                             "answer.format: \"csv\" is none of json, xml, form, text",
	} {
		_, err := sms.ReadGateway(book("acme", send+text), yaml.Decode, "acme")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	loop := "url: https://sms.example/send\nbody: '{\"to\": \"{to}\", \"text\": \"{text}{sum}\"}'\nauth: {values: [{name: sum, hash: md5, text: '{body}'}]}\n"
	if _, err := sms.ReadGateway(book("acme", loop), yaml.Decode, "acme"); err == nil || !strings.Contains(err.Error(), "body: unknown placeholder {sum}") {
		t.Errorf("the sum of a body in the body: %v", err)
	}
}
