package email_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/email"
)

// doorman is a mail server that is about the way in: TLS, and how it is logged in.
type doorman struct {
	offers   string           // behind AUTH
	takes    string           // the only way that works
	secret   string           // of the user care
	cert     *tls.Certificate // STARTTLS is offered
	startTLS string           // the answer to STARTTLS; "" = yes

	mu     sync.Mutex
	tried  []string
	mails  int
	secure bool
}

func (d *doorman) listen(t *testing.T, network, address string) string {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { d.serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

func (d *doorman) serve(c net.Conn) {
	defer func() { c.Close() }()
	in, secure := bufio.NewReader(c), false
	say := func(s string) { fmt.Fprint(c, s+"\r\n") }
	read := func() string {
		line, err := in.ReadString('\n')
		if err != nil {
			return "QUIT"
		}
		return strings.TrimRight(line, "\r\n")
	}
	ask := func(challenge string) string { // in base64, both
		say("334 " + base64.StdEncoding.EncodeToString([]byte(challenge)))
		out, _ := base64.StdEncoding.DecodeString(read())
		return string(out)
	}
	say("220 door ESMTP")
	for {
		line := read()
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-door")
			if d.cert != nil && !secure {
				say("250-STARTTLS")
			}
			if d.offers != "" {
				say("250-AUTH " + d.offers)
			}
			say("250 8BITMIME")
		case "STARTTLS":
			if d.startTLS != "" {
				say(d.startTLS)
				continue
			}
			say("220 go")
			c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*d.cert}, MinVersion: tls.VersionTLS12})
			in, secure = bufio.NewReader(c), true
		case "AUTH":
			way, first, _ := strings.Cut(rest, " ")
			raw, _ := base64.StdEncoding.DecodeString(first)
			in64 := string(raw)
			d.mu.Lock()
			d.tried = append(d.tried, way)
			d.mu.Unlock()
			good := false
			switch way {
			case "PLAIN":
				good = in64 == "\x00care\x00"+d.secret
			case "LOGIN":
				good = ask("Username:") == "care" && ask("Password:") == d.secret
			case "CRAM-MD5":
				mac := hmac.New(md5.New, []byte(d.secret))
				mac.Write([]byte("<1@door>"))
				good = ask("<1@door>") == "care "+hex.EncodeToString(mac.Sum(nil))
			case "XOAUTH2":
				if good = in64 == "user=care\x01auth=Bearer "+d.secret+"\x01\x01"; !good {
					ask(`{"status":"400"}`)
				}
			case "OAUTHBEARER":
				good = strings.HasPrefix(in64, "n,a=care,\x01") && strings.HasSuffix(in64, "\x01auth=Bearer "+d.secret+"\x01\x01")
			case "SCRAM-SHA-256":
				ask("r=nonsense,s=,i=0")
			}
			if good && way == d.takes {
				say("235 2.7.0 welcome")
			} else {
				say("535 5.7.8 not so: " + in64)
			}
		case "DATA":
			say("354 go")
			for read() != "." {
			}
			d.mu.Lock()
			d.mails, d.secure = d.mails+1, secure
			d.mu.Unlock()
			say("250 2.0.0 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// The best way that the server offers is tried, then the next; what worked goes first the next time. A secret goes in the clear only on
// this machine.
func TestWaysToLogIn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		offers, takes, query string
		tried                string
		code                 string // "" = it goes
	}{
		"plain":                   {"LOGIN PLAIN", "PLAIN", "", "PLAIN", ""},
		"lower case":              {"login plain", "PLAIN", "", "PLAIN", ""},
		"login only":              {"GSSAPI NTLM LOGIN", "LOGIN", "", "LOGIN", ""},
		"login beside CRAM-MD5":   {"CRAM-MD5 LOGIN", "LOGIN", "", "LOGIN", ""},
		"the next one":            {"PLAIN LOGIN CRAM-MD5", "CRAM-MD5", "", "PLAIN LOGIN CRAM-MD5", ""},
		"after a broken SCRAM":    {"SCRAM-SHA-256 CRAM-MD5", "CRAM-MD5", "", "SCRAM-SHA-256 CRAM-MD5", ""},
		"none works":              {"PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5", "", "", "PLAIN LOGIN SCRAM-SHA-256", "535 5.7.8"},
		"told which":              {"PLAIN LOGIN CRAM-MD5", "CRAM-MD5", "?auth=cram-md5", "CRAM-MD5", ""},
		"told one that is absent": {"PLAIN LOGIN", "PLAIN", "?auth=cram-md5", "", "auth"},
		"nothing that we know":    {"GSSAPI NTLM", "", "", "", "auth"},
		"nothing":                 {"", "", "", "", "auth"},
		"tokens only":             {"XOAUTH2 OAUTHBEARER", "XOAUTH2", "", "", "auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &doorman{offers: tt.offers, takes: tt.takes, secret: "pa55 canary"}
			query := tt.query + map[bool]string{true: "?", false: "&"}[tt.query == ""] + "starttls=never"
			s := newSender(t, email.Config{}, "smtp://care:pa55%20canary@"+d.listen(t, "tcp", "127.0.0.1:0")+query)
			_, err := s.Send(t.Context(), testMessage())
			if got := strings.Join(d.tried, " "); got != tt.tried {
				t.Errorf("tried %s, want %s", got, tt.tried)
			}
			e := new(care.Error)
			switch {
			case tt.code == "" && err != nil:
				t.Error(err)
			case tt.code != "" && (!errors.As(err, &e) || e.Kind != care.KindOperator || e.Code != tt.code):
				t.Errorf("got %v, want operator %s", err, tt.code)
			case err != nil && strings.Contains(err.Error()+e.Said, "canary"):
				t.Errorf("the error tells: %v %s", err, e.Said)
			}
		})
	}
}

