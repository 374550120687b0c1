package webhook

import (
	"net/http"
	"net/url"
	"testing"
)

func newRequest(t *testing.T, u *url.URL) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = u
	return r
}
