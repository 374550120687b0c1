package daemon

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
)

// Redis is closed when nobody uses it any more.
func TestRedisOutlivesItsUsers(t *testing.T) {
	t.Parallel()
	env := &Env{
		Settings: &config.Settings{
			RedisURL: config.NewSecret(startRedis(t, "everysec").URL()), Listen: "127.0.0.1:0", Book: smallBook(t), DryRun: true, Sweep: "@every 15m",
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now, Version: "test",
	}
	d, err := env.New(t.Context(), Parts{})
	if err != nil {
		t.Fatal(err)
	}
	last := make(chan error, 1)
	lastWord := func(ctx context.Context) {
		<-ctx.Done()
		time.Sleep(300 * time.Millisecond) // its last word to Redis takes a while
		last <- d.store.Ping(context.WithoutCancel(ctx))
	}
	d.loop("a user of Redis", lastWord)
	d.Start()
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-last:
		if err != nil {
			t.Errorf("its last word: %v", err)
		}
	default:
		t.Error("Stop has not waited for it")
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Errorf("the second Stop: %v", err)
	}
	d.Start() // a stopped daemon stays stopped
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	env := &Env{
		Settings: &config.Settings{RedisURL: config.NewSecret(startRedis(t, "everysec").URL()), Listen: "127.0.0.1:0", Book: smallBook(t), DryRun: true},
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now, Version: "test",
	}
	d, err := env.New(t.Context(), Parts{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Start()
	if c, err := net.Dial("tcp", d.Addr()); err == nil {
		_ = c.Close()
		t.Error("it listens")
	}
}

// A mail server that hangs and a Redis that does not answer, both at once: the daemon is out in time and says what it left.
func TestStopWithAHangingProviderAndADeadRedis(t *testing.T) {
	t.Parallel()
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hanging.Close() })
	var greeted atomic.Int64
	go func() {
		for {
			c, err := hanging.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			go func() {
				_, _ = c.Write([]byte("220 mx.example ESMTP\r\n"))
				if line, err := bufio.NewReader(c).ReadString('\n'); err == nil && line != "" {
					greeted.Add(1) // and never answers
				}
			}()
		}
	}()
	server := startRedis(t, "everysec")
	book := wide(t, smallBook(t))
	env := &Env{
		Settings: &config.Settings{
			RedisURL: config.NewSecret(server.URL()), Listen: "127.0.0.1:0", Book: book, Sweep: "@every 15m",
			SMTP: config.SMTP{URL: config.Secrets{config.NewSecret("smtp://" + hanging.Addr().String())}, Connections: 2},
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Now: time.Now, Version: "test",
	}
	d, err := env.New(t.Context(), Parts{})
	if err != nil {
		t.Fatal(err)
	}
	d.Start()
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	yesterday := care.DateOf(time.Now().In(loc)).AddDays(-1)
	doc := `{"id":"C1","email":"c1@example.com","locale":"zh-CN","salutation":"王先生","vehicles":[{"id":"V1","model":"君威","delivered_on":"` + yesterday.String() + `"}]}`
	if _, err := d.store.Merge(t.Context(), []string{"C1"}, func(int, []byte) ([]byte, error) { return []byte(doc), nil }); err != nil {
		t.Fatal(err)
	}
	await(t, soon, "a mail is being sent", func() bool { return greeted.Load() > 0 })
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Signal(syscall.SIGCONT) })
	began := time.Now()
	err = d.Stop(context.Background())
	if took := time.Since(began); err == nil || took > 25*time.Second {
		t.Errorf("out after %v: %v", took, err)
	}
	t.Logf("out after %v: %v", time.Since(began), err)
	if n := counted(t, d, "carebell_outcomes_dropped_total", ""); n < 1 {
		t.Errorf("%v outcomes are counted as dropped", n)
	}
}

// Two replicas lead one after the other, whatever their hosts and process ids are.
func TestReplicasOfOneProcessHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	url := startRedis(t, "everysec").URL()
	a, stopA := serve(t, url, "")
	await(t, soon, "one leads", a.leads.Load)
	b, _ := serve(t, url, "")
	if _, ok, err := b.store.Lead(t.Context(), b.holder, time.Minute); err != nil || ok {
		t.Errorf("the other has the lead as well (%v)", err)
	}
	stopA()
	await(t, soon, "the other leads", b.leads.Load)
}
