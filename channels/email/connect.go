package email

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Why a connection cannot be used, whatever is tried again.
var (
	errNoTLS   = errors.New("the server offers no STARTTLS; allow ?starttls=opportunistic if you mean it")
	errNoLogin = errors.New("the server offers no way to log in that is safe on this connection")
)

// dialFor bounds the dial; the greeting and what follows have longer.
const dialFor = 10 * time.Second

// Roots returns the certificates that are trusted: the given ones, or the system's, and those of a file.
func Roots(file string, given *x509.CertPool) (*x509.CertPool, error) {
	if file == "" {
		return given, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("?ca=: %w", err)
	}
	pool := given
	if pool == nil {
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool()
		}
	}
	if pool = pool.Clone(); !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("?ca=: %s has no certificate in PEM", file)
	}
	return pool, nil
}

// dial opens a new connection for a mail of a sender: greeted, encrypted as the settings say, logged in.
func (up *upstream) dial(ctx context.Context, sender string) (*connection, error) {
	c, err := up.open(ctx, sender, up.StartTLS)
	if errors.Is(err, errHandshake) && up.StartTLS == mail.TLSOpportunistic && up.Unverified {
		// Nothing was to be proven by it (RFC 7435 section 3): in the clear, then.
		c, err = up.open(ctx, sender, mail.NoTLS)
	}
	return c, err
}

