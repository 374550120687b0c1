package operate

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/service/carebook"
)

// TestSend says what to send to whom for a test.
type TestSend struct {
	Template string
	To       string // a mail address, a telephone number or an http(s) URL: it chooses the channel
	Locale   string // "" = the customer's, else the first dealer's
	Customer string // whose message it is; "" = a made-up customer's
}

// Sent says how a test message went out.
type Sent struct {
	Channel    care.Channel
	ProviderID string // "" = the provider names none
}

// SendTest delivers one test message at once, past queue and gates, to an address of the principal's own.
func (s *Service) SendTest(ctx context.Context, who care.Principal, opt TestSend) (*Sent, error) {
	book, err := s.Book()
	if err != nil {
		return nil, err
	}
	ch, to, err := channelOf(opt.To, book.Book.Dealers[0].Country)
	if err != nil {
		return nil, err
	}
	facts, err := s.customer(ctx, who, opt.Customer)
	if err != nil {
		return nil, err
	}
	shown, err := book.Preview(carebook.PreviewOptions{Template: opt.Template, Locale: opt.Locale, Customer: facts, Channel: ch, Now: s.Now()})
	if err != nil {
		return nil, err
	}
	senders, err := s.Senders(book.Book.Files)
	if err != nil {
		return nil, err
	}
	defer func() { _ = senders.Close() }()
	sender := senders.ByChannel[ch]
	if sender == nil {
		return nil, fmt.Errorf("%s is not set up: set %s", ch, map[care.Channel]string{care.Email: "CARE_SMTP_URL", care.SMS: "CARE_SMS_GATEWAY", care.Webhook: "CARE_WEBHOOK_URL"}[ch])
	}
	m := shown[0].Message
	m.To, m.ToName, m.Unsubscribe = to, "", ""
	m.ID = care.OccurrenceID("test", "", opt.Template, "test", s.Now().Format("20060102T150405.000"))
	m.Subject = "[TEST] " + m.Subject
	receipt, err := sender.Send(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("not accepted: %w", err)
	}
	return &Sent{Channel: ch, ProviderID: receipt.ProviderID}, nil
}

var errAddress = errors.New("it is neither a mail address, nor a telephone number, nor an http(s) URL")

// channelOf tells by the form of an address which channel reaches it.
func channelOf(to, country string) (care.Channel, string, error) {
	if strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://") {
		return care.Webhook, to, nil
	}
	if strings.Contains(to, "@") {
		if _, err := mail.ParseAddress(to); err == nil {
			if a, ok := contact.Email(to); ok {
				return care.Email, a, nil
			}
		}
	}
	if phone, ok := contact.Phone(to, country); ok {
		return care.SMS, phone, nil
	}
	return "", "", fmt.Errorf("--to: %w", errAddress)
}
