package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	Branches bool         // also each outcome of each if and case that the message does not take by itself
	Out      string       // file for the HTML, text, JSON or picture; "" = none
	Frame    bool         // Out is a page that shows everything as phones and desktops do, light and dark
	Book     string
}

// piece is one message to be shown.
type piece struct {
	*care.Message
	Where string // the place of the branch that it shows; "" = the message as it is
	Tag   string // the branch's tag; "" with a place = none of the branches
	Err   error  // why there is no message
	Parts int    // of a text message
	Code  string // its encoding
	Cost  string // by the dealer's prices; "" = unknown
}

// Preview renders a message as its customer will see it and describes it on w.
func (e *Env) Preview(ctx context.Context, opt PreviewOptions, w io.Writer) error {
	if opt.Frame && filepath.Ext(opt.Out) != ".html" {
		return errors.New("--frame goes with --out FILE.html")
	}
	checked, err := e.check(opt.Book)
	if err != nil {
		return err
	}
	pieces, err := e.compose(ctx, checked, opt)
	if err != nil {
		return err
	}
	for i := range pieces {
		if i > 0 {
			fmt.Fprintln(w)
		}
		pieces[i].show(w)
	}
	switch {
	case opt.Out == "":
		return nil
	case opt.Frame:
		return writeFrame(opt.Out, opt.Template, pieces, w)
	case filepath.Ext(opt.Out) == ".png":
		return writePicture(ctx, opt.Out, pieces, w)
	}
	return writePreview(opt.Out, pieces, w)
}

// compose renders a template for the asked channels, for one customer of Redis or a made-up one.
func (e *Env) compose(ctx context.Context, checked *Checked, opt PreviewOptions) ([]piece, error) {
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
	var pieces []piece
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
		more, err := e.pieces(checked, draft, opt.Branches)
		if err != nil {
			return nil, fmt.Errorf("template %s, %s, %s: %w", opt.Template, ch, draft.Locale, err)
		}
		pieces = append(pieces, more...)
	}
	if len(pieces) == 0 {
		return nil, fmt.Errorf("template %s has nothing for the locale %s", opt.Template, opt.Locale)
	}
	return pieces, nil
}

// pieces renders a draft, with each branch of its template if branches is set.
func (e *Env) pieces(checked *Checked, draft *care.Draft, branches bool) ([]piece, error) {
	var all []piece
	if branches {
		found, err := checked.Templates.Branches(draft)
		if err != nil {
			return nil, err
		}
		for i, b := range found {
			p := piece{Message: b.Message, Tag: b.Tag, Err: b.Err}
			if i > 0 {
				p.Where = fmt.Sprintf("%s:%d:%d", b.File, b.Line, b.Column)
			}
			all = append(all, p)
		}
	} else {
		m, err := checked.Templates.Render(draft)
		if err != nil {
			return nil, err
		}
		all = []piece{{Message: m}}
	}
	for i := range all {
		p := &all[i]
		if p.Message == nil {
			p.Message = &care.Message{Channel: draft.Channel, Locale: draft.Locale}
			continue
		}
		p.To, _ = address(draft.Channel, draft.Customer, draft.Dealer)
		p.ToName, p.At, p.Attempt, p.Country = draft.Customer.Name, e.Now(), 1, draft.Dealer.Country
		p.count(draft.Dealer)
	}
	return all, nil
}

// count tells what a text message is on the wire, with the notice that its class needs, and what the dealer pays for it.
func (p *piece) count(dealer *care.Dealer) {
	units := 1
	if p.Channel == care.SMS {
		style := sms.StyleFor(p.Country)
		p.Text = []byte(sms.WithNotice(string(p.Text), p.Class, style))
		p.Parts, p.Code = sms.Parts(string(p.Text), p.Signature, style)
		units = p.Parts
	}
	if price := dealer.Prices[string(p.Channel)]; price > 0 {
		p.Cost = strings.TrimSpace(strconv.FormatFloat(math.Round(price*float64(units)*1e4)/1e4, 'f', -1, 64) + " " + dealer.Currency)
	}
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
func (p *piece) show(w io.Writer) {
	fmt.Fprintf(w, "── %s · %s", p.Channel, p.Locale)
	if p.Where != "" {
		fmt.Fprintf(w, " · %s %s", p.Where, cmp.Or(p.Tag, "none of the branches"))
	}
	fmt.Fprintln(w)
	if p.Err != nil {
		fmt.Fprintf(w, "cannot be shown: %v\n", p.Err)
		return
	}
	cost := ""
	if p.Cost != "" {
		cost = ", " + p.Cost
	}
	switch p.Channel {
	case care.Email:
		fmt.Fprintf(w, "From:     %s <%s>\n", p.From.Name, p.From.Address)
		if p.ReplyTo.Address != "" {
			fmt.Fprintf(w, "Reply-To: %s <%s>\n", p.ReplyTo.Name, p.ReplyTo.Address)
		}
		fmt.Fprintf(w, "Subject:  %s\n\n%s\n", p.Subject, strings.TrimSpace(string(p.Text)))
		fmt.Fprintf(w, "── HTML: %d kB%s\n", (len(p.HTML)+1023)/1024, cost)
	case care.SMS:
		fmt.Fprintf(w, "%s\n── %d part(s), %s%s\n", p.Bubble(), p.Parts, p.Code, cost)
		for _, name := range slices.Sorted(maps.Keys(p.Gateways)) {
			fmt.Fprintf(w, "── gateway %s: template %s, parameters %v\n", name, p.Gateways[name].Template, p.Gateways[name].Params)
		}
	default:
		fmt.Fprintf(w, "%s\n%s\n", p.Method, p.Body)
	}
}

// Bubble is a text message as the phone shows it, with its signature.
func (p *piece) Bubble() string {
	return sms.Compose(string(p.Text), p.Signature, sms.StyleFor(p.Country))
}

func writePreview(file string, pieces []piece, w io.Writer) error {
	ext := filepath.Ext(file)
	for _, m := range pieces {
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
		return written(file, content, w)
	}
	return fmt.Errorf("--out %s: none of the messages shown fits; .html takes a mail, .txt a mail's or SMS' text, .json a webhook, .png a picture", file)
}

func written(file string, content []byte, w io.Writer) error {
	if err := os.WriteFile(file, content, 0o644); err != nil { //nolint:gosec // a preview is for everybody
		return err
	}
	fmt.Fprintf(w, "written: %s\n", file)
	return nil
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
	pieces, err := e.compose(ctx, checked, PreviewOptions{Template: opt.Template, Locale: opt.Locale, Customer: opt.Customer, Channel: ch})
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
	m := pieces[0].Message
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
