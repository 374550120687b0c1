package mailbox_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/backend/memory"
	"github.com/emersion/go-imap/server"

	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/email/mailbox"
)

// certificate is one for 127.0.0.1, with the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
}

// imapServer is go-imap's own server on its memory, with these mails in INBOX, all unseen.
type imapServer struct {
	addr string
	cut  func() // breaks every connection
}

func serveIMAP(t *testing.T, implicit bool, secure *tls.Config, mails ...string) *imapServer {
	t.Helper()
	store := memory.New()
	user, err := store.Login(nil, "username", "password")
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := user.GetMailbox("INBOX")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mails {
		if err := inbox.CreateMessage(nil, time.Now(), strings.NewReader(strings.ReplaceAll(m, "\n", "\r\n"))); err != nil {
			t.Fatal(err)
		}
	}
	s := server.New(store)
	s.TLSConfig, s.AllowInsecureAuth, s.ErrorLog = secure, secure == nil, mute{}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := &imapServer{addr: l.Addr().String()}
	kept := &keeper{Listener: l}
	out.cut = kept.cut
	var on net.Listener = kept
	if implicit {
		on = tls.NewListener(on, secure)
	}
	var done sync.WaitGroup
	done.Go(func() { _ = s.Serve(on) })
	t.Cleanup(func() { _ = s.Close(); done.Wait() })
	return out
}

// mute is a log for the server.
type mute struct{}

func (mute) Printf(string, ...any) {}
func (mute) Println(...any)        {}

// keeper remembers its connections.
type keeper struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (k *keeper) Accept() (net.Conn, error) {
	c, err := k.Listener.Accept()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns = append(k.conns, c)
	return c, err
}

func (k *keeper) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.conns {
		_ = c.Close()
	}
}

