package record_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
)

// example is the customer record of design A2.
const example = `{"id":"C100001","dealer":"sh-pudong","name":"王小明","salutation":"王先生","email":"wang@example.com","phone":"+8613800138000",
 "locale":"zh-CN","time_zone":"Asia/Shanghai","birthday":"1985-02-20","grade":"A","advisor":"chen","household":"H77","tags":["ev"],
 "preferences":{"channels":["sms","email"],"max_per_week":2,"quiet":"21:00-09:00","off":["seasonal"]},
 "consent":{"sms":{"service":true,"commercial":false},"email":{"service":true,"commercial":true,"source":"contract","at":"2024-03-01"}},
 "holds":[{"reason":"complaint","since":"2026-11-01","until":"2026-12-01"}],
 "vehicles":[{"id":"LSGHXRT911E8RM77M","plate":"沪A12345","make":"Buick","model":"Regal","model_year":2024,"delivered_on":"2024-03-01",
   "odometer":[{"on":"2026-05-02","km":31000}],
   "visits":[{"order":"RO-889","closed_on":"2026-05-02","km":31000,"kind":"maintenance","technician":"Li","declined":["brake pads"]}],
   "service_interval":{"km":10000,"months":12},"first_service":{"km":5000,"months":6},
   "warranty":{"until":"2027-03-01","km":60000},"insurance_until":"2027-02-28","inspection_due":"2030-03-31",
   "appointment_at":"2026-12-01T10:00:00+08:00","sold_on":null}]}`

func exampleCustomer() *care.Customer {
	yes, no, two, km := true, false, 2, 31000
	d := func(s string) care.Date {
		date, err := care.ParseDate(s)
		if err != nil {
			panic(err)
		}
		return date
	}
	return &care.Customer{
		ID: "C100001", Dealer: "sh-pudong", Name: "王小明", Salutation: "王先生", Email: "wang@example.com", Phone: "+8613800138000",
		Locale: "zh-CN", TimeZone: "Asia/Shanghai", Birthday: care.Birthday{Year: 1985, Month: 2, Day: 20}, Grade: "A", Advisor: "chen",
		Household: "H77", Tags: []string{"ev"},
		Preferences: care.Preferences{Channels: []care.Channel{care.SMS, care.Email}, MaxPerWeek: &two, Quiet: care.Window{From: 1260, To: 540}, Off: []string{"seasonal"}},
		Consent: map[care.Channel]care.Consent{
			care.SMS:   {Service: &yes, Commercial: &no},
			care.Email: {Service: &yes, Commercial: &yes, Source: "contract", At: d("2024-03-01")},
		},
		Holds: []care.Hold{{Reason: "complaint", Since: d("2026-11-01"), Until: d("2026-12-01")}},
		Vehicles: []care.Vehicle{{
			ID: "LSGHXRT911E8RM77M", Plate: "沪A12345", Make: "Buick", Model: "Regal", ModelYear: 2024, DeliveredOn: d("2024-03-01"),
			Odometer:        []care.Reading{{On: d("2026-05-02"), KM: 31000}},
			Visits:          []care.Visit{{Order: "RO-889", ClosedOn: d("2026-05-02"), KM: &km, Kind: "maintenance", Technician: "Li", Declined: []string{"brake pads"}}},
			ServiceInterval: care.Interval{KM: 10000, Months: 12}, FirstService: care.Interval{KM: 5000, Months: 6},
			Warranty: care.Warranty{Until: d("2027-03-01"), KM: 60000}, InsuranceUntil: d("2027-02-28"), InspectionDue: d("2030-03-31"),
			AppointmentAt: time.Date(2026, 12, 1, 10, 0, 0, 0, time.FixedZone("", 8*3600)),
		}},
	}
}

var opaque = cmp.AllowUnexported(care.Date{}, care.Birthday{}, care.Window{})

