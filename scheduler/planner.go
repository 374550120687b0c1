// Package scheduler decides what is due, when it may leave, and why not. Its heart, Planner.Plan, is a pure function of a
// customer's facts, the care book, the operator's stops and a window of time; plan, forecast, explain, the sweep and the check at
// the moment of sending all ask this one function, so that what a forecast shows is what will be sent.
//
// It promises that an occurrence and its release depend on nothing but those inputs, that input order never matters, and that
// nothing stale goes out. It does not send, store or render, and knows other packages only by the small interfaces it declares.
package scheduler

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
)

// Capabilities tell the planner what the rest of carebell can do. A nil function means yes, or for the addresses: what stands
// in the record is taken as it is and nothing is suppressed.
type Capabilities struct {
	// Template reports whether the template can be rendered for the channel in one of the locales, the first that fits.
	Template func(name string, ch care.Channel, locales []string) bool
	// Also reports whether the text of a template, in a dealer's words, shows the dues that were merged into a message.
	Also func(dealer, name string, ch care.Channel, locales []string) bool
	// Gateway reports whether a configured gateway takes messages for the address. For a webhook the address is "".
	Gateway func(ch care.Channel, dealer *care.Dealer, address string) bool
	// HashAddress returns the keyed hash under which a dead address is kept in the overlay.
	HashAddress func(address string) string
	// Address returns the customer's usable address on the channel, in the form that is sent to.
	Address func(ch care.Channel, c *care.Customer, d *care.Dealer) (address string, ok bool)
}

// Request says which window to plan and what is known beside the customer.
type Request struct {
	From, To time.Time // releases in [From, To)
	// Now is the moment the verdicts are as of; zero means From. What expired before it is not planned any more.
	Now      time.Time
	Operator *care.Operator
	Peers    *Peers // what must be known of other customers; nil: neither capacity nor household duplicates are asked about
	Explain  bool   // fill Occurrence.Gates

	Held map[string]bool // what the brake holds, by occurrence, as a sweep knows it
}

// Horizon is how far ahead a sweep queues messages.
const Horizon = 48 * time.Hour

// Planner is a care book made ready for planning. It never changes and is safe for many goroutines.
type Planner struct {
	book     *care.Book
	can      Capabilities
	dealers  map[string]*dealer
	only     *dealer // the only dealer of the book, for records that name none
	programs []*program
	byName   map[string]*program
	longest  time.Duration

	zones   sync.Map // name → *time.Location, nil if there is no such zone
	refused atomic.Int32
	locales sync.Map // localeKey → []string
	windows atomic.Pointer[[]*window]
	runs    sync.Pool
}

// New makes a care book ready. Everything that can be compiled or go wrong is done here; the planner is usable in any case, it
// leaves out what has a fault.
func New(book *care.Book, can Capabilities) (*Planner, []problem.Problem) {
	p := &Planner{book: book, can: can, dealers: map[string]*dealer{}, byName: map[string]*program{}}
	c := compiler{book: book}
	for i, d := range book.Dealers {
		p.dealers[d.Dealer] = c.dealer(d, i)
	}
	if len(book.Dealers) == 1 {
		p.only = p.dealers[book.Dealers[0].Dealer]
	}
	c.events()
	for _, care := range book.Programs {
		if prog := c.program(care); prog != nil {
			p.programs = append(p.programs, prog)
		}
	}
	// The order of the programs is part of nothing: it only makes runs alike.
	slices.SortFunc(p.programs, func(a, b *program) int { return cmp.Compare(a.Program.Program, b.Program.Program) })
	for _, prog := range p.programs {
		p.byName[prog.Program.Program] = prog
		p.longest = max(p.longest, prog.longest())
	}
	p.runs.New = func() any { return new(run) }
	return p, c.problems
}

// LongestExpiry returns how long after its release the longest-lived message of the book may still be sent: a sweep looks that
// far back.
func (p *Planner) LongestExpiry() time.Duration { return p.longest }

// Plan returns every occurrence of the customer whose release lies in [r.From, r.To), with its verdict as known at r.Now, ordered
// by release, customer, program, vehicle and step. Times are in the recipient's zone. Occurrences in the ledger that are over
// keep their planned release and say what became of them: send if they went or may have gone, else skip with the reason.
func (p *Planner) Plan(f *care.Facts, r Request) []*care.Occurrence {
	if r.Now.IsZero() {
		r.Now = r.From
	}
	run := p.begin(f, r)
	if run == nil {
		return nil
	}
	defer run.end()
	if len(f.Others) > 0 {
		run.request.To = r.To.Add(kinAhead)
	}
	run.collect(p.windowFor(care.Later(r.From, r.Now), run.request.To))
	kin := run.party(f, run.request)
	kin.decide()
	defer kin.end()
	var out []*care.Occurrence
	for _, c := range run.candidates {
		if o := c.occ; !o.Release.Before(r.From) && o.Release.Before(r.To) {
			out = append(out, o)
		}
	}
	Sort(out)
	return out
}

// kinAhead is how far beyond a window those who share an address are looked at: what is for one of them at the window's end is for
// another a day later, where they live in another zone or have longer quiet hours.
const kinAhead = 48 * time.Hour