func parse(t *testing.T, raw string) *mailbox.IMAP {
	t.Helper()
	box, err := mailbox.ParseIMAP(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func plainBox(t *testing.T, s *imapServer) *mailbox.IMAP {
	t.Helper()
	return parse(t, "imap://username:password@"+s.addr+"/?starttls=never")
}

func waiting(t *testing.T, box *mailbox.IMAP) int {
	t.Helper()
	n, err := box.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUnseenMailIsHandedInOnce(t *testing.T) {
	t.Parallel()
	box := plainBox(t, serveIMAP(t, false, nil, "Subject: one\n\nx\n", "Subject: two\n\n"+strings.Repeat("y", email.MaxReport+1000)))
	if n := waiting(t, box); n != 2 {
		t.Fatalf("%d mails wait", n)
	}
	if n := waiting(t, box); n != 2 {
		t.Errorf("%d mails wait: a check changed something", n)
	}
	to := &handler{}
	for range 2 {
		if err := box.Fetch(t.Context(), to.handle); err != nil {
			t.Fatal(err)
		}
	}
	if len(to.got) != 2 || to.got[0] != "Subject: one\r\n\r\nx\r\n" || !strings.HasPrefix(to.got[1], "Subject: two\r\n") || len(to.got[1]) != email.MaxReport {
		t.Errorf("handed in: %d mails, %.60q", len(to.got), to.got)
	}
	if n := waiting(t, box); n != 0 {
		t.Errorf("%d mails still wait", n)
	}
}

func TestWhatCannotBeRecordedStaysUnseen(t *testing.T) {
	t.Parallel()
	box := plainBox(t, serveIMAP(t, false, nil, "Subject: one\n\n", "Subject: two\n\n", "Subject: three\n\n"))
	to := &handler{refuse: "two"}
	if err := box.Fetch(t.Context(), to.handle); !errors.Is(err, errDown) || waiting(t, box) != 2 {
		t.Errorf("%v, %d wait", err, waiting(t, box))
	}
	to.refuse = ""
	if err := box.Fetch(t.Context(), to.handle); err != nil || len(to.got) != 3 {
		t.Errorf("%v, %q", err, to.got)
	}
}

// TestABreakAfterHandingInRepeatsThatMail is the crash between handing in and marking: one mail more, none less.
func TestABreakAfterHandingInRepeatsThatMail(t *testing.T) {
	t.Parallel()
	s := serveIMAP(t, false, nil, "Subject: one\n\n", "Subject: two\n\n")
	box := plainBox(t, s)
	to := &handler{}
	err := box.Fetch(t.Context(), func(ctx context.Context, mail io.Reader) error {
		defer s.cut()
		return to.handle(ctx, mail)
	})
	if err == nil || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("Fetch: %v", err)
	}
	if err := box.Fetch(t.Context(), to.handle); err != nil {
		t.Fatal(err)
	}
	want := []string{"Subject: one\r\n\r\n", "Subject: one\r\n\r\n", "Subject: two\r\n\r\n"}
	if !slices.Equal(to.got, want) {
		t.Errorf("handed in: %q", to.got)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, pool := certificate(t)
	secure := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	both := map[bool]*imapServer{true: serveIMAP(t, true, secure, "Subject: one\n\n"), false: serveIMAP(t, false, secure, "Subject: one\n\n")}
	none := serveIMAP(t, false, nil)
	for name, tt := range map[string]struct {
		url     string
		trusted bool
		err     string
	}{
		"imaps":                  {"imaps://username:password@" + both[true].addr, true, ""},
		"starttls":               {"imap://username:password@" + both[false].addr + "/INBOX", true, ""},
		"imaps, not trusted":     {"imaps://username:password@" + both[true].addr, false, "no TLS: tls: failed to verify certificate"},
		"starttls, not trusted":  {"imap://username:password@" + both[false].addr, false, "no TLS: tls: failed to verify certificate"},
		"no starttls there":      {"imap://username:password@" + none.addr, true, "offers no STARTTLS"},
		"no password in the raw": {"imap://username:password@" + both[false].addr + "?starttls=never", true, "takes no password without TLS"},
		"no tls there":           {"imaps://username:password@" + none.addr, true, "no TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := parse(t, tt.url)
			box.Timeout = 2 * time.Second
			if tt.trusted {
				box.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
			}
			n, err := box.Check(t.Context())
			told(t, err, tt.err)
			if tt.err == "" && n != 1 {
				t.Errorf("%d mails wait", n)
			}
		})
	}
}

func told(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want %q", err, want)
	case err != nil && strings.Contains(err.Error(), "password@"), err != nil && strings.Contains(err.Error(), "canary"):
		t.Errorf("the error tells a secret: %v", err)
	}
}

func TestWhatAnOperatorMayHaveWrittenWrong(t *testing.T) {
	t.Parallel()
	s := serveIMAP(t, false, nil)
	for raw, want := range map[string]string{
		"imap://username:canary@" + s.addr + "?starttls=never":           "did not let us in: check user and password",
		"imap://username:password@" + s.addr + "/Bounces?starttls=never": `has no folder "Bounces"`,
		"imap://username:password@127.0.0.1:1/?starttls=never":           "127.0.0.1:1 does not answer",
	} {
		_, err := parse(t, raw).Check(t.Context())
		told(t, err, want)
	}
}

// script is a server that answers each line with what fn says; "" hangs up.
func script(t *testing.T, greeting string, fn func(command string) string) *mailbox.IMAP {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() {
				defer c.Close()
				if _, err := io.WriteString(c, greeting); err != nil {
					return
				}
				lines := bufio.NewReader(c)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					tag, command, _ := strings.Cut(strings.TrimSpace(line), " ")
					answer := fn(command)
					if answer == "" {
						return
					}
					if _, err := io.WriteString(c, strings.ReplaceAll(answer, "TAG", tag)); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); done.Wait() })
	box := parse(t, "imap://username:canary-password@"+l.Addr().String()+"/?starttls=never")
	box.Timeout = 300 * time.Millisecond
	return box
}

