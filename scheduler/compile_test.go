package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/google/go-cmp/cmp"
)

// What a marketer reads when a book has a mistake: where it is, what is wrong, what to write.
func TestProblems(t *testing.T) {
	t.Parallel()
	change := func(f func(*care.Program)) func(*care.Book) { return func(b *care.Book) { f(b.Programs[0]) } }
	for _, c := range []struct {
		name   string
		change func(*care.Book)
		want   string // file path rule: message; remedy
	}{
		{"nothing", func(*care.Book) {}, ""},
		{"a zone in the schedule", change(func(p *care.Program) { p.Schedule = "TZ=Asia/Shanghai 0 9 * * *" }), "programs/p.yaml $.schedule schedule-zone"},
		{"CRON_TZ", change(func(p *care.Program) { p.Schedule = "CRON_TZ=UTC" }), "programs/p.yaml $.schedule schedule-zone"},
		{"@every", change(func(p *care.Program) { p.Schedule = "@every 1h" }), "programs/p.yaml $.schedule schedule"},
		{"@daily", change(func(p *care.Program) { p.Schedule = "@daily" }), "programs/p.yaml $.schedule schedule"},
		{"six fields", change(func(p *care.Program) { p.Schedule = "0 0 9 * * *" }), "programs/p.yaml $.schedule schedule"},
		{"never", change(func(p *care.Program) { p.Schedule = "0 9 31 2 *" }), "programs/p.yaml $.schedule schedule-never"},
		{"not every year", change(func(p *care.Program) { p.Schedule = "0 9 29 2 *" }), "programs/p.yaml $.schedule schedule-never"},
		{"once a year is enough", change(func(p *care.Program) { p.Schedule = "0 9 1 1 *" }), ""},
		{"trigger", change(func(p *care.Program) { p.Trigger.On = "moon" }), "programs/p.yaml $.trigger.on trigger"},
		{"class", change(func(p *care.Program) { p.Class = "urgent" }), "programs/p.yaml $.class class"},
		{"channel", change(func(p *care.Program) { p.Channels = []string{"sms", "pigeon"} }), "programs/p.yaml $.channels[1] channel"},
		{"no steps", change(func(p *care.Program) { p.Steps = nil }), "programs/p.yaml $.steps steps"},
		{"step without name", change(func(p *care.Program) { p.Steps[0].Step = "" }), "programs/p.yaml $.steps[0] step-name"},
		{"two steps of one name", change(func(p *care.Program) { p.Steps = append(p.Steps, p.Steps[0]) }), "programs/p.yaml $.steps[1].step step-name"},
		{"unless what", change(func(p *care.Program) { p.Steps[0].Unless = []string{"rain"} }), "programs/p.yaml $.steps[0].unless[0] unless"},
		{"unless a visit", change(func(p *care.Program) { p.Steps[0].Unless = []string{"visit", "appointment"} }), ""},
		{"hours from a date", change(func(p *care.Program) { p.Steps[0].Offset = care.Offset{Hours: -2} }), "programs/p.yaml $.steps[0].offset offset-hours"},
		{"hours from a missed appointment", change(func(p *care.Program) {
			p.Trigger = care.Trigger{On: care.OnAppointment, Missed: true}
			p.Steps[0].Offset = care.Offset{Hours: 2}
		}), "programs/p.yaml $.steps[0].offset offset-hours"},
		{"hours from an appointment", change(func(p *care.Program) {
			p.Trigger = care.Trigger{On: care.OnAppointment}
			p.Steps[0].Offset = care.Offset{Hours: -2}
		}), ""},
		{"hours from a signal", change(func(p *care.Program) {
			p.Trigger = care.Trigger{On: care.OnSignal, Signal: "ready"}
			p.Steps[0].Offset = care.Offset{Hours: 2}
		}), ""},
		{"a signal without a name", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnSignal} }), "programs/p.yaml $.trigger signal-name"},
		{"the end of no hold", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnHoldEnd} }), "programs/p.yaml $.trigger hold-reason"},
		{"the end of a death", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnHoldEnd, Reason: "deceased"} }), "programs/p.yaml $.trigger hold-reason"},
		{"the end of a hold", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnHoldEnd, Reason: "complaint"} }), ""},
		{"calendar without a date", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnCalendar} }), "programs/p.yaml $.trigger calendar"},
		{"festival", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnCalendar, Festival: "easter"} }), "programs/p.yaml $.trigger.festival festival"},
		{"solar term", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnCalendar, SolarTerm: "立立"} }), "programs/p.yaml $.trigger.solar_term solar-term"},
		{"date", change(func(p *care.Program) {
			p.Trigger = care.Trigger{On: care.OnCalendar, Dates: []string{"2026-01-01", "--02-30"}}
		}), "programs/p.yaml $.trigger.dates[1] calendar-date"},
		{"cron of the calendar", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnCalendar, Cron: "0 9 31 2 *"} }), "programs/p.yaml $.trigger.cron schedule-never"},
		{"cron every leap year", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnCalendar, Cron: "0 9 29 2 *"} }), ""},
		{"event that is not there", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnEvent, Event: "ball"} }), "programs/p.yaml $.trigger.event event"},
		{"bulletin that is not there", change(func(p *care.Program) { p.Trigger = care.Trigger{On: care.OnBulletin, Bulletin: "R1"} }), "programs/p.yaml $.trigger.bulletin bulletin"},
		{"audience", change(func(p *care.Program) { p.Audience = "grad == 1" }), "programs/p.yaml $.audience audience"},
		{"audience of an event", func(b *care.Book) {
			b.Events = []*care.Event{{Event: "e", Enabled: true, On: care.NewDate(2026, 1, 1), Audience: "1 + 1", File: "events/e.yaml"}}
		}, "events/e.yaml $.audience audience"},
		{"event without a date", func(b *care.Book) { b.Events = []*care.Event{{Event: "e", Enabled: true, File: "events/e.yaml"}} }, "events/e.yaml $.on event-date"},
		{"a dealer's zone", func(b *care.Book) { b.Dealers[0].TimeZone = "Asia/Shangai" }, "dealers.yaml $.dealers[0].time_zone time-zone"},
		{"Local is no zone", func(b *care.Book) { b.Dealers[0].TimeZone = "Local" }, "dealers.yaml $.dealers[0].time_zone time-zone"},
		{"a dealer's locale", func(b *care.Book) { b.Dealers[0].Locale = "中文" }, "dealers.yaml $.dealers[0].locale locale"},
		{"also where it is switched off", change(func(p *care.Program) { p.Enabled, p.Schedule = false, "soon" }), "programs/p.yaml $.schedule schedule"},
	} {
		book := &care.Book{Dealers: []*care.Dealer{testDealer()}, Programs: []*care.Program{testProgram("p", care.OnDelivery)}}
		asked := ""
		book.Locate = func(file, path string) (int, int, string) {
			asked = file + " " + path
			return 7, 11, "an excerpt"
		}
		c.change(book)
		p, problems := New(book, Capabilities{})
		got := ""
		for _, found := range problems {
			got = asked + " " + found.Rule
			if found.Line != 7 || found.Column != 11 || found.Excerpt == "" || found.Message == "" || found.Remedy == "" || found.Severity != problem.Fault {
				t.Errorf("%s: %+v", c.name, found)
			}
		}
		if got != c.want || len(problems) > 1 {
			t.Errorf("%s: got %q, want %q (%v)", c.name, got, c.want, problems)
		}
		// The planner of a broken book plans the rest and nothing of what is broken.
		if list := p.Plan(withCar(t, `"delivered_on":"2026-11-20"`), years(t, 2026, 2026)); len(problems) > 0 && strings.HasPrefix(c.want, "programs") && len(list) > 0 {
			t.Errorf("%s: planned %v", c.name, lines(list))
		}
	}
}

