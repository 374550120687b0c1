package sink

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/carebell/carebell/test/sink/serve"
)

// client speaks SMTP line by line, so that a test sees each answer as it is.
type client struct {
	t    *testing.T
	conn net.Conn // nil when it was reset before the dial was over
	r    *bufio.Reader
}

func dial(t *testing.T, s *Sink) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.SMTPAddr())
	if errors.Is(err, syscall.ECONNRESET) {
		// A reset in place of the greeting may be quicker than the dial's own return.
		return &client{t: t}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// read returns the code of the next answer, or "reset", "closed" or "silence" (none within the time).
func (c *client) read(within time.Duration) string {
	c.t.Helper()
	if c.conn == nil {
		return "reset"
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		c.t.Fatal(err)
	}
	for {
		line, err := c.r.ReadString('\n')
		switch {
		case errors.Is(err, syscall.ECONNRESET):
			return "reset"
		case errors.Is(err, io.EOF):
			return "closed"
		case err != nil:
			return "silence"
		case line[3] == ' ':
			return line[:3]
		}
	}
}

func (c *client) say(text string) {
	c.t.Helper()
	if text == "" {
		return
	}
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// verbs are the steps of a session with one message, by the names of the places where faults stand.
func verbs(id string) [][2]string {
	return [][2]string{
		{serve.AtConnect, ""},
		{serve.AtHelo, "EHLO test\r\n"},
		{serve.AtMail, "MAIL FROM:<a@pudong.example> BODY=8BITMIME\r\n"},
		{serve.AtRcpt, "RCPT TO:<b@example.com>\r\n"},
		{serve.AtData, "DATA\r\n"},
		{serve.AtBody, "Message-ID: <" + id + "@pudong.example>\r\n\r\n您好\r\n..dot\r\n.\r\n"},
		{serve.AtNoop, "NOOP\r\n"},
		{serve.AtRset, "RSET\r\n"},
		{serve.AtQuit, "QUIT\r\n"},
	}
}

var wantCodes = map[string]string{
	serve.AtConnect: "220", serve.AtHelo: "250", serve.AtMail: "250", serve.AtRcpt: "250", serve.AtData: "354", serve.AtBody: "250",
	serve.AtNoop: "250", serve.AtRset: "250", serve.AtQuit: "221",
}

func TestSMTPAccepts(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Keep: true})
	for range 2 {
		c := dial(t, s)
		for _, v := range verbs("abc-email") {
			c.say(v[1])
			if got := c.read(5 * time.Second); got != wantCodes[v[0]] {
				t.Fatalf("%s: %s", v[0], got)
			}
		}
	}
	body := "Message-ID: <abc-email@pudong.example>\r\n\r\n您好\r\n.dot\r\n"
	want := func(attempt int) Entry {
		return Entry{
			Kind: "smtp", Event: "accept", ID: "abc-email", Attempt: attempt, To: []string{"b@example.com"}, Size: len(body),
			Commands: []string{"EHLO", "MAIL", "RCPT", "DATA"}, Body: []byte(body),
		}
	}
	if diff := cmp.Diff([]Entry{want(1), want(2)}, s.Journal(), cmpopts.IgnoreFields(Entry{}, "At")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := s.Accepts()["abc-email"]; got != 2 {
		t.Errorf("%d accepts", got)
	}
	if at := s.Journal()[0].At; time.Since(at).Abs() > time.Minute {
		t.Errorf("at %s", at)
	}
}

func TestSMTPPipeliningAndBareNewlines(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	c := dial(t, s)
	c.say("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nDATA\r\n")
	for i, want := range []string{"220", "250", "250", "250", "250", "354"} {
		if got := c.read(5 * time.Second); got != want {
			t.Fatalf("answer %d: %s, want %s", i, got, want)
		}
	}
	c.say("X-Carebell-Id: own-id\r\nMessage-ID: <other@x>\r\n\r\nsmuggled\n.\nMAIL FROM:<evil@x>\r\n.\r\n")
	if got := c.read(5 * time.Second); got != "250" {
		t.Fatal(got)
	}
	e := s.Journal()[0]
	if e.ID != "own-id" || !e.BareNewline || len(e.To) != 2 || len(s.Journal()) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestSMTPFaultsAtEachVerb(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	for n, v := range verbs("") {
		at := v[0]
		for _, do := range []string{serve.DoReply, serve.DoReset, serve.DoLostYes, serve.DoHang, serve.DoDribble} {
			if do == serve.DoLostYes && at != serve.AtBody {
				continue
			}
			id := at + "-" + do
			s.Set(Faults{SMTP: []SMTPFault{{At: at, Do: do, Code: 554, Delay: time.Millisecond}}})
			c := dial(t, s)
			for _, step := range verbs(id)[:n] {
				c.say(step[1])
				if got := c.read(5 * time.Second); got != wantCodes[step[0]] {
					t.Fatalf("%s: before, at %s: %s", id, step[0], got)
				}
			}
			c.say(verbs(id)[n][1])
			within := 5 * time.Second
			if do == serve.DoHang {
				within = 30 * time.Millisecond
			}
			want := map[string]string{"reply": "554", "reset": "reset", "lost-yes": "reset", "hang": "silence", "dribble": wantCodes[at]}[do]
			if got := c.read(within); got != want {
				t.Errorf("%s: %s, want %s", id, got, want)
			}
		}
	}
	want := map[string]int{"body-lost-yes": 1, "body-dribble": 1}
	for _, after := range []string{serve.AtNoop, serve.AtRset, serve.AtQuit} {
		for _, do := range []string{"reply", "reset", "hang", "dribble"} {
			want[after+"-"+do] = 1
		}
	}
	if diff := cmp.Diff(want, s.Accepts()); diff != "" {
		t.Errorf("accepts (-want +got)\n%s", diff)
	}
}

func TestSMTP421EndsTheSession(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Faults: Faults{SMTP: []SMTPFault{{At: serve.AtMail, Do: serve.DoReply, Code: 421, When: When{After: 1, Times: 1}}}}})
	c := dial(t, s)
	for _, v := range verbs("first")[:6] {
		c.say(v[1])
		c.read(5 * time.Second)
	}
	c.say("MAIL FROM:<a@pudong.example>\r\n")
	if got := c.read(5*time.Second) + " " + c.read(5*time.Second); got != "421 closed" {
		t.Errorf("in mid-session: %s", got)
	}
	if got := s.Accepts(); got["first"] != 1 {
		t.Errorf("accepts %v", got)
	}
}

