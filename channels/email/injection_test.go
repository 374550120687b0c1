package email_test

import (
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/jhillyerd/enmime/v2"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// tricks are what strangers write into names and texts to get a header, a recipient or a command of their own.
var tricks = map[string]string{
	"crlf":         "a\r\nBcc: evil@evil.example\r\n\r\nbody",
	"lf":           "a\nBcc: evil@evil.example",
	"bare cr":      "a\rBcc: evil@evil.example",
	"nul":          "a\x00Bcc: evil@evil.example",
	"u+2028":       "a\u2028Bcc: evil@evil.example",
	"u+2029":       "a\u2029Bcc: evil@evil.example",
	"nel":          "a\u0085Bcc: evil@evil.example",
	"bidi":         "a\u202egro.live@live\u202c",
	"smuggle":      "a\r\n.\r\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<evil@evil.example>\r\nDATA\r\n",
	"smuggle cr":   "a\r.\rMAIL FROM:<evil@evil.example>\r",
	"smuggle lf":   "a\n.\nMAIL FROM:<evil@evil.example>\n",
	"smuggle mix":  "a\n.\r\nRCPT TO:<evil@evil.example>\r\n",
	"encoded word": "=?utf-8?q?a=0D=0ABcc:_evil@evil.example?=",
	"two":          "a@b.example>, <evil@evil.example",
	"quoted":       `"a@b.example" <evil@evil.example>`,
	"quoted local": `"a> RCPT TO:<evil"@evil.example`,
	"comment":      "a(evil@evil.example)@b.example",
	"bad utf-8":    "a\xff\xfeBcc: x",
	"long":         strings.Repeat("long ", 4000),
}

// TestNoFieldBecomesAHeaderARecipientOrACommand puts each trick into each field, and looks at what came over the wire.
func TestNoFieldBecomesAHeaderARecipientOrACommand(t *testing.T) {
	t.Parallel()
	fields := map[string]func(*care.Message, string){
		"to":          func(m *care.Message, s string) { m.To = s },
		"to name":     func(m *care.Message, s string) { m.ToName = s },
		"from":        func(m *care.Message, s string) { m.From.Address = s },
		"from name":   func(m *care.Message, s string) { m.From.Name = s },
		"reply-to":    func(m *care.Message, s string) { m.ReplyTo.Address = s },
		"reply name":  func(m *care.Message, s string) { m.ReplyTo.Name = s },
		"subject":     func(m *care.Message, s string) { m.Subject = s },
		"id":          func(m *care.Message, s string) { m.ID = s },
		"dealer":      func(m *care.Message, s string) { m.Dealer = s },
		"program":     func(m *care.Message, s string) { m.Program = s },
		"topic":       func(m *care.Message, s string) { m.Topic = s },
		"class":       func(m *care.Message, s string) { m.Class = care.Class(s) },
		"locale":      func(m *care.Message, s string) { m.Locale = s },
		"unsubscribe": func(m *care.Message, s string) { m.Unsubscribe = "https://x.example/" + s },
		"text":        func(m *care.Message, s string) { m.Text = []byte(s) },
		"html":        func(m *care.Message, s string) { m.HTML = []byte(s) },
		"file name": func(m *care.Message, s string) {
			m.Attachments = []care.Attachment{{Name: s, Type: "text/plain", Data: []byte("x")}}
		},
		"file type": func(m *care.Message, s string) {
			m.Attachments = []care.Attachment{{Name: "x", Type: s, Data: []byte("x")}}
		},
		"file param": func(m *care.Message, s string) {
			m.Attachments = []care.Attachment{{Name: "x", Type: "text/plain; a=\"" + s + "\"", Data: []byte("x")}}
		},
		"content-id": func(m *care.Message, s string) {
			m.Attachments = []care.Attachment{{Name: "x", ContentID: s, Type: "image/png", Data: []byte("x")}}
		},
		"file data": func(m *care.Message, s string) {
			m.Attachments = []care.Attachment{{Name: "x", Type: "text/plain", Data: []byte(s)}}
		},
	}
	known := map[string]bool{
		"From": true, "To": true, "Reply-To": true, "Subject": true, "Date": true, "Message-Id": true, "Mime-Version": true, "Content-Type": true,
		"Content-Transfer-Encoding": true, "Content-Language": true, "Auto-Submitted": true, "List-Id": true, "List-Unsubscribe": true,
		"List-Unsubscribe-Post": true, "Feedback-Id": true, "X-Carebell-Id": true,
	}
	for field, set := range fields {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t)
			s := newSender(t, email.Config{}, srv.url())
			sent := 0
			for trick, value := range tricks {
				m := testMessage()
				set(m, value)
				if _, err := s.Send(t.Context(), m); err == nil {
					sent++
				} else if k := care.KindOf(err); k != care.KindContent && k != care.KindRecipient {
					t.Errorf("%s: refused as %v", trick, err)
				} else if strings.Contains(err.Error(), "evil") {
					t.Errorf("%s: the value is in the error %v", trick, err)
				}
			}
			for _, command := range srv.commands {
				if strings.Contains(command, "evil") || strings.Count(command, "<") > 1 {
					t.Errorf("command %q", command)
				}
			}
			mails := srv.accepted()
			if len(mails) != sent {
				t.Errorf("%d mails for %d sends", len(mails), sent)
			}
			for _, mail := range mails {
				if strings.Contains(strings.ReplaceAll(mail, "\r\n", ""), "\r") || strings.Contains(mail, "\x00") {
					t.Error("a bare CR or a NUL came over the wire")
				}
				parsed, err := netmail.ReadMessage(strings.NewReader(mail))
				if err != nil {
					t.Fatal(err)
				}
				for name, values := range parsed.Header {
					if !known[name] || len(values) != 1 {
						t.Errorf("header %s: %q", name, values)
					}
					for _, v := range values {
						if len(v) != len(strings.ToValidUTF8(v, "")) || strings.ContainsAny(v, "\u2028\u2029\u202e\u202c\u0085") {
							t.Errorf("header %s: %q", name, v)
						}
					}
				}
				for _, line := range strings.Split(mail, "\n") {
					if len(line) > 998 {
						t.Errorf("a line of %d octets", len(line))
					}
				}
				env, err := enmime.ReadEnvelope(strings.NewReader(mail))
				if err != nil {
					t.Fatal(err)
				}
				if from, err := netmail.ParseAddressList(env.GetHeader("From")); err != nil || len(from) != 1 {
					t.Errorf("From %q: %v", env.GetHeader("From"), err)
				}
				for _, h := range []string{"Subject", "From", "To"} {
					if strings.ContainsAny(env.GetHeader(h), "\r\n\x00\u2028\u202e") {
						t.Errorf("%s decodes to %q", h, env.GetHeader(h))
					}
				}
			}
		})
	}
}