// The place of a mistake in an audience is that of the mistake, not that of the value.
func TestAudienceMistakesAreShownWhereTheyAre(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line           string
		column         int
		on             string
		wantColumn     int
		caret, message string
	}{
		{`audience: grad == "A"`, 11, care.OnDelivery, 11, "          ^", "there is no word grad; did you mean grade?"},
		{`audience: 'grade == "A" and vehicle.mak == "Buick"'`, 11, care.OnDelivery, 37, strings.Repeat(" ", 36) + "^", "vehicle has no mak; did you mean make?"},
		{`audience: 'vehicle.make == "别克" && age > 3'`, 11, care.OnDelivery, 36, strings.Repeat(" ", 37) + "^", "there is no word age"},
		{`audience: 'vehicle.make == "Buick"'`, 11, care.OnBirthday, 12, strings.Repeat(" ", 11) + "^", "there is no word vehicle"},
		{`audience: grade == 3`, 11, care.OnBirthday, 17, strings.Repeat(" ", 16) + "^", "== does not go with a text and a number"},
		{`audience: age_days + 1`, 11, care.OnBirthday, 11, "", "the answer must be yes or no, and this is a number"},
	} {
		prog := testProgram("p", c.on)
		prog.Audience = strings.Trim(strings.TrimPrefix(c.line, "audience: "), "'")
		book := &care.Book{
			Dealers: []*care.Dealer{testDealer()}, Programs: []*care.Program{prog},
			Files:  fstest.MapFS{"programs/p.yaml": {Data: []byte("program: p\r\n" + c.line + "\r\nsteps: []\n")}},
			Locate: func(string, string) (int, int, string) { return 2, c.column, c.line },
		}
		_, problems := New(book, Capabilities{})
		if len(problems) != 1 {
			t.Errorf("%s: %v", c.line, problems)
			continue
		}
		got := problems[0]
		if got.Line != 2 || got.Column != c.wantColumn || !strings.Contains(got.Message, c.message) {
			t.Errorf("%s: %d:%d %s, want column %d: %s", c.line, got.Line, got.Column, got.Message, c.wantColumn, c.message)
		}
		if c.caret != "" && got.Excerpt != c.line+"\n"+c.caret {
			t.Errorf("excerpt:\n%s", got.Excerpt)
		}
	}
}

