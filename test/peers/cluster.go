package peers

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// RedisCluster is a Redis Cluster of three masters with one replica each.
type RedisCluster struct {
	// Nodes are the six servers; which of them are masters changes with each failover.
	Nodes []*RedisServer
}

// Cluster starts six servers with a node time-out of 2 s and joins them. It returns when every node says cluster_state:ok and three
// replicas are in step with their masters: killing a master before that would lose its slots for good.
func Cluster(t testing.TB, opts ...RedisOption) *RedisCluster {
	t.Helper()
	c := &RedisCluster{}
	all := []string{"--cluster", "create"}
	for _, port := range FreePorts(t, 6) {
		mode := WithArgs("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000")
		node := startRedis(t, port, append([]RedisOption{mode}, opts...)...)
		c.Nodes = append(c.Nodes, node)
		all = append(all, node.Addr())
	}
	if out, err := runCLI(t, append(all, "--cluster-replicas", "1", "--cluster-yes")...); err != nil {
		t.Fatalf("peers: join the cluster: %v\n%s", err, out)
	}
	Eventually(t, readyWithin, "cluster is whole and in step", c.ready)
	return c
}

func (c *RedisCluster) ready() error {
	synced := 0
	for _, n := range c.Nodes {
		state, err := n.cli("CLUSTER", "INFO")
		if err != nil {
			return err
		}
		if !strings.Contains(state, "cluster_state:ok") {
			return fmt.Errorf("%s: cluster_state is not ok", n.Addr())
		}
		link, err := n.info("replication", "master_link_status")
		if err != nil {
			return err
		}
		if link == "up" {
			synced++
		}
	}
	if synced < 3 {
		return fmt.Errorf("%d of 3 replicas are in step", synced)
	}
	return nil
}

// URL is redis-cluster://h1,h2,… with all six nodes, as CARE_REDIS_URL takes it.
func (c *RedisCluster) URL() string {
	addrs := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		addrs[i] = n.Addr()
	}
	return "redis-cluster://" + strings.Join(addrs, ",")
}

// Masters returns the running nodes that are masters now and serve slots.
func (c *RedisCluster) Masters() []*RedisServer {
	var masters []*RedisServer
	for _, n := range c.Nodes {
		if !n.proc.Running() {
			continue
		}
		if role, err := n.info("replication", "role"); err == nil && role == "master" {
			masters = append(masters, n)
		}
	}
	return masters
}

// AwaitReady waits again until all six nodes run, the cluster is whole and three replicas are in step, as after a Restart.
func (c *RedisCluster) AwaitReady(t testing.TB) {
	t.Helper()
	Eventually(t, readyWithin, "cluster is whole and in step", c.ready)
}

// SentinelName is the name under which the sentinels know the master.
const SentinelName = "care"

// RedisSentinel is one master with two replicas, watched by three sentinels with a quorum of two.
type RedisSentinel struct {
	// Nodes are the master of the first day and its replicas.
	Nodes []*RedisServer

	t         testing.TB
	sentinels []*RedisServer
}

// Sentinel starts them all and returns when both replicas are in step and every sentinel knows them and the others. A dead master is
// noticed after 1 s.
func Sentinel(t testing.TB, opts ...RedisOption) *RedisSentinel {
	t.Helper()
	ports := FreePorts(t, 6)
	s := &RedisSentinel{t: t}
	for i, port := range ports[:3] {
		o := opts
		if i > 0 {
			o = append([]RedisOption{WithArgs("--replicaof", "127.0.0.1", fmt.Sprint(ports[0]))}, opts...)
		}
		s.Nodes = append(s.Nodes, startRedis(t, port, o...))
	}
	for _, port := range ports[3:] {
		s.sentinels = append(s.sentinels, startSentinel(t, port, ports[0]))
	}
	Eventually(t, readyWithin, "sentinels know each other and the replicas", s.ready)
	return s
}

// startSentinel writes the settings anew, because a sentinel rewrites its own file.
func startSentinel(t testing.TB, port, master int) *RedisServer {
	t.Helper()
	s := &RedisServer{t: t, dir: ownDir(t), port: port}
	conf := filepath.Join(s.dir, "sentinel.conf")
	writeFile(t, conf, fmt.Sprintf(`port %d
bind 127.0.0.1
dir %s
sentinel monitor %[3]s 127.0.0.1 %[4]d 2
sentinel down-after-milliseconds %[3]s 1000
sentinel failover-timeout %[3]s 5000
`, port, s.dir, SentinelName, master))
	bin := program(t, "redis-sentinel", "redis-sentinel")
	s.proc = startProcess(t, "redis-sentinel", filepath.Join(s.dir, "redis.log"), exec.Command(bin, conf))
	Eventually(t, readyWithin, "redis-sentinel answers PING", s.ping)
	return s
}

func (s *RedisSentinel) ready() error {
	for _, n := range s.sentinels {
		state, err := n.info("sentinel", "master0")
		if err != nil {
			return err
		}
		if !strings.Contains(state, "status=ok") || !strings.Contains(state, "slaves=2") || !strings.Contains(state, "sentinels=3") {
			return fmt.Errorf("a sentinel sees %q", state)
		}
	}
	// A node that comes back is a master of nobody until a sentinel tells it otherwise, and the sentinels count it as a replica
	// meanwhile: the nodes themselves must say whose they are.
	master, err := s.master()
	if err != nil {
		return err
	}
	for _, n := range s.Nodes {
		if n == master {
			continue
		}
		of, err := n.info("replication", "master_port")
		if err != nil {
			return err
		}
		link, err := n.info("replication", "master_link_status")
		if err != nil {
			return err
		}
		if of != fmt.Sprint(master.Port()) || link != "up" {
			return fmt.Errorf("%s is not in step with %s (it follows port %q, link %q)", n.Addr(), master.Addr(), of, link)
		}
	}
	return nil
}

// URL is redis-sentinel://s1,s2,s3/care, as CARE_REDIS_URL takes it.
func (s *RedisSentinel) URL() string {
	addrs := make([]string, len(s.sentinels))
	for i, n := range s.sentinels {
		addrs[i] = n.Addr()
	}
	return "redis-sentinel://" + strings.Join(addrs, ",") + "/" + SentinelName
}

// Master returns the node that the first sentinel calls the master now.
func (s *RedisSentinel) Master() *RedisServer {
	s.t.Helper()
	n, err := s.master()
	if err != nil {
		s.t.Fatalf("peers: %v", err)
	}
	return n
}

func (s *RedisSentinel) master() (*RedisServer, error) {
	out, err := s.sentinels[0].cli("SENTINEL", "get-master-addr-by-name", SentinelName)
	if err != nil {
		return nil, err
	}
	for _, n := range s.Nodes {
		if strings.HasSuffix(out, fmt.Sprint(n.Port())) {
			return n, nil
		}
	}
	return nil, fmt.Errorf("the sentinels name a master that is none of ours: %q", out)
}

// AwaitReady waits again until the sentinels see a master in order and both other nodes follow it and are in step, as after a Restart. A
// sentinel takes some ten seconds to make a replica of a master that has come back.
func (s *RedisSentinel) AwaitReady() {
	s.t.Helper()
	Eventually(s.t, 2*readyWithin, "sentinels see a master with two replicas", s.ready)
}
