package sink

import (
	"strings"
	"testing"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/carebell/carebell/test/sink/serve"
)

// The client that carebell uses is served on one connection, also after a refusal in the middle.
func TestGoMailIsServed(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Keep: true, Faults: Faults{SMTP: []SMTPFault{{At: serve.AtRcpt, Do: serve.DoReply, Code: 550, When: When{After: 1, Times: 1}}}}})
	c, err := mail.NewClient("127.0.0.1", mail.WithPort(s.ports[0]), mail.WithTLSPolicy(mail.NoTLS), mail.WithTimeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DialWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a-email", "b-email", "c-email"} {
		m := mail.NewMsg()
		m.SetMessageIDWithValue(id + "@pudong.example")
		m.Subject("保养提醒")
		m.SetBodyString(mail.TypeTextPlain, "王先生,您好")
		if err := m.From("care@pudong.example"); err != nil {
			t.Fatal(err)
		}
		if err := m.To("wang@example.com"); err != nil {
			t.Fatal(err)
		}
		if err := c.Send(m); (err != nil) != (id == "b-email") || err != nil && !strings.Contains(err.Error(), "550") {
			t.Errorf("%s: %v", id, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	got := s.Accepts()
	if len(got) != 2 || got["a-email"] != 1 || got["c-email"] != 1 {
		t.Errorf("accepts %v", got)
	}
	if st := s.Stats(); st.SMTPTotal != 1 {
		t.Errorf("%d connections", st.SMTPTotal)
	}
}
