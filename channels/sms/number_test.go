package sms_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/channels/sms"
)

const numbers = `{url: "URL/send?to={to}&text={text}", number: FORM}`

// TestNoFormOfANumberIsAnotherNumber: a number that a gateway's form would make another one is refused and never sent.
func TestNoFormOfANumberIsAnotherNumber(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ form, country, to, want string }{
		"China":                        {"national", "CN", "+8613800138001", "13800138001"},
		"no country is China":          {"national", "", "+8613800138001", "13800138001"},
		"Chicago at a Chinese gateway": {"national", "CN", "+13125550123", ""},
		"Chicago, no country":          {"national", "", "+13125550123", ""},
		"China at an American gateway": {"national", "US", "+8613800138001", ""},
		"America":                      {"national", "US", "+13125550123", "3125550123"},
		"Canada":                       {"national", "CA", "+14165550123", "4165550123"},
		"Hong Kong on the mainland":    {"national", "CN", "+85251234567", ""},
		"Britain":                      {"national", "GB", "+447400123456", "7400123456"},
		"a country in small letters":   {"national", "gb", "+447781123456", "7781123456"},
		"Kazakhstan in Russia":         {"national", "RU", "+77012345678", "7012345678"},
		"no such country":              {"national", "XX", "+8613800138001", ""},
		"digits":                       {"digits", "CN", "+8613800138001", "8613800138001"},
		"digits of Hong Kong":          {"digits", "CN", "+85251234567", "85251234567"},
		"digits of Chicago in China":   {"digits", "CN", "+13125550123", ""},
		"digits of Chicago at home":    {"digits", "US", "+13125550123", "13125550123"},
		"digits of China in America":   {"digits", "US", "+8613800138001", "8613800138001"},
		"E.164":                        {"e164", "CN", "+13125550123", "+13125550123"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, rec := generic(t, strings.Replace(numbers, "FORM", tt.form, 1), answers(200, ""))
			m := testMessage()
			m.Country, m.To = tt.country, tt.to
			_, err := s.Send(t.Context(), m)
			if tt.want == "" {
				e, ok := errors.AsType[*care.Error](err)
				if !ok || e.Kind != care.KindContent || e.Code != "country" || rec.count() != 0 || strings.Contains(err.Error(), tt.to[1:]) {
					t.Errorf("got %v after %d requests, want a refusal", err, rec.count())
				}
				if s.Accepts(tt.to, tt.country, m.Dealer) {
					t.Error("the planner is told that the number can be written to")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := rec.all[0].URL.Query().Get("to"); got != tt.want {
				t.Errorf("sent to %q, want %q", got, tt.want)
			}
		})
	}
}

// TestAnyNumberArrivesAsItself: whatever was sent, read in the dealer's country, is the customer's number.
func TestAnyNumberArrivesAsItself(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"national", "digits"} {
		s, rec := generic(t, strings.Replace(numbers, "FORM", form, 1), answers(200, ""))
		rapid.Check(t, func(rt *rapid.T) {
			m := testMessage()
			m.Country = rapid.SampledFrom([]string{"", "CN", "US", "CA", "HK", "TW", "GB", "DE", "RU", "KZ", "IT", "JP"}).Draw(rt, "country")
			m.To = rapid.SampledFrom([]string{"+861", "+1", "+7", "+44", "+49", "+39", "+852", "+886", "+81"}).Draw(rt, "code") +
				rapid.StringMatching(`[2-9][0-9]{8,9}`).Draw(rt, "rest")
			before := rec.count()
			if _, err := s.Send(t.Context(), m); err != nil {
				if rec.count() != before {
					rt.Fatalf("refused (%v) and sent", err)
				}
				return
			}
			sent, country := rec.all[before].URL.Query().Get("to"), m.Country
			if country == "" {
				country = "CN"
			}
			if got, ok := contact.Phone(sent, country); form == "national" && (!ok || got != m.To) {
				rt.Fatalf("%s went as %s, which is %s in %s", m.To, sent, got, country)
			}
			if got, ok := contact.Mobile(sent, country); form == "digits" && ok && got != m.To {
				rt.Fatalf("%s went as %s, which is %s in %s", m.To, sent, got, country)
			}
		})
	}
}