// A token comes from a command or a token URL, is kept while it is good, and is fetched anew when it expires or is refused.
func TestLogInWithAToken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	issued := 0
	oauth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.PostForm.Encode())
		issued++
		fmt.Fprintf(w, `{"token_type":"Bearer","access_token":"canary-%d","expires_in":3600}`, issued)
	}))
	t.Cleanup(oauth.Close)
	for _, way := range []string{"XOAUTH2", "OAUTHBEARER"} {
		asked, issued = nil, 0
		now := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
		tokens, err := email.NewTokens(email.TokenConfig{
			URL: oauth.URL, ClientID: "app", ClientSecret: "hush", Scope: "https://outlook.office365.com/.default", Now: func() time.Time { return now },
		})
		if err != nil {
			t.Fatal(err)
		}
		d := &doorman{offers: "LOGIN " + way, takes: way, secret: "canary-1"}
		send := func() error {
			s := newSender(t, email.Config{Tokens: tokens}, "smtp://care@"+d.listen(t, "tcp", "127.0.0.1:0")+"?starttls=never")
			_, err := s.Send(t.Context(), testMessage())
			return err
		}
		if err := errors.Join(send(), send()); err != nil {
			t.Fatal(err)
		}
		if want := "client_id=app&client_secret=hush&grant_type=client_credentials&scope=https%3A%2F%2Foutlook.office365.com%2F.default"; len(asked) != 1 || asked[0] != want {
			t.Errorf("asked %q", asked)
		}
		now, d.secret = now.Add(59*time.Minute), "canary-2" // it expires in a minute
		if err := send(); err != nil {
			t.Error(err)
		}
		d.secret = "canary-3" // the second was revoked
		err = send()
		if e := new(care.Error); !errors.As(err, &e) || e.Kind != care.KindOperator || e.Code != "535 5.7.8" || strings.Contains(e.Error()+e.Said, "canary") {
			t.Errorf("got %v", err)
		}
		if err := send(); err != nil || issued != 3 {
			t.Errorf("%d tokens, %v", issued, err)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"/refused": `{"error":"invalid_client","error_description":"canary"}`, "/html": "<html>canary", "/empty": `{"access_token":""}`, "/blank": `{"access_token":"a b"}`,
	}
	oauth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprint(w, answers[r.URL.Path])
	}))
	t.Cleanup(oauth.Close)
	script := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho canary >&2\n[ \"$1\" = good ] && echo tok.en || exit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		cfg   email.TokenConfig
		token string
	}{
		"a command":              {email.TokenConfig{Command: script + " good"}, "tok.en"},
		"a command's JSON":       {email.TokenConfig{Command: `printf {"access_token":"x.y"}`}, "x.y"},
		"a command that fails":   {email.TokenConfig{Command: script + " bad"}, ""},
		"a command that is none": {email.TokenConfig{Command: "/no/such/file"}, ""},
		"refused":                {email.TokenConfig{URL: oauth.URL + "/refused"}, ""},
		"no JSON":                {email.TokenConfig{URL: oauth.URL + "/html"}, ""},
		"no token":               {email.TokenConfig{URL: oauth.URL + "/empty"}, ""},
		"no line":                {email.TokenConfig{URL: oauth.URL + "/blank"}, ""},
	} {
		tt.cfg.ClientID, tt.cfg.Refresh, tt.cfg.Now = "app", "refresh", time.Now
		tokens, err := email.NewTokens(tt.cfg)
		if err != nil {
			t.Fatal(name, err)
		}
		token, err := tokens.Token(t.Context())
		if token != tt.token || (err == nil) != (tt.token != "") || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %q, %v", name, token, err)
		}
	}
	for _, cfg := range []email.TokenConfig{
		{URL: "http://login.example/token", ClientID: "app", ClientSecret: "s"},
		{URL: "https://login.example", ClientSecret: "s"},
		{URL: "https://login.example", ClientID: "app"},
		{URL: "https://login.example", Command: "x", ClientID: "app", ClientSecret: "s"},
		{URL: ":"},
	} {
		if _, err := email.NewTokens(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
	if tokens, err := email.NewTokens(email.TokenConfig{}); tokens != nil || err != nil {
		t.Error("nothing set is no error")
	}
}

// A relay on this machine as it is installed: a certificate of its own, or STARTTLS that it cannot do. Where TLS is demanded it is
// verified, by the system's certificates, by a file, or not at all if the URL says so.
func TestOpportunisticTLS(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := tls.Certificate{} // the handshake fails
	for name, tt := range map[string]struct {
		query    string
		cert     *tls.Certificate
		startTLS string
		secure   bool
		code     string
	}{
		"self-signed":                        {"", &cert, "", true, ""},
		"self-signed, verified":              {"?verify=true", &cert, "", false, "tls"},
		"self-signed, verified by a file":    {"?ca=" + file, &cert, "", true, ""},
		"454":                                {"", &cert, "454 4.7.0 TLS not available due to local problem", false, ""},
		"502":                                {"?starttls=opportunistic", &cert, "502 5.5.1 no", false, ""},
		"no handshake":                       {"", &broken, "", false, ""},
		"demanded":                           {"?starttls=always", &cert, "", false, "tls"},
		"demanded, 454":                      {"?starttls=always", &cert, "454 4.7.0 no", false, "454 4.7.0"},
		"demanded, not verified":             {"?starttls=always&verify=false", &cert, "", true, ""},
		"demanded, trusted by a file":        {"?starttls=always&ca=" + file, &cert, "", true, ""},
		"demanded, not verified, no TLS yet": {"?starttls=always&verify=no", &cert, "", true, "bad"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &doorman{cert: tt.cert, startTLS: tt.startTLS}
			url := "smtp://" + d.listen(t, "tcp", "127.0.0.1:0") + tt.query
			if tt.code == "bad" {
				if _, err := email.ParseServers(url); err == nil {
					t.Error("it was taken")
				}
				return
			}
			s := newSender(t, email.Config{}, url)
			_, err := s.Send(t.Context(), testMessage())
			if e := new(care.Error); tt.code == "" && err != nil || tt.code != "" && (!errors.As(err, &e) || e.Kind != care.KindRetry || e.Code != tt.code) {
				t.Fatalf("got %v, want %q", err, tt.code)
			}
			if tt.code == "" && (d.mails != 1 || d.secure != tt.secure) {
				t.Errorf("%d mails, secure %v", d.mails, d.secure)
			}
		})
	}
	for _, query := range []string{"?ca=", "?auth=plain", "?auth=magic", "?verify=maybe"} {
		if _, err := email.ParseServers("smtp://mail.example" + query); err == nil {
			t.Errorf("%s was taken", query)
		}
	}
	for _, file := range []string{"/no/such/file", "login_test.go"} {
		servers, err := email.ParseServers("smtp://mail.example?ca=" + file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := email.New(email.Config{Servers: servers, Clock: time.Now}); err == nil {
			t.Errorf("%s was taken", file)
		}
	}
}

// Where a server is: an IPv6 literal, a unix socket.
func TestWhereAServerIs(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "relay.sock")
	for _, at := range [][3]string{{"tcp", "[::1]:0", "smtp://"}, {"unix", socket, "smtp+unix://"}} {
		d := &doorman{offers: "PLAIN", takes: "PLAIN", secret: "hush"}
		address := d.listen(t, at[0], at[1])
		for _, query := range []string{"", "?starttls=never&weight=2"} {
			if _, err := newSender(t, email.Config{}, at[2]+address+query).Send(t.Context(), testMessage()); err != nil {
				t.Errorf("%s%s%s: %v", at[2], address, query, err)
			}
		}
		if _, err := newSender(t, email.Config{}, strings.Replace(at[2], "//", "//care:hush@", 1)+address+"?starttls=opportunistic").Send(t.Context(), testMessage()); err != nil {
			t.Error(err)
		}
		if d.mails != 3 || !slices.Equal(d.tried, []string{"PLAIN"}) {
			t.Errorf("%s: %d mails, logged in by %v", address, d.mails, d.tried)
		}
	}
	for _, raw := range []string{"smtp+unix://", "smtp+unix:///", "smtp+unix://relay.sock", "smtp+unix:///a#b"} {
		if _, err := email.ParseServers(raw); err == nil {
			t.Errorf("%s was taken", raw)
		}
	}
}
