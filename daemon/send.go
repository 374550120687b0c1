package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/service/carebook"
)

// PreviewOptions say which message to show of which book.
type PreviewOptions struct {
	carebook.PreviewOptions
	Customer string // "" = a made-up one
	Book     string
	Out      carebook.PreviewFile // its name is "" if nothing is written
}

// Preview renders a message as its customer will see it and describes it on w.
func (e *Env) Preview(ctx context.Context, opt PreviewOptions, w io.Writer) error {
	if err := opt.Out.Check(); err != nil {
		return err
	}
	checked, err := e.check(opt.Book)
	if err != nil {
		return err
	}
	if opt.PreviewOptions.Customer, err = e.customerOf(ctx, opt.Customer); err != nil {
		return err
	}
	opt.Now = e.Now()
	shown, err := checked.Preview(opt.PreviewOptions)
	if err != nil {
		return err
	}
	carebook.Describe(w, shown)
	if opt.Out.Name == "" {
		return nil
	}
	if err := opt.Out.Write(ctx, opt.Template, shown); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "written: %s\n", opt.Out.Name)
	return err
}

// customerOf reads a customer from Redis; nil for "".
func (e *Env) customerOf(ctx context.Context, id string) (*care.Facts, error) {
	if id == "" {
		return nil, nil
	}
	st, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	return factsOf(ctx, st, id)
}

// SendOptions say what to send to whom for a test.
type SendOptions struct {
	Template, To, Locale, Customer, Book string
}

// Send delivers one test message at once, past queue and gates, to an address of the operator's own.
func (e *Env) Send(ctx context.Context, opt SendOptions, w io.Writer) error {
	checked, err := e.check(opt.Book)
	if err != nil {
		return err
	}
	ch, to, err := channelOf(opt.To, checked.Book.Dealers[0].Country)
	if err != nil {
		return err
	}
	facts, err := e.customerOf(ctx, opt.Customer)
	if err != nil {
		return err
	}
	shown, err := checked.Preview(carebook.PreviewOptions{Template: opt.Template, Locale: opt.Locale, Customer: facts, Channel: ch, Now: e.Now()})
	if err != nil {
		return err
	}
	channels, err := e.newSenders(checked.Book.Files)
	if err != nil {
		return err
	}
	defer func() { _ = channels.close() }()
	if !channels.has(ch) {
		return fmt.Errorf("%s is not set up: set %s", ch, map[care.Channel]string{care.Email: "CARE_SMTP_URL", care.SMS: "CARE_SMS_GATEWAY", care.Webhook: "CARE_WEBHOOK_URL"}[ch])
	}
	m := shown[0].Message
	m.To, m.ToName, m.Unsubscribe = to, "", ""
	m.ID = care.OccurrenceID("test", "", opt.Template, "test", e.Now().Format("20060102T150405.000"))
	m.Subject = "[TEST] " + m.Subject
	receipt, err := channels.byChannel[ch].Send(ctx, m)
	if err != nil {
		return fmt.Errorf("not accepted: %w", err)
	}
	fmt.Fprintf(w, "accepted by the %s provider", ch)
	if receipt.ProviderID != "" {
		fmt.Fprintf(w, " as %s", receipt.ProviderID)
	}
	fmt.Fprintln(w)
	return nil
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
