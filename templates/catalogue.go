package templates

import (
	"slices"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates/liquid"
)

var catalogue = []Variable{
	{Name: "customer.salutation", Type: "text", Meaning: "how to address the customer: the record's salutation, else the name (赵六车主)", Zh: "王先生", En: "Ms. Smith", Maybe: "the record has neither", get: customerOf(func(s *bindings, c *care.Customer) liquid.Value {
		return s.readable("customer.salutation", s.salutation(c))
	})},
	{Name: "customer.name", Type: "text", Meaning: "the full name", Zh: "王小明", En: "Mary Smith", Maybe: "the record has none", get: customerOf(func(_ *bindings, c *care.Customer) liquid.Value { return liquid.Text(c.Name) })},
	{Name: "customer.surname", Type: "text", Meaning: "the surname, also one of two characters (欧阳)", Zh: "王", En: "Smith", Maybe: "the record has no name", get: customerOf(func(_ *bindings, c *care.Customer) liquid.Value { return liquid.Text(surnameOf(c.Name)) })},
	{Name: "customer.id", Type: "text", Meaning: "the id in your system", Zh: "C100001", En: "C100001", get: customerOf(func(_ *bindings, c *care.Customer) liquid.Value { return liquid.Text(c.ID) })},
	{Name: "customer.locale", Type: "text", Meaning: "the customer's language, else the dealer's", Zh: "zh-CN", En: "en", get: func(s *bindings) liquid.Value { return liquid.Text(s.draft.Locale) }},
	{Name: "customer.grade", Type: "text", Meaning: "A, B or C", Zh: "A", En: "A", Maybe: "the record has none", get: customerOf(func(_ *bindings, c *care.Customer) liquid.Value { return liquid.Text(c.Grade) })},
	{Name: "customer.email", Type: "text", Meaning: "the e-mail address", Zh: "wang@example.com", En: "mary@example.com", Maybe: "the record has none", get: customerOf(func(_ *bindings, c *care.Customer) liquid.Value { return liquid.Text(c.Email) })},
	{Name: "customer.phone", Type: "text", Meaning: "the phone number; show it with the filter phone", Zh: "+8613800138000", En: "+12125550123", Maybe: "the record has none", get: customerOf(func(_ *bindings, c *care.Customer) liquid.Value { return liquid.Text(c.Phone) })},

	{Name: "vehicle.model", Type: "text", Meaning: "the model", Zh: "君威", En: "Regal", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(s *bindings, v *care.Vehicle) liquid.Value { return s.readable("vehicle.model", v.Model) })},
	{Name: "vehicle.make", Type: "text", Meaning: "the make", Zh: "别克", En: "Buick", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return liquid.Text(v.Make) })},
	{Name: "vehicle.model_year", Type: "number", Meaning: "the model year", Zh: "2024", En: "2024", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return liquid.Count(v.ModelYear) })},
	{Name: "vehicle.plate", Type: "text", Meaning: "the number plate; show it with the filter mask", Zh: "沪A12345", En: "KTR4821", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return liquid.Text(v.Plate) })},
	{Name: "vehicle.id", Type: "text", Meaning: "the vehicle's id, usually the VIN", Zh: "LSGHXRT911E8RM77M", En: "LSGHXRT911E8RM77M", On: perVehicle, get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return liquid.Text(v.ID) })},
	{Name: "vehicle.delivered_on", Type: "date", Meaning: "the day of delivery", Zh: "2024-03-01", En: "2024-03-01", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return dateValue(v.DeliveredOn) })},
	{Name: "vehicle.insurance_until", Type: "date", Meaning: "the last day of the insurance", Zh: "2027-02-28", En: "2027-02-28", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return dateValue(v.InsuranceUntil) })},
	{Name: "vehicle.inspection_due", Type: "date", Meaning: "the day of the next inspection", Zh: "2030-03-31", En: "2030-03-31", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return dateValue(v.InspectionDue) })},
	{Name: "vehicle.warranty.until", Type: "date", Meaning: "the last day of the warranty", Zh: "2027-03-01", En: "2027-03-01", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return dateValue(v.Warranty.Until) })},
	{Name: "vehicle.warranty.km", Type: "number", Meaning: "the mileage at which the warranty ends", Zh: "60000", En: "60000", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return liquid.Count(v.Warranty.KM) })},
	{Name: "vehicle.service_interval.km", Type: "number", Meaning: "kilometres between two services", Zh: "10000", En: "10000", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return liquid.Count(v.ServiceInterval.KM) })},
	{Name: "vehicle.service_interval.months", Type: "number", Meaning: "months between two services", Zh: "12", En: "12", On: perVehicle, Maybe: "the record has none", get: vehicleOf(func(_ *bindings, v *care.Vehicle) liquid.Value { return liquid.Count(v.ServiceInterval.Months) })},
	{Name: "vehicle.odometer", Type: "number", Meaning: "the newest odometer reading of the record, in km", Zh: "31000", En: "31000", On: perVehicle, Maybe: "the record has none", get: vehicleOf(newestReading)},

	{Name: "appointment.on", Type: "date", Meaning: "the day of the appointment", Zh: "2026-12-02", En: "2026-12-02", On: onAppointment, get: appointmentOf(func(at time.Time) liquid.Value { return dateValue(care.DateOf(at)) })},
	{Name: "appointment.time", Type: "text", Meaning: "its hour, on the customer's clock", Zh: "10:00", En: "10:00", On: onAppointment, get: appointmentOf(func(at time.Time) liquid.Value { return liquid.Text(at.Format("15:04")) })},
	{Name: "signal", Type: "text", Meaning: "what another system said; what came with it are its fields, such as signal.order", Zh: "car_ready", En: "car_ready", On: onSignal, get: signalValue},

	{Name: "dealer.name", Type: "text", Meaning: "the dealership's name", Zh: "浦东别克", En: "Pudong Buick", get: dealerOf(func(s *bindings, d *care.Dealer) liquid.Value { return s.in(d.Name) })},
	{Name: "dealer.phone", Type: "text", Meaning: "its phone number; show it with the filter phone", Zh: "+862150000000", En: "+862150000000", Maybe: "dealers.yaml has none", get: dealerOf(func(_ *bindings, d *care.Dealer) liquid.Value { return liquid.Text(d.Phone) })},
	{Name: "dealer.address", Type: "text", Meaning: "its address", Zh: "上海市浦东新区世纪大道1号", En: "1 Century Avenue, Pudong, Shanghai", Maybe: "dealers.yaml has none", get: dealerOf(func(s *bindings, d *care.Dealer) liquid.Value { return s.in(d.Address) })},
	{Name: "dealer.hours", Type: "text", Meaning: "its opening hours", Zh: "每天 8:30-18:00", En: "daily 8:30-18:00", Maybe: "dealers.yaml has none", get: dealerOf(func(s *bindings, d *care.Dealer) liquid.Value { return s.in(d.Hours) })},
	{Name: "dealer.booking_url", Type: "text", Meaning: "its booking page; links.booking is the better choice", Zh: "https://pudong.example/book", En: "https://pudong.example/book", Maybe: "dealers.yaml has none", get: dealerOf(func(_ *bindings, d *care.Dealer) liquid.Value { return liquid.Text(d.BookingURL) })},
	{Name: "dealer.dealer", Type: "text", Meaning: "its id in the book", Zh: "sh-pudong", En: "sh-pudong", get: dealerOf(func(_ *bindings, d *care.Dealer) liquid.Value { return liquid.Text(d.Dealer) })},

	{Name: "advisor.name", Type: "text", Meaning: "the customer's service advisor, or who stands in", Zh: "陈志强", En: "Chris Chen", Maybe: "the customer has none", get: advisorOf(func(s *bindings, a *care.Advisor) liquid.Value { return s.in(a.Name) })},
	{Name: "advisor.phone", Type: "text", Meaning: "the advisor's phone number; show it with the filter phone", Zh: "+8613900000000", En: "+8613900000000", Maybe: "the customer has no advisor, or the advisor no number", get: advisorOf(func(_ *bindings, a *care.Advisor) liquid.Value { return liquid.Text(a.Phone) })},
	{Name: "advisor.email", Type: "text", Meaning: "the advisor's address; replies go there by themselves", Zh: "chen@pudong.example", En: "chen@pudong.example", Maybe: "the customer has no advisor, or the advisor no address", get: advisorOf(func(_ *bindings, a *care.Advisor) liquid.Value { return liquid.Text(a.Email) })},

	{Name: "due.on", Type: "date", Meaning: "the day the message is about: due, birthday, visit, event …", Zh: "2026-12-02", En: "2026-12-02", get: func(s *bindings) liquid.Value { return dateValue(s.draft.Occurrence.Due) }},
	{Name: "due.days", Type: "number", Meaning: "days from today to due.on; negative when it is past", Zh: "10", En: "10", get: dueDays},
	{Name: "years", Type: "number", Meaning: "years since the delivery, on an anniversary", Zh: "2", En: "2", On: []string{care.OnAnniversary}, get: yearsOf},

	{Name: "visit.order", Type: "text", Meaning: "the repair order", Zh: "RO-889", En: "RO-889", On: onVisit, Maybe: "the record has none, or there was no visit", get: visitOf(func(_ *bindings, v *care.Visit) liquid.Value { return liquid.Text(v.Order) })},
	{Name: "visit.closed_on", Type: "date", Meaning: "the day of the visit", Zh: "2026-11-19", En: "2026-11-19", On: onVisit, Maybe: "there was no visit", get: visitOf(func(_ *bindings, v *care.Visit) liquid.Value { return dateValue(v.ClosedOn) })},
	{Name: "visit.km", Type: "number", Meaning: "the mileage at the visit", Zh: "31000", En: "31000", On: onVisit, Maybe: "the record has none", get: visitOf(visitKM)},
	{Name: "visit.kind", Type: "text", Meaning: "maintenance, repair …", Zh: "maintenance", En: "maintenance", On: onVisit, Maybe: "the record has none", get: visitOf(func(_ *bindings, v *care.Visit) liquid.Value { return liquid.Text(v.Kind) })},
	{Name: "visit.technician", Type: "text", Meaning: "who worked on the car", Zh: "李师傅", En: "Lee", On: onVisit, Maybe: "the record has none", get: visitOf(func(s *bindings, v *care.Visit) liquid.Value { return s.readable("visit.technician", v.Technician) })},
	{Name: "visit.declined", Type: "list", Meaning: "work that the customer put off", Zh: "刹车片", En: "brake pads", On: onVisit, Maybe: "nothing was put off", get: visitOf(func(_ *bindings, v *care.Visit) liquid.Value { return textsValue(v.Declined) })},

	{Name: "forecast.due", Type: "date", Meaning: "the day the forecast comes to", Zh: "2026-12-02", En: "2026-12-02", On: onForecast, Maybe: "there is no forecast", get: forecastOf(func(f *care.Forecast) liquid.Value { return dateValue(f.Due) })},
	{Name: "forecast.date", Type: "date", Meaning: "the same as forecast.due", Zh: "2026-12-02", En: "2026-12-02", On: onForecast, Maybe: "there is no forecast", get: forecastOf(func(f *care.Forecast) liquid.Value { return dateValue(f.Due) })},
	{Name: "forecast.rate", Type: "number", Meaning: "kilometres a day", Zh: "38.5", En: "38.5", On: onForecast, Maybe: "there is no forecast", get: forecastOf(func(f *care.Forecast) liquid.Value { return liquid.Number(f.Rate) })},
	{Name: "forecast.date_rule_on", Type: "date", Meaning: "due by the calendar", Zh: "2027-05-02", En: "2027-05-02", On: onForecast, Maybe: "the interval has no months", get: forecastOf(func(f *care.Forecast) liquid.Value { return dateValue(f.DateRuleOn) })},
	{Name: "forecast.km_rule_on", Type: "date", Meaning: "due by the mileage", Zh: "2026-12-02", En: "2026-12-02", On: onForecast, Maybe: "the interval or the record has no mileage", get: forecastOf(func(f *care.Forecast) liquid.Value { return dateValue(f.KMRuleOn) })},
	{Name: "forecast.winner", Type: "text", Meaning: "which of the two came first: date or km", Zh: "km", En: "km", On: onForecast, Maybe: "there is no forecast", get: forecastOf(func(f *care.Forecast) liquid.Value { return liquid.Text(f.Winner) })},
	{Name: "forecast.readings", Type: "number", Meaning: "odometer readings it rests on", Zh: "4", En: "4", On: onForecast, Maybe: "there is no forecast", get: forecastOf(func(f *care.Forecast) liquid.Value { return liquid.Number(float64(f.Readings)) })},
	{Name: "forecast.low", Type: "date", Meaning: "the earliest likely day", Zh: "2026-11-25", En: "2026-11-25", On: onForecast, Maybe: "there are too few readings", get: forecastOf(func(f *care.Forecast) liquid.Value { return dateValue(f.Low) })},
	{Name: "forecast.high", Type: "date", Meaning: "the latest likely day", Zh: "2026-12-14", En: "2026-12-14", On: onForecast, Maybe: "there are too few readings", get: forecastOf(func(f *care.Forecast) liquid.Value { return dateValue(f.High) })},
	{Name: "forecast.stale", Type: "yes/no", Meaning: "the newest reading is older than 180 days: ask for the mileage", Zh: "false", En: "false", On: onForecast, Maybe: "there is no forecast", get: forecastOf(func(f *care.Forecast) liquid.Value { return liquid.Bool(f.Stale) })},

	{Name: "service.first", Type: "yes/no", Meaning: "this is the car's first service: it came new and none was done yet", Zh: "false", En: "false", On: []string{care.OnMaintenanceDue}, get: firstService},

	{Name: "event.title", Type: "text", Meaning: "the event's title", Zh: "冬季车主交流会", En: "Winter owners' day", On: onEvent, get: eventOf(func(s *bindings, e *care.Event) liquid.Value { return s.in(e.Title) })},
	{Name: "event.on", Type: "date", Meaning: "its day", Zh: "2026-12-12", En: "2026-12-12", On: onEvent, get: eventOf(func(_ *bindings, e *care.Event) liquid.Value { return dateValue(e.On) })},
	{Name: "event.starts_at", Type: "text", Meaning: "when it begins", Zh: "14:00", En: "14:00", On: onEvent, Maybe: "the event's file has none", get: eventOf(func(_ *bindings, e *care.Event) liquid.Value { return liquid.Text(e.StartsAt) })},
	{Name: "event.ends_at", Type: "text", Meaning: "when it ends", Zh: "17:00", En: "17:00", On: onEvent, Maybe: "the event's file has none", get: eventOf(func(_ *bindings, e *care.Event) liquid.Value { return liquid.Text(e.EndsAt) })},
	{Name: "event.place", Type: "text", Meaning: "where it is", Zh: "浦东店二楼", En: "Pudong store, 2nd floor", On: onEvent, Maybe: "the event's file has none", get: eventOf(func(s *bindings, e *care.Event) liquid.Value { return s.in(e.Place) })},
	{Name: "event.address", Type: "text", Meaning: "the address", Zh: "上海市浦东新区世纪大道1号", En: "1 Century Avenue, Pudong, Shanghai", On: onEvent, Maybe: "the event's file has none", get: eventOf(func(s *bindings, e *care.Event) liquid.Value { return s.in(e.Address) })},
	{Name: "event.rsvp_until", Type: "date", Meaning: "the last day to answer", Zh: "2026-12-08", En: "2026-12-08", On: onEvent, Maybe: "the event's file has none", get: eventOf(func(_ *bindings, e *care.Event) liquid.Value { return dateValue(e.RSVPUntil) })},
	{Name: "event.seats", Type: "number", Meaning: "how many can come", Zh: "30", En: "30", On: onEvent, Maybe: "the event's file has none", get: eventOf(func(_ *bindings, e *care.Event) liquid.Value { return liquid.Count(e.Seats) })},
	{Name: "event.event", Type: "text", Meaning: "its id in the book", Zh: "owners-day", En: "owners-day", On: onEvent, get: eventOf(func(_ *bindings, e *care.Event) liquid.Value { return liquid.Text(e.Event) })},
	{Name: "event.kind", Type: "text", Meaning: "its kind", Zh: "meeting", En: "meeting", On: onEvent, Maybe: "the event's file has none", get: eventOf(func(_ *bindings, e *care.Event) liquid.Value { return liquid.Text(e.Kind) })},

	{Name: "bulletin.title", Type: "text", Meaning: "the bulletin's title", Zh: "制动软管召回", En: "Brake hose recall", On: onBulletin, get: bulletinOf(func(s *bindings, b *care.Bulletin) liquid.Value { return s.in(b.Title) })},
	{Name: "bulletin.summary", Type: "text", Meaning: "what it is about", Zh: "部分车辆的制动软管可能渗漏。", En: "The brake hose of some cars may leak.", On: onBulletin, Maybe: "the bulletin's file has none", get: bulletinOf(func(s *bindings, b *care.Bulletin) liquid.Value { return s.in(b.Summary) })},
	{Name: "bulletin.risk", Type: "text", Meaning: "what may happen", Zh: "制动距离可能变长。", En: "Braking may take longer.", On: onBulletin, Maybe: "the bulletin's file has none", get: bulletinOf(func(s *bindings, b *care.Bulletin) liquid.Value { return s.in(b.Risk) })},
	{Name: "bulletin.remedy", Type: "text", Meaning: "what will be done", Zh: "我们免费更换。", En: "We replace it free of charge.", On: onBulletin, Maybe: "the bulletin's file has none", get: bulletinOf(func(s *bindings, b *care.Bulletin) liquid.Value { return s.in(b.Remedy) })},
	{Name: "bulletin.published_on", Type: "date", Meaning: "the day of publication", Zh: "2026-11-20", En: "2026-11-20", On: onBulletin, get: bulletinOf(func(_ *bindings, b *care.Bulletin) liquid.Value { return dateValue(b.PublishedOn) })},
	{Name: "bulletin.do_not_drive", Type: "yes/no", Meaning: "the car must not be driven", Zh: "false", En: "false", On: onBulletin, get: bulletinOf(func(_ *bindings, b *care.Bulletin) liquid.Value { return liquid.Bool(b.DoNotDrive) })},
	{Name: "bulletin.park_outside", Type: "yes/no", Meaning: "the car must be parked in the open", Zh: "false", En: "false", On: onBulletin, get: bulletinOf(func(_ *bindings, b *care.Bulletin) liquid.Value { return liquid.Bool(b.ParkOutside) })},
	{Name: "bulletin.url", Type: "text", Meaning: "where to read more", Zh: "https://example.com/recall", En: "https://example.com/recall", On: onBulletin, Maybe: "the bulletin's file has none", get: bulletinOf(func(_ *bindings, b *care.Bulletin) liquid.Value { return liquid.Text(b.URL) })},
	{Name: "bulletin.bulletin", Type: "text", Meaning: "its id in the book", Zh: "2026-hose", En: "2026-hose", On: onBulletin, get: bulletinOf(func(_ *bindings, b *care.Bulletin) liquid.Value { return liquid.Text(b.Bulletin) })},
	{Name: "bulletin.kind", Type: "text", Meaning: "recall, policy or how_to", Zh: "recall", En: "recall", On: onBulletin, Maybe: "the bulletin's file has none", get: bulletinOf(func(_ *bindings, b *care.Bulletin) liquid.Value { return liquid.Text(b.Kind) })},

	{Name: "also", Type: "list", Meaning: "dues that were merged into this message; each has program, title, on and vehicle", Zh: "", En: "", get: alsoValue},

	{Name: "links.booking", Type: "text", Meaning: "the customer's booking page, else the dealer's", Zh: "https://pudong.example/book", En: "https://pudong.example/book", Maybe: "the dealer has no booking page", get: bookingLink},
	{Name: "links.survey", Type: "text", Meaning: "a survey of a few questions", Zh: sampleLink + "s" + sampleTail, En: sampleLink + "s" + sampleTail, Maybe: "customers' pages are not set up (CARE_PUBLIC_URL)", get: func(s *bindings) liquid.Value { return liquid.Text(s.draft.Links.Survey) }},
	{Name: "links.rsvp", Type: "text", Meaning: "the answer to an invitation", Zh: sampleLink + "e" + sampleTail, En: sampleLink + "e" + sampleTail, Maybe: "customers' pages are not set up (CARE_PUBLIC_URL)", get: func(s *bindings) liquid.Value { return liquid.Text(s.draft.Links.RSVP) }},
	{Name: "links.odometer", Type: "text", Meaning: "a page to tell the mileage", Zh: sampleLink + "o" + sampleTail, En: sampleLink + "o" + sampleTail, Maybe: "customers' pages are not set up (CARE_PUBLIC_URL)", get: func(s *bindings) liquid.Value { return liquid.Text(s.draft.Links.Odometer) }},
	{Name: "links.unsubscribe", Type: "text", Meaning: "unsubscribe and preferences", Zh: sampleLink + "u" + sampleTail, En: sampleLink + "u" + sampleTail, Maybe: "customers' pages are not set up (CARE_PUBLIC_URL)", get: func(s *bindings) liquid.Value { return liquid.Text(s.draft.Links.Unsubscribe) }},

	{Name: "locale", Type: "text", Meaning: "the language of the template that is used", Zh: "zh-CN", En: "en", get: func(s *bindings) liquid.Value { return liquid.Text(s.lang.locale) }},
	{Name: "subject", Type: "text", Meaning: "the mail's subject, for layouts", Zh: "", En: "", get: func(s *bindings) liquid.Value { return liquid.Text(s.subject) }},
	{Name: "preheader", Type: "text", Meaning: "the mail's preview line, for layouts", Zh: "", En: "", Maybe: "the front matter has none", get: func(s *bindings) liquid.Value { return liquid.Text(s.preheader) }},
	{Name: "message.id", Type: "text", Meaning: "the message's id, for webhooks", Zh: "abcdefghijklmnopqrstuvwxy2", En: "abcdefghijklmnopqrstuvwxy2", get: func(s *bindings) liquid.Value { return liquid.Text(s.draft.Occurrence.ID) }},
	{Name: "message.program", Type: "text", Meaning: "the program, for webhooks", Zh: "maintenance", En: "maintenance", get: func(s *bindings) liquid.Value { return liquid.Text(s.draft.Occurrence.Program) }},
	{Name: "message.step", Type: "text", Meaning: "the step, for webhooks", Zh: "due", En: "due", get: func(s *bindings) liquid.Value { return liquid.Text(s.draft.Occurrence.Step) }},
	{Name: "message.class", Type: "text", Meaning: "the class, for webhooks", Zh: "service", En: "service", get: func(s *bindings) liquid.Value { return liquid.Text(string(s.draft.Occurrence.Class)) }},
	{Name: "message.on", Type: "date", Meaning: "the step's date, for webhooks", Zh: "2026-11-22", En: "2026-11-22", get: func(s *bindings) liquid.Value { return dateValue(s.draft.Occurrence.On) }},
}

func visitKM(_ *bindings, v *care.Visit) liquid.Value {
	if v.KM == nil {
		return liquid.Value{}
	}
	return liquid.Number(float64(*v.KM))
}

// firstService is true for a car that came new and that no visit of its record serviced.
func firstService(s *bindings) liquid.Value {
	v := s.draft.Occurrence.Subject.Vehicle
	if v == nil || s.draft.Dealer == nil || s.draft.Occurrence.Subject.Forecast == nil {
		return liquid.Value{}
	}
	serviced := func(visit care.Visit) bool { return s.draft.Dealer.Serviced(&visit) }
	return liquid.Bool(v.OdometerAtDelivery <= care.UsedAbove && !slices.ContainsFunc(v.Visits, serviced))
}

func newestReading(_ *bindings, v *care.Vehicle) liquid.Value {
	var newest care.Reading
	for _, r := range v.Odometer {
		if r.On.After(newest.On) || r.On == newest.On && r.KM > newest.KM {
			newest = r
		}
	}
	return liquid.Count(newest.KM)
}
