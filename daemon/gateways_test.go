package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/store"
)

// gatewayServer is an SMS gateway that counts what it is sent.
type gatewayServer struct {
	*httptest.Server
	texts atomic.Int64
}

func newGatewayServer(t *testing.T) *gatewayServer {
	t.Helper()
	g := &gatewayServer{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.texts.Add(1)
		_, _ = w.Write([]byte(`{"code":"0"}`))
	}))
	t.Cleanup(g.Close)
	return g
}

// file is a gateway file that leads to the server.
func (g *gatewayServer) file() string {
	return fmt.Sprintf("url: %q\nformat: json\nbody: '{\"to\": \"{to}\", \"text\": \"{text}\"}'\nanswer: {code: /code}\ncodes: {success: [\"0\"]}\n", g.URL+"/send")
}

// withGateways is a daemon whose texts go through two gateways of files: acme for numbers that begin with +86138, other for the rest.
func withGateways(t *testing.T, acme, other *gatewayServer) (d *Daemon, st *store.Store, dir string) {
	t.Helper()
	dir = wide(t, smallBook(t))
	write(t, filepath.Join(dir, "gateways", "acme.yaml"), acme.file())
	write(t, filepath.Join(dir, "gateways", "other.yaml"), other.file())
	redis := miniredis.RunT(t)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	st, err := store.Open(t.Context(), store.Options{URL: "redis://" + redis.Addr(), Embedded: true, AllowUnsafe: true, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	settings := &config.Settings{Listen: "127.0.0.1:0", Book: dir, Sweep: "@every 15m"}
	settings.SMS.Accounts = config.NewSecret("- {gateway: acme, user: u, password: p, prefixes: [\"+86138\"]}\n- {gateway: other, user: u, password: p}\n")
	env := &Env{Settings: settings, Log: log, Now: time.Now, Version: "test"}
	if d, err = env.New(t.Context(), Parts{Store: st}); err != nil {
		t.Fatal(err)
	}
	d.Start()
	t.Cleanup(func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return d, st, dir
}

// arrives adds a customer with a number, and waits until a welcome has come to a gateway.
func arrives(t *testing.T, st *store.Store, id, phone string, at *gatewayServer) {
	t.Helper()
	before := at.texts.Load()
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	yesterday := care.DateOf(time.Now().In(loc)).AddDays(-1)
	doc := fmt.Sprintf(`{"id":%q,"phone":%q,"locale":"zh-CN","salutation":"王先生","consent":{"sms":{"service":true,"care":true,"marketing":true}},`+
		`"vehicles":[{"id":%q,"model":"君威","delivered_on":%q}]}`, id, phone, "V"+id, yesterday.String())
	if _, err := st.Merge(t.Context(), []string{id}, func(int, []byte) ([]byte, error) { return []byte(doc), nil }); err != nil {
		t.Fatal(err)
	}
	await(t, soon, "a text to "+id, func() bool { return at.texts.Load() > before })
}

// A changed gateway file is in force after Reload, in messages that are sent, and a broken one changes nothing. That a gateway that did not
// change keeps its connections is tested in channels/sms.
func TestReloadTakesAChangedGateway(t *testing.T) {
	t.Parallel()
	old, moved, other := newGatewayServer(t), newGatewayServer(t), newGatewayServer(t)
	d, st, dir := withGateways(t, old, other)
	arrives(t, st, "C1", "13800000001", old)
	arrives(t, st, "C2", "13900000002", other)
	file := filepath.Join(dir, "gateways", "acme.yaml")
	write(t, file, moved.file())
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	arrives(t, st, "C3", "13800000003", moved)
	arrives(t, st, "C4", "13900000004", other)
	if n := old.texts.Load(); n != 1 {
		t.Errorf("%d texts at the old address", n)
	}

	before := d.channels.Load()
	if err := d.Reload(); err != nil || d.channels.Load() != before {
		t.Errorf("nothing has changed, and the channels were built anew (%v)", err)
	}
	for name, broken := range map[string]string{
		"no YAML": moved.file() + "\nbody: {{{\n", "no URL": strings.Replace(moved.file(), "url:", "uri:", 1), "not HTTP": strings.Replace(moved.file(), "http:", "ftp:", 1),
	} {
		book := d.book.Load()
		write(t, file, broken)
		if err := d.Reload(); err == nil || d.channels.Load() != before || d.book.Load() != book {
			t.Errorf("%s: it was taken (%v)", name, err)
		}
	}
	arrives(t, st, "C5", "13800000005", moved)
}