func TestAudiences(t *testing.T) {
	t.Parallel()
	record := `{"id":"C1","phone":"1","grade":"A","tags":["ev","vip"],"birthday":"1985-02-20","vehicles":[
		{"id":"V1","make":"Buick","model":"Regal","model_year":2024,"delivered_on":"2024-11-20","odometer":[{"on":"2026-05-02","km":31000}],
		 "visits":[{"closed_on":"2026-10-21","km":36000,"declined":["brake pads"]},{"closed_on":"2025-01-01","kind":"bodywork"}],"warranty":{"until":"2027-11-20","km":60000}},
		{"id":"V2","make":"Audi","model":"A4","delivered_on":"2026-11-10","appointment_at":"2026-12-24T10:00:00+08:00"}]}`
	for _, c := range []struct {
		audience string
		on       string
		want     bool
	}{
		{`grade in ["A","B"] and vehicle.make == "Buick"`, care.OnDelivery, true},
		{`any(vehicle.visits, len(.declined) > 0)`, care.OnDelivery, true},
		{`vehicle.visits[0].kind == "bodywork" && vehicle.visits[1].kind == "maintenance"`, care.OnDelivery, true},
		{`vehicle.km == 36000 && vehicle.age_days == 730 && age_days == 730`, care.OnDelivery, true},
		{`age_days == 10`, care.OnBirthday, true}, // the newest car
		{`days_since_visit == 10`, care.OnBirthday, true},
		{`len(vehicles) == 2 && vehicles[1].appointment && !vehicles[0].appointment`, care.OnBirthday, true},
		{`"ev" in customer.tags and customer.birthday startsWith "1985"`, care.OnBirthday, true},
		{`customer.grade == grade && dealer.country == "CN"`, care.OnBirthday, true},
		{`vehicle.warranty.until < "2027-12-01" && vehicle.delivered_on >= "2024-01-01"`, care.OnDelivery, true},
		{`messages_last_30d == 2`, care.OnBirthday, true},
		{`visit.order == ""`, care.OnVisit, true},
		{`rsvp == ""`, care.OnBirthday, true},
		{`grade == "B"`, care.OnBirthday, false},
		{`vehicles[7].make == "Buick"`, care.OnBirthday, false},
	} {
		prog := testProgram("p", care.OnCalendar)
		prog.Trigger.Dates = []string{"2026-11-20"}
		switch c.on {
		case care.OnDelivery:
			prog.Trigger = care.Trigger{On: care.OnAnniversary}
		case care.OnVisit:
			prog.Trigger = care.Trigger{On: care.OnVisit}
			prog.Steps[0].Offset = care.Offset{Days: 30}
		}
		prog.Audience = c.audience
		f := facts(t, record)
		f.Ledger = care.Ledger{}
		for i, when := range []string{"2026-10-01", "2026-10-22", "2026-11-19", "2026-11-21"} {
			f.Ledger[fmt.Sprint(i)] = care.LedgerEntry{State: care.StateSent, At: at(t, when)}
		}
		list := newPlanner(t, testDealer(), prog).Plan(f, Request{From: at(t, "2026-11-20"), To: at(t, "2026-11-21")})
		if len(list) != 1 || (list[0].Verdict == care.Send) != c.want {
			t.Errorf("%s: %v", c.audience, lines(list))
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	prog := testProgram("invite", care.OnEvent)
	prog.Trigger.Kind = "owners_day"
	prog.Steps = []care.Step{
		{Step: "invitation", Offset: care.Offset{Days: -14}, Template: "i"},
		{Step: "reminder", Offset: care.Offset{Days: -2}, Template: "r"},
		{Step: "thanks", Offset: care.Offset{Days: 2}, Template: "t"},
	}
	event := func(name string, change func(*care.Event)) *care.Event {
		e := &care.Event{Event: name, Enabled: true, Kind: "owners_day", On: care.NewDate(2026, 11, 22), Audience: `grade == "A"`}
		change(e)
		return e
	}
	book := &care.Book{Dealers: []*care.Dealer{testDealer()}, Programs: []*care.Program{prog}, Events: []*care.Event{
		event("day", func(*care.Event) {}),
		event("off", func(e *care.Event) { e.Enabled = false }),
		event("elsewhere", func(e *care.Event) { e.Dealers = []string{"bj"} }),
		event("other", func(e *care.Event) { e.Kind = "drive" }),
	}}
	p, problems := New(book, Capabilities{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	f := facts(t, `{"id":"C1","phone":"1","grade":"A"}`)
	november := Request{From: at(t, "2026-11-01"), To: at(t, "2026-12-01")}
	expect(t, p.Plan(f, november), "2026-11-08 09:00 invite/invitation day sms", "2026-11-20 09:00 invite/reminder day sms", "2026-11-24 09:00 invite/thanks day sms")
	if o := p.Plan(f, november)[0]; o.Subject.Event != book.Events[0] || o.Vehicle != "" || o.Due != care.NewDate(2026, 11, 22) {
		t.Errorf("%+v", o)
	}
	f.Overlay = &care.Overlay{Answers: []care.Answer{
		{Kind: "rsvp", About: "day", Value: "yes", At: at(t, "2026-11-09")}, {Kind: "rsvp", About: "day", Value: "no", At: at(t, "2026-11-10")},
	}}
	for _, o := range p.Plan(f, november) {
		if o.Reason != "not_in_audience" {
			t.Errorf("declined, but %s: %s", o.Step, o.Reason)
		}
	}
	for _, o := range p.Plan(facts(t, `{"id":"C1","phone":"1","grade":"B"}`), november) {
		if o.Reason != "not_in_audience" {
			t.Errorf("not invited, but %s: %s", o.Step, o.Reason)
		}
	}
}

func TestBulletins(t *testing.T) {
	t.Parallel()
	car := func(id, vehicleMake, model string, year int) string {
		return fmt.Sprintf(`{"id":"C1","phone":"1","vehicles":[{"id":"%s","make":"%s","model":"%s","model_year":%d}]}`, id, vehicleMake, model, year)
	}
	for _, c := range []struct {
		match  care.Match
		record string
		want   bool
	}{
		{care.Match{Make: "Buick", Model: "Regal"}, car("V1", "Buick", "Regal", 2024), true},
		{care.Match{Make: "buick", Model: "*"}, car("V1", "别克", "GL8", 2024), true}, // the dealer's alias
		{care.Match{Make: "Buick", Model: "Regal"}, car("V1", "Buick", "GL8", 2024), false},
		{care.Match{Make: "Buick"}, car("V1", "Audi", "A4", 2024), false},
		{care.Match{ModelYears: []int{2022, 2024}}, car("V1", "Audi", "A4", 2024), true},
		{care.Match{ModelYears: []int{2022, 2024}}, car("V1", "Audi", "A4", 2025), false},
		{care.Match{ModelYears: []int{2022, 2024}}, car("V1", "Audi", "A4", 0), false},
		{care.Match{ModelYears: []int{2024}}, car("V1", "Audi", "A4", 2024), true},
		{care.Match{VIN: care.VINRange{From: "LSG001", To: "LSG009"}}, car("LSG009", "Buick", "Regal", 2024), true},
		{care.Match{VIN: care.VINRange{From: "LSG001", To: "LSG009"}}, car("LSG010", "Buick", "Regal", 2024), false},
		{care.Match{VIN: care.VINRange{From: "LSG001", To: "LSG009"}}, car("LSG0010", "Buick", "Regal", 2024), false},
		{care.Match{Make: "*", Model: "*"}, car("V1", "Audi", "A4", 0), true},
	} {
		d := testDealer()
		d.MakeAliases = map[string]string{"别克": "Buick"}
		prog := testProgram("recall", care.OnBulletin)
		prog.Class, prog.Trigger.Kind = care.Safety, "recall"
		bulletin := &care.Bulletin{Bulletin: "R1", Enabled: true, Kind: "recall", PublishedOn: care.NewDate(2026, 11, 20), Match: []care.Match{{Make: "Nobody"}, c.match}}
		p, problems := New(&care.Book{Dealers: []*care.Dealer{d}, Programs: []*care.Program{prog}, Bulletins: []*care.Bulletin{bulletin, {Bulletin: "N1", Enabled: true, Kind: "recall", PublishedOn: care.NewDate(2026, 11, 20)}}}, Capabilities{})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		list := p.Plan(facts(t, c.record), Request{From: at(t, "2026-11-20"), To: at(t, "2026-11-21")})
		if (len(list) == 1 && list[0].Cycle == "R1" && list[0].Subject.Bulletin == bulletin) != c.want {
			t.Errorf("%+v and %s: %v", c.match, c.record, lines(list))
		}
	}
}

func TestDefectsOfPlanning(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), testProgram("p", care.OnDelivery))
	for _, c := range []struct {
		extra string
		paths []string
		want  string // the release, "" for none
	}{
		{``, nil, "2026-11-20T09:00:00+08:00"},
		{`,"dealer":"sh","time_zone":"America/New_York","locale":"en-GB"`, nil, "2026-11-20T09:00:00-05:00"},
		{`,"time_zone":"Mars/Olympus"`, []string{"$.time_zone"}, "2026-11-20T09:00:00+08:00"},
		{`,"time_zone":"Local","locale":"x"`, []string{"$.time_zone", "$.locale"}, "2026-11-20T09:00:00+08:00"},
		{`,"locale":"en_US"`, []string{"$.locale"}, "2026-11-20T09:00:00+08:00"},
		{`,"dealer":"bj"`, []string{"$.dealer"}, ""},
	} {
		f := facts(t, `{"id":"C1","phone":"1","vehicles":[{"id":"V1","delivered_on":"2026-11-20"}]`+c.extra+`}`)
		var paths []string
		for _, d := range p.Defects(f) {
			paths = append(paths, d.Path)
		}
		if diff := cmp.Diff(c.paths, paths); diff != "" {
			t.Errorf("%s: %s", c.extra, diff)
		}
		got := ""
		for _, o := range p.Plan(f, years(t, 2026, 2026)) {
			got = o.Release.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s: released at %q, want %q", c.extra, got, c.want)
		}
	}
}

func TestProgramDates(t *testing.T) {
	t.Parallel()
	prog := daily("p", 50, care.Service, "2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05")
	prog.From, prog.Until = care.NewDate(2026, 11, 3), care.NewDate(2026, 11, 4)
	p := newPlanner(t, testDealer(), prog)
	expect(t, p.Plan(facts(t, person+"}"), years(t, 2026, 2026)), "2026-11-03 09:00 p/due 2026-11-03 sms", "2026-11-04 09:00 p/due 2026-11-04 sms")
	prog.Enabled = false
	if list := newPlanner(t, testDealer(), prog).Plan(facts(t, person+"}"), years(t, 2026, 2026)); len(list) > 0 {
		t.Errorf("switched off: %v", lines(list))
	}
}