// TestAliyunReadsDigitsAsChinese: eleven digits that begin with 1 are a mobile of the mainland to Aliyun, whatever was meant.
func TestAliyunReadsDigitsAsChinese(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	srv := httptest.NewServer(noting(rec, answers(200, yes["aliyun"].body)))
	t.Cleanup(srv.Close)
	s := newSender(t, sms.Config{Gateways: []sms.Gateway{{Name: "aliyun", URL: srv.URL, User: "LTAI"}}})
	for to, want := range map[string]string{
		"+8613800138001": "13800138001", "+85251234567": "85251234567", "+12125550123": "12125550123", "+13125550123": "", "+19175550123": "",
	} {
		m := testMessage()
		m.To, m.Country, m.Gateways = to, "US", map[string]care.GatewayTemplate{"aliyun": {Template: "SMS_1"}}
		before := rec.count()
		_, err := s.Send(t.Context(), m)
		if e, _ := errors.AsType[*care.Error](err); want == "" && (e == nil || e.Kind != care.KindContent || e.Code != "country" || rec.count() != before) {
			t.Errorf("%s: %v after %d requests", to, err, rec.count()-before)
		}
		if want == "" {
			continue
		}
		if err != nil || rec.all[before].URL.Query().Get("PhoneNumbers") != want {
			t.Errorf("%s: %v, sent to %q, want %q", to, err, rec.all[len(rec.all)-1].URL.Query().Get("PhoneNumbers"), want)
		}
		if _, err := s.Ask(t.Context(), sms.Question{ID: m.ID, Gateway: "aliyun", To: to}); err == nil || rec.all[len(rec.all)-1].URL.Query().Get("PhoneNumber") != want {
			t.Errorf("%s: asked for %q (%v), want %q", to, rec.all[len(rec.all)-1].URL.Query().Get("PhoneNumber"), err, want)
		}
	}
	before := rec.count()
	if _, err := s.Ask(t.Context(), sms.Question{ID: testMessage().ID, Gateway: "aliyun", To: "+13125550123"}); !errors.Is(err, sms.ErrUnknown) || rec.count() != before {
		t.Errorf("asked after a stranger: %v", err)
	}
}

// TestAGatewayThatCannotWriteTheNumberIsPassedOver: the next one that is meant for it sends.
func TestAGatewayThatCannotWriteTheNumberIsPassedOver(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	srv := httptest.NewServer(noting(rec, answers(200, "")))
	t.Cleanup(srv.Close)
	files := book("near", strings.NewReplacer("URL", srv.URL+"/near", "FORM", "national").Replace(numbers))
	maps.Copy(files, book("far", strings.NewReplacer("URL", srv.URL+"/far", "FORM", "e164").Replace(numbers)))
	s := newSender(t, sms.Config{Gateways: []sms.Gateway{{Name: "near"}, {Name: "far"}}, Files: files})
	for to, want := range map[string]string{"+8613800138001": "near", "+13125550123": "far"} {
		m := testMessage()
		m.To = to
		if got := s.GatewayFor(to, m.Country, m.Dealer); got != want {
			t.Errorf("%s goes through %q, want %q", to, got, want)
		}
		if r, err := s.Send(t.Context(), m); err != nil || r.Gateway != want || r.Tries != 0 {
			t.Errorf("%s: %+v, %v, want %s", to, r, err, want)
		}
	}
}

// TestRepliesKeepTheirNumbers: a number in a callback is read as the account's countries write it. Read wrongly, a stop would be another
// customer's.
func TestRepliesKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		countries  []string
		from, want string
	}{
		"with a plus":                    {nil, "+13125550123", "+13125550123"},
		"with 00":                        {nil, "0013125550123", "+13125550123"},
		"of China":                       {nil, "13800138001", "+8613800138001"},
		"of China with its code":         {nil, "8613800138001", "+8613800138001"},
		"of China, said":                 {[]string{"CN", "US"}, "13125550123", "+8613125550123"},
		"of Chicago":                     {[]string{"US"}, "13125550123", "+13125550123"},
		"of Chicago, national":           {[]string{"US"}, "3125550123", "+13125550123"},
		"of Chicago, without China":      {[]string{"DE", "US"}, "13125550123", "+13125550123"},
		"of Manhattan":                   {nil, "12125550123", "+12125550123"},
		"of Britain, national":           {[]string{"GB"}, "7400123456", "+447400123456"},
		"of Britain, with a trunk 0":     {[]string{"gb"}, "07400 123456", "+447400123456"},
		"of Britain with its code":       {[]string{"GB"}, "447400123456", "+447400123456"},
		"of France at a British account": {[]string{"GB"}, "33612345678", "+33612345678"},
		"of Hong Kong, national":         {[]string{"HK"}, "51234567", "+85251234567"},
		"of Russia":                      {nil, "79161234567", "+79161234567"},
	} {
		s := newSender(t, sms.Config{
			Gateways: []sms.Gateway{{Name: "acme", Countries: tt.countries}}, Files: book("acme", acmeAt("https://sms.example")), Secrets: [][]byte{[]byte("secret")},
		})
		body, err := json.Marshal(map[string]any{"messages": []map[string]string{{"mobile": tt.from, "content": "退订"}}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/hooks/sms/acme?token="+sms.CallbackToken([]byte("secret"), "acme"), strings.NewReader(string(body)))
		c, err := s.Callback("acme", r)
		if err != nil || len(c.Replies) != 1 || !c.Replies[0].OptOut {
			t.Errorf("%s: %+v, %v", name, c, err)
			continue
		}
		countries := c.Replies[0].Countries
		if len(countries) == 0 {
			countries = []string{"CN"} // as of a book with stores in China
		}
		if read := contact.Readings(c.Replies[0].From, countries...); len(read) == 0 || read[0] != tt.want {
			t.Errorf("%s: %+v, %v, want %s", name, c, err, tt.want)
		}
	}
}

func acmeAt(url string) string { return strings.ReplaceAll(acme, "URL", url) }
