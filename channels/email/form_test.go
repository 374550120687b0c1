package email_test

import (
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jhillyerd/enmime/v2"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// bothWays returns a server that takes the whole envelope at once, for messages on forms, and one to which go-mail writes.
func bothWays(t testing.TB) map[string]*fakeServer {
	t.Helper()
	return map[string]*fakeServer{"pipelined": newServer(t), "one by one": newServer(t).oneByOne()}
}

// read is a mail as another library reads it.
type read struct {
	Headers    map[string][]string
	Text, HTML string
	Errors     int
	Parts      []string // kinds and encodings, in their order
}

func readMail(t testing.TB, mail string) read {
	t.Helper()
	env, err := enmime.ReadEnvelope(strings.NewReader(mail))
	if err != nil {
		t.Fatal(err)
	}
	out := read{Headers: map[string][]string{}, Text: env.Text, HTML: env.HTML, Errors: len(env.Errors)}
	for _, key := range env.GetHeaderKeys() {
		out.Headers[key] = env.GetHeaderValues(key)
	}
	if kind := out.Headers["Content-Type"]; len(kind) == 1 {
		out.Headers["Content-Type"][0], _, _ = strings.Cut(kind[0], "boundary=")
	}
	env.Root.DepthMatchAll(func(p *enmime.Part) bool {
		out.Parts = append(out.Parts, p.ContentType+" "+p.Charset+" "+p.Header.Get("Content-Transfer-Encoding"))
		return false
	})
	return out
}

// compare sends the same message both ways, and holds that the same mail is read.
func compare(tb testing.TB, t interface {
	Helper()
	Fatalf(string, ...any)
	Errorf(string, ...any)
}, pipelined, plain *fakeServer, fast, slow *email.Sender, m *care.Message,
) {
	t.Helper()
	before := len(pipelined.accepted())
	_, fastErr := fast.Send(tb.Context(), m)
	_, slowErr := slow.Send(tb.Context(), m)
	if fastErr != nil || slowErr != nil {
		if care.KindOf(fastErr) != care.KindOf(slowErr) {
			t.Fatalf("pipelined: %v; one by one: %v", fastErr, slowErr)
		}
		return
	}
	a, b := pipelined.accepted(), plain.accepted()
	if len(a) != before+1 || len(b) != before+1 {
		t.Fatalf("%d and %d mails, want %d", len(a), len(b), before+1)
	}
	if diff := cmp.Diff(readMail(tb, b[before]), readMail(tb, a[before])); diff != "" {
		t.Errorf("the form reads otherwise than what go-mail writes (-go-mail +form):\n%s", diff)
	}
	for _, line := range strings.Split(a[before], "\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d characters", len(line))
		}
	}
}

func TestAFormReadsAsWhatGoMailWrites(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Dear customer, your car is due for its regular service soon. ", 8)
	tests := map[string]func(*care.Message){
		"as it is": func(*care.Message) {},
		"English": func(m *care.Message) {
			m.Subject, m.Locale, m.HTML = "Your service is due", "en", []byte("<p>Dear Ms O'Neil = …</p>")
		},
		"text only":      func(m *care.Message) { m.HTML = nil },
		"HTML only":      func(m *care.Message) { m.Text = nil },
		"no names":       func(m *care.Message) { m.ToName, m.From.Name, m.ReplyTo.Name = "", "", "" },
		"no reply-to":    func(m *care.Message) { m.ReplyTo = care.Mailbox{} },
		"no link":        func(m *care.Message) { m.Unsubscribe = "" },
		"link over http": func(m *care.Message) { m.Unsubscribe = "http://care.test/u/x" },
		"no moment":      func(m *care.Message) { m.At = time.Time{} },
		"no subject":     func(m *care.Message) { m.Subject = "" },
		"long subject":   func(m *care.Message) { m.Subject = long },
		"long Chinese":   func(m *care.Message) { m.Subject = strings.Repeat("您的爱车该保养了", 20) },
		"mixed subject": func(m *care.Message) {
			m.Subject = "Ihr Wagen müßte bald in die Werkstatt, schätzen wir: " + long[:60]
		},
		"name with a comma": func(m *care.Message) { m.ToName = `O'Neil, "Ann" <x>` },
		"dots and hyphens": func(m *care.Message) {
			m.Text = []byte(".\n..\n.\r\n--\n-- x\nFrom me\n." + strings.Repeat("-", 200) + "\n.")
		},
		"blanks at the end": func(m *care.Message) {
			m.Text = []byte("a \nb\t\n \n" + strings.Repeat("x", 74) + " \n" + strings.Repeat("y", 75) + " \nend ")
		},
		"line ends":           func(m *care.Message) { m.Text = []byte("a\rb\r\nc\n\nd\r\r\ne") },
		"a lone CR":           func(m *care.Message) { m.HTML = []byte("<p>aaaaa\ré\n<p>") },
		"long lines":          func(m *care.Message) { m.Text = []byte(strings.Repeat("=", 500) + long + long) },
		"no topic, no dealer": func(m *care.Message) { m.Topic, m.Dealer, m.Program, m.Locale = "", "", "", "" },
		"NUL":                 func(m *care.Message) { m.Text = []byte("a\x00b") },
	}
	plain, pipelined := newServer(t).oneByOne(), newServer(t)
	fast, slow := newSender(t, email.Config{}, pipelined.url()), newSender(t, email.Config{}, plain.url())
	for name, change := range tests {
		m := testMessage()
		change(m)
		before := t.Failed()
		compare(t, t, pipelined, plain, fast, slow, m)
		if !before && t.Failed() {
			t.Fatalf("it was %q", name)
		}
	}
}

