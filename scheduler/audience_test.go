package scheduler

import (
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// askedOf asks an audience about a customer on 20 November 2026; a program of cars is asked for each car, and the answers are joined.
func askedOf(t *testing.T, record, audience, on string) (answers, why string) {
	t.Helper()
	prog := testProgram("p", on)
	if on == care.OnCalendar {
		prog.Trigger.Dates = []string{"2026-11-20"}
	}
	prog.Audience = audience
	d := testDealer()
	d.MakeAliases = map[string]string{"别克": "Buick", "上汽通用别克": "Buick", "奥迪": "Audi"}
	p, problems := New(&care.Book{Dealers: []*care.Dealer{d}, Programs: []*care.Program{prog}}, Capabilities{Also: func(string, string, care.Channel, []string) bool { return false }})
	if len(problems) > 0 {
		t.Fatalf("%s: %v", audience, problems)
	}
	for _, o := range p.Plan(facts(t, record), Request{From: at(t, "2026-11-20"), To: at(t, "2026-11-21"), Explain: true}) {
		answers += map[bool]string{true: "y", false: "n"}[o.Verdict == care.Send]
		for _, g := range o.Gates {
			if g.Gate == "not_in_audience" {
				why = g.Detail
			}
		}
	}
	return answers, why
}

const owner = `{"id":"C1","phone":"+8613800138000","grade":"A","tags":["ev","vip"],"vehicles":[
	{"id":"V1","make":"别克","model":"Regal","powertrain":"ev","delivered_on":"2024-11-20","insurance_until":"2027-02-28","visits":[{"closed_on":"2026-10-21"}]},
	{"id":"V2","make":"Audi","model":"A4","delivered_on":"2025-11-20"},
	{"id":"V3","make":"Buick","model":"GL8","delivered_on":"2026-01-01","sold_on":"2026-05-01"}]}`

func TestWhatAnAudienceSees(t *testing.T) {
	t.Parallel()
	for audience, want := range map[string]string{
		// Sold cars are none of the customer's.
		`len(vehicles) == 2`:              "y",
		`any(vehicles, .model == "GL8")`:  "n",
		`age_days == 365`:                 "y",
		`none(vehicles, .id == "V3")`:     "y",
		`all(vehicles, .model != "GL8")`:  "y",
		`count(vehicles, .age_days>0)==2`: "y",
		// Makes compare through the dealer's aliases.
		`any(vehicles, .make == "Buick")`:                      "y",
		`any(vehicles, .make == "buick")`:                      "y",
		`any(vehicles, .make == "别克")`:                         "y",
		`any(vehicles, .make == "上汽通用别克")`:                     "y",
		`any(vehicles, "奥迪" == .make)`:                         "y",
		`any(vehicles, .make == "Opel")`:                       "n",
		`all(vehicles, .make != "Opel")`:                       "y",
		`all(vehicles, .make != "Buick")`:                      "n",
		`all(vehicles, .make in ["Buick", "奥迪"])`:              "y",
		`any(vehicles, .make in ["Opel", "上汽通用别克"])`:           "y",
		`any(vehicles, .make not in ["Buick"])`:                "y",
		`any(vehicles, .make in ["Opel", "Ford"])`:             "n",
		`vehicles[0].make == vehicles[0].make`:                 "y",
		`any(vehicles, .powertrain == "ev")`:                   "y",
		`vehicles[0].make == "Buick" ? true : false`:           "y",
		`filter(vehicles, .make == "Audi")[0].age_days == 365`: "y",
		// Dates compare with dates; who has none is neither before nor after.
		`vehicles[0].insurance_until < "2027-03-01"`:                                "y",
		`vehicles[0].insurance_until >= "2027-03-01"`:                               "n",
		`"2027-03-01" > vehicles[0].insurance_until`:                                "y",
		`vehicles[1].insurance_until < "2027-03-01"`:                                "n",
		`vehicles[1].insurance_until > "2027-03-01"`:                                "n",
		`vehicles[1].insurance_until == ""`:                                         "y",
		`vehicles[0].insurance_until != ""`:                                         "y",
		`vehicles[0].insurance_until > vehicles[0].delivered_on`:                    "y",
		`vehicles[1].insurance_until <= vehicles[1].delivered_on`:                   "n",
		`any(vehicles, .warranty.until < "2030-01-01")`:                             "n",
		`any(vehicles[0].visits, .closed_on >= "2026-10-01" and .kind != "repair")`: "y",
		// Tags.
		`"ev" in tags`:                         "y",
		`"vip" in customer.tags`:               "y",
		`"gold" in tags`:                       "n",
		`any(tags, # startsWith "v")`:          "y",
		`len(tags) == 2 and not ("x" in tags)`: "y",
		// Ranges and sums.
		`grade in ["A", "B"] and age_days in 300..400`: "y",
		`sum(vehicles, .age_days) == 1095`:             "y",
		`age_days + 30 < 400`:                          "y",
	} {
		if got, why := askedOf(t, owner, audience, care.OnCalendar); got != want {
			t.Errorf("%s: %s (%s), want %s", audience, got, why, want)
		}
	}
	if got, _ := askedOf(t, owner, `vehicle.make == "别克" and vehicle.powertrain == "ev"`, care.OnAnniversary); got != "yn" {
		t.Errorf("of each car: %s", got)
	}
}

// Whatever an audience asks, it is answered soon: what takes too much work is not in it, and explain says so.
func TestAnAudienceIsBounded(t *testing.T) {
	t.Parallel()
	many := strings.Repeat(`{"closed_on":"2025-01-01","declined":["a","b","c"]},`, 300)
	record := `{"id":"C1","phone":"+8613800138000","vehicles":[{"id":"V1","visits":[` + strings.TrimSuffix(many, ",") + `]}]}`
	for _, audience := range []string{
		`let r = 1..900; all(r, all(r, all(r, true)))`,
		`let r = 1..900; sum(r, sum(r, sum(r, 1))) > 0`,
		`let r = 1..900; count(r, any(r, # in r and any(r, # == 901))) == 0`,
		`let v = vehicles[0].visits; all(v, all(v, all(v, len(.declined) == 3)))`,
		`let r = map(1..900, 1..900); all(r, all(#, all(r, true)))`,
		`let r = 1..900; len(filter(r, len(filter(r, len(map(r, # * 2)) > 0)) > 899)) > 899`,
		`let r = 1..900; find(r, all(r, any(r, # > 899))) == 0 or all(r, all(r, true))`,
	} {
		began := time.Now()
		got, why := askedOf(t, record, audience, care.OnCalendar)
		if took := time.Since(began); got != "n" || took > 2*time.Second {
			t.Errorf("%s: %s after %v", audience, got, took)
		}
		if !strings.Contains(why, "10,000 steps") && !strings.Contains(why, "memory") {
			t.Errorf("%s: explain says %q", audience, why)
		}
	}
	if got, why := askedOf(t, record, `count(vehicles[0].visits, count(.declined, # != "d") == 3) == 300`, care.OnCalendar); got != "y" {
		t.Errorf("some hundred steps are too many: %s", why)
	}
}

// What an audience may not ask is refused when the book is read, in plain words.
func TestWhatAnAudienceMayNotAsk(t *testing.T) {
	t.Parallel()
	for audience, want := range map[string]string{
		`now().Year() > 2020`:                     "there is no word now",
		`date("2026-01-01") > date("2025-01-01")`: "there is no word date",
		`duration("1h") > duration("2h")`:         "there is no word duration",
		`reduce(1..500, #acc + #acc, 1) > 0`:      "there is no word reduce",
		`repeat("x", 100) == ""`:                  "there is no word repeat",
		`customer.name + customer.name == "x"`:    "texts cannot be joined here",
		`any(1..9000, # > 1)`:                     "a range has two numbers",
		`any(1..age_days, # > 1)`:                 "a range has two numbers",
		`vehicle.insurance_until < "2027-1-1"`:    `"2027-1-1" is no date: write YYYY-MM-DD`,
		`vehicle.insurance_until < "1.5.2027"`:    `"1.5.2027" is no date`,
		`vehicle.insurance_until < ""`:            `"" is no date`,
		`"soon" == vehicle.delivered_on`:          `"soon" is no date`,
		`vehicle.delivered_on > 2020`:             "> does not go with a text and a number",
		`vehicle.age_days > "100"`:                "> does not go with a number and a text",
		`grade = "A"`:                             "cannot stand here",
		`grade == "A" and`:                        "it breaks off here",
		`vehicle.modle == "Regal"`:                "vehicle has no modle; did you mean model?",
		`custmer.grade == "A"`:                    "there is no word custmer; did you mean customer?",
		`any(vehicles, .plat == "")`:              "vehicle has no plat; did you mean plate?",
		`vehicle.warranty.km`:                     "the answer must be yes or no, and this is a number",
		`any(vehicles, .model)`:                   "must be answered by yes or no, and this is a text",
		`any(customer, true)`:                     "any asks a list, and this is customer",
		`not grade`:                               "not does not go with a text",
		`grade ? true : false`:                    "a condition must be answered by yes or no, and this is a text",
		`toJSON(customer) contains "x"`:           "there is no word toJSON",
		`len(split(customer.name, "")) > 2`:       "there is no word split",
	} {
		prog := testProgram("p", care.OnDelivery)
		prog.Audience = audience
		_, problems := New(&care.Book{Dealers: []*care.Dealer{testDealer()}, Programs: []*care.Program{prog}}, Capabilities{})
		if len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: %v, want %s", audience, problems, want)
		}
	}
}
