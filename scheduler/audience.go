package scheduler

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// audience is a compiled audience expression (expr-lang). nil is everyone.
type audience struct {
	program *vm.Program
	kind    audienceKind
	named   named
}

// named says which words an expression names, of those that cost something to answer.
type named struct{ customer, vehicles, makes, loops bool }

// Visit implements ast.Visitor.
func (n *named) Visit(node *ast.Node) {
	word, ok := (*node).(*ast.IdentifierNode)
	if !ok {
		return
	}
	switch word.Value {
	case "customer":
		n.customer = true
	case "vehicle", "vehicles":
		n.vehicles = true
	case makeWord:
		n.makes = true
	case stepWord:
		n.loops = true
	case "$env": // expr's own word for all of them
		n.customer, n.vehicles = true, true
	}
}

type audienceKind int

const (
	ofCustomer audienceKind = iota
	ofVehicle
	ofVisit
)

func audienceOf(vehicles, visit bool) audienceKind {
	switch {
	case visit:
		return ofVisit
	case vehicles:
		return ofVehicle
	}
	return ofCustomer
}

// unknownDays stands for an age or a distance that nobody knows: no "younger than" and no "less than" fits it.
const unknownDays = 99999

// The words of an audience. Dates are texts, YYYY-MM-DD, which compare as dates do; "" is none, and neither before nor after another.
type (
	people struct {
		Customer  customerFacts  `expr:"customer"`
		Vehicles  []vehicleFacts `expr:"vehicles"`
		Dealer    dealerFacts    `expr:"dealer"`
		Grade     string         `expr:"grade"`
		AgeDays   int            `expr:"age_days"`         // of the vehicle, or of the customer's newest one
		SinceDays int            `expr:"days_since_visit"` // over all cars; of one that never came: since its delivery
		Messages  int            `expr:"messages_last_30d"`
		RSVP      string         `expr:"rsvp"` // the customer's answer to the event: yes, no, or "" as yet
		Tags      []string       `expr:"tags"` // the customer's

		Step func() bool                    `expr:"_step"`
		Make func(name string, of any) bool `expr:"_make"`
	}
	cars struct {
		people
		Vehicle vehicleFacts `expr:"vehicle"`
	}
	visits struct {
		cars
		Visit visitFacts `expr:"visit"`
	}
	customerFacts struct {
		ID         string   `expr:"id"`
		Dealer     string   `expr:"dealer"`
		Name       string   `expr:"name"`
		Salutation string   `expr:"salutation"`
		Email      string   `expr:"email"`
		Phone      string   `expr:"phone"`
		Locale     string   `expr:"locale"`
		TimeZone   string   `expr:"time_zone"`
		Birthday   string   `expr:"birthday"`
		Grade      string   `expr:"grade"`
		Advisor    string   `expr:"advisor"`
		Household  string   `expr:"household"`
		Tags       []string `expr:"tags"`
	}
	vehicleFacts struct {
		ID             string         `expr:"id"`
		Plate          string         `expr:"plate"`
		Make           string         `expr:"make"`
		Model          string         `expr:"model"`
		ModelYear      int            `expr:"model_year"`
		Powertrain     string         `expr:"powertrain"`
		DeliveredOn    string         `expr:"delivered_on"`
		AgeDays        int            `expr:"age_days"`
		KM             int            `expr:"km"` // the newest reading that was kept
		Odometer       []readingFacts `expr:"odometer"`
		Visits         []visitFacts   `expr:"visits"`
		Warranty       warrantyFacts  `expr:"warranty"`
		InsuranceUntil string         `expr:"insurance_until"`
		InspectionDue  string         `expr:"inspection_due"`
		Appointment    bool           `expr:"appointment"` // one is made and still to come
	}
	readingFacts struct {
		On string `expr:"on"`
		KM int    `expr:"km"`
	}
	visitFacts struct {
		Order      string   `expr:"order"`
		ClosedOn   string   `expr:"closed_on"`
		KM         int      `expr:"km"`
		Kind       string   `expr:"kind"`
		Technician string   `expr:"technician"`
		Declined   []string `expr:"declined"`
	}
	warrantyFacts struct {
		Until string `expr:"until"`
		KM    int    `expr:"km"`
	}
	dealerFacts struct {
		Dealer   string `expr:"dealer"`
		Country  string `expr:"country"`
		Locale   string `expr:"locale"`
		TimeZone string `expr:"time_zone"`
	}
)

