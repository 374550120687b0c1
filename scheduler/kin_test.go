package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
)

// One car, two records (design A2): the former owner hears no more of a car that another has now; a household is told once per address.
func TestOneCarTwoRecords(t *testing.T) {
	t.Parallel()
	const vin = "LSGHXRT911E8R0001"
	person := func(id, rest, vehicle, delivered string) string {
		return fmt.Sprintf(`{"id":"%s",%s"vehicles":[{"id":"%s","make":"Buick","model":"Regal","delivered_on":"%s","insurance_until":"2027-01-15"}]}`, id, rest, vehicle, delivered)
	}
	const one, two = `"phone":"+8613800138001",`, `"phone":"+8613800138002",`
	for name, c := range map[string]struct {
		people []string
		want   string
	}{
		"the car was sold on":            {[]string{person("C1", one, vin, "2021-03-01"), person("C2", two, vin, "2026-10-01")}, "C2"},
		"whatever the ids":               {[]string{person("C1", one, vin, "2026-10-01"), person("C2", two, vin, "2021-03-01")}, "C1"},
		"the VIN in small letters":       {[]string{person("C1", one, strings.ToLower(vin), "2021-03-01"), person("C2", two, vin, "2026-10-01")}, "C2"},
		"sold on twice":                  {[]string{person("C1", one, vin, "2021-03-01"), person("C2", two, vin, "2023-01-01"), person("C3", `"phone":"+8613800138003",`, vin, "2026-10-01")}, "C3"},
		"with another's number":          {[]string{person("C1", one, vin, "2021-03-01"), person("C2", one, vin, "2026-10-01")}, "C2"},
		"at another of the dealers":      {[]string{person("C1", one, vin, "2021-03-01"), person("C2", two+`"dealer":"bj",`, vin, "2026-10-01")}, "C2"},
		"another dealer's own number":    {[]string{person("C1", one, "V1", "2021-03-01"), person("C2", two+`"dealer":"bj",`, "V1", "2026-10-01")}, "C1 C2"},
		"the same dealer's own number":   {[]string{person("C1", one, "V1", "2021-03-01"), person("C2", two, "V1", "2026-10-01")}, "C2"},
		"a household with one phone":     {[]string{person("C1", one+`"household":"H",`, vin, "2024-12-05"), person("C2", one+`"household":"H",`, vin, "2024-12-05")}, "C1"},
		"a household with two phones":    {[]string{person("C1", one+`"household":"H",`, vin, "2024-12-05"), person("C2", two+`"household":"H",`, vin, "2025-12-05")}, "C1 C2"},
		"one phone, two cars":            {[]string{person("C1", one, vin, "2024-12-05"), person("C2", one, "LSGHXRT911E8R0002", "2024-12-05")}, "C1 C2"},
		"delivered on one day":           {[]string{person("C1", one, vin, "2024-12-05"), person("C2", two, vin, "2024-12-05")}, "C1 C2"},
		"nobody knows since when":        {[]string{person("C1", one, vin, ""), person("C2", two, vin, "2026-10-01")}, "C1 C2"},
		"it will be handed over in time": {[]string{person("C1", one, vin, "2021-03-01"), person("C2", two, vin, "2027-02-01")}, "C1 C2"},
	} {
		program := testProgram("insurance", care.OnInsuranceEnd)
		program.Steps[0].Offset = care.Offset{Days: -30}
		other := *testDealer()
		other.Dealer = "bj"
		p, _ := New(&care.Book{Dealers: []*care.Dealer{testDealer(), &other}, Programs: []*care.Program{program}}, Capabilities{})
		var all []*care.Facts
		for _, record := range c.people {
			if !strings.Contains(record, `"dealer"`) {
				record = strings.Replace(record, `"vehicles"`, `"dealer":"sh","vehicles"`, 1)
			}
			all = append(all, facts(t, strings.Replace(record, `"delivered_on":"",`, "", 1)))
		}
		meet(p, all)
		var got []string
		for _, f := range all {
			for _, o := range p.Plan(f, Request{From: at(t, "2026-12-01"), To: at(t, "2027-03-01")}) {
				if o.Verdict == care.Send {
					got = append(got, o.Customer)
				}
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v get it, want %s", name, got, c.want)
		}
	}
}

// A household has one car with two dates of delivery: the message of a round goes once, at the first of them, however far a plan looks.
func TestTheFirstDateCountsForAHousehold(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("anniversary", care.OnAnniversary))
	const record = `{"id":"%s","phone":"+8613800138001","household":"H","vehicles":[{"id":"%s","make":"Buick","model":"Regal","delivered_on":"%s"}]}`
	all := []*care.Facts{
		facts(t, fmt.Sprintf(record, "C1", "LSGHXRT911E8R0001", "2024-09-06")), facts(t, fmt.Sprintf(record, "C2", "lsghxrt911e8r0001", "2024-06-06")),
	}
	meet(p, all)
	var year, sent []string
	for _, f := range all {
		for _, o := range p.Plan(f, Request{From: at(t, "2026-01-01"), To: at(t, "2027-01-01")}) {
			year = append(year, fmt.Sprint(o.Customer, " ", o.Verdict, " ", o.Reason))
		}
	}
	for day := at(t, "2026-05-01"); day.Before(at(t, "2026-12-01")); day = day.AddDate(0, 0, 1) {
		for _, f := range all {
			for _, o := range p.Plan(f, Request{From: day, To: day.AddDate(0, 0, 1)}) {
				sent = append(sent, fmt.Sprint(o.Customer, " ", o.Verdict, " ", o.Reason))
				f.Ledger = care.Ledger{o.ID: queuedEntry(o, care.StateSent, o.Release)}
			}
		}
	}
	slices.Sort(year)
	slices.Sort(sent)
	if want := []string{"C1 skip " + duplicateHousehold, "C2 send "}; !slices.Equal(year, want) || !slices.Equal(sent, want) {
		t.Errorf("the year's plan says %q, day by day %q, want %q", year, sent, want)
	}
}

