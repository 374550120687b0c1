package daemon

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/channels/email"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/console"
	"github.com/carebell/carebell/store"
)

// pages gives the customers' pages and the providers' callbacks what they ask for.
type pages struct{ d *Daemon }

var (
	_ console.Facts     = pages{}
	_ console.Events    = pages{}
	_ console.Callbacks = pages{}
	_ console.People    = pages{}
)

// Lookup finds what a page is about.
func (p pages) Lookup(ctx context.Context, customer, occurrence string) (console.PageFacts, error) {
	checked := p.d.book.Load()
	facts, err := p.d.store.Facts(ctx, []string{customer})
	if err != nil {
		return console.PageFacts{}, err
	}
	f := facts[0]
	if f.Customer == nil || f.Overlay != nil && f.Overlay.Erased {
		return console.PageFacts{}, care.ErrGone
	}
	dealer := checked.Planner.Dealer(f.Customer)
	if dealer == nil {
		return console.PageFacts{}, care.ErrGone
	}
	out := checked.pageFacts(f, dealer, p.d.env.hashKey())
	if entry, ok := f.Ledger[occurrence]; ok {
		out.Program, out.Step = entry.Program, entry.Step
		for i := range f.Customer.Vehicles {
			if f.Customer.Vehicles[i].ID == entry.Vehicle {
				out.Vehicle = &f.Customer.Vehicles[i]
			}
		}
		for _, event := range checked.Book.Events {
			if prog := checked.Book.Program(entry.Program); prog != nil && prog.Trigger.On == care.OnEvent && event.Event == entry.Cycle {
				out.Event = event
			}
		}
	}
	return out, nil
}

// pageFacts is what is known of a customer without a message.
func (c *Checked) pageFacts(f *care.Facts, dealer *care.Dealer, key []byte) console.PageFacts {
	locale := f.Customer.Locale
	if locale == "" {
		locale = dealer.Locale
	}
	out := console.PageFacts{
		Locale: locale, DealerID: dealer.Dealer, Dealer: dealer.Name.In(locale, dealer.Locale), DealerPhone: dealer.Phone,
		Location: c.Planner.Location(f.Customer), DealerZone: c.Planner.Location(&care.Customer{Dealer: dealer.Dealer}),
		Topics: c.topics(locale, dealer.Locale), Consent: f.Customer.Consent, ConsentDefault: dealer.ConsentDefault,
		Preferences: f.Customer.Preferences, Overlay: f.Overlay, AddressHash: map[care.Channel]string{},
	}
	if a := dealer.AdvisorFor(f.Customer.Advisor); a != nil {
		out.Advisor = a.Name
	}
	for _, v := range f.Customer.Vehicles {
		if v.SoldOn.IsZero() {
			out.Vehicles = append(out.Vehicles, v)
		}
	}
	for _, ch := range []care.Channel{care.Email, care.SMS} {
		if to, ok := address(ch, f.Customer, dealer); ok {
			out.Reachable = append(out.Reachable, ch)
			out.AddressHash[ch] = contact.Hash(key, to)
		}
	}
	return out
}

// topics are what a customer can switch off: every topic of the book that has more than safety in it.
func (c *Checked) topics(locales ...string) []console.TopicChoice {
	var out []console.TopicChoice
	for _, p := range c.Book.Programs {
		if !p.Enabled || p.Class == care.Safety || slices.ContainsFunc(out, func(t console.TopicChoice) bool { return t.Topic == p.Topic }) {
			continue
		}
		out = append(out, console.TopicChoice{Topic: p.Topic, Title: p.Title.In(locales...)})
	}
	return out
}

// Add tells care:events and the customer's timeline what a customer said.
func (p pages) Add(ctx context.Context, entry care.EventEntry) error {
	return p.d.store.Note(ctx, []care.EventEntry{entry})
}

// SMS reads what a gateway posted.
func (p pages) SMS(_ context.Context, gateway string, r *http.Request) ([]care.Receipt, []console.Reply, console.Answer, error) {
	if p.d.channels.Load().sms == nil {
		return nil, nil, console.Answer{}, console.ErrUnknownGateway
	}
	back, err := p.d.channels.Load().sms.Callback(gateway, r)
	switch {
	case errors.Is(err, sms.ErrForged):
		return nil, nil, console.Answer{}, console.ErrForged
	case errors.Is(err, sms.ErrUnknownGateway):
		return nil, nil, console.Answer{}, console.ErrUnknownGateway
	case errors.Is(err, sms.ErrUnreadable):
		return nil, nil, console.Answer{}, console.ErrUnreadable
	case err != nil:
		return nil, nil, console.Answer{}, err
	}
	replies := make([]console.Reply, len(back.Replies))
	for i, reply := range back.Replies {
		replies[i] = console.Reply(reply)
	}
	return p.d.env.ofCustomers(back.Receipts), replies, console.Answer{Body: back.Answer, ContentType: back.ContentType}, nil
}