// party brings in those whom the customer's messages depend on.
func (r *run) party(f *care.Facts, request Request) party {
	r.alone[0] = r
	out := party(r.alone[:])
	for _, other := range f.Others {
		if o := r.p.begin(other, request); o != nil {
			o.request.Explain = false
			o.collect(r.p.windowFor(care.Later(request.From, request.Now), request.To))
			out = append(out, o)
		}
	}
	return out
}

// end gives the runs of the others back.
func (all party) end() {
	for _, r := range all[1:] {
		r.end()
	}
}

// Sort orders occurrences by release, customer, program, vehicle, step and cycle.
func Sort(list []*care.Occurrence) {
	slices.SortFunc(list, func(a, b *care.Occurrence) int {
		return cmp.Or(
			a.Release.Compare(b.Release), cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Program, b.Program),
			cmp.Compare(a.Vehicle, b.Vehicle), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Cycle, b.Cycle),
		)
	})
}

// Defects returns what planning finds wrong with a record, beside what care/record found: a dealer that is not in the book (the
// customer is not planned at all), a time zone or locale that does not exist (the dealer's is used).
func (p *Planner) Defects(f *care.Facts) []care.Defect {
	c := f.Customer
	if c == nil {
		return nil
	}
	var out []care.Defect
	if p.dealerOf(c) == nil {
		out = append(out, care.Defect{Path: "$.dealer", Message: "is not a dealer of the care book: this customer is not served"})
	}
	if c.TimeZone != "" && p.zone(c.TimeZone) == nil {
		out = append(out, care.Defect{Path: "$.time_zone", Message: "is no IANA time zone: the dealer's is used"})
	}
	if c.Locale != "" && !validLocale(c.Locale) {
		out = append(out, care.Defect{Path: "$.locale", Message: "is no locale such as zh-CN or en: the dealer's is used"})
	}
	return out
}

// Dealer returns the dealer of a customer, nil if the book has none.
func (p *Planner) Dealer(c *care.Customer) *care.Dealer {
	if d := p.dealerOf(c); d != nil {
		return d.Dealer
	}
	return nil
}

// Location returns the zone the customer lives by: their own, else the dealer's, else UTC.
func (p *Planner) Location(c *care.Customer) *time.Location {
	if d := p.dealerOf(c); d != nil {
		return p.location(c, d)
	}
	return time.UTC
}

// DealerName returns the name of a customer's dealer, as the record has it where the book has none.
func (p *Planner) DealerName(c *care.Customer) string {
	if d := p.dealerOf(c); d != nil {
		return d.Dealer.Dealer
	}
	return c.Dealer
}

func (p *Planner) dealerOf(c *care.Customer) *dealer {
	if c.Dealer == "" || p.only != nil && p.only.Dealer.Dealer == c.Dealer {
		return p.only
	}
	return p.dealers[c.Dealer]
}

func (p *Planner) location(c *care.Customer, d *dealer) *time.Location {
	if c.TimeZone != "" {
		if loc := p.zone(c.TimeZone); loc != nil {
			return loc
		}
	}
	return d.loc
}

// maxRefused bounds the cache of names that are no zones: they come from records, and there is no end to mistakes.
const maxRefused = 1000

// zone returns the location with this IANA name, nil if there is none.
func (p *Planner) zone(name string) *time.Location {
	if v, ok := p.zones.Load(name); ok {
		return v.(*time.Location)
	}
	loc := loadZone(name)
	if loc != nil || p.refused.Add(1) < maxRefused {
		p.zones.Store(name, loc)
	}
	return loc
}

func loadZone(name string) *time.Location {
	if name == "" || name == "Local" { // "Local" is the machine's zone, which is nobody's
		return nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return loc
}

type localeKey struct{ customer, dealer string }

// localesOf returns the locales to look for a text in, the best first: the customer's, the dealer's, English.
func (p *Planner) localesOf(c *care.Customer, d *dealer) []string {
	if c.Locale == "" || c.Locale == d.Locale {
		return d.locales
	}
	key := localeKey{c.Locale, d.Locale}
	if !validLocale(c.Locale) {
		key.customer = ""
	}
	if v, ok := p.locales.Load(key); ok {
		return v.([]string)
	}
	chain := localeChain(key.customer, key.dealer)
	p.locales.Store(key, chain)
	return chain
}

func localeChain(customer, dealer string) (chain []string) {
	for _, l := range []string{customer, dealer, "en"} {
		for _, name := range care.LocaleChain(l) {
			if !slices.Contains(chain, name) {
				chain = append(chain, name)
			}
		}
	}
	return chain
}

// validLocale accepts the shape of a language tag (RFC 5646): a language of two or three letters and subtags of two to eight.
func validLocale(s string) bool {
	n, first := 0, true
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '-' {
			c := s[i] | 0x20
			if letter := c >= 'a' && c <= 'z'; !letter && (first || s[i] < '0' || s[i] > '9') {
				return false
			}
			n++
			continue
		}
		if n < 2 || n > 8 || first && n > 3 {
			return false
		}
		n, first = 0, false
	}
	return true
}
