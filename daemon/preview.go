package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/channels/sms"
)

// PreviewOptions say which message to show.
type PreviewOptions struct {
	Template string
	Locale   string       // "" = the customer's, else the first dealer's
	Customer string       // "" = a made-up one
	Channel  care.Channel // "" = all that the template has
	Out      string       // file for the HTML, text or JSON; "" = none
	Book     string
}

// Preview renders a message as its customer will see it and describes it on w.
func (e *Env) Preview(ctx context.Context, opt PreviewOptions, w io.Writer) error {
	checked, err := e.check(opt.Book)
	if err != nil {
		return err
	}
	messages, err := e.compose(ctx, checked, opt)
	if err != nil {
		return err
	}
	for i, m := range messages {
		if i > 0 {
			fmt.Fprintln(w)
		}
		show(w, m)
	}
	if opt.Out == "" {
		return nil
	}
	return writePreview(opt.Out, messages, w)
}

// compose renders a template for the asked channels, for one customer of Redis or a made-up one.
func (e *Env) compose(ctx context.Context, checked *Checked, opt PreviewOptions) ([]*care.Message, error) {
	if !slices.Contains(checked.Templates.Names(), opt.Template) {
		return nil, fmt.Errorf("the book has no template %q; it has %s", opt.Template, strings.Join(checked.Templates.Names(), ", "))
	}
	var facts *care.Facts
	if opt.Customer != "" {
		st, err := e.open(ctx)
		if err != nil {
			return nil, err
		}
		defer st.Close()
		if facts, err = factsOf(ctx, st, opt.Customer); err != nil {
			return nil, err
		}
	}
	var messages []*care.Message
	for _, ch := range care.Channels {
		if opt.Channel != "" && ch != opt.Channel {
			continue
		}
		draft, err := e.draft(checked, opt, facts, ch)
		if err != nil {
			return nil, err
		}
		if !checked.Templates.Has(opt.Template, ch, []string{draft.Locale, draft.Dealer.Locale, "en"}) {
			if opt.Channel == "" {
				continue
			}
			return nil, fmt.Errorf("template %s has nothing for %s in %s", opt.Template, ch, draft.Locale)
		}
		m, err := checked.Templates.Render(draft)
		if err != nil {
			return nil, fmt.Errorf("template %s, %s, %s: %w", opt.Template, ch, draft.Locale, err)
		}
		m.To, _ = address(ch, draft.Customer, draft.Dealer)
		m.ToName, m.At, m.Attempt, m.Country = draft.Customer.Name, e.Now(), 1, draft.Dealer.Country
		messages = append(messages, m)
	}
	if len(messages) == 0 {
		return nil, fmt.Errorf("template %s has nothing for the locale %s", opt.Template, opt.Locale)
	}
	return messages, nil
}

// draft is what the message is rendered from. A real customer's own next occurrence of the template is taken if there is one in
// the coming year; else the sample's facts stand around the customer's own.
func (e *Env) draft(checked *Checked, opt PreviewOptions, facts *care.Facts, ch care.Channel) (*care.Draft, error) {
	locale := opt.Locale
	if facts == nil {
		if locale == "" {
			locale = checked.Book.Dealers[0].Locale
		}
		return checked.Templates.SampleFor(opt.Template, ch, locale), nil
	}
	dealer := checked.Planner.Dealer(facts.Customer)
	if dealer == nil {
		return nil, fmt.Errorf("customer %s: its dealer is not in the book", opt.Customer)
	}
	occ := checked.next(facts, opt.Template, e.Now())
	if occ == nil {
		return nil, fmt.Errorf("customer %s gets nothing of template %s in the coming year; leave --customer away to see a made-up one", opt.Customer, opt.Template)
	}
	draft := checked.Draft(facts.Customer, dealer, occ, ch, e.Now())
	if locale != "" {
		draft.Locale = locale
	}
	return draft, nil
}

// show describes a message: what a person would check before it goes.
func show(w io.Writer, m *care.Message) {
	fmt.Fprintf(w, "── %s · %s\n", m.Channel, m.Locale)
	switch m.Channel {
	case care.Email:
		fmt.Fprintf(w, "From:     %s <%s>\n", m.From.Name, m.From.Address)
		if m.ReplyTo.Address != "" {
			fmt.Fprintf(w, "Reply-To: %s <%s>\n", m.ReplyTo.Name, m.ReplyTo.Address)
		}
		fmt.Fprintf(w, "Subject:  %s\n\n%s\n", m.Subject, strings.TrimSpace(string(m.Text)))
		fmt.Fprintf(w, "── HTML: %d kB\n", (len(m.HTML)+1023)/1024)
	case care.SMS:
		parts, encoding := sms.Parts(string(m.Text), m.Signature, sms.StyleFor(m.Country))
		if m.Signature != "" {
			fmt.Fprintf(w, "【%s】", m.Signature)
		}
		fmt.Fprintf(w, "%s\n── %d part(s), %s\n", m.Text, parts, encoding)
		for name, g := range m.Gateways {
			fmt.Fprintf(w, "── gateway %s: template %s, parameters %v\n", name, g.Template, g.Params)
		}
	default:
		fmt.Fprintf(w, "%s\n%s\n", m.Method, m.Body)
	}
}

func writePreview(file string, messages []*care.Message, w io.Writer) error {
	ext := filepath.Ext(file)
	for _, m := range messages {
		var content []byte
		switch {
		case ext == ".html" && m.Channel == care.Email:
			content = m.HTML
		case ext == ".txt" && m.Channel != care.Webhook:
			content = m.Text
		case ext == ".json" && m.Channel == care.Webhook:
			content = m.Body
		default:
			continue
		}
		if err := os.WriteFile(file, content, 0o644); err != nil { //nolint:gosec // a preview is for everybody
			return err
		}
		fmt.Fprintf(w, "written: %s\n", file)
		return nil
	}
	return fmt.Errorf("--out %s: none of the messages shown fits; .html takes a mail, .txt a mail's or SMS' text, .json a webhook", file)
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
	messages, err := e.compose(ctx, checked, PreviewOptions{Template: opt.Template, Locale: opt.Locale, Customer: opt.Customer, Channel: ch})
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
	m := messages[0]
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
