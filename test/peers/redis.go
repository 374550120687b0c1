package peers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RedisServer is one redis-server with its own directory. Kill, Restart, Pause and the like are for one goroutine at a time.
type RedisServer struct {
	t    testing.TB
	dir  string
	port int
	args []string
	proc *Process
}

// RedisOption changes how a server is started.
type RedisOption func(*redisOptions)

type redisOptions struct{ settings [][]string }

func (o *redisOptions) set(args ...string) { o.settings = append(o.settings, args) }

// WithoutAOF starts the server with no append-only file: carebell refuses such a server.
func WithoutAOF() RedisOption {
	return func(o *redisOptions) { o.set("--appendonly", "no") }
}

// WithFsync sets appendfsync: always, everysec (the default here) or no.
func WithFsync(policy string) RedisOption {
	return func(o *redisOptions) { o.set("--appendfsync", policy) }
}

// WithMaxMemory sets maxmemory, in Redis's own notation ("64mb").
func WithMaxMemory(limit string) RedisOption {
	return func(o *redisOptions) { o.set("--maxmemory", limit) }
}

// WithPolicy sets maxmemory-policy (default noeviction).
func WithPolicy(policy string) RedisOption {
	return func(o *redisOptions) { o.set("--maxmemory-policy", policy) }
}

// WithArgs adds raw arguments, as ("--maxclients", "20").
func WithArgs(args ...string) RedisOption {
	return func(o *redisOptions) { o.set(args...) }
}

// Redis starts a redis-server with AOF everysec and noeviction, both of which options can change, and waits until it answers PING.
func Redis(t testing.TB, opts ...RedisOption) *RedisServer {
	t.Helper()
	return startRedis(t, FreePorts(t, 1)[0], opts...)
}

func startRedis(t testing.TB, port int, opts ...RedisOption) *RedisServer {
	t.Helper()
	o := redisOptions{}
	o.set("--appendonly", "yes")
	o.set("--appendfsync", "everysec")
	o.set("--maxmemory-policy", "noeviction")
	o.set("--save", "")
	for _, opt := range opts {
		opt(&o)
	}
	s := &RedisServer{t: t, dir: ownDir(t), port: port}
	s.args = []string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", s.dir}
	for _, set := range o.settings {
		s.args = append(s.args, set...)
	}
	s.start()
	return s
}

func (s *RedisServer) start() {
	s.t.Helper()
	bin := program(s.t, "redis-server", "redis-server")
	s.proc = startProcess(s.t, "redis-server", filepath.Join(s.dir, "redis.log"), exec.Command(bin, s.args...))
	Eventually(s.t, readyWithin, "redis-server answers PING", func() error {
		if !s.proc.Running() {
			s.t.Fatalf("peers: redis-server has ended:\n%s", tail(s.proc.Logs()))
		}
		return s.ping()
	})
}

// ping asks as the plain protocol has it, so that this package needs no Redis client of its own. NOAUTH and LOADING are no readiness.
func (s *RedisServer) ping() error {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if line != "+PONG\r\n" {
		return errors.New(strings.TrimSpace(line))
	}
	return nil
}

// Addr is 127.0.0.1:PORT.
func (s *RedisServer) Addr() string { return loopback(s.port) }

// URL is redis://127.0.0.1:PORT.
func (s *RedisServer) URL() string { return "redis://" + s.Addr() }

// Port is the TCP port.
func (s *RedisServer) Port() int { return s.port }

// Dir is the directory with the append-only file and the log.
func (s *RedisServer) Dir() string { return s.dir }

// Kill ends the server with SIGKILL and returns when it is gone.
func (s *RedisServer) Kill() { s.proc.Kill() }

// Stop ends the server with SIGTERM, as an operator does, and returns when it is gone.
func (s *RedisServer) Stop() { s.proc.stop() }

// Restart starts the server again on the same directory and port, ending it first if it runs, and waits until it has loaded its data.
func (s *RedisServer) Restart() {
	s.t.Helper()
	s.proc.stop()
	s.start()
}

// Pause stops the process in its tracks (SIGSTOP): connections stay open and nothing answers.
func (s *RedisServer) Pause() { s.proc.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *RedisServer) Resume() { s.proc.Signal(syscall.SIGCONT) }

// Logs returns what the server has logged.
func (s *RedisServer) Logs() string { return s.proc.Logs() }

// CLI runs redis-cli against the server and returns what it prints, without the last newline. A command that Redis refuses fails the
// test.
func (s *RedisServer) CLI(args ...string) string {
	s.t.Helper()
	out, err := s.cli(args...)
	if err != nil {
		s.t.Fatalf("peers: redis-cli %s: %v\n%s", args[0], err, out)
	}
	return out
}

// cli runs redis-cli with -e, by which an error reply becomes an exit code.
func (s *RedisServer) cli(args ...string) (string, error) {
	return runCLI(s.t, append([]string{"-e", "-p", fmt.Sprint(s.port)}, args...)...)
}

func runCLI(t testing.TB, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, program(t, "redis-cli", "redis-tools"), args...).CombinedOutput()
	return strings.TrimRight(string(out), "\n"), err
}

// info reads one field of INFO's section; empty when there is none.
func (s *RedisServer) info(section, field string) (string, error) {
	out, err := s.cli("INFO", section)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return v, nil
		}
	}
	return "", nil
}
