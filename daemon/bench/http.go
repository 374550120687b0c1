package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
)

// requests is how many requests are under way at a time in the rows over HTTP, ours and the limit's.
const requests = 64

// Endpoint answers as an SMS gateway (in Kannel's dialect) and as the endpoint of webhooks, on a port of the loopback that it writes to out,
// until in ends. The bench runs it as a process of its own, as providers are: within the bench's process every answer would wait for its
// turn among our own goroutines, which costs us more than it costs the limit.
func Endpoint(ctx context.Context, in io.Reader, out io.Writer) error {
	on, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var body, query atomic.Int64 // bytes of the last request's
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cgi-bin/sendsms", func(w http.ResponseWriter, r *http.Request) {
		query.Store(int64(len(r.URL.RawQuery)))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "0: Accepted for delivery")
	})
	mux.HandleFunc("POST /hook", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		body.Store(n)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /seen", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, body.Load(), query.Load(), cpu().Microseconds())
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		_ = server.Close()
	}()
	if _, err := fmt.Fprintln(out, "http://"+on.Addr().String()); err != nil {
		return errors.Join(err, on.Close())
	}
	if err := server.Serve(on); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// endpoint is a running Endpoint.
type endpoint struct {
	*process
	url  string
	word io.Closer // its input
}

// seen is what an endpoint has seen, and the processor time it took.
type seen struct {
	body, query int
	cpu         time.Duration
}

func (w *world) startEndpoint() (*endpoint, error) {
	path, err := w.opt.program()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "bench", "--endpoint") //nolint:gosec,noctx // ourselves; it ends with its input
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	e := &endpoint{process: watched(cmd), url: strings.TrimSpace(address), word: in}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the endpoint does not listen: %w", err), e.close())
	}
	return e, nil
}

func (e *endpoint) close() error { return errors.Join(e.word.Close(), e.stop()) }

func (e *endpoint) seen(ctx context.Context) (s seen, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/seen", http.NoBody)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer func() { _ = resp.Body.Close() }()
	var us int64
	if _, err = fmt.Fscan(resp.Body, &s.body, &s.query, &us); err != nil {
		return s, fmt.Errorf("the endpoint of the bench: %w", err)
	}
	s.cpu = time.Duration(us) * time.Microsecond
	return s, nil
}

// bare makes n requests with nothing but net/http, as many at a time as the daemon.
func (e *endpoint) bare(ctx context.Context, n int, method, path string, body []byte) (sent, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: requests, MaxConnsPerHost: requests}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var next atomic.Int64
	errs := make(chan error, requests)
	began, before := time.Now(), cpu()
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				req, err := http.NewRequestWithContext(ctx, method, e.url+path, bytes.NewReader(body))
				if err == nil {
					var resp *http.Response
					if resp, err = client.Do(req); err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := sent{wall: time.Since(began), cpu: cpu() - before}
	close(errs)
	return took, <-errs
}

func measureWebhook(ctx context.Context, w *world) (run, error) {
	return w.overHTTP(ctx, care.Webhook, func(e *endpoint) config.Settings {
		return config.Settings{Webhook: config.Webhook{URL: config.NewSecret(e.url + "/hook"), Connections: requests}}
	}, func(e *endpoint, n int, s seen) (sent, error) {
		return e.bare(ctx, n, http.MethodPost, "/hook", make([]byte, s.body))
	})
}

func measureSMS(ctx context.Context, w *world) (run, error) {
	return w.overHTTP(ctx, care.SMS, func(e *endpoint) config.Settings {
		return config.Settings{SMS: config.SMS{
			Gateway: "kannel", URL: e.url + "/cgi-bin/sendsms", User: "bench", Password: config.NewSecret("bench"), From: "10690000", Connections: requests,
		}}
	}, func(e *endpoint, n int, s seen) (sent, error) {
		return e.bare(ctx, n, http.MethodGet, "/cgi-bin/sendsms?"+strings.Repeat("a", s.query), nil) // as long as ours
	})
}

func (w *world) overHTTP(ctx context.Context, ch care.Channel, set func(*endpoint) config.Settings, bare func(*endpoint, int, seen) (sent, error)) (r run, err error) {
	e, err := w.startEndpoint()
	if err != nil {
		return run{}, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	n := w.opt.Messages
	if err := w.backlog(ctx, n, ch); err != nil {
		return run{}, err
	}
	before, err := e.seen(ctx)
	if err != nil {
		return run{}, err
	}
	ours, err := w.deliver(ctx, set(e), n)
	if err != nil {
		return run{}, err
	}
	between, err := e.seen(ctx)
	if err != nil {
		return run{}, err
	}
	took, err := bare(e, n, between)
	if err != nil {
		return run{}, errors.Join(errors.New("bare net/http"), err)
	}
	after, err := e.seen(ctx)
	return run{
		ours: perSecond(n, ours.wall), limit: perSecond(n, took.wall), score: took.wall.Seconds() / ours.wall.Seconds(),
		note: fmt.Sprintf("%d messages a run, %d connections; of processor time a message: daemon %.0f µs, endpoint %.0f µs, Redis %.0f µs; bare net/http %.0f µs, endpoint %.0f µs",
			n, requests, micros(ours.cpu, n), micros(between.cpu-before.cpu, n), micros(ours.redis, n), micros(took.cpu, n), micros(after.cpu-between.cpu, n)),
	}, err
}