// Mail reads a mail that came back.
func (p pages) Mail(_ context.Context, raw []byte) ([]care.Receipt, error) {
	receipts, err := email.ParseReport(bytes.NewReader(raw), p.d.env.Now())
	if errors.Is(err, email.ErrNoReport) {
		return nil, nil // some other mail: an answer, an out-of-office note
	}
	if err != nil {
		return nil, errors.Join(console.ErrUnreadable, err)
	}
	return p.d.env.ofCustomers(receipts), nil
}

// ofCustomers takes from receipts what they say of the redirect's address: nothing follows from it for the customer.
func (e *Env) ofCustomers(receipts []care.Receipt) []care.Receipt {
	for i := range receipts {
		r := &receipts[i]
		to := map[care.Channel]string{care.Email: e.Settings.RedirectEmail, care.SMS: e.Settings.RedirectPhone}[r.Channel]
		if to != "" && r.To != "" && e.hashOf(r.Channel, r.To) == e.hashOf(r.Channel, to) {
			r.Kind = ""
		}
	}
	return receipts
}

// hashOf returns the fingerprint of an address that a provider names, as those of customers are made; "" if it is none.
func (e *Env) hashOf(ch care.Channel, address string) string {
	ok := false
	switch ch {
	case care.Email:
		address, ok = contact.Email(address)
	case care.SMS:
		address, ok = contact.Phone(address, "")
	}
	if !ok {
		return ""
	}
	return contact.Hash(e.hashKey(), address)
}

// ByNumber finds the customers whose present number this is, with the last text that went to each.
func (p pages) ByNumber(ctx context.Context, number string) ([]console.Asked, error) {
	key := p.d.env.hashKey()
	hash := contact.Hash(key, number)
	ids, err := p.d.store.ByAddress(ctx, hash)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	facts, err := p.d.store.Facts(ctx, ids)
	if err != nil {
		return nil, err
	}
	checked := p.d.book.Load()
	var out []console.Asked
	for _, f := range facts {
		if f.Customer == nil {
			continue
		}
		dealer := checked.Planner.Dealer(f.Customer)
		if dealer == nil {
			continue
		}
		if to, ok := address(care.SMS, f.Customer, dealer); !ok || contact.Hash(key, to) != hash {
			continue // they have another number now
		}
		out = append(out, checked.asked(f))
	}
	return out, nil
}

// asked returns the last text that went to a customer, and what it asked for.
func (c *Checked) asked(f *care.Facts) console.Asked {
	asked := console.Asked{Customer: f.ID}
	var last care.LedgerEntry
	for id, e := range f.Ledger {
		if e.Channel == care.SMS && e.State.Counts() && e.At.After(last.At) {
			asked.Occurrence, asked.At, last = id, e.At, e
		}
	}
	prog := c.Book.Program(last.Program)
	if prog == nil {
		return asked
	}
	for _, step := range prog.Steps {
		if step.Step == last.Step {
			asked.Asks = c.Templates.Asks(step.Template)
		}
	}
	return asked
}

// recent is how far back messages that did not arrive are counted.
const recent = 30 * 24 * time.Hour

// ByMessage finds whose message it is, and how many lately did not arrive on the channel.
func (p pages) ByMessage(ctx context.Context, occurrence string, ch care.Channel) (string, int, error) {
	rec, err := p.d.store.Message(ctx, occurrence)
	if errors.Is(err, store.ErrNoMessage) {
		return "", 0, care.ErrGone
	}
	if err != nil {
		return "", 0, err
	}
	facts, err := p.d.store.Facts(ctx, []string{rec.Customer})
	if err != nil {
		return "", 0, err
	}
	return rec.Customer, notReached(facts[0].Ledger, occurrence, ch, p.d.env.Now()), nil
}

// notReached counts the messages of the last 30 days that did not reach a customer on a channel, since the last one that did: it
// shows that the address is alive. The occurrence itself counts, whatever the ledger says of it yet.
func notReached(ledger care.Ledger, occurrence string, ch care.Channel, now time.Time) int {
	since := now.Add(-recent)
	for id, e := range ledger {
		if id != occurrence && e.Channel == ch && e.State == care.StateDelivered && e.At.After(since) {
			since = e.At
		}
	}
	n := 0
	for id, e := range ledger {
		if e.Channel == ch && e.At.After(since) && (e.State == care.StateUndelivered || id == occurrence) {
			n++
		}
	}
	return n
}
