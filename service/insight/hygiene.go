package insight

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/contact"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/scheduler/odometer"
	"github.com/carebell/carebell/service/carebook"
)

// HygieneOptions say where the records are.
type HygieneOptions struct {
	File     string // customer records instead of the store
	Progress Progress
}

// What hygiene looks for, in the order of the report.
const (
	foundDefect      = "defect"
	foundPhone       = "bad_phone"
	foundEmail       = "bad_email"
	foundDuplicate   = "duplicate"
	foundUnreachable = "unreachable"
	foundErased      = "erased_address"
	foundForgotten   = "not_contacted"
	foundStale       = "stale_odometer"
	foundRollback    = "odometer_rollback"
	foundReplaced    = "odometer_replaced"
	foundSold        = "sold"
	foundShared      = "vehicle_shared"
	foundReturned    = "returned_mail"
)

// FlawKinds lists what hygiene looks for, in the order of the report.
var FlawKinds = []string{
	foundDefect, foundPhone, foundEmail, foundDuplicate, foundErased, foundUnreachable, foundForgotten, foundStale, foundRollback, foundReplaced, foundSold, foundShared, foundReturned,
}

// FlawTitle says in words what a kind of flaw is.
func FlawTitle(kind, locale string) string { return texts.For(locale).Word("flaw", kind) }

// Flaw is one thing to mend. It names ids and JSON paths, never an address or a name.
type Flaw struct {
	Kind     string `json:"flaw"`
	Customer string `json:"customer"`
	Dealer   string `json:"dealer,omitempty"`
	Vehicle  string `json:"vehicle,omitempty"`
	Path     string `json:"path"` // RFC 9535
	Detail   string `json:"detail,omitempty"`
}

// Hygiene tells the state of the data: it calls each for everything that should be mended, ordered by kind and customer, and
// returns how many records there were. From a file it does not know what was sent.
func (s *Service) Hygiene(ctx context.Context, who care.Principal, opt HygieneOptions, each func(Flaw) error) (customers int, err error) {
	scan, err := s.newScan(ctx, who, opt.File, Period{}, opt.Progress)
	if err != nil {
		return 0, err
	}
	shared, err := sharedAddresses(ctx, scan)
	if err != nil {
		return 0, err
	}
	inspections := make([]*inspection, scan.workers)
	for i := range inspections {
		inspections[i] = &inspection{book: scan.book, now: s.Now(), shared: shared, sent: opt.File == ""}
	}
	if err := scan.each(ctx, "looking", func(worker int, f *care.Facts) { inspections[worker].look(f) }); err != nil {
		return 0, err
	}
	var all []Flaw
	for _, i := range inspections {
		all = append(all, i.found...)
		customers += i.customers
	}
	all = append(all, shared.findings()...)
	if opt.File == "" {
		returned, err := s.returned(ctx)
		if err != nil {
			return customers, err
		}
		all = append(all, returned...)
	}
	slices.SortFunc(all, func(a, b Flaw) int {
		return cmp.Or(slices.Index(FlawKinds, a.Kind)-slices.Index(FlawKinds, b.Kind), cmp.Compare(a.group(), b.group()),
			cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Detail, b.Detail))
	})
	// A scan of Redis may return a customer twice while keys change.
	for _, f := range slices.Compact(all) {
		if err := each(f); err != nil {
			return customers, err
		}
	}
	return customers, nil
}

// returned names the returned mail that taught nothing.
func (s *Service) returned(ctx context.Context) ([]Flaw, error) {
	counts, err := s.Store.ReturnedMail(ctx)
	var out []Flaw
	for why, n := range counts {
		out = append(out, Flaw{Kind: foundReturned, Customer: "-", Path: "$", Detail: n + " mails: " + FlawTitle(why, "en")})
	}
	return out, err
}

// group keeps the members of a group of duplicates together.
func (f Flaw) group() string {
	if f.Kind == foundDuplicate {
		return f.Detail
	}
	return ""
}

// inspection is what one worker has found.
type inspection struct {
	book      *carebook.Compiled
	now       time.Time
	shared    *shared
	sent      bool // whether the ledger is known
	customers int
	found     []Flaw
}

func (i *inspection) add(f Flaw) { i.found = append(i.found, f) }

