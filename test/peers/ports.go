package peers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports are taken from below the range that Linux uses for outgoing connections (32768 and up): a server that is stopped and started
// again on its port must not find it taken by some client's socket.
const (
	firstPort = 12000
	lastPort  = 22000
	// busOffset is where a Redis Cluster node listens for its peers, above its own port.
	busOffset = 10000
)

// FreePorts returns n different loopback TCP ports that nobody listened on a moment ago and whose number plus 10,000 was free too, as
// a Redis Cluster needs it. Nothing reserves them: a caller whose server cannot bind asks again.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	seen := map[int]bool{}
	ports := make([]int, 0, n)
	for tries := 0; len(ports) < n; tries++ {
		if tries > 1000 {
			t.Fatal("peers: no free loopback port between 12000 and 22000; stop what holds them")
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		if seen[port] || !portFree(port) || !portFree(port+busOffset) {
			continue
		}
		seen[port] = true
		ports = append(ports, port)
	}
	return ports
}

func portFree(port int) bool {
	l, err := net.Listen("tcp4", loopback(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func localURL(port int, path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", port, path) }
