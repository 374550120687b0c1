//go:build e2e || faults

package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/test/peers"
	"github.com/redis/go-redis/v9"
)

// addresses are those in a URL of several: redis-sentinel://h1,h2/name or redis-cluster://h1,h2.
func addresses(url string) []string {
	_, rest, _ := strings.Cut(url, "://")
	hosts, _, _ := strings.Cut(rest, "/")
	return strings.Split(hosts, ",")
}

func TestRow12SentinelFailover(t *testing.T) {
	t.Parallel()
	s := peers.Sentinel(t)
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: peers.SentinelName, SentinelAddrs: addresses(s.URL()), Protocol: 2, DisableIdentity: true,
	})
	defer client.Close()
	h := newHouse(t, houseOptions{redisURL: s.URL(), client: client, sink: slow(100 * time.Millisecond)})
	h.customers(1000, care.Email, false)
	h.release()
	r := h.serve()
	h.awaitAccepts(100, 20*time.Second)
	longest := time.Duration(0)
	failovers := pick(2, 10)
	for range failovers {
		h.customers(1000, care.Email, true) // so that there is load
		h.recovery(10 * time.Second)
		old := s.Master()
		old.Kill()
		h.eventually(20*time.Second, "a replica is promoted", func() error {
			if s.Master() == old {
				return fmt.Errorf("%s is still the master", old.Addr())
			}
			return nil
		})
		longest = max(longest, h.recovery(20*time.Second))
		old.Restart()
		s.AwaitReady()
	}
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	f := h.judge("12", fmt.Sprintf("failovers %d, going again %.1f s after the promotion at most", failovers, longest.Seconds()))
	if longest > 5*time.Second {
		t.Errorf("going again after %v, want 5 s at most", longest)
	}
	if f.Sent != f.Planned || !r.Running() {
		t.Error("want all sent by a daemon that has stayed")
	}
}

func TestRow13Cluster(t *testing.T) {
	t.Parallel()
	c := peers.Cluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses(c.URL()), Protocol: 2, DisableIdentity: true})
	defer client.Close()
	h := newHouse(t, houseOptions{redisURL: c.URL(), client: client, sink: slow(100 * time.Millisecond)})
	h.customers(pick(3000, 15000), care.Email, false)
	h.release()
	r := h.serve()
	h.awaitAccepts(100, 20*time.Second)

	masters := c.Masters()
	nodeID := func(s *peers.RedisServer) string { return s.CLI("--raw", "CLUSTER", "MYID") }
	slots := pick("1500", "4000")
	masters[0].CLI("--cluster", "reshard", masters[0].Addr(), "--cluster-from", nodeID(masters[0]), "--cluster-to", nodeID(masters[1]),
		"--cluster-slots", slots, "--cluster-yes")
	moved := h.recovery(20 * time.Second)

	longest := time.Duration(0)
	for _, m := range masters[:pick(1, 3)] {
		m.Kill()
		longest = max(longest, h.wholeAgain(40*time.Second))
		m.Restart()
		c.AwaitReady(t)
	}
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	crossed := strings.Count(r.Logs(), "CROSSSLOT")
	f := h.judge("13", fmt.Sprintf("%s slots moved live (going on after %.1f s), masters killed %d, every shard served again after %.1f s at most, CROSSSLOT %d",
		slots, moved.Seconds(), pick(1, 3), longest.Seconds(), crossed))
	if f.Sent != f.Planned || crossed > 0 || !r.Running() {
		t.Error("want all sent, by a daemon that has stayed, without CROSSSLOT")
	}
}

// wholeAgain waits until a message of each shard has been accepted, and returns how long that took.
func (h *house) wholeAgain(within time.Duration) time.Duration {
	h.t.Helper()
	start := time.Now()
	h.eventually(within, "every shard serves", func() error {
		shards := map[int]bool{}
		for _, e := range h.sink.Journal() {
			if e.At.After(start) && e.ID != "" {
				shards[int(e.ID[0]-'a')] = true
			}
		}
		if len(shards) < care.Shards {
			return fmt.Errorf("%d of %d do", len(shards), care.Shards)
		}
		return nil
	})
	return time.Since(start)
}

func TestRow27ABacklogIsReleased(t *testing.T) {
	t.Parallel()
	due, perSecond := pick(3000, 100000), pick(300, 1000)
	h := newHouse(t, houseOptions{env: []string{fmt.Sprintf("CARE_SMTP_RATE=%d", perSecond)}})
	h.customers(due, care.Email, false)
	h.release()
	all := h.serveAll(2)
	h.awaitDrained(pick(time.Minute, 10*time.Minute))
	var left, arrived []time.Time
	for _, r := range h.records() {
		left = append(left, r.Attempts[0].At)
	}
	for _, e := range h.sink.Journal() {
		arrived = append(arrived, e.At)
	}
	busiest, atSink := busiestSecond(left), busiestSecond(arrived)
	most := 0
	for _, r := range all {
		most = max(most, memory(t, r.Pid()))
	}
	f := h.judge("27", fmt.Sprintf("2 replicas, rate %d/s, busiest second %d at the daemons and %d at the sink, memory %.0f MiB at most", perSecond, busiest, atSink, float64(most)/(1<<20)))
	// What has left evenly arrives bunched when this machine keeps the sink waiting.
	if busiest > perSecond || atSink > perSecond*115/100 {
		t.Errorf("%d left and %d arrived in a second, want %d at most", busiest, atSink, perSecond)
	}
	if most > 128<<20 {
		t.Errorf("%d bytes of memory, want 128 MiB at most", most)
	}
	if f.Sent != f.Planned || f.Duplicates > 0 {
		t.Error("want each sent once")
	}
}

// busiestSecond is how many of the times lie in one second, wherever it begins.
func busiestSecond(at []time.Time) int {
	slices.SortFunc(at, time.Time.Compare)
	busiest, from := 0, 0
	for i := range at {
		for at[i].Sub(at[from]) >= time.Second {
			from++
		}
		busiest = max(busiest, i-from+1)
	}
	return busiest
}
