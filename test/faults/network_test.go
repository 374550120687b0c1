//go:build e2e || faults

package faults

import (
	"fmt"
	"path/filepath"
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

// Ten SMS gateways, each for the numbers that begin alike: one hangs, one is slow.
func TestRow26TenGateways(t *testing.T) {
	t.Parallel()
	const gateways = 10
	moment := 150 * time.Millisecond // so slow that the machine is not what bounds the speed
	n := gateways * pick(100, 1000)
	h := newHouse(t, houseOptions{channels: []care.Channel{care.SMS}, sink: slow(moment)})
	var accounts strings.Builder
	for i := range gateways {
		fmt.Fprintf(&accounts, "- {gateway: g%d, url: %q, prefixes: [\"+86138%d\"], connections: 4}\n", i, fmt.Sprintf("%s/g%d", h.sink.SMSURL(), i), i)
		h.write(fmt.Sprintf("gateways/g%d.yaml", i), `method: POST
format: json
url: `+fmt.Sprintf("%s/g%d", h.sink.SMSURL(), i)+`
body: '{"to": "{to}", "text": "{text}"}'
idempotency_header: Idempotency-Key
answer: {status: [200], code: /status}
codes: {success: [accepted]}
`)
	}
	h.write("accounts.yaml", accounts.String())
	h.release()
	h.serve("CARE_SMS_GATEWAY=", "CARE_SMS_URL=", "CARE_SMS_ACCOUNTS_FILE="+filepath.Join(h.book, "accounts.yaml"))
	to := func(e *sink.Entry) int { // the gateway's number
		if e.Event != serve.EventAccept || len(e.To) == 0 {
			return -1
		}
		return int(strings.TrimPrefix(e.To[0], "+")[len("86138")] - '0')
	}
	speed := func() float64 {
		from := len(h.sink.Journal())
		h.customers(n, care.SMS, true)
		want := n / gateways * (gateways - 2)
		var at []time.Time
		h.eventually(pick(2*time.Minute, 10*time.Minute), "eight gateways are through", func() error {
			at = at[:0]
			journal := h.sink.Journal()[from:]
			for i := range journal {
				if to(&journal[i]) >= 2 {
					at = append(at, journal[i].At)
				}
			}
			if len(at) < want {
				return fmt.Errorf("%d of %d", len(at), want)
			}
			return nil
		})
		slices.SortFunc(at, time.Time.Compare)
		a, b := len(at)/10, len(at)*9/10
		return float64(b-a) / at[b].Sub(at[a]).Seconds()
	}
	alone := speed()
	h.awaitDrained(time.Minute)
	f := slow(moment).Faults
	f.HTTP = append([]sink.HTTPFault{
		{Path: serve.PathSMS + "/g0", Do: serve.DoHang},
		{Path: serve.PathSMS + "/g1", Do: serve.DoSlow, Delay: 5 * time.Second},
	}, f.HTTP...)
	h.sink.Set(f)
	beside := speed()
	share := beside / alone
	h.say("26", fmt.Sprintf("eight of ten gateways beside one that hangs and one that takes 5 s: %.0f/s, without them %.0f/s: %.0f %%", beside, alone, 100*share))
	if share < 0.9 {
		t.Errorf("eight gateways keep %.0f %% of their speed, want 90", 100*share)
	}
	h.sink.Set(sink.Faults{})
	h.awaitDrained(pick(2*time.Minute, 20*time.Minute))
	if f := h.judge("26"); f.Uncertain > 2*4 || f.Sent+f.Uncertain != f.Planned {
		t.Error("want all sent in the end but what a gateway that hangs had in hand")
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
