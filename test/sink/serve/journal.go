package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// The kinds of an Entry.
const (
	KindSMTP    = "smtp"
	KindWebhook = "webhook"
	KindSMS     = "sms"
)

// The events of an Entry.
const (
	// EventAccept is on the disk (fsync) before the answer is sent.
	EventAccept = "accept"
	// EventFault is a try that was not accepted, with the fault that hit it; for reading, not fsynced for itself.
	EventFault = "fault"
)

// Entry is one line of the journal.
type Entry struct {
	Kind  string `json:"kind"`
	Event string `json:"event"`
	// ID is the sender's id: the local part of Message-ID, X-Carebell-Id, webhook-id, Idempotency-Key or a parameter; empty when the try
	// broke off before it could be known.
	ID string `json:"id"`
	// Attempt counts the entries with this kind and id, from 1, over restarts.
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"` // UTC
	To      []string  `json:"to,omitempty"`
	Size    int       `json:"size"` // bytes of message or body
	// Fault is "<at>:<do>" of the fault in play, also with an accept (lost yes, slow).
	Fault string `json:"fault,omitempty"`
	// BareNewline says that an SMTP message held a CR or LF that was no part of CRLF: what smuggling needs.
	BareNewline bool `json:"bare_newline,omitempty"`
	// Commands are the verbs of the SMTP session so far, for finding injected ones.
	Commands []string `json:"commands,omitempty"`
	// Method, Path, Header and Body are there when the sink keeps bodies. SMTP has Body alone.
	Method string              `json:"method,omitempty"`
	Path   string              `json:"path,omitempty"`
	Header map[string][]string `json:"header,omitempty"`
	Body   []byte              `json:"body,omitempty"`
}

// journal appends entries; accepts of many connections share one fsync.
type journal struct {
	file *os.File
	work chan written
	done chan struct{}

	mu       sync.Mutex
	attempts map[string]int
}

type written struct {
	line []byte
	sync bool
	done chan error
}

// openJournal opens or continues a journal. A line that a kill has torn was never acknowledged: it is cut off.
func openJournal(path string) (*journal, error) {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	entries, err := ParseJournal(old)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	whole := int64(bytes.LastIndexByte(old, '\n') + 1)
	if err := f.Truncate(whole); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(whole, 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	j := &journal{file: f, work: make(chan written, 256), done: make(chan struct{}), attempts: map[string]int{}}
	for _, e := range entries {
		j.attempts[e.Kind+" "+e.ID]++
	}
	go j.run()
	return j, nil
}

// ParseJournal reads a journal's bytes. A last line without its line feed is left out: it was being written, and nobody has been told.
func ParseJournal(b []byte) ([]Entry, error) {
	var out []Entry
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			return out, nil
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("journal line %d: %w", n, err)
		}
		out = append(out, e)
		b = rest
	}
}

// add sets e's Attempt and writes it; for an accept it returns once the disk has it.
func (j *journal) add(e *Entry) error {
	j.mu.Lock()
	if e.ID != "" {
		j.attempts[e.Kind+" "+e.ID]++
		e.Attempt = j.attempts[e.Kind+" "+e.ID]
	}
	j.mu.Unlock()
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	w := written{line: append(line, '\n'), sync: e.Event == EventAccept, done: make(chan error, 1)}
	j.work <- w
	return <-w.done
}

func (j *journal) run() {
	defer close(j.done)
	for w := range j.work {
		batch := []written{w}
	more:
		for {
			select {
			case next, ok := <-j.work:
				if !ok {
					break more
				}
				batch = append(batch, next)
			default:
				break more
			}
		}
		err := j.write(batch)
		for _, w := range batch {
			w.done <- err
		}
	}
}

func (j *journal) write(batch []written) error {
	var all []byte
	sync := false
	for _, w := range batch {
		all = append(all, w.line...)
		sync = sync || w.sync
	}
	if _, err := j.file.Write(all); err != nil {
		return err
	}
	if sync {
		return j.file.Sync()
	}
	return nil
}

func (j *journal) close() error {
	close(j.work)
	<-j.done
	return j.file.Close()
}
