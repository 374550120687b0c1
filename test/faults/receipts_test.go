//go:build e2e || faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/sink/serve"
)

// Kannel's delivery events, as its user guide numbers them.
const (
	eventDelivered = "1"
	eventFailed    = "2"
	eventBuffered  = "4"
	eventAccepted  = "8"
)

// Every receipt comes ten times, in any order, and while the gateway has not even answered yet.
func TestRow28Receipts(t *testing.T) {
	t.Parallel()
	options := slow(500 * time.Millisecond)
	options.Keep = true
	h := newHouse(t, houseOptions{channels: []care.Channel{care.SMS}, sink: options})
	ids := h.customers(pick(60, 2000), care.SMS, false)
	h.release()
	r := h.serve()
	want := map[string]care.State{}
	early, told := 0, map[string]bool{}
	var posts sync.WaitGroup
	var failures sync.Map
	for deadline := time.Now().Add(pick(time.Minute, 10*time.Minute)); len(told) < len(ids) && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, e := range h.sink.Journal() {
			if e.Event != serve.EventAccept || told[e.ID] {
				continue
			}
			told[e.ID] = true
			if time.Since(e.At) < 400*time.Millisecond {
				early++ // the sink answers after 500 ms
			}
			events, state := []string{eventAccepted, eventBuffered, eventDelivered}, care.StateDelivered
			if len(told)%2 == 0 {
				events[2], state = eventFailed, care.StateUndelivered
			}
			want[e.ID] = state
			posts.Go(func() {
				if err := r.receipts(e.Path, events); err != nil {
					failures.Store(e.ID, err)
				}
			})
		}
	}
	posts.Wait()
	failures.Range(func(id, err any) bool { t.Errorf("%v: %v", id, err); return true })
	if early < len(ids)/2 {
		t.Errorf("only %d receipts of %d came before the answer", early, len(ids))
	}
	h.awaitDrained(20 * time.Second)
	h.eventually(20*time.Second, "the receipts are on record", func() error {
		for _, rec := range h.records() {
			if rec.State != want[rec.ID+"-sms"] {
				return fmt.Errorf("%s is %s, want %s", rec.ID, rec.State, want[rec.ID+"-sms"])
			}
		}
		return nil
	})
	if f := h.judge("28", fmt.Sprintf("%d messages with 30 shuffled receipts each, %d of them told before the answer", len(told), early)); f.Sent != f.Planned {
		t.Error("want all sent")
	}
}

// receipts calls the daemon back as the gateway was asked to in the request, ten times for each event, in any order.
func (r *replica) receipts(request string, events []string) error {
	u, err := url.Parse(request)
	if err != nil {
		return err
	}
	callback := u.Query().Get("dlr-url")
	all := make([]string, 0, 10*len(events))
	for range 10 {
		all = append(all, events...)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, event := range all {
		to := strings.NewReplacer("https://care.example", fmt.Sprintf("http://127.0.0.1:%d", r.public), "%d", event, "%A", "", "%F", "", "%T", "").Replace(callback)
		res, err := http.Get(to)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode >= 300 {
			return fmt.Errorf("the callback was answered %s", res.Status)
		}
	}
	return nil
}