// A cap counts the messages of an address, whoever they are for.
func TestCapsCountPerAddress(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, capped(map[string]int{"default": 1}), daily("a", 50, care.Service, "2026-11-02"), testProgram("birthday", care.OnBirthday))
	all := []*care.Facts{
		facts(t, `{"id":"C1","phone":"+8613800138000","birthday":"--11-03"}`), facts(t, `{"id":"C2","phone":"+8613800138000","birthday":"--11-04"}`),
		facts(t, `{"id":"C3","phone":"+8613800138003","birthday":"--11-04"}`),
	}
	meet(p, all)
	sent := map[string]int{}
	for _, f := range all {
		for _, o := range p.Plan(f, Request{From: at(t, "2026-11-01"), To: at(t, "2026-11-08")}) {
			if o.Verdict == care.Send {
				sent[f.Customer.Phone]++
			}
		}
	}
	if sent["+8613800138000"] != 1 || sent["+8613800138003"] != 1 {
		t.Errorf("in a week go %v", sent)
	}
}

// A number that very many have is nobody's own, and a group has an end.
func TestGroupsAreBounded(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer())
	kin := p.NewKin()
	for i := range 500 {
		f := facts(t, fmt.Sprintf(`{"id":"C%03d","phone":"+8613800138000","email":"m%d@example.com"}`, i, i/2))
		kin.Add(f)
		kin.Add(f) // a scan may meet somebody twice
	}
	kin.Close()
	if n := len(kin.Groups()); n != 250 {
		t.Errorf("%d groups, want 250 pairs", n)
	}
	late := facts(t, `{"id":"NEW","phone":"+8613900139000","email":"m7@example.com"}`)
	kin.Add(late)
	if got := kin.Of(late); !slices.Equal(got, []string{"C014", "C015"}) {
		t.Errorf("who comes later shares with %v", got)
	}
}
