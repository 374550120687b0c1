package insight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/delivery"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/scheduler/odometer"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/store"
)

// ExplainOptions say whom and what to explain.
type ExplainOptions struct {
	Customer string
	Program  string    // "" = every program
	On       care.Date // as of the beginning of this day on the customer's clock; none = now
	File     string    // customer records instead of Redis; what was sent before is then not known
	Locale   string    // zh-CN or en
	Others   bool      // read all other customers too: households and capacity depend on them
	Progress Progress
}

// Explanation is everything that decides what a customer gets. No name, address or text stands in it, only ids and facts.
type Explanation struct {
	Customer    string           `json:"customer"`
	Dealer      string           `json:"dealer"`
	Miles       bool             `json:"miles,omitempty"`   // distances are for people who think in miles; all figures here are km
	Problem     string           `json:"problem,omitempty"` // why the customer is not planned at all
	TimeZone    string           `json:"time_zone"`
	Locale      string           `json:"locale"`
	Grade       string           `json:"grade,omitempty"`
	Advisor     string           `json:"advisor,omitempty"`
	Birthday    care.Birthday    `json:"birthday,omitzero"`
	At          time.Time        `json:"at"` // what the answers are as of
	Cap         *scheduler.Cap   `json:"cap,omitempty"`
	Erased      bool             `json:"erased,omitempty"`
	Withheld    bool             `json:"address_of_erased,omitempty"` // an address is that of somebody who was erased
	SafetyOnly  bool             `json:"safety_only,omitempty"`       // a defect in the record that fails closed
	Defects     []care.Defect    `json:"defects,omitempty"`
	Preferences care.Preferences `json:"preferences,omitzero"`
	Holds       []care.Hold      `json:"holds,omitempty"`
	Channels    []ChannelFacts   `json:"channels"`
	Vehicles    []VehicleFacts   `json:"vehicles"`

	Ledger   bool                 `json:"ledger"` // whether what went before is known
	Past     []care.EventEntry    `json:"-"`
	Said     map[string]string    `json:"-"` // what the provider said last, by the message's id
	waits    map[string]time.Time // until when the warm-up of a sender holds a message back
	Programs []ProgramFacts       `json:"-"`
}

// ChannelFacts is whether a channel reaches the customer.
type ChannelFacts struct {
	Channel care.Channel   `json:"channel"`
	Address string         `json:"address"` // "" = usable, else no_address, bad_address or suppressed_address
	Consent []ConsentFacts `json:"consent"`
	Stops   []StopFacts    `json:"stops,omitempty"`
}

// StopFacts is an opt-out that stands.
type StopFacts struct {
	Scope  string    `json:"scope"`
	Source string    `json:"source"`
	At     time.Time `json:"at"`
}

// VehicleFacts is what is known of a car.
type VehicleFacts struct {
	ID          string         `json:"id"`
	Make        string         `json:"make,omitempty"`
	Model       string         `json:"model,omitempty"`
	DeliveredOn care.Date      `json:"delivered_on"`
	SoldOn      care.Date      `json:"sold_on"`
	LastVisit   care.Date      `json:"last_visit"`
	Appointment time.Time      `json:"appointment_at,omitzero"`
	Forecast    *care.Forecast `json:"forecast,omitempty"` // nil: no interval, or nothing to count from
}

// ProgramFacts is what a program means to the customer.
type ProgramFacts struct {
	Program string     `json:"program"`
	Title   string     `json:"title"`
	On      string     `json:"on"` // the trigger
	Class   care.Class `json:"class"`
	Next    []Next     `json:"-"`
	// Nothing says why nothing is due within a year, Why the same in words.
	Nothing string    `json:"nothing,omitempty"`
	Why     string    `json:"why,omitempty"`
	Last    care.Date `json:"last,omitzero"` // the trigger's last date before, with its cycle
	Cycle   string    `json:"cycle,omitempty"`
	Later   care.Date `json:"later,omitzero"` // the trigger's next date, beyond the year
}

// Next is an occurrence of the coming year, or one that is still worth sending, with every gate's answer.
type Next struct {
	PlanLine
	Due   care.Date         `json:"due"` // the trigger's date
	Title string            `json:"title"`
	State care.State        `json:"state,omitempty"` // what the ledger says became of it already
	Gates []care.GateAnswer `json:"gates"`
}

// explainFor is how far ahead an explanation looks.
const explainFor = 366 * 24 * time.Hour

// NotAsked marks the answer of a gate that depends on other customers when those were not read.
const NotAsked = "not_asked"

