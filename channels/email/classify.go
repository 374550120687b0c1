package email

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
)

// fullMailbox is when a full mailbox is tried again: it takes its owner, not seconds.
const fullMailbox = time.Hour

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

// deadCodes are the enhanced codes (RFC 3463, RFC 7504 and RFC 7505) that say that the address is dead.
var deadCodes = map[string]bool{"5.1.1": true, "5.1.2": true, "5.1.3": true, "5.1.6": true, "5.1.10": true}

// dead are words of servers that send no enhanced code, for a mailbox that is not there.
var dead = []string{
	"user unknown", "unknown user", "no such user", "user not found", "no such recipient", "recipient unknown", "unknown recipient",
	"mailbox not found", "no such mailbox", "mailbox unavailable", "no mailbox here", "does not exist", "unrouteable address",
	"invalid mailbox", "invalid recipient", "recipient rejected: address rejected", "account has been disabled",
}

// answer classes a server's answer by its stage, code and enhanced code. text is only searched, never passed on.
func answer(stage mail.SendErrReason, code int, enhanced, text string) *care.Error {
	e := &care.Error{Kind: care.KindRetry, Code: strings.TrimSpace(fmt.Sprintf("%d %s", code, enhanced))}
	e.Err = fmt.Errorf("the server refused while %s", stage)
	switch {
	case code < 500:
		return e // 4xx: not now
	case code == 530 || code == 534 || code == 535 || code == 538 || enhanced == "5.7.8" || enhanced == "5.7.9":
		e.Kind = care.KindOperator
	case enhanced == "5.2.2":
		e.Kind, e.RetryAfter = care.KindDefer, fullMailbox
	case code == 503:
		// Our dialogue and the server's have come apart: nothing is known of the message.
	case stage == mail.ErrSMTPRcptTo && deadCodes[enhanced]:
		e.Kind = care.KindRecipient
	case stage == mail.ErrSMTPDataClose && deadCodes[enhanced]: // LMTP-like relays know only now
		e.Kind = care.KindRecipient
	case stage == mail.ErrSMTPRcptTo && enhanced == "" && (code == 550 || code == 551 || code == 553 || code == 556) && saysDead(text):
		e.Kind = care.KindRecipient
	default:
		// 5.7.x is a policy, 5.3.4 a size, a bare 550 often "relaying denied": of the message or of us, never of the address,
		// which would be suppressed for ever.
		e.Kind = care.KindContent
	}
	return e
}

func saysDead(text string) bool {
	text = strings.ToLower(text)
	for _, phrase := range dead {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}

// unreachable classes a connection that could not be made.
func unreachable(ctx context.Context, err error) verdict {
	e := &care.Error{Kind: care.KindRetry, Code: "connect"}
	var reply *textproto.Error
	text := err.Error()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Code, e.Err = "canceled", context.Canceled
		return verdict{err: e}
	case ctx.Err() != nil:
		e.Code, e.Err = "timeout", context.DeadlineExceeded
		return verdict{err: e}
	case errors.As(err, &reply):
		e.Code, e.Err = fmt.Sprint(reply.Code), errors.New("the server refused the connection or the log-in")
		if reply.Code >= 500 {
			e.Kind = care.KindOperator
		}
	case errors.Is(err, errClosed):
		e.Code, e.Err = "closed", errClosed
	case strings.Contains(text, "does not support STARTTLS"):
		e.Kind, e.Code, e.Err = care.KindOperator, "starttls", errors.New("the server offers no STARTTLS; allow ?starttls=opportunistic if you mean it")
	case strings.Contains(text, "AUTH") || strings.Contains(text, "unencrypted connection") || strings.Contains(text, "wrong host name"):
		e.Kind, e.Code, e.Err = care.KindOperator, "auth", errors.New("the server offers no way to log in that is safe on this connection")
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
