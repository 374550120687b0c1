package scheduler

import (
	"os"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
)

// trade is a book like the one a store uses: every care point, two groups that merge, caps by grade.
func trade() ([]*care.Program, *care.Dealer) {
	program := func(name string, class care.Class, trigger care.Trigger, schedule string, expires care.Expiry, priority int, steps ...string) *care.Program {
		p := testProgram(name, trigger.On)
		p.Class, p.Trigger, p.Schedule, p.Expires, p.Priority = class, trigger, schedule, expires, priority
		if len(steps) > 0 {
			p.Steps = nil
		}
		for _, s := range steps {
			step, offset, _ := strings.Cut(s, "@")
			o, err := care.ParseOffset(offset)
			if err != nil {
				panic(err)
			}
			p.Steps = append(p.Steps, care.Step{Step: step, Offset: o, Template: name + "-" + step, Unless: []string{"appointment"}})
		}
		return p
	}
	days := func(n int) care.Expiry { return care.Expiry{Hours: 24 * n} }
	sameDay := care.Expiry{SameDay: true}
	on := func(trigger string) care.Trigger { return care.Trigger{On: trigger} }
	list := []*care.Program{
		program("birthday", care.Care, on(care.OnBirthday), "0 9 * * *", sameDay, 80),
		program("delivery-anniversary", care.Care, on(care.OnAnniversary), "0 10 * * *", days(3), 40),
		program("welcome", care.Care, on(care.OnDelivery), "0 10 * * *", days(5), 70, "welcome@1d", "first-week@7d", "first-month@1m"),
		program("maintenance", care.Service, on(care.OnMaintenanceDue), "30 9 * * MON-SAT", days(7), 70, "heads-up@-14d", "due@0d", "overdue@14d"),
		program("inspection", care.Service, on(care.OnInspectionDue), "0 10 * * *", days(5), 60, "month-before@-30d", "week-before@-7d"),
		program("insurance", care.Service, on(care.OnInsuranceEnd), "0 10 * * *", days(5), 50, "month-before@-30d", "week-before@-7d"),
		program("warranty", care.Service, on(care.OnWarrantyEnd), "0 10 * * *", days(7), 50, "two-months-before@-60d"),
		program("service-followup", care.Service, on(care.OnVisit), "30 10 * * MON-SAT", days(4), 60, "thanks@3d"),
		program("lapsed", care.Care, on(care.OnLastVisit), "0 10 * * TUE-FRI", days(14), 30, "how-are-you@9m", "safety-check@14m"),
		program("spring-festival", care.Care, care.Trigger{On: care.OnCalendar, Festival: "spring_festival"}, "0 9 * * *", sameDay, 60),
		program("mid-autumn", care.Care, care.Trigger{On: care.OnCalendar, Festival: "mid_autumn"}, "0 17 * * *", sameDay, 60),
		program("winter-check", care.Care, care.Trigger{On: care.OnCalendar, SolarTerm: "立冬"}, "0 16 * * *", days(5), 20),
		program("new-year", care.Care, care.Trigger{On: care.OnCalendar, Dates: []string{"--01-01"}}, "0 10 * * *", sameDay, 60),
		program("offer", care.Commercial, care.Trigger{On: care.OnCalendar, Cron: "0 0 1 6,12 *"}, "30 20 * * *", days(3), 10),
		program("qingming", care.Care, care.Trigger{On: care.OnCalendar, Dates: []string{"--04-05"}}, "0 9 * * *", sameDay, 10),
	}
	for _, p := range list {
		switch p.Program {
		case "maintenance", "inspection":
			p.Merge = "workshop"
		case "birthday", "qingming":
			p.Greeting = true
		case "winter-check":
			p.Topic = "seasonal"
		}
	}
	d := testDealer()
	d.Caps = nil // the defaults: 2 a week, A 3, C 1
	return list, d
}

// the customer of the record's specification, with a second car that is new.
const wang = `{"id":"C100001","dealer":"sh","name":"王小明","email":"wang@example.com","phone":"+8613800138000","locale":"zh-CN",
 "time_zone":"Asia/Shanghai","birthday":"lunar:1985-12-30","grade":"A","preferences":{"channels":["sms","email"],"max_per_week":2,"quiet":"21:00-09:00"},
 "consent":{"sms":{"service":true,"commercial":false},"email":{"service":true,"commercial":true,"source":"contract","at":"2024-03-01"}},
 "holds":[{"reason":"complaint","since":"2027-05-30","until":"2027-06-02"}],
 "vehicles":[{"id":"LSGHXRT911E8RM77M","make":"Buick","model":"Regal","model_year":2024,"delivered_on":"2024-02-29",
   "odometer":[{"on":"2026-05-02","km":31000},{"on":"2026-08-02","km":34680}],
   "visits":[{"order":"RO-889","closed_on":"2026-05-02","km":31000,"kind":"maintenance"}],
   "service_interval":{"km":10000,"months":12},"warranty":{"until":"2027-03-01","km":60000},"insurance_until":"2027-02-28","inspection_due":"2027-02-10"},
  {"id":"LSGHXRT911E8RM88N","make":"Buick","model":"GL8","delivered_on":"2026-12-24"}]}`

// A year of one customer. Every line of testdata/year.txt was checked by hand against the rules, caps and holds included.
func TestAYear(t *testing.T) {
	t.Parallel()
	programs, dealer := trade()
	p := newPlanner(t, dealer, programs...)
	want, err := os.ReadFile("testdata/year.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := lines(p.Plan(facts(t, wang), Request{From: at(t, "2026-11-22"), To: at(t, "2027-11-22")}))
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), got); diff != "" {
		t.Errorf("the year (-want +got):\n%s", diff)
	}
}
