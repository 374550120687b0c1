package daemon

import (
	"testing"

	"github.com/carebell/carebell/store/redistest"
)

// startRedis starts a redis-server with an append-only file, as carebell needs it, until the test ends.
func startRedis(t *testing.T, fsync string) *redistest.Server {
	t.Helper()
	return redistest.Run(t, "--appendonly", "yes", "--appendfsync", fsync, "--maxmemory-policy", "noeviction")
}
