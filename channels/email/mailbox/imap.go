package mailbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap"
	"github.com/emersion/go-imap/client"
	"github.com/emersion/go-imap/commands"
	"github.com/emersion/go-imap/responses"

	"github.com/carebell/carebell/channels/email"
)

// Bounds of a fetch from an IMAP folder.
const (
	maxPerFetch = 500     // mails; the rest is for the next fetch
	maxAnswer   = 8 << 20 // bytes of an answer to one command
)

// IMAP is a folder of a mail server elsewhere. Its mails are read without being changed and then marked \Seen, which every server
// keeps: nothing is moved or deleted, so that a mistake in reading loses nothing. Unseen are the mails that nobody has read yet, so
// the folder is to be one that no person reads.
type IMAP struct {
	host, port     string
	user, password string
	folder         string
	implicit       bool          // TLS from the first byte
	plain          bool          // no TLS at all
	tokens         *email.Tokens // instead of a password

	// Timeout is that of one command, and of the connection; 0 = 30 s.
	Timeout time.Duration
	// TLS: nil = the system's roots.
	TLS *tls.Config
}

// ParseIMAP reads CARE_BOUNCE_IMAP_URL: imaps://user:password@host:993/Folder, or imap://…:143 with STARTTLS, which is demanded unless
// ?starttls=never says otherwise; ?ca=FILE and ?verify=false say which certificates are trusted. Without a folder it is INBOX. A user
// without a password logs in with a token. No error quotes the URL: it holds a password.
func ParseIMAP(raw string, tokens *email.Tokens) (*IMAP, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("it is no URL: write imaps://user:password@host/Folder, with special characters of the password percent-encoded")
	}
	m := &IMAP{host: u.Hostname(), port: u.Port(), user: u.User.Username(), folder: strings.Trim(u.Path, "/")}
	m.password, _ = u.User.Password()
	switch u.Scheme {
	case "imaps":
		m.implicit = true
	case "imap":
	default:
		return nil, errors.New("it must begin with imaps:// or imap://")
	}
	switch {
	case m.host == "":
		return nil, errors.New("it names no host")
	case m.user != "" && m.password == "" && tokens != nil:
		m.tokens = tokens
	case m.user == "" || m.password == "":
		return nil, errors.New("it names no user and password: write imaps://user:password@host/Folder, or a user alone and set CARE_BOUNCE_IMAP_TOKEN_URL or CARE_BOUNCE_IMAP_TOKEN_COMMAND")
	case u.Fragment != "":
		return nil, errors.New("it has a #: percent-encode it in the password (%23)")
	}
	if m.port == "" {
		m.port = map[bool]string{true: "993", false: "143"}[m.implicit]
	}
	if n, err := strconv.Atoi(m.port); err != nil || n < 1 || n > 65535 {
		return nil, errors.New("its port is not between 1 and 65535")
	}
	if m.folder == "" {
		m.folder = "INBOX"
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("its query cannot be read")
	}
	for key, values := range q {
		if err := m.option(key, values[len(values)-1]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// option takes one of the options behind the folder.
func (m *IMAP) option(key, value string) (err error) {
	if m.TLS == nil {
		m.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	switch {
	case key == "ca":
		m.TLS.RootCAs, err = email.Roots(value, nil)
	case key == "verify" && (value == "true" || value == "false"):
		m.TLS.InsecureSkipVerify = value == "false"
	case key == "starttls" && !m.implicit && (value == "always" || value == "never"):
		m.plain = value == "never"
	default:
		err = errors.New("after the folder only ?starttls=always or ?starttls=never (in imap://), ?ca=FILE and ?verify=false may follow")
	}
	return err
}

// Address returns host:port.
func (m *IMAP) Address() string { return net.JoinHostPort(m.host, m.port) }

// String keeps user and password out of logs.
func (m *IMAP) String() string { return "imap " + m.Address() }

// GoString does the same for %#v.
func (m *IMAP) GoString() string { return m.String() }

// Check logs in, opens the folder and returns how many mails are waiting in it. It changes nothing.
func (m *IMAP) Check(ctx context.Context) (waiting int, err error) {
	err = m.visit(ctx, func(_ context.Context, s *session) error {
		uids, err := s.unseen()
		waiting = len(uids)
		return err
	})
	return waiting, err
}

// Fetch passes on every mail that is not seen yet, in the order in which they came, and marks each as seen once it was taken.
func (m *IMAP) Fetch(ctx context.Context, handle Handler) error {
	return m.visit(ctx, func(ctx context.Context, s *session) error {
		uids, err := s.unseen()
		if err != nil {
			return err
		}
		slices.Sort(uids)
		unread := 0
		for _, uid := range uids[:min(len(uids), maxPerFetch)] {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			mail, err := s.read(uid)
			switch {
			case err != nil && s.gone():
				return s.broke()
			case err != nil: // this one is broken on the server: the others must not wait for it
				unread++
				continue
			case mail == nil: // somebody deleted it in between
				continue
			}
			if err := handle(ctx, mail); err != nil {
				return err
			}
			if err := s.seen(uid); err != nil {
				return err
			}
		}
		if unread > 0 {
			return fmt.Errorf("%s did not show %d mails of the folder %q: look at them there, and delete or mark them", m, unread, m.folder)
		}
		return nil
	})
}

// session is a connection with the folder open.
type session struct {
	*client.Client
	conn *bounded
	at   string // host:port, for errors
}

// gone reports whether the connection is lost.
func (s *session) gone() bool {
	select {
	case <-s.LoggedOut():
		return true
	default:
		return false
	}
}

// broke says that the connection was lost.
func (s *session) broke() error { return fmt.Errorf("%s broke off, or did not answer in time", s.at) }

// refused says what the server's no means, unless it gave no answer at all.
func (s *session) refused(format string, args ...any) error {
	if s.gone() {
		return s.broke()
	}
	return fmt.Errorf(format, args...)
}

// visit connects, logs in, opens the folder, does something and takes its leave. The end of ctx ends the connection at once.
func (m *IMAP) visit(ctx context.Context, do func(context.Context, *session) error) error {
	timeout := m.Timeout
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	raw, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", m.Address())
	if err != nil {
		return fmt.Errorf("%s does not answer", m)
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	s := &session{conn: &bounded{Conn: raw}, at: m.String()}
	s.conn.left.Store(maxAnswer)
	// The library waits for the greeting for ever.
	patience := time.AfterFunc(timeout, func() { _ = raw.Close() })
	err = m.greet(ctx, s, timeout)
	patience.Stop()
	if err != nil {
		return cancelled(ctx, err)
	}
	defer s.leave()
	if err := m.enter(ctx, s); err != nil {
		return cancelled(ctx, err)
	}
	return cancelled(ctx, do(ctx, s))
}

// cancelled tells the end of ctx from a server that broke off.
func cancelled(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// greet waits for the greeting, under TLS unless the URL does without.
func (m *IMAP) greet(ctx context.Context, s *session, timeout time.Duration) (err error) {
	secure := m.TLS.Clone()
	if secure == nil {
		secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if secure.ServerName == "" {
		secure.ServerName = m.host
	}
	var conn net.Conn = s.conn
	if m.implicit {
		t := tls.Client(conn, secure)
		if err := t.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("%s: no TLS: %w", m, err)
		}
		conn = t
	}
	if s.Client, err = client.New(conn); err != nil {
		return fmt.Errorf("%s does not greet as an IMAP server: check host and port", m)
	}
	s.ErrorLog = silent{} // it would go to standard error with the server's words
	s.Timeout = timeout
	if m.implicit || m.plain {
		return nil
	}
	if ok, err := s.SupportStartTLS(); err != nil || !ok {
		return fmt.Errorf("%s offers no STARTTLS: write imaps://, or ?starttls=never on a network that you trust", m)
	}
	if err := s.StartTLS(secure); err != nil {
		return fmt.Errorf("%s: no TLS: %w", m, err)
	}
	return nil
}

// login is a way of logging in that says all in its first words.
type login struct{ way, words string }

// Start implements sasl.Client.
func (l login) Start() (string, []byte, error) { return l.way, []byte(l.words), nil }

// Next implements sasl.Client: a server that does not take the words says why, and wants an empty line before its no.
func (l login) Next([]byte) ([]byte, error) { return []byte{}, nil }

// logIn logs in by a token, or by a password the way that the server takes it.
func (m *IMAP) logIn(ctx context.Context, s *session) error {
	if m.tokens != nil {
		token, err := m.tokens.Token(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
		if s.Authenticate(login{"XOAUTH2", "user=" + m.user + "\x01auth=Bearer " + token + "\x01\x01"}) != nil {
			m.tokens.Forget(token)
			return s.refused("%s did not take our token: check user and scope, and that IMAP is allowed for the mailbox and for the application", m)
		}
		return nil
	}
	err := s.Login(m.user, m.password)
	if err != nil && !m.plain && !s.gone() {
		if ok, _ := s.SupportAuth("PLAIN"); ok { // some take a password by LOGIN, some only so
			err = s.Authenticate(login{"PLAIN", "\x00" + m.user + "\x00" + m.password})
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrLoginDisabled):
		return fmt.Errorf("%s takes no password without TLS: write imaps://, or leave ?starttls=never out", m)
	}
	return s.refused("%s did not let us in: check user and password; where a provider asks for it, IMAP must be switched on for the mailbox, with a password of its own", m)
}

// enter logs in and opens the folder. The server's own words are left out of errors: they may repeat the password.
func (m *IMAP) enter(ctx context.Context, s *session) error {
	if err := m.logIn(ctx, s); err != nil {
		return err
	}
	s.conn.left.Store(maxAnswer)
	// Some providers (NetEase's 163.com) open no folder for a client that has not said its name (RFC 2971).
	if ok, err := s.Support("ID"); err == nil && ok {
		if _, err := s.Execute(&imap.Command{Name: "ID", Arguments: []any{[]any{"name", "carebell"}}}, nil); err != nil {
			return s.broke()
		}
	}
	status, err := s.Select(m.folder, false)
	switch {
	case err != nil:
		return s.refused("%s has no folder %q that this user may open", m, m.folder)
	case status.ReadOnly, len(status.PermanentFlags) > 0 && !slices.Contains(status.PermanentFlags, imap.SeenFlag) && !slices.Contains(status.PermanentFlags, imap.TryCreateFlag):
		return fmt.Errorf("%s: in the folder %q this user may not mark mails as seen: every fetch would read them again", m, m.folder)
	}
	return nil
}

// unseen lists the mails that nobody has read, by UID.
func (s *session) unseen() ([]uint32, error) {
	s.conn.left.Store(maxAnswer)
	// No CHARSET, which the library's own search always names: our words are ASCII, and Alibaba's enterprise mail answers BAD to any
	// (RFC 3501 section 6.4.4).
	search := &commands.Search{Criteria: &imap.SearchCriteria{WithoutFlags: []string{imap.SeenFlag, imap.DeletedFlag}}}
	var found responses.Search
	status, err := s.Execute(&commands.Uid{Cmd: search}, &found)
	if err == nil {
		err = status.Err()
	}
	if err != nil {
		return nil, s.refused("%s did not list its unseen mails", s.at)
	}
	return found.Ids, nil
}

// read returns the beginning of a mail and leaves it unseen; nil if it is gone.
func (s *session) read(uid uint32) (io.Reader, error) {
	s.conn.left.Store(maxAnswer)
	section := &imap.BodySectionName{Peek: true, Partial: []int{0, email.MaxReport}}
	got, done := make(chan *imap.Message), make(chan error, 1)
	go func() { done <- s.UidFetch(one(uid), []imap.FetchItem{section.FetchItem(), imap.FetchUid}, got) }()
	var mail io.Reader
	for msg := range got { // to its end, or the library would wait
		if body := msg.GetBody(section); body != nil && msg.Uid == uid {
			mail = body
		}
	}
	return mail, <-done
}

// seen marks a mail, so that the next fetch passes it by.
func (s *session) seen(uid uint32) error {
	s.conn.left.Store(maxAnswer)
	if err := s.UidStore(one(uid), imap.FormatFlagsOp(imap.AddFlags, true), []any{imap.SeenFlag}, nil); err != nil {
		return s.refused("%s did not mark a mail as seen", s.at)
	}
	return nil
}

func one(uid uint32) *imap.SeqSet {
	set := new(imap.SeqSet)
	set.AddNum(uid)
	return set
}

// leave says goodbye and waits for the library's reader to end.
func (s *session) leave() {
	s.conn.left.Store(maxAnswer)
	_ = s.Logout()
	_ = s.conn.Close()
	<-s.LoggedOut()
}

// silent is a log of the library's that keeps nothing.
type silent struct{}

// Printf does nothing.
func (silent) Printf(string, ...any) {}

// Println does nothing.
func (silent) Println(...any) {}

// bounded ends a connection whose answer is longer than any that we ask for.
type bounded struct {
	net.Conn
	left atomic.Int64
}

var errTooLong = errors.New("the answer is too long")

// Read reads as long as there is room.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.left.Add(-int64(n)) < 0 {
		_ = b.Close()
		return 0, errTooLong
	}
	return n, err
}
