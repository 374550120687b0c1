package demo

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/carebell/carebell/care"
)

// people makes some of the demo's customers by number, as they are on a day: in Shanghai, in New York, or half and half; the same ones at
// every run. Addresses are of reserved domains and number ranges (RFC 2606; 555-01xx), so that nothing could ever reach a person.
func people(from, to int, opt Options, today care.Date) []*care.Customer {
	r := rand.New(rand.NewPCG(2026, 11)) //nolint:gosec // made-up people, the same at every run
	out := make([]*care.Customer, 0, to-from)
	for i := from; i < to; i++ {
		var c *care.Customer
		if opt.Stores == "zh" || opt.Stores == "both" && i%2 == 0 {
			c = shanghai(r, i, today)
		} else {
			c = newYork(r, i, today)
		}
		if opt.Sharing {
			share(c, i)
		}
		out = append(out, c)
	}
	return out
}

// share gives some customers the number of another, as in a household: the first ones in New York up to three, later ones two.
func share(c *care.Customer, i int) {
	switch {
	case c.Dealer == "newyork" && i < 300:
		c.Phone = "+1212555" + c.Phone[len(c.Phone)-4:]
	case i%24 == 6 && c.Dealer == "shanghai":
		c.Phone = fmt.Sprintf("+861380000%04d", i-2)
	case i%24 == 7 && c.Dealer == "newyork":
		c.Phone = newYorkPhone(i - 2)
	}
}

func newYorkPhone(i int) string {
	return fmt.Sprintf("+1%d555%04d", areas[i/100%len(areas)], 100+i%100)
}

// rush is what makes an import a surprise: a third of the customers were in the workshop the day before.
func rush(customers []*care.Customer, today care.Date) {
	for i, c := range customers {
		if visits := c.Vehicles[0].Visits; i%3 == 0 && len(visits) > 0 {
			visits[0].ClosedOn = today.AddDays(-1)
		}
	}
}

