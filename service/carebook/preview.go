package carebook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
)

// PreviewOptions say which message to show.
type PreviewOptions struct {
	Template string
	Locale   string       // "" = the customer's, else the first dealer's
	Customer *care.Facts  // whose message it is; nil = a made-up customer's
	Channel  care.Channel // "" = all that the template has
	Branches bool         // also each outcome of each if and case that the message does not take by itself
	Now      time.Time
}

// Preview is one message as its customer will see it.
type Preview struct {
	*care.Message
	Where string // the place of the branch that it shows; "" = the message as it is
	Tag   string // the branch's tag; "" with a place = none of the branches
	Err   error  // why there is no message
	Parts int    // of a text message
	Code  string // its encoding
	Cost  string // by the dealer's prices; "" = unknown
}

// Preview renders a template for the asked channels, for one customer or a made-up one.
func (c *Compiled) Preview(opt PreviewOptions) ([]Preview, error) {
	if !slices.Contains(c.Templates.Names(), opt.Template) {
		return nil, fmt.Errorf("the book has no template %q; it has %s", opt.Template, strings.Join(c.Templates.Names(), ", "))
	}
	var shown []Preview
	for _, ch := range care.Channels {
		if opt.Channel != "" && ch != opt.Channel {
			continue
		}
		draft, err := c.previewDraft(opt, ch)
		if err != nil {
			return nil, err
		}
		if !c.Templates.Has(opt.Template, ch, []string{draft.Locale, draft.Dealer.Locale, "en"}) {
			if opt.Channel == "" {
				continue
			}
			return nil, fmt.Errorf("template %s has nothing for %s in %s", opt.Template, ch, draft.Locale)
		}
		more, err := c.previewsOf(draft, opt)
		if err != nil {
			return nil, fmt.Errorf("template %s, %s, %s: %w", opt.Template, ch, draft.Locale, err)
		}
		shown = append(shown, more...)
	}
	if len(shown) == 0 {
		return nil, fmt.Errorf("template %s has nothing for the locale %s", opt.Template, opt.Locale)
	}
	return shown, nil
}

// previewsOf renders a draft, with each branch of its template if branches are asked for.
func (c *Compiled) previewsOf(draft *care.Draft, opt PreviewOptions) ([]Preview, error) {
	var all []Preview
	if opt.Branches {
		found, err := c.Templates.Branches(draft)
		if err != nil {
			return nil, err
		}
		for i, b := range found {
			p := Preview{Message: b.Message, Tag: b.Tag, Err: b.Err}
			if i > 0 {
				p.Where = fmt.Sprintf("%s:%d:%d", b.File, b.Line, b.Column)
			}
			all = append(all, p)
		}
	} else {
		m, err := c.Templates.Render(draft)
		if err != nil {
			return nil, err
		}
		all = []Preview{{Message: m}}
	}
	for i := range all {
		p := &all[i]
		if p.Message == nil {
			p.Message = &care.Message{Channel: draft.Channel, Locale: draft.Locale}
			continue
		}
		p.To, _ = Address(draft.Channel, draft.Customer, draft.Dealer)
		p.ToName, p.At, p.Attempt, p.Country = draft.Customer.Name, opt.Now, 1, draft.Dealer.Country
		p.count(draft.Dealer)
	}
	return all, nil
}

// count tells what a text message is on the wire, with the notice that its class needs, and what the dealer pays for it.
func (p *Preview) count(dealer *care.Dealer) {
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

// previewDraft is what the message is rendered from. A real customer's own next occurrence of the template is taken if there is one in
// the coming year; else the sample's facts stand around the customer's own.
func (c *Compiled) previewDraft(opt PreviewOptions, ch care.Channel) (*care.Draft, error) {
	locale := opt.Locale
	if opt.Customer == nil {
		if locale == "" {
			locale = c.Book.Dealers[0].Locale
		}
		draft := c.Templates.SampleFor(opt.Template, ch, locale)
		if c.links.public == "" { // the true mail would have none
			draft.Links.Unsubscribe = ""
		}
		return draft, nil
	}
	f := opt.Customer
	dealer := c.Planner.Dealer(f.Customer)
	if dealer == nil {
		return nil, fmt.Errorf("customer %s: its dealer is not in the book", f.ID)
	}
	occ := c.next(f, opt.Template, opt.Now)
	if occ == nil {
		return nil, fmt.Errorf("customer %s gets nothing of template %s in the coming year; leave --customer away to see a made-up one", f.ID, opt.Template)
	}
	draft := c.Draft(f.Customer, dealer, occ, ch, opt.Now)
	if locale != "" {
		draft.Locale = locale
	}
	c.link(draft, true)
	return draft, nil
}

// Describe writes messages for a person, as what one would check before they go.
func Describe(w io.Writer, shown []Preview) {
	for i := range shown {
		if i > 0 {
			fmt.Fprintln(w)
		}
		shown[i].describe(w)
	}
}

func (p *Preview) describe(w io.Writer) {
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
func (p *Preview) Bubble() string {
	return sms.Compose(string(p.Text), p.Signature, sms.StyleFor(p.Country))
}

// PreviewFile is where messages are written: the HTML (.html), text (.txt), body (.json) or picture (.png) of the first that has one.
type PreviewFile struct {
	Name  string
	Frame bool // an HTML page that shows every message as phones and desktops do, light and dark
}

// Check refuses a frame that is no HTML page.
func (f PreviewFile) Check() error {
	if f.Frame && filepath.Ext(f.Name) != ".html" {
		return errors.New("--frame goes with --out FILE.html")
	}
	return nil
}

// Write writes the file. A picture is taken by the Chromium of this machine.
func (f PreviewFile) Write(ctx context.Context, title string, shown []Preview) error {
	if err := f.Check(); err != nil {
		return err
	}
	switch {
	case f.Frame:
		return writeFrame(f.Name, title, shown)
	case filepath.Ext(f.Name) == ".png":
		return writePicture(ctx, f.Name, shown)
	}
	return writePart(f.Name, shown)
}

func writePart(file string, shown []Preview) error {
	ext := filepath.Ext(file)
	for _, m := range shown {
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
		return writeFile(file, content)
	}
	return fmt.Errorf("--out %s: none of the messages shown fits; .html takes a mail, .txt a mail's or SMS' text, .json a webhook, .png a picture", file)
}

func writeFile(file string, content []byte) error {
	return os.WriteFile(file, content, 0o644) //nolint:gosec // a preview is for everybody
}
