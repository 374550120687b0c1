package daemon

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/service/carebook"
)

// ForecastOptions say which days to look at.
type ForecastOptions struct {
	PlanOptions
	Progress Progress
}

// Forecast is what a plan of some weeks adds up to. Days are local dates of the recipients. Its size depends on days, programs
// and dealers, not on the number of customers.
type Forecast struct {
	First, Last care.Date // the days looked at, both inclusive
	Now         time.Time
	Customers   int // records that were read
	Planned     int // customers who get at least one message
	Broken      int // records that cannot be planned at all
	Days        []care.Date
	Programs    []string // by messages, the most first
	Titles      map[string]care.Text
	Volumes     []Volume
	Held        []Held
	Caps        []CapUse
	Capped      []CappedCustomer // those capped most often, at most cappedShown
	Unreachable []Unreachable
	Unwritten   []Unwritten
}

// Volume is how many messages of a program leave on a day by a channel.
type Volume struct {
	Day      care.Date    `json:"day"`
	Dealer   string       `json:"dealer"`
	Program  string       `json:"program"`
	Channel  care.Channel `json:"channel"`
	Messages int          `json:"messages"`
	Parts    int          `json:"parts,omitempty"` // of SMS
	Cost     float64      `json:"cost"`
	Currency string       `json:"currency,omitempty"`
}

// Held is how many messages of a program a gate puts off, merges into another or keeps from going.
type Held struct {
	Dealer   string `json:"dealer"`
	Program  string `json:"program"`
	Reason   string `json:"reason"`
	Outcome  string `json:"outcome"` // put_off, merged or stopped
	Messages int    `json:"messages"`
}

// CapUse is what one cap does to a dealer's customers.
type CapUse struct {
	Dealer    string `json:"dealer"`
	Cap       Cap    `json:"cap"`
	Customers int    `json:"customers"`
	PutOff    int    `json:"put_off"`
	Lost      int    `json:"lost"` // no room before they expire
}

// CappedCustomer is a customer whom a cap keeps from messages.
type CappedCustomer struct {
	Customer string `json:"customer"`
	Dealer   string `json:"dealer"`
	Cap      Cap    `json:"cap"`
	PutOff   int    `json:"put_off"`
	Lost     int    `json:"lost"`
}

// Unreachable is how many customers no channel to people reaches, and some of them.
type Unreachable struct {
	Dealer    string   `json:"dealer"`
	Reason    string   `json:"reason"`
	Customers int      `json:"customers"`
	Some      []string `json:"some,omitempty"` // the first by id
}

// Unwritten is how many SMS would be set aside because their text cannot be made.
type Unwritten struct {
	Template string `json:"template"`
	Code     string `json:"code"`
	Messages int    `json:"messages"`
}

// How many customers a forecast names; hygiene and plan name them all.
const (
	cappedShown      = 20
	unreachableShown = 5
)

// Forecast plans everybody and adds up what will leave, when, by which way and at which price, and what keeps the rest. From a
// file it needs no Redis; what was sent before is then not known.
func (e *Env) Forecast(ctx context.Context, opt ForecastOptions) (*Forecast, error) {
	s, closeSource, err := e.newSurvey(ctx, opt.PlanOptions, opt.Progress)
	if err != nil {
		return nil, err
	}
	defer closeSource()
	sums := make([]*sum, s.workers)
	for i := range sums {
		sums[i] = newSum(e, s)
	}
	err = s.plan(ctx, func(worker int, f *care.Facts, plan []*care.Occurrence) {
		if opt.Defect != nil {
			for _, flaw := range s.flaws(f) {
				opt.Defect(flaw.customer, flaw.path, flaw.message)
			}
		}
		sums[worker].add(f, plan)
	})
	if err != nil {
		return nil, err
	}
	for _, other := range sums[1:] {
		sums[0].merge(other)
	}
	return sums[0].forecast(opt.PlanOptions, e.Now()), nil
}

type volumeKey struct {
	day             care.Date
	dealer, program string
	channel         care.Channel
}

type heldKey struct{ dealer, program, reason, outcome string }

type capKey struct {
	dealer string
	cap    Cap
}

type pair struct{ a, b string }

// sum is what one worker has added up.
type sum struct {
	env         *Env
	checked     *carebook.Compiled
	customers   int
	planned     int
	broken      int
	volumes     map[volumeKey]*Volume
	held        map[heldKey]int
	caps        map[capKey]*CapUse
	capped      []CappedCustomer
	unreachable map[pair]*Unreachable
	unwritten   map[pair]int
}

