package email_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"github.com/wneessen/go-mail"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// backend is a mail server written by others, with TLS and log-in.
type backend struct {
	mu       sync.Mutex
	mails    int
	from     []string
	utf8     []bool
	loggedIn bool
	secure   bool
}

type session struct {
	b      *backend
	conn   *smtp.Conn
	authed bool
}

func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) { return &session{b: b, conn: c}, nil }
func (s *session) AuthMechanisms() []string                      { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "care" || password != "pa55, word" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong for " + user}
		}
		s.authed = true
		return nil
	}), nil
}
func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
func (s *session) Mail(from string, o *smtp.MailOptions) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.from, s.b.utf8 = append(s.b.from, from), append(s.b.utf8, o.UTF8)
	return nil
}
func (s *session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *session) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	_, secure := s.conn.TLSConnectionState()
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.mails, s.b.loggedIn, s.b.secure = s.b.mails+1, s.authed, secure
	return err
}

// quiet is a log that keeps to itself.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// certificate is one for 127.0.0.1, with a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return srv.TLS.Certificates[0], pool
}

func startReal(t *testing.T, implicit bool, change func(*smtp.Server)) (*backend, string, *tls.Config) {
	t.Helper()
	cert, pool := certificate(t)
	b := &backend{}
	srv := smtp.NewServer(b)
	srv.Domain, srv.ErrorLog = "fake", quiet{}
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if change != nil {
		change(srv)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if implicit {
		ln = tls.NewListener(ln, srv.TLSConfig)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
	return b, addr, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func TestTLSAndLogin(t *testing.T) {
	t.Parallel()
	noTLS := func(s *smtp.Server) { s.TLSConfig, s.AllowInsecureAuth = nil, true }
	tests := map[string]struct {
		url      string
		implicit bool
		change   func(*smtp.Server)
		untrust  bool
		kind     care.Kind
		code     string
		secure   bool
		loggedIn bool
	}{
		"starttls":                    {"smtp://ADDR?starttls=always", false, nil, false, "", "", true, false},
		"starttls with login":         {"smtp://care:pa55%2C%20word@ADDR", false, nil, false, "", "", true, true},
		"opportunistic":               {"smtp://ADDR?starttls=opportunistic", false, nil, false, "", "", true, false},
		"opportunistic, none offered": {"smtp://ADDR?starttls=opportunistic", false, noTLS, false, "", "", false, false},
		"never":                       {"smtp://ADDR?starttls=never", false, nil, false, "", "", false, false},
		"loopback, nothing said":      {"smtp://ADDR", false, noTLS, false, "", "", false, false},
		"smtps with login":            {"smtps://care:pa55%2C%20word@ADDR", true, nil, false, "", "", true, true},
		"login on this machine":       {"smtp://care:pa55%2C%20word@ADDR?starttls=never", false, noTLS, false, "", "", false, true},
		"always, none offered":        {"smtp://ADDR?starttls=always", false, noTLS, false, care.KindOperator, "starttls", false, false},
		"wrong password":              {"smtp://care:canary@ADDR", false, nil, false, care.KindOperator, "535 5.7.8", false, false},
		"no certificate to trust":     {"smtp://ADDR?starttls=always", false, nil, true, care.KindRetry, "tls", false, false},
		"smtps, not trusted":          {"smtps://ADDR", true, nil, true, care.KindRetry, "tls", false, false},
		"no login offered":            {"smtp://care:canary@ADDR?starttls=opportunistic", false, func(s *smtp.Server) { s.TLSConfig = nil }, false, care.KindOperator, "auth", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, addr, trust := startReal(t, tt.implicit, tt.change)
			if tt.untrust {
				trust = nil
			}
			s := newSender(t, email.Config{TLS: trust}, strings.ReplaceAll(tt.url, "ADDR", addr))
			_, err := s.Send(t.Context(), testMessage())
			if tt.kind != "" {
				if e := new(care.Error); !errors.As(err, &e) || e.Kind != tt.kind || e.Code != tt.code {
					t.Errorf("got %v, want %s %s", err, tt.kind, tt.code)
				}
				if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "for care") {
					t.Errorf("the error tells: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b.mails != 1 || b.secure != tt.secure || b.loggedIn != tt.loggedIn {
				t.Errorf("%d mails, secure %v, logged in %v", b.mails, b.secure, b.loggedIn)
			}
		})
	}
}

func TestSMTPUTF8OnlyWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	for _, offered := range []bool{true, false} {
		b, addr, _ := startReal(t, false, func(s *smtp.Server) { s.TLSConfig, s.EnableSMTPUTF8 = nil, offered })
		s := newSender(t, email.Config{}, "smtp://"+addr)
		m := testMessage() // Chinese names, subject and text, but an ASCII address
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		m.To = "wang@客户.example" // goes as punycode
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		m.To = "王@customer.example"
		_, err := s.Send(t.Context(), m)
		if e := new(care.Error); !offered && (!errors.As(err, &e) || e.Kind != care.KindContent || e.Code != "smtputf8") || offered && err != nil {
			t.Errorf("offered %v: %v", offered, err)
		}
		want := []bool{false, false, true}
		if !offered {
			want = want[:2]
		}
		if diff := cmp.Diff(want, b.utf8); diff != "" {
			t.Errorf("offered %v (-want +got):\n%s", offered, diff)
		}
	}
}

func TestParseServers(t *testing.T) {
	t.Parallel()
	good := map[string][]email.Server{
		"smtp://mail.example":                                {{Name: "mail.example:25", Host: "mail.example", Port: 25, Weight: 1, StartTLS: mail.TLSMandatory}},
		"smtp://u:p%40%2C@mail.example":                      {{Name: "mail.example:587", Host: "mail.example", Port: 587, User: "u", Password: "p@,", Weight: 1, StartTLS: mail.TLSMandatory}},
		"smtps://u:p@mail.example":                           {{Name: "mail.example:465", Host: "mail.example", Port: 465, User: "u", Password: "p", Weight: 1, Implicit: true, StartTLS: mail.TLSMandatory}},
		"smtp://localhost:2525":                              {{Name: "localhost:2525", Host: "localhost", Port: 2525, Weight: 1, StartTLS: mail.TLSOpportunistic, Unverified: true}},
		"smtp://[::1]:2525?starttls=never":                   {{Name: "[::1]:2525", Host: "::1", Port: 2525, Weight: 1, StartTLS: mail.NoTLS}},
		"smtp://a?weight=3&starttls=opportunistic, smtp://b": {{Name: "a:25", Host: "a", Port: 25, Weight: 3, StartTLS: mail.TLSOpportunistic, Unverified: true}, {Name: "b:25", Host: "b", Port: 25, Weight: 1, StartTLS: mail.TLSMandatory}},
		"smtp://a:25?connections=2&rate=0.5":                 {{Name: "a:25", Host: "a", Port: 25, Weight: 1, StartTLS: mail.TLSMandatory, Connections: 2, Rate: 0.5}},
		"smtps://u:p@a, smtps://v:q@a": {
			{Name: "a:465", Host: "a", Port: 465, User: "u", Password: "p", Weight: 1, Implicit: true, StartTLS: mail.TLSMandatory},
			{Name: "a:465#2", Host: "a", Port: 465, User: "v", Password: "q", Weight: 1, Implicit: true, StartTLS: mail.TLSMandatory},
		},
	}
	for raw, want := range good {
		got, err := email.ParseServers(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
	for _, raw := range []string{
		"", ",", "mail.example", "http://canary.example", "smtp://", "smtp://u:canary@h:0", "smtp://u:canary@h:70000", "smtp://u:can%ary@h", "smtp://h?starttls=maybe",
		"smtps://u:canary@h?starttls=always", "smtp://h?weight=0", "smtp://h?weight=x", "smtp://h?rate=0", "smtp://h?rate=NaN", "smtp://h?connections=0", "smtp://u:canary@h?tls=1", "smtp://h/path", "smtp://u:canary,word@h",
	} {
		if got, err := email.ParseServers(raw); err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "can%ary") {
			t.Errorf("%s: %v, %v", raw, got, err)
		}
	}
}

// A message is routed by weight over the servers that take some, and goes through the one it was routed to.
func TestRoute(t *testing.T) {
	t.Parallel()
	a, b, c := newServer(t), newServer(t), newServer(t)
	s := newSender(t, email.Config{}, a.url()+"?weight=3", b.url()+"?weight=1", c.url())
	names := map[string]*fakeServer{}
	for _, one := range []*fakeServer{a, b, c} {
		names[strings.TrimPrefix(one.url(), "smtp://")] = one
	}
	open := func(name string) bool { return names[name] != c }
	for range 40 {
		m := testMessage()
		m.Gateway = s.Route(m, open)
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if x, y, z := len(a.accepted()), len(b.accepted()), len(c.accepted()); x != 30 || y != 10 || z != 0 {
		t.Errorf("%d, %d and %d mails, want 30, 10 and none", x, y, z)
	}
	if m := testMessage(); s.Route(m, func(string) bool { return false }) == "" {
		t.Error("where none is open a message waits for one of them")
	}
	a.stop()
	for range 12 {
		m := testMessage()
		m.Gateway = s.Route(m, open)
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if y := len(b.accepted()); y != 22 {
		t.Errorf("the server that is left took %d of 22", y)
	}
	for range 4 {
		if m := testMessage(); names[s.Route(m, open)] == a {
			t.Error("a server that just failed is not routed to")
		}
	}
}

func TestSeveralServers(t *testing.T) {
	t.Parallel()
	a, b := newServer(t), newServer(t)
	s := newSender(t, email.Config{}, a.url()+"?weight=3", b.url()+"?weight=1")
	for range 40 {
		if _, err := s.Send(t.Context(), testMessage()); err != nil {
			t.Fatal(err)
		}
	}
	if x, y := len(a.accepted()), len(b.accepted()); x != 30 || y != 10 {
		t.Errorf("%d and %d mails, want 30 and 10", x, y)
	}
	a.stop()
	for i := range 8 {
		r, err := s.Send(t.Context(), testMessage())
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && r.Tries != 0 {
			t.Errorf("message %d: %d tries: the dead server is asked each time", i, r.Tries)
		}
	}
	b.stop()
	_, err := s.Send(t.Context(), testMessage())
	if e := new(care.Error); !errors.As(err, &e) || e.Kind != care.KindRetry || e.Code != "connect" || e.Tries < 2 {
		t.Errorf("both down: %v", err)
	}
}

// TestAnswersAreNotTakenElsewhere: a no of one server is a no, and a lost yes may be a yes.
func TestAnswersAreNotTakenElsewhere(t *testing.T) {
	t.Parallel()
	for name, st := range map[string]struct {
		verb string
		step step
	}{"no": {"RCPT", step{reply: "550 5.1.1 unknown"}}, "not now": {"RCPT", step{reply: "450 4.2.0 later"}}, "lost yes": {".", step{drop: true}}} {
		a, b := newServer(t).on(st.verb, st.step), newServer(t)
		s := newSender(t, email.Config{}, a.url(), b.url())
		if _, err := s.Send(t.Context(), testMessage()); err == nil {
			t.Errorf("%s: sent", name)
		}
		if b.dialled() != 0 {
			t.Errorf("%s: the second server was asked", name)
		}
	}
}

// TestYesCountsWhateverComesAfter: the server takes the mail and breaks the connection.
func TestYesCountsWhateverComesAfter(t *testing.T) {
	t.Parallel()
	srv := newServer(t).on(".", step{after: true}, step{reply: "250 2.0.0 Ok", after: true})
	s := newSender(t, email.Config{}, srv.url())
	for range 3 {
		if _, err := s.Send(t.Context(), testMessage()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(srv.accepted()); n != 3 {
		t.Errorf("%d mails", n)
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	s := newSender(t, email.Config{IdleTimeout: 20 * time.Millisecond}, srv.url())
	if _, err := s.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); srv.said("QUIT") == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no QUIT")
		}
	}
	if _, err := s.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	if n := srv.dialled(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestCloseEndsSending(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	s := newSender(t, email.Config{}, srv.url())
	if _, err := s.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := srv.said("QUIT"); n != 1 {
		t.Errorf("%d QUIT", n)
	}
	_, err := s.Send(t.Context(), testMessage())
	if e := new(care.Error); !errors.As(err, &e) || e.Code != "closed" || e.Kind != care.KindRetry {
		t.Errorf("after Close: %v", err)
	}
}

// TestConnectionsAreBounded sends more at once than there are connections, to a server that takes its time.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.mu.Lock()
	srv.always["."] = step{wait: 5 * time.Millisecond}
	srv.mu.Unlock()
	s := newSender(t, email.Config{Connections: 3}, srv.url())
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			if _, err := s.Send(t.Context(), testMessage()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := srv.dialled(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}
