package feedback_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/store"
	"github.com/carebell/carebell/store/redistest"
)

const listening = `program: ready
trigger: {on: signal, signal: car_ready}
expires: 2d
steps: [{step: now, template: ready}]
`

// workshop is a dealer whose program listens to car_ready, with the customer C1 and her car V1.
type workshop struct {
	feedback.Signals
	store *store.Store
	redis *redis.Client
	now   time.Time
	mu    sync.Mutex
	count map[string]int
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{now: time.Now().UTC().Truncate(time.Second), count: map[string]int{}}
	url := redistest.Run(t).URL()
	log := slog.New(slog.DiscardHandler)
	clock := func() time.Time { return w.now }
	st, err := store.Open(t.Context(), store.Options{URL: url, AllowUnsafe: true, Clock: clock, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	w.store, w.redis = st, redis.NewClient(options)
	t.Cleanup(func() { _ = w.redis.Close() })
	book, problems, err := carebook.Check(carebook.Options{Now: clock, Files: fstest.MapFS{
		"dealers.yaml":                     {Data: []byte("dealers:\n  - {dealer: north, name: N, time_zone: America/New_York, locale: en, country: US, phone: \"+13125550123\", from: {name: N, email: a@north.example}, sms_signature: N}\n")},
		"programs/ready.yaml":              {Data: []byte(listening)},
		"templates/ready/en/sms.txt":       {Data: []byte("Your car {{ vehicle.plate | default: '' }} is ready, order {{ signal.order }}, bay {{ signal.bay | default: 'one' }}.")},
		"templates/ready/en/email.md":      {Data: []byte("---\nsubject: Ready\n---\n{{ signal.order }}\n")},
		"templates/_layouts/default.html":  {Data: []byte(`<html><body>{{ content }}</body></html>`)},
		"templates/_partials/en/unused.md": {Data: []byte("x")},
	}})
	if err != nil {
		t.Fatal(problems, err)
	}
	w.Signals = feedback.Signals{
		Store: st, Events: feedback.Directory{Store: st}, Book: func() *carebook.Compiled { return book }, Leads: func() bool { return true },
		Count: func(result string) {
			w.mu.Lock()
			w.count[result]++
			w.mu.Unlock()
		},
		Now: clock, Log: log, Idle: time.Millisecond,
	}
	record := `{"id":"C1","dealer":"north","phone":"+12125550123","vehicles":[{"id":"V1","plate":"KTR4821"}]}`
	if err := w.redis.Set(t.Context(), "care:customer:C1", record, 0).Err(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *workshop) say(t *testing.T, words ...string) string {
	t.Helper()
	id, err := w.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: "care:signals", Values: words}).Result()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// until runs the reader until the counts are these.
func (w *workshop) until(t *testing.T, want map[string]int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	for ctx.Err() == nil {
		w.mu.Lock()
		same := maps.Equal(w.count, want)
		w.mu.Unlock()
		if left, err := w.store.Signals(t.Context(), 1); same && err == nil && len(left) == 0 {
			cancel()
		}
		time.Sleep(time.Millisecond)
	}
	<-done
	if diff := cmp.Diff(want, w.count); diff != "" {
		t.Fatal(diff)
	}
}

func (w *workshop) facts(t *testing.T) *care.Facts {
	t.Helper()
	list, err := w.store.Facts(t.Context(), []string{"C1"})
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

func TestSignalsOfTheStream(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	first := w.say(t, "signal", "car_ready", "customer", "C1", "vehicle", "V1", "order", "RO-889")
	w.say(t, "signal", "car_ready", "customer", "C1", "key", "RO-900", "order", "RO-900")
	w.say(t, "signal", "car_ready", "customer", "C1", "key", "RO-900", "order", "RO-900")
	for _, words := range [][]string{
		{"signal", "car_redy", "customer", "C1"}, {"signal", "car_ready", "customer", "C2"}, {"signal", "car_ready"}, {"customer", "C1"},
		{"signal", "car_ready", "customer", "C1", "Order", "x"}, {"signal", "car_ready", "customer", "C1", "order", strings.Repeat("x", 501)},
		{"signal", "car_ready", "customer", "C1", "key", "a b"}, {"signal", "car_ready", "customer", "C1", "order", "\xff"},
	} {
		w.say(t, words...)
	}
	want := map[string]int{"taken": 2, "again": 1, "unknown_signal": 1, "unknown_customer": 1, "bad_signal": 6}
	w.until(t, want)
	f := w.facts(t)
	if len(f.Overlay.Signals) != 2 || f.Overlay.Signals[0].ID != first || f.Overlay.Signals[0].Fields["order"] != "RO-889" || f.Overlay.Signals[1].ID != "RO-900" {
		t.Errorf("%+v", f.Overlay.Signals)
	}
	if changes, err := w.redis.XLen(t.Context(), "care:changes").Result(); err != nil || changes != 3 {
		t.Errorf("%d changes, %v", changes, err)
	}
	line, err := w.store.Timeline(t.Context(), "C1")
	if err != nil || len(line) != 2 || line[0].Kind != feedback.KindSignal || line[0].Value != "car_ready" {
		t.Errorf("%+v %v", line, err)
	}
	refused := 0
	events, err := w.store.Events(t.Context(), "", 100)
	for _, e := range events {
		if e.Kind == feedback.KindSignalRefused && e.Reason != "" && e.ID != "" && e.Customer == "" {
			refused++
		}
	}
	if err != nil || refused != 8 {
		t.Errorf("%d are reported, %v", refused, err)
	}
	// What was taken is not taken again, by this replica or the next.
	w.say(t, "signal", "car_ready", "customer", "C1", "key", "RO-901")
	want["taken"]++
	w.until(t, want)
}

func TestAMessageOfASignal(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	sig := care.Signal{ID: "RO-1", Signal: "car_ready", Customer: "C1", Vehicle: "V1", At: w.now, Fields: map[string]string{"order": "RO-1 <b>"}}
	if taken, err := w.Give(t.Context(), care.CommandLine(), sig); err != nil || !taken {
		t.Fatal(taken, err)
	}
	book, f := w.Book(), w.facts(t)
	rec := &care.Record{ID: care.OccurrenceID("C1", "V1", "ready", "now", "RO-1"), Customer: "C1", Vehicle: "V1", Program: "ready", Step: "now", Cycle: "RO-1", Expires: w.now.AddDate(0, 0, 2)}
	o := book.Check(f, rec, w.now, nil)
	if o.Verdict != care.Send || len(o.Channels) != 1 {
		t.Fatalf("%+v", o)
	}
	m, err := book.Compose(f, o, care.SMS, w.now)
	if err != nil || string(m.Text) != "Your car KTR4821 is ready, order RO-1 <b>, bay one." {
		t.Errorf("%s %v", m.Text, err)
	}
	// When nothing can come of it any more, it is forgotten.
	w.now = w.now.AddDate(0, 0, 30)
	if err := w.store.Scan(t.Context(), func([]*care.Facts) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if f := w.facts(t); len(f.Overlay.Signals) > 0 {
		t.Errorf("%+v", f.Overlay.Signals)
	}
}

func TestSignalsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	good := care.Signal{ID: "1", Signal: "car_ready", Customer: "C1", At: w.now}
	for name, c := range map[string]struct {
		who    care.Principal
		change func(*care.Signal)
		want   error
	}{
		"another dealer's customer": {care.Principal{Name: "n", Dealers: []string{"south"}}, func(*care.Signal) {}, feedback.ErrSignalCustomer},
		"nobody":                    {care.Principal{}, func(*care.Signal) {}, feedback.ErrSignalCustomer},
		"too old":                   {care.CommandLine(), func(s *care.Signal) { s.At = w.now.AddDate(0, -2, 0) }, feedback.ErrSignalOld},
		"too many fields": {care.CommandLine(), func(s *care.Signal) {
			s.Fields = map[string]string{}
			for i := range 31 {
				s.Fields[fmt.Sprint("f", i)] = "x"
			}
		}, feedback.ErrSignalShape},
	} {
		sig := good
		c.change(&sig)
		if taken, err := w.Give(t.Context(), c.who, sig); taken || !errors.Is(err, c.want) || feedback.RefusedSignal(err) == "" {
			t.Errorf("%s: %v, %v", name, taken, err)
		}
	}
	for i := range 101 {
		sig := good
		sig.ID = fmt.Sprint(i)
		if taken, err := w.Give(t.Context(), care.CommandLine(), sig); taken != (i < 100) || errors.Is(err, feedback.ErrSignalMany) != (i == 100) {
			t.Fatal(i, taken, err)
		}
	}
	w.say(t, "signal", "car_ready", "customer", "C1")
	if err := w.store.Erase(t.Context(), "C1", nil, false); err != nil {
		t.Fatal(err)
	}
	if n := w.redis.XLen(t.Context(), "care:signals").Val(); n != 0 || len(w.facts(t).Overlay.Signals) != 0 {
		t.Errorf("an erased customer's signals are there: %d", n)
	}
	if _, err := w.Give(t.Context(), care.CommandLine(), good); !errors.Is(err, feedback.ErrSignalCustomer) {
		t.Error(err)
	}
}
