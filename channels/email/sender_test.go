package email_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jhillyerd/enmime/v2"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

func TestSendWritesTheWholeMessage(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	s := newSender(t, email.Config{ReturnPath: "bounce+{id}@pudong.example"}, srv.url())
	m := testMessage()
	m.Attachments = []care.Attachment{
		{Name: "车主交流会.ics", Type: "text/calendar; method=PUBLISH", Data: []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")},
		{Name: "logo.png", Type: "image/png", ContentID: "logo@carebell", Data: []byte{1, 2, 3}},
	}
	got, err := s.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	want := care.Receipt{ID: m.ID, Channel: care.Email, Gateway: "smtp", ProviderID: "ABC123", State: care.StateSent, At: testClock()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	mails := srv.accepted()
	if len(mails) != 1 {
		t.Fatalf("%d mails arrived", len(mails))
	}
	env, err := enmime.ReadEnvelope(strings.NewReader(mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	if len(env.Errors) > 0 {
		t.Errorf("the reader complains: %v", env.Errors)
	}
	headers := map[string]string{}
	for _, h := range []string{
		"From", "To", "Reply-To", "Subject", "Date", "Message-ID", "X-Carebell-Id", "Auto-Submitted", "List-Id", "Feedback-ID",
		"Content-Language", "List-Unsubscribe", "List-Unsubscribe-Post", "User-Agent", "X-Mailer",
	} {
		headers[h] = env.GetHeader(h)
	}
	wantHeaders := map[string]string{
		"From": `浦东别克 <care@pudong.example>`, "To": `王小明 <wang@customer.example>`, "Reply-To": `陈志强 <chen@pudong.example>`,
		"Subject": "王先生，您的 Regal 该保养了", "Date": "Sun, 22 Nov 2026 09:30:00 +0800",
		"Message-ID":    "<abcdefghijklmnopqrstuvwxyz-email@pudong.example>",
		"X-Carebell-Id": "abcdefghijklmnopqrstuvwxyz-email", "Auto-Submitted": "auto-generated",
		"List-Id": "<maintenance.sh-pudong.pudong.example>", "Feedback-ID": "maintenance:sh-pudong:service:carebell", "Content-Language": "zh-CN",
		"List-Unsubscribe": "<" + m.Unsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "User-Agent": "", "X-Mailer": "",
	}
	if diff := cmp.Diff(wantHeaders, headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if !strings.Contains(mails[0], "\nList-Unsubscribe: <"+m.Unsubscribe+">\n") {
		t.Error("List-Unsubscribe is not on one line")
	}
	if diff := cmp.Diff(string(m.Text), strings.ReplaceAll(env.Text, "\r\n", "\n")); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(string(m.HTML), env.HTML); diff != "" {
		t.Errorf("html (-want +got):\n%s", diff)
	}
	if len(env.Attachments) != 1 || env.Attachments[0].FileName != "车主交流会.ics" || string(env.Attachments[0].Content) != string(m.Attachments[0].Data) {
		t.Errorf("attachments: %v", env.Attachments)
	}
	if len(env.Inlines) != 1 || env.Inlines[0].ContentID != "logo@carebell" {
		t.Errorf("inlines: %v", env.Inlines)
	}
	if srv.said("MAIL FROM:<BOUNCE+ABCDEFGHIJKLMNOPQRSTUVWXYZ-EMAIL@PUDONG.EXAMPLE>") != 1 {
		t.Errorf("the return path is missing in %q", srv.commands)
	}
	for _, line := range strings.Split(mails[0], "\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d characters", len(line))
		}
	}
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	s := newSender(t, email.Config{Connections: 2}, srv.url())
	for range 10 {
		if _, err := s.Send(t.Context(), testMessage()); err != nil {
			t.Fatal(err)
		}
	}
	if n := srv.dialled(); n != 1 {
		t.Errorf("%d connections for ten messages, one after the other", n)
	}
	if n := srv.said("NOOP") + srv.said("RSET"); n != 0 {
		t.Errorf("%d needless commands", n)
	}
}

func TestFaultsAtEachVerb(t *testing.T) {
	t.Parallel()
	const (
		secret = "pa55-canary"
		who    = "wang@customer.example"
	)
	tests := map[string]struct {
		verb string
		step step
		kind care.Kind
		code string
	}{
		"greeting 421":              {"GREET", step{reply: "421 busy", after: true}, care.KindRetry, "421"},
		"greeting 554":              {"GREET", step{reply: "554 go away", after: true}, care.KindOperator, "554"},
		"greeting dropped":          {"GREET", step{drop: true}, care.KindRetry, "connect"},
		"ehlo dropped":              {"EHLO", step{drop: true}, care.KindRetry, "connect"},
		"mail dropped":              {"MAIL", step{drop: true}, care.KindRetry, "broken"},
		"mail reset":                {"MAIL", step{rst: true}, care.KindRetry, "broken"},
		"mail 451":                  {"MAIL", step{reply: "451 4.3.0 try later"}, care.KindRetry, "451 4.3.0"},
		"mail 421":                  {"MAIL", step{reply: "421 4.4.2 time-out"}, care.KindRetry, "421 4.4.2"},
		"mail 550 policy":           {"MAIL", step{reply: "550 5.7.1 sender refused"}, care.KindOperator, "550 5.7.1"},
		"mail 552 size":             {"MAIL", step{reply: "552 5.3.4 too big"}, care.KindContent, "552 5.3.4"},
		"mail 530":                  {"MAIL", step{reply: "530 5.7.0 log in first"}, care.KindOperator, "530 5.7.0"},
		"rcpt dropped":              {"RCPT", step{drop: true}, care.KindRetry, "broken"},
		"rcpt 450":                  {"RCPT", step{reply: "450 4.2.0 greylisted"}, care.KindRetry, "450 4.2.0"},
		"rcpt 421":                  {"RCPT", step{reply: "421 4.3.2 closing"}, care.KindRetry, "421 4.3.2"},
		"rcpt bad mailbox":          {"RCPT", step{reply: "550 5.1.1 <" + who + "> unknown"}, care.KindRecipient, "550 5.1.1"},
		"rcpt bad domain":           {"RCPT", step{reply: "550 5.1.2 no such domain"}, care.KindRecipient, "550 5.1.2"},
		"rcpt bad syntax":           {"RCPT", step{reply: "501 5.1.3 what"}, care.KindRecipient, "501 5.1.3"},
		"rcpt moved":                {"RCPT", step{reply: "551 5.1.6 gone"}, care.KindRecipient, "551 5.1.6"},
		"rcpt null mx":              {"RCPT", step{reply: "556 5.1.10 null mx"}, care.KindRecipient, "556 5.1.10"},
		"rcpt policy":               {"RCPT", step{reply: "550 5.7.1 blocked"}, care.KindContent, "550 5.7.1"},
		"rcpt relay, bare":          {"RCPT", step{reply: "550 relaying denied"}, care.KindOperator, "550"},
		"rcpt user unknown, bare":   {"RCPT", step{reply: "550 No such user here"}, care.KindRecipient, "550"},
		"rcpt full":                 {"RCPT", step{reply: "552 5.2.2 mailbox full"}, care.KindDefer, "552 5.2.2"},
		"rcpt full for now":         {"RCPT", step{reply: "452 4.2.2 mailbox full"}, care.KindRetry, "452 4.2.2"},
		"data dropped":              {"DATA", step{drop: true}, care.KindRetry, "broken"},
		"data 451":                  {"DATA", step{reply: "451 4.3.0 not now", after: true}, care.KindRetry, "451 4.3.0"},
		"data 554":                  {"DATA", step{reply: "554 5.5.1 no", after: true}, care.KindContent, "554 5.5.1"},
		"dot dropped":               {".", step{drop: true}, care.KindUncertain, "broken"},
		"dot reset":                 {".", step{rst: true}, care.KindUncertain, "broken"},
		"dot 451":                   {".", step{reply: "451 4.3.0 disk full"}, care.KindRetry, "451 4.3.0"},
		"dot 421":                   {".", step{reply: "421 4.3.0 closing"}, care.KindRetry, "421 4.3.0"},
		"dot 550 spam":              {".", step{reply: "550 5.7.1 looks like spam"}, care.KindContent, "550 5.7.1"},
		"dot 554 no mailbox":        {".", step{reply: "550 5.1.1 unknown after all"}, care.KindRecipient, "550 5.1.1"},
		"dot 552":                   {".", step{reply: "552 5.3.4 too much"}, care.KindContent, "552 5.3.4"},
		"503 is of the dialogue":    {"RCPT", step{reply: "503 5.5.1 need MAIL"}, care.KindRetry, "503 5.5.1"},
		"an answer that is no code": {"RCPT", step{reply: "what?"}, care.KindRetry, "broken"},
	}
	for name, tt := range tests {
		for way, srv := range bothWays(t) {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				srv.on(tt.verb, tt.step)
				s := newSender(t, email.Config{}, srv.url())
				_, err := s.Send(t.Context(), testMessage())
				var e *care.Error
				if !errors.As(err, &e) {
					t.Fatalf("no care.Error: %v", err)
				}
				if e.Kind != tt.kind || e.Code != tt.code {
					t.Errorf("got %s %q, want %s %q (%v)", e.Kind, e.Code, tt.kind, tt.code, err)
				}
				if e.Kind == care.KindDefer && e.RetryAfter != time.Hour {
					t.Errorf("retry after %v", e.RetryAfter)
				}
				for _, bad := range []string{who, "王", secret, "Regal"} {
					if strings.Contains(err.Error(), bad) {
						t.Errorf("%q is in the error: %v", bad, err)
					}
				}
				// Whatever happened, the next message goes.
				if _, err := s.Send(t.Context(), testMessage()); err != nil {
					t.Errorf("the next message: %v", err)
				}
			})
		}
	}
}

// TestServerThatDoesNotStopTalking: an answer without end must cost neither memory nor the whole deadline.
func TestServerThatDoesNotStopTalking(t *testing.T) {
	t.Parallel()
	srv := newServer(t).on("RCPT", step{reply: strings.Repeat("250-more and more and more and more and more\n", 20000) + "250 done"})
	s := newSender(t, email.Config{}, srv.url())
	_, err := s.Send(t.Context(), testMessage())
	if care.KindOf(err) != care.KindRetry {
		t.Errorf("got %v", err)
	}
	if _, err := s.Send(t.Context(), testMessage()); err != nil {
		t.Errorf("the next message: %v", err)
	}
}

// TestServerThatDribbles: each byte comes in time, and the message would never end.
func TestServerThatDribbles(t *testing.T) {
	t.Parallel()
	for verb, kind := range map[string]care.Kind{"EHLO": care.KindRetry, "MAIL": care.KindRetry, ".": care.KindUncertain} {
		for way, srv := range bothWays(t) {
			srv.on(verb, step{slow: true, reply: "250-" + strings.Repeat("x", 1000)})
			s := newSender(t, email.Config{Timeout: 300 * time.Millisecond}, srv.url())
			_, err := s.Send(context.Background(), testMessage()) // the sender's own bound holds without a deadline
			if e := new(care.Error); !errors.As(err, &e) || e.Kind != kind || e.Code != "timeout" {
				t.Errorf("%s, %s: %v, want %s", verb, way, err, kind)
			}
		}
	}
}

func TestStaleConnectionIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for name, st := range map[string]step{"dropped": {drop: true}, "421": {reply: "421 4.4.2 idle too long"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t).on("MAIL", step{}, st)
			s := newSender(t, email.Config{}, srv.url())
			for i := range 2 {
				r, err := s.Send(t.Context(), testMessage())
				if err != nil {
					t.Fatal(err)
				}
				if want := []int{0, 2}[i]; r.Tries != want {
					t.Errorf("message %d: tries %d, want %d", i, r.Tries, want)
				}
			}
			if n := srv.dialled(); n != 2 {
				t.Errorf("%d connections, want 2", n)
			}
			if n := len(srv.accepted()); n != 2 {
				t.Errorf("%d mails, want 2", n)
			}
		})
	}
}

func TestLostYesIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	srv := newServer(t).on(".", step{}, step{drop: true})
	s := newSender(t, email.Config{}, srv.url())
	if _, err := s.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	_, err := s.Send(t.Context(), testMessage())
	if care.KindOf(err) != care.KindUncertain {
		t.Fatalf("got %v, want uncertain", err)
	}
	if n := len(srv.accepted()); n != 2 {
		t.Errorf("%d mails arrived, want 2: nothing may be repeated after the dot", n)
	}
}

func TestTimeoutAndCancel(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		verb   string
		cancel bool
		kind   care.Kind
		code   string
		plain  bool // one command at a time
	}{
		"greeting":           {"GREET", false, care.KindRetry, "timeout", false},
		"ehlo":               {"EHLO", false, care.KindRetry, "timeout", false},
		"mail":               {"MAIL", false, care.KindRetry, "timeout", false},
		"data":               {"DATA", false, care.KindRetry, "timeout", false},
		"after the dot":      {".", false, care.KindUncertain, "timeout", false},
		"cancel at greeting": {"GREET", true, care.KindRetry, "canceled", false},
		"cancel at rcpt":     {"RCPT", true, care.KindRetry, "canceled", false},
		"mail, one by one":   {"MAIL", false, care.KindRetry, "timeout", true},
		"dot, one by one":    {".", true, care.KindUncertain, "canceled", true},
		"cancel after dot":   {".", true, care.KindUncertain, "canceled", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t).on(tt.verb, step{wait: time.Minute})
			if tt.plain {
				srv.oneByOne()
			}
			s := newSender(t, email.Config{Timeout: time.Minute}, srv.url())
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if tt.cancel {
				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(200*time.Millisecond, cancel)
			}
			_, err := s.Send(ctx, testMessage())
			var e *care.Error
			if !errors.As(err, &e) || e.Kind != tt.kind || e.Code != tt.code {
				t.Errorf("got %v, want %s %s", err, tt.kind, tt.code)
			}
			if tt.cancel && !errors.Is(err, context.Canceled) {
				t.Errorf("%v does not say that it was cancelled", err)
			}
		})
	}
}

func TestQueuedAs(t *testing.T) {
	t.Parallel()
	for yes, want := range map[string]string{
		"2.0.0 Ok: queued as 4XyZ12": "4XyZ12", "OK QUEUED AS <x>": "", "queued as abc": "", "queued as a.b-c_d,": "a.b-c_d", "": "",
		"mail queued as x y; queued as 12345": "12345", "queued as " + strings.Repeat("a", 70): strings.Repeat("a", 64), "Ok": "",
	} {
		if got := email.QueuedAs(yes); got != want {
			t.Errorf("%q: %q, want %q", yes, got, want)
		}
	}
}