func TestHostileServers(t *testing.T) {
	t.Parallel()
	ordinary := func(command string) string {
		switch word, _, _ := strings.Cut(command, " "); {
		case word == "CAPABILITY":
			return "* CAPABILITY IMAP4rev1 ID\r\nTAG OK done\r\n"
		case word == "SELECT":
			return "* 1 EXISTS\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\nTAG OK [READ-WRITE] x\r\n"
		case strings.HasPrefix(command, "UID SEARCH"):
			return "* SEARCH 1 2\r\nTAG OK done\r\n"
		case strings.HasPrefix(command, "UID FETCH"):
			return "* 1 FETCH (UID 1 BODY[]<0> {4}\r\nx\r\n\r)\r\nTAG OK done\r\n"
		case word == "LOGOUT":
			return "* BYE bye\r\nTAG OK done\r\n"
		}
		return "TAG OK done\r\n"
	}
	on := func(prefix, answer string) func(string) string {
		return func(command string) string {
			if strings.HasPrefix(command, prefix) {
				return answer
			}
			return ordinary(command)
		}
	}
	for name, tt := range map[string]struct {
		greeting string
		fn       func(string) string
		err      string
	}{
		"silent":                     {"", ordinary, "does not greet"},
		"not IMAP":                   {"220 mx.example ESMTP\r\n", ordinary, "does not greet"},
		"refuses at once":            {"* BYE too many\r\n", ordinary, ""},
		"hangs up at the login":      {"* OK hello\r\n", on("LOGIN", ""), "broke off"},
		"tells what it was told":     {"* OK hello\r\n", on("LOGIN", "TAG NO canary-password is wrong\r\n"), "did not let us in"},
		"never answers":              {"* OK hello\r\n", on("UID SEARCH", "* OK hello\r\n"), "broke off"},
		"may only be read":           {"* OK hello\r\n", on("SELECT", "* 1 EXISTS\r\nTAG OK [READ-ONLY] x\r\n"), "may not mark"},
		"keeps no flags":             {"* OK hello\r\n", on("SELECT", "* OK [PERMANENTFLAGS (\\Deleted)] x\r\nTAG OK [READ-WRITE] x\r\n"), "may not mark"},
		"an endless list":            {"* OK hello\r\n", on("UID SEARCH", "* SEARCH"+strings.Repeat(" 4294967295", 1<<20)+"\r\nTAG OK done\r\n"), "broke off"},
		"a mail of four gigabytes":   {"* OK hello\r\n", on("UID FETCH", "* 1 FETCH (UID 1 BODY[]<0> {4294967295}\r\n"+strings.Repeat("x", 9<<20)), "broke off"},
		"many answers to one":        {"* OK hello\r\n", on("UID FETCH", strings.Repeat("* 1 FETCH (UID 1 BODY[]<0> {1}\r\nx)\r\n", 100)+"TAG OK done\r\n"), ""},
		"a mail that cannot be read": {"* OK hello\r\n", on("UID FETCH 1 ", "TAG NO [SERVERBUG] canary\r\n"), "did not show 1 mails"},
		"cannot mark":                {"* OK hello\r\n", on("UID STORE", "TAG NO canary\r\n"), "did not mark"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := script(t, tt.greeting, tt.fn)
			began := time.Now()
			err := box.Fetch(t.Context(), (&handler{}).handle)
			if name != "refuses at once" || err == nil {
				told(t, err, tt.err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestTheEndOfTheContextEndsAFetch(t *testing.T) {
	t.Parallel()
	box := script(t, "* OK hello\r\n", func(string) string { return "* OK still thinking\r\n" })
	box.Timeout = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := box.Fetch(ctx, (&handler{}).handle); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestProvidersThatKnowNoCharset: Alibaba's enterprise mail answers BAD to a search that names one.
func TestProvidersThatKnowNoCharset(t *testing.T) {
	t.Parallel()
	box := script(t, "* OK hello\r\n", func(command string) string {
		switch {
		case strings.HasPrefix(command, "CAPABILITY"):
			return "* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n"
		case strings.Contains(command, "CHARSET"):
			return "TAG BAD invalid command or parameters\r\n"
		case strings.HasPrefix(command, "UID SEARCH"):
			return "* SEARCH 7 9\r\nTAG OK done\r\n"
		}
		return "TAG OK [READ-WRITE] done\r\n"
	})
	if n, err := box.Check(t.Context()); err != nil || n != 2 {
		t.Errorf("%d mails, %v", n, err)
	}
}

// TestProvidersThatAskWhoWeAre: NetEase refuses to open a folder for a client without a name.
func TestProvidersThatAskWhoWeAre(t *testing.T) {
	t.Parallel()
	known := make(chan string, 10)
	box := script(t, "* OK [CAPABILITY IMAP4rev1 ID] hello\r\n", func(command string) string {
		switch {
		case strings.HasPrefix(command, "CAPABILITY"):
			return "* CAPABILITY IMAP4rev1 ID\r\nTAG OK done\r\n"
		case strings.HasPrefix(command, "ID "):
			known <- command
		case strings.HasPrefix(command, "SELECT") && len(known) == 0:
			return "TAG NO SELECT Unsafe Login. Please contact us\r\n"
		}
		return "TAG OK [READ-WRITE] done\r\n"
	})
	if _, err := box.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-known; got != `ID ("name" "carebell")` {
		t.Errorf("sent %s", got)
	}
}

func TestParseIMAP(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"imaps://u:s3cret@imap.example":                                       "imap imap.example:993",
		"imap://u:s3cret@imap.example":                                        "imap imap.example:143",
		"imap://u%40d.example:s%2Fcret@[::1]:1143/Ret%20urns?starttls=always": "imap [::1]:1143",
	} {
		box := parse(t, raw)
		if got := fmt.Sprintf("%v %#v", box, box); got != want+" "+want {
			t.Errorf("%s: %s", raw, got)
		}
	}
	for raw, want := range map[string]string{
		"pop3://u:s3cret@h":                 "must begin with",
		"imaps://h":                         "no user and password",
		"imaps://u@h":                       "no user and password",
		"imaps://u:s3cret@":                 "no host",
		"imaps://u:s3cret@h:99999":          "port",
		"imaps://u:s3cret@h?starttls=never": "only ?starttls=",
		"imap://u:s3cret@h?starttls=maybe":  "only ?starttls=",
		"imap://u:s3cret@h?folder=x":        "only ?starttls=",
		"imaps://u:s3c%ret@h":               "no URL",
		"imaps://u:s3#cret@h":               "",
	} {
		_, err := mailbox.ParseIMAP(raw, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3c") {
			t.Errorf("%s: %v", url.PathEscape(raw), err)
		}
	}
}

// A token goes instead of a password, and a password by AUTHENTICATE where LOGIN is off.
func TestWaysToLogIn(t *testing.T) {
	t.Parallel()
	tokens, err := email.NewTokens(email.TokenConfig{Command: "echo canary.token", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00username\x00password"))
	bearer := base64.StdEncoding.EncodeToString([]byte("user=username\x01auth=Bearer canary.token\x01\x01"))
	for name, tt := range map[string]struct {
		user, capability, words string
		err                     string
	}{
		"a token":                  {"username", "IMAP4rev1 SASL-IR AUTH=XOAUTH2", bearer, ""},
		"a token that is not good": {"username", "IMAP4rev1 SASL-IR AUTH=XOAUTH2", "other", "did not take our token"},
		"PLAIN":                    {"username:password", "IMAP4rev1 SASL-IR LOGINDISABLED AUTH=PLAIN", plain, ""},
	} {
		cert, pool := certificate(t)
		ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			fmt.Fprintf(c, "* OK [CAPABILITY %s] hello\r\n", tt.capability)
			for in := bufio.NewScanner(c); in.Scan(); {
				tag, command, _ := strings.Cut(in.Text(), " ")
				verb, rest, _ := strings.Cut(command, " ")
				switch {
				case verb == "AUTHENTICATE" && strings.HasSuffix(rest, " "+tt.words):
					fmt.Fprintf(c, "%s OK in\r\n", tag)
				case verb == "AUTHENTICATE":
					fmt.Fprint(c, "+ e30=\r\n")
					in.Scan()
					fmt.Fprintf(c, "%s NO canary\r\n", tag)
				case verb == "CAPABILITY":
					fmt.Fprintf(c, "* CAPABILITY %s\r\n%s OK done\r\n", tt.capability, tag)
				case verb == "SELECT":
					fmt.Fprintf(c, "* 0 EXISTS\r\n* OK [PERMANENTFLAGS (\\Seen)] x\r\n%s OK [READ-WRITE] open\r\n", tag)
				case verb == "UID":
					fmt.Fprintf(c, "* SEARCH\r\n%s OK done\r\n", tag)
				case verb == "LOGOUT":
					fmt.Fprintf(c, "* BYE\r\n%s OK done\r\n", tag)
					return
				default:
					fmt.Fprintf(c, "%s NO not so\r\n", tag)
				}
			}
		}()
		box, err := mailbox.ParseIMAP("imaps://"+tt.user+"@"+ln.Addr().String()+"/INBOX", tokens)
		if err != nil {
			t.Fatal(err)
		}
		box.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		_, err = box.Check(t.Context())
		if (err == nil) != (tt.err == "") || err != nil && (!strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%s: %v", name, err)
		}
		ln.Close()
		<-done
	}
}

// Certificates: of a file, or none looked at.
func TestWhichCertificatesAreTrusted(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveIMAP(t, true, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	for query, good := range map[string]bool{"": false, "?verify=true": false, "?verify=false": true, "?ca=" + file: true} {
		box := parse(t, "imaps://username:password@"+s.addr+"/INBOX"+query)
		if _, err := box.Check(t.Context()); (err == nil) != good {
			t.Errorf("%q: %v", query, err)
		}
	}
}
