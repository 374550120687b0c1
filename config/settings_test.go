package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/config"
)

// environment makes the CARE_ variables exactly these.
func environment(t *testing.T, vars map[string]string) {
	t.Helper()
	for _, env := range os.Environ() {
		if name, value, _ := strings.Cut(env, "="); strings.HasPrefix(name, "CARE_") {
			t.Setenv(name, value) // restores it afterwards
			os.Unsetenv(name)
		}
	}
	for name, value := range vars {
		t.Setenv(name, value)
	}
}

func TestDefaults(t *testing.T) {
	environment(t, nil)
	s, err := config.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Settings{
		RedisURL: config.NewSecret("redis://127.0.0.1:6379/0"), Sweep: "@every 15m", Lease: config.Duration(30 * time.Second),
		Retention: config.Duration(180 * 24 * time.Hour), Listen: "127.0.0.1:8080", LogFormat: "text",
		SMTP: config.SMTP{Connections: 16}, SMS: config.SMS{Connections: 8}, Webhook: config.Webhook{Connections: 16},
	}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(config.Secret{}, config.Settings{})); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestEverySetting(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(secret, []byte("first-key-of-a-test-9f8e7d6c5b4a3210\nsecond-key-of-a-test-0a1b2c3d4e5f6789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environment(t, map[string]string{
		"CARE_REDIS_URL": "redis-sentinel://a:1,b:2/master", "CARE_ALLOW_UNSAFE_REDIS": "true", "CARE_BOOK": "/book", "CARE_IMPORT_DIR": "/in",
		"CARE_SWEEP": "*/5 * * * *", "CARE_LEASE": "1m", "CARE_STATE_DIR": "/state", "CARE_RETENTION": "2w",
		"CARE_LISTEN": "0.0.0.0:80", "CARE_CONSOLE_TOKEN": "tok-9f8e7d6c5b4a", "CARE_ADDRESS_KEY": "address-key-of-a-test-0f1e2d3c4b5a6978", "CARE_PUBLIC_LISTEN": ":81", "CARE_PUBLIC_URL": "https://care.example",
		"CARE_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8", "CARE_SECRET_KEY_FILE": secret,
		"CARE_CONSOLE_URL": "https://desk.example, http://carebell:8080", "CARE_SMTP_URL": "smtp://a:25, smtps://u:p@b:465", "CARE_SMTP_CONNECTIONS": "4", "CARE_SMTP_RATE": "2.5",
		"CARE_SMTP_DOMAIN_RATE": "QQ.com = 20, *=100.5", "CARE_SMTP_DOMAIN_CONNECTIONS": "qq.com=4", "CARE_SMTP_WARMUP": "2026-12-01: 50, x1.5",
		"CARE_SMTP_RETURN_PATH": "bounce+{id}@d.example", "CARE_BOUNCE_MAILDIR": "/bounces", "CARE_BOUNCE_IMAP_URL": "imaps://u:p@i/Returns",
		"CARE_DKIM_DOMAIN": "d.example", "CARE_DKIM_SELECTOR": "s", "CARE_DKIM_KEY": "pem",
		"CARE_SMS_GATEWAY": "kannel", "CARE_SMS_URL": "http://k/sendsms", "CARE_SMS_USER": "u", "CARE_SMS_PASSWORD": "p",
		"CARE_SMS_FROM": "1069", "CARE_SMS_CONNECTIONS": "2", "CARE_SMS_RATE": "10",
		"CARE_WEBHOOK_URL": "https://h/x", "CARE_WEBHOOK_SECRET": "whsec_a,whsec_b", "CARE_WEBHOOK_EVENTS": "true",
		"CARE_WEBHOOK_ALLOW_HOSTS": "crm.local, hub.local", "CARE_WEBHOOK_CONNECTIONS": "3", "CARE_WEBHOOK_RATE": "7",
		"CARE_DRY_RUN": "true", "CARE_REDIRECT_EMAIL": "me@example.com", "CARE_REDIRECT_PHONE": "+8613900000000",
		"CARE_LOG_FORMAT": "json", "CARE_LOG_LEVEL": "warn",
	})
	s, err := config.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	sec := config.NewSecret
	want := &config.Settings{
		RedisURL: sec("redis-sentinel://a:1,b:2/master"), AllowUnsafeRedis: true, Book: "/book", ImportDir: "/in", Sweep: "*/5 * * * *",
		Lease: config.Duration(time.Minute), StateDir: "/state", Retention: config.Duration(14 * 24 * time.Hour), Listen: "0.0.0.0:80",
		ConsoleToken: sec("tok-9f8e7d6c5b4a"), AddressKey: sec("address-key-of-a-test-0f1e2d3c4b5a6978"), ConsoleURL: config.List{"https://desk.example", "http://carebell:8080"}, PublicListen: ":81", PublicURL: "https://care.example",
		TrustedProxies: config.Prefixes{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")},
		SecretKey:      config.Secrets{sec("first-key-of-a-test-9f8e7d6c5b4a3210"), sec("second-key-of-a-test-0a1b2c3d4e5f6789")}, SecretKeyFile: secret,
		SMTP:    config.SMTP{URL: config.Secrets{sec("smtp://a:25"), sec("smtps://u:p@b:465")}, Connections: 4, Rate: 2.5, ReturnPath: "bounce+{id}@d.example", DomainRate: config.Limits{"qq.com": 20, "*": 100.5}, DomainConnections: config.Limits{"qq.com": 4}, Warmup: config.Warmup{From: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), First: 50, Growth: 1.5}},
		Bounce:  config.Bounce{Maildir: "/bounces", IMAP: config.BounceIMAP{URL: sec("imaps://u:p@i/Returns")}},
		DKIM:    config.DKIM{Domain: "d.example", Selector: "s", Key: sec("pem")},
		SMS:     config.SMS{Gateway: "kannel", URL: "http://k/sendsms", User: "u", Password: sec("p"), From: "1069", Connections: 2, Rate: 10},
		Webhook: config.Webhook{URL: sec("https://h/x"), Secret: config.Secrets{sec("whsec_a"), sec("whsec_b")}, Events: true, AllowHosts: config.List{"crm.local", "hub.local"}, Connections: 3, Rate: 7},
		DryRun:  true, RedirectEmail: "me@example.com", RedirectPhone: "+8613900000000", LogFormat: "json", LogLevel: config.Level(slog.LevelWarn),
	}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(config.Secret{}, config.Settings{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if err := s.ForServe(); err != nil {
		t.Errorf("ForServe: %v", err)
	}
}

// TestEverySecretHasAFile sets each …_FILE variable that Usage names and expects its secret in the settings.
func TestEverySecretHasAFile(t *testing.T) {
	dir := t.TempDir()
	values := map[string]string{
		"CARE_REDIS_URL": "redis://:s3cret@h:1/0", "CARE_CONSOLE_TOKEN": "s3cret-9f8e7d6c5b", "CARE_SECRET_KEY": "s3cret-of-a-test-9f8e7d6c5b4a3210zyx", "CARE_ADDRESS_KEY": "s3cret-of-a-test-0f1e2d3c4b5a6978zyx",
		"CARE_SMTP_URL": "smtp://u:s3cret@h:25", "CARE_DKIM_KEY": "s3cret", "CARE_SMS_PASSWORD": "s3cret", "CARE_SMS_ACCOUNTS": "- {gateway: aliyun, password: s3cret}",
		"CARE_WEBHOOK_URL": "https://h/?key=s3cret", "CARE_WEBHOOK_SECRET": "s3cret", "CARE_BOUNCE_IMAP_URL": "imaps://u:s3cret@h",
		"CARE_SMTP_TOKEN_CLIENT_SECRET": "s3cret", "CARE_SMTP_TOKEN_REFRESH": "s3cret", "CARE_BOUNCE_IMAP_TOKEN_CLIENT_SECRET": "s3cret",
		"CARE_BOUNCE_IMAP_TOKEN_REFRESH": "s3cret", "CARE_BOUNCE_MAILGUN_KEY": "s3cret",
	}
	vars := map[string]string{"CARE_DKIM_DOMAIN": "d.example", "CARE_DKIM_SELECTOR": "s"}
	for name, value := range values {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(value+"\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		vars[name+"_FILE"] = file
	}
	environment(t, vars)
	s, err := config.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{
		"CARE_REDIS_URL": s.RedisURL.Reveal(), "CARE_CONSOLE_TOKEN": s.ConsoleToken.Reveal(), "CARE_SECRET_KEY": s.SecretKey[0].Reveal(), "CARE_ADDRESS_KEY": s.AddressKey.Reveal(),
		"CARE_SMTP_URL": s.SMTP.URL[0].Reveal(), "CARE_DKIM_KEY": s.DKIM.Key.Reveal(), "CARE_SMS_PASSWORD": s.SMS.Password.Reveal(), "CARE_SMS_ACCOUNTS": s.SMS.Accounts.Reveal(),
		"CARE_WEBHOOK_URL": s.Webhook.URL.Reveal(), "CARE_WEBHOOK_SECRET": s.Webhook.Secret[0].Reveal(),
		"CARE_BOUNCE_IMAP_URL":          s.Bounce.IMAP.URL.Reveal(),
		"CARE_SMTP_TOKEN_CLIENT_SECRET": s.SMTP.Token.ClientSecret.Reveal(), "CARE_SMTP_TOKEN_REFRESH": s.SMTP.Token.Refresh.Reveal(),
		"CARE_BOUNCE_IMAP_TOKEN_CLIENT_SECRET": s.Bounce.IMAP.Token.ClientSecret.Reveal(), "CARE_BOUNCE_IMAP_TOKEN_REFRESH": s.Bounce.IMAP.Token.Refresh.Reveal(),
		"CARE_BOUNCE_MAILGUN_KEY": s.Bounce.MailgunKey.Reveal(),
	}
	if diff := cmp.Diff(values, got); diff != "" {
		t.Errorf("secrets from files (-want +got):\n%s", diff)
	}
	var usage strings.Builder
	if err := config.Usage(&usage); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(usage.String(), "_FILE"); n != len(values) {
		t.Errorf("usage names %d files, this test knows %d", n, len(values))
	}
	blob, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("settings", "all", s, "token", s.ConsoleToken, "keys", s.SecretKey)
	for how, text := range map[string]string{
		"%v": fmt.Sprintf("%v", s), "%+v": fmt.Sprintf("%+v", s), "%#v": fmt.Sprintf("%#v", s), "%s": fmt.Sprintf("%s", s.SecretKey),
		"json": string(blob), "slog": log.String(),
	} {
		if strings.Contains(text, "s3cret") {
			t.Errorf("%s shows a secret", how)
		}
	}
}

func TestRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		vars map[string]string
		want string
	}{
		"unknown":          {map[string]string{"CARE_SMTP_ULR": "x"}, "unknown setting CARE_SMTP_ULR: did you mean CARE_SMTP_URL?"},
		"two unknown":      {map[string]string{"CARE_BOOOK": "x", "CARE_LISTN": "y"}, "unknown setting CARE_BOOOK: did you mean CARE_BOOK?\nunknown setting CARE_LISTN: did you mean CARE_LISTEN?"},
		"far from any":     {map[string]string{"CARE_XYZZY": "x"}, "unknown setting CARE_XYZZY: `carebell serve -h` lists all settings"},
		"duration":         {map[string]string{"CARE_LEASE": "30"}, "CARE_LEASE: write a span such as 30s, 15m, 36h, 180d or 2w"},
		"days":             {map[string]string{"CARE_RETENTION": "-3d"}, "CARE_RETENTION: write a span such as 30s, 15m, 36h, 180d or 2w"},
		"bool":             {map[string]string{"CARE_DRY_RUN": "maybe"}, "CARE_DRY_RUN: write true or false"},
		"number":           {map[string]string{"CARE_SMS_CONNECTIONS": "many"}, "CARE_SMS_CONNECTIONS: write a whole number"},
		"too many":         {map[string]string{"CARE_SMS_CONNECTIONS": "0"}, "CARE_SMS_CONNECTIONS: write a number from 1 to 1000"},
		"rate":             {map[string]string{"CARE_SMTP_RATE": "-1"}, "CARE_SMTP_RATE: write messages per second, or 0 for no limit"},
		"domain rate":      {map[string]string{"CARE_SMTP_DOMAIN_RATE": "qq.com"}, "CARE_SMTP_DOMAIN_RATE: write names and numbers over 0 with commas, such as qq.com=20, *=100"},
		"no domain rate":   {map[string]string{"CARE_SMTP_DOMAIN_RATE": "qq.com=0"}, "CARE_SMTP_DOMAIN_RATE: write names and numbers over 0 with commas, such as qq.com=20, *=100"},
		"no growth":        {map[string]string{"CARE_SMTP_WARMUP": "2026-12-01:50"}, "CARE_SMTP_WARMUP: write the first day, its mails to each domain, and the growth from day to day (1.01 to 10): 2026-12-01:50,x1.5"},
		"a growth of 1":    {map[string]string{"CARE_SMTP_WARMUP": "2026-12-01:50,x1"}, "CARE_SMTP_WARMUP: write the first day, its mails to each domain, and the growth from day to day (1.01 to 10): 2026-12-01:50,x1.5"},
		"no day":           {map[string]string{"CARE_SMTP_WARMUP": "2026-13-01:50,x2"}, "CARE_SMTP_WARMUP: write the first day, its mails to each domain, and the growth from day to day (1.01 to 10): 2026-12-01:50,x1.5"},
		"no mails":         {map[string]string{"CARE_SMTP_WARMUP": "2026-12-01:0,x2"}, "CARE_SMTP_WARMUP: write the first day, its mails to each domain, and the growth from day to day (1.01 to 10): 2026-12-01:50,x1.5"},
		"half a message":   {map[string]string{"CARE_SMTP_DOMAIN_CONNECTIONS": "qq.com=1.5"}, "CARE_SMTP_DOMAIN_CONNECTIONS: qq.com: write a number from 1 to 1000"},
		"level":            {map[string]string{"CARE_LOG_LEVEL": "loud"}, "CARE_LOG_LEVEL: write debug, info, warn or error"},
		"format":           {map[string]string{"CARE_LOG_FORMAT": "xml"}, "CARE_LOG_FORMAT: write text or json"},
		"proxies":          {map[string]string{"CARE_TRUSTED_PROXIES": "lan"}, "CARE_TRUSTED_PROXIES: write addresses or networks with commas, such as 127.0.0.1, 10.0.0.0/8"},
		"redis":            {map[string]string{"CARE_REDIS_URL": "http://x"}, "CARE_REDIS_URL: write redis://host:6379/0, rediss://…, redis-sentinel://h1,h2/master or redis-cluster://h1,h2"},
		"sentinel":         {map[string]string{"CARE_REDIS_URL": "redis-sentinel://a,b"}, "CARE_REDIS_URL: write redis://host:6379/0, rediss://…, redis-sentinel://h1,h2/master or redis-cluster://h1,h2"},
		"listen":           {map[string]string{"CARE_LISTEN": "8080"}, "CARE_LISTEN: write host:port, such as 127.0.0.1:8080"},
		"console":          {map[string]string{"CARE_CONSOLE_URL": "desk.example"}, "CARE_CONSOLE_URL: write https://host, such as https://care.dealer.example; with commas if there are several"},
		"public":           {map[string]string{"CARE_PUBLIC_URL": "http://care.example"}, "CARE_PUBLIC_URL: write https://host without query; http is for this machine only"},
		"key":              {map[string]string{"CARE_SECRET_KEY": "short"}, "CARE_SECRET_KEY: key 1 can be guessed: it is shorter than 32 characters, or well-known. `carebell token new-key` makes a good one"},
		"imap":             {map[string]string{"CARE_BOUNCE_IMAP_URL": "https://u:s3cret@h"}, "CARE_BOUNCE_IMAP_URL: write imaps://user:password@host:993/Folder; in a password write @ as %40 and / as %2F"},
		"smtp":             {map[string]string{"CARE_SMTP_URL": "mail.example:25"}, "CARE_SMTP_URL: server 1: write smtp://host:25 or smtps://user:password@host:465; in a password write @ as %40 and / as %2F"},
		"return path":      {map[string]string{"CARE_SMTP_RETURN_PATH": "bounce@d.example"}, "CARE_SMTP_RETURN_PATH: write one bare address with {id} once before the @, such as bounce+{id}@dealer.example"},
		"return path, id":  {map[string]string{"CARE_SMTP_RETURN_PATH": "bounce@{id}.example"}, "CARE_SMTP_RETURN_PATH: write one bare address with {id} once before the @, such as bounce+{id}@dealer.example"},
		"kannel":           {map[string]string{"CARE_SMS_GATEWAY": "kannel"}, "CARE_SMS_GATEWAY=kannel needs CARE_SMS_URL, such as http://127.0.0.1:13013/cgi-bin/sendsms"},
		"sms":              {map[string]string{"CARE_SMS_URL": "127.0.0.1:1"}, "CARE_SMS_URL: write http://… or https://…"},
		"webhook":          {map[string]string{"CARE_WEBHOOK_URL": "ftp://h"}, "CARE_WEBHOOK_URL: write https://…"},
		"events":           {map[string]string{"CARE_WEBHOOK_EVENTS": "true"}, "CARE_WEBHOOK_EVENTS needs CARE_WEBHOOK_URL"},
		"dkim":             {map[string]string{"CARE_DKIM_DOMAIN": "d.example"}, "CARE_DKIM_DOMAIN, CARE_DKIM_SELECTOR and CARE_DKIM_KEY go together: set all three or none"},
		"sweep":            {map[string]string{"CARE_SWEEP": "TZ=UTC"}, "CARE_SWEEP: write five cron fields or @every 15m"},
		"lease":            {map[string]string{"CARE_LEASE": "10ms"}, "CARE_LEASE: write a span from 1s to 1h"},
		"retention":        {map[string]string{"CARE_RETENTION": "1h"}, "CARE_RETENTION: write at least 1d"},
		"redirect e-mail":  {map[string]string{"CARE_REDIRECT_EMAIL": "me"}, "CARE_REDIRECT_EMAIL: write one bare e-mail address"},
		"redirect phone":   {map[string]string{"CARE_REDIRECT_PHONE": "13900000000"}, "CARE_REDIRECT_PHONE: write one number with + and country code"},
		"both":             {map[string]string{"CARE_SMS_PASSWORD": "p", "CARE_SMS_PASSWORD_FILE": empty}, "CARE_SMS_PASSWORD and CARE_SMS_PASSWORD_FILE are both set: keep one"},
		"empty file":       {map[string]string{"CARE_CONSOLE_TOKEN_FILE": empty}, "CARE_CONSOLE_TOKEN_FILE: " + empty + " is empty: put the secret into it"},
		"no file":          {map[string]string{"CARE_CONSOLE_TOKEN_FILE": empty + "x"}, "CARE_CONSOLE_TOKEN_FILE: open " + empty + "x: no such file or directory"},
		"several, at once": {map[string]string{"CARE_LISTEN": "x", "CARE_SMS_URL": "y"}, "CARE_LISTEN: write host:port, such as 127.0.0.1:8080\nCARE_SMS_URL: write http://… or https://…"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			environment(t, tt.vars)
			_, err := config.FromEnv()
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnprefixedVariablesAreNotOurs: envconfig reads a tagged field's variable without the prefix too.
func TestUnprefixedVariablesAreNotOurs(t *testing.T) {
	environment(t, map[string]string{"LISTEN": "1.2.3.4:5", "BOOK": "/x", "SMTP_URL": "smtp://x", "URL": "y"})
	s, err := config.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != "127.0.0.1:8080" || s.Book != "" || s.SMTP.URL != nil {
		t.Errorf("read from variables that are not ours: %q %q %v", s.Listen, s.Book, s.SMTP.URL)
	}
}

func TestForServe(t *testing.T) {
	t.Parallel()
	key := config.Secrets{config.NewSecret("0123456789abcdef")}
	tests := map[string]struct {
		s    config.Settings
		want string // the beginning of the error
	}{
		"good":              {config.Settings{Book: "b", Listen: "127.0.0.1:1"}, ""},
		"IPv6":              {config.Settings{Book: "b", Listen: "[::1]:1"}, ""},
		"localhost":         {config.Settings{Book: "b", Listen: "localhost:1"}, ""},
		"no book":           {config.Settings{Listen: "127.0.0.1:1"}, "CARE_BOOK is not set"},
		"open":              {config.Settings{Book: "b", Listen: "0.0.0.0:1"}, "CARE_LISTEN is open"},
		"open by blank":     {config.Settings{Book: "b", Listen: ":1"}, "CARE_LISTEN is open"},
		"open by name":      {config.Settings{Book: "b", Listen: "host:1"}, "CARE_LISTEN is open"},
		"open with a token": {config.Settings{Book: "b", Listen: ":1", ConsoleToken: config.NewSecret("t")}, ""},
		"pages without URL": {config.Settings{Book: "b", Listen: "127.0.0.1:1", PublicListen: ":2", SecretKey: key}, "CARE_PUBLIC_LISTEN needs CARE_PUBLIC_URL"},
		"pages without key": {config.Settings{Book: "b", Listen: "127.0.0.1:1", PublicListen: ":2", PublicURL: "https://x"}, "CARE_PUBLIC_URL needs CARE_SECRET_KEY"},
		"pages":             {config.Settings{Book: "b", Listen: "127.0.0.1:1", PublicListen: ":2", PublicURL: "https://x", SecretKey: key}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.s.ForServe()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)):
				t.Errorf("got %v, want %s…", err, tt.want)
			}
		})
	}
}

// TestUsage: one line per setting, with its default and a meaning.
func TestUsage(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := config.Usage(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	n := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "CARE_") {
			n++
			if len(strings.Fields(line)) < 4 || strings.Contains(strings.Fields(line)[0], "_FILE") {
				t.Errorf("no line of meaning: %q", line)
			}
		}
	}
	if n != 63 {
		t.Errorf("usage shows %d settings, want 63:\n%s", n, b.String())
	}
	folded := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{"CARE_LEASE 30s ", "CARE_SMS_GATEWAY - ", "CARE_SMTP_URL_FILE", "CARE_RETENTION 180d "} {
		if !strings.Contains(folded, want) {
			t.Errorf("usage lacks %q:\n%s", want, b.String())
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"180d": "180d", "2w": "14d", "36h": "36h0m0s", "48h": "2d", "1m30s": "1m30s"} {
		var d config.Duration
		if err := d.Set(text); err != nil || d.String() != want {
			t.Errorf("%s: got %s, %v, want %s", text, d, err, want)
		}
	}
}
