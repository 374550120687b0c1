package measure

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// mailServer is a mail server inside of the process, for rows in which the moment or the size of a mail counts and not the rate.
type mailServer struct {
	on    net.Listener
	wg    sync.WaitGroup
	bytes atomic.Int64 // of the last mail
	taken func()       // may be nil; called before the yes

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func startMail(ctx context.Context) (*mailServer, error) {
	on, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &mailServer{on: on, conns: map[net.Conn]bool{}}
	s.wg.Go(func() {
		for {
			c, err := on.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
			s.wg.Go(func() {
				s.session(c)
				_ = c.Close()
			})
		}
	})
	return s, nil
}

func (s *mailServer) address() string { return s.on.Addr().String() }

func (s *mailServer) close() {
	_ = s.on.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *mailServer) session(c net.Conn) {
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	say := func(line string) { _, _ = io.WriteString(w, line+"\r\n") }
	say("220 bench ESMTP")
	inMail, size := false, int64(0)
	for {
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if inMail {
			size += int64(len(line))
			if string(line) == ".\r\n" {
				inMail = false
				s.bytes.Store(size - 3)
				if s.taken != nil {
					s.taken()
				}
				say("250 2.0.0 Ok: queued as BENCH")
			}
			continue
		}
		verb, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte{' '})
		switch string(bytes.ToUpper(verb)) {
		case "EHLO":
			say("250-bench\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
		case "DATA":
			inMail, size = true, 0
			say("354 go on")
		case "QUIT":
			say("221 2.0.0 bye")
			_ = w.Flush()
			return
		default:
			say("250 2.0.0 Ok")
		}
	}
}
