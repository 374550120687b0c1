package sms_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
)

// twoTwilios is one sender with two accounts of one provider, each with a server of its own.
func twoTwilios(t *testing.T, change func(us, eu *sms.Gateway)) (s *sms.Sender, us, eu *recorder) {
	t.Helper()
	us, eu = &recorder{}, &recorder{}
	server := func(rec *recorder) string {
		srv := httptest.NewServer(noting(rec, answers(201, yes["twilio"].body)))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	a := sms.Gateway{Name: "us", Driver: "twilio", URL: server(us), User: "ACus", Password: "token-us", From: "+12125550100"}
	b := sms.Gateway{Name: "eu", Driver: "twilio", URL: server(eu), User: "ACeu", Password: "token-eu", From: "MGeu"}
	change(&a, &b)
	return newSender(t, sms.Config{Gateways: []sms.Gateway{a, b}, PublicURL: "https://care.example", Secrets: [][]byte{[]byte("secret")}}), us, eu
}

func TestTwoAccountsOfOneProviderAreRouted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(us, eu *sms.Gateway)
		mine   func(m *care.Message) // makes the message one of the first account's
		other  func(m *care.Message)
	}{
		"by country": {
			func(us, eu *sms.Gateway) { us.Countries, eu.Countries = []string{"US"}, []string{"DE", "FR"} },
			func(m *care.Message) { m.Country = "US" }, func(m *care.Message) { m.Country = "DE" },
		},
		"by prefix": {
			func(us, _ *sms.Gateway) { us.Prefixes = []string{"+1212"} },
			func(m *care.Message) { m.To = "+12125550199" }, func(m *care.Message) { m.To = "+13105550199" },
		},
		"by dealer": {
			func(us, eu *sms.Gateway) { us.Dealers, eu.Dealers = []string{"harbor"}, []string{"alster"} },
			func(m *care.Message) { m.Dealer = "harbor" }, func(m *care.Message) { m.Dealer = "alster" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, us, eu := twoTwilios(t, tt.change)
			for _, of := range []struct {
				make func(*care.Message)
				rec  *recorder
				name string
				uri  string
			}{{tt.mine, us, "us", "/2010-04-01/Accounts/ACus/Messages.json"}, {tt.other, eu, "eu", "/2010-04-01/Accounts/ACeu/Messages.json"}} {
				m := testMessage()
				of.make(m)
				if got := s.GatewayFor(m.To, m.Country, m.Dealer); got != of.name {
					t.Errorf("it goes through %q, want %q", got, of.name)
				}
				got, err := s.Send(t.Context(), m)
				if err != nil || got.Gateway != of.name {
					t.Fatalf("%+v, %v", got, err)
				}
				if len(of.rec.all) != 1 || of.rec.all[0].RequestURI != of.uri {
					t.Errorf("%s was asked %d times", of.name, len(of.rec.all))
				}
			}
		})
	}
}

