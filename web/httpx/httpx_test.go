package httpx

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"
)

// TestSlowLoris holds connections open that never finish a request, and still gets an answer.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	s := Server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("here")) }), slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Fatal("a time-out is missing")
	}
	s.ReadHeaderTimeout = 50 * time.Millisecond
	on, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(on) }()
	t.Cleanup(func() { _ = s.Close() })
	for range 50 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", on.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "))
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				return // 408
			} else if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a connection that sends nothing stays open")
			}
		}()
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+on.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
}

func TestLimiterForgets(t *testing.T) {
	t.Parallel()
	l := NewLimiter(1, 1, func() time.Time { return time.Unix(0, 0) })
	l.size = 100
	for i := range 10_000 {
		l.Take(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	if n := max(len(l.byAddr), l.recent.Len()); n != 100 {
		t.Errorf("%d clients are remembered", n)
	}
}
