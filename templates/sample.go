package templates

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// sampleNow is the moment at which samples are written: 09:00 in Shanghai on 2026-11-22.
var sampleNow = time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)

// A sample's personal links are as long as true ones, or a text would take more parts than its preview.
const (
	sampleLink = "https://care.example/"
	sampleTail = "/c2FtcGxlAEMxMDAwMDEAYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eTIAc21zAHNhbXBsZXNhbXA" // no credential: it signs nothing
)

// Sample returns a draft in which every variable of the catalogue has a value, with the book's first dealer and advisor. Whoever
// calls it sets Occurrence.Template and Channel.
func (s *Set) Sample(locale string) *care.Draft {
	zh := strings.HasPrefix(strings.ToLower(locale), "zh")
	pick := func(chinese, english string) string {
		if zh {
			return chinese
		}
		return english
	}
	km := 31000
	vehicle := &care.Vehicle{
		ID: "LSGHXRT911E8RM77M", Plate: pick("沪A12345", "KTR4821"), Make: pick("别克", "Buick"), Model: pick("君威", "Regal"), ModelYear: 2024,
		DeliveredOn: care.NewDate(2024, 3, 1), InsuranceUntil: care.NewDate(2027, 2, 28), InspectionDue: care.NewDate(2030, 3, 31),
		Warranty: care.Warranty{Until: care.NewDate(2027, 3, 1), KM: 60000}, ServiceInterval: care.Interval{KM: 10000, Months: 12},
		Odometer: []care.Reading{{On: care.NewDate(2026, 11, 19), KM: km}}, Visits: []care.Visit{{ClosedOn: care.NewDate(2026, 5, 2), Kind: "maintenance"}}, AppointmentAt: time.Date(2026, 12, 2, 2, 0, 0, 0, time.UTC),
	}
	// The due that was merged in is of a program of the book: its title is shown.
	other := &care.Vehicle{ID: "LSGJA52U2AS123456", Plate: pick("沪B67890", "KTS9044"), Make: pick("别克", "Buick"), Model: pick("昂科威", "Envision")}
	dealer, advisor := s.sampleDealer()
	event, bulletin := s.sampleNews()
	due := care.NewDate(2026, 12, 2)
	d := &care.Draft{
		Occurrence: &care.Occurrence{
			ID: "abcdefghijklmnopqrstuvwxy2", Customer: "C100001", Dealer: dealer.Dealer, Vehicle: vehicle.ID, Program: "maintenance", Step: "due",
			Cycle: "2026-05-02", On: care.NewDate(2026, 11, 22), Due: due, Class: care.Service, Topic: "maintenance",
			Release: sampleNow, Scheduled: sampleNow, Expires: sampleNow.AddDate(0, 0, 3),
			Subject: care.Subject{
				Vehicle:  vehicle,
				Visit:    &care.Visit{Order: "RO-889", ClosedOn: care.NewDate(2026, 11, 19), KM: &km, Kind: "maintenance", Technician: pick("李师傅", "Lee"), Declined: []string{pick("刹车片", "brake pads"), pick("雨刮片", "wiper blades")}},
				Event:    event,
				Signal:   &care.Signal{ID: "RO-889", Signal: "car_ready", At: sampleNow, Fields: map[string]string{"order": "RO-889", anyField: pick("示例", "example")}},
				Bulletin: bulletin,
				Forecast: &care.Forecast{
					Rate: 38.5, Due: due, DateRuleOn: care.NewDate(2027, 5, 2), KMRuleOn: due, Winner: "km", Readings: 4,
					Low: care.NewDate(2026, 11, 25), High: care.NewDate(2026, 12, 14), Baseline: care.NewDate(2026, 5, 2), Newest: care.NewDate(2026, 11, 19),
				},
				Also: []*care.Occurrence{{Program: "inspection", Due: care.NewDate(2026, 12, 4), Subject: care.Subject{Vehicle: other}}},
			},
		},
		Customer: &care.Customer{
			ID: "C100001", Dealer: dealer.Dealer, Name: pick("王小明", "Mary Smith"), Salutation: pick("王先生", "Ms. Smith"), Email: pick("wang@example.com", "mary@example.com"),
			Phone: pick("+8613800138000", "+12125550123"), Locale: locale, Grade: "A", Advisor: advisor.Advisor,
		},
		Dealer: dealer, Advisor: advisor, Channel: care.Email, Locale: locale, Location: time.FixedZone("CST", 8*3600), Now: sampleNow,
		Links: care.Links{
			Unsubscribe: sampleLink + "u" + sampleTail, Survey: sampleLink + "s" + sampleTail, RSVP: sampleLink + "e" + sampleTail,
			Odometer: sampleLink + "o" + sampleTail, Booking: cmp.Or(dealer.BookingURL, "https://pudong.example/book"),
		},
	}
	also := d.Occurrence.Subject.Also
	d.Occurrence.Subject.Also = nil
	for _, p := range s.env.programs() {
		if p.Merge != "" && len(p.Title) > 0 && p.Trigger.On != care.OnMaintenanceDue {
			also[0].Program = p.Program
			d.Occurrence.Subject.Also = also
			break
		}
	}
	return d
}

