package sms_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
)

// FuzzCallbacks posts anything to every gateway's callback, with the right token.
func FuzzCallbacks(f *testing.F) {
	f.Add("event=1&id=abcdefghijklmnopqrstuvwxyz-sms", `[{"success":true,"out_id":"x","biz_id":"1"}]`, "application/json")
	f.Add("from=1&text=R", "status=delivered&messageId=1", "application/x-www-form-urlencoded")
	f.Add("", `{"mobile":"1","text":"R"}`, "")
	f.Add("", `{"reports":[{"ref":"a","id":"b","status":"DELIVRD"}]}`, "")
	gateways := []sms.Gateway{{Name: "kannel", URL: "http://127.0.0.1:1"}, accounts["vonage"], accounts["aliyun"], accounts["tencent"], {Name: "acme"}}
	s := newSender(f, sms.Config{Gateways: gateways, Files: book("acme", strings.ReplaceAll(acme, "URL", "https://sms.example")), Secrets: [][]byte{[]byte("secret")}})
	f.Fuzz(func(t *testing.T, query, body, contentType string) {
		for _, g := range gateways {
			r := httptest.NewRequest(http.MethodPost, "/hooks/sms/"+g.Name, strings.NewReader(body))
			r.URL.RawQuery = "token=" + sms.CallbackToken([]byte("secret"), g.Name) + "&" + query
			r.Header.Set("Content-Type", contentType)
			c, err := s.Callback(g.Name, r)
			if (err == nil) != (c != nil) {
				t.Fatalf("%s: %v, %v", g.Name, c, err)
			}
			if err != nil {
				continue
			}
			if len(c.Receipts)+len(c.Replies) == 0 {
				t.Errorf("%s: nothing, and no error", g.Name)
			}
			for _, r := range c.Receipts {
				if (r.ID != "" && care.ShardOf(r.ID) < 0) || r.State == "" || r.Gateway != g.Name || len(r.Code) > 64 || len(r.ProviderID) > 128 {
					t.Errorf("%s: %+v", g.Name, r)
				}
			}
		}
	})
}

// FuzzTwilioSignature changes a signed callback: nothing but the original may pass.
func FuzzTwilioSignature(f *testing.F) {
	f.Add("id=abcdefghijklmnopqrstuvwxyz-sms", "MessageSid=SM1&MessageStatus=delivered", "x")
	f.Add("id=abcdefghijklmnopqrstuvwxyz-sms", "MessageStatus=delivered&MessageSid=SM1", "")
	s := newSender(f, sms.Config{Gateways: []sms.Gateway{accounts["twilio"]}, PublicURL: "https://care.example"})
	const query, body = "id=abcdefghijklmnopqrstuvwxyz-sms", "MessageSid=SM1&MessageStatus=delivered"
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}
	good := twilioSign(password, "https://care.example/hooks/sms/twilio?"+query, form)
	f.Fuzz(func(t *testing.T, q, b, signature string) {
		r := httptest.NewRequest(http.MethodPost, "/hooks/sms/twilio", strings.NewReader(b))
		r.URL.RawQuery = q
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.ContainsAny(signature, "\r\n") {
			return
		}
		r.Header.Set("X-Twilio-Signature", signature)
		if signature == "" {
			r.Header.Set("X-Twilio-Signature", good)
		}
		if _, err := s.Callback("twilio", r); err == nil {
			// The same fields in another order or escaping are the same callback.
			v, perr := url.ParseQuery(b)
			if perr != nil || q != query || v.Encode() != form.Encode() {
				t.Errorf("%q %q passes with %q", q, b, signature)
			}
		}
	})
}
