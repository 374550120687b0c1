package email_test

import (
	"bufio"
	"context"
	"io"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jhillyerd/enmime/v2"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// bothWays returns a server that takes the whole envelope at once, and one that takes it a command at a time.
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

// compare writes the same message both ways, and holds that the same mail is read.
func compare(tb testing.TB, t interface {
	Helper()
	Fatalf(string, ...any)
	Errorf(string, ...any)
}, s *email.Sender, m *care.Message,
) {
	t.Helper()
	onSkeleton, fastErr := email.WriteSkeleton(s, m)
	plain, slowErr := email.WritePlain(s, m)
	if fastErr != nil || slowErr != nil {
		if care.KindOf(fastErr) != care.KindOf(slowErr) {
			t.Fatalf("on a skeleton: %v; plain: %v", fastErr, slowErr)
		}
		return
	}
	if onSkeleton == nil {
		t.Fatalf("there is no skeleton for it")
	}
	if diff := cmp.Diff(readMail(tb, string(plain)), readMail(tb, string(onSkeleton))); diff != "" {
		t.Errorf("the skeleton reads otherwise than what go-mail writes (-go-mail +skeleton):\n%s", diff)
	}
	for way, mail := range map[string][]byte{"skeleton": onSkeleton, "plain": plain} {
		for _, line := range strings.Split(string(mail), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n") || way == "skeleton" && strings.HasPrefix(line, ".") {
				t.Errorf("%s: the line %q", way, line)
			}
		}
	}
}

func TestASkeletonReadsAsWhatGoMailWrites(t *testing.T) {
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
	s := newSender(t, email.Config{}, "smtp://127.0.0.1:1")
	for name, change := range tests {
		m := testMessage()
		change(m)
		before := t.Failed()
		compare(t, t, s, m)
		if !before && t.Failed() {
			t.Fatalf("it was %q", name)
		}
	}
}

// TestAnyMessageReadsTheSameBothWays fills messages with whatever comes. A skeleton that is used again must not remember anything.
func TestAnyMessageReadsTheSameBothWays(t *testing.T) {
	t.Parallel()
	s := newSender(t, email.Config{}, "smtp://127.0.0.1:1")
	words := rapid.StringOfN(rapid.SampledFrom([]rune("ab 车。é.-=\n\r\t<>\"'")), 0, 300, -1)
	rapid.Check(t, func(rt *rapid.T) {
		m := testMessage()
		m.Subject, m.ToName = words.Draw(rt, "subject"), words.Draw(rt, "name")
		m.Text, m.HTML = []byte(words.Draw(rt, "text")+"."), []byte(words.Draw(rt, "html")+"<p>")
		pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(rt, label) }
		m.Program, m.Topic, m.Dealer = pick("program", "maintenance", "recall"), pick("topic", "", "a", "b"), pick("dealer", "", "sh", "bj")
		m.Locale, m.Class = pick("locale", "", "en", "zh-CN"), care.Class(pick("class", "service", "marketing"))
		m.From.Address, m.From.Name = pick("from", "care@pudong.example", "a@b.example"), pick("from name", "", "浦东别克", "A")
		m.ReplyTo.Address, m.ReplyTo.Name = pick("reply", "", "chen@pudong.example"), pick("reply name", "", "陈志强")
		m.Unsubscribe = pick("link", "", "https://care.example/u/a", "https://care.example/u/b", "http://care.example/u/c")
		compare(t, rt, s, m)
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

// TestNoRecipientAndYetTheServerWaits: RFC 2920 lets a server say 354 although it refused every recipient. It takes whatever comes next for
// the message: nothing may be sent to it any more, not even RSET, and the next message goes over a new connection.
func TestNoRecipientAndYetTheServerWaits(t *testing.T) {
	t.Parallel()
	srv := newServer(t).on("RCPT", step{reply: "550 5.1.1 unknown"})
	s := newSender(t, email.Config{Timeout: 2 * time.Second}, srv.url())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := s.Send(ctx, testMessage()); care.KindOf(err) != care.KindRecipient {
		t.Fatalf("got %v", err)
	}
	if ctx.Err() != nil {
		t.Fatal("it waited for an answer that a server in the middle of a message does not give")
	}
	if _, err := s.Send(ctx, testMessage()); err != nil {
		t.Fatal(err)
	}
	if n := len(srv.accepted()); n != 1 || srv.dialled() != 2 {
		t.Errorf("%d mails over %d connections, want 1 over 2", n, srv.dialled())
	}
	if got := srv.unfinished(); got != "" {
		t.Errorf("%q was sent as the text of the refused message", got)
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

// TestDots: a line that begins with a dot, or is one, must not end the message or lose it (RFC 5321 section 4.5.2).
func TestDots(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringOfN(rapid.SampledFrom([]rune("a.\n")), 1, 60, -1).Draw(t, "body")
		crlf := strings.ReplaceAll(body, "\n", "\r\n")
		wire := string(email.Dotted([]byte(crlf))) + ".\r\nQUIT\r\n"
		r := textproto.NewReader(bufio.NewReader(strings.NewReader(wire)))
		got, err := r.ReadDotBytes()
		if err != nil || strings.TrimSuffix(string(got), "\n") != strings.TrimSuffix(body, "\n") {
			t.Fatalf("%q came back as %q, %v", body, got, err)
		}
		if rest, err := r.ReadLine(); err != nil || rest != "QUIT" {
			t.Fatalf("%q ends somewhere else: %q, %v", body, rest, err)
		}
	})
}
