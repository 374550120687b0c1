package templates

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
	caretext "github.com/carebell/carebell/care/text"
	"github.com/carebell/carebell/templates/liquid"
)

// Variable is one of the catalogue: what a template may say, what it means and when it is there.
type Variable struct {
	Name    string
	Type    string // text, number, date, yes/no, list
	Meaning string
	Zh, En  string   // what it comes to in the sample, for the tables of docs/templates.md
	On      []string // triggers that have it; none = all
	Maybe   string   // when it can be missing although the trigger has it; "" = never

	get func(b *bindings) liquid.Value
}

var perVehicle = []string{
	care.OnDelivery, care.OnAnniversary, care.OnMaintenanceDue, care.OnVisit, care.OnLastVisit, care.OnWarrantyEnd,
	care.OnInsuranceEnd, care.OnInspectionDue, care.OnBulletin, care.OnAppointment, care.OnSignal,
}

var (
	onVisit    = []string{care.OnVisit, care.OnLastVisit}
	onForecast = []string{care.OnMaintenanceDue, care.OnWarrantyEnd}
	onEvent    = []string{care.OnEvent}
	onBulletin = []string{care.OnBulletin}

	onAppointment = []string{care.OnAppointment}
	onSignal      = []string{care.OnSignal}
)

// alsoFields are the fields of an item of also.
var alsoFields = []Variable{
	{Name: "program", Type: "text", Meaning: "the program's name in the book"},
	{Name: "title", Type: "text", Meaning: "the program's title"},
	{Name: "on", Type: "date", Meaning: "the day it is due"},
	{Name: "vehicle", Type: "text", Meaning: "the vehicle's model; vehicle.plate, vehicle.make and vehicle.model too"},
}

// alsoItems are the names of alsoFields with those of the vehicle.
var alsoItems = []string{"program", "title", "on", "vehicle", "vehicle.id", "vehicle.plate", "vehicle.make", "vehicle.model"}

// Catalogue lists every variable by group, in the order of docs/templates.md.
func Catalogue() []Variable { return slices.Clone(catalogue) }

// AlsoFields lists the fields of an item of also, for docs/templates.md.
func AlsoFields() []Variable { return slices.Clone(alsoFields) }

var variables = func() map[string]*Variable {
	m := make(map[string]*Variable, len(catalogue))
	for i := range catalogue {
		m[catalogue[i].Name] = &catalogue[i]
	}
	return m
}()

var variableNames = func() []string {
	names := make([]string, len(catalogue))
	for i := range catalogue {
		names[i] = catalogue[i].Name
	}
	return names
}()

// bindings are what the variables and filters of one message read.
type bindings struct {
	draft     *care.Draft
	env       *environment
	lang      language
	defaults  map[string]*liquid.Template // of the template, by variable
	today     care.Date
	subject   string
	preheader string
}

// bound returns the bindings of a rendering.
func bound(s *liquid.State) *bindings {
	b, _ := s.Data.(*bindings)
	return b
}

// dialect is what a book's templates can name.
var dialect = func() *liquid.Language {
	l := &liquid.Language{
		Variables: make(map[string]*liquid.Variable, len(catalogue)), Names: variableNames, Filters: tradeFilters, Refused: refusedFilters,
		Examples: liquid.Examples{Variable: "customer.salutation", Filter: "date_local", List: "also", Reference: reference},
	}
	for i := range catalogue {
		v := &catalogue[i]
		one := &liquid.Variable{Name: v.Name, Kind: kinds[v.Type], Get: func(s *liquid.State) liquid.Value { return v.get(bound(s)) }}
		if wholeGroup[v.Maybe] {
			one.Together, _, _ = strings.Cut(v.Name, ".")
		}
		if v.Name == "also" {
			one.Items = alsoItems
		}
		one.Open = v.Name == "signal"
		l.Variables[v.Name] = one
	}
	return l
}()

var kinds = map[string]liquid.Kind{
	"text": liquid.KindText, "number": liquid.KindNumber, "date": liquid.KindDate, "yes/no": liquid.KindBoolean, "list": liquid.KindList,
}

// wholeGroup are the reasons for which all of a group is missing at once.
var wholeGroup = map[string]bool{"there is no forecast": true, "there was no visit": true}

// reference is where the reader of a remedy finds the names.
const reference = "docs/templates.md lists what there is"

