package email

import (
	"context"
	"errors"
	"net/textproto"
	"time"

	"github.com/wneessen/go-mail"
)

// refusal is a server's no.
type refusal struct {
	stage mail.SendErrReason
	reply *textproto.Error
}

func (r *refusal) verdict() verdict {
	code := statusCode.FindString(r.reply.Msg)
	return verdict{
		err:   answer(r.stage, r.reply.Code, code, r.reply.Msg),
		keep:  r.reply.Code != 421,
		stale: r.reply.Code == 421 && r.stage == mail.ErrSMTPMailFrom,
	}
}

// envelope are the commands before the data, in one go (RFC 2920), with the answers that let the message pass.
var envelope = [...]struct {
	stage  mail.SendErrReason
	expect int
}{{mail.ErrSMTPMailFrom, 250}, {mail.ErrSMTPRcptTo, 25}, {mail.ErrSMTPData, 354}}

// post sends a message that was written on a form: the envelope in one packet, then the data in one. timeout is that of the whole
// dialogue, as go-mail counts it.
func (l *link) post(ctx context.Context, timeout time.Duration, m *letter) verdict {
	if err := l.client.UpdateDeadline(timeout); err != nil {
		return lost(ctx, mail.ErrSMTPMailFrom, l.wire)
	}
	text := l.client.Text
	// The addresses were checked: nothing in them can end the command.
	for _, part := range [...]string{"MAIL FROM:<", m.envelope, ">\r\nRCPT TO:<", m.to.Address, ">\r\nDATA\r\n"} {
		_, _ = text.W.WriteString(part) // an error stays with the writer until Flush
	}
	if err := text.W.Flush(); err != nil {
		return lost(ctx, mail.ErrSMTPMailFrom, l.wire)
	}
	if v, ok := l.envelopeAnswers(ctx); !ok {
		return v
	}
	_, err := text.W.Write(*m.data)
	if err == nil {
		err = text.W.Flush()
	}
	if err != nil {
		return lost(ctx, mail.ErrSMTPDataClose, l.wire)
	}
	_, yes, err := text.ReadResponse(250)
	var no *textproto.Error
	switch {
	case err == nil:
		m.yes = yes
		return verdict{keep: true}
	case errors.As(err, &no):
		return (&refusal{mail.ErrSMTPDataClose, no}).verdict()
	}
	return lost(ctx, mail.ErrSMTPDataClose, l.wire)
}

// envelopeAnswers reads the answers to MAIL, RCPT and DATA, and reports whether the server waits for the data. All are read even
// after a no, so that the connection can be used again.
func (l *link) envelopeAnswers(ctx context.Context) (v verdict, ok bool) {
	var first *refusal
	waits := false
	for _, step := range envelope {
		_, _, err := l.client.Text.ReadResponse(step.expect)
		var no *textproto.Error
		switch {
		case err == nil:
			waits = step.stage == mail.ErrSMTPData
			continue
		case !errors.As(err, &no):
			if first == nil {
				return lost(ctx, step.stage, l.wire), false
			}
			v = first.verdict()
			v.keep = false
			return v, false
		case first == nil:
			first = &refusal{step.stage, no}
		}
		if no.Code == 421 {
			break // it closes now
		}
	}
	if first == nil {
		return v, true
	}
	v = first.verdict()
	// A server that waits for the data of a message without recipients would take the next command for its text. Without the final dot
	// it has taken nothing (RFC 5321 section 4.1.1.4).
	v.keep = v.keep && !waits
	return v, false
}