func newSum(e *Env, s *survey) *sum {
	return &sum{
		env: e, checked: s.checked, volumes: map[volumeKey]*Volume{}, held: map[heldKey]int{}, caps: map[capKey]*CapUse{},
		unreachable: map[pair]*Unreachable{}, unwritten: map[pair]int{},
	}
}

func (s *sum) add(f *care.Facts, plan []*care.Occurrence) {
	s.customers++
	if f.Customer == nil || f.Err != nil {
		s.broken++
		return
	}
	dealer := s.checked.Planner.Dealer(f.Customer)
	if dealer == nil {
		s.broken++
		return
	}
	if f.Overlay != nil && f.Overlay.Erased {
		return
	}
	if why := s.env.unreachable(f, dealer); why != reachable {
		s.reach(dealer.Dealer, why, f.ID, 1)
	}
	goes := false
	putOff, lost := 0, 0
	for _, o := range plan {
		if o.Reason == "capped" {
			if o.Verdict == care.Send {
				putOff++
			} else {
				lost++
			}
		}
		if o.Verdict == care.Send {
			goes = true
			s.volume(f, dealer, o)
		}
		if o.Reason != "" {
			s.held[heldKey{o.Dealer, o.Program, o.Reason, outcomeOf(o)}]++
		}
	}
	if goes {
		s.planned++
	}
	if putOff+lost > 0 {
		s.cap(f, dealer, putOff, lost)
	}
}

func outcomeOf(o *care.Occurrence) string {
	switch {
	case o.Verdict == care.Send:
		return "put_off"
	case o.Reason == "merged":
		return "merged"
	}
	return "stopped"
}

func (s *sum) volume(f *care.Facts, dealer *care.Dealer, o *care.Occurrence) {
	key := volumeKey{care.DateOf(o.Release), o.Dealer, o.Program, o.Channel}
	v := s.volumes[key]
	if v == nil {
		v = &Volume{Day: key.day, Dealer: key.dealer, Program: key.program, Channel: key.channel, Currency: dealer.Currency}
		s.volumes[key] = v
	}
	units := 1
	if o.Channel == care.SMS {
		units = s.parts(f, dealer, o)
		v.Parts += units
	}
	v.Messages++
	v.Cost += float64(units) * dealer.Prices[string(o.Channel)]
}

// parts counts the SMS parts of the very text that this customer will get. A text that cannot be made is set aside at sending: it
// costs nothing and is reported.
func (s *sum) parts(f *care.Facts, dealer *care.Dealer, o *care.Occurrence) int {
	m, err := s.checked.Templates.Render(s.checked.Draft(f.Customer, dealer, o, care.SMS, o.Release))
	if err != nil {
		s.unwritten[pair{o.Template, codeOf(err)}]++
		return 0
	}
	n, _ := sms.Parts(string(m.Text), m.Signature, sms.StyleFor(dealer.Country))
	return n
}

func (s *sum) reach(dealer, why, customer string, n int) {
	key := pair{dealer, why}
	u := s.unreachable[key]
	if u == nil {
		u = &Unreachable{Dealer: dealer, Reason: why}
		s.unreachable[key] = u
	}
	u.Customers += n
	if customer != "" {
		u.Some = lowest(append(u.Some, customer), unreachableShown)
	}
}

func lowest(ids []string, n int) []string {
	slices.Sort(ids)
	return ids[:min(len(ids), n)]
}

func (s *sum) cap(f *care.Facts, dealer *care.Dealer, putOff, lost int) {
	limit, _ := capOf(f, dealer)
	s.useCap(CapUse{Dealer: dealer.Dealer, Cap: limit, Customers: 1, PutOff: putOff, Lost: lost})
	s.capped = most(append(s.capped, CappedCustomer{f.ID, dealer.Dealer, limit, putOff, lost}))
}

func (s *sum) useCap(u CapUse) {
	key := capKey{u.Dealer, u.Cap}
	have := s.caps[key]
	if have == nil {
		have = &CapUse{Dealer: u.Dealer, Cap: u.Cap}
		s.caps[key] = have
	}
	have.Customers += u.Customers
	have.PutOff += u.PutOff
	have.Lost += u.Lost
}

// most keeps the customers who lose most; it sorts only when twice as many have come together.
func most(list []CappedCustomer) []CappedCustomer {
	if len(list) < 2*cappedShown {
		return list
	}
	return worst(list)
}

