// Package redistest starts redis-servers for tests: each on a free port of the loopback, in a folder of its own, gone when the test is.
//
// It says what to install where redis-server is missing; a test that needs Redis never passes without one.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server that can be stopped and started again on the same port and data.
type Server struct {
	Addr string // host:port
	Dir  string // its data
	args []string
	cmd  *exec.Cmd // nil = it does not run
}

// T is what is used of *testing.T and *testing.B.
type T interface {
	Helper()
	TempDir() string
	Cleanup(end func())
	Fatal(args ...any)
}

// Run starts a server for a test, which ends with it. args are options of redis-server, such as --appendonly yes; without any it keeps an
// append-only file, as carebell asks for.
func Run(t T, args ...string) *Server {
	t.Helper()
	s, err := New(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// New starts a server whose data lie in dir, for a TestMain. Kill ends it.
func New(dir string, args ...string) (*Server, error) {
	free, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: free.Addr().String(), Dir: dir, args: args}
	if len(args) == 0 {
		s.args = []string{"--appendonly", "yes"}
	}
	return s, errors.Join(free.Close(), s.Start())
}

// URL is the server's address as CARE_REDIS_URL has it.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Start starts the server, and waits until it answers.
func (s *Server) Start() error {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("this test needs redis-server: apt-get install -y --no-install-recommends redis-server (%w)", err)
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	log := filepath.Join(s.Dir, "redis.log")
	cmd := exec.Command(program, append([]string{"--port", port, "--bind", host, "--dir", s.Dir, "--logfile", log, "--save", ""}, s.args...)...) //nolint:gosec,noctx // the test's own
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	client := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	for range 800 {
		if err = client.Ping(context.Background()).Err(); err == nil {
			return nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	s.Kill()
	said, _ := os.ReadFile(log) //nolint:gosec // see above
	return fmt.Errorf("redis-server does not answer: %w\n%s", err, said)
}

// Stop ends the server as an operator does, and waits until it is gone: everything is on disk.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

// Kill ends the server at once.
func (s *Server) Kill() { _ = s.end(syscall.SIGKILL) }

func (s *Server) end(sig syscall.Signal) error {
	if s.cmd == nil {
		return nil
	}
	cmd := s.cmd
	s.cmd = nil
	return errors.Join(cmd.Process.Signal(sig), cmd.Wait())
}

// Signal sends a signal: SIGSTOP leaves a server that takes connections and answers nothing, SIGCONT lets it go on.
func (s *Server) Signal(sig syscall.Signal) error { return s.cmd.Process.Signal(sig) }
