package measure

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
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
	var first atomic.Pointer[request]
	read := func(r *http.Request) {
		if first.Load() == nil {
			like := &request{Method: r.Method, Path: r.URL.RequestURI(), Header: r.Header}
			var err error
			if like.Body, err = io.ReadAll(r.Body); err == nil {
				first.CompareAndSwap(nil, like)
			}
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cgi-bin/sendsms", func(w http.ResponseWriter, r *http.Request) {
		read(r)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "0: Accepted for delivery")
	})
	mux.HandleFunc("POST /hook", func(w http.ResponseWriter, r *http.Request) {
		read(r)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /seen", func(w http.ResponseWriter, _ *http.Request) {
		s := seen{CPU: cpu()}
		if like := first.Load(); like != nil {
			s.Like = *like
		}
		_ = json.NewEncoder(w).Encode(s)
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

// seen is the first request that an endpoint has seen, and the processor time that it has taken for all.
type seen struct {
	Like request // empty before there was one
	CPU  time.Duration
}

// request is one that can be made again.
type request struct {
	Method, Path string // the path with its query
	Header       http.Header
	Body         []byte
}

func (w *world) startEndpoint() (*endpoint, error) {
	path, err := w.opt.bench()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "--endpoint")
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
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("the endpoint of the bench: %w", err)
	}
	return s, nil
}

// bare makes the same request n times with nothing but net/http, as many at a time as the daemon. net/http writes Host and
// Content-Length by itself, and passes over those of the header.
func (e *endpoint) bare(ctx context.Context, n int, like request) (sent, error) {
	if like.Method == "" {
		return sent{}, errors.New("the endpoint has seen no request of ours that could be made again")
	}
	// Without compression, because ours does not ask for any: Accept-Encoding would be a field more than it has.
	transport := &http.Transport{MaxIdleConnsPerHost: requests, MaxConnsPerHost: requests, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var next atomic.Int64
	errs := make(chan error, requests)
	began, before := time.Now(), cpu()
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				req, err := http.NewRequestWithContext(ctx, like.Method, e.url+like.Path, bytes.NewReader(like.Body))
				if err == nil {
					req.Header = like.Header // which net/http only reads
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
	})
}

func measureSMS(ctx context.Context, w *world) (run, error) {
	return w.overHTTP(ctx, care.SMS, func(e *endpoint) config.Settings {
		return config.Settings{SMS: config.SMS{
			Gateway: "kannel", URL: e.url + "/cgi-bin/sendsms", User: "bench", Password: config.NewSecret("bench"), From: "10690000", Connections: requests,
		}}
	})
}

func (w *world) overHTTP(ctx context.Context, ch care.Channel, set func(*endpoint) config.Settings) (r run, err error) {
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
	took, err := e.bare(ctx, n, between.Like)
	if err != nil {
		return run{}, errors.Join(errors.New("bare net/http"), err)
	}
	after, err := e.seen(ctx)
	return run{
		ours: perSecond(n, ours.wall), limit: perSecond(n, took.wall), score: took.wall.Seconds() / ours.wall.Seconds(),
		note: fmt.Sprintf("%d messages a run, %d connections; of processor time a message: daemon %.0f µs, endpoint %.0f µs, Redis %.0f µs; bare net/http %.0f µs, endpoint %.0f µs",
			n, requests, micros(ours.cpu, n), micros(between.CPU-before.CPU, n), micros(ours.redis, n), micros(took.cpu, n), micros(after.CPU-between.CPU, n)),
	}, err
}