// compileAudience compiles and type-checks an expression; a problem says where in the book the mistake stands.
func compileAudience(book *care.Book, name, source string, kind audienceKind) (*audience, *problem.Problem) {
	if strings.TrimSpace(source) == "" {
		return nil, nil
	}
	env := map[audienceKind]any{ofCustomer: people{}, ofVehicle: cars{}, ofVisit: visits{}}[kind]
	program, err := compileRules(source, env)
	if err == nil {
		a := &audience{program: program, kind: kind}
		tree := program.Node()
		ast.Walk(&tree, &a.named)
		return a, nil
	}
	found := problem.Problem{
		Severity: problem.Fault, Rule: "audience", File: name, Message: "the audience cannot be understood: " + plainly(err.Error(), env),
		Remedy: `write a question about customer, vehicles, dealer, grade, age_days, days_since_visit or messages_last_30d, such as grade in ["A", "B"]`,
	}
	if kind != ofCustomer {
		found.Remedy = strings.Replace(found.Remedy, "vehicles,", "vehicle, vehicles,", 1)
	}
	var at *file.Error
	if errors.As(err, &at) {
		found.Message = "the audience cannot be understood: " + plainly(at.Message, env)
		if kind == ofCustomer && strings.HasPrefix(at.Message, "unknown name vehicle") {
			found.Remedy = "this trigger is about the customer, not about one car: ask vehicles, such as any(vehicles, .make == \"Buick\")"
		}
	}
	if book.Locate != nil {
		found.Line, found.Column, found.Excerpt = book.Locate(name, "$.audience")
		if at != nil {
			point(book, source, at, &found)
		}
	}
	return nil, &found
}

// point moves the problem's place from where the expression begins to where the mistake is. A value over several lines is left
// at its beginning, and so is one with escapes: there the columns differ from the file's.
func point(book *care.Book, source string, at *file.Error, p *problem.Problem) {
	if at.Line > 1 || strings.Contains(source, "\n") || p.Line == 0 {
		return
	}
	line, ok := lineOf(book.Files, p.File, p.Line)
	if !ok {
		return
	}
	runes := []rune(line)
	column := p.Column - 1
	if column < 0 || column > len(runes) {
		return
	}
	rest := string(runes[column:])
	quote, _, found := strings.Cut(rest, source) // before it stands the quotation mark, if there is one
	if !found {
		return
	}
	column += len([]rune(quote)) + at.Column
	p.Column = column + 1
	p.Excerpt = line + "\n" + problem.Caret(line, p.Column)
}

func lineOf(files fs.FS, name string, n int) (string, bool) {
	if files == nil {
		return "", false
	}
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		return "", false
	}
	lines := strings.Split(string(raw), "\n")
	if n > len(lines) {
		return "", false
	}
	return strings.TrimSuffix(lines[n-1], "\r"), true
}

var machines = sync.Pool{New: func() any { return new(vm.VM) }}

// fits answers the expression. An expression that fails on this customer, such as an index out of range, does not fit; the
// reason is returned for explain.
func (a *audience) fits(env any) (fits bool, reason string) {
	if a == nil {
		return true, ""
	}
	machine := machines.Get().(*vm.VM)
	machine.MemoryBudget = maxSteps
	defer machines.Put(machine)
	answer, err := machine.Run(a.program, env)
	if err != nil {
		if at, ok := errors.AsType[*file.Error](err); ok {
			return false, at.Message
		}
		return false, err.Error()
	}
	in, _ := answer.(bool)
	return in, ""
}

// fits answers an audience as of a release.
func (r *run) fits(c *candidate, a *audience, t time.Time) (fits bool, reason string) {
	env := r.environment(c, a, t)
	r.turns = 0
	defer func() { *r.seen = visits{} }() // it holds the customer
	return a.fits(env)
}

