package email_test

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// step says what the fake server does when a verb arrives: its answer, or a fault.
type step struct {
	reply string        // "" = the usual one
	drop  bool          // close without an answer
	rst   bool          // close with a reset
	wait  time.Duration // before the answer
	after bool          // close after the answer
	slow  bool          // a byte at a time
}

// fakeServer is an SMTP server whose behaviour at each verb can be set. It keeps every byte of the dialogue and every mail it
// said yes to.
type fakeServer struct {
	t    testing.TB
	ln   net.Listener
	ext  []string
	wg   sync.WaitGroup
	quit chan struct{}

	mu       sync.Mutex
	script   map[string][]step // by verb: GREET, EHLO, MAIL, RCPT, DATA, ".", RSET, NOOP; used up one after the other
	always   map[string]step
	dials    int
	commands []string
	mails    []string
	conns    map[net.Conn]bool
	behind   map[string]int // by verb: bytes that had come behind the last one
	partial  string         // what came of a message whose end did not
}

func newServer(t testing.TB) *fakeServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{t: t, ln: ln, ext: []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"}, script: map[string][]step{}, always: map[string]step{}, conns: map[net.Conn]bool{}, behind: map[string]int{}, quit: make(chan struct{})}
	s.wg.Go(s.serve)
	t.Cleanup(s.stop)
	return s
}

func (s *fakeServer) stop() {
	s.mu.Lock()
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
	s.ln.Close()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *fakeServer) serve() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.dials++
		s.conns[c] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			s.session(c)
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
			c.Close()
		})
	}
}

// do answers a verb; false ends the session.
func (s *fakeServer) do(c net.Conn, verb, usual string) bool {
	s.mu.Lock()
	st := s.always[verb]
	if q := s.script[verb]; len(q) > 0 {
		st, s.script[verb] = q[0], q[1:]
	}
	s.mu.Unlock()
	if st.wait > 0 {
		select {
		case <-time.After(st.wait):
		case <-s.quit:
		}
	}
	if st.rst {
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	if st.drop || st.rst {
		return false
	}
	if st.reply == "" {
		st.reply = usual
	}
	if st.slow {
		for i := range len(st.reply) {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-s.quit:
				return false
			}
			if _, err := c.Write([]byte{st.reply[i]}); err != nil {
				return false
			}
		}
	}
	if _, err := fmt.Fprint(c, strings.ReplaceAll(st.reply, "\n", "\r\n")+"\r\n"); err != nil {
		return false
	}
	return !st.after && (verb == "GREET" || !strings.HasPrefix(st.reply, "421"))
}

func (s *fakeServer) session(c net.Conn) {
	r := textproto.NewReader(bufio.NewReader(c))
	if !s.do(c, "GREET", "220 fake ESMTP") {
		return
	}
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.commands = append(s.commands, line)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		s.mu.Lock()
		s.behind[verb] = r.R.Buffered()
		s.mu.Unlock()
		refused := s.refuses(verb)
		usual := "250 2.0.0 Ok"
		switch verb {
		case "EHLO":
			usual = "250-fake"
			for i, e := range s.ext {
				sep := "-"
				if i == len(s.ext)-1 {
					sep = " "
				}
				usual += "\n250" + sep + e
			}
		case "DATA":
			usual = "354 go on"
		case "QUIT":
			usual = "221 bye"
		case "AUTH":
			usual = "235 2.7.0 welcome"
		}
		if !s.do(c, verb, usual) || verb == "QUIT" {
			return
		}
		if verb != "DATA" || refused {
			continue
		}
		body, err := r.ReadDotBytes()
		if err != nil {
			s.mu.Lock()
			s.partial += string(body)
			s.mu.Unlock()
			return
		}
		s.mu.Lock()
		replies := s.script["."]
		ok := len(replies) == 0 || replies[0].reply == "" || strings.HasPrefix(replies[0].reply, "2")
		if a, has := s.always["."]; has && len(replies) == 0 {
			ok = a.reply == "" || strings.HasPrefix(a.reply, "2")
		}
		if ok {
			s.mails = append(s.mails, string(body))
		}
		s.mu.Unlock()
		if !s.do(c, ".", "250 2.0.0 Ok: queued as ABC123") {
			return
		}
	}
}

// refuses reports whether the next answer to DATA is a no.
func (s *fakeServer) refuses(verb string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.always[verb]
	if q := s.script[verb]; len(q) > 0 {
		st = q[0]
	}
	return st.reply != "" && !strings.HasPrefix(st.reply, "354")
}

// waitingAfter returns how much had come behind the last command of this verb when it was read.
func (s *fakeServer) waitingAfter(verb string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behind[verb]
}

func (s *fakeServer) on(verb string, steps ...step) *fakeServer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[verb] = append(s.script[verb], steps...)
	return s
}

// oneByOne makes the server one that takes one command at a time.
func (s *fakeServer) oneByOne() *fakeServer {
	s.ext = []string{"8BITMIME", "ENHANCEDSTATUSCODES"}
	return s
}

func (s *fakeServer) url() string { return "smtp://" + s.ln.Addr().String() }

func (s *fakeServer) accepted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

func (s *fakeServer) said(verb string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.commands {
		if strings.HasPrefix(strings.ToUpper(c), verb) {
			n++
		}
	}
	return n
}

// unfinished returns what came of messages whose end did not.
func (s *fakeServer) unfinished() string {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.partial
}

func (s *fakeServer) dialled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

var testClock = func() time.Time { return time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC) }

func newSender(t testing.TB, cfg email.Config, urls ...string) *email.Sender {
	t.Helper()
	servers, err := email.ParseServers(strings.Join(urls, ","))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Servers = servers
	cfg.HELO = "carebell.test"
	if cfg.Clock == nil {
		cfg.Clock = testClock
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	s, err := email.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func testMessage() *care.Message {
	return &care.Message{
		ID: "abcdefghijklmnopqrstuvwxyz", Channel: care.Email, Customer: "C1", Dealer: "sh-pudong", Program: "maintenance", Step: "due",
		Class: care.Service, Topic: "maintenance", Locale: "zh-CN", Attempt: 1,
		At: time.Date(2026, 11, 22, 9, 30, 0, 0, time.FixedZone("", 8*3600)),
		To: "wang@customer.example", ToName: "王小明",
		From: care.Mailbox{Name: "浦东别克", Address: "care@pudong.example"}, ReplyTo: care.Mailbox{Name: "陈志强", Address: "chen@pudong.example"},
		Subject: "王先生，您的 Regal 该保养了", Text: []byte("王先生，您好！\n\n您的车该保养了。\n"), HTML: []byte("<!doctype html><p>王先生，您好！</p>"),
		Unsubscribe: "https://care.pudong.example/u/abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
	}
}
