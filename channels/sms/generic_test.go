package sms_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
)

const acme = `
method: POST
url: "URL/v1/send"
body: '{"to": "{to}", "text": "{text}", "ref": "{id}", "from": "{from}"}'
headers: {X-App: carebell}
number: digits
auth: {kind: hmac, header: X-Signature, text: "{timestamp}.{body}", encoding: hex, prefix: "v1="}
idempotency_header: Idempotency-Key
answer: {status: [200], code: /result/code, id: /result/messages/0/id, parts: /result/parts}
codes:
  success: ["0"]
  retry: ["busy"]
  recipient: ["21"]
  content: ["22"]
  operator: ["401", "http 402"]
  opted_out: ["99"]
  defer: ["quiet"]
receipts:
  list: /reports
  id: /ref
  provider_id: /id
  status: /status
  code: /err
  delivered: ["DELIVRD"]
  failed: ["UNDELIV"]
  pending: ["ACCEPTD"]
  answer: '{"code":0}'
replies: {list: /messages, from: /mobile, to: /dest, text: /content, id: /id, answer: OK}
`

func book(name, text string) fstest.MapFS {
	return fstest.MapFS{"gateways/" + name + ".yaml": {Data: []byte(text)}}
}

func generic(t testing.TB, text string, answer func(w http.ResponseWriter, r *http.Request)) (*sms.Sender, *recorder) {
	t.Helper()
	srv, rec := recording(t, answer)
	return newSender(t, sms.Config{
		Gateways: []sms.Gateway{{Name: "acme", User: "care", From: "1069"}}, Files: book("acme", strings.ReplaceAll(text, "URL", srv.URL)),
		Secrets: [][]byte{[]byte("secret")},
	}), rec
}

func answers(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestGenericRequest(t *testing.T) {
	t.Parallel()
	s, rec := generic(t, acme, answers(200, `{"result":{"code":0,"messages":[{"id":"M-1"}],"parts":2}}`))
	m := testMessage()
	m.Text = []byte("他说\"好\"\n\\ 第二行\x00")
	got, err := s.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	want := care.Receipt{ID: m.ID, Channel: care.SMS, Gateway: "acme", ProviderID: "M-1", Parts: 2, State: care.StateSent, At: testClock()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	wantBody := `{"to": "8613800138001", "text": "【浦东别克】他说\"好\"\n\\ 第二行", "ref": "abcdefghijklmnopqrstuvwxyz-sms", "from": "1069"}`
	if diff := cmp.Diff(wantBody, rec.body[0]); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	h := rec.all[0].Header
	// openssl dgst -sha256 -hmac over "1795311000." and the body.
	wantHeaders := []string{"carebell", "abcdefghijklmnopqrstuvwxyz-sms", "application/json", "1795311000"}
	gotHeaders := []string{h.Get("X-App"), h.Get("Idempotency-Key"), h.Get("Content-Type"), h.Get("X-Timestamp")}
	if diff := cmp.Diff(wantHeaders, gotHeaders); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if want := "v1=" + hmacHex(password, "1795311000."+wantBody); h.Get("X-Signature") != want {
		t.Errorf("signature %s, want %s", h.Get("X-Signature"), want)
	}
}

func TestGenericAnswers(t *testing.T) {
	t.Parallel()
	code := func(c string) string { return `{"result":{"code":` + c + `}}` }
	tests := map[string]struct {
		status int
		body   string
		kind   care.Kind
		code   string
	}{
		"yes":                     {200, code("0"), "", ""},
		"yes as text":             {200, code(`"0"`), "", ""},
		"busy":                    {200, code(`"busy"`), care.KindRetry, "busy"},
		"recipient":               {200, code("21"), care.KindRecipient, "21"},
		"content":                 {200, code("22"), care.KindContent, "22"},
		"operator":                {200, code("401"), care.KindOperator, "401"},
		"opted out":               {200, code("99"), care.KindOptedOut, "99"},
		"defer":                   {200, code(`"quiet"`), care.KindDefer, "quiet"},
		"unknown code":            {200, code("4711"), care.KindRetry, "4711"},
		"known code with a 400":   {400, code("21"), care.KindRecipient, "21"},
		"unknown code and 400":    {400, code("4711"), care.KindContent, "4711"},
		"status by the file":      {402, "", care.KindOperator, "http 402"},
		"status alone":            {503, "sorry", care.KindRetry, "http 503"},
		"401":                     {401, "", care.KindOperator, "http 401"},
		"200 without a code":      {200, `{"result":{}}`, care.KindUncertain, "http 200"},
		"200 without JSON":        {200, `<html>`, care.KindUncertain, "http 200"},
		"a 201 that is not a yes": {201, code("0"), care.KindUncertain, "http 201"},
		"redirect":                {302, "", care.KindOperator, "http 302"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, rec := generic(t, acme, answers(tt.status, tt.body))
			_, err := s.Send(t.Context(), testMessage())
			var e *care.Error
			if errors.As(err, &e); tt.kind != "" && (e == nil || e.Kind != tt.kind || e.Code != tt.code) {
				t.Errorf("got %v, want %s %s", err, tt.kind, tt.code)
			}
			if tt.kind == "" && err != nil {
				t.Error(err)
			}
			if rec.count() != 1 {
				t.Errorf("%d requests", rec.count())
			}
		})
	}
}

// A name cannot add an element to an XML body, and a text goes in the alphabet that the gateway wants.
func TestGenericXMLAndAlphabet(t *testing.T) {
	t.Parallel()
	file := "url: \"URL/send?coding={coding}&unicode={unicode}\"\nformat: xml\nbody: '<sms><to n=\"{to}\"/><text>{text}</text><hex>{hex}</hex></sms>'\nsignature: none\n"
	for text, want := range map[string][2]string{
		"Hi & </text><to>": {"0", "<text>Hi &amp; &lt;/text&gt;&lt;to&gt;</text><hex>004800690020"},
		"好":                {"8", "<text>好</text><hex>597d</hex>"},
	} {
		s, rec := generic(t, file, answers(200, ""))
		m := testMessage()
		m.Text = []byte(text)
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got := rec.all[0]; got.URL.Query().Get("coding") != want[0] || got.Header.Get("Content-Type") != "text/xml; charset=utf-8" || !strings.Contains(rec.body[0], want[1]) {
			t.Errorf("%s %s", got.URL, rec.body[0])
		}
	}
}
