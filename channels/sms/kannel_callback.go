package sms

import (
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels"
)

// Kannel's delivery events (user guide, "Delivery reports").
const (
	dlrDelivered = 1
	dlrFailed    = 2
	dlrBuffered  = 4
	dlrAccepted  = 8
	dlrRejected  = 16
)

// callback reads a dlr-url's call, or one of an sms-service's get-url with from=%p, to=%P, text=%a and id=%I.
func (k *kannel) callback(in *inbound) (*Callback, error) {
	if err := k.trusted(in); err != nil {
		return nil, err
	}
	c := &Callback{Answer: []byte{}, ContentType: "text/plain; charset=utf-8"} // an empty answer: the customer gets no SMS back
	if !in.query.Has("event") {
		from := in.query.Get("from")
		if from == "" {
			return nil, ErrUnreadable
		}
		c.Replies = []Reply{k.reply(in.query.Get("id"), from, in.query.Get("to"), in.query.Get("text"))}
		return c, nil
	}
	event, err := strconv.Atoi(in.query.Get("event"))
	if err != nil {
		return nil, ErrUnreadable
	}
	r := k.receipt(in.query.Get("id"), foreign(in.query.Get("foreign")))
	if sec, err := strconv.ParseInt(in.query.Get("at"), 10, 64); err == nil && sec > 0 && sec < 1<<33 {
		r.At = time.Unix(sec, 0).UTC()
	}
	status := smscStatus(in.query.Get("reply"))
	r.Code = status
	switch event {
	case dlrDelivered:
		r.State = care.StateDelivered
	case dlrFailed, dlrRejected:
		r.State, r.Kind = care.StateUndelivered, carrierCodes.kind(status)
	case dlrBuffered, dlrAccepted:
		r.State = care.StateSent
	default:
		return nil, ErrUnreadable
	}
	c.Receipts = []care.Receipt{r}
	return c, nil
}

// carrierCodes are what carriers put into receipts, mostly in China. KindRetry is a soft failure: the phone was off.
var carrierCodes = codes{
	"MK:0001": care.KindRecipient, "MK:0005": care.KindRecipient, "MK:0013": care.KindRecipient,
	"MK:0023": care.KindRetry, "EXPIRED": care.KindRetry, "UNDELIV": care.KindRetry,
	"MBBLACK": care.KindOptedOut, "DB:0144": care.KindOptedOut,
	"REJECTD": care.KindContent, "REJECTED": care.KindContent,
}

// smscStatus finds the status in an SMSC's words: "id:… stat:UNDELIV err:012 …" (SMPP 3.4 appendix B), or the word itself.
func smscStatus(words string) string {
	if _, after, ok := strings.Cut(words, "stat:"); ok {
		words = after
	}
	words, _, _ = strings.Cut(strings.TrimSpace(words), " ")
	words, _, _ = strings.Cut(words, "/")
	return short(words)
}

// reply builds a reply and reads its words.
func (p *provider) reply(id, from, to, text string) Reply {
	r := Reply{Gateway: p.Name, ID: id, From: from, To: to, Text: strings.TrimSpace(channels.Lines(text)), At: p.clock(), Countries: p.Countries}
	r.OptOut, r.OptIn, r.More = OptWord(r.Text)
	return r
}
