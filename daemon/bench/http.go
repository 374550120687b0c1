package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
)

// gateway answers as an SMS gateway (in Kannel's dialect) and as the endpoint of webhooks.
type gateway struct {
	server *http.Server
	url    string
	done   chan struct{}
	bytes  atomic.Int64 // of the last request's body
}

func startGateway(ctx context.Context) (*gateway, error) {
	on, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gateway{url: "http://" + on.Addr().String(), done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cgi-bin/sendsms", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "0: Accepted for delivery")
	})
	mux.HandleFunc("POST /hook", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		g.bytes.Store(n)
		w.WriteHeader(http.StatusNoContent)
	})
	g.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(g.done)
		_ = g.server.Serve(on)
	}()
	return g, nil
}

func (g *gateway) close() {
	_ = g.server.Close()
	<-g.done
}

// bare makes n requests with nothing but net/http, over as many connections as the daemon has.
func (g *gateway) bare(ctx context.Context, n int, method, path string, body []byte) (sent, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var next atomic.Int64
	errs := make(chan error, connections)
	began, before := time.Now(), cpu()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				req, err := http.NewRequestWithContext(ctx, method, g.url+path, bytes.NewReader(body))
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
	return w.overHTTP(ctx, care.Webhook, func(g *gateway) config.Settings {
		return config.Settings{Webhook: config.Webhook{URL: config.NewSecret(g.url + "/hook"), Connections: connections}}
	}, func(g *gateway, n int) (sent, error) {
		return g.bare(ctx, n, http.MethodPost, "/hook", make([]byte, g.bytes.Load()))
	})
}

func measureSMS(ctx context.Context, w *world) (run, error) {
	return w.overHTTP(ctx, care.SMS, func(g *gateway) config.Settings {
		return config.Settings{SMS: config.SMS{
			Gateway: "kannel", URL: g.url + "/cgi-bin/sendsms", User: "bench", Password: config.NewSecret("bench"), From: "10690000", Connections: connections,
		}}
	}, func(g *gateway, n int) (sent, error) {
		// A query as long as that of a text of 70 characters with the URL for receipts.
		return g.bare(ctx, n, http.MethodGet, "/cgi-bin/sendsms?text="+string(bytes.Repeat([]byte("%E6%88%91"), 70)), nil)
	})
}

func (w *world) overHTTP(ctx context.Context, ch care.Channel, set func(*gateway) config.Settings, bare func(*gateway, int) (sent, error)) (run, error) {
	g, err := startGateway(ctx)
	if err != nil {
		return run{}, err
	}
	defer g.close()
	n := w.opt.Messages
	if err := w.backlog(ctx, n, ch); err != nil {
		return run{}, err
	}
	ours, err := w.deliver(ctx, set(g), n)
	if err != nil {
		return run{}, err
	}
	took, err := bare(g, n)
	if err != nil {
		return run{}, errors.Join(errors.New("bare net/http"), err)
	}
	return run{
		ours: perSecond(n, ours.wall), limit: perSecond(n, took.wall), score: took.wall.Seconds() / ours.wall.Seconds(),
		note: fmt.Sprintf("%d messages a run, %d connections; of processor time a message: daemon with the server %.0f µs, Redis %.0f µs; bare net/http with the server %.0f µs",
			n, connections, micros(ours.cpu, n), micros(ours.redis, n), micros(took.cpu, n)),
	}, nil
}
