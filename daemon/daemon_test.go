package daemon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/store"
	"github.com/google/go-cmp/cmp"
)

type recorder struct{ got []care.Message }

func (r *recorder) Send(_ context.Context, m *care.Message) (care.Receipt, error) {
	r.got = append(r.got, *m)
	return care.Receipt{}, nil
}

func TestRedirectSendsEverythingToOneAddress(t *testing.T) {
	t.Parallel()
	mail, text := &recorder{}, &recorder{}
	e := &Env{Settings: &config.Settings{RedirectEmail: "me@example.com"}}
	s := &senders{byChannel: map[care.Channel]delivery.Sender{care.Email: mail, care.SMS: text}}
	e.redirect(s)
	original := &care.Message{ID: "x", Channel: care.Email, To: "customer@example.com", ToName: "王小明", Subject: "s", Unsubscribe: "https://care.example/u/x"}
	for _, ch := range []care.Channel{care.Email, care.SMS} {
		if _, err := s.byChannel[ch].Send(t.Context(), original); err != nil {
			t.Fatal(err)
		}
	}
	got := mail.got[0]
	if got.To != "me@example.com" || got.ToName != "" || got.Unsubscribe != "" || got.Subject != "s" {
		t.Errorf("redirected to %q (%q), unsubscribe %q", got.To, got.ToName, got.Unsubscribe)
	}
	if original.To != "customer@example.com" {
		t.Error("the message itself was changed")
	}
	if text.got[0].To != "customer@example.com" {
		t.Error("a channel without a redirect was redirected")
	}
}