// suggest says "did you mean" with the nearest of the names, or where to find them.
func suggest(word string, names []string) string {
	if near := liquid.Nearest(word, names); near != "" {
		return "did you mean " + near + "?"
	}
	return reference
}

func dateValue(d care.Date) liquid.Value {
	if d.IsZero() {
		return liquid.Value{}
	}
	return liquid.Date(d.Year(), d.Month(), d.Day())
}

func customerOf(f func(s *bindings, c *care.Customer) liquid.Value) func(*bindings) liquid.Value {
	return func(s *bindings) liquid.Value {
		if s.draft.Customer == nil {
			return liquid.Value{}
		}
		return f(s, s.draft.Customer)
	}
}

func vehicleOf(f func(s *bindings, v *care.Vehicle) liquid.Value) func(*bindings) liquid.Value {
	return func(s *bindings) liquid.Value {
		if v := s.draft.Occurrence.Subject.Vehicle; v != nil {
			return f(s, v)
		}
		return liquid.Value{}
	}
}

// appointmentOf reads the moment of the appointment, on the customer's clock.
func appointmentOf(f func(at time.Time) liquid.Value) func(*bindings) liquid.Value {
	return func(s *bindings) liquid.Value {
		v := s.draft.Occurrence.Subject.Vehicle
		if v == nil || v.AppointmentAt.IsZero() || s.draft.Location == nil {
			return liquid.Value{}
		}
		return f(v.AppointmentAt.In(s.draft.Location))
	}
}

// anyField is the field of a sample's signal that stands for all it does not have: nobody but a template knows their names.
const anyField = "*"

// signalValue is shown as the signal's name; its fields are what came with it.
func signalValue(s *bindings) liquid.Value {
	sig := s.draft.Occurrence.Subject.Signal
	if sig == nil {
		return liquid.Value{}
	}
	return liquid.TextWithFields(sig.Signal, func(name string) liquid.Value {
		return liquid.Text(cmp.Or(sig.Fields[name], sig.Fields[anyField]))
	})
}

func visitOf(f func(s *bindings, v *care.Visit) liquid.Value) func(*bindings) liquid.Value {
	return func(s *bindings) liquid.Value {
		if v := s.draft.Occurrence.Subject.Visit; v != nil {
			return f(s, v)
		}
		return liquid.Value{}
	}
}

func dealerOf(f func(s *bindings, d *care.Dealer) liquid.Value) func(*bindings) liquid.Value {
	return func(s *bindings) liquid.Value {
		if s.draft.Dealer == nil {
			return liquid.Value{}
		}
		return f(s, s.draft.Dealer)
	}
}

func advisorOf(f func(s *bindings, a *care.Advisor) liquid.Value) func(*bindings) liquid.Value {
	return func(s *bindings) liquid.Value {
		if s.draft.Advisor == nil {
			return liquid.Value{}
		}
		return f(s, s.draft.Advisor)
	}
}

func eventOf(f func(s *bindings, e *care.Event) liquid.Value) func(*bindings) liquid.Value {
	return func(s *bindings) liquid.Value {
		if e := s.draft.Occurrence.Subject.Event; e != nil {
			return f(s, e)
		}
		return liquid.Value{}
	}
}

func bulletinOf(f func(s *bindings, b *care.Bulletin) liquid.Value) func(*bindings) liquid.Value {
	return func(s *bindings) liquid.Value {
		if b := s.draft.Occurrence.Subject.Bulletin; b != nil {
			return f(s, b)
		}
		return liquid.Value{}
	}
}

func forecastOf(f func(o *care.Forecast) liquid.Value) func(*bindings) liquid.Value {
	return func(s *bindings) liquid.Value {
		if o := s.draft.Occurrence.Subject.Forecast; o != nil {
			return f(o)
		}
		return liquid.Value{}
	}
}

func (s *bindings) in(t care.Text) liquid.Value {
	if len(t) == 0 {
		return liquid.Value{}
	}
	if one, ok := t[s.lang.locale]; ok {
		return liquid.Text(one)
	}
	return liquid.Text(t.In(s.lang.locale, s.draft.Locale))
}