// environment builds what an expression sees, as of a release: of the customer and the vehicles no more than it names.
func (r *run) environment(c *candidate, a *audience, t time.Time) any {
	on := care.DateOf(t.In(r.location()))
	if r.seen == nil {
		r.seen = new(visits)
	}
	env := r.seen
	env.Grade, env.Tags = r.customer.Grade, r.customer.Tags
	if a.named.loops {
		env.Step = r.step
	}
	if a.named.makes {
		env.Make = r.sameMake
	}
	env.Dealer = dealerFacts{r.dealer.Dealer.Dealer, r.dealer.Country, r.dealer.Locale, r.dealer.TimeZone}
	env.AgeDays, env.SinceDays, env.Messages = unknownDays, unknownDays, r.messages(t)
	if a.named.customer {
		env.Customer = customerOf(r.customer)
	}
	for i := range r.customer.Vehicles {
		v := &r.customer.Vehicles[i]
		if !r.sold(v, on) {
			env.AgeDays = min(env.AgeDays, ageOf(v, on))
		}
		if last := lastVisit(v); !last.IsZero() {
			env.SinceDays = min(env.SinceDays, max(0, on.Sub(last)))
		}
	}
	if a.named.vehicles {
		env.Vehicles = make([]vehicleFacts, 0, len(r.customer.Vehicles))
		for i := range r.customer.Vehicles {
			if !r.sold(&r.customer.Vehicles[i], on) {
				env.Vehicles = append(env.Vehicles, r.vehicleFacts(i, on, t))
			}
		}
	}
	if c.occ.Subject.Event != nil {
		env.RSVP = r.rsvp(c.occ.Subject.Event.Event)
	}
	if a.kind == ofCustomer {
		return &env.people
	}
	if c.vehicle >= 0 {
		env.AgeDays = ageOf(&r.customer.Vehicles[c.vehicle], on)
		if a.named.vehicles {
			env.Vehicle = r.vehicleFacts(c.vehicle, on, t)
		}
	}
	if v := c.occ.Subject.Visit; v != nil && a.kind == ofVisit {
		env.Visit = visitOf(v)
	}
	if a.kind == ofVehicle {
		return &env.cars
	}
	return env
}

// sold reports whether a car was sold by a day: then it is none of the customer's.
func (r *run) sold(v *care.Vehicle, on care.Date) bool {
	sold := SoldOn(r.facts, v)
	return !sold.IsZero() && !on.Before(sold)
}

// ageOf returns the days since a vehicle's delivery.
func ageOf(v *care.Vehicle, on care.Date) int {
	if v.DeliveredOn.IsZero() {
		return unknownDays
	}
	return max(0, on.Sub(v.DeliveredOn))
}

func customerOf(c *care.Customer) customerFacts {
	return customerFacts{
		ID: c.ID, Dealer: c.Dealer, Name: c.Name, Salutation: c.Salutation, Email: c.Email, Phone: c.Phone, Locale: c.Locale,
		TimeZone: c.TimeZone, Birthday: c.Birthday.String(), Grade: c.Grade, Advisor: c.Advisor, Household: c.Household, Tags: c.Tags,
	}
}

func (r *run) vehicleFacts(i int, on care.Date, t time.Time) vehicleFacts {
	v := &r.customer.Vehicles[i]
	out := vehicleFacts{
		ID: v.ID, Plate: v.Plate, Make: v.Make, Model: v.Model, ModelYear: v.ModelYear, Powertrain: string(v.Powertrain), DeliveredOn: v.DeliveredOn.String(),
		AgeDays: ageOf(v, on), KM: r.odometer(i).Newest().KM, Warranty: warrantyFacts{v.Warranty.Until.String(), v.Warranty.KM},
		InsuranceUntil: v.InsuranceUntil.String(), InspectionDue: v.InspectionDue.String(), Appointment: v.AppointmentAt.After(t),
	}
	for _, reading := range v.Odometer {
		out.Odometer = append(out.Odometer, readingFacts{reading.On.String(), reading.KM})
	}
	for j := range v.Visits {
		out.Visits = append(out.Visits, visitOf(&v.Visits[j]))
	}
	slices.SortStableFunc(out.Odometer, func(a, b readingFacts) int { return strings.Compare(a.On, b.On) })
	slices.SortStableFunc(out.Visits, func(a, b visitFacts) int { return strings.Compare(a.ClosedOn, b.ClosedOn) })
	return out
}

func visitOf(v *care.Visit) visitFacts {
	out := visitFacts{
		Order: v.Order, ClosedOn: v.ClosedOn.String(), Kind: cmp.Or(v.Kind, "maintenance"), Technician: v.Technician, Declined: v.Declined,
	}
	if v.KM != nil {
		out.KM = *v.KM
	}
	return out
}

// messages counts what went to the customer in the 30 days before t.
func (r *run) messages(t time.Time) int {
	n := 0
	for _, e := range r.facts.Ledger {
		if e.State.Counts() && !e.At.After(t) && e.At.After(t.AddDate(0, 0, -30)) {
			n++
		}
	}
	return n
}

// rsvp returns the customer's latest answer to an event, "" if there is none.
func (r *run) rsvp(name string) string {
	if r.facts.Overlay == nil {
		return ""
	}
	value, at := "", time.Time{}
	for _, a := range r.facts.Overlay.Answers {
		if a.Kind == "rsvp" && a.About == name && !a.At.Before(at) {
			value, at = a.Value, a.At
		}
	}
	return value
}

// describe names the facts an audience was asked about, for explain.
func describe(source, failure string) string {
	if failure != "" {
		return fmt.Sprintf("%s: %s", source, failure)
	}
	return source
}
