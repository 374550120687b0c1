package daemon

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/store/redistest"
	"github.com/redis/go-redis/v9"
)

// answering is a server in Redis' place that answers every command alike, until it is told to pass everything on to the true one.
type answering struct {
	net.Listener
	says atomic.Pointer[string] // "" = close the connection
	to   string
}

func startAnswering(t *testing.T, to string) *answering {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &answering{Listener: l, to: to}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go a.serve(c)
		}
	}()
	return a
}

func (a *answering) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	says := a.says.Load()
	if says == nil {
		up, err := net.Dial("tcp", a.to)
		if err != nil {
			return
		}
		defer func() { _ = up.Close() }()
		go func() { _, _ = io.Copy(up, c) }()
		_, _ = io.Copy(c, up)
		return
	}
	for r := bufio.NewReader(c); *says != ""; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(line, "*") { // one answer for each command
			_, _ = io.WriteString(c, *says+"\r\n")
		}
	}
}

// waits starts a daemon whose Redis is not there, and tells what became of New.
func waits(ctx context.Context, t *testing.T, url string) (ended <-chan error, private string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	private = free.Addr().String()
	_ = free.Close()
	env := &Env{
		Settings: &config.Settings{RedisURL: config.NewSecret(url), Listen: private, Book: smallBook(t), DryRun: true, Sweep: "@every 15m"},
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now, Version: "test",
	}
	done := make(chan error, 1)
	go func() { done <- env.Serve(ctx, nil) }()
	return done, "http://" + private
}

func fetch(t *testing.T, url string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// A Redis that is away when the daemon starts is waited for: what can pass by itself is no reason to end.
func TestServeWaitsForRedis(t *testing.T) {
	t.Parallel()
	redis := startRedis(t, "everysec")
	for name, says := range map[string]string{
		"closed at once":  "",
		"loading":         "-LOADING Redis is loading the dataset in memory",
		"max clients":     "-ERR max number of clients reached",
		"a failover":      "-READONLY You can't write against a read only replica.",
		"master is away":  "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"a sick cluster":  "-CLUSTERDOWN Hash slot not served",
		"nonsense":        "HTTP/1.1 400 Bad Request",
		"an empty answer": "$-1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			away := startAnswering(t, redis.Addr)
			away.says.Store(&says)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended, private := waits(ctx, t, "redis://"+away.Addr().String())
			await(t, soon, "it says what it waits for", func() bool {
				status, text := fetch(t, private+"/readyz")
				return status == http.StatusServiceUnavailable && strings.Contains(text, "waiting for Redis: ")
			})
			if status, _ := fetch(t, private+"/healthz"); status != http.StatusOK {
				t.Errorf("healthz says %d", status)
			}
			if status, text := fetch(t, private+"/metrics"); status != http.StatusOK || !strings.Contains(text, "carebell_redis_up 0") {
				t.Errorf("metrics say %d, %s", status, text)
			}
			away.says.Store(nil)
			await(t, soon, "it goes on", func() bool {
				status, _ := fetch(t, private+"/readyz")
				return status == http.StatusOK
			})
			stop()
			if err := <-ended; err != nil {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// A stop while Redis is waited for ends the daemon at once, and well.
func TestAStopEndsTheWaiting(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"redis://127.0.0.1:1", "redis://no-such-host.invalid:6379", "redis-sentinel://127.0.0.1:1/master"} {
		ctx, stop := context.WithCancel(t.Context())
		ended, private := waits(ctx, t, url)
		await(t, soon, "it waits", func() bool {
			_, text := fetch(t, private+"/readyz")
			return strings.Contains(text, "waiting for Redis: ")
		})
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: it ended with %v", url, err)
			}
		case <-time.After(2 * time.Second):
			t.Fatalf("%s: it has not ended", url)
		}
	}
}

// What does not pass by itself ends the daemon at once; what the settings say wrongly is told from the rest.
func TestServeDoesNotWaitForAMistake(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "everysec")
	for url, mistake := range map[string]bool{
		"redis://wrong:wrong@" + server.Addr:         true,
		"redis://" + server.Addr + "/99":             true,
		"redis://" + server.Addr + "/0?no=such":      true,
		with(t, startRedis(t, "everysec"), "no"):     false,
		"redis-sentinel://" + server.Addr + "/0?x=1": true,
	} {
		ended, _ := waits(t.Context(), t, url)
		select {
		case err := <-ended:
			if _, ok := errors.AsType[*config.Mistake](err); err == nil || ok != mistake {
				t.Errorf("%s: it ended with %v, a mistake of the settings: %v", url, err, ok)
			}
		case <-time.After(soon):
			t.Fatalf("%s: it waits", url)
		}
	}
}

// with switches the append-only file of a server and returns its URL.
func with(t *testing.T, s *redistest.Server, appendonly string) string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer func() { _ = client.Close() }()
	if err := client.ConfigSet(t.Context(), "appendonly", appendonly).Err(); err != nil {
		t.Fatal(err)
	}
	return s.URL()
}
