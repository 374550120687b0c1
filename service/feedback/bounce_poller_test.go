package feedback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carebell/carebell/channels/email/mailbox"
	"github.com/carebell/carebell/config"
)

// inMemory is a mailbox in memory: what is taken goes.
type inMemory struct {
	waiting []string
	looks   []time.Duration // when, since the beginning
	began   time.Time
	broken  [2]time.Duration // from when to when it cannot be read
}

func (l *inMemory) Fetch(ctx context.Context, take mailbox.Handler) error {
	at := time.Since(l.began)
	l.looks = append(l.looks, at)
	if at >= l.broken[0] && at < l.broken[1] {
		return errors.New("no answer")
	}
	for len(l.waiting) > 0 {
		if err := take(ctx, strings.NewReader(l.waiting[0])); err != nil {
			return err
		}
		l.waiting = l.waiting[1:]
	}
	return nil
}

func TestReturnedMailIsPutAwayOnceItIsOnRecord(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		left int
	}{
		"recorded":   {nil, 0},
		"unreadable": {fmt.Errorf("feedback: %w", ErrUnreadable), 0},
		"no redis":   {errors.New("no answer"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &inMemory{waiting: []string{"a", "b"}}
			p := NewBouncePoller("test", l, func(context.Context, io.Reader) error { return tt.err }, nil, slog.New(slog.DiscardHandler))
			if err := p.look(t.Context()); (err != nil) != (tt.left > 0) || len(l.waiting) != tt.left {
				t.Errorf("%v, %d are left", err, len(l.waiting))
			}
		})
	}
}

func TestAMailboxIsLookedIntoByWhomeverItIsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		l := &inMemory{began: began, broken: [2]time.Duration{45 * time.Second, 32 * time.Minute}}
		var log strings.Builder
		p := NewBouncePoller("test", l, nil, func() bool { return time.Since(began) >= 9500*time.Millisecond }, slog.New(slog.NewTextHandler(&log, nil)))
		done := make(chan struct{})
		go func() { p.Run(ctx); close(done) }()
		time.Sleep(40 * time.Minute)
		cancel()
		<-done
		s := func(n int) time.Duration { return time.Duration(n) * time.Second }
		want := []time.Duration{s(10), s(40), s(70), s(100), s(160), s(280), s(520), s(1000), s(1600), s(2200), s(2230)}
		if got := fmt.Sprint(l.looks[:len(want)]); got != fmt.Sprint(want) {
			t.Errorf("looks at %v, want %v", got, want)
		}
		if n := strings.Count(log.String(), "cannot be read"); n != 7 {
			t.Errorf("%d lines in the log:\n%s", n, log.String())
		}
	})
}

func TestMailboxesThatCannotBe(t *testing.T) {
	t.Parallel()
	for want, bounce := range map[string]config.Bounce{
		"CARE_BOUNCE_MAILDIR":  {Maildir: filepath.Join(t.TempDir(), "none")},
		"CARE_BOUNCE_IMAP_URL": {IMAP: config.BounceIMAP{URL: config.NewSecret("imaps://canary:canary@h?starttls=never")}},
	} {
		_, err := NewBouncePollers(bounce, nil, nil, time.Now, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v", err)
		}
	}
}

func TestCallbacksAreThoseOfTheSettings(t *testing.T) {
	t.Parallel()
	key := config.Secrets{config.NewSecret("a secret key")}
	set := &config.Settings{
		PublicURL: "https://care.example", SecretKey: key, SMS: config.SMS{Gateway: "kannel", URL: "http://127.0.0.1:1"},
	}
	all := Callbacks(set)
	if len(all) != 2 || !strings.HasPrefix(all[1].URL, "https://care.example/hooks/sms/kannel?token=") || !strings.HasSuffix(all[1].URL, "&from=%p&to=%P&text=%a&id=%I") {
		t.Fatalf("callbacks: %+v", all)
	}
	// Two accounts of one provider each have an address of their own, set up as that provider wants it.
	set.SMS = config.SMS{Accounts: config.NewSecret(`[{name: us, gateway: twilio, user: ACu, password: p, from: MGu},
{name: eu, gateway: twilio, user: ACe, password: p, from: MGe}, {name: near, gateway: kannel, url: "http://127.0.0.1:1"}]`)}
	for i, want := range []string{"/hooks/email/bounce", "/hooks/sms/us", "/hooks/sms/eu", "/hooks/sms/near?token="} {
		got := Callbacks(set)[i]
		if !strings.HasPrefix(got.URL, "https://care.example"+want) || strings.Contains(got.How, "it is signed") != (i == 1 || i == 2) || strings.Contains(got.How, "get-url") != (i == 3) {
			t.Errorf("callback %d: %+v", i, got)
		}
	}
	set.SMS = config.SMS{Gateway: "kannel", URL: "http://127.0.0.1:1"}
	var told []string
	for _, c := range Callbacks(set) {
		told = append(told, c.Finding().What)
	}
	text := strings.Join(told, "\n")
	if !strings.Contains(text, "https://care.example/hooks/sms/kannel with its secret") || strings.Contains(text, "token") || strings.Contains(text, set.BounceSecrets()[0]) {
		t.Errorf("doctor says:\n%s", text)
	}
	set.SecretKey = nil
	if got := Callbacks(set); got != nil {
		t.Errorf("without a key: %+v", got)
	}
}
