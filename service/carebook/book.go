package carebook

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/scheduler/calendar"
	"github.com/carebell/carebell/templates"
)

// Compiled is a care book with everything that is made of it once: the plan and the parsed templates. It does not change.
type Compiled struct {
	Book      *care.Book
	Planner   *scheduler.Planner
	Templates *templates.Set
	Loaded    time.Time // when it was read

	links   *links
	hashKey func() []byte
}

var _ delivery.Book = (*Compiled)(nil)

// ErrBook is returned for a book with faults; the problems say which.
var ErrBook = errors.New("the care book has faults: run carebell lint")

// Options say where a book comes from and what it is checked against.
type Options struct {
	Dir       string                                                          // "" = the default book
	Files     fs.FS                                                           // instead of a folder
	HashKey   func() []byte                                                   // of addresses' fingerprints, asked for when one is made
	Gateway   func(ch care.Channel, dealer *care.Dealer, address string) bool // nil = everything can be reached
	Signer    *token.Signer
	PublicURL string
	Trial     bool // what is sent is a trial: its links change nothing
	Now       func() time.Time
}

// FromSettings returns the options that the settings ask for. A folder of "" is the default book.
func FromSettings(set *config.Settings, dir string, now func() time.Time) Options {
	return Options{
		Dir: dir, HashKey: set.HashKey, Signer: token.NewSigner(set.LinkKeys()...),
		PublicURL: strings.TrimRight(set.PublicURL, "/"), Trial: set.Trial() != "", Now: now,
	}
}

// Open is Check for those who want no list: faults are returned as one error that names the first.
func Open(opt Options) (*Compiled, error) {
	compiled, problems, err := Check(opt)
	return compiled, FirstFault(problems, err)
}

// FirstFault joins ErrBook with the first fault of a book; any other error is returned as it is.
func FirstFault(problems []problem.Problem, err error) error {
	if !errors.Is(err, ErrBook) {
		return err
	}
	for _, p := range problems {
		if p.Severity != problem.Warning {
			return errors.Join(ErrBook, p)
		}
	}
	return err
}

// Check reads a book and builds all that depends on it. With faults it returns the problems and ErrBook; warnings come with
// the book, which does not know any more at which lines its fields stand.
func Check(opt Options) (*Compiled, []problem.Problem, error) {
	book, problems, err := readBook(opt)
	if err != nil {
		return nil, problems, err
	}
	if book == nil || problem.Faults(problems) {
		return nil, tidy(problems), ErrBook
	}
	set, more := templates.Load(book, templates.Options{Lunar: calendar.Words})
	problems = append(append(append(problems, more...), append(neverLeaves(book), noOptOut(book, opt.PublicURL)...)...), sms.Lint(book.Files, book.Decode)...)
	if opt.HashKey == nil {
		opt.HashKey = func() []byte { return nil }
	}
	can := scheduler.Capabilities{Address: Address, HashAddress: func(a string) string { return contact.Hash(opt.HashKey(), a) }}
	if set != nil {
		can.Template, can.Also = set.Has, set.ShowsAlso
		problems = append(problems, set.Lint(templates.LintOptions{Parts: smsParts, Gateways: sms.Approvals(book.Files, book.Decode)})...)
	}
	can.Gateway = func(ch care.Channel, dealer *care.Dealer, address string) bool {
		return (ch != care.SMS || contact.Textable(address)) && (opt.Gateway == nil || opt.Gateway(ch, dealer, address))
	}
	planner, more := scheduler.New(book, can)
	problems = tidy(append(problems, more...))
	if set == nil || planner == nil || problem.Faults(problems) {
		return nil, problems, ErrBook
	}
	// What only the checks needed would be kept, and gone through by the collector, as long as the book is in force.
	set.Forget()
	book.Locate = nil
	return &Compiled{Book: book, Planner: planner, Templates: set, links: newLinks(opt), hashKey: opt.HashKey, Loaded: opt.Now()}, problems, nil
}