var (
	areas     = []int{212, 213, 214, 215, 216, 217, 218, 224, 225, 228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269}
	surnames  = []string{"王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林", "欧阳", "司马"}
	givenHan  = []string{"伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "洋", "艳", "勇", "军", "杰", "娟", "涛", "明", "超", "秀兰", "子涵", "浩然"}
	givenEN   = []string{"Ava", "Noah", "Mia", "Liam", "Zoe", "Ethan", "Ruth", "Omar", "Ines", "Paul", "Grace", "Hugo", "Nora", "Sam", "Lucy", "Amir"}
	familyEN  = []string{"Rivera", "Cohen", "Park", "Murphy", "O'Neil", "Schmidt", "Okafor", "Rossi", "Nguyen", "Baker", "Hall", "Reyes", "Stone"}
	modelsCN  = []string{"君威", "君越", "昂科威", "GL8", "微蓝6"}
	modelsUS  = []string{"Encore", "Envision", "Enclave", "LaCrosse"}
	declines  = []string{"前刹车片", "雨刮器", "空调滤芯"}
	declines2 = []string{"front brake pads", "wiper blades", "cabin filter"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func shanghai(r *rand.Rand, i int, today care.Date) *care.Customer {
	family, given := pick(r, surnames), pick(r, givenHan)
	c := &care.Customer{
		ID: fmt.Sprintf("SH%04d", i), Dealer: "shanghai", Name: family + given, Salutation: family + pick(r, []string{"先生", "女士"}),
		Email: fmt.Sprintf("sh%04d@example.com", i), Phone: fmt.Sprintf("+861380000%04d", i), Locale: "zh-CN",
		Grade: pick(r, []string{"A", "B", "B", "C"}), Advisor: pick(r, []string{"chen", "lin"}),
	}
	if i%10 == 4 { // some prefer English there too
		c.Locale, c.Salutation = "en", ""
	}
	common(r, c, i, today, pick(r, modelsCN), pick(r, declines))
	c.Vehicles[0].Plate = fmt.Sprintf("沪A%05d", 10000+i*7)
	return c
}

func newYork(r *rand.Rand, i int, today care.Date) *care.Customer {
	c := &care.Customer{
		ID: fmt.Sprintf("NY%04d", i), Dealer: "newyork", Name: pick(r, givenEN) + " " + pick(r, familyEN),
		Email: fmt.Sprintf("ny%04d@example.com", i), Phone: newYorkPhone(i), Locale: "en",
		Grade: pick(r, []string{"A", "B", "B", "C"}), Advisor: pick(r, []string{"rivera", "stone"}),
	}
	if i%25 == 7 {
		c.TimeZone = "America/Los_Angeles" // moved away, and kept the car
	}
	common(r, c, i, today, pick(r, modelsUS), pick(r, declines2))
	c.Vehicles[0].Plate = fmt.Sprintf("NY-%04d", 1000+i*3)
	return c
}

// common gives a customer a birthday, a car and a history in which something falls due in the coming month for most.
func common(r *rand.Rand, c *care.Customer, i int, today care.Date, model, declined string) {
	b := today.AddDays(r.IntN(365))
	born := care.NewDate(1950+r.IntN(50), b.Month(), min(b.Day(), 28))
	c.Birthday, _ = care.ParseBirthday(born.String())
	if c.Dealer == "shanghai" && i%8 == 0 {
		c.Birthday, _ = care.ParseBirthday(fmt.Sprintf("lunar:%04d-%02d-%02d", born.Year(), 1+r.IntN(12), 1+r.IntN(29)))
	}
	if r.IntN(3) > 0 {
		c.Preferences.Channels = []care.Channel{pick(r, []care.Channel{care.Email, care.SMS})}
	}
	if i%37 == 5 {
		c.Holds = []care.Hold{{Reason: "complaint", Since: today.AddDays(-3), Until: today.AddDays(12)}}
	}
	yes := true
	c.Consent = map[care.Channel]care.Consent{care.Email: {Service: &yes}, care.SMS: {Service: &yes}}
	delivered := today.AddDays(-r.IntN(5 * 365))
	if i%12 == 1 {
		delivered = today.AddDays(r.IntN(25) - 3) // a new car in these weeks
	}
	car := care.Vehicle{
		ID: fmt.Sprintf("LSGDEMO%010d", i), Make: "Buick", Model: model, ModelYear: delivered.Year(), DeliveredOn: delivered,
	}
	age := today.Sub(delivered)
	rate := 20 + r.IntN(50)
	if age > 60 {
		last := today.AddDays(-1 - r.IntN(min(age-30, 600)))
		if i%5 == 3 { // in the workshop these days
			last = today.AddDays(-r.IntN(20))
		}
		km := last.Sub(delivered) * rate
		visit := care.Visit{Order: fmt.Sprintf("RO-%05d", i), ClosedOn: last, KM: &km, Technician: "Li"}
		if i%6 == 0 {
			visit.Declined = []string{declined}
		}
		car.Visits = []care.Visit{visit}
		car.Odometer = []care.Reading{{On: delivered.AddDays(last.Sub(delivered) / 2), KM: km / 2}}
		car.InsuranceUntil = today.AddDays(r.IntN(365))
		car.InspectionDue = today.AddDays(r.IntN(730))
		car.Warranty = care.Warranty{Until: delivered.AddMonths(36), KM: 60000}
	}
	c.Vehicles = []care.Vehicle{car}
}

// records returns the customers as the documents that a dealership's system would write.
func records(customers []*care.Customer) ([]string, [][]byte, error) {
	ids, docs := make([]string, len(customers)), make([][]byte, len(customers))
	for i, c := range customers {
		doc, err := json.Marshal(c)
		if err != nil {
			return nil, nil, fmt.Errorf("customer %s: %w", c.ID, err)
		}
		ids[i], docs[i] = c.ID, doc
	}
	return ids, docs, nil
}

func startOf(day care.Date, loc *time.Location) time.Time { return day.At(0, 0, loc) }
