package serve

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pidWithin is how long the sink waits for a process id: the process may be quicker than whoever writes its id down.
const pidWithin = 5 * time.Second

// kill ends the process whose id stands in a file with SIGKILL. The process is a client of the sink and of its user.
func (s *Server) kill(file string) error {
	for deadline := s.now().Add(pidWithin); ; s.wait(5 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err == nil && strings.HasSuffix(string(text), "\n") {
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil || pid < 2 {
				return fmt.Errorf("%s holds no process id: %q", file, text)
			}
			return syscall.Kill(pid, syscall.SIGKILL)
		}
		if s.now().After(deadline) {
			return fmt.Errorf("no process id in %s: %w", file, err)
		}
	}
}

// killed kills for an HTTP fault. A kill that fails leaves a client that gets no answer and lives on, which its test notices.
func (s *Server) killed(f HTTPFault) {
	if err := s.kill(f.PIDFile); err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
	}
}

// firstByte does the fault that stands at the first byte of an HTTP request.
func (s *Server) firstByte() error {
	f := s.rules.forFirstByte()
	if f.Do == "" {
		return nil
	}
	e := Entry{Kind: KindWebhook, Event: EventFault, At: s.now(), Fault: named(AtFirstByte, f.Do)}
	if err := s.journal.add(&e); err != nil {
		return err
	}
	s.killed(f)
	return errGone
}
