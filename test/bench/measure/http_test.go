package measure

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// TestBareRepeatsTheFirstRequest makes two requests of an endpoint: what it has seen is the first, and bare makes just that one again.
func TestBareRepeatsTheFirstRequest(t *testing.T) {
	t.Parallel()
	in, word := io.Pipe()
	out, says := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Endpoint(t.Context(), in, says) }()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{url: strings.TrimSpace(address)}
	s, err := e.seen(t.Context())
	if err != nil || s.Like.Method != "" || s.CPU <= 0 {
		t.Fatalf("before any request: %+v, %v", s, err)
	}
	if _, err := e.bare(t.Context(), 1, s.Like); err == nil || !strings.Contains(err.Error(), "no request") {
		t.Errorf("a request that was never made was made again: %v", err)
	}
	first := request{
		Method: http.MethodPost, Path: "/hook?a=b%20c",
		Header: http.Header{"User-Agent": {"carebell"}, "X-A": {"1", "2"}, "Content-Length": {"5"}}, Body: []byte("first"),
	}
	for _, like := range []request{first, {Method: http.MethodGet, Path: "/cgi-bin/sendsms?text=later"}} {
		if _, err := e.bare(t.Context(), 1, like); err != nil {
			t.Fatal(err)
		}
	}
	if s, err = e.seen(t.Context()); err != nil || !reflect.DeepEqual(s.Like, first) {
		t.Fatalf("seen %+v, %v, want %+v", s.Like, err, first)
	}
	var mu sync.Mutex
	var got []request
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, request{r.Method, r.URL.RequestURI(), r.Header, body})
	}))
	defer other.Close()
	if _, err := (&endpoint{url: other.URL}).bare(t.Context(), 3, s.Like); err != nil {
		t.Fatal(err)
	}
	if want := []request{first, first, first}; !reflect.DeepEqual(got, want) {
		t.Errorf("made again: %+v, want %+v", got, want)
	}
	if err := word.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