func (e *environment) programs() []*care.Program {
	if e.book == nil {
		return nil
	}
	return e.book.Programs
}

// sampleDealer is the book's first dealer with what it lacks added, and its first advisor.
func (s *Set) sampleDealer() (*care.Dealer, *care.Advisor) {
	dealer := care.Dealer{}
	if s.env.book != nil && len(s.env.book.Dealers) > 0 {
		dealer = *s.env.book.Dealers[0]
	}
	dealer.Dealer = cmp.Or(dealer.Dealer, "sh-pudong")
	dealer.Locale = cmp.Or(dealer.Locale, "zh-CN")
	dealer.Phone = cmp.Or(dealer.Phone, "+862150000000")
	dealer.Country = cmp.Or(dealer.Country, "CN")
	dealer.Currency = cmp.Or(dealer.Currency, "CNY")
	dealer.BookingURL = cmp.Or(dealer.BookingURL, "https://pudong.example/book")
	dealer.From.Email = cmp.Or(dealer.From.Email, "care@pudong.example")
	for _, one := range []struct {
		text   *care.Text
		zh, en string
	}{
		{&dealer.Name, "浦东别克", "Pudong Buick"},
		{&dealer.Address, "上海市浦东新区世纪大道1号", "1 Century Avenue, Pudong, Shanghai"},
		{&dealer.Hours, "每天 8:30-18:00", "daily 8:30-18:00"},
		{&dealer.SMSSignature, "浦东别克", "Pudong Buick"},
	} {
		if len(*one.text) == 0 {
			*one.text = care.Text{"zh-CN": one.zh, "en": one.en}
		}
	}
	advisor := care.Advisor{Advisor: "chen", Name: care.Text{"zh-CN": "陈志强", "en": "Chris Chen"}, Phone: "+8613900000000", Email: "chen@pudong.example"}
	for i := range dealer.Advisors {
		if a := dealer.AdvisorFor(dealer.Advisors[i].Advisor); a != nil {
			advisor = care.Advisor{Advisor: a.Advisor, Name: a.Name, Phone: cmp.Or(a.Phone, advisor.Phone), Email: cmp.Or(a.Email, advisor.Email)}
			break
		}
	}
	return &dealer, &advisor
}

