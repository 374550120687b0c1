package webhook_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/carebell/carebell/channels/channeltest"
	"github.com/carebell/carebell/channels/webhook"
)

// BenchmarkSend posts signed webhooks to a server in the same process.
func BenchmarkSend(b *testing.B) {
	peer := channeltest.NewHTTPPeer(b, func(http.ResponseWriter) {})
	s, err := webhook.New(webhook.Config{URL: peer.URL(), Secrets: []string{secret1}, Clock: testClock, Connections: 64})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	m := testMessage()
	b.SetParallelism(16)
	b.ReportAllocs()
	var failed atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Send(b.Context(), m); err != nil {
				failed.Add(1)
			}
		}
	})
	if n := failed.Load(); n > 0 {
		b.Fatalf("%d of %d failed", n, b.N)
	}
}