func (up *upstream) open(ctx context.Context, sender string, policy mail.TLSPolicy) (c *connection, err error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(up.timeout, waitCommand))
	defer cancel()
	raw, err := (&net.Dialer{Timeout: dialFor}).DialContext(ctx, up.Network(), up.Address())
	if err != nil {
		return nil, err
	}
	w := &boundConn{Conn: raw}
	defer w.bind(ctx)()
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	var conn net.Conn = w
	if up.Implicit {
		secure := tls.Client(w, up.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	client, err := smtp.NewClient(conn, cmp.Or(up.Host, "localhost"))
	if err != nil {
		return nil, err
	}
	if err := client.Hello(cmp.Or(up.helo, greeting(sender, up.Address()))); err != nil {
		return nil, err
	}
	if !up.Implicit {
		if err := up.encrypt(client, policy); err != nil {
			return nil, err
		}
	}
	if up.User != "" {
		if err := up.logIn(ctx, client); err != nil {
			return nil, err
		}
	}
	c = &connection{client: client, conn: w, timeout: up.timeout}
	c.pipelining, _ = client.Extension("PIPELINING")
	return c, nil
}

// errHandshake marks a TLS handshake that failed after STARTTLS.
var errHandshake = errors.New("the server offers STARTTLS and cannot do it")

// encrypt says STARTTLS where the settings ask for it and the server offers it.
func (up *upstream) encrypt(client *smtp.Client, policy mail.TLSPolicy) error {
	if policy == mail.NoTLS {
		return nil
	}
	if offered, _ := client.Extension("STARTTLS"); !offered {
		if policy == mail.TLSMandatory {
			return errNoTLS
		}
		return nil
	}
	err := client.StartTLS(up.tls)
	_, begun := client.TLSConnectionState()
	var no *textproto.Error
	switch {
	case err == nil:
		return nil
	case begun || !errors.As(err, &no):
		return fmt.Errorf("%w: %w", errHandshake, err)
	case policy == mail.TLSOpportunistic && no.Code != 421 && (up.User == "" || up.Local()):
		return nil // "TLS not available": the dialogue goes on in the clear (RFC 3207 section 4)
	}
	return err
}

// methods are the ways to log in, the best first. Those of a token come first, but are for tokens only.
var methods = []string{"XOAUTH2", "OAUTHBEARER", "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"}

// mostLogins is how many ways to log in are tried: some servers lock an account after a few that failed.
const mostLogins = 3

// logIn logs in by the best way that the server offers, by the next one if the server refuses it.
func (up *upstream) logIn(ctx context.Context, client *smtp.Client) error {
	ways := up.ways(client)
	if len(ways) == 0 {
		return errNoLogin
	}
	secret := up.Password
	if up.tokens != nil {
		token, err := up.tokens.Token(ctx)
		if err != nil {
			return err
		}
		secret = token
	}
	var first error
	for _, way := range ways[:min(len(ways), mostLogins)] {
		err := exchange(client, cmp.Or(up.Host, "localhost"), up.authBy(way, secret))
		if err == nil {
			up.method.Store(&way)
			return nil
		}
		if first == nil {
			first = err
		}
		var no *textproto.Error
		if !errors.As(err, &no) || no.Code < 500 {
			break
		}
	}
	var no *textproto.Error
	if up.tokens != nil && errors.As(first, &no) {
		up.tokens.Forget(secret) // it may have been revoked before it expired
	}
	return first
}

// ways lists how to log in, as the server offers and the connection allows, in the order in which they are tried.
func (up *upstream) ways(client *smtp.Client) (out []string) {
	var offered []string
	if ok, list := client.Extension("AUTH"); ok {
		offered = strings.Fields(strings.ToUpper(list))
	}
	for _, old := range methods { // as servers wrote it before RFC 2554
		if ok, list := client.Extension("AUTH=" + old); ok {
			offered = append(append(offered, old), strings.Fields(strings.ToUpper(list))...)
		}
	}
	_, secure := client.TLSConnectionState()
	for _, way := range methods {
		byToken := way == "XOAUTH2" || way == "OAUTHBEARER"
		shown := byToken || way == "PLAIN" || way == "LOGIN" // the server sees the secret
		switch {
		case byToken != (up.tokens != nil), !slices.Contains(offered, way), up.Auth != "" && up.Auth != way:
		case shown && !secure && !up.Implicit && !up.Local() && (up.Auth != way || up.StartTLS != mail.NoTLS): // both said: it is meant
		default:
			out = append(out, way)
		}
	}
	if last := up.method.Load(); last != nil && slices.Contains(out, *last) {
		out = slices.DeleteFunc(out, func(way string) bool { return way == *last })
		out = slices.Insert(out, 0, *last)
	}
	return out
}

func (up *upstream) authBy(way, secret string) smtp.Auth {
	host := cmp.Or(up.Host, "localhost")
	switch way {
	case "XOAUTH2":
		return smtp.XOAuth2Auth(up.User, secret)
	case "OAUTHBEARER":
		return bearer{fmt.Sprintf("n,a=%s,\x01host=%s\x01port=%d\x01auth=Bearer %s\x01\x01", up.User, host, up.Port, secret)}
	case "LOGIN":
		return smtp.LoginAuth(up.User, secret, host, true)
	case "SCRAM-SHA-256":
		return smtp.ScramSHA256Auth(up.User, secret)
	case "SCRAM-SHA-1":
		return smtp.ScramSHA1Auth(up.User, secret)
	case "CRAM-MD5":
		return smtp.CRAMMD5Auth(up.User, secret)
	}
	return smtp.PlainAuth("", up.User, secret, host, true)
}

// bearer logs in with a token as RFC 7628 says.
type bearer struct{ first string }

// Start implements smtp.Auth.
func (b bearer) Start(*smtp.ServerInfo) (string, []byte, error) {
	return "OAUTHBEARER", []byte(b.first), nil
}

// Next implements smtp.Auth: the server says what is wrong and wants a word before its no.
func (b bearer) Next(_ []byte, more bool) ([]byte, error) {
	if more {
		return []byte("\x01"), nil
	}
	return nil, nil
}

// exchange makes the dialogue of a way to log in. Unlike the library's it leaves the connection open after a no, so that the next can be
// tried (RFC 4954 section 4).
func exchange(client *smtp.Client, host string, auth smtp.Auth) error {
	way, answer, err := auth.Start(&smtp.ServerInfo{Name: host, TLS: true}) // what is safe was decided before
	if err != nil {
		return err
	}
	command := "AUTH " + way
	if answer != nil { // with the command, however long: RFC 4954 allows 12,288 characters
		command += " " + base64.StdEncoding.EncodeToString(answer)
	}
	for {
		if err := client.Text.PrintfLine("%s", command); err != nil {
			return err
		}
		code, said, err := client.Text.ReadResponse(0)
		switch {
		case err != nil:
			return err
		case code == 235:
			_, err := auth.Next([]byte(said), false) // SCRAM: whether the server knows the password, too
			return err
		case code != 334:
			return &textproto.Error{Code: code, Msg: said}
		}
		challenge, err := base64.StdEncoding.DecodeString(said)
		if err == nil {
			answer, err = auth.Next(challenge, true)
		}
		if command = base64.StdEncoding.EncodeToString(answer); err != nil {
			command = "*" // the server answers it with a no
		}
	}
}

// secrets are what must not get into what is kept of the server's words.
func (up *upstream) secrets() []string {
	out := []string{up.Password, up.User}
	if up.tokens != nil {
		out = append(out, up.tokens.last())
	}
	return out
}
