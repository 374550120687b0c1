package feedback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// Directory finds customers and what is known of them: in the store, in the care book in force, and by the fingerprints of their
// addresses.
type Directory struct {
	Store   *store.Store
	Book    func() *carebook.Compiled
	HashKey []byte // of addresses' fingerprints
	Now     func() time.Time
}

var (
	_ Facts  = Directory{}
	_ Events = Directory{}
	_ People = Directory{}
)

// Lookup finds what a page or an answer is about.
func (d Directory) Lookup(ctx context.Context, customer, occurrence string) (CustomerFacts, error) {
	checked := d.Book()
	facts, err := d.Store.Facts(ctx, []string{customer})
	if err != nil {
		return CustomerFacts{}, err
	}
	f := facts[0]
	if f.Customer == nil || f.Overlay != nil && f.Overlay.Erased {
		return CustomerFacts{}, care.ErrGone
	}
	dealer := checked.Planner.Dealer(f.Customer)
	if dealer == nil {
		return CustomerFacts{}, care.ErrGone
	}
	out := customerFacts(checked, f, dealer, d.HashKey)
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

// Link remembers whose numbers texts are about to go to, so that a reply finds its customer: before the first text leaves, because an
// opt-out that finds nobody would be lost. One batch costs two trips whatever its size.
func (d Directory) Link(ctx context.Context, batch []*care.Message) error {
	var links []store.AddressLink
	for _, m := range batch {
		if m.Channel == care.SMS {
			links = append(links, store.AddressLink{Hash: contact.Hash(d.HashKey, m.To), Customer: m.Customer})
		}
	}
	if len(links) == 0 {
		return nil
	}
	if err := d.Store.Link(ctx, links); err != nil {
		return fmt.Errorf("link numbers: %w", err)
	}
	return nil
}

// customerFacts is what is known of a customer without a message.
func customerFacts(c *carebook.Compiled, f *care.Facts, dealer *care.Dealer, key []byte) CustomerFacts {
	locale := f.Customer.Locale
	if locale == "" {
		locale = dealer.Locale
	}
	out := CustomerFacts{
		Locale: locale, DealerID: dealer.Dealer, Dealer: dealer.Name.In(locale, dealer.Locale), DealerPhone: dealer.Phone, Miles: dealer.Miles(),
		Location: c.Planner.Location(f.Customer), DealerZone: c.Planner.Location(&care.Customer{Dealer: dealer.Dealer}),
		Topics: topics(c, locale, dealer.Locale), Consent: f.Customer.Consent, ConsentDefault: dealer.ConsentDefault,
		Preferences: f.Customer.Preferences, Overlay: f.Overlay, AddressHash: map[care.Channel]string{},
	}
	if a := dealer.AdvisorFor(f.Customer.Advisor); a != nil {
		out.Advisor = a.Name.In(locale, dealer.Locale)
	}
	for _, v := range f.Customer.Vehicles {
		if v.SoldOn.IsZero() {
			out.Vehicles = append(out.Vehicles, v)
		}
	}
	for _, ch := range []care.Channel{care.Email, care.SMS} {
		if to, ok := carebook.Address(ch, f.Customer, dealer); ok {
			out.Reachable = append(out.Reachable, ch)
			out.AddressHash[ch] = contact.Hash(key, to)
		}
	}
	return out
}

// topics are what a customer can switch off: every topic of the book that has more than safety in it.
func topics(c *carebook.Compiled, locales ...string) []TopicChoice {
	var out []TopicChoice
	for _, p := range c.Book.Programs {
		if !p.Enabled || p.Class == care.Safety || slices.ContainsFunc(out, func(t TopicChoice) bool { return t.Topic == p.Topic }) {
			continue
		}
		out = append(out, TopicChoice{Topic: p.Topic, Title: p.Title.In(locales...)})
	}
	return out
}

// Add tells care:events and the customer's timeline what a customer said.
func (d Directory) Add(ctx context.Context, entry care.EventEntry) error {
	return d.Store.Note(ctx, []care.EventEntry{entry})
}

// Numbers reads a number of a callback as one of the account's countries, else of the countries of the book's dealers.
func (d Directory) Numbers(number string, countries []string) []string {
	if len(countries) == 0 {
		for _, dealer := range d.Book().Book.Dealers {
			if !slices.Contains(countries, dealer.Country) {
				countries = append(countries, dealer.Country)
			}
		}
	}
	return contact.Readings(number, countries...)
}

// ByNumber finds the customers whose present number this is, with the last text that went to each.
func (d Directory) ByNumber(ctx context.Context, number string) ([]Asked, error) {
	key := d.HashKey
	hash := contact.Hash(key, number)
	ids, err := d.Store.ByAddress(ctx, hash)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	facts, err := d.Store.Facts(ctx, ids)
	if err != nil {
		return nil, err
	}
	checked := d.Book()
	var out []Asked
	for _, f := range facts {
		if f.Customer == nil {
			continue
		}
		dealer := checked.Planner.Dealer(f.Customer)
		if dealer == nil {
			continue
		}
		if to, ok := carebook.Address(care.SMS, f.Customer, dealer); !ok || contact.Hash(key, to) != hash {
			continue // they have another number now
		}
		out = append(out, asked(checked, f))
	}
	return out, nil
}

// asked returns the last text that went to a customer, and what it asked for.
func asked(c *carebook.Compiled, f *care.Facts) Asked {
	asked := Asked{Customer: f.ID}
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
func (d Directory) ByMessage(ctx context.Context, occurrence string, ch care.Channel) (string, int, error) {
	rec, err := d.Store.Message(ctx, occurrence)
	if errors.Is(err, store.ErrNoMessage) {
		return "", 0, care.ErrGone
	}
	if err != nil {
		return "", 0, err
	}
	facts, err := d.Store.Facts(ctx, []string{rec.Customer})
	if err != nil {
		return "", 0, err
	}
	return rec.Customer, notReached(facts[0].Ledger, occurrence, ch, d.Now()), nil
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