func TestDecodeExample(t *testing.T) {
	t.Parallel()
	c, defects, err := record.Decode([]byte(example))
	if err != nil || len(defects) > 0 {
		t.Fatalf("%v %v", defects, err)
	}
	if diff := cmp.Diff(exampleCustomer(), c, opaque); diff != "" {
		t.Errorf("customer (-want +got):\n%s", diff)
	}
	// And back: what is written decodes to the same.
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again, defects, err := record.Decode(raw)
	if err != nil || len(defects) > 0 {
		t.Fatalf("%s: %v %v", raw, defects, err)
	}
	if diff := cmp.Diff(c, again, opaque); diff != "" {
		t.Errorf("written and read (-want +got):\n%s", diff)
	}
}

// TestTolerantReadsTheSame: one bad field more, and everything else is still read as before, in any letter case too.
func TestTolerantReadsTheSame(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"as it is":     example,
		"letter case":  strings.NewReplacer(`"holds"`, `"Holds"`, `"vehicles"`, `"VEHICLES"`, `"consent"`, `"Consent"`).Replace(example),
		"blanks":       strings.ReplaceAll(example, ":", " : "),
		"unknown more": strings.Replace(example, `"grade"`, `"extra":{"a":[1,{"b":null}]},"grade"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := strings.Replace(text, `"王先生"`, `5`, 1)
			if name == "blanks" {
				broken = strings.NewReplacer("2026-12-01T10 : 00 : 00+08 : 00", "2026-12-01T10:00:00+08:00", "21 : 00-09 : 00", "21:00-09:00").Replace(broken)
			}
			c, defects, err := record.Decode([]byte(broken))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]care.Defect{{Path: "$.salutation", Message: "should be a text"}}, defects); diff != "" {
				t.Errorf("defects (-want +got):\n%s", diff)
			}
			want := exampleCustomer()
			want.Salutation = ""
			if diff := cmp.Diff(want, c, opaque); diff != "" {
				t.Errorf("customer (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDefects holds each defect's path, whether it fails closed, and which vehicles are left.
func TestDefects(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		record string
		paths  []string
		closed bool
		cars   string
	}{
		"nothing":                  {`{"id":"C","vehicles":[{"id":"A"},{"id":"B"}]}`, nil, false, "A B"},
		"unknown fields":           {`{"id":"C","x":{"y":1},"vehicles":[{"id":"A","x":1}]}`, nil, false, "A"},
		"nulls":                    {`{"id":"C","name":null,"consent":null,"holds":null,"preferences":null,"birthday":null,"vehicles":[{"id":"A","odometer":null,"sold_on":null,"visits":[]}]}`, nil, false, "A"},
		"one bad vehicle":          {`{"id":"C","vehicles":[{"id":"A"},5,{"id":"B","model":7}]}`, []string{"$.vehicles[1]", "$.vehicles[2].model"}, false, "A B"},
		"paths behind a bad one":   {`{"id":"C","vehicles":["x",{"id":"B","delivered_on":"2026-02-30"}]}`, []string{"$.vehicles[0]", "$.vehicles[1].delivered_on"}, false, "B"},
		"vehicle without id":       {`{"id":"C","vehicles":[{"plate":"x"},{"id":"B"}]}`, []string{"$.vehicles[0].id"}, false, "B"},
		"vehicle with braces":      {`{"id":"C","vehicles":[{"id":"{x}"},{"id":"B"}]}`, []string{"$.vehicles[0].id"}, false, "B"},
		"vehicle id a number":      {`{"id":"C","vehicles":[{"id":5},{"id":"B"}]}`, []string{"$.vehicles[0].id"}, false, "B"},
		"vehicle twice":            {`{"id":"C","vehicles":[{"id":"A"},{"id":"A"}]}`, []string{"$.vehicles[1].id"}, false, "A"},
		"vehicles no list":         {`{"id":"C","vehicles":{"id":"A"}}`, []string{"$.vehicles"}, false, ""},
		"bad dates":                {`{"id":"C","birthday":"20.2.1985","vehicles":[{"id":"A","delivered_on":"x","insurance_until":5,"inspection_due":"2026-13-01","warranty":{"until":"soon","km":-1}}]}`, []string{"$.birthday", "$.vehicles[0].delivered_on", "$.vehicles[0].insurance_until", "$.vehicles[0].inspection_due", "$.vehicles[0].warranty.until", "$.vehicles[0].warranty.km"}, false, "A"},
		"readings":                 {`{"id":"C","vehicles":[{"id":"A","odometer":[{"on":"2026-01-01","km":-1},{"km":5},{"on":"x","km":5},{"on":"2026-01-02","km":7}]}]}`, []string{"$.vehicles[0].odometer[0].km", "$.vehicles[0].odometer[1].on", "$.vehicles[0].odometer[2].on"}, false, "A"},
		"mileage in words":         {`{"id":"C","vehicles":[{"id":"A","odometer":[{"on":"2026-01-01","km":"many"},{"on":"2026-01-02","km":7}]}]}`, []string{"$.vehicles[0].odometer[0].km"}, false, "A"},
		"reading no object":        {`{"id":"C","vehicles":[{"id":"A","odometer":[1,{"on":"2026-01-02","km":-7},{"on":"2026-01-02","km":7}]}]}`, []string{"$.vehicles[0].odometer[0]", "$.vehicles[0].odometer[1].km"}, false, "A"},
		"visits":                   {`{"id":"C","vehicles":[{"id":"A","visits":[{"order":"R"},{"closed_on":"x"},{"closed_on":"2026-01-01","km":-1}]}]}`, []string{"$.vehicles[0].visits[0].closed_on", "$.vehicles[0].visits[1].closed_on", "$.vehicles[0].visits[2].km"}, false, "A"},
		"intervals":                {`{"id":"C","vehicles":[{"id":"A","service_interval":{"km":-1,"months":-2},"first_service":"x"}]}`, []string{"$.vehicles[0].first_service", "$.vehicles[0].service_interval.km", "$.vehicles[0].service_interval.months"}, false, "A"},
		"appointment":              {`{"id":"C","vehicles":[{"id":"A","appointment_at":"tomorrow"}]}`, []string{"$.vehicles[0].appointment_at"}, false, "A"},
		"tags":                     {`{"id":"C","tags":["a",5]}`, []string{"$.tags[1]"}, false, ""},
		"sold_on":                  {`{"id":"C","vehicles":[{"id":"A","sold_on":"yesterday"},{"id":"B"}]}`, []string{"$.vehicles[0].sold_on"}, true, "A B"},
		"sold_on true":             {`{"id":"C","vehicles":[{"id":"A","sold_on":true}]}`, []string{"$.vehicles[0].sold_on"}, true, "A"},
		"sold_on of a bad vehicle": {`{"id":"C","vehicles":[{"id":"{}","sold_on":"x"}]}`, []string{"$.vehicles[0].sold_on", "$.vehicles[0].id"}, true, ""},
		"consent no object":        {`{"id":"C","consent":true}`, []string{"$.consent"}, true, ""},
		"consent answer":           {`{"id":"C","consent":{"sms":{"service":"yes"}}}`, []string{"$.consent.sms.service"}, true, ""},
		"consent channel":          {`{"id":"C","consent":{"sms":false}}`, []string{"$.consent.sms"}, true, ""},
		"consent date":             {`{"id":"C","consent":{"sms":{"service":true,"at":"x"}}}`, []string{"$.consent.sms.at"}, true, ""},
		"consent letter case":      {`{"id":"C","consent":{"SMS":{"service":false}}}`, []string{"$.consent"}, true, ""},
		"consent of others":        {`{"id":"C","consent":{"wechat":{"service":false}}}`, nil, false, ""},
		"holds no list":            {`{"id":"C","holds":{"reason":"complaint"}}`, []string{"$.holds"}, true, ""},
		"hold no object":           {`{"id":"C","holds":["complaint"]}`, []string{"$.holds[0]"}, true, ""},
		"hold dates":               {`{"id":"C","holds":[{"reason":"complaint","since":"x","until":5}]}`, []string{"$.holds[0].since", "$.holds[0].until"}, true, ""},
		"preferences":              {`{"id":"C","preferences":{"channels":["fax"],"max_per_week":-1,"quiet":"late","off":"all"}}`, []string{"$.preferences.off", "$.preferences.quiet", "$.preferences.max_per_week", "$.preferences.channels[0]"}, true, ""},
		"preferences a text":       {`{"id":"C","preferences":"none"}`, []string{"$.preferences"}, true, ""},
		"half a message a week":    {`{"id":"C","preferences":{"max_per_week":0.5}}`, []string{"$.preferences.max_per_week"}, true, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, defects, err := record.Decode([]byte(tt.record))
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for _, d := range defects {
				paths = append(paths, d.Path)
				if d.Message == "" || strings.HasSuffix(d.Message, " ") {
					t.Errorf("%s: no message: %q", d.Path, d.Message)
				}
			}
			slices.Sort(paths)
			slices.Sort(tt.paths)
			if diff := cmp.Diff(tt.paths, paths); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
			closed := slices.ContainsFunc(defects, func(d care.Defect) bool { return d.Closed })
			if c.Closed != tt.closed || closed != tt.closed {
				t.Errorf("closed: customer %t, defects %t, want %t", c.Closed, closed, tt.closed)
			}
			var cars []string
			for _, v := range c.Vehicles {
				cars = append(cars, v.ID)
				for _, r := range v.Odometer {
					if r.KM != 7 {
						t.Errorf("a broken reading was kept: %+v", r)
					}
				}
			}
			if got := strings.Join(cars, " "); got != tt.cars {
				t.Errorf("vehicles: got %q, want %q", got, tt.cars)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		``: care.ErrNotJSON, `x`: care.ErrNotJSON, `{`: care.ErrNotJSON, `[]`: care.ErrNotJSON, `"C"`: care.ErrNotJSON, `5`: care.ErrNotJSON, `{} x`: care.ErrNotJSON,
		`{}`: care.ErrNoID, `null`: care.ErrNoID, `{"id":""}`: care.ErrNoID, `{"id":"a b"}`: care.ErrNoID, `{"id":"{a}"}`: care.ErrNoID, `{"id":5}`: care.ErrNoID,
	} {
		c, _, err := record.Decode([]byte(text))
		if !errors.Is(err, want) || c != nil {
			t.Errorf("%q: got %v, %v, want %v", text, c, err, want)
		}
	}
}

// FuzzDecode: it never fails but in two ways, says nothing of what stands in the record, and what it returns is sound.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(strings.Replace(example, `"王先生"`, `5`, 1)))
	f.Add([]byte(`{"id":"C","vehicles":[1,{"id":"A","sold_on":5}],"holds":[5],"consent":{"sms":5}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, defects, err := record.Decode(raw)
		if err != nil {
			if c != nil || !errors.Is(err, care.ErrNotJSON) && !errors.Is(err, care.ErrNoID) {
				t.Fatalf("got %v, %v", c, err)
			}
			return
		}
		if !care.ValidID(c.ID) || c.Birthday.String() == "" && !c.Birthday.IsZero() {
			t.Fatalf("not sound: %+v", c)
		}
		for _, d := range defects {
			if d.Closed && !c.Closed || !strings.HasPrefix(d.Path, "$") {
				t.Fatalf("defect %+v, closed %t", d, c.Closed)
			}
		}
		seen := map[string]bool{}
		for _, v := range c.Vehicles {
			if !care.ValidID(v.ID) || seen[v.ID] || v.ServiceInterval.KM < 0 {
				t.Fatalf("vehicle not sound: %+v", v)
			}
			seen[v.ID] = true
			for _, visit := range v.Visits {
				if visit.ClosedOn.IsZero() {
					t.Fatalf("visit not sound: %+v", visit)
				}
			}
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, more, err := record.Decode(again); err != nil || len(more) > 0 && len(defects) == 0 {
			t.Fatalf("written again: %s: %v %v", again, more, err)
		}
	})
}

func ExampleDecode() {
	c, defects, err := record.Decode([]byte(`{"id":"C1","birthday":"1985-02-30","vehicles":[{"id":"V1"}]}`))
	fmt.Println(c.ID, len(c.Vehicles), defects, err)
	// Output: C1 1 [{$.birthday no such birthday: write YYYY-MM-DD, --MM-DD, lunar:YYYY-MM-DD, lunar:--MM-DD (L06 for a leap month) or lunar:--12-eve false}] <nil>
}
