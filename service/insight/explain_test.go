package insight

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/scheduler"
	"github.com/carebell/carebell/service/carebook"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func explainOne(t *testing.T, book *carebook.Compiled, record string, opt ExplainOptions) *Explanation {
	t.Helper()
	opt.File = filepath.Join(t.TempDir(), "one.jsonl")
	if err := os.WriteFile(opt.File, []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := serviceOf(book).Explain(t.Context(), care.CommandLine(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// A program that brings nothing within the year says which fact is missing, or when it was or will be.
func TestExplainSaysWhyNothingIsDue(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, vehicles, birthday, program, nothing, why string
	}{
		{"no car", `[]`, "", "maintenance", "no_vehicle", "no car in the record"},
		{"sold", `[{"id":"V","delivered_on":"2020-01-01","sold_on":"2026-01-02"}]`, "", "delivery-anniversary", "sold", "the car was sold on 2026-01-02"},
		{"no delivery", `[{"id":"V"}]`, "", "welcome", "no_delivery", "no delivery date"},
		{"long over", `[{"id":"V","delivered_on":"2020-01-01"}]`, "", "welcome", "over", "was on 2020-01-01, round once; its messages are over"},
		{"no birthday", `[]`, "", "birthday", "no_birthday", "no birthday"},
		{"no baseline", `[{"id":"V","make":"Buick"}]`, "", "maintenance", "no_baseline", "neither a service nor a delivery date to count from"},
		{"never came", `[{"id":"V","delivered_on":"2026-11-01"}]`, "", "service-followup", "no_visit", "no visit"},
		{"no warranty", `[{"id":"V","delivered_on":"2026-11-01"}]`, "", "warranty", "no_warranty", "no warranty in the record"},
		{"insurance", `[{"id":"V"}]`, "", "insurance", "no_insurance", "no insurance date"},
		{"inspection", `[{"id":"V"}]`, "", "inspection", "no_inspection", "no inspection date"},
		{"inspection later", `[{"id":"V","inspection_due":"2030-03-31"}]`, "", "inspection", "later", "next on 2030-03-31"},
		{"no recall", `[{"id":"V","make":"Saab"}]`, "", "recall", "no_bulletin", "no bulletin is about this car"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			record := fmt.Sprintf(`{"id":"C","vehicles":%s,"birthday":%q}`, tc.vehicles, tc.birthday)
			x := explainOne(t, defaultBook(), record, ExplainOptions{Customer: "C", Program: tc.program, Locale: "en"})
			if len(x.Programs) != 1 || len(x.Programs[0].Next) != 0 || x.Programs[0].Nothing != tc.nothing || x.Programs[0].Why != tc.why {
				t.Errorf("got %+v, want %s: %s", x.Programs, tc.nothing, tc.why)
			}
		})
	}
}

func TestExplainSaysThatAProgramIsOff(t *testing.T) {
	t.Parallel()
	for change, want := range map[string]string{"enabled: false\n": "disabled", "until: 2026-01-01\n": "ended"} {
		raw, err := os.ReadFile("../../config/book/programs/birthday.yaml")
		if err != nil {
			t.Fatal(err)
		}
		dir := bookWith(t, "programs/birthday.yaml", string(raw)+change)
		x := explainOne(t, mustOpen(dir), `{"id":"C","birthday":"--12-24","phone":"13800138000"}`, ExplainOptions{Customer: "C", Program: "birthday", Locale: "en"})
		if got := x.Programs[0]; got.Nothing != want || len(got.Next) != 0 {
			t.Errorf("%q: got %+v, want %s", change, got, want)
		}
	}
}

// Every kind, reason and name that a report looks up has words in each language. That the languages agree in their values, and that
// texts with a key of their own are there, is held by the test in test/house.
func TestWordsAreInEveryLanguage(t *testing.T) {
	t.Parallel()
	names := map[string][]string{
		"flaw": FlawKinds,
		"reason": {
			"expired", "sold", "serviced", "appointment", "superseded", "duplicate_household", "merged", "erased", "hold", "paused", "brake",
			"capacity", "capped", "not_in_audience", "topic_off", "no_consent", "opted_out", "suppressed_address", "no_channel",
			"defective_record", noAddress, badAddress,
		},
		"forecast.outcome": {"put_off", "merged", "stopped"},
		"explain.consent":  {"record", "dealer", "overlay", "law"},
	}
	for _, ch := range care.Channels {
		names["report.channel"] = append(names["report.channel"], string(ch))
	}
	for _, class := range []care.Class{care.Safety, care.Service, care.Care, care.Commercial} {
		names["class"] = append(names["class"], string(class))
	}
	for day := time.Sunday; day <= time.Saturday; day++ {
		names["weekday_short"] = append(names["weekday_short"], strings.ToLower(day.String()))
	}
	for month := time.January; month <= time.December; month++ {
		names["month_short"] = append(names["month_short"], strings.ToLower(month.String()))
	}
	for _, l := range texts.All() {
		for prefix, list := range names {
			for _, name := range list {
				if key := prefix + "." + name; l.T(key) == key {
					t.Errorf("%s has no words for %s", l.Tag(), key)
				}
			}
		}
	}
}

// Each gate the planner knows can be said in words.
func TestEveryGateHasWords(t *testing.T) {
	t.Parallel()
	x, err := fileService().Explain(t.Context(), care.CommandLine(), ExplainOptions{Customer: "FULL", File: peopleFile, Locale: "en"})
	if err != nil {
		t.Fatal(err)
	}
	gates := 0
	for _, p := range x.Programs {
		for _, n := range p.Next {
			for _, g := range n.Gates {
				gates++
				if Reason(g.Gate, "en") == g.Gate {
					t.Errorf("the gate %s has no words", g.Gate)
				}
			}
		}
	}
	if gates == 0 {
		t.Error("no gate was asked")
	}
	if got := Reason("hold:complaint", "zh-CN"); got != "处于暂停联系期（complaint）" {
		t.Error(got)
	}
}

// What explain says will go is what plan says, gate for gate.
func TestExplainSaysWhatPlanSays(t *testing.T) {
	t.Parallel()
	service := fileService()
	planned := map[string][]string{}
	opt := quarter()
	opt.Now = testNow
	opt.From = Moment{Time: testNow}
	opt.To = Moment{Time: testNow.AddDate(0, 0, 90)}
	err := service.Plan(t.Context(), care.CommandLine(), opt, func(l PlanLine) error {
		planned[l.Customer] = append(planned[l.Customer], fmt.Sprint(l.ID, l.Release, l.Verdict, l.Reason, l.Channel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, customer := range []string{"FULL", "NOSAY", "BUSY", "TWIN3"} {
		x, err := service.Explain(t.Context(), care.CommandLine(), ExplainOptions{Customer: customer, File: peopleFile, Locale: "en", Others: true})
		if err != nil {
			t.Fatal(err)
		}
		explained := map[string]bool{}
		for _, p := range x.Programs {
			for _, n := range p.Next {
				explained[fmt.Sprint(n.ID, n.Release, n.Verdict, n.Reason, n.Channel)] = true
				stopped := false
				for _, g := range n.Gates {
					stopped = stopped || !g.Pass && g.Channel == ""
				}
				if n.Verdict == care.Send && stopped {
					t.Errorf("%s: %s goes, and a gate stops it: %+v", customer, n.Program, n.Gates)
				}
			}
		}
		for _, line := range planned[customer] {
			if !explained[line] {
				t.Errorf("%s: plan says %s, explain does not", customer, line)
			}
		}
		if len(planned[customer]) == 0 {
			t.Errorf("%s: nothing is planned", customer)
		}
	}
}

// Without reading the others the gates that depend on them say so, instead of letting pass.
func TestExplainMarksWhatItDidNotAsk(t *testing.T) {
	t.Parallel()
	for _, others := range []bool{false, true} {
		x, err := fileService().Explain(t.Context(), care.CommandLine(), ExplainOptions{Customer: "TWIN3", Program: "new-year", File: peopleFile, Locale: "en", Others: others})
		if err != nil {
			t.Fatal(err)
		}
		next := x.Programs[0].Next[0]
		for _, g := range next.Gates {
			if g.Gate != "duplicate_household" {
				continue
			}
			if others && (g.Pass || g.Detail != "TWIN1" || next.Reason != "duplicate_household") {
				t.Errorf("with the others: %+v, %s", g, next.Reason)
			}
			if !others && g.Detail != NotAsked {
				t.Errorf("without the others: %+v", g)
			}
		}
	}
}

// The consent that explain shows with its source is the one by which the planner decides.
func TestConsentIsThePlanners(t *testing.T) {
	t.Parallel()
	checked := defaultBook()
	dealer := checked.Book.Dealers[0]
	rapid.Check(t, func(rt *rapid.T) {
		answer := func(name string) *bool {
			yes := rapid.SampledFrom([]*bool{nil, new(bool), new(true)}).Draw(rt, name)
			return yes
		}
		c := &care.Customer{ID: "C", Phone: "13800138000", Email: "c@example.com", Birthday: care.Birthday{Month: 11, Day: 25}, Consent: map[care.Channel]care.Consent{}}
		f := &care.Facts{ID: "C", Customer: c}
		for _, ch := range []care.Channel{care.SMS, care.Email} {
			if rapid.Bool().Draw(rt, "record") {
				c.Consent[ch] = care.Consent{Service: answer("service"), Care: answer("care"), Commercial: answer("commercial")}
			}
		}
		if rapid.Bool().Draw(rt, "overlay") {
			f.Overlay = &care.Overlay{Grants: map[string]care.Stop{}, Stops: map[string]care.Stop{}}
			scopes := []string{"care", "service", "sms/care", "email/service", "sms", "*"}
			for _, scope := range rapid.SliceOfDistinct(rapid.SampledFrom(scopes), func(s string) string { return s }).Draw(rt, "grants") {
				f.Overlay.Grants[scope] = care.Stop{At: testNow.Add(time.Duration(rapid.IntRange(-1, 1).Draw(rt, "at")) * time.Hour)}
			}
			if rapid.Bool().Draw(rt, "stop") {
				f.Overlay.Stops[rapid.SampledFrom(scopes).Draw(rt, "scope")] = care.Stop{At: testNow}
			}
		}
		for _, o := range checked.Planner.Plan(f, scheduler.Request{From: testNow, To: testNow.AddDate(0, 0, 10), Explain: true}) {
			for _, g := range o.Gates {
				if g.Gate == "no_consent" && consentOf(f, dealer, g.Channel, o.Class).Allowed != g.Pass {
					rt.Fatalf("%s by %s: the planner says %v", o.Class, g.Channel, g.Pass)
				}
			}
		}
	})
}

// The cap that explain names is the one that the planner keeps: that many of a week's messages go when they come, no more.
func TestCapIsThePlanners(t *testing.T) {
	t.Parallel()
	book := bookWith(t, "programs/birthday.yaml", "program: birthday\ntrigger: {on: birthday}\nexpires: 3d\nsteps:\n"+
		"  - {step: a, template: birthday}\n  - {step: b, offset: 1d, template: birthday}\n  - {step: c, offset: 2d, template: birthday}\n"+
		"  - {step: d, offset: 3d, template: birthday}\n  - {step: e, offset: 4d, template: birthday}\n")
	for _, caps := range []string{"caps: {default: {per_week: 2}, A: {per_week: 3}, C: {per_week: 1}}", "caps: {default: none, C: {per_week: 4}}", "caps: {default: {per_week: 0}}"} {
		raw, err := os.ReadFile("../../config/book/dealers.yaml")
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(raw), "caps: {default: {per_week: 2}, A: {per_week: 3}, C: {per_week: 1}}", caps, 1)
		if err := os.WriteFile(filepath.Join(book, "dealers.yaml"), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		checked := mustOpen(book)
		for _, grade := range []string{"", "A", "B", "C"} {
			for _, own := range []*int{nil, new(0), new(1), new(4)} {
				f := &care.Facts{ID: "C", Customer: &care.Customer{ID: "C", Phone: "13800138000", Grade: grade, Birthday: care.Birthday{Month: 11, Day: 25}}}
				f.Overlay = &care.Overlay{Preferences: &care.Preferences{MaxPerWeek: own}}
				from := testNow
				goes := 0
				for _, o := range checked.Planner.Plan(f, scheduler.Request{From: from, To: from.AddDate(0, 0, 20)}) {
					if o.Program == "birthday" && o.Verdict == care.Send && o.Reason == "" {
						goes++
					}
				}
				limit, limited := scheduler.CapOf(f, checked.Book.Dealers[0])
				want := 5
				if limited {
					want = min(limit.Limit, 5)
				}
				if goes != want {
					t.Errorf("%s, grade %q, own %v: %d go, the cap said is %+v (%v)", caps, grade, own, goes, limit, limited)
				}
			}
		}
	}
}

func TestExplainWhoIsNotPlanned(t *testing.T) {
	t.Parallel()
	x, err := fileService().Explain(t.Context(), care.CommandLine(), ExplainOptions{Customer: "STRAY", File: peopleFile, Locale: "en"})
	if err != nil || x.Problem == "" {
		t.Errorf("a customer of an unknown dealer: %+v, %v", x, err)
	}
	if _, err := fileService().Explain(t.Context(), care.CommandLine(), ExplainOptions{Customer: "NOBODY", File: peopleFile}); err == nil {
		t.Error("a customer who is not in the file was explained")
	}
	if _, err := fileService().Explain(t.Context(), care.CommandLine(), ExplainOptions{Customer: "FULL", Program: "birthdya", File: peopleFile}); err == nil || !strings.Contains(err.Error(), "birthday") {
		t.Errorf("a program that does not exist: %v", err)
	}
}

func TestHygieneFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	var got []string
	raw := ""
	customers, err := fileService().Hygiene(t.Context(), care.CommandLine(), HygieneOptions{File: peopleFile}, func(f Flaw) error {
		line, err := json.Marshal(f)
		raw += string(line)
		got = append(got, strings.TrimSpace(f.Kind+" "+f.Customer+" "+f.Path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"defect FLAWED $.birthday", "defect FLAWED $.holds", "defect STRAY $.dealer", "defect testdata/people.jsonl:12 $",
		"bad_phone BADTEL $.phone", "bad_email BADTEL $.email", "duplicate TWIN3 $.phone",
		"unreachable BADTEL $", "unreachable BARE $", "unreachable NOSAY $",
		"not_contacted BADTEL $", "not_contacted BUSY $", "not_contacted TWIN1 $",
		"stale_odometer BADTEL $.vehicles[?@.id=='CAR-BADTEL'].odometer", "stale_odometer BUSY $.vehicles[?@.id=='CAR-BUSY'].odometer",
		"stale_odometer NOSAY $.vehicles[?@.id=='CAR-NOSAY'].odometer", "stale_odometer TWIN1 $.vehicles[?@.id=='CAR-TWIN1'].odometer",
		"odometer_rollback TWIN1 $.vehicles[?@.id=='CAR-TWIN1'].odometer", "odometer_replaced BADTEL $.vehicles[?@.id=='CAR-BADTEL'].odometer",
		"sold SOLD $.vehicles[?@.id=='CAR-SOLD'].sold_on",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if customers != 12 {
		t.Errorf("%d customers, want 12", customers)
	}
	for _, personal := range []string{"138", "1.38E", "example.com", "nobody", "王"} {
		if strings.Contains(raw, personal) {
			t.Errorf("the list holds %q", personal)
		}
	}
}
