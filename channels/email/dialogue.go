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

func (r *refusal) verdict(m *mimeMessage) verdict {
	return verdict{
		err:   refused(r.stage, r.reply, m),
		keep:  r.reply.Code != 421,
		stale: r.reply.Code == 421 && r.stage == mail.ErrSMTPMailFrom,
	}
}

// How long each answer is waited for (RFC 5321 section 4.5.3.2).
const (
	waitCommand = 5 * time.Minute  // the greeting, MAIL, RCPT
	waitData    = 3 * time.Minute  // a block of the data
	waitDot     = 10 * time.Minute // the answer to the final dot
)

// Timeout bounds one attempt: longer than all of its steps may take together.
const Timeout = 40 * time.Minute

// within sets the time for the next step: what the RFC asks for, or what the settings say.
func (c *connection) within(wait time.Duration) bool {
	if c.timeout > 0 {
		wait = c.timeout
	}
	return c.client.UpdateDeadline(wait) == nil
}

// envelope are the commands before the data, with the answers that let the message pass.
var envelope = [...]struct {
	stage  mail.SendErrReason
	expect int
}{{mail.ErrSMTPMailFrom, 250}, {mail.ErrSMTPRcptTo, 25}, {mail.ErrSMTPData, 354}}

// transmit makes one dialogue for a message: the envelope, in one packet where the server takes several commands at a time (RFC 2920), else
// one by one, then the data.
func (c *connection) transmit(ctx context.Context, m *mimeMessage) verdict {
	if !c.within(waitCommand) {
		return lost(ctx, mail.ErrSMTPMailFrom, c.conn)
	}
	exchange := c.oneByOne
	if c.pipelining {
		exchange = c.atOnce
	}
	if v, ok := exchange(ctx, m); !ok {
		return v
	}
	text := c.client.Text
	ok := c.within(waitData)
	_, err := text.W.Write(*m.data)
	if err == nil {
		err = text.W.Flush()
	}
	if err != nil || !ok || !c.within(waitDot) {
		return lost(ctx, mail.ErrSMTPDataClose, c.conn)
	}
	_, yes, err := text.ReadResponse(250)
	var no *textproto.Error
	switch {
	case err == nil:
		m.yes = yes
		return verdict{keep: true}
	case errors.As(err, &no):
		return (&refusal{mail.ErrSMTPDataClose, no}).verdict(m)
	}
	return lost(ctx, mail.ErrSMTPDataClose, c.conn)
}

// commands are MAIL, RCPT and DATA for a message. Its addresses were checked: nothing in them can end a command.
func (m *mimeMessage) commands() [len(envelope)][3]string {
	end := ">\r\n"
	if m.utf8 {
		end = "> BODY=8BITMIME SMTPUTF8\r\n" // RFC 6531 section 3.4: who offers the second offers the first
	}
	return [...][3]string{{"MAIL FROM:<", m.envelope, end}, {"RCPT TO:<", m.to.Address, ">\r\n"}, {"DATA\r\n"}}
}

// put writes a command; what goes wrong comes back from the flush.
func (c *connection) put(command [3]string) {
	for _, part := range command {
		_, _ = c.client.Text.W.WriteString(part)
	}
}

// oneByOne sends the envelope a command at a time, and reports whether the server waits for the data.
func (c *connection) oneByOne(ctx context.Context, m *mimeMessage) (v verdict, ok bool) {
	commands := m.commands()
	for i, step := range envelope {
		c.within(waitCommand)
		c.put(commands[i])
		if c.client.Text.W.Flush() != nil {
			return lost(ctx, step.stage, c.conn), false
		}
		_, _, err := c.client.Text.ReadResponse(step.expect)
		var no *textproto.Error
		switch {
		case errors.As(err, &no):
			return (&refusal{step.stage, no}).verdict(m), false
		case err != nil:
			return lost(ctx, step.stage, c.conn), false
		}
	}
	return v, true
}

// atOnce sends the envelope in one packet and reads the answers, and reports whether the server waits for the data. All answers are read
// even after a no, so that the connection can be used again.
func (c *connection) atOnce(ctx context.Context, m *mimeMessage) (v verdict, ok bool) {
	for _, command := range m.commands() {
		c.put(command)
	}
	if c.client.Text.W.Flush() != nil {
		return lost(ctx, mail.ErrSMTPMailFrom, c.conn), false
	}
	var first *refusal
	waits := false
	for _, step := range envelope {
		_, _, err := c.client.Text.ReadResponse(step.expect)
		var no *textproto.Error
		switch {
		case err == nil:
			waits = step.stage == mail.ErrSMTPData
			continue
		case !errors.As(err, &no):
			if first == nil {
				return lost(ctx, step.stage, c.conn), false
			}
			v = first.verdict(m)
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
	v = first.verdict(m)
	// A server that waits for the data of a message without recipients would take the next command for its text. Without the final dot
	// it has taken nothing (RFC 5321 section 4.1.1.4).
	v.keep = v.keep && !waits
	return v, false
}
