// Package metrics is what /metrics exports. deploy/prometheus/metrics.txt lists it all, and a test holds the two together.
package metrics

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/scheduler/sweep"
	"github.com/carebell/carebell/store"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the series of one replica. Labels are bounded: programs and dealers come from the book. What is exported is set by whoever
// knows it.
type Metrics struct {
	registry *prometheus.Registry

	build          *prometheus.GaugeVec
	messages       *prometheus.CounterVec
	expired        *prometheus.CounterVec
	attempts       *prometheus.CounterVec
	gateways       *prometheus.CounterVec
	deferred       *prometheus.CounterVec
	fenced         prometheus.Counter
	dropped        prometheus.Counter
	sendSeconds    *prometheus.HistogramVec
	lagSeconds     *prometheus.HistogramVec
	queue          *prometheus.GaugeVec
	Uncertain      prometheus.Gauge
	sweepSeconds   prometheus.Histogram
	sweepCustomers prometheus.Counter
	sweepLast      prometheus.Gauge
	Leader         prometheus.Gauge
	defects        prometheus.Gauge
	reloads        *prometheus.CounterVec
	bookLoaded     prometheus.Gauge
	RedisUp        prometheus.Gauge
	Ready          prometheus.Gauge
	ClockOffset    prometheus.Gauge
	Signal         func(result string) // counts a signal of another system
	halted         *prometheus.GaugeVec
	reloadOK       prometheus.Gauge
	paused         *prometheus.GaugeVec
	brake          *prometheus.GaugeVec
	EventsDropped  prometheus.Counter
	balance        *prometheus.GaugeVec
	balanceLow     *prometheus.GaugeVec

	shown                sync.Mutex
	pausedNow, brakesNow map[string]float64

	// The series that every message counts in, so that it need not look them up by their labels.
	tries   map[tried]prometheus.Counter
	took    map[care.Channel]prometheus.Observer
	lag     map[care.Channel]prometheus.Observer
	reached sync.Map // reached → prometheus.Counter
}

type (
	tried struct {
		channel care.Channel
		kind    care.Kind
	}
	reached struct {
		program string
		channel care.Channel
		state   care.State
	}
)

var _ delivery.Observer = (*Metrics)(nil)

// New returns series that all stand at 0.
func New(version string) *Metrics {
	r := prometheus.NewRegistry()
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		r.MustRegister(g)
		return g
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	histograms := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		r.MustRegister(h)
		return h
	}
	m := &Metrics{
		registry:       r,
		build:          gauges("carebell_build_info", "Always 1; the version that runs.", "version"),
		messages:       counters("carebell_messages_total", "Messages that reached this state.", "program", "channel", "state"),
		expired:        counters("carebell_expired_total", "Messages that expired in the queue; reason is paused where a pause held them back.", "reason"),
		attempts:       counters("carebell_attempts_total", "Tries to hand a message to a provider; kind is accepted, or why not.", "channel", "kind"),
		gateways:       counters("carebell_gateway_attempts_total", "Tries by gateway; kind is accepted, or why not.", "channel", "gateway", "kind"),
		fenced:         counter("carebell_outcomes_fenced_total", "Outcomes refused because another replica had taken the message over."),
		dropped:        counter("carebell_outcomes_dropped_total", "Outcomes that could not be recorded before the daemon ended."),
		deferred:       counters("carebell_gateway_deferred_total", "Messages that went back to the queue for a while; why is full, resting, domain or warmup.", "channel", "gateway", "why"),
		sendSeconds:    histograms("carebell_send_seconds", "How long one attempt took.", prometheus.ExponentialBuckets(0.001, 2.5, 12), "channel"),
		lagSeconds:     histograms("carebell_lag_seconds", "From when a message could first have gone to the provider's yes.", prometheus.ExponentialBuckets(0.01, 4, 12), "channel"),
		queue:          gauges("carebell_queue_messages", "Messages in the queue.", "lane", "state"),
		Uncertain:      gauge("carebell_uncertain_messages", "Messages whose outcome nobody knows, waiting for a receipt or a person."),
		sweepCustomers: counter("carebell_sweep_customers_total", "Customer records read by sweeps."),
		sweepLast:      gauge("carebell_sweep_last_success_timestamp_seconds", "When the last whole sweep ended; 0: never."),
		Leader:         gauge("carebell_leader", "1 on the replica that leads the sweep."),
		defects:        gauge("carebell_record_defects", "Customer records with a defect, as of the last sweep."),
		reloads:        counters("carebell_book_reload_total", "Attempts to read the care book anew.", "result"),
		bookLoaded:     gauge("carebell_book_loaded_timestamp_seconds", "When the book in use was read."),
		RedisUp:        gauge("carebell_redis_up", "1 while Redis answers."),
		Ready:          gauge("carebell_ready", "1 while /readyz says so: the daemon can do its work."),
		ClockOffset:    gauge("carebell_clock_offset_seconds", "How far this replica's clock is ahead of Redis'."),
		halted:         gauges("carebell_halted", "1 while this replica sends nothing: why is restored, unsafe (Redis) or clock.", "why"),
		reloadOK:       gauge("carebell_book_last_reload_successful", "1 if the care book was taken when it was last read, 0 if an older one goes on."),
		paused:         gauges("carebell_paused", "1 while a pause stands.", "scope"),
		brake:          gauges("carebell_brake_engaged", "1 while the brake holds back a surge until an operator says go.", "dealer", "program"),
		balance:        gauges("carebell_gateway_balance", "What an SMS account is worth, where its gateway can be asked; on the leader.", "gateway"),
		balanceLow:     gauges("carebell_gateway_balance_low", "Below what an SMS account's balance somebody should act.", "gateway"),
		EventsDropped:  counter("carebell_webhook_events_dropped_total", "Events for CARE_WEBHOOK_URL that were given up."),
	}
	signals := counters("carebell_signals_total", "Signals of other systems; result is taken, again (the same one as before), or why not.", "result")
	signals.WithLabelValues("taken")
	m.Signal = func(result string) { signals.WithLabelValues(result).Inc() }
	m.sweepSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "carebell_sweep_seconds", Help: "How long a sweep over all customers took.", Buckets: prometheus.ExponentialBuckets(0.01, 3, 12),
	})
	r.MustRegister(m.sweepSeconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.build.WithLabelValues(version).Set(1)
	m.start()
	return m
}

