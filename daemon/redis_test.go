package daemon

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// redisServer is a redis-server of one test, on a folder of its own, which can be stopped and started again.
type redisServer struct {
	t     *testing.T
	addr  string
	dir   string
	fsync string
	cmd   *exec.Cmd // nil = it does not run
}

// startRedis starts a redis-server with an append-only file, as carebell needs it, until the test ends.
func startRedis(t *testing.T, fsync string) *redisServer {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{t: t, addr: free.Addr().String(), dir: t.TempDir(), fsync: fsync}
	_ = free.Close()
	t.Cleanup(s.stop)
	s.start()
	return s
}

func (s *redisServer) url() string { return "redis://" + s.addr }

func (s *redisServer) start() {
	s.t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatalf("this test needs redis-server: apt-get install -y --no-install-recommends redis-server (%v)", err)
	}
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--logfile", filepath.Join(s.dir, "redis.log"),
		"--appendonly", "yes", "--appendfsync", s.fsync, "--maxmemory-policy", "noeviction", "--save", "")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	await(s.t, soon, "redis-server answers", func() bool { return client.Ping(s.t.Context()).Err() == nil })
}

// stop ends it as an operator does, and returns when it is gone.
func (s *redisServer) stop() {
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	if err := s.cmd.Wait(); err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "redis.log"))
		s.t.Errorf("redis-server: %v\n%s", err, log)
	}
	s.cmd = nil
}

// pause stops the process without ending it: Redis takes connections and answers nothing, until resume.
func (s *redisServer) pause() { s.signal(syscall.SIGSTOP) }

// resume lets a paused server go on.
func (s *redisServer) resume() { s.signal(syscall.SIGCONT) }

func (s *redisServer) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Error(err)
	}
}
