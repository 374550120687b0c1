package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Config is what a sink needs to start. Addresses are 127.0.0.1:PORT.
type Config struct {
	SMTP, HTTP, Control string
	// Journal is the file that is continued.
	Journal string
	// Keep puts bodies and headers into the journal.
	Keep   bool
	Faults Faults
	// Now is the clock for the journal.
	Now func() time.Time
}

// Server is a running sink.
type Server struct {
	journal *journal
	rules   *rules
	keep    bool
	now     func() time.Time

	smtp, http *door
	control    *http.Server
	web        *http.Server
	stopping   chan struct{}
	serving    sync.WaitGroup
}

// Stats are the sink's connections.
type Stats struct {
	SMTPOpen  int `json:"smtp_open"`  // now
	SMTPTotal int `json:"smtp_total"` // since the start
	SMTPPeak  int `json:"smtp_peak"`  // at once
	HTTPOpen  int `json:"http_open"`
	HTTPTotal int `json:"http_total"`
	HTTPPeak  int `json:"http_peak"`
}

// New binds the three listeners and begins to serve.
func New(c Config) (*Server, error) {
	if err := c.Faults.Check(); err != nil {
		return nil, err
	}
	j, err := openJournal(c.Journal)
	if err != nil {
		return nil, err
	}
	s := &Server{journal: j, rules: newRules(c.Faults), keep: c.Keep, now: c.Now, stopping: make(chan struct{})}
	s.web = &http.Server{Handler: http.HandlerFunc(s.serveHTTP), ReadHeaderTimeout: time.Minute}
	s.smtp = &door{addr: c.SMTP, serve: s.acceptSMTP}
	s.http = &door{addr: c.HTTP, serve: func(l net.Listener) { _ = s.web.Serve(l) }, heard: s.firstByte}
	s.control = &http.Server{Handler: s.controls(), ReadHeaderTimeout: time.Minute}
	control, err := net.Listen("tcp", c.Control)
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	if err := errors.Join(s.smtp.open(&s.serving), s.http.open(&s.serving)); err != nil {
		return nil, errors.Join(err, control.Close(), j.close())
	}
	s.serving.Go(func() { _ = s.control.Serve(control) })
	return s, nil
}

// Stop closes all listeners and connections. What a handler still has in hand it writes to the journal until the process ends.
func (s *Server) Stop() error {
	close(s.stopping)
	s.smtp.shut()
	s.http.shut()
	err := errors.Join(s.web.Close(), s.control.Close())
	s.serving.Wait()
	return err
}

func (s *Server) acceptSMTP(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go s.serveSMTP(conn)
	}
}

// wait lets d pass, or less when the sink stops.
func (s *Server) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopping:
	}
}

// controls is the private side: GET and PUT /faults, POST /down, GET /stats.
func (s *Server) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /faults", func(w http.ResponseWriter, r *http.Request) {
		var f Faults
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := errors.Join(d.Decode(&f), f.Check()); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.rules.set(f)
	})
	mux.HandleFunc("POST /down", func(w http.ResponseWriter, r *http.Request) {
		if err := s.down(r.Context(), r.URL.Query()); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		var st Stats
		st.SMTPOpen, st.SMTPTotal, st.SMTPPeak = s.smtp.counts()
		st.HTTPOpen, st.HTTPTotal, st.HTTPPeak = s.http.counts()
		_ = json.NewEncoder(w).Encode(st)
	})
	return mux
}

// down closes a door for a while: open connections are reset and new ones refused. It answers as soon as the door is shut.
func (s *Server) down(_ context.Context, q url.Values) error {
	d := s.smtp
	switch q.Get("which") {
	case "smtp":
	case "http":
		d = s.http
	default:
		return errors.New("which: take smtp or http")
	}
	length, err := time.ParseDuration(q.Get("for"))
	if err != nil {
		return err
	}
	d.shut()
	s.serving.Go(func() {
		s.wait(length)
		select {
		case <-s.stopping:
			return
		default:
		}
		// The port is below the range for outgoing connections, so that nobody takes it meanwhile.
		for d.open(&s.serving) != nil {
			s.wait(10 * time.Millisecond)
		}
	})
	return nil
}

// door is a listener that can be shut and opened again, with the connections that came through it.
type door struct {
	addr  string
	serve func(net.Listener)
	heard func() error // called whenever bytes have come, nil = nobody asks; an error ends the connection

	mu          sync.Mutex
	l           net.Listener
	conns       map[net.Conn]bool
	total, peak int
}

func (d *door) open(serving *sync.WaitGroup) error {
	l, err := net.Listen("tcp", d.addr)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.l, d.conns = l, map[net.Conn]bool{}
	serving.Go(func() { d.serve(&counted{Listener: l, door: d}) })
	return nil
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.l != nil {
		_ = d.l.Close()
		d.l = nil
	}
	for conn := range d.conns {
		reset(conn.(*tracked).Conn)
	}
	d.conns = nil
}

func (d *door) counts() (open, total, peak int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns), d.total, d.peak
}

type counted struct {
	net.Listener
	door *door
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := &tracked{Conn: conn, door: c.door}
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	if c.door.conns == nil {
		reset(conn)
		return nil, net.ErrClosed
	}
	c.door.conns[t] = true
	c.door.total++
	c.door.peak = max(c.door.peak, len(c.door.conns))
	return t, nil
}

type tracked struct {
	net.Conn
	door *door
}

// SetLinger is that of the TCP connection inside, for reset.
func (t *tracked) SetLinger(seconds int) error { return t.Conn.(*net.TCPConn).SetLinger(seconds) }

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if n > 0 && t.door.heard != nil {
		if gone := t.door.heard(); gone != nil {
			reset(t.Conn)
			return 0, gone
		}
	}
	return n, err
}

func (t *tracked) Close() error {
	t.door.mu.Lock()
	delete(t.door.conns, t)
	t.door.mu.Unlock()
	return t.Conn.Close()
}