// Explain says why a customer gets what they get: the facts, what went, what will go with every gate's answer, and for a program
// with nothing due the reason.
func (s *Service) Explain(ctx context.Context, who care.Principal, opt ExplainOptions) (*Explanation, error) {
	scan, err := s.newScan(ctx, who, opt.File, Period{}, opt.Progress)
	if err != nil {
		return nil, err
	}
	if err := scan.book.FindProgram(opt.Program); err != nil {
		return nil, err
	}
	f, past, err := scan.customer(ctx, opt)
	if err != nil {
		return nil, err
	}
	x := &Explanation{Customer: f.ID, At: s.Now(), Ledger: opt.File == "", Past: past}
	if f.Customer == nil || f.Err != nil {
		x.Problem = f.Err.Error()
		return x, nil
	}
	dealer := scan.book.Planner.Dealer(f.Customer)
	if dealer == nil {
		x.Dealer, x.Problem = f.Customer.Dealer, "its dealer is not in the care book"
		return x, nil
	}
	loc := scan.book.Planner.Location(f.Customer)
	if x.At = x.At.In(loc); !opt.On.IsZero() {
		x.At = opt.On.At(0, 0, loc)
	}
	x.gather(scan.book, f, dealer)
	if x.Said, x.waits, err = scan.said(ctx, f.ID); err != nil {
		return nil, err
	}
	return x, scan.programs(ctx, x, f, opt)
}

// customer reads the customer from the store, with what went before, or from the file.
func (s *scan) customer(ctx context.Context, opt ExplainOptions) (*care.Facts, []care.EventEntry, error) {
	if !care.ValidID(opt.Customer) {
		return nil, nil, invalidID(opt.Customer)
	}
	if s.store == nil {
		f, err := findCustomer(ctx, s.source, opt.Customer)
		if err == nil && (f == nil || !s.book.Visible(s.who, f.Customer)) {
			err = fmt.Errorf("%w: no line of %s has the id %s", ErrNoCustomer, opt.File, opt.Customer)
		}
		return f, nil, err
	}
	facts, err := s.store.Facts(ctx, []string{opt.Customer})
	if err != nil {
		return nil, nil, err
	}
	past, err := s.store.Timeline(ctx, opt.Customer)
	if err != nil {
		return nil, nil, err
	}
	f := facts[0]
	if errors.Is(f.Err, care.ErrGone) && len(past) == 0 && f.Overlay == nil || !s.book.Visible(s.who, f.Customer) {
		return nil, nil, fmt.Errorf("%w: care:customer:%s", ErrNoCustomer, opt.Customer)
	}
	return f, past, nil
}

// said returns what providers said of a customer's messages at their last attempts, and until when the warm-up holds messages back.
func (s *scan) said(ctx context.Context, customer string) (said map[string]string, waits map[string]time.Time, err error) {
	if s.store == nil {
		return nil, nil, nil
	}
	records, err := s.store.Messages(ctx, store.Filter{Customer: customer})
	if err != nil {
		return nil, nil, err
	}
	said, waits = map[string]string{}, map[string]time.Time{}
	for i := range records {
		if words := records[i].LastWords(); words != "" {
			said[records[i].ID] = words
		}
		if records[i].Reason == delivery.ReasonWarmup && !records[i].State.Final() {
			waits[records[i].ID] = records[i].Ready
		}
	}
	return said, waits, nil
}

var errFound = errors.New("found")

// findCustomer returns a customer of a source, nil if there is none with that id.
func findCustomer(ctx context.Context, from source, id string) (*care.Facts, error) {
	var found *care.Facts
	err := from(ctx, func(b *batch) error {
		for _, f := range b.open() {
			if f.ID == id {
				found = f
				return errFound
			}
		}
		return nil
	})
	if found != nil {
		return found, nil
	}
	return nil, err
}

// gather fills in what is known of the customer.
func (x *Explanation) gather(book *carebook.Compiled, f *care.Facts, d *care.Dealer) {
	c := f.Customer
	x.Dealer, x.Miles, x.TimeZone, x.Locale = d.Dealer, d.Miles(), x.At.Location().String(), cmp.Or(c.Locale, d.Locale)
	x.Grade, x.Advisor, x.Birthday, x.SafetyOnly = c.Grade, c.Advisor, c.Birthday, c.Closed
	x.Defects = append(slices.Clone(f.Defects), book.Planner.Defects(f)...)
	if limit, ok := scheduler.CapOf(f, d); ok {
		x.Cap = &limit
	}
	x.Withheld = f.AddressErased
	x.Preferences, x.Holds = scheduler.Preferences(f), slices.Clone(c.Holds)
	if o := f.Overlay; o != nil {
		x.Erased = o.Erased
		x.Holds = append(x.Holds, o.Holds...)
	}
	for _, ch := range care.Channels {
		if ch.ToPerson() {
			x.Channels = append(x.Channels, channelFacts(book, f, d, ch))
		}
	}
	today := care.DateOf(x.At)
	for i := range c.Vehicles {
		x.Vehicles = append(x.Vehicles, vehicleFacts(f, &c.Vehicles[i], d, today))
	}
}