func (s *Set) sampleNews() (*care.Event, *care.Bulletin) {
	event := &care.Event{
		Event: "owners-day", Enabled: true, Kind: "meeting", Title: care.Text{"zh-CN": "冬季车主交流会", "en": "Winter owners' day"}, On: care.NewDate(2026, 12, 12),
		StartsAt: "14:00", EndsAt: "17:00", Place: care.Text{"zh-CN": "浦东店二楼", "en": "Pudong store, 2nd floor"},
		Address: care.Text{"zh-CN": "上海市浦东新区世纪大道1号", "en": "1 Century Avenue, Pudong, Shanghai"}, Seats: 30, RSVPUntil: care.NewDate(2026, 12, 8),
	}
	bulletin := &care.Bulletin{
		Bulletin: "2026-hose", Enabled: true, Kind: "recall", Title: care.Text{"zh-CN": "制动软管召回", "en": "Brake hose recall"}, PublishedOn: care.NewDate(2026, 11, 20),
		Summary: care.Text{"zh-CN": "部分车辆的制动软管可能渗漏。", "en": "The brake hose of some cars may leak."},
		Risk:    care.Text{"zh-CN": "制动距离可能变长。", "en": "Braking may take longer."}, Remedy: care.Text{"zh-CN": "我们免费更换。", "en": "We replace it free of charge."},
		URL: "https://example.com/recall",
	}
	return event, bulletin
}

// SampleFor returns the sample for a template: the program that uses it decides what it is about, so that a variable that its
// trigger does not have is missing here as it will be on the day.
func (s *Set) SampleFor(name string, ch care.Channel, locale string) *care.Draft {
	d := s.Sample(locale)
	d.Channel = ch
	o := d.Occurrence
	o.Template = name
	p, step := s.using(name)
	if p == nil {
		return d
	}
	o.Program, o.Step, o.Class, o.Topic = p.Program, step, p.Class, cmp.Or(p.Topic, p.Program)
	on := p.Trigger.On
	if !p.Trigger.PerVehicle() && on != care.OnSignal {
		o.Vehicle, o.Subject.Vehicle = "", nil
	}
	if !slices.Contains(onVisit, on) {
		o.Subject.Visit = nil
	}
	if !slices.Contains(onForecast, on) {
		o.Subject.Forecast = nil
	}
	if on != care.OnEvent {
		o.Subject.Event = nil
	}
	if on != care.OnBulletin {
		o.Subject.Bulletin = nil
	}
	if on != care.OnSignal {
		o.Subject.Signal = nil
	} else {
		o.Subject.Signal.Signal = p.Trigger.Signal
	}
	if p.Merge == "" {
		o.Subject.Also = nil
	}
	switch on {
	case care.OnVisit, care.OnLastVisit:
		o.Due = o.Subject.Visit.ClosedOn
	case care.OnDelivery:
		o.Due = care.NewDate(2026, 11, 15)
		o.Subject.Vehicle.DeliveredOn = o.Due
	case care.OnAnniversary:
		o.Due = care.NewDate(2026, 11, 22)
		o.Subject.Vehicle.DeliveredOn = care.NewDate(2024, 11, 22)
	case care.OnInsuranceEnd:
		o.Subject.Vehicle.InsuranceUntil = o.Due
	case care.OnInspectionDue:
		o.Subject.Vehicle.InspectionDue = o.Due
	case care.OnWarrantyEnd:
		o.Subject.Vehicle.Warranty.Until = o.Due
	case care.OnEvent:
		o.Due = o.Subject.Event.On
	case care.OnBulletin:
		o.Due = o.Subject.Bulletin.PublishedOn
	case care.OnBirthday, care.OnCalendar, care.OnHoldEnd, care.OnSignal:
		o.Due = o.On
	case care.OnAppointment:
		if p.Trigger.Missed {
			o.Due = o.On
			o.Subject.Vehicle.AppointmentAt = sampleNow.Add(-23 * time.Hour)
		}
	}
	return d
}

// using returns the first program that uses the template, and the step.
func (s *Set) using(name string) (*care.Program, string) {
	for _, p := range s.env.programs() {
		for _, st := range p.Steps {
			if st.Template == name {
				return p, st.Step
			}
		}
	}
	return nil, ""
}
