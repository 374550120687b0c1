package care

import "bytes"

func (s *scanner) customer(c *Customer) {
	var seen uint32
	for more := s.begin('{'); more; more = s.next('}') {
		field := 0
		switch name := s.name(); string(name) {
		case "id":
			field, c.ID = 1, s.id()
		case "dealer":
			field, c.Dealer = 2, s.text()
		case "name":
			field, c.Name = 3, s.text()
		case "salutation":
			field, c.Salutation = 4, s.text()
		case "email":
			field, c.Email = 5, s.text()
		case "phone":
			field, c.Phone = 6, s.text()
		case "locale":
			field, c.Locale = 7, s.text()
		case "time_zone":
			field, c.TimeZone = 8, s.text()
		case "birthday":
			field, c.Birthday = 9, s.birthday()
		case "grade":
			field, c.Grade = 10, s.text()
		case "advisor":
			field, c.Advisor = 11, s.text()
		case "household":
			field, c.Household = 12, s.text()
		case "tags":
			field, c.Tags = 13, s.texts()
		case "preferences":
			field = 14
			s.preferences(&c.Preferences)
		case "consent":
			field, c.Consent = 15, s.consents()
		case "holds":
			field, c.Holds = 16, s.holdList()
		case "vehicles":
			field, c.Vehicles = 17, s.vehicleList()
		default:
			s.unknown(name)
		}
		s.once(&seen, field)
	}
}

func (s *scanner) preferences(p *Preferences) {
	var seen uint32
	for more := s.begin('{'); more; more = s.next('}') {
		field := 0
		switch name := s.name(); string(name) {
		case "channels":
			field, p.Channels = 1, s.channelList()
		case "max_per_week":
			field, p.MaxPerWeek = 2, s.count()
		case "quiet":
			field, p.Quiet = 3, s.window()
		case "off":
			field, p.Off = 4, s.texts()
		default:
			s.unknown(name)
		}
		s.once(&seen, field)
	}
}

// mostAnswered bounds what is remembered of consents: three answers on two channels come in a few dozen ways.
const mostAnswered = 256

// consents reads what a customer allowed. Most of a dealership's customers say one of a few things in the very same bytes, and to make
// a map took a quarter of the time of the whole record: answers without texts and dates are remembered, and the records share their
// map. Nobody may change it; the validator changes only one that has a date.
func (s *scanner) consents() map[Channel]Consent {
	if s.null() {
		return nil
	}
	s.peek()
	from := s.at
	if n := bytes.Index(s.raw[from:], closing); n >= 0 {
		// What is remembered is one whole object, so the same bytes are the same object, whatever stands behind them.
		if m, ok := s.answered[string(s.raw[from:from+n+len(closing)])]; ok {
			s.at += n + len(closing)
			return m
		}
	}
	m, plain := make(map[Channel]Consent), true
	for more := s.begin('{'); more; more = s.next('}') {
		ch := s.channel(s.name())
		if _, twice := m[ch]; twice {
			s.giveUp()
		}
		var answers Consent
		s.consent(&answers)
		plain = plain && ch.Known() && answers.Source == "" && answers.Wording == "" && answers.At.IsZero()
		m[ch] = answers
	}
	if plain && !s.bad && s.at-from <= textBlock && len(s.answered) < mostAnswered {
		if s.answered == nil {
			s.answered = make(map[string]map[Channel]Consent)
		}
		s.answered[string(s.raw[from:s.at])] = m
	}
	return m
}

var closing = []byte("}}")

func (s *scanner) consent(c *Consent) {
	var seen uint32
	for more := s.begin('{'); more; more = s.next('}') {
		field := 0
		switch name := s.name(); string(name) {
		case "service":
			field, c.Service = 1, s.flag()
		case "care":
			field, c.Care = 2, s.flag()
		case "commercial":
			field, c.Commercial = 3, s.flag()
		case "source":
			field, c.Source = 4, s.text()
		case "wording":
			field, c.Wording = 5, s.text()
		case "at":
			field, c.At = 6, s.date()
		default:
			s.unknown(name)
		}
		s.once(&seen, field)
	}
}

func (s *scanner) holdList() []Hold {
	if s.null() {
		return nil
	}
	list := s.holds.open()
	for more := s.begin('['); more; more = s.next(']') {
		var h Hold
		s.hold(&h)
		list = append(list, h)
	}
	return s.holds.keep(list)
}