func TestSMTPSlowAndReleased(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Faults: Faults{SMTP: []SMTPFault{{At: serve.AtConnect, Do: serve.DoSlow, Delay: 200 * time.Millisecond}}}})
	began := time.Now()
	if got := dial(t, s).read(5 * time.Second); got != "220" || time.Since(began) < 200*time.Millisecond {
		t.Errorf("%s after %s", got, time.Since(began))
	}
	s.Set(Faults{SMTP: []SMTPFault{{At: serve.AtConnect, Do: serve.DoHang}}})
	c := dial(t, s)
	if got := c.read(50 * time.Millisecond); got != "silence" {
		t.Errorf("hang: %s", got)
	}
	s.Set(Faults{})
	if got := c.read(5 * time.Second); got != "reset" {
		t.Errorf("after the change: %s", got)
	}
}

func TestDownRefusesAndComesBack(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	c := dial(t, s)
	if got := c.read(5 * time.Second); got != "220" {
		t.Fatal(got)
	}
	if st := s.Stats(); st.SMTPOpen != 1 || st.SMTPTotal != 1 || st.SMTPPeak != 1 {
		t.Errorf("%+v", st)
	}
	began := time.Now()
	s.Down("smtp", 500*time.Millisecond)
	if got := c.read(5 * time.Second); got != "reset" {
		t.Errorf("open connection: %s", got)
	}
	if _, err := net.Dial("tcp", s.SMTPAddr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("while down: %v", err)
	}
	for {
		conn, err := net.Dial("tcp", s.SMTPAddr())
		if err == nil {
			conn.Close()
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("it doesn't come back")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if time.Since(began) < 500*time.Millisecond {
		t.Error("it came back early")
	}
}

// Everything that was acknowledged before a kill -9 is in the journal, and the sink goes on with it.
func TestJournalSurvivesAKill(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	const senders = 8
	var mu sync.Mutex
	acked := map[string]bool{}
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for n := range senders {
		wg.Go(func() {
			conn, err := net.Dial("tcp", s.SMTPAddr())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
			c.read(5 * time.Second)
			for i := 0; ; i++ {
				id := fmt.Sprintf("m%d-%d", n, i)
				for _, v := range verbs(id)[1:6] {
					if _, err := io.WriteString(conn, v[1]); err != nil {
						return
					}
					if got := c.read(5 * time.Second); !strings.HasPrefix(got, "2") && got != "354" {
						return
					}
				}
				mu.Lock()
				acked[id] = true
				if len(acked) == 200 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(20 * time.Second):
		t.Error("200 messages take more than 20 s")
	}
	s.Kill()
	wg.Wait()
	accepts := s.Accepts()
	for id := range acked {
		if accepts[id] != 1 {
			t.Errorf("%s was acknowledged and is in the journal %d times", id, accepts[id])
		}
	}
	if extra := len(accepts) - len(acked); extra > senders {
		t.Errorf("%d accepts more than acknowledged, with %d connections", extra, senders)
	}
	s.Restart()
	c := dial(t, s)
	for _, v := range verbs("m0-0")[:6] {
		c.say(v[1])
		c.read(5 * time.Second)
	}
	all := s.Journal()
	if last := all[len(all)-1]; last.ID != "m0-0" || last.Attempt != 2 {
		t.Errorf("after the restart: %+v", last)
	}
}
