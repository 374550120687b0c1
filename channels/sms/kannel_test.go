package sms_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
)

// recorder keeps the requests that a fake gateway got.
type recorder struct {
	mu   sync.Mutex
	all  []*http.Request
	body []string
}

func (r *recorder) note(req *http.Request, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.body = append(r.all, req), append(r.body, body)
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

func kannel(t testing.TB, status int, body string) (*httptest.Server, *recorder) {
	t.Helper()
	rec := &recorder{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec.note(r, "")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(srv.Close)
	return srv, rec
}

func TestKannelRequest(t *testing.T) {
	t.Parallel()
	srv, rec := kannel(t, 202, "0: Accepted for delivery")
	s := newSender(t, sms.Config{
		Gateways:  []sms.Gateway{{Name: "kannel", URL: srv.URL, User: "care", From: "10690000"}},
		PublicURL: "https://care.example/", Secrets: [][]byte{[]byte("secret")},
	})
	got, err := s.Send(t.Context(), testMessage())
	if err != nil {
		t.Fatal(err)
	}
	want := care.Receipt{ID: testMessage().ID, Channel: care.SMS, Gateway: "kannel", State: care.StateSent, At: testClock()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	r := rec.all[0]
	if r.Method != http.MethodGet || r.URL.Path != "/cgi-bin/sendsms" {
		t.Errorf("%s %s", r.Method, r.URL.Path)
	}
	token := sms.CallbackToken([]byte("secret"), "kannel")
	wantQuery := url.Values{
		"username": {"care"}, "password": {password}, "from": {"10690000"}, "to": {number}, "charset": {"UTF-8"}, "coding": {"2"},
		"text": {"【浦东别克】" + canary + "，您的车该保养了。"}, "validity": {"4320"}, "dlr-mask": {"31"},
		"dlr-url": {"https://care.example/hooks/sms/kannel?token=" + token + "&id=abcdefghijklmnopqrstuvwxyz-sms&event=%d&reply=%A&foreign=%F&at=%T"},
	}
	if diff := cmp.Diff(wantQuery, r.URL.Query()); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}

func TestKannelEnglishGoesAsGSM(t *testing.T) {
	t.Parallel()
	srv, rec := kannel(t, 202, "0: Accepted for delivery")
	s := newSender(t, sms.Config{Gateways: []sms.Gateway{{Name: "kannel", URL: srv.URL + "/cgi-bin/sendsms"}}})
	m := testMessage()
	m.Country, m.To, m.Text, m.Signature = "US", "+12125550123", []byte("Your Regal is due for service."), "Harbor Buick"
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	q := rec.all[0].URL.Query()
	if q.Get("coding") != "0" || q.Get("text") != "Harbor Buick: Your Regal is due for service." || q.Has("dlr-url") {
		t.Errorf("query %v", q)
	}
}

func TestKannelAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		kind   care.Kind
	}{
		"accepted":       {202, "0: Accepted for delivery", ""},
		"queued":         {202, "3: Queued for later delivery", ""},
		"busy":           {503, "Temporal failure, try again later.", care.KindRetry},
		"refused":        {400, "Message rejected", care.KindContent},
		"wrong password": {403, "Authorization failed for sendsms", care.KindOperator},
		"not routable":   {403, "Not routable. Do not try again.", care.KindContent},
		"denied number":  {403, "Number(s) has/have been denied by white- and/or black-lists.", care.KindContent},
		"wrong path":     {404, "Not found", care.KindOperator},
		"what":           {200, "welcome", care.KindUncertain},
		"what else":      {202, "7: something", care.KindUncertain},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, rec := kannel(t, tt.status, tt.body)
			s := newSender(t, sms.Config{Gateways: []sms.Gateway{{Name: "kannel", URL: srv.URL}}})
			_, err := s.Send(t.Context(), testMessage())
			if got := care.KindOf(err); got != tt.kind {
				t.Errorf("got %q (%v), want %q", got, err, tt.kind)
			}
			if n := rec.count(); n != 1 {
				t.Errorf("%d requests: an answer must not be repeated at once", n)
			}
		})
	}
}

