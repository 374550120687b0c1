//go:build e2e || faults

package faults

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// Redis is away when a replica starts: it waits, says so, and goes on by itself.
func TestRow45RedisIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	h, redis := newHouseOn(t, houseOptions{})
	h.customers(40, care.Email, false)
	h.release()
	redis.Pause()
	r := h.replica()
	h.eventually(30*time.Second, "it is alive, and says why it is not ready", func() error {
		alive, _, err := r.get("/healthz")
		if err != nil {
			return err
		}
		status, said, err := r.get("/readyz")
		if err != nil {
			return err
		}
		if alive != http.StatusOK || status != http.StatusServiceUnavailable || !strings.Contains(said, "waiting for Redis") {
			return fmt.Errorf("healthz %d, readyz %d %q", alive, status, said)
		}
		return nil
	})
	gone := h.replica()
	time.Sleep(pick(time.Second, 5*time.Second))
	stop := time.Now()
	gone.term(2 * time.Second)
	stopped := time.Since(stop)
	redis.Resume()
	back := time.Now()
	r.awaitReady(5 * time.Second)
	ready := time.Since(back)
	h.awaitAccepts(40, 30*time.Second)
	h.judge("45", fmt.Sprintf("ready %.1f s after Redis was back; SIGTERM while waiting took %.1f s", ready.Seconds(), stopped.Seconds()))
}
