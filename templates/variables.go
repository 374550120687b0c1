package templates

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
)

// Variable is one of the catalogue: what a template may say, what it means and when it is there.
type Variable struct {
	Name    string
	Type    string // text, number, date, yes/no, list
	Meaning string
	Zh, En  string   // what it comes to in the sample, for the tables of docs/templates.md
	On      []string // triggers that have it; none = all
	Maybe   string   // when it can be missing although the trigger has it; "" = never

	get func(s *state) value
}

// hasFields reports whether the words can hang on the variable.
func (v *Variable) hasFields(words []string) bool {
	switch v.Type {
	case "list":
		if words[0] == "size" {
			return len(words) == 1
		}
		return words[0] == "first" || words[0] == "last"
	case "text":
		return len(words) == 1 && words[0] == "size"
	}
	return false
}

var perVehicle = []string{
	care.OnDelivery, care.OnAnniversary, care.OnMaintenanceDue, care.OnVisit, care.OnLastVisit, care.OnWarrantyEnd,
	care.OnInsuranceEnd, care.OnInspectionDue, care.OnBulletin,
}

var (
	onVisit    = []string{care.OnVisit, care.OnLastVisit}
	onForecast = []string{care.OnMaintenanceDue, care.OnWarrantyEnd}
	onEvent    = []string{care.OnEvent}
	onBulletin = []string{care.OnBulletin}
)

// alsoFields are the fields of an item of also.
var alsoFields = []Variable{
	{Name: "program", Type: "text", Meaning: "the program's name in the book"},
	{Name: "title", Type: "text", Meaning: "the program's title"},
	{Name: "on", Type: "date", Meaning: "the day it is due"},
	{Name: "vehicle", Type: "text", Meaning: "the vehicle's model; vehicle.plate, vehicle.make and vehicle.model too"},
}

func alsoHas(words []string) bool {
	if words[0] == "vehicle" {
		return len(words) == 1 || len(words) == 2 && slices.Contains([]string{"id", "plate", "make", "model"}, words[1])
	}
	return len(words) == 1 && slices.ContainsFunc(alsoFields, func(f Variable) bool { return f.Name == words[0] })
}

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

func variableNames() []string {
	names := make([]string, len(catalogue))
	for i := range catalogue {
		names[i] = catalogue[i].Name
	}
	return names
}

func customerOf(f func(s *state, c *care.Customer) value) func(*state) value {
	return func(s *state) value {
		if s.draft.Customer == nil {
			return value{}
		}
		return f(s, s.draft.Customer)
	}
}

func vehicleOf(f func(v *care.Vehicle) value) func(*state) value {
	return func(s *state) value {
		if v := s.draft.Occurrence.Subject.Vehicle; v != nil {
			return f(v)
		}
		return value{}
	}
}

func visitOf(f func(v *care.Visit) value) func(*state) value {
	return func(s *state) value {
		if v := s.draft.Occurrence.Subject.Visit; v != nil {
			return f(v)
		}
		return value{}
	}
}

func dealerOf(f func(s *state, d *care.Dealer) value) func(*state) value {
	return func(s *state) value {
		if s.draft.Dealer == nil {
			return value{}
		}
		return f(s, s.draft.Dealer)
	}
}

func advisorOf(f func(a *care.Advisor) string) func(*state) value {
	return func(s *state) value {
		if s.draft.Advisor == nil {
			return value{}
		}
		return textValue(f(s.draft.Advisor))
	}
}

func eventOf(f func(s *state, e *care.Event) value) func(*state) value {
	return func(s *state) value {
		if e := s.draft.Occurrence.Subject.Event; e != nil {
			return f(s, e)
		}
		return value{}
	}
}

func bulletinOf(f func(s *state, b *care.Bulletin) value) func(*state) value {
	return func(s *state) value {
		if b := s.draft.Occurrence.Subject.Bulletin; b != nil {
			return f(s, b)
		}
		return value{}
	}
}

func forecastOf(f func(o *care.Forecast) value) func(*state) value {
	return func(s *state) value {
		if o := s.draft.Occurrence.Subject.Forecast; o != nil {
			return f(o)
		}
		return value{}
	}
}

func (s *state) in(t care.Text) value {
	if len(t) == 0 {
		return value{}
	}
	if one, ok := t[s.lang.locale]; ok {
		return textValue(one)
	}
	return textValue(t.In(s.lang.locale, s.draft.Locale))
}

func textsValue(list0 []string) value {
	if len(list0) == 0 {
		return value{}
	}
	items := make([]value, 0, len(list0))
	for _, one := range list0 {
		if v := textValue(one); v.kind != missing {
			items = append(items, v)
		}
	}
	return value{kind: list, list: items}
}

func alsoValue(s *state) value {
	also := s.draft.Occurrence.Subject.Also
	items := make([]value, 0, len(also))
	for _, o := range also {
		items = append(items, value{kind: object, field: func(name string) value {
			switch name {
			case "program":
				return textValue(o.Program)
			case "title":
				if p := s.env.program(o.Program); p != nil {
					return s.in(p.Title)
				}
			case "on":
				return dateValue(o.Due)
			case "vehicle":
				return shortVehicle(o.Subject.Vehicle)
			}
			return value{}
		}})
	}
	return value{kind: list, list: items}
}

// shortVehicle is shown as its model and has fields as well.
func shortVehicle(v *care.Vehicle) value {
	if v == nil {
		return value{}
	}
	out := textValue(v.Model)
	out.field = func(name string) value {
		switch name {
		case "id":
			return textValue(v.ID)
		case "plate":
			return textValue(v.Plate)
		case "make":
			return textValue(v.Make)
		case "model":
			return textValue(v.Model)
		}
		return value{}
	}
	return out
}

// salutationOf is the record's salutation, else the name as it is: a guess at Mr or Ms would be wrong for half of the customers.
func salutationOf(c *care.Customer) string {
	if s := strings.TrimSpace(c.Salutation); s != "" {
		return s
	}
	return strings.TrimSpace(c.Name)
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

func yearsOf(s *state) value {
	o := s.draft.Occurrence
	if v := o.Subject.Vehicle; v != nil && !v.DeliveredOn.IsZero() && !o.Due.IsZero() {
		return countValue(max(o.Due.Year()-v.DeliveredOn.Year(), 0))
	}
	return value{}
}

func dueDays(s *state) value {
	if o := s.draft.Occurrence; !o.Due.IsZero() && !s.today.IsZero() {
		return numberValue(float64(o.Due.Sub(s.today)))
	}
	return value{}
}

func bookingLink(s *state) value {
	if s.draft.Links.Booking != "" {
		return textValue(s.draft.Links.Booking)
	}
	if s.draft.Dealer != nil {
		return textValue(s.draft.Dealer.BookingURL)
	}
	return value{}
}