func (s *scanner) hold(h *Hold) {
	var seen uint32
	for more := s.begin('{'); more; more = s.next('}') {
		field := 0
		switch name := s.name(); string(name) {
		case "reason":
			field, h.Reason = 1, s.text()
		case "since":
			field, h.Since = 2, s.date()
		case "until":
			field, h.Until = 3, s.date()
		default:
			s.unknown(name)
		}
		s.once(&seen, field)
	}
}

func (s *scanner) vehicleList() []Vehicle {
	if s.null() {
		return nil
	}
	list := s.vehicles.open()
	for more := s.begin('['); more; more = s.next(']') {
		list = append(list, Vehicle{})
		s.vehicle(&list[len(list)-1])
	}
	return s.vehicles.keep(list)
}

func (s *scanner) vehicle(v *Vehicle) {
	var seen uint32
	for more := s.begin('{'); more; more = s.next('}') {
		field := 0
		switch name := s.name(); string(name) {
		case "id":
			field, v.ID = 1, s.id()
		case "plate":
			field, v.Plate = 2, s.text()
		case "make":
			field, v.Make = 3, s.text()
		case "model":
			field, v.Model = 4, s.text()
		case "model_year":
			field, v.ModelYear = 5, s.integer()
		case "delivered_on":
			field, v.DeliveredOn = 6, s.date()
		case "odometer":
			field, v.Odometer = 7, s.odometer()
		case "visits":
			field, v.Visits = 8, s.visitList()
		case "service_interval":
			field, v.ServiceInterval = 9, s.interval()
		case "first_service":
			field, v.FirstService = 10, s.interval()
		case "warranty":
			field, v.Warranty = 11, s.warranty()
		case "insurance_until":
			field, v.InsuranceUntil = 12, s.date()
		case "inspection_due":
			field, v.InspectionDue = 13, s.date()
		case "appointment_at":
			field = 14
			if token := s.token(); token != nil && v.AppointmentAt.UnmarshalJSON(token) != nil {
				s.giveUp()
			}
		case "sold_on":
			field, v.SoldOn = 15, s.date()
		default:
			s.unknown(name)
		}
		s.once(&seen, field)
	}
}

func (s *scanner) odometer() []Reading {
	if s.null() {
		return nil
	}
	list := s.readings.open()
	for more := s.begin('['); more; more = s.next(']') {
		var r Reading
		s.reading(&r)
		list = append(list, r)
	}
	return s.readings.keep(list)
}

func (s *scanner) reading(r *Reading) {
	var seen uint32
	for more := s.begin('{'); more; more = s.next('}') {
		field := 0
		switch name := s.name(); string(name) {
		case "on":
			field, r.On = 1, s.date()
		case "km":
			field, r.KM = 2, s.integer()
		default:
			s.unknown(name)
		}
		s.once(&seen, field)
	}
}

func (s *scanner) visitList() []Visit {
	if s.null() {
		return nil
	}
	list := s.visits.open()
	for more := s.begin('['); more; more = s.next(']') {
		var v Visit
		s.visit(&v)
		list = append(list, v)
	}
	return s.visits.keep(list)
}

func (s *scanner) visit(v *Visit) {
	var seen uint32
	for more := s.begin('{'); more; more = s.next('}') {
		field := 0
		switch name := s.name(); string(name) {
		case "order":
			field, v.Order = 1, s.text()
		case "closed_on":
			field, v.ClosedOn = 2, s.date()
		case "km":
			field, v.KM = 3, s.count()
		case "kind":
			field, v.Kind = 4, s.text()
		case "technician":
			field, v.Technician = 5, s.text()
		case "declined":
			field, v.Declined = 6, s.texts()
		default:
			s.unknown(name)
		}
		s.once(&seen, field)
	}
}

func (s *scanner) interval() (i Interval) {
	var seen uint32
	for more := s.begin('{'); more; more = s.next('}') {
		field := 0
		switch name := s.name(); string(name) {
		case "km":
			field, i.KM = 1, s.integer()
		case "months":
			field, i.Months = 2, s.integer()
		default:
			s.unknown(name)
		}
		s.once(&seen, field)
	}
	return i
}

func (s *scanner) warranty() (w Warranty) {
	var seen uint32
	for more := s.begin('{'); more; more = s.next('}') {
		field := 0
		switch name := s.name(); string(name) {
		case "until":
			field, w.Until = 1, s.date()
		case "km":
			field, w.KM = 2, s.integer()
		default:
			s.unknown(name)
		}
		s.once(&seen, field)
	}
	return w
}
