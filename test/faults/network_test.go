//go:build e2e || faults

package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/sink"
	"github.com/carebell/carebell/test/sink/serve"
)

// through puts a toxic proxy in front of an address.
func through(t *testing.T, upstream string) *toxiproxy.Proxy {
	t.Helper()
	p := toxiproxy.NewProxy(quiet(toxiproxy.NewServer, toxiproxy.NewMetricsContainer(nil)), t.Name(), "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// quiet makes a server with the zero logger, which says nothing; its library is not ours to import.
func quiet[M, L, S any](newServer func(M, L) S, m M) S {
	var silent L
	return newServer(m, silent)
}

func TestRow17ABadNetworkToRedis(t *testing.T) {
	t.Parallel()
	h, server := newHouseOn(t, houseOptions{sink: slow(50 * time.Millisecond)})
	h.customers(pick(3000, 20000), care.Email, false)
	h.release()
	p := through(t, server.Addr())
	r := h.serve("CARE_REDIS_URL=redis://" + p.Listen)
	h.awaitAccepts(50, 20*time.Second)
	var figures []string
	for _, c := range []struct {
		name   string
		toxics []string
	}{
		{"latency 500 ± 500 ms", []string{`{"type":"latency","attributes":{"latency":500,"jitter":500}}`}},
		{"reset 10 %", []string{`{"type":"reset_peer","toxicity":0.1,"attributes":{"timeout":100}}`}},
		{"slicer", []string{
			`{"type":"slicer","attributes":{"average_size":64,"size_variation":32,"delay":10}}`,
			`{"type":"slicer","stream":"upstream","attributes":{"average_size":64,"size_variation":32,"delay":10}}`,
		}},
		{"time-out", []string{`{"type":"timeout","attributes":{"timeout":0}}`}},
	} {
		before := h.accepted()
		for _, toxic := range c.toxics {
			if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(pick(4*time.Second, 20*time.Second))
		meanwhile := h.accepted() - before
		p.Toxics.ResetToxics(t.Context())
		took := h.recovery(30 * time.Second)
		figures = append(figures, fmt.Sprintf("%s: %d sent meanwhile, going again after %.1f s", c.name, meanwhile, took.Seconds()))
	}
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	f := h.judge("17", figures...)
	if f.Sent != f.Planned || !r.Running() {
		t.Error("want all sent by a daemon that has stayed")
	}
}

func TestRow26OneDeadChannel(t *testing.T) {
	t.Parallel()
	n, moment := pick(600, 3000), 150*time.Millisecond // so slow that the machine is not what bounds the speed
	h := newHouse(t, houseOptions{channels: []care.Channel{care.Email, care.SMS, care.Webhook}, sink: slow(moment)})
	h.release()
	h.serve()
	others := []care.Channel{care.SMS, care.Webhook}
	speeds := func() map[string]float64 {
		from := len(h.sink.Journal())
		for _, ch := range others {
			h.customers(n, ch, true)
		}
		h.eventually(pick(time.Minute, 10*time.Minute), "SMS and webhooks are through", func() error {
			if got := h.acceptedSince(from, "sms") + h.acceptedSince(from, "webhook"); got < 2*n {
				return fmt.Errorf("%d of %d", got, 2*n)
			}
			return nil
		})
		return map[string]float64{"sms": h.speed(from, "sms"), "webhook": h.speed(from, "webhook")}
	}
	alone := speeds()
	f := slow(moment).Faults
	f.SMTP = []sink.SMTPFault{{At: serve.AtConnect, Do: serve.DoHang}}
	h.sink.Set(f)
	h.customers(n, care.Email, true)
	h.awaitFaults(8, 20*time.Second)
	beside := speeds()
	for kind, was := range alone {
		share := beside[kind] / was
		h.say("26", fmt.Sprintf("%s beside a mail server that hangs: %.0f/s, without it %.0f/s: %.0f %%", kind, beside[kind], was, 100*share))
		if share < 0.9 {
			t.Errorf("%s keeps %.0f %% of its speed, want 90", kind, 100*share)
		}
	}
	h.sink.Set(sink.Faults{})
	h.awaitDrained(pick(2*time.Minute, 20*time.Minute))
	if f := h.judge("26"); f.Sent != f.Planned {
		t.Error("want all sent in the end")
	}
}

// acceptedSince counts the accepts of a kind after a place in the journal.
func (h *house) acceptedSince(from int, kind string) int {
	n := 0
	for _, e := range h.sink.Journal()[from:] {
		if e.Event == serve.EventAccept && e.Kind == kind {
			n++
		}
	}
	return n
}

// speed is how many of a kind were accepted per second after a place in the journal, without the slowest tenth at both ends.
func (h *house) speed(from int, kind string) float64 {
	h.t.Helper()
	var at []time.Time
	for _, e := range h.sink.Journal()[from:] {
		if e.Event == serve.EventAccept && e.Kind == kind {
			at = append(at, e.At)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	a, b := len(at)/10, len(at)*9/10
	return float64(b-a) / at[b].Sub(at[a]).Seconds()
}