// TestBrokenKeptConnectionIsNotRepeated: net/http repeats a GET by itself when a kept connection breaks. The customer would get
// the message twice.
func TestBrokenKeptConnectionIsNotRepeated(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec.note(r, "")
		if rec.count() == 2 {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
			return
		}
		w.WriteHeader(202)
		_, _ = w.Write([]byte("0: Accepted for delivery"))
	}))
	defer srv.Close()
	s := newSender(t, sms.Config{Gateways: []sms.Gateway{{Name: "kannel", URL: srv.URL}}})
	if _, err := s.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	_, err := s.Send(t.Context(), testMessage())
	if care.KindOf(err) != care.KindUncertain {
		t.Errorf("got %v, want uncertain", err)
	}
	if n := rec.count(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestConnectionNeverMadeIsRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	srv, _ := kannel(t, 202, "0: ok")
	srv.Close()
	s := newSender(t, sms.Config{Gateways: []sms.Gateway{{Name: "kannel", URL: srv.URL}}})
	_, err := s.Send(t.Context(), testMessage())
	var e *care.Error
	if !errors.As(err, &e) || e.Kind != care.KindRetry || e.Code != "connect" || e.Tries != 3 {
		t.Errorf("got %v, want retry connect after 3 tries", err)
	}
}