// tidy puts problems into the order of files and lines, each once.
func tidy(problems []problem.Problem) []problem.Problem {
	slices.SortStableFunc(problems, func(a, b problem.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(problems)
}

func readBook(opt Options) (*care.Book, []problem.Problem, error) {
	if opt.Files != nil {
		book, problems := config.ReadBook(opt.Files)
		return book, problems, nil
	}
	return config.OpenBook(opt.Dir)
}

// Address returns where a customer is reached on a channel, in the form that goes on the wire.
func Address(ch care.Channel, c *care.Customer, d *care.Dealer) (string, bool) {
	switch ch {
	case care.Email:
		return contact.Email(c.Email)
	case care.SMS:
		return contact.Phone(c.Phone, d.Country)
	case care.Webhook:
		return d.Webhook, true // "" is the endpoint of CARE_WEBHOOK_URL
	case care.Task:
		return c.Phone, true // whoever calls sees whether there is a number
	}
	return "", false
}

// Visible reports whether a principal may see a customer: by the dealer who looks after them. A record that cannot be read (nil), and
// one whose dealer the book does not have, is nobody's: only who sees every dealer's customers sees it.
func (c *Compiled) Visible(who care.Principal, customer *care.Customer) bool {
	if who.All() {
		return true
	}
	if customer == nil {
		return false
	}
	dealer := c.Planner.Dealer(customer)
	return dealer != nil && who.Sees(dealer.Dealer)
}

// HashAddress returns the keyed fingerprint of an address in the form that goes on the wire. The address cannot be read from it.
func (c *Compiled) HashAddress(to string) string { return contact.Hash(c.hashKey(), to) }

// Addresses returns the hashes of a customer's number and mailbox.
func (c *Compiled) Addresses(customer *care.Customer) []care.AddressHash {
	dealer := c.Planner.Dealer(customer)
	if dealer == nil {
		return nil
	}
	out := make([]care.AddressHash, 0, 2)
	for _, ch := range [...]care.Channel{care.Email, care.SMS} {
		if to, ok := Address(ch, customer, dealer); ok {
			out = append(out, care.AddressHash{Channel: ch, Hash: c.HashAddress(to)})
		}
	}
	return out
}

// Program returns the program with this name, nil if the book has none.
func (c *Compiled) Program(name string) *care.Program { return c.Book.Program(name) }

// Check asks the plan for one message at the moment of sending.
func (c *Compiled) Check(f *care.Facts, rec *care.Record, now time.Time, op *care.Operator) *care.Occurrence {
	return c.Planner.Check(f, rec, scheduler.Request{Now: now, Operator: op})
}

// Compose renders an occurrence for a channel and addresses it.
func (c *Compiled) Compose(f *care.Facts, occ *care.Occurrence, ch care.Channel, now time.Time) (*care.Message, error) {
	dealer := c.Book.Dealer(occ.Dealer)
	if f.Customer == nil || dealer == nil {
		return nil, &care.Error{Kind: care.KindContent, Code: "no_record"}
	}
	to, ok := Address(ch, f.Customer, dealer)
	if !ok {
		return nil, &care.Error{Kind: care.KindContent, Code: "no_address"}
	}
	draft := c.Draft(f.Customer, dealer, occ, ch, now)
	m, err := c.Templates.Render(draft)
	if err != nil {
		return nil, err
	}
	m.To, m.Country = to, dealer.Country
	if ch == care.Email {
		m.ToName = f.Customer.Name
	}
	return m, nil
}

// next returns the customer's first occurrence of a template in the year from now on, whatever its gates say; nil if there is none.
func (c *Compiled) next(f *care.Facts, template string, now time.Time) *care.Occurrence {
	for _, o := range c.Planner.Plan(f, scheduler.Request{From: now, To: now.AddDate(1, 0, 0), Now: now}) {
		if o.Template == template {
			return o
		}
	}
	return nil
}

// Draft gathers what a message is rendered from.
func (c *Compiled) Draft(customer *care.Customer, dealer *care.Dealer, occ *care.Occurrence, ch care.Channel, now time.Time) *care.Draft {
	locale := customer.Locale
	if locale == "" {
		locale = dealer.Locale
	}
	d := &care.Draft{
		Occurrence: occ, Customer: customer, Dealer: dealer, Advisor: dealer.AdvisorFor(customer.Advisor),
		Channel: ch, Locale: locale, Location: c.Planner.Location(customer), Now: now,
	}
	c.link(d, false)
	return d
}

// link gives a draft its personal links. Those of a trial change nothing.
func (c *Compiled) link(d *care.Draft, trial bool) {
	d.Links = c.links.of(d, c.Templates.Shows(d), trial || c.links.trial)
}

// links makes the personal links of messages. Without a public URL or a key there are none.
type links struct {
	signer *token.Signer
	public string
	trial  bool
}

func newLinks(opt Options) *links {
	return &links{signer: opt.Signer, public: opt.PublicURL, trial: opt.Trial}
}

// of makes the links that the message shows: a signature costs more than most of what is rendered.
func (l *links) of(d *care.Draft, shown templates.Shown, trial bool) care.Links {
	out := care.Links{Booking: d.Dealer.BookingURL}
	if l.signer == nil || l.public == "" {
		return out
	}
	link := func(wanted bool, p token.Purpose) string {
		if !wanted {
			return ""
		}
		b := make([]byte, 0, 256)
		b = append(append(b, l.public...), '/', byte(p), '/')
		return string(l.signer.AppendSign(b, token.Token{
			Purpose: p, Customer: d.Occurrence.Customer, Occurrence: d.Occurrence.ID, Channel: d.Channel, Trial: trial,
		}))
	}
	out.Unsubscribe = link(shown.Unsubscribe, token.Unsubscribe)
	out.Survey = link(shown.Survey, token.Survey)
	out.RSVP = link(shown.RSVP, token.RSVP)
	out.Odometer = link(shown.Odometer, token.Odometer)
	return out
}

// FindProgram reports whether a name is a program of the book, for those who take one; "" stands for every program.
func (c *Compiled) FindProgram(name string) error {
	if name == "" || c.Book.Program(name) != nil {
		return nil
	}
	names := make([]string, 0, len(c.Book.Programs))
	for _, p := range c.Book.Programs {
		names = append(names, p.Program)
	}
	slices.Sort(names)
	return fmt.Errorf("the book has no program %q; it has %v", name, names)
}
