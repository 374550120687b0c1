package daemon

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carebell/carebell/config"
)

const dsn = `Return-Path: <>
X-Original-To: bounce+%[1]s@example.com
From: MAILER-DAEMON@mx.test
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test

Final-Recipient: rfc822; somebody@example.com
Action: failed
Status: 5.1.1

--B--
`

// door is a callback's handler that notes what it was given.
type door struct {
	status int
	auth   string
	bodies []string
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw := make([]byte, 1<<20)
	n, _ := r.Body.Read(raw)
	d.bodies, d.auth = append(d.bodies, string(raw[:n])), r.Header.Get("Authorization")
	w.WriteHeader(d.status)
}

func maildir(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		text := fmt.Sprintf(dsn, "abcdefghijklmnopqrstuvwxyz-email")
		if err := os.WriteFile(filepath.Join(dir, "new", f), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		out = append(out, f.Name())
	}
	return strings.Join(out, " ")
}

func TestReturnedMailIsPutAwayOnceItIsOnRecord(t *testing.T) {
	t.Parallel()
	d, _ := house(t, nil)
	for name, tt := range map[string]struct {
		status        int
		left, cleared string
		fails         bool
	}{
		"recorded":       {http.StatusNoContent, ".hidden", "1.a:2,S 2.b:2,S", false},
		"unreadable":     {http.StatusBadRequest, ".hidden", "1.a:2,S 2.b:2,S", false},
		"redis is away":  {http.StatusServiceUnavailable, ".hidden 1.a 2.b", "", true},
		"asked to wait":  {http.StatusTooManyRequests, ".hidden 1.a 2.b", "", true},
		"an older state": {http.StatusOK, ".hidden", "1.a:2,S 2.b:2,S", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := maildir(t, "1.a", "2.b", ".hidden")
			at := &door{status: tt.status}
			m := &mailbox{dir: dir, door: at, secret: "s", log: d.log}
			if err := m.look(t.Context()); (err != nil) != tt.fails {
				t.Errorf("look: %v", err)
			}
			if got := names(t, filepath.Join(dir, "new")); got != tt.left {
				t.Errorf("in new/: %q, want %q", got, tt.left)
			}
			if got := names(t, filepath.Join(dir, "cur")); got != tt.cleared {
				t.Errorf("in cur/: %q, want %q", got, tt.cleared)
			}
			if at.auth != "Bearer s" || !strings.HasPrefix(at.bodies[0], "Return-Path: <>\n") {
				t.Errorf("posted with %q: %.40q", at.auth, at.bodies[0])
			}
		})
	}
}

func TestAMailboxMustBeAMaildir(t *testing.T) {
	t.Parallel()
	d, _ := house(t, nil)
	set := *d.env.Settings
	env := *d.env
	env.Settings = &set
	set.Bounce = config.Bounce{Maildir: filepath.Join(t.TempDir(), "none")}
	_, err := env.New(t.Context(), Parts{Store: d.store})
	if err == nil || !strings.Contains(err.Error(), "CARE_BOUNCE_MAILDIR") {
		t.Errorf("got %v", err)
	}
}

func TestCallbacksAreShownOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	key := config.Secrets{config.NewSecret("a secret key")}
	env := &Env{Settings: &config.Settings{
		PublicURL: "https://care.example", SecretKey: key, SMS: config.SMS{Gateway: "kannel", URL: "http://127.0.0.1:1"},
	}}
	all := env.Callbacks()
	if len(all) != 2 || !strings.HasPrefix(all[1].URL, "https://care.example/hooks/sms/kannel?token=") || !strings.HasSuffix(all[1].URL, "&from=%p&to=%P&text=%a&id=%I") {
		t.Fatalf("callbacks: %+v", all)
	}
	var told []string
	env.doctorLinks(func(f Finding) { told = append(told, f.What+f.Remedy) })
	text := strings.Join(told, "\n")
	if !strings.Contains(text, "https://care.example/hooks/sms/kannel with its secret") || strings.Contains(text, "token") || strings.Contains(text, env.bounceSecret()) {
		t.Errorf("doctor says:\n%s", text)
	}
	env.Settings.SecretKey = nil
	if got := env.Callbacks(); got != nil {
		t.Errorf("without a key: %+v", got)
	}
}
