package channeltest

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
)

// SMTPPeer is a fake mail server. Its answers differ after the data: that is where messages are lost or doubled.
type SMTPPeer struct {
	ln      net.Listener
	stop    chan struct{}
	running sync.WaitGroup

	mu        sync.Mutex
	behaviour Behaviour
	taken     int
	forged    string
	conns     map[net.Conn]bool
}

// NewSMTPPeer starts a mail server.
func NewSMTPPeer(t T) *SMTPPeer {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	p := &SMTPPeer{ln: ln, stop: make(chan struct{}), conns: map[net.Conn]bool{}}
	p.running.Go(p.serve)
	t.Cleanup(func() {
		close(p.stop)
		p.close()
		p.running.Wait()
	})
	return p
}

// URL implements Peer.
func (p *SMTPPeer) URL() string { return "smtp://" + p.ln.Addr().String() }

func (p *SMTPPeer) close() {
	p.ln.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// Behave implements Peer.
func (p *SMTPPeer) Behave(b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = b
}

// Received implements Peer.
func (p *SMTPPeer) Received() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// Elsewhere implements Peer: SMTP knows no redirects.
func (p *SMTPPeer) Elsewhere() int { return 0 }

// Forged implements Peer.
func (p *SMTPPeer) Forged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forged
}

func (p *SMTPPeer) serve() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns[c] = true
		p.mu.Unlock()
		p.running.Go(func() {
			p.session(c)
			p.mu.Lock()
			delete(p.conns, c)
			p.mu.Unlock()
			c.Close()
		})
	}
}

func (p *SMTPPeer) session(c net.Conn) {
	r := textproto.NewReader(bufio.NewReader(c))
	say := func(line string) bool {
		_, err := fmt.Fprint(c, line+"\r\n")
		return err == nil
	}
	if !say("220 fake ESMTP") {
		return
	}
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		if strings.Contains(strings.ToLower(line), "evil") || strings.Count(line, "<") > 1 {
			p.note("command " + line)
		}
		switch verb {
		case "EHLO":
			say("250-fake\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
		case "DATA":
			if !say("354 go on") {
				return
			}
			body, err := r.ReadDotBytes()
			if err != nil || !p.answer(string(body), say) {
				return
			}
		case "QUIT":
			say("221 2.0.0 bye")
			return
		case "MAIL", "RCPT", "RSET", "NOOP":
			say("250 2.0.0 Ok")
		default:
			p.note("command " + line)
			say("502 5.5.1 what?")
		}
	}
}

func (p *SMTPPeer) note(forged string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forged += forged
}

// answer says what became of a mail; false ends the session.
func (p *SMTPPeer) answer(mail string, say func(string) bool) bool {
	head, _, _ := strings.Cut(mail, "\n\n")
	for _, line := range strings.Split(head, "\n") {
		if name, _, _ := strings.Cut(line, ":"); strings.Contains(strings.ToLower(name), "evil") && !strings.HasPrefix(line, " ") {
			p.note("header " + line)
		}
	}
	p.mu.Lock()
	p.taken++
	b := p.behaviour
	p.mu.Unlock()
	switch b {
	case Yes:
		return say("250 2.0.0 Ok: queued as F00D")
	case Busy:
		return say("451 4.3.0 not now")
	case TooLarge:
		return say("552 5.3.4 too large")
	case LockedOut:
		return say("530 5.7.0 who are you?")
	case Silent:
		<-p.stop
	}
	return false
}
