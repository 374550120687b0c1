package email

import (
	"bytes"
	"context"
	"errors"
	"net/mail"
	"net/textproto"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/answer"
)

// Try makes the dialogue of a message from an address up to MAIL FROM and takes it back: greeting, TLS, log-in and sender are tried, and
// nothing is sent. An error is a *care.Error with the server's words.
func (s *Sender) Try(ctx context.Context, server, from string) error {
	for _, up := range s.servers {
		if up.Name == server {
			return up.try(ctx, s.envelope(from, "doctor"))
		}
	}
	return content("no_server", "there is no such mail server")
}

// envelope is the envelope's sender of a message from an address.
func (s *Sender) envelope(from, id string) string {
	if s.cfg.ReturnPath == "" {
		return from
	}
	return strings.ReplaceAll(s.cfg.ReturnPath, "{id}", id)
}

// EnvelopeDomain is the domain whose SPF record speaks for mails from an address.
func (s *Sender) EnvelopeDomain(from string) string {
	path := s.envelope(from, "x")
	return path[strings.LastIndexByte(path, '@')+1:]
}

// Greets is the name by which a server is greeted for mails from an address.
func (s *Sender) Greets(server Server, from string) string {
	if s.cfg.HELO != "" {
		return s.cfg.HELO
	}
	return greeting(from, server.Address())
}

func (up *upstream) try(ctx context.Context, envelope string) error {
	if _, err := address(envelope); err != nil {
		return content("bad_sender", "the sender's address is none")
	}
	c, err := up.dial(ctx, envelope)
	if err != nil {
		return unreachable(ctx, err, up.secrets()...).err
	}
	defer c.conn.Close()
	defer c.conn.bind(ctx)()
	err = c.client.Text.PrintfLine("MAIL FROM:<%s>", envelope)
	if err == nil {
		_, _, err = c.client.Text.ReadResponse(250)
	}
	var no *textproto.Error
	switch {
	case errors.As(err, &no):
		e := answer.Read(answer.Answer{Stage: answer.MailFrom, Code: no.Code, Enhanced: statusCode.FindString(firstWord(no.Msg)), Text: no.Msg})
		e.Err, e.Said = errors.New("the server refused the sender"), answer.Words(no.Msg, up.secrets()...)
		return e
	case err != nil:
		return &care.Error{Kind: care.KindRetry, Code: "broken", Err: errors.New("the server's connection ended after MAIL FROM")}
	}
	_ = c.client.Reset()
	c.quit()
	return nil
}

// Looks is what receivers see of a mail.
type Looks struct {
	Size     int  // of the whole, in bytes
	OneClick bool // it has List-Unsubscribe and List-Unsubscribe-Post (RFC 8058)
	Signed   bool // by us; else the mail server may sign
	Covered  bool // the two stand under the signature
}

// Look writes a mail as it would be sent, and looks at it.
func (s *Sender) Look(message *care.Message) (Looks, error) {
	m, err := s.check(message)
	if err != nil {
		return Looks{}, err
	}
	if err := s.write(m); err != nil {
		return Looks{}, err
	}
	defer m.release()
	looks := Looks{Size: len(*m.data)}
	parsed, err := mail.ReadMessage(bytes.NewReader(*m.data))
	if err != nil {
		return looks, err
	}
	looks.OneClick = parsed.Header.Get("List-Unsubscribe") != "" && parsed.Header.Get("List-Unsubscribe-Post") != ""
	for _, tag := range strings.Split(parsed.Header.Get("DKIM-Signature"), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(tag), "=")
		if name != "h" {
			continue
		}
		signed := ":" + strings.ToLower(strings.Join(strings.Fields(value), "")) + ":"
		looks.Signed = true
		looks.Covered = strings.Contains(signed, ":list-unsubscribe:") && strings.Contains(signed, ":list-unsubscribe-post:")
	}
	return looks, nil
}
