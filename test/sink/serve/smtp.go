package serve

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"time"
)

// maxMessage is what the sink takes; the EHLO answer says so (RFC 1870).
const maxMessage = 32 << 20

// errGone ends a session that a fault has ended.
var errGone = errors.New("session ended by a fault")

// session is one SMTP connection. It reads one command at a time and flushes its answers when no further command is waiting, which is
// all that PIPELINING (RFC 2920) asks for.
type session struct {
	s    *Server
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer

	commands []string
	helo     bool
	mail     bool
	to       []string
	planned  SMTPFault // the fault drawn for this transaction, if any
}

func (s *Server) serveSMTP(conn net.Conn) {
	c := &session{s: s, conn: conn, r: bufio.NewReaderSize(conn, 4096), w: bufio.NewWriter(conn)}
	defer conn.Close()
	if err := c.answer(AtConnect, "220 sink.test ESMTP"); err != nil {
		_ = c.w.Flush()
		return
	}
	for {
		if c.r.Buffered() == 0 {
			if err := c.w.Flush(); err != nil {
				return
			}
		}
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		if err := c.command(strings.TrimRight(line, "\r\n")); err != nil {
			_ = c.w.Flush()
			return
		}
	}
}

func (c *session) command(line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	c.commands = append(c.commands, verb)
	switch verb {
	case "EHLO":
		c.reset()
		c.helo = true
		return c.answer(AtHelo, "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"+
			fmt.Sprintf("250 SIZE %d", maxMessage))
	case "HELO":
		c.reset()
		c.helo = true
		return c.answer(AtHelo, "250 sink.test")
	case "MAIL":
		return c.mailFrom(arg)
	case "RCPT":
		return c.rcptTo(arg)
	case "DATA":
		return c.data()
	case "RSET":
		c.reset()
		return c.answer(AtRset, "250 2.0.0 ok")
	case "NOOP":
		return c.answer(AtNoop, "250 2.0.0 ok")
	case "QUIT":
		if err := c.answer(AtQuit, "221 2.0.0 bye"); err != nil {
			return err
		}
		return io.EOF
	default:
		return c.line("502 5.5.1 unknown command")
	}
}

func (c *session) mailFrom(arg string) error {
	if _, ok := mailbox(arg, "FROM:"); !ok || !c.helo || c.mail {
		return c.line("503 5.5.1 say EHLO, then MAIL FROM:<address> once")
	}
	c.planned = c.s.rules.forTransaction()
	ok, err := c.pass(AtMail, "250 2.1.0 ok")
	c.mail = ok
	return err
}

func (c *session) rcptTo(arg string) error {
	to, ok := mailbox(arg, "TO:")
	if !ok || !c.mail {
		return c.line("503 5.5.1 say MAIL, then RCPT TO:<address>")
	}
	ok, err := c.pass(AtRcpt, "250 2.1.5 ok")
	if ok {
		c.to = append(c.to, to)
	}
	return err
}

// mailbox reads <address> and ignores the parameters after it.
func mailbox(arg, prefix string) (string, bool) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(arg[len(prefix):]), "<")
	address, _, closed := strings.Cut(rest, ">")
	return address, ok && closed
}

func (c *session) data() error {
	if len(c.to) == 0 {
		return c.line("503 5.5.1 say RCPT first")
	}
	ok, err := c.pass(AtData, "354 go on")
	if !ok || err != nil {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	if err := c.firstByte(); err != nil {
		return err
	}
	body, bare, err := readBody(c.r)
	if err != nil {
		return err
	}
	fault := c.fault(AtBody)
	e := Entry{
		Kind: KindSMTP, Event: EventAccept, ID: mailID(body), At: c.s.now(), To: c.to, Size: len(body), Fault: named(AtBody, fault.Do),
		BareNewline: bare, Commands: c.commands,
	}
	if c.s.keep {
		e.Body = body
	}
	if fault.Do == DoReply || fault.Do == DoReset || fault.Do == DoHang {
		e.Event = EventFault
	}
	if err := c.s.journal.add(&e); err != nil {
		return errors.Join(err, c.line("451 4.3.0 the sink's journal cannot be written"))
	}
	c.reset()
	return c.act(AtBody, fault, "250 2.0.0 accepted")
}

// firstByte waits for a fault that stands there until the message begins.
func (c *session) firstByte() error {
	fault := c.s.rules.forSMTP(AtFirstByte)
	if fault.Do == "" {
		return nil
	}
	if _, err := c.r.Peek(1); err != nil {
		return err
	}
	e := Entry{Kind: KindSMTP, Event: EventFault, At: c.s.now(), To: c.to, Fault: named(AtFirstByte, fault.Do), Commands: c.commands}
	if err := c.s.journal.add(&e); err != nil {
		return err
	}
	return c.act(AtFirstByte, fault, "")
}

// readBody reads up to the final dot (RFC 5321, 4.5.2) and says whether a CR or LF stood alone.
func readBody(r *bufio.Reader) (body []byte, bare bool, err error) {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, false, err
		}
		if !bytes.HasSuffix(line, []byte("\r\n")) || bytes.IndexByte(line, '\r') != len(line)-2 {
			bare = true
		}
		if string(line) == ".\r\n" {
			return body, bare, nil
		}
		body = append(body, bytes.TrimPrefix(line, []byte("."))...)
		if len(body) > maxMessage {
			return nil, false, errors.New("message larger than the SIZE that was offered")
		}
	}
}