// TestAnyMessageReadsTheSameBothWays fills messages with whatever comes. A form that is used again must not remember anything.
func TestAnyMessageReadsTheSameBothWays(t *testing.T) {
	t.Parallel()
	plain, pipelined := newServer(t).oneByOne(), newServer(t)
	fast, slow := newSender(t, email.Config{}, pipelined.url()), newSender(t, email.Config{}, plain.url())
	words := rapid.StringOfN(rapid.SampledFrom([]rune("ab 车。é.-=\n\r\t<>\"'")), 0, 300, -1)
	rapid.Check(t, func(rt *rapid.T) {
		m := testMessage()
		m.Subject, m.ToName = words.Draw(rt, "subject"), words.Draw(rt, "name")
		m.Text, m.HTML = []byte(words.Draw(rt, "text")+"."), []byte(words.Draw(rt, "html")+"<p>")
		m.Program = rapid.SampledFrom([]string{"maintenance", "recall"}).Draw(rt, "program")
		compare(t, rt, pipelined, plain, fast, slow, m)
	})
}

func TestQuotedPrintable(t *testing.T) {
	t.Parallel()
	lines := strings.NewReplacer("\r\n", "\r\n", "\n", "\r\n", "\r", "\r\n")
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringOfN(rapid.SampledFrom([]rune("abcdefgh  \t.-=\n\ré车\x01\x7f")), 0, 600, -1).Draw(t, "body")
		got := string(email.AppendQuoted(nil, []byte(body)))
		for _, line := range strings.Split(got, "\r\n") {
			if len(line) > 76 || strings.HasPrefix(line, ".") || strings.HasPrefix(line, "-") || strings.ContainsAny(line, "\r\n") || strings.TrimRight(line, " \t") != line {
				t.Fatalf("the line %q of %q", line, got)
			}
		}
		back, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(got)))
		if err != nil || string(back) != lines.Replace(body) {
			t.Fatalf("%q came back as %q (%v) by way of %q", body, back, err, got)
		}
	})
}

// TestTheEnvelopeGoesAtOnce: it is what PIPELINING saves, and only where it is offered.
func TestTheEnvelopeGoesAtOnce(t *testing.T) {
	t.Parallel()
	for way, srv := range bothWays(t) {
		s := newSender(t, email.Config{}, srv.url())
		if _, err := s.Send(t.Context(), testMessage()); err != nil {
			t.Fatal(err)
		}
		if at := srv.waitingAfter("MAIL"); (at > 0) != (way == "pipelined") {
			t.Errorf("%s: %d bytes had come when MAIL was answered", way, at)
		}
	}
}

// TestNoRecipientAndYetTheServerWaits: RFC 2920 lets a server say 354 although it refused every recipient. Nothing may be sent to it
// then: the next message goes over a new connection.
func TestNoRecipientAndYetTheServerWaits(t *testing.T) {
	t.Parallel()
	srv := newServer(t).on("RCPT", step{reply: "550 5.1.1 unknown"})
	s := newSender(t, email.Config{}, srv.url())
	if _, err := s.Send(t.Context(), testMessage()); care.KindOf(err) != care.KindRecipient {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	if n := len(srv.accepted()); n != 1 || srv.dialled() != 2 {
		t.Errorf("%d mails over %d connections, want 1 over 2", n, srv.dialled())
	}
}

// TestANoKeepsTheConnection: a refused recipient costs no new connection where the server refuses the data too, as Postfix does.
func TestANoKeepsTheConnection(t *testing.T) {
	t.Parallel()
	srv := newServer(t).on("RCPT", step{reply: "550 5.1.1 unknown"}).on("DATA", step{reply: "554 5.5.1 no valid recipients"})
	s := newSender(t, email.Config{}, srv.url())
	if _, err := s.Send(t.Context(), testMessage()); care.KindOf(err) != care.KindRecipient {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	if n := srv.dialled(); n != 1 || srv.said("RSET") != 1 {
		t.Errorf("%d connections and %d RSET, want one of each", n, srv.said("RSET"))
	}
}