func textsValue(list0 []string) liquid.Value {
	if len(list0) == 0 {
		return liquid.Value{}
	}
	items := make([]liquid.Value, 0, len(list0))
	for _, one := range list0 {
		if v := liquid.Text(one); v.Kind() != liquid.KindMissing {
			items = append(items, v)
		}
	}
	return liquid.List(items)
}

func alsoValue(s *bindings) liquid.Value {
	also := s.draft.Occurrence.Subject.Also
	items := make([]liquid.Value, 0, len(also))
	for _, o := range also {
		items = append(items, liquid.Object(func(name string) liquid.Value {
			switch name {
			case "program":
				return liquid.Text(o.Program)
			case "title":
				if p := s.env.program(o.Program); p != nil {
					return s.in(p.Title)
				}
			case "on":
				return dateValue(o.Due)
			case "vehicle":
				return shortVehicle(o.Subject.Vehicle)
			}
			return liquid.Value{}
		}))
	}
	return liquid.List(items)
}

// shortVehicle is shown as its model and has fields as well.
func shortVehicle(v *care.Vehicle) liquid.Value {
	if v == nil {
		return liquid.Value{}
	}
	return liquid.TextWithFields(v.Model, func(name string) liquid.Value {
		switch name {
		case "id":
			return liquid.Text(v.ID)
		case "plate":
			return liquid.Text(v.Plate)
		case "make":
			return liquid.Text(v.Make)
		case "model":
			return liquid.Text(v.Model)
		}
		return liquid.Value{}
	})
}

// salutation is the record's salutation, else the name: a guess at Mr or Ms would be wrong for half of the customers. A bare Chinese name
// is curt in Chinese, and a Chinese salutation is none in another language.
func (s *bindings) salutation(c *care.Customer) string {
	said, name := strings.TrimSpace(c.Salutation), strings.TrimSpace(c.Name)
	switch {
	case said != "" && (s.lang.han() || !caretext.HasHan(said) || caretext.HasHan(name)) || name == "":
		return said
	case s.lang.chinese && caretext.HasHan(name):
		return name + "车主"
	}
	return name
}

// readable is a text of a record, missing if readers of the template's language cannot read it and the template has a default for it.
func (s *bindings) readable(name, text string) liquid.Value {
	if s.defaults[name] != nil && !s.lang.han() && caretext.HasHan(text) {
		return liquid.Value{}
	}
	return liquid.Text(text)
}

// compound lists the surnames of two characters that are in use today (百家姓 and the name reports of the Ministry of Public Security).
var compound = []string{
	"欧阳", "歐陽", "上官", "司马", "司馬", "诸葛", "諸葛", "东方", "東方", "皇甫", "尉迟", "尉遲", "公孙", "公孫", "慕容", "司徒", "司空", "夏侯",
	"令狐", "宇文", "长孙", "長孫", "端木", "南宫", "南宮", "独孤", "獨孤", "轩辕", "軒轅", "申屠", "淳于", "单于", "單于", "太史", "闻人", "聞人", "万俟",
	"澹台", "澹臺", "呼延", "赫连", "赫連", "西门", "西門", "百里", "东郭", "東郭", "拓跋",
}

func surnameOf(name string) string {
	name = strings.TrimSpace(name)
	first, size := utf8.DecodeRuneInString(name)
	if first < 0x2e80 || first > 0x9fff {
		return name[strings.LastIndexByte(name, ' ')+1:]
	}
	for _, c := range compound {
		if strings.HasPrefix(name, c) {
			return c
		}
	}
	return name[:size]
}

func yearsOf(s *bindings) liquid.Value {
	o := s.draft.Occurrence
	if v := o.Subject.Vehicle; v != nil && !v.DeliveredOn.IsZero() && !o.Due.IsZero() {
		return liquid.Count(max(o.Due.Year()-v.DeliveredOn.Year(), 0))
	}
	return liquid.Value{}
}

func dueDays(s *bindings) liquid.Value {
	if o := s.draft.Occurrence; !o.Due.IsZero() && !s.today.IsZero() {
		return liquid.Number(float64(o.Due.Sub(s.today)))
	}
	return liquid.Value{}
}

func bookingLink(s *bindings) liquid.Value {
	if s.draft.Links.Booking != "" {
		return liquid.Text(s.draft.Links.Booking)
	}
	if s.draft.Dealer != nil {
		return liquid.Text(s.draft.Dealer.BookingURL)
	}
	return liquid.Value{}
}