// TestEachAccountChecksItsOwnSignature: what one account signed is no word of the other's.
func TestEachAccountChecksItsOwnSignature(t *testing.T) {
	t.Parallel()
	s, _, _ := twoTwilios(t, func(*sms.Gateway, *sms.Gateway) {})
	post := func(name, token string) (*sms.Callback, error) {
		const query = "id=abcdefghijklmnopqrstuvwxyz-sms"
		form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}, "AccountSid": {"AC" + name}}
		r := httptest.NewRequest(http.MethodPost, "/hooks/sms/"+name+"?"+query, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", twilioSign(token, "https://care.example/hooks/sms/"+name+"?"+query, form))
		return s.Callback(name, r)
	}
	for _, name := range []string{"us", "eu"} {
		got, err := post(name, "token-"+name)
		if err != nil || len(got.Receipts) != 1 || got.Receipts[0].Gateway != name || got.Receipts[0].State != care.StateDelivered {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, token := range map[string]string{"us": "token-eu", "eu": "token-us"} {
		if _, err := post(name, token); !errors.Is(err, sms.ErrForged) {
			t.Errorf("%s takes the word of the other account: %v", name, err)
		}
	}
	if _, err := post("twilio", "token-us"); !errors.Is(err, sms.ErrUnknownGateway) {
		t.Errorf("the provider's own name: %v", err)
	}
	if sms.CallbackToken([]byte("secret"), "us") == sms.CallbackToken([]byte("secret"), "eu") {
		t.Error("two accounts have one token")
	}
}

// TestApprovedTemplatesOfTwoAccounts: an account's own code goes before the one for all accounts of its provider.
func TestApprovedTemplatesOfTwoAccounts(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	srv := httptest.NewServer(noting(rec, answers(200, yes["aliyun"].body)))
	t.Cleanup(srv.Close)
	s := newSender(t, sms.Config{Gateways: []sms.Gateway{
		{Name: "north", Driver: "aliyun", URL: srv.URL, User: "LTAI1", Dealers: []string{"bj"}},
		{Name: "south", Driver: "aliyun", URL: srv.URL, User: "LTAI2", From: "广州店"},
	}})
	for _, tt := range []struct{ dealer, template, sign string }{{"bj", "SMS_1", "浦东别克"}, {"gz", "SMS_2", "广州店"}} {
		m := testMessage()
		m.Dealer = tt.dealer
		m.Gateways = map[string]care.GatewayTemplate{"aliyun": {Template: "SMS_2"}, "north": {Template: "SMS_1"}}
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		q := rec.all[len(rec.all)-1].URL.Query()
		if q.Get("TemplateCode") != tt.template || q.Get("SignName") != tt.sign {
			t.Errorf("%s: template %s, sign name %s", tt.dealer, q.Get("TemplateCode"), q.Get("SignName"))
		}
	}
}

func TestTwoAccountsOfAGatewayFile(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		rec.note(r, user)
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(srv.Close)
	s := newSender(t, sms.Config{
		Gateways: []sms.Gateway{{Name: "acme-1", Driver: "acme", User: "one", Prefixes: []string{"+86"}}, {Name: "acme-2", Driver: "acme", User: "two"}},
		Files:    book("acme", `{url: "`+srv.URL+`/send?to={to}&text={text}", auth: {kind: basic}}`),
	})
	far := testMessage()
	far.To = "+4915112345678"
	for _, m := range []*care.Message{testMessage(), far} {
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := json.Marshal(rec.body); string(got) != `["one","two"]` {
		t.Errorf("the accounts used: %s", got)
	}
}

func TestAccountsWithTheWrongNames(t *testing.T) {
	t.Parallel()
	twilio := sms.Gateway{Driver: "twilio", User: "AC", Password: "t", From: "+1"}
	named := func(name string) sms.Gateway { g := twilio; g.Name = name; return g }
	for want, gateways := range map[string][]sms.Gateway{
		"there twice":           {named("us"), named("us")},
		"like another provider": {named("vonage")},
		"no such gateway":       {{Name: "us", Driver: "acme"}},
	} {
		_, err := sms.New(sms.Config{Gateways: gateways, Clock: testClock})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestTheBestHopeIsReported: where no gateway sent, the message waits for one that is busy, or for a person to mend one, before it is given
// up for want of an approved template at another.
func TestTheBestHopeIsReported(t *testing.T) {
	t.Parallel()
	server := func(status int) string {
		srv := httptest.NewServer(noting(&recorder{}, answers(status, "")))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	without := sms.Gateway{Name: "aliyun", URL: server(200), User: "LTAI"}
	busy := sms.Gateway{Name: "kannel", URL: server(503)}
	locked := sms.Gateway{Name: "shut", Driver: "kannel", URL: server(403)}
	for name, tt := range map[string]struct {
		gateways []sms.Gateway
		kind     care.Kind
		code     string
	}{
		"busy behind no template":    {[]sms.Gateway{without, busy}, care.KindRetry, "http 503"},
		"no template behind busy":    {[]sms.Gateway{busy, without}, care.KindRetry, "http 503"},
		"locked behind no template":  {[]sms.Gateway{without, locked}, care.KindOperator, "http 403"},
		"no template behind locked":  {[]sms.Gateway{locked, without}, care.KindOperator, "http 403"},
		"busy behind locked":         {[]sms.Gateway{locked, busy}, care.KindRetry, "http 503"},
		"locked behind busy":         {[]sms.Gateway{busy, locked}, care.KindRetry, "http 503"},
		"no template, and that only": {[]sms.Gateway{without}, care.KindContent, "no_template"},
	} {
		_, err := newSender(t, sms.Config{Gateways: tt.gateways}).Send(t.Context(), testMessage())
		if e, ok := errors.AsType[*care.Error](err); !ok || e.Kind != tt.kind || e.Code != tt.code {
			t.Errorf("%s: %v, want %s %s", name, err, tt.kind, tt.code)
		}
	}
}
