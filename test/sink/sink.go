// Package sink is the receiving side of the fault tests: it starts an SMTP and HTTP sink (test/sink/cmd) as a process of its own, sets
// what goes wrong in it, and reads its journal.
//
// It promises that whatever the sink has answered with yes is in the journal, also after the sink was killed, and that an accept whose
// yes got lost is in it too; so that the sender's books can be held against it. It doesn't promise that an entry was acknowledged: that
// is what a lost yes is.
package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/carebell/carebell/test/peers"
	"github.com/carebell/carebell/test/sink/serve"
)

// The words of package serve that a test needs.
type (
	// Faults are what goes wrong.
	Faults = serve.Faults
	// SMTPFault is one rule of them for SMTP.
	SMTPFault = serve.SMTPFault
	// HTTPFault is one rule of them for HTTP.
	HTTPFault = serve.HTTPFault
	// When limits a rule.
	When = serve.When
	// Entry is a line of the journal.
	Entry = serve.Entry
	// Stats are the sink's connections.
	Stats = serve.Stats
)

// Options are for Start.
type Options struct {
	// Faults hold from the first moment.
	Faults Faults
	// Keep puts bodies and headers into the journal.
	Keep bool
}

// Sink is a running sink process.
type Sink struct {
	t       testing.TB
	bin     string
	journal string
	ports   []int // SMTP, HTTP, control
	opts    Options
	proc    *peers.Process

	mu      sync.Mutex
	entries []Entry // read so far
	read    int64   // bytes of the journal that they are
}

// built is the program, compiled once per test binary and held in memory, so that no file outlives the tests.
var built = sync.OnceValues(build)

func build() ([]byte, error) {
	dir, err := os.MkdirTemp("", "carebell-sink-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "sink")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/carebell/carebell/test/sink/cmd").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("build the sink: %w\n%s", err, out)
	}
	return os.ReadFile(bin)
}

// Start runs a sink and returns when it serves. It ends with the test.
func Start(t testing.TB, opts Options) *Sink {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatalf("sink: %v", err)
	}
	dir := t.TempDir()
	s := &Sink{t: t, bin: filepath.Join(dir, "sink"), journal: filepath.Join(dir, "journal.jsonl"), ports: peers.FreePorts(t, 3), opts: opts}
	// No fork while the file is open for writing: a child would hold it open for a moment and make it "busy" for running.
	syscall.ForkLock.RLock()
	err = os.WriteFile(s.bin, program, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatalf("sink: %v", err)
	}
	s.start()
	return s
}

func (s *Sink) start() {
	s.t.Helper()
	faults, err := json.Marshal(s.opts.Faults)
	if err != nil {
		s.t.Fatalf("sink: %v", err)
	}
	s.proc = peers.Daemon(s.t, s.bin, nil, "-smtp", s.addr(0), "-http", s.addr(1), "-control", s.addr(2), "-journal", s.journal,
		fmt.Sprintf("-keep=%t", s.opts.Keep), "-faults", string(faults))
	peers.Eventually(s.t, 20*time.Second, "the sink serves", func() error {
		if !s.proc.Running() {
			s.t.Fatalf("sink: it has ended:\n%s", s.proc.Logs())
		}
		_, err := s.control(http.MethodGet, "/stats", nil)
		return err
	})
}

func (s *Sink) addr(i int) string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(s.ports[i])) }

// SMTPAddr is 127.0.0.1:PORT.
func (s *Sink) SMTPAddr() string { return s.addr(0) }

// SMTPURL is smtp://127.0.0.1:PORT.
func (s *Sink) SMTPURL() string { return "smtp://" + s.addr(0) }

// HTTPURL is the HTTP sink without a path; any path serves as a webhook.
func (s *Sink) HTTPURL() string { return "http://" + s.addr(1) }

// WebhookURL is where webhooks go.
func (s *Sink) WebhookURL() string { return s.HTTPURL() + serve.PathWebhook }

// KannelURL is where an SMS sent as to Kannel goes.
func (s *Sink) KannelURL() string { return s.HTTPURL() + serve.PathKannel }

// SMSURL is where an SMS for a gateway with JSON answers goes.
func (s *Sink) SMSURL() string { return s.HTTPURL() + serve.PathSMS }

// Set replaces the faults; what hangs is reset.
func (s *Sink) Set(f Faults) {
	s.t.Helper()
	body, err := json.Marshal(f)
	if err != nil {
		s.t.Fatalf("sink: %v", err)
	}
	if _, err := s.control(http.MethodPut, "/faults", body); err != nil {
		s.t.Fatalf("sink: set the faults: %v", err)
	}
	s.opts.Faults = f
}

// Down refuses connections to "smtp" or "http" for a while and resets those that are open. It returns when the door is shut.
func (s *Sink) Down(which string, length time.Duration) {
	s.t.Helper()
	q := url.Values{"which": {which}, "for": {length.String()}}
	if _, err := s.control(http.MethodPost, "/down?"+q.Encode(), nil); err != nil {
		s.t.Fatalf("sink: down: %v", err)
	}
}

// Stats returns the sink's connections.
func (s *Sink) Stats() Stats {
	s.t.Helper()
	b, err := s.control(http.MethodGet, "/stats", nil)
	var st Stats
	if err = errors.Join(err, json.Unmarshal(b, &st)); err != nil {
		s.t.Fatalf("sink: stats: %v", err)
	}
	return st
}

// Kill ends the sink with SIGKILL.
func (s *Sink) Kill() { s.proc.Kill() }

// Restart starts a killed sink again on its ports, with its journal and the faults last set.
func (s *Sink) Restart() {
	s.t.Helper()
	s.proc.Kill()
	s.start()
}

// JournalFile is the journal's path.
func (s *Sink) JournalFile() string { return s.journal }

// Journal returns all entries, accepts and faults, in the order in which they were written; they are for reading only. It reads on from
// where the last call ended, so that it can be asked often.
func (s *Sink) Journal() []Entry {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, n, err := readJournal(s.journal, s.read)
	if err != nil {
		s.t.Fatalf("sink: %v", err)
	}
	s.entries = append(s.entries, entries...)
	s.read += n
	return slices.Clip(s.entries)
}

// readJournal reads the whole lines of a journal that come after a place, and says how many bytes they are.
func readJournal(file string, after int64) ([]Entry, int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	if _, err := f.Seek(after, io.SeekStart); err != nil {
		return nil, 0, err
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, 0, err
	}
	whole := bytes.LastIndexByte(b, '\n') + 1
	entries, err := serve.ParseJournal(b[:whole])
	return entries, int64(whole), err
}

// Accepts counts the accepts per id. A message without an id counts under "".
func (s *Sink) Accepts() map[string]int {
	s.t.Helper()
	counts := map[string]int{}
	for _, e := range s.Journal() {
		if e.Event == serve.EventAccept {
			counts[e.ID]++
		}
	}
	return counts
}

// control asks the sink's control port.
func (s *Sink) control(method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr(2)+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Close = true // no idle connection is left for a leak test to find
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, b)
	}
	return b, err
}
