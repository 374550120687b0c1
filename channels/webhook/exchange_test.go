package webhook_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/webhook"
)

func TestExchangeShowsRequestAndAnswer(t *testing.T) {
	t.Parallel()
	srv := newSink(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"error":"unknown field"}`)
	})
	x, err := newSender(t, webhook.Config{URL: srv.URL, Secrets: []string{secret1}}).Test(t.Context(), testMessage())
	if care.KindOf(err) != care.KindContent {
		t.Errorf("got %v", err)
	}
	r := srv.requests()[0]
	got := []string{x.Method, x.URL, string(x.Body), x.Header.Get("webhook-signature"), string(x.AnswerBody)}
	want := []string{"POST", srv.URL, r.body, r.header.Get("webhook-signature"), `{"error":"unknown field"}`}
	if diff := cmp.Diff(want, got); diff != "" || x.Status != 422 {
		t.Errorf("status %d (-want +got):\n%s", x.Status, diff)
	}
}
