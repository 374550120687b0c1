package webhook_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/carebell/carebell/channels/webhook"
)

// BenchmarkSend posts signed webhooks to a server in the same process, and the same bodies with nothing but net/http.
func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	b.Cleanup(server.Close)
	s, err := webhook.New(webhook.Config{URL: server.URL, Secrets: []string{secret1}, Clock: testClock, Connections: 16})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	m := testMessage()
	m.Body = bytes.Repeat([]byte(`{"customer":"C100001"}`), 20)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	b.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	for _, way := range []struct {
		name string
		post func() error
	}{
		{"carebell", func() error {
			_, err := s.Send(b.Context(), m)
			return err
		}},
		{"net-http", func() error {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, bytes.NewReader(m.Body))
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			return err
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetParallelism(8)
			b.ReportAllocs()
			var failed atomic.Int64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if way.post() != nil {
						failed.Add(1)
					}
				}
			})
			if n := failed.Load(); n > 0 {
				b.Fatalf("%d of %d failed", n, b.N)
			}
		})
	}
}