// proof is what stands behind an id so that a report can show that it answers us.
var proof = regexp.MustCompile(`^([a-p][a-z2-7]{25}-email)-[a-z2-7]{12}$`)

// WithoutProof is a mail's id on the wire as the daemon's records have it.
func WithoutProof(id string) string { return proof.ReplaceAllString(id, "$1") }

// mailID is X-Carebell-Id without its proof, or else the local part of Message-ID.
func mailID(body []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		return ""
	}
	if id := m.Header.Get("X-Carebell-Id"); id != "" {
		return WithoutProof(id)
	}
	id, _, _ := strings.Cut(strings.Trim(m.Header.Get("Message-Id"), "<> "), "@")
	return id
}

func (c *session) reset() { c.mail, c.to, c.planned = false, nil, SMTPFault{} }

// fault is the one for this point: what was drawn for the transaction, else a rule.
func (c *session) fault(at string) SMTPFault {
	if c.planned.Do != "" && c.planned.At == at {
		return c.planned
	}
	return c.s.rules.forSMTP(at)
}

func (c *session) answer(at, text string) error {
	_, err := c.pass(at, text)
	return err
}

// pass answers with text or does the fault that stands here; ok says whether text was the answer.
func (c *session) pass(at, text string) (ok bool, err error) {
	fault := c.fault(at)
	ok = fault.Do != DoReply
	if !ok || fault.Do == DoReset || fault.Do == DoHang {
		e := Entry{Kind: KindSMTP, Event: EventFault, At: c.s.now(), To: c.to, Fault: named(at, fault.Do), Commands: c.commands}
		if err := c.s.journal.add(&e); err != nil {
			return false, err
		}
	}
	return ok, c.act(at, fault, text)
}

// act carries a fault out. A 421 and a fault at the greeting end the session.
func (c *session) act(at string, f SMTPFault, text string) error {
	switch f.Do {
	case DoReply:
		code, text := f.Code, f.Text
		if code == 0 {
			code = 451
		}
		if text == "" {
			text = fmt.Sprintf("%d.0.0 fault at %s", code/100, at)
		}
		if err := c.line(fmt.Sprintf("%d %s", code, text)); err != nil {
			return err
		}
		if code == 421 || at == AtConnect {
			return io.EOF
		}
		return nil
	case DoReset, DoLostYes:
		reset(c.conn)
		return errGone
	case DoKill:
		err := c.s.kill(f.PIDFile)
		reset(c.conn)
		return errors.Join(errGone, err)
	case DoHang:
		if err := c.w.Flush(); err != nil {
			return err
		}
		c.s.hang(c.conn)
		reset(c.conn)
		return errGone
	case DoSlow:
		c.s.wait(f.Delay)
		return c.line(text)
	case DoDribble:
		return c.s.dribble(c.w, text+"\r\n", f.Delay)
	default:
		return c.line(text)
	}
}

func (c *session) line(text string) error {
	_, err := c.w.WriteString(text + "\r\n")
	return err
}

// reset closes a connection so that the other side sees a reset instead of an end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// hang reads and forgets what comes until the client is gone, the faults change, or the sink stops.
func (s *Server) hang(conn net.Conn) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn)
	}()
	select {
	case <-gone:
	case <-s.rules.released():
	case <-s.stopping:
	}
}

// flusher is what dribble writes to.
type flusher interface {
	io.Writer
	Flush() error
}

func (s *Server) dribble(w flusher, text string, every time.Duration) error {
	for i := range len(text) {
		if _, err := w.Write([]byte{text[i]}); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		s.wait(every)
	}
	return nil
}

func named(at, do string) string {
	if do == "" {
		return ""
	}
	return at + ":" + do
}