func TestKannelCallbacks(t *testing.T) {
	t.Parallel()
	s := newSender(t, sms.Config{Gateways: []sms.Gateway{{Name: "kannel", URL: "http://127.0.0.1:1"}}, Secrets: [][]byte{[]byte("secret")}})
	token := sms.CallbackToken([]byte("secret"), "kannel")
	const id = "abcdefghijklmnopqrstuvwxyz"
	at := time.Unix(1_780_000_000, 0).UTC()
	base := care.Receipt{ID: id, Channel: care.SMS, Gateway: "kannel", ProviderID: "F1", At: at}
	with := func(state care.State, kind care.Kind, code string) *care.Receipt {
		r := base
		r.State, r.Kind, r.Code = state, kind, code
		return &r
	}
	dlr := func(event, reply string) string {
		return "token=" + token + "&id=" + id + "-sms&foreign=F1&at=1780000000&event=" + event + "&reply=" + url.QueryEscape(reply)
	}
	tests := map[string]struct {
		query   string
		receipt *care.Receipt
		reply   *sms.Reply
		err     error
	}{
		"delivered":    {dlr("1", "id:1 sub:001 dlvrd:001 submit date:2611220930 done date:2611220931 stat:DELIVRD err:000 text:"), with(care.StateDelivered, "", "DELIVRD"), nil, nil},
		"accepted":     {dlr("8", "ACK/"), with(care.StateSent, "", "ACK"), nil, nil},
		"buffered":     {dlr("4", ""), with(care.StateSent, "", ""), nil, nil},
		"failed soft":  {dlr("2", "stat:UNDELIV err:012"), with(care.StateUndelivered, care.KindRetry, "UNDELIV"), nil, nil},
		"dead":         {dlr("2", "stat:MK:0001 err:1"), with(care.StateUndelivered, care.KindRecipient, "MK:0001"), nil, nil},
		"blacklisted":  {dlr("2", "stat:MBBLACK"), with(care.StateUndelivered, care.KindOptedOut, "MBBLACK"), nil, nil},
		"rejected":     {dlr("16", "NACK/REJECTED"), with(care.StateUndelivered, care.KindRetry, "NACK"), nil, nil},
		"forged":       {strings.Replace(dlr("1", ""), token, "x", 1), nil, nil, sms.ErrForged},
		"no token":     {"event=1&id=" + id + "-sms", nil, nil, sms.ErrForged},
		"rubbish":      {"token=" + token + "&event=one", nil, nil, sms.ErrUnreadable},
		"empty":        {"token=" + token, nil, nil, sms.ErrUnreadable},
		"reply, stop":  {"token=" + token + "&from=8613800138001&to=10690000&id=R1&text=" + url.QueryEscape(" 退订。"), nil, &sms.Reply{Gateway: "kannel", ID: "R1", From: number[1:], To: "10690000", Text: "退订。", OptOut: true, At: testClock()}, nil},
		"reply, a car": {"token=" + token + "&from=13800138001&to=10690000&text=" + url.QueryEscape("车已卖"), nil, &sms.Reply{Gateway: "kannel", From: number[3:], To: "10690000", Text: "车已卖", At: testClock()}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := s.Callback("kannel", httptest.NewRequest(http.MethodGet, "/hooks/sms/kannel?"+tt.query, nil))
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			want := &sms.Callback{Answer: []byte{}, ContentType: "text/plain; charset=utf-8"}
			if tt.receipt != nil {
				want.Receipts = []care.Receipt{*tt.receipt}
			}
			if tt.reply != nil {
				want.Replies = []sms.Reply{*tt.reply}
			}
			if diff := cmp.Diff(want, c); diff != "" {
				t.Errorf("callback (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := s.Callback("other", httptest.NewRequest(http.MethodGet, "/", nil)); !errors.Is(err, sms.ErrUnknownGateway) {
		t.Errorf("unknown gateway: %v", err)
	}
}

// TestKannelQueryIsWellFormed holds the query against what net/url writes of the same fields, in the order of their names.
func TestKannelQueryIsWellFormed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path, text string
		gateway    sms.Gateway
		public     string
		expires    time.Duration
		first      string // what stands before our own fields
	}{
		"plain":           {"/cgi-bin/sendsms", "hello", sms.Gateway{User: "care", Password: "p&=%+ w"}, "", 0, ""},
		"all of it":       {"/cgi-bin/sendsms", "您好 & 再见 100%+1=~_-.*'()\n\t/?#", sms.Gateway{User: "ca re", Password: "密", From: "+10 69"}, "https://care.example/x", time.Hour, ""},
		"its own address": {"/x?smsc=a", "Grüße\x7f\u2028", sms.Gateway{From: "Buick"}, "https://care.example", 400 * time.Hour, "smsc=a&"},
		"no path":         {"", "hello", sms.Gateway{}, "", time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, rec := kannel(t, 202, "0: Accepted for delivery")
			tt.gateway.Name, tt.gateway.URL = "kannel", srv.URL+tt.path
			s := newSender(t, sms.Config{Gateways: []sms.Gateway{tt.gateway}, PublicURL: tt.public, Secrets: [][]byte{[]byte("secret")}})
			m := testMessage()
			m.Text, m.Signature, m.Class = []byte(tt.text), "", care.Service
			if m.Expires = (time.Time{}); tt.expires > 0 {
				m.Expires = testClock().Add(tt.expires)
			}
			if _, err := s.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			own, ok := strings.CutPrefix(rec.all[0].URL.RawQuery, tt.first)
			fields, err := url.ParseQuery(own)
			if err != nil || !ok {
				t.Fatal(rec.all[0].URL, err)
			}
			if diff := cmp.Diff(fields.Encode(), own); diff != "" {
				t.Errorf("(-net/url +got):\n%s", diff)
			}
			want := map[string]bool{
				"charset": true, "coding": true, "text": true, "to": true, "username": true, "password": true, "from": tt.gateway.From != "",
				"dlr-url": tt.public != "", "dlr-mask": tt.public != "", "validity": tt.expires > 0,
			}
			for field, there := range want {
				if fields.Has(field) != there {
					t.Errorf("field %s: %t", field, fields.Has(field))
				}
			}
			if path := rec.all[0].URL.Path; path != "/x" && path != "/cgi-bin/sendsms" {
				t.Errorf("path %s", path)
			}
		})
	}
}