func worst(list []CappedCustomer) []CappedCustomer {
	slices.SortFunc(list, func(a, b CappedCustomer) int {
		return cmp.Or(cmp.Compare(b.Lost, a.Lost), cmp.Compare(b.PutOff, a.PutOff), cmp.Compare(a.Customer, b.Customer))
	})
	return list[:min(len(list), cappedShown)]
}

// merge takes in what another worker has added up.
func (s *sum) merge(o *sum) {
	s.customers += o.customers
	s.planned += o.planned
	s.broken += o.broken
	for key, v := range o.volumes {
		if have := s.volumes[key]; have != nil {
			have.Messages += v.Messages
			have.Parts += v.Parts
			have.Cost += v.Cost
		} else {
			s.volumes[key] = v
		}
	}
	for key, n := range o.held {
		s.held[key] += n
	}
	for _, u := range o.caps {
		s.useCap(*u)
	}
	s.capped = append(s.capped, o.capped...)
	for key, u := range o.unreachable {
		s.reach(key.a, key.b, "", u.Customers)
		mine := s.unreachable[key]
		mine.Some = lowest(append(mine.Some, u.Some...), unreachableShown)
	}
	for key, n := range o.unwritten {
		s.unwritten[key] += n
	}
}

// forecast puts the sums in order, so that the same records give the same forecast however the workers shared them.
func (s *sum) forecast(span PlanOptions, now time.Time) *Forecast {
	f := &Forecast{
		First: dayOf(span.From), Last: dayOf(span.To).AddDays(-1), Now: now, Customers: s.customers, Planned: s.planned, Broken: s.broken,
		Titles: map[string]care.Text{}, Capped: worst(s.capped),
	}
	if span.To.Date.IsZero() {
		f.Last = dayOf(span.To)
	}
	for key, v := range s.volumes {
		v.Cost = round(v.Cost)
		f.Volumes = append(f.Volumes, *v)
		if key.day.Before(f.First) { // a moment as the beginning is another date further west
			f.First = key.day
		}
		if key.day.After(f.Last) {
			f.Last = key.day
		}
	}
	for day := f.First; !day.After(f.Last); day = day.AddDays(1) {
		f.Days = append(f.Days, day)
	}
	slices.SortFunc(f.Volumes, func(a, b Volume) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Dealer, b.Dealer), cmp.Compare(a.Program, b.Program), cmp.Compare(a.Channel, b.Channel))
	})
	for key, n := range s.held {
		f.Held = append(f.Held, Held{key.dealer, key.program, key.reason, key.outcome, n})
	}
	slices.SortFunc(f.Held, func(a, b Held) int {
		return cmp.Or(cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Reason, b.Reason),
			cmp.Compare(a.Dealer, b.Dealer), cmp.Compare(a.Program, b.Program))
	})
	for _, u := range s.caps {
		f.Caps = append(f.Caps, *u)
	}
	slices.SortFunc(f.Caps, func(a, b CapUse) int {
		return cmp.Or(cmp.Compare(a.Dealer, b.Dealer), cmp.Compare(b.Customers, a.Customers), cmp.Compare(a.Cap.By, b.Cap.By), cmp.Compare(a.Cap.Limit, b.Cap.Limit))
	})
	for _, u := range s.unreachable {
		f.Unreachable = append(f.Unreachable, *u)
	}
	slices.SortFunc(f.Unreachable, func(a, b Unreachable) int {
		return cmp.Or(cmp.Compare(a.Dealer, b.Dealer), cmp.Compare(a.Reason, b.Reason))
	})
	for key, n := range s.unwritten {
		f.Unwritten = append(f.Unwritten, Unwritten{key.a, key.b, n})
	}
	slices.SortFunc(f.Unwritten, func(a, b Unwritten) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Template, b.Template), cmp.Compare(a.Code, b.Code))
	})
	f.rankPrograms(s.checked.Book)
	return f
}

func (f *Forecast) rankPrograms(book *care.Book) {
	counts := map[string]int{}
	for i := range f.Volumes {
		counts[f.Volumes[i].Program] += f.Volumes[i].Messages
	}
	f.Programs = slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for _, p := range book.Programs {
		f.Titles[p.Program] = p.Title
	}
}

// dayOf returns the date of a moment: its own, or the UTC date of an instant's own clock.
func dayOf(m Moment) care.Date {
	if m.Date.IsZero() {
		return care.DateOf(m.Time)
	}
	return m.Date
}

// round takes away what adding cents in binary leaves behind.
func round(cost float64) float64 { return float64(int64(cost*10000+0.5)) / 10000 }
