package channels

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"syscall"
	"time"
)

// maxHead is how many bytes an answer may have before its body, interim answers included.
const maxHead = 64 << 10

var (
	errLongHead = errors.New("the head of the answer is too long")
	errSwitched = errors.New("the server changed to another protocol, which nobody asked for")
)

// wire is a connection as it was dialled. It notes that something was written, so that "nothing was sent" is known and not guessed.
type wire struct {
	net.Conn
	wrote bool
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.wrote = w.wrote || n > 0
	return n, err
}

// link is a connection on which one exchange follows another (RFC 9112 section 9.3). One goroutine uses it at a time.
type link struct {
	transport *transport
	to        place
	since     time.Time // idle since
	wire      *wire
	stream    net.Conn // the wire, or TLS over it
	in        *bufio.Reader
	out       *bufio.Writer
	left      int64 // bytes that may still be read
	probe     func() bool
	cut       func() // abandon, made once
}

func newLink(t *transport, to place, w *wire, stream net.Conn) *link {
	l := &link{transport: t, to: to, wire: w, stream: stream, probe: prober(w.Conn)}
	l.in, l.out, l.cut = bufio.NewReader(l), bufio.NewWriter(stream), l.abandon
	return l
}

// stands reports whether an idle connection can be used, before anything is written on it. A server closes one that it does not want to
// keep without a word, and a request that meets that is lost: it may not be repeated, because nobody knows how far it came
// (RFC 9112 section 9.3.1). Anything that can be read is no answer to a request of ours (section 9.2): often it is a 408.
func (l *link) stands() bool { return l.in.Buffered() == 0 && l.probe() }

// prober returns how to see, without waiting, that nothing can be read from a connection and that its end has not come. Below TLS,
// too, a server has nothing to say in between.
func prober(conn net.Conn) func() bool {
	source, ok := conn.(syscall.Conn)
	if !ok {
		return func() bool { return true }
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return func() bool { return false }
	}
	silent := false
	look := func(fd uintptr) bool {
		silent = nothingToRead(fd)
		return true
	}
	return func() bool {
		silent = false
		return raw.Read(look) == nil && silent
	}
}

// Read reads from the stream, as much as is left.
func (l *link) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongHead
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.stream.Read(p)
	l.left -= int64(n)
	return n, err
}

// exchange writes a request and reads the head of its answer. whole says that all of the request was written.
func (l *link) exchange(r *http.Request) (_ *http.Response, whole bool, _ error) {
	l.wire.wrote = false
	err := writeRequest(l.out, r)
	if err != nil && (!l.wire.wrote || errors.Is(err, errBody)) {
		return nil, false, err
	}
	// A server that will not have a request may say so and close before it has read all of it (RFC 9112 section 9.6). A write that
	// failed is therefore no reason not to read: what was said is there, or the end.
	resp, failed := l.answer(r)
	if failed != nil {
		if err != nil {
			failed = err
		}
		return nil, false, failed
	}
	return resp, err == nil, nil
}

// answer reads the head of the answer. Interim answers are passed over (RFC 9110 section 15.2); all heads together are bounded.
func (l *link) answer(r *http.Request) (*http.Response, error) {
	l.left = maxHead
	for {
		resp, err := http.ReadResponse(l.in, r)
		switch {
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errSwitched
		case resp.StatusCode < 100 || resp.StatusCode > 199:
			l.left = math.MaxInt64 // how much of a body is read is the caller's to say
			return resp, nil
		}
	}
}

// close ends an idle connection, with TLS' goodbye (RFC 8446 section 6.1).
func (l *link) close() { l.stream.Close() }

// abandon ends a connection at once: a goodbye could wait for room.
func (l *link) abandon() { l.wire.Close() }

// done ends an exchange: the connection is kept if another can follow. After a cancel none can: it is being closed. Neither can it
// with bytes behind the end of the answer, which would be taken for the next one (RFC 9112 section 9.2).
func (l *link) done(stop func() bool, keep bool) {
	if stop() && keep && l.in.Buffered() == 0 {
		l.transport.put(l)
		return
	}
	l.abandon()
}

// answerBody is the body of an answer. It gives the connection back when it was read to its end, and ends it otherwise.
type answerBody struct {
	src  io.Reader
	ctx  context.Context
	link *link
	stop func() bool
	keep bool  // another exchange can follow
	err  error // said from now on; the connection is no longer ours
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	if err == nil {
		return n, nil
	}
	end := errors.Is(err, io.EOF) // never io.ErrUnexpectedEOF, which is an error of its own
	if over := b.ctx.Err(); over != nil && !end {
		err = over
	}
	b.err = err
	b.link.done(b.stop, b.keep && end)
	return n, err
}

// Close implements io.Closer. What is left of the body is not read: it may be without end.
func (b *answerBody) Close() error {
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
		b.link.done(b.stop, false)
	}
	return nil
}
