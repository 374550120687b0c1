package httpclient_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/channels/httpclient"
)

// BenchmarkDo posts over one connection, and the same with nothing but net/http. The server's part is in both, as is the processor time
// of the whole process.
func BenchmarkDo(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "0: Accepted for delivery")
	}))
	b.Cleanup(server.Close)
	body := bytes.Repeat([]byte("0123456789"), 50)
	b.Run("carebell", func(b *testing.B) {
		c := client(b, httpclient.Config{})
		count(b, func() error {
			_, err := c.Do(b.Context(), &httpclient.Request{Method: http.MethodPost, URL: server.URL, Body: body})
			return err
		})
	})
	b.Run("net-http", func(b *testing.B) {
		transport := &http.Transport{}
		b.Cleanup(transport.CloseIdleConnections)
		c := &http.Client{Transport: transport, Timeout: 30 * time.Second}
		count(b, func() error {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, bytes.NewReader(body))
			if err != nil {
				return err
			}
			resp, err := c.Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			return err
		})
	})
}

func count(b *testing.B, do func() error) {
	b.Helper()
	b.ReportAllocs()
	before := processor()
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((processor()-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

// processor is the processor time of this process so far.
func processor() time.Duration {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
