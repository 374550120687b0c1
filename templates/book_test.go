package templates_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config/yaml"
	"github.com/carebell/carebell/templates"
)

// now is a Sunday morning in Shanghai.
var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.FixedZone("CST", 8*3600))

func day(s string) care.Date {
	d, err := care.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// draft is a complete one, for tests to change.
func draft(template string, ch care.Channel, locale string) *care.Draft {
	km := 31000
	vehicle := &care.Vehicle{
		ID: "LSGHXRT911E8RM77M", Plate: "沪A12345", Make: "Buick", Model: "君威", ModelYear: 2024,
		DeliveredOn: day("2024-03-01"), InsuranceUntil: day("2027-02-28"),
	}
	return &care.Draft{
		Occurrence: &care.Occurrence{
			ID: "abcdefghijklmnopqrstuvwxy2", Customer: "C1", Dealer: "sh-pudong", Vehicle: vehicle.ID, Program: "maintenance", Step: "due",
			Cycle: "2026-05-02", On: day("2026-12-02"), Due: day("2026-12-02"), Class: care.Service, Topic: "maintenance", Template: template,
			Subject: care.Subject{
				Vehicle:  vehicle,
				Visit:    &care.Visit{Order: "RO-889", ClosedOn: day("2026-11-19"), KM: &km, Kind: "maintenance", Technician: "李师傅", Declined: []string{"刹车片", "雨刮"}},
				Forecast: &care.Forecast{Rate: 38.5, Due: day("2026-12-02"), Winner: "km", Readings: 4},
			},
		},
		Customer: &care.Customer{ID: "C1", Dealer: "sh-pudong", Name: "王小明", Salutation: "王先生", Email: "wang@example.com", Locale: locale},
		Dealer: &care.Dealer{
			Dealer: "sh-pudong", Name: care.Text{"zh-CN": "浦东别克", "en": "Pudong Buick"}, Locale: "zh-CN", Phone: "+862150000000", Country: "CN",
			Address: care.Text{"": "上海市浦东新区世纪大道1号"}, BookingURL: "https://pudong.example/book?from=mail&x=1", SMSSignature: care.Text{"": "浦东别克"},
			From: care.Sender{Name: care.Text{"zh-CN": "浦东别克"}, Email: "care@pudong.example"}, Currency: "CNY",
		},
		Advisor:  &care.Advisor{Advisor: "chen", Name: care.Text{"": "陈志强"}, Phone: "+8613900000000", Email: "chen@pudong.example"},
		Channel:  ch,
		Locale:   locale,
		Location: now.Location(),
		Links:    care.Links{Unsubscribe: "https://care.example/u/abc", Survey: "https://care.example/s/abc"},
		Now:      now,
	}
}

// bookOf is a book of these files, by their path below templates/.
func bookOf(files map[string]string) *care.Book {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys["templates/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return &care.Book{Files: fsys, Decode: yaml.Decode}
}

// load loads a book that must be without fault.
func load(t *testing.T, files map[string]string) *templates.Set {
	t.Helper()
	set, problems := templates.Load(bookOf(files))
	for _, p := range problems {
		t.Errorf("%v\n%s", p, p.Excerpt)
	}
	if t.Failed() {
		t.FailNow()
	}
	return set
}
