package measure

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tool is a program of others that a row is measured against.
type tool struct{ command, pkg string }

var (
	redisServer    = tool{"redis-server", "redis-server"}
	redisBenchmark = tool{"redis-benchmark", "redis-tools"}
	smtpSource     = tool{"smtp-source", "postfix"}
	smtpSink       = tool{"smtp-sink", "postfix"}
)

// find returns the program's path. Debian keeps Postfix's programs where a user's PATH does not lead.
func (t tool) find() (string, error) {
	if path, err := exec.LookPath(t.command); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/libexec/postfix"} {
		if path, err := exec.LookPath(filepath.Join(dir, t.command)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing: apt-get install --no-install-recommends %s", t.command, t.pkg)
}

// process is a program that was started here.
type process struct {
	cmd  *exec.Cmd
	done chan error
}

func start(cmd *exec.Cmd) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return watched(cmd), nil
}

// watched waits for a program that was started.
func watched(cmd *exec.Cmd) *process {
	p := &process{cmd, make(chan error, 1)}
	go func() { p.done <- cmd.Wait() }()
	return p
}

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return nil
}

// freePort returns a port of the loopback that is free now.
func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// listens waits until somebody listens there.
func listens(ctx context.Context, address string, p *process) error {
	for range 500 {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("%s ended: %w", filepath.Base(p.cmd.Path), err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen", filepath.Base(p.cmd.Path))
}

// redisProcess is the bench's own Redis, durable as carebell demands.
type redisProcess struct {
	*process
	port int
	conn net.Conn
	read *bufio.Reader
}

func startRedis(ctx context.Context, dir string) (*redisProcess, error) {
	path, err := redisServer.find()
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "redis.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(path, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--auto-aof-rewrite-percentage", "0")
	cmd.Stdout, cmd.Stderr = log, log
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	r := &redisProcess{process: p, port: port}
	if err := listens(ctx, r.address(), p); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	if r.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", r.address()); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	r.read = bufio.NewReader(r.conn)
	return r, nil
}

func (r *redisProcess) address() string { return "127.0.0.1:" + strconv.Itoa(r.port) }
func (r *redisProcess) url() string     { return "redis://" + r.address() }

func (r *redisProcess) stop() error {
	if r.conn != nil {
		_ = r.conn.Close()
	}
	return r.process.stop()
}

// do sends a command and returns its answer; lists are not read. Only package store has a Redis client: this is for what carebell
// itself never asks.
func (r *redisProcess) do(ctx context.Context, words ...string) (string, error) {
	limit, ok := ctx.Deadline()
	if !ok {
		limit = time.Now().Add(2 * time.Minute)
	}
	if err := r.conn.SetDeadline(limit); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(r.conn, b.String()); err != nil {
		return "", err
	}
	line, err := r.read.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch line[0] {
	case '-':
		return "", errors.New("redis: " + line[1:])
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "", err
		}
		raw := make([]byte, n+2)
		_, err = io.ReadFull(r.read, raw)
		return string(raw[:n]), err
	}
	return line[1:], nil
}

// memory is what a key takes, in bytes; 0 if there is none.
func (r *redisProcess) memory(ctx context.Context, key string) (float64, error) {
	text, err := r.do(ctx, "MEMORY", "USAGE", key, "SAMPLES", "0")
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("redis' memory of %s: %w", key, err)
	}
	return n, nil
}

// info returns a number of INFO.
func (r *redisProcess) info(ctx context.Context, section string, names ...string) (sum float64, err error) {
	text, err := r.do(ctx, "INFO", section)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		_, rest, ok := strings.Cut(text, "\n"+name+":")
		if !ok {
			return 0, fmt.Errorf("redis tells no %s", name)
		}
		value, _, _ := strings.Cut(rest, "\r\n")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// cpu returns the processor time that Redis has used.
func (r *redisProcess) cpu(ctx context.Context) (time.Duration, error) {
	sec, err := r.info(ctx, "cpu", "used_cpu_user", "used_cpu_sys")
	return time.Duration(sec * float64(time.Second)), err
}

// benchmark runs redis-benchmark and returns its requests a second and the processor time of its own.
func (r *redisProcess) benchmark(ctx context.Context, args ...string) (perSecond float64, cpu time.Duration, err error) {
	path, err := redisBenchmark.find()
	if err != nil {
		return 0, 0, err
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"-p", strconv.Itoa(r.port), "--csv"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("redis-benchmark: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	fields := strings.Split(lines[len(lines)-1], `","`)
	if len(fields) < 2 {
		return 0, 0, errors.New("redis-benchmark: an answer of an unknown form")
	}
	perSecond, err = strconv.ParseFloat(strings.Trim(fields[1], `"`), 64)
	return perSecond, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err
}

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
