package hooks

import (
	"context"
	"errors"
	"net/http"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/service/feedback"
)

// SMS reads the callbacks of the SMS gateways that are set up.
type SMS struct {
	Sender   func() *sms.Sender // nil = no gateway is set up
	Redirect feedback.Redirect
}

var _ Gateways = SMS{}

// Read reads what a gateway posted.
func (s SMS) Read(_ context.Context, gateway string, r *http.Request) ([]care.Receipt, []feedback.Reply, Answer, error) {
	sender := s.Sender()
	if sender == nil {
		return nil, nil, Answer{}, ErrUnknownGateway
	}
	back, err := sender.Callback(gateway, r)
	switch {
	case errors.Is(err, sms.ErrForged):
		return nil, nil, Answer{}, ErrForged
	case errors.Is(err, sms.ErrUnknownGateway):
		return nil, nil, Answer{}, ErrUnknownGateway
	case errors.Is(err, sms.ErrUnreadable):
		return nil, nil, Answer{}, feedback.ErrUnreadable
	case err != nil:
		return nil, nil, Answer{}, err
	}
	replies := make([]feedback.Reply, len(back.Replies))
	for i, reply := range back.Replies {
		replies[i] = feedback.Reply(reply)
	}
	return s.Redirect.Strip(back.Receipts), replies, Answer{Body: back.Answer, ContentType: back.ContentType}, nil
}