func (i *inspection) look(f *care.Facts) {
	i.customers++
	if f.Customer == nil || f.Err != nil {
		i.add(Flaw{Kind: foundDefect, Customer: f.ID, Path: "$", Detail: f.Err.Error()})
		return
	}
	c, dealer := f.Customer, i.book.Planner.Dealer(f.Customer)
	base := Flaw{Customer: c.ID, Dealer: c.Dealer}
	for _, d := range append(slices.Clone(f.Defects), i.book.Planner.Defects(f)...) {
		base.Kind, base.Path, base.Detail = foundDefect, d.Path, d.Message
		if d.Closed {
			base.Detail += " (only safety goes until it is mended)"
		}
		i.add(base)
	}
	if dealer == nil || f.Overlay != nil && f.Overlay.Erased {
		return
	}
	base.Dealer = dealer.Dealer
	if f.AddressErased {
		base.Kind, base.Path, base.Detail = foundErased, "$", "carebell customer allow "+c.ID+" serves the customer"
		i.add(base)
		return
	}
	i.addresses(f, dealer, base)
	today := care.DateOf(i.now.In(i.book.Planner.Location(c)))
	for _, d := range record.Implausible(c, today) {
		base.Kind, base.Path, base.Detail = foundDefect, d.Path, d.Message
		i.add(base)
	}
	owns := false
	for j := range c.Vehicles {
		owns = i.vehicle(f, &c.Vehicles[j], dealer, today, base) || owns
	}
	if owns {
		i.forgotten(f, today, base)
	}
}

func (i *inspection) addresses(f *care.Facts, d *care.Dealer, base Flaw) {
	c := f.Customer
	if e164, ok := contact.Phone(c.Phone, d.Country); ok && !contact.Textable(e164) {
		base.Kind, base.Path, base.Detail = foundPhone, "$.phone", "takes no texts (a landline, 400, toll-free or premium number): it stays for calls"
		i.add(base)
	} else if c.Phone != "" && !ok {
		base.Kind, base.Path, base.Detail = foundPhone, "$.phone", "is no telephone number"
		if contact.Scientific(c.Phone) {
			base.Detail = "a spreadsheet wrote it with an exponent: its last digits are lost"
		}
		i.add(base)
	}
	if _, ok := contact.Email(c.Email); c.Email != "" && !ok {
		base.Kind, base.Path, base.Detail = foundEmail, "$.email", "is no mail address"
		i.add(base)
	}
	if why := unreachable(i.book, f, d); why != reachable {
		base.Kind, base.Path, base.Detail = foundUnreachable, "$", Reason(why, "en")
		i.add(base)
	}
	i.shared.take(f, d)
}

// vehicle looks at one car and reports whether it is still the customer's.
func (i *inspection) vehicle(f *care.Facts, v *care.Vehicle, d *care.Dealer, today care.Date, base Flaw) bool {
	base.Vehicle = v.ID
	path := fmt.Sprintf("$.vehicles[?@.id=='%s']", v.ID)
	if sold := scheduler.SoldOn(f, v); !sold.IsZero() && !sold.After(today) {
		base.Kind, base.Path, base.Detail = foundSold, path+".sold_on", sold.String()
		if v.SoldOn.IsZero() {
			base.Detail += ", as the customer told us: the record does not know"
		}
		i.add(base)
		return false
	}
	base.Path = path + ".odometer"
	told := scheduler.Reported(f, v.ID)
	forecast, ok := odometer.Forecast(v, d, today, told...)
	// A new car has no reading yet, and needs none.
	if ok && forecast.Stale && today.Sub(v.DeliveredOn) > staleAfter {
		base.Kind, base.Detail = foundStale, "never read"
		if !forecast.Newest.IsZero() {
			base.Detail = "newest " + forecast.Newest.String()
		}
		i.add(base)
	}
	for _, doubt := range odometer.Doubts(v, told) {
		base.Kind, base.Detail = foundRollback, "check the reading of "+doubt.On.String()+": it does not count"
		if doubt.Replaced {
			base.Kind, base.Detail = foundReplaced, "on "+doubt.On.String()
		}
		i.add(base)
	}
	return true
}

// staleAfter is how many days an odometer reading is good for (design A4).
const staleAfter = 180