// start makes every series whose labels are known exist from the beginning, so that a rate over it starts at 0.
func (m *Metrics) start() {
	m.tries, m.took, m.lag = map[tried]prometheus.Counter{}, map[care.Channel]prometheus.Observer{}, map[care.Channel]prometheus.Observer{}
	for _, ch := range care.Channels {
		for _, kind := range kinds {
			m.tries[tried{ch, kind}] = m.attempts.WithLabelValues(string(ch), kindName(kind))
		}
		m.took[ch], m.lag[ch] = m.sendSeconds.WithLabelValues(string(ch)), m.lagSeconds.WithLabelValues(string(ch))
	}
	for _, lane := range care.Lanes {
		m.queue.WithLabelValues(lane.String(), string(care.StateDue))
	}
	m.expired.WithLabelValues(care.ReasonPaused)
	m.reloads.WithLabelValues("ok")
	m.reloads.WithLabelValues("error")
	m.paused.WithLabelValues("all")
	m.Halted("")
}

// Why a replica sends nothing.
const (
	HaltRestored = "restored"
	HaltUnsafe   = "unsafe"
	HaltClock    = "clock"
)

// Halted shows why nothing is sent; "" = it is.
func (m *Metrics) Halted(why string) {
	for _, w := range []string{HaltRestored, HaltUnsafe, HaltClock} {
		m.halted.WithLabelValues(w).Set(Truth(w == why))
	}
}

// Truth is a yes or a no as a gauge shows it.
func Truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// Reloaded counts a try to read the book anew.
func (m *Metrics) Reloaded(ok bool) {
	m.reloadOK.Set(Truth(ok))
	m.reloads.WithLabelValues(map[bool]string{true: "ok", false: "error"}[ok]).Inc()
}

// Swept shows what a whole sweep found.
func (m *Metrics) Swept(p *sweep.Progress, now time.Time) {
	m.sweepSeconds.Observe(p.Took.Seconds())
	m.sweepCustomers.Add(float64(p.Customers))
	m.sweepLast.Set(float64(now.Unix()))
	m.defects.Set(float64(p.Defective))
}

// Depths shows the queue.
func (m *Metrics) Depths(depths []store.Depth) {
	for _, q := range depths {
		lane := q.Lane.String()
		m.queue.WithLabelValues(lane, "due").Set(float64(q.Due))
		m.queue.WithLabelValues(lane, "later").Set(float64(q.Later))
		m.queue.WithLabelValues(lane, "claimed").Set(float64(q.Claimed))
	}
}

// kinds are those of attempts; "" is accepted.
var kinds = []care.Kind{
	"", care.KindRetry, care.KindRecipient, care.KindContent, care.KindOperator, care.KindOptedOut, care.KindDefer, care.KindUncertain,
}

// Book makes the series of a book's programs exist.
func (m *Metrics) Book(b *care.Book, at time.Time) {
	m.bookLoaded.Set(float64(at.Unix()))
	m.reloadOK.Set(1)
	for _, p := range b.Programs {
		for _, ch := range care.Channels {
			for _, state := range care.States {
				if state.Final() || state == care.StateUncertain {
					m.messages.WithLabelValues(p.Program, string(ch), string(state))
				}
			}
		}
	}
}