// Every way out has its own limits, as the settings say, and a redirected message is routed by where it goes.
func TestGatewaysHaveTheirLimits(t *testing.T) {
	t.Parallel()
	set := &config.Settings{RedirectPhone: "+8613900000000"}
	set.SMTP = config.SMTP{
		URL:        config.Secrets{config.NewSecret("smtp://a:25?connections=3"), config.NewSecret("smtp://b:25?rate=7")},
		DomainRate: config.Limits{"qq.com": 20}, DomainConnections: config.Limits{"*": 4},
	}
	set.SMS.Accounts = config.NewSecret(`
- {gateway: twilio, user: AC1, password: p, from: MG1, prefixes: ["+1"], connections: 2, rate: 0.5}
- {gateway: kannel, url: "http://127.0.0.1:1/", user: u, password: p}
`)
	set.Webhook.URL = config.NewSecret("https://crm.example/hook")
	e := &Env{Settings: set, Now: time.Now}
	s, err := e.newSenders(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	want := map[care.Channel][]delivery.Gateway{
		care.Email:   {{Name: "a:25", Connections: 3}, {Name: "b:25", Rate: 7}},
		care.SMS:     {{Name: "twilio", Connections: 2, Rate: 0.5}, {Name: "kannel"}},
		care.Webhook: {{Name: "webhook"}},
	}
	if diff := cmp.Diff(want, s.gateways); diff != "" {
		t.Errorf("gateways (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(delivery.Domains{Rates: map[string]float64{"qq.com": 20}, Connections: map[string]int{"*": 4}}, e.domains()); diff != "" {
		t.Errorf("domains (-want +got):\n%s", diff)
	}
	router, ok := s.byChannel[care.SMS].(delivery.Router)
	if !ok {
		t.Fatal("redirected messages are not routed")
	}
	american := &care.Message{To: "+12125550100"}
	if got := router.Route(american, func(string) bool { return true }); got != "kannel" || american.To != "+12125550100" {
		t.Errorf("a message to +1 that goes to a Chinese number instead is routed to %q", got)
	}
	// Rates of single gateways and of domains are shared by all replicas too: these must know of each other.
	for name, one := range map[string]*config.Settings{
		"a domain": {SMTP: config.SMTP{DomainRate: config.Limits{"*": 1}}}, "a gateway": {}, "nothing": {}, "a dry run": {DryRun: true, SMTP: config.SMTP{Rate: 1}},
	} {
		d := &Daemon{env: &Env{Settings: one}}
		d.channels.Store(&senders{})
		if name == "a gateway" {
			d.channels.Store(s)
		}
		if got, want := d.rated(), name == "a domain" || name == "a gateway"; got != want {
			t.Errorf("%s has a rate: %v", name, got)
		}
	}
}

// smallBook writes the part of the default book that is about new cars, birthdays and maintenance. A daemon that is told of a change reads all of its
// book anew, and with the race detector the whole one takes seconds.
func smallBook(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "book")
	if err := config.WriteDefault(dir); err != nil {
		t.Fatal(err)
	}
	kept := regexp.MustCompile(`/(programs|templates/_[a-z]+|(programs|templates)/(birthday|maintenance|welcome)[a-z0-9.-]*)$`)
	for _, pattern := range []string{"programs/*", "templates/*", "bulletins", "events"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if kept.MatchString(filepath.ToSlash(path)) {
				continue
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// house is a daemon in this process on an embedded store.
func house(t *testing.T, change func(*config.Settings)) (*Daemon, *store.Store) {
	t.Helper()
	redis := miniredis.RunT(t)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	st, err := store.Open(t.Context(), store.Options{URL: "redis://" + redis.Addr(), Embedded: true, AllowUnsafe: true, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	book := smallBook(t)
	settings := &config.Settings{Listen: "127.0.0.1:0", Book: book, DryRun: true, Sweep: "@every 15m"}
	if change != nil {
		change(settings)
	}
	env := &Env{Settings: settings, Log: log, Now: time.Now, Version: "test"}
	d, err := env.New(t.Context(), Parts{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	d.Start()
	t.Cleanup(func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return d, st
}

func get(t *testing.T, d *Daemon, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestHealthReadinessMetricsAndConsole(t *testing.T) {
	t.Parallel()
	d, _ := house(t, nil)
	for path, want := range map[string]string{
		"/healthz": "alive", "/readyz": "ready", "/metrics": "carebell_build_info", "/": "<html", "/api/v1/status": `"version":`,
	} {
		if code, body := get(t, d, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, code, body)
		}
	}
	if code, _ := get(t, d, "/customers/nobody"); code != http.StatusNotFound {
		t.Errorf("a customer that is not there: %d", code)
	}
}

// A dry run plans, renders and records, and sends nothing: even with no channel set up it serves.
func TestDryRunRecords(t *testing.T) {
	t.Parallel()
	d, st := house(t, func(s *config.Settings) { s.Book = wide(t, s.Book) })
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	yesterday := care.DateOf(time.Now().In(loc)).AddDays(-1)
	doc := `{"id":"C1","email":"c1@example.com","locale":"zh-CN","salutation":"王先生","vehicles":[{"id":"V1","model":"君威","delivered_on":"` + yesterday.String() + `"}]}`
	if _, err := st.Merge(t.Context(), []string{"C1"}, func(int, []byte) ([]byte, error) { return []byte(doc), nil }); err != nil {
		t.Fatal(err)
	}
	_ = d
	deadline := time.Now().Add(20 * time.Second)
	for {
		records, err := st.Messages(t.Context(), store.Filter{Customer: "C1"})
		if err != nil {
			t.Fatal(err)
		}
		if len(records) > 0 && records[0].State.Final() {
			if records[0].State != care.StateSkipped || records[0].Reason != "dry_run" || records[0].Locale != "zh-CN" {
				t.Errorf("recorded as %+v", records[0])
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing was recorded: %+v", records)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// wide makes every schedule of a book mean at once.
func wide(t *testing.T, book string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(book, "programs", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range append(files, filepath.Join(book, "dealers.yaml")) {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(raw), "\n")
		for i, l := range lines {
			if strings.HasPrefix(l, "schedule:") {
				lines[i] = `schedule: "* * * * *"`
			}
			if strings.HasPrefix(strings.TrimSpace(l), "quiet_hours:") {
				lines[i] = l[:strings.Index(l, "quiet_hours:")] + "quiet_hours: {default: none}"
			}
		}
		if err := os.WriteFile(f, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return book
}

func TestReloadKeepsTheOldBookWhenTheNewOneIsBroken(t *testing.T) {
	t.Parallel()
	var dir string
	d, _ := house(t, func(s *config.Settings) { dir = s.Book })
	before := d.book.Load()
	file := filepath.Join(dir, "programs", "birthday.yaml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]string{
		"cut off": string(good[:len(good)/2]) + "\n  - {", "a bad schedule": strings.Replace(string(good), "schedule: ", "schedule: \"99 99 * * *\" #", 1),
		"a missing template": strings.Replace(string(good), "template: ", "template: no-such-", 1),
	} {
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.Reload(); err == nil || d.book.Load() != before {
			t.Errorf("%s: the book was taken (%v)", name, err)
		}
	}
	if err := os.WriteFile(file, append(good, "\n# changed\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Reload(); err != nil || d.book.Load() == before {
		t.Errorf("a good book was not taken: %v", err)
	}
}