// forgotten finds customers with a car of more than a year whom neither a message of ours nor a visit has met for twelve months.
func (i *inspection) forgotten(f *care.Facts, today care.Date, base Flaw) {
	since := today.AddMonths(-12)
	last := care.Date{}
	for j := range f.Customer.Vehicles {
		v := &f.Customer.Vehicles[j]
		if v.DeliveredOn.After(since) {
			return
		}
		if visit := scheduler.LatestVisit(v); visit != nil && visit.ClosedOn.After(last) {
			last = visit.ClosedOn
		}
	}
	for _, e := range f.Ledger {
		if on := care.DateOf(e.At); e.State.Counts() && on.After(last) {
			last = on
		}
	}
	if last.After(since) {
		return
	}
	base.Kind, base.Path, base.Detail = foundForgotten, "$", "never"
	if !last.IsZero() {
		base.Detail = "last on " + last.String()
	}
	if !i.sent {
		base.Detail += " (messages are not known from a file)"
	}
	i.add(base)
}

// shared knows which addresses stand under several ids. It keeps eight bytes for each address in a first pass, and ids only for
// those that came more than once.
type shared struct {
	mu     sync.Mutex
	twice  map[uint64]bool
	owners map[uint64][]owner
}

type owner struct{ customer, dealer, household, path, vehicle string }

func sharedAddresses(ctx context.Context, s *scan) (*shared, error) {
	hashes := make([][]uint64, s.workers)
	err := s.each(ctx, "addresses", func(worker int, f *care.Facts) {
		if d := dealerOf(s.book.Planner, f); d != nil {
			for _, a := range addressesOf(f, d) {
				hashes[worker] = append(hashes[worker], a.hash)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	all := slices.Concat(hashes...)
	slices.Sort(all)
	out := &shared{twice: map[uint64]bool{}, owners: map[uint64][]owner{}}
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			out.twice[all[i]] = true
		}
	}
	return out, nil
}

func dealerOf(p *scheduler.Planner, f *care.Facts) *care.Dealer {
	if f.Customer == nil || f.Err != nil {
		return nil
	}
	return p.Dealer(f.Customer)
}

// hashed is an address or a car.
type hashed struct {
	path, vehicle string
	hash          uint64
}

func addressesOf(f *care.Facts, d *care.Dealer) []hashed {
	var out []hashed
	for _, a := range []struct {
		ch   care.Channel
		path string
	}{{care.SMS, "$.phone"}, {care.Email, "$.email"}} {
		if to, ok := carebook.Address(a.ch, f.Customer, d); ok {
			out = append(out, hashOf(a.path, "", to))
		}
	}
	for i := range f.Customer.Vehicles {
		if car := scheduler.CarOf(d.Dealer, f.Customer.Vehicles[i].ID); car != "" {
			out = append(out, hashOf(fmt.Sprintf("$.vehicles[?@.id=='%s']", f.Customer.Vehicles[i].ID), f.Customer.Vehicles[i].ID, car))
		}
	}
	return out
}

func hashOf(path, vehicle, what string) hashed {
	h := fnv.New64a()
	if vehicle == "" {
		h.Write([]byte(path))
	}
	h.Write([]byte(what))
	return hashed{path, vehicle, h.Sum64()}
}

func (s *shared) take(f *care.Facts, d *care.Dealer) {
	for _, a := range addressesOf(f, d) {
		if !s.twice[a.hash] {
			continue
		}
		s.mu.Lock()
		s.owners[a.hash] = append(s.owners[a.hash], owner{f.Customer.ID, d.Dealer, f.Customer.Household, a.path, a.vehicle})
		s.mu.Unlock()
	}
}

// findings names each customer who shares an address with somebody of another household, and the lowest id of the others; and who has a
// car that another has too.
func (s *shared) findings() []Flaw {
	var out []Flaw
	for _, owners := range s.owners {
		slices.SortFunc(owners, func(a, b owner) int { return cmp.Compare(a.customer, b.customer) })
		owners = slices.CompactFunc(owners, func(a, b owner) bool { return a.customer == b.customer })
		family := func(o owner) bool { return o.household != "" && o.household == owners[0].household }
		for i, o := range owners {
			if o.vehicle != "" && len(owners) > 1 { // both are named: the one to correct may be either
				other := owners[(i+1)%len(owners)].customer
				out = append(out, Flaw{Kind: foundShared, Customer: o.customer, Dealer: o.dealer, Vehicle: o.vehicle, Path: o.path, Detail: "the same car as that of " + other})
				continue
			}
			if i == 0 || family(o) {
				continue
			}
			out = append(out, Flaw{Kind: foundDuplicate, Customer: o.customer, Dealer: o.dealer, Path: o.path, Detail: "the same as that of " + owners[0].customer})
		}
	}
	return out
}
