package daemon

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The whole way: what happens in the daemon arrives at the endpoint, signed as Standard Webhooks say.
func TestEventsAndTasksArriveSigned(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	check, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	got := map[string]map[string]any{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := check.Verify(body, r.Header); err != nil {
			t.Errorf("signature: %v", err)
		}
		var e struct {
			Type      string
			Timestamp time.Time
			Data      map[string]any
		}
		if err := json.Unmarshal(body, &e); err != nil || e.Timestamp.IsZero() {
			t.Errorf("%s: %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got[e.Type] = e.Data
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	_, st := house(t, func(s *config.Settings) {
		s.DryRun = false
		s.Webhook = config.Webhook{
			URL: config.NewSecret(srv.URL), Secret: config.Secrets{config.NewSecret(secret)}, Events: true, Rate: 50, Connections: 4,
		}
	})
	id := care.OccurrenceID("C1", "V1", "maintenance", "heads-up", "2026-01-01")
	err = st.Note(t.Context(), []care.EventEntry{
		{At: time.Now(), ID: id, Customer: "C1", Dealer: "d", Program: "maintenance", Step: "heads-up", Channel: care.Email, State: care.StateFailed, Reason: "recipient"},
		{At: time.Now(), Customer: "C1", Dealer: "d", Kind: "survey", Value: "9"},
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, soon, "the failure, the answer and the task arrive", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return got["message.failed"] != nil && got["customer.survey"] != nil && got["task"] != nil
	})
	mu.Lock()
	defer mu.Unlock()
	task := got["task"]
	delete(task, "at")
	want := map[string]any{
		"id": id, "customer": "C1", "dealer": "d", "program": "maintenance", "step": "heads-up", "channel": "email", "kind": "task",
		"reason": "not_reached", "value": "recipient",
	}
	if diff := cmp.Diff(want, task); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	line, err := st.Timeline(t.Context(), "C1")
	if err != nil || !slices.ContainsFunc(line, func(e care.EventEntry) bool { return e.Kind == "task" }) {
		t.Errorf("the task is not on the timeline: %+v, %v", line, err)
	}
}
