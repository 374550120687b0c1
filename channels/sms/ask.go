package sms

import (
	"context"
	"errors"
	"time"

	"github.com/carebell/carebell/care"
)

// Question names a message of which it is not known whether it went.
type Question struct {
	ID      string    // the occurrence's
	Gateway string    // the account that was tried; "" = the one that is meant for the number
	To      string    // E.164
	Country string    // of the dealer
	Dealer  string    // its name
	At      time.Time // of the attempt

	ProviderID string // what the gateway calls the message; "" = its answer was lost
}

// ErrUnknown is the answer of a gateway that cannot be asked what became of a message by our id, or that knows nothing of it (yet). It is
// no proof that the message did not go.
var ErrUnknown = errors.New("the gateway does not know the message by our id")

// asker is a gateway that can be asked.
type asker interface {
	ask(ctx context.Context, q *Question) (care.Receipt, error)
}

// Ask asks a gateway what became of a message. The error is ErrUnknown or a *care.Error. Of the gateways that need no file Aliyun alone
// finds messages by our id: Twilio, Vonage, Tencent Cloud and Kannel ask for theirs, which was lost with their answer. A gateway file says
// how its gateway is asked.
func (s *Sender) Ask(ctx context.Context, q Question) (care.Receipt, error) {
	r := s.route(q.Gateway)
	if q.Gateway == "" {
		r = s.route(s.GatewayFor(q.To, q.Country, q.Dealer))
	}
	if r == nil {
		return care.Receipt{}, ErrUnknown
	}
	if a, ok := r.gateway.(asker); ok {
		return a.ask(ctx, &q)
	}
	return care.Receipt{}, ErrUnknown
}
