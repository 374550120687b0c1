package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/store"
	"github.com/carebell/carebell/web"
	"github.com/carebell/carebell/web/httpx"
	sdnotify "github.com/coreos/go-systemd/v22/daemon"
)

// How often a Redis is tried that is away when the daemon starts, and how often the log says so.
const (
	redisFirst = 100 * time.Millisecond
	redisMost  = 3 * time.Second
	redisSaid  = time.Minute
)

// A door is a listener's handler, which is another one once Redis is there.
type door struct{ now atomic.Pointer[http.Handler] }

func (d *door) open(h http.Handler) { d.now.Store(&h) }

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*d.now.Load()).ServeHTTP(w, r) }

// lobby answers while Redis is not there: that the process is alive, why it is not ready, and its metrics.
func (d *Daemon) lobby() http.Handler {
	set := d.env.Settings
	ready := func(context.Context) error {
		if why := d.waiting.Load(); why != nil {
			return *why
		}
		return errors.New("starting")
	}
	p := &web.Private{Ready: ready, Metrics: d.metrics.Handler(), Token: set.ConsoleToken.Reveal(), Hosts: httpx.NewHosts(set.Listen, set.ConsoleURL...), Log: d.log}
	return p.Handler()
}

// publicLobby asks customers and gateways to come again.
func publicLobby(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		httpx.Plain(w, http.StatusOK, "alive\n")
		return
	}
	w.Header().Set("Retry-After", "30")
	httpx.Plain(w, http.StatusServiceUnavailable, "carebell is starting: please try again in a minute\n")
}

// openStore waits until Redis can be worked with. What does not pass by itself is an error.
func (d *Daemon) openStore(ctx context.Context) error {
	if d.store = d.parts.Store; d.store != nil {
		return d.expectWatermark(ctx)
	}
	said := time.Time{}
	for pause := redisFirst; ; pause = min(2*pause, redisMost) {
		err := d.tryStore(ctx)
		switch {
		case err == nil:
			if d.waiting.Swap(nil) != nil {
				d.log.Info("Redis is there: going on")
				notify("STATUS=")
			}
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, store.ErrURL):
			return config.AsMistake(err)
		case !store.MayPass(err):
			return err
		}
		why := fmt.Errorf("waiting for Redis: %w", err)
		if d.waiting.Swap(&why) == nil { // systemd need not wait: the settings are right, and this may take long
			d.waited = true
			notify(sdnotify.SdNotifyReady)
		}
		if now := time.Now(); now.Sub(said) >= redisSaid {
			said = now
			d.log.Warn("waiting for Redis", slog.Any("error", err))
			notify("STATUS=" + why.Error())
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// tryStore opens Redis and compares it with what CARE_STATE_DIR remembers.
func (d *Daemon) tryStore(ctx context.Context) error {
	set := d.env.Settings
	var st *store.Store
	var err error
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		st, err = store.Open(ctx, store.Options{
			URL: set.RedisURL.Reveal(), AllowUnsafe: set.AllowUnsafeRedis, Clock: d.env.Now, Logger: d.log, Retention: time.Duration(set.Retention),
			Migrate: true, Changed: d.metrics.Changed, Trial: set.Trial(),
		})
	}()
	select {
	case <-opened:
	case <-ctx.Done(): // a read of a Redis that hangs ends by its own time-out only
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	d.store = st
	if err := d.expectWatermark(ctx); err != nil {
		st.Close()
		return err
	}
	d.later("redis", func(context.Context) error { st.Close(); return nil })
	return nil
}