func channelFacts(book *carebook.Compiled, f *care.Facts, d *care.Dealer, ch care.Channel) ChannelFacts {
	out := ChannelFacts{Channel: ch}
	if why := reach(book, f, d, ch); why == noAddress || why == badAddress || why == deadAddress {
		out.Address = why
	}
	for _, class := range []care.Class{care.Service, care.Care, care.Commercial} {
		out.Consent = append(out.Consent, consentOf(f, d, ch, class))
	}
	if f.Overlay == nil {
		return out
	}
	for scope, stop := range f.Overlay.Stops {
		of, _, hasChannel := cutScope(scope)
		if grant, ok := f.Overlay.Grants[scope]; ok && grant.At.After(stop.At) || hasChannel && of != ch {
			continue
		}
		out.Stops = append(out.Stops, StopFacts{scope, stop.Source, stop.At})
	}
	slices.SortFunc(out.Stops, func(a, b StopFacts) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Scope, b.Scope)) })
	return out
}

// cutScope splits an opt-out's scope into its channel, if it has one, and the rest.
func cutScope(scope string) (ch care.Channel, rest string, ok bool) {
	for _, ch := range care.Channels {
		if scope == string(ch) {
			return ch, "", true
		}
		if n := len(ch); len(scope) > n && scope[:n] == string(ch) && scope[n] == '/' {
			return ch, scope[n+1:], true
		}
	}
	return "", scope, false
}

func vehicleFacts(f *care.Facts, v *care.Vehicle, d *care.Dealer, today care.Date) VehicleFacts {
	out := VehicleFacts{
		ID: v.ID, Make: v.Make, Model: v.Model, DeliveredOn: v.DeliveredOn, SoldOn: scheduler.SoldOn(f, v), Appointment: v.AppointmentAt,
	}
	if last := scheduler.LatestVisit(v); last != nil {
		out.LastVisit = last.ClosedOn
	}
	if forecast, ok := odometer.Forecast(v, d, today, scheduler.Reported(f, v.ID)...); ok {
		out.Forecast = &forecast
	}
	return out
}

// programs asks the plan for the coming year and what has not expired yet, and for every program without any the reason.
func (s *scan) programs(ctx context.Context, x *Explanation, f *care.Facts, opt ExplainOptions) error {
	p := s.book.Planner
	request := scheduler.Request{
		From: x.At.Add(-p.LongestExpiry()), To: x.At.Add(explainFor), Now: x.At, Operator: s.operator, Explain: true,
	}
	if opt.Others {
		s.period = Period{From: Moment{Time: request.From}, To: Moment{Time: request.To}, Now: x.At}
		kin, peers, err := s.meet(ctx)
		if err != nil {
			return err
		}
		group, err := s.others(ctx, kin.Of(f))
		if err != nil {
			return err
		}
		request.Peers = peers
		scheduler.Together(append([]*care.Facts{f}, group...))
	}
	next := map[string][]Next{}
	for _, o := range p.Plan(f, request) {
		n := Next{PlanLine: planLine(o), Due: o.Due, State: f.Ledger[o.ID].State, Gates: o.Gates}
		if !opt.Others {
			unasked(n.Gates, s.book.Book.Program(o.Program))
		}
		if !s.who.All() {
			nameNobody(n.Gates)
		}
		if until, waits := x.waits[o.ID]; waits {
			n.Gates = append(n.Gates, care.GateAnswer{Gate: delivery.ReasonWarmup, Channel: care.Email, Detail: until.In(x.At.Location()).Format(time.DateTime)})
		}
		next[o.Program] = append(next[o.Program], n)
	}
	// What a trigger did long ago and will do long from now, whatever its messages' gates say.
	long := p.Plan(f, scheduler.Request{From: x.At.AddDate(-20, 0, 0), To: x.At.AddDate(10, 0, 0)})
	for _, prog := range s.book.Book.Programs {
		if opt.Program != "" && prog.Program != opt.Program {
			continue
		}
		out := ProgramFacts{
			Program: prog.Program, Title: cmp.Or(prog.Title.In(opt.Locale), prog.Program), On: prog.Trigger.On, Class: prog.Class, Next: next[prog.Program],
		}
		for i := range out.Next {
			out.Next[i].Title = out.Title
		}
		if len(out.Next) == 0 {
			why := nothing{x: x, facts: f, program: prog, book: s.book, t: texts.For(opt.Locale)}
			why.say(&out, long)
		}
		x.Programs = append(x.Programs, out)
	}
	return nil
}

// unasked marks the gates that need to know of other customers.
func unasked(gates []care.GateAnswer, p *care.Program) {
	for i := range gates {
		switch gates[i].Gate {
		case "duplicate_household":
			if on := p.Trigger.On; on != care.OnBirthday {
				gates[i].Detail = NotAsked
			}
		case "capacity":
			if p.Capacity.PerDay > 0 {
				gates[i].Detail = NotAsked
			}
		}
	}
}

// nameNobody takes the other customer's id from the gate of households: they may be another dealer's.
func nameNobody(gates []care.GateAnswer) {
	for i := range gates {
		if gates[i].Gate == "duplicate_household" && gates[i].Detail != NotAsked {
			gates[i].Detail = ""
		}
	}
}