// Gatherer reads all series.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Handler answers /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: nil})
}

// Stops shows the operator's stops. A scope that is not stopped any more has no series; the others have theirs at every moment.
func (m *Metrics) Stops(op *care.Operator) {
	paused := map[string]float64{"all": 0}
	if op.All {
		paused["all"] = 1
	}
	set := func(scope string, on bool) { paused[scope] = Truth(on) }
	for name, on := range op.Programs {
		set("program:"+name, on)
	}
	for name, on := range op.Dealers {
		set("dealer:"+name, on)
	}
	for ch, on := range op.Channels {
		set("channel:"+string(ch), on)
	}
	brakes := map[string]float64{}
	for name, on := range op.Brakes {
		if on {
			brakes[name] = 1
		}
	}
	m.shown.Lock()
	defer m.shown.Unlock()
	m.pausedNow = show(m.pausedNow, paused, func(scope string) []string { return []string{scope} }, m.paused)
	m.brakesNow = show(m.brakesNow, brakes, func(name string) []string {
		dealer, program, _ := strings.Cut(name, "/")
		return []string{dealer, program}
	}, m.brake)
}

// show sets a gauge's series and takes off those that are not there any more. It returns the ones that are.
func show(before, now map[string]float64, labels func(string) []string, g *prometheus.GaugeVec) map[string]float64 {
	for name, value := range now {
		g.WithLabelValues(labels(name)...).Set(value)
	}
	for name := range before {
		if _, ok := now[name]; !ok {
			g.DeleteLabelValues(labels(name)...)
		}
	}
	return now
}

// Attempt counts a try.
func (m *Metrics) Attempt(ch care.Channel, gateway string, kind care.Kind, took time.Duration) {
	name := kindName(kind)
	if c := m.tries[tried{ch, kind}]; c != nil {
		c.Inc()
	} else {
		m.attempts.WithLabelValues(string(ch), name).Inc()
	}
	m.gateways.WithLabelValues(string(ch), gateway, name).Inc()
	if o := m.took[ch]; o != nil {
		o.Observe(took.Seconds())
	}
}

// kindName is a kind as the series have it.
func kindName(kind care.Kind) string {
	if kind == "" {
		return "accepted"
	}
	return string(kind)
}

// Deferred counts a message that waits because of its gateway or its domain.
func (m *Metrics) Deferred(ch care.Channel, gateway, why string) {
	m.deferred.WithLabelValues(string(ch), gateway, why).Inc()
}

// Balances shows what accounts are worth, and nothing of those that are not named.
func (m *Metrics) Balances(all []sms.Balance) {
	m.balance.Reset()
	m.balanceLow.Reset()
	for _, b := range all {
		m.balance.WithLabelValues(b.Gateway).Set(b.Value)
		m.balanceLow.WithLabelValues(b.Gateway).Set(b.Low)
	}
}

// GatewaysOf makes the series of the gateways exist.
func (m *Metrics) GatewaysOf(all map[care.Channel][]delivery.Gateway) {
	for ch, gateways := range all {
		for _, g := range gateways {
			for _, kind := range kinds {
				m.gateways.WithLabelValues(string(ch), g.Name, kindName(kind))
			}
			for _, why := range []string{delivery.WhyFull, delivery.WhyResting, delivery.WhyDomain, delivery.WhyWarmup} {
				m.deferred.WithLabelValues(string(ch), g.Name, why)
			}
		}
	}
}

// Completed counts an outcome.
func (m *Metrics) Completed(rec *care.Record, lag time.Duration) {
	m.Changed(rec)
	if o := m.lag[rec.Channel]; o != nil && lag > 0 {
		o.Observe(lag.Seconds())
	}
}

// Changed counts a message that has come into another state.
func (m *Metrics) Changed(rec *care.Record) {
	key := reached{rec.Program, rec.Channel, rec.State}
	c, ok := m.reached.Load(key)
	if !ok {
		c, _ = m.reached.LoadOrStore(key, m.messages.WithLabelValues(rec.Program, string(rec.Channel), string(rec.State)))
	}
	c.(prometheus.Counter).Inc()
	if rec.State == care.StateExpired {
		m.expired.WithLabelValues(rec.Reason).Inc()
	}
}

// Fenced counts outcomes that another replica's takeover refused.
func (m *Metrics) Fenced(n int) { m.fenced.Add(float64(n)) }

// Dropped counts outcomes that could not be recorded before the end.
func (m *Metrics) Dropped(n int) { m.dropped.Add(float64(n)) }
