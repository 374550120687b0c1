package email

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
	"github.com/carebell/carebell/channels/answer"
)

// verdict is what became of one dialogue.
type verdict struct {
	err    *care.Error
	keep   bool // the connection can be used again
	stale  bool // the server had given the connection up before it took anything: a fresh one may go at once
	failed bool // there was no connection: another server may be tried
}

// lost is a dialogue that ended without an answer.
func lost(ctx context.Context, stage mail.SendErrReason, c *boundConn) verdict {
	writeFailed := c.writeFailed.Load() // then the final dot was not sent
	e := &care.Error{Kind: care.KindRetry, Code: "broken", Err: fmt.Errorf("the server's connection ended while %s", stage)}
	timedOut := c.timedOut.Load() || ctx.Err() != nil
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Code, e.Err = "canceled", fmt.Errorf("stopped while %s: %w", stage, context.Canceled)
	case timedOut:
		e.Code, e.Err = "timeout", fmt.Errorf("no answer while %s: %w", stage, context.DeadlineExceeded)
	}
	if stage == mail.ErrSMTPDataClose {
		// The dot is out and nobody said yes or no. Without the dot the server has not taken the message (RFC 5321 section 4.1.1.4).
		if !writeFailed {
			e.Kind = care.KindUncertain
		}
		return verdict{err: e}
	}
	return verdict{err: e, stale: !timedOut}
}

// stages are go-mail's names for where a dialogue stands.
var stages = map[mail.SendErrReason]answer.Stage{
	mail.ErrSMTPMailFrom: answer.MailFrom, mail.ErrSMTPRcptTo: answer.Rcpt, mail.ErrSMTPData: answer.Data, mail.ErrSMTPDataClose: answer.Dot,
}

// refused classes a server's answer to one message; its words go on record without the customer's address.
func refused(stage mail.SendErrReason, reply *textproto.Error, m *mimeMessage) *care.Error {
	e := answer.Read(answer.Answer{Stage: stages[stage], Code: reply.Code, Enhanced: statusCode.FindString(firstWord(reply.Msg)), Text: reply.Msg})
	e.Err, e.Said = fmt.Errorf("the server refused while %s", stage), answer.Words(reply.Msg, append(answer.Secrets(m.to.Address), m.ToName)...)
	return e
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// unreachable classes a connection that could not be made. The secrets do not get into what is kept of the server's words.
func unreachable(ctx context.Context, err error, secrets ...string) verdict {
	e := &care.Error{Kind: care.KindRetry, Code: "connect"}
	var reply *textproto.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Code, e.Err = "canceled", context.Canceled
		return verdict{err: e}
	case ctx.Err() != nil:
		e.Code, e.Err = "timeout", context.DeadlineExceeded
		return verdict{err: e}
	case errors.As(err, &reply):
		e = answer.Read(answer.Answer{Stage: answer.Connect, Code: reply.Code, Enhanced: statusCode.FindString(firstWord(reply.Msg)), Text: reply.Msg})
		e.Err, e.Said = errors.New("the server refused the connection or the log-in"), answer.Words(reply.Msg, secrets...)
	case errors.Is(err, errClosed):
		e.Code, e.Err = "closed", errClosed
	case errors.Is(err, errNoTLS), errors.Is(err, errNoLogin), errors.Is(err, errToken):
		e.Kind, e.Code, e.Err = care.KindOperator, map[error]string{errNoTLS: "starttls"}[err], err
		e.Code = cmp.Or(e.Code, "auth")
	default:
		e.Err = channels.Cause(err)
		switch {
		case errors.Is(e.Err, channels.ErrCertificate):
			e.Code = "tls"
		case errors.Is(e.Err, context.DeadlineExceeded):
			e.Code = "timeout"
		}
	}
	return verdict{err: e, failed: true}
}
