package email_test

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/jhillyerd/enmime/v2"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/channeltest"
	"github.com/carebell/carebell/channels/email"
)

// FuzzMail writes a mail and reads it again with another library: what went in comes out, and nothing else.
func FuzzMail(f *testing.F) {
	f.Add("王小明", "您的车该保养了", "您好\n再见", "wang@customer.example")
	for _, trick := range channeltest.Tricks {
		f.Add(trick, trick, trick, trick+"@customer.example")
	}
	srv := newServer(f)
	s := newSender(f, email.Config{}, srv.url())
	f.Fuzz(func(t *testing.T, name, subject, text, to string) {
		m := testMessage()
		m.ToName, m.Subject, m.Text, m.To, m.HTML = name, subject, []byte(text), to, nil
		before := len(srv.accepted())
		if _, err := s.Send(t.Context(), m); err != nil {
			if k := care.KindOf(err); k != care.KindContent && k != care.KindRecipient {
				t.Fatalf("%v", err)
			}
			return
		}
		mails := srv.accepted()
		if len(mails) != before+1 {
			t.Fatalf("%d mails", len(mails)-before)
		}
		env, err := enmime.ReadEnvelope(strings.NewReader(mails[before]))
		if err != nil {
			t.Fatal(err)
		}
		if id := env.GetHeader("X-Carebell-Id"); id != m.WireID() {
			t.Errorf("id %q", id)
		}
		raw, err := mail.ReadMessage(strings.NewReader(mails[before]))
		if err != nil {
			t.Fatal(err)
		}
		if addrs, err := raw.Header.AddressList("To"); err != nil || len(addrs) != 1 {
			t.Errorf("To %q: %v", raw.Header.Get("To"), err)
		}
		for _, h := range env.GetHeaderKeys() {
			if strings.Contains(strings.ToLower(h), "evil") || strings.EqualFold(h, "Bcc") || strings.EqualFold(h, "Cc") {
				t.Errorf("header %s", h)
			}
		}
	})
}
