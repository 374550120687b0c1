package measure

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// served is carebell serve in a process of its own, for what cannot be told apart from the bench within one.
type served struct {
	*process
	listen string
	log    string // the file
}

// serve starts the daemon with settings of the form CARE_NAME=value and waits until it listens. Settings of the bench's own environment
// do not reach it; GOGC and GOMEMLIMIT do.
func (w *world) serve(ctx context.Context, settings ...string) (*served, error) {
	if w.opt.Program == "" {
		return nil, errors.New("no carebell to measure: name it with --program, as bin/carebell")
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &served{listen: "127.0.0.1:" + strconv.Itoa(port), log: filepath.Join(w.dir, "serve.log")}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(w.opt.Program, "serve")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CARE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env,
		"CARE_REDIS_URL="+w.redis.url(), "CARE_BOOK="+w.book(), "CARE_LISTEN="+s.listen, "CARE_SWEEP=@every 24h",
		"CARE_PUBLIC_URL=https://care.example", "CARE_SECRET_KEY=a key of the bench and of nothing else"), settings...)
	cmd.Stdout, cmd.Stderr = log, log
	if s.process, err = start(cmd); err != nil {
		return nil, err
	}
	if err := listens(ctx, s.listen, s.process); err != nil {
		return nil, errors.Join(err, s.end())
	}
	return s, nil
}

// end stops the daemon as systemd does. One that does not end by itself, or with an error, is no daemon that was measured.
func (s *served) end() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		if err != nil {
			return fmt.Errorf("carebell serve: %w: %s", err, s.lastWords())
		}
		return nil
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
		return fmt.Errorf("carebell serve does not end: %s", s.lastWords())
	}
}

func (s *served) lastWords() string {
	raw, _ := os.ReadFile(s.log)
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	return string(lines[len(lines)-1])
}

// value reads one of the daemon's metrics without labels; 0 if it is not there.
func (s *served) value(ctx context.Context, name string) float64 {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.listen+"/metrics", http.NoBody)
	if err != nil {
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, _ := strconv.ParseFloat(text, 64)
			return v
		}
	}
	return 0
}
