package sms_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/channels/sms"
)

// BenchmarkSend sends text messages to a Kannel over one connection. The server's part is in it; the processor time is that of the whole
// process.
func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "0: Accepted for delivery")
	}))
	b.Cleanup(server.Close)
	s := newSender(b, sms.Config{Gateways: []sms.Gateway{{Name: "kannel", User: "care", URL: server.URL}}})
	m := testMessage()
	b.ReportAllocs()
	before := processorTime()
	for b.Loop() {
		if _, err := s.Send(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((processorTime()-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

// processorTime is the processor time of this process so far.
func processorTime() time.Duration {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
