//go:build faults

package faults

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
)

// TestRow13AClusterShares delivers the same backlog with one replica and with three, over a Cluster of three masters, and says how the work
// falls on the masters and what a message costs. That all of this runs on one machine shows in the rate, not in the costs.
func TestRow13AClusterShares(t *testing.T) {
	c := peers.Cluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses(c.URL()), Protocol: 2, DisableIdentity: true})
	defer client.Close()
	for _, replicas := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d replicas", replicas), func(t *testing.T) {
			if err := client.ForEachMaster(t.Context(), func(ctx context.Context, m *redis.Client) error { return m.FlushAll(ctx).Err() }); err != nil {
				t.Fatal(err)
			}
			h := newHouse(t, houseOptions{redisURL: c.URL(), client: client})
			const due = 30_000
			h.customers(due, care.Email, false)
			h.release()
			before := redisCPU(c)
			start := time.Now()
			all := h.serveAll(replicas)
			h.awaitDrained(5 * time.Minute)
			took := time.Since(start)
			work := redisCPU(c)
			var sum float64
			for i := range work {
				work[i] -= before[i]
				sum += work[i]
			}
			var used time.Duration
			for _, r := range all {
				used += cpu(t, r.Pid())
			}
			shares := make([]string, len(work))
			for i := range work {
				shares[i] = fmt.Sprintf("%.0f %%", 100*work[i]/sum)
			}
			f := h.judge(fmt.Sprintf("13, with %d replicas", replicas),
				fmt.Sprintf("%.0f e-mails/s from the start of the replicas; a message: daemons %.0f µs, masters %.0f µs of processor time; the masters' shares %s",
					due/took.Seconds(), float64(used.Microseconds())/due, sum*1e6/due, strings.Join(shares, ", ")))
			if f.Sent != due || f.Duplicates != 0 {
				t.Error("want every message once")
			}
			for _, r := range all {
				r.Kill()
			}
		})
	}
}

// redisCPU is the processor time of each master, in seconds.
func redisCPU(c *peers.RedisCluster) []float64 {
	var out []float64
	for _, m := range c.Masters() {
		sum := 0.0
		for line := range strings.Lines(m.CLI("INFO", "cpu")) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			if name == "used_cpu_user" || name == "used_cpu_sys" {
				n, _ := strconv.ParseFloat(value, 64)
				sum += n
			}
		}
		out = append(out, sum)
	}
	return out
}
