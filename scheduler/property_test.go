package scheduler

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func unlessVisit(p *care.Program) {
	for i := range p.Steps {
		p.Steps[i].Unless = []string{"visit"}
	}
}

// everything is a set of programs that between them use all triggers, schedules that skip days and months, offsets of every kind,
// and every sort of expiry.
func everything() []*care.Program {
	with := func(p *care.Program, change func(*care.Program)) *care.Program {
		change(p)
		return p
	}
	steps := func(offsets ...string) func(*care.Program) {
		return func(p *care.Program) {
			p.Steps = nil
			for i, s := range offsets {
				o, err := care.ParseOffset(s)
				if err != nil {
					panic(err)
				}
				p.Steps = append(p.Steps, care.Step{Step: fmt.Sprint("s", i), Offset: o, Template: p.Program + fmt.Sprint(i), Unless: []string{"appointment"}})
			}
		}
	}
	return []*care.Program{
		with(testProgram("birthday", care.OnBirthday), func(p *care.Program) { p.Greeting, p.Class, p.Expires = true, care.Care, care.Expiry{SameDay: true} }),
		with(testProgram("welcome", care.OnDelivery), steps("0d", "1w", "1m", "6m")),
		with(testProgram("anniversary", care.OnAnniversary), func(p *care.Program) { p.Schedule, p.Greeting = "30 21 * * *", true }),
		with(testProgram("maintenance", care.OnMaintenanceDue), func(p *care.Program) {
			steps("-14d", "0d", "14d")(p)
			p.Schedule, p.Expires = "30 9 * * MON-SAT", care.Expiry{Hours: 7 * 24}
		}),
		with(testProgram("visit", care.OnVisit), func(p *care.Program) { steps("3d", "30d")(p); p.Schedule = "0 10 * * TUE,FRI" }),
		with(testProgram("lapsed", care.OnLastVisit), func(p *care.Program) {
			steps("1m", "9m")(p)
			p.Schedule, p.Expires = "15 2 * * *", care.Expiry{Hours: 24 * 14}
		}),
		with(testProgram("warranty", care.OnWarrantyEnd), func(p *care.Program) { steps("-60d", "-1m")(p); p.Audience = "age_days > 100 && messages_last_30d < 3" }),
		with(testProgram("insurance", care.OnInsuranceEnd), func(p *care.Program) { steps("-30d", "-7d", "-3d")(p); p.Expires = care.Expiry{Hours: 24 * 25} }),
		with(testProgram("inspection", care.OnInspectionDue), func(p *care.Program) { p.Schedule, p.Expires = "0 9 1 * *", care.Expiry{Hours: 40} }),
		with(testProgram("festival", care.OnCalendar), func(p *care.Program) {
			p.Trigger.Festival, p.Class, p.Schedule = "mid_autumn", care.Commercial, "0 19 * * *"
		}),
		with(testProgram("term", care.OnCalendar), func(p *care.Program) {
			p.Trigger.SolarTerm, p.Trigger.Dates = "立冬", []string{"--04-05", "2026-12-24"}
			p.Greeting = true
		}),
		with(testProgram("cron", care.OnCalendar), func(p *care.Program) {
			p.Trigger.Cron, p.Class = "0 10 13 * *", care.Safety
			p.Channels = []string{"email", "sms"}
		}),
		with(testProgram("reminder", care.OnAppointment), func(p *care.Program) { steps("-2d", "-3h", "0d")(p); unlessVisit(p) }),
		with(testProgram("missed", care.OnAppointment), func(p *care.Program) { p.Trigger.Missed = true; steps("0d", "5d")(p) }),
		with(testProgram("settled", care.OnHoldEnd), func(p *care.Program) { p.Trigger.Reason = "h1"; steps("0d", "14d")(p); unlessVisit(p) }),
	}
}

func drawDate(t *rapid.T, name string) string {
	return care.NewDate(2025, 6, 1).AddDays(rapid.IntRange(0, 900).Draw(t, name)).String()
}

// drawRecord draws a customer; it returns JSON, so that it is read as every record is.
func drawRecord(t *rapid.T) string {
	maybe := func(name, text string) string {
		if rapid.Bool().Draw(t, name) {
			return text
		}
		return ""
	}
	record := `{"id":"C1","email":"a@example.com","phone":"+8613800138000"`
	record += maybe("zone", `,"time_zone":"`+rapid.SampledFrom([]string{"America/New_York", "Pacific/Kiritimati", "Pacific/Niue", "Europe/London", "Asia/Kathmandu"}).Draw(t, "tz")+`"`)
	record += maybe("locale", `,"locale":"en"`)
	record += `,"birthday":"` + rapid.SampledFrom([]string{"", "--04-05", "--02-29", "1990-08-27", "lunar:--12-eve", "lunar:1985-L06-15", "lunar:--11-30"}).Draw(t, "birthday") + `"`
	record += maybe("quiet", `,"preferences":{"quiet":"20:30-10:15","channels":["email"]}`)
	record += maybe("consent", `,"consent":{"email":{"service":true,"commercial":true},"sms":{"service":false}}`)
	record += `,"holds":[`
	for i := range rapid.IntRange(0, 2).Draw(t, "holds") {
		if i > 0 {
			record += ","
		}
		from := drawDate(t, "since")
		d, _ := care.ParseDate(from)
		record += fmt.Sprintf(`{"reason":"h%d","since":"%s","until":"%s"}`, i, from, d.AddDays(rapid.IntRange(0, 20).Draw(t, "length")))
	}
	record += `],"vehicles":[`
	for i := range rapid.IntRange(0, 2).Draw(t, "vehicles") {
		if i > 0 {
			record += ","
		}
		record += fmt.Sprintf(`{"id":"V%d","make":"Buick","model":"Regal","delivered_on":"%s","insurance_until":"%s","inspection_due":"%s",
			"warranty":{"until":"%s","km":%d}`, i, drawDate(t, "delivered"), drawDate(t, "insurance"), drawDate(t, "inspection"), drawDate(t, "warranty"), rapid.IntRange(0, 60000).Draw(t, "warranty km"))
		record += maybe("sold", `,"sold_on":"`+drawDate(t, "sold on")+`"`)
		record += maybe("appointment", `,"appointment_at":"`+drawDate(t, "on")+`T10:00:00+08:00"`)
		record += `,"odometer":[` + drawReadings(t, "odometer", `{"on":"%s","km":%d}`) + `],"visits":[` + drawReadings(t, "visits", `{"closed_on":"%s","km":%d}`) + `]}`
	}
	return record + "]}"
}

func drawReadings(t *rapid.T, name, format string) string {
	out := ""
	for i := range rapid.IntRange(0, 4).Draw(t, name) {
		if i > 0 {
			out += ","
		}
		out += fmt.Sprintf(format, drawDate(t, name+" on"), rapid.IntRange(0, 40000).Draw(t, name+" km"))
	}
	return out
}

func decode(t *rapid.T, raw string) *care.Facts {
	c, defects, err := record.Decode([]byte(raw))
	if err != nil || len(defects) > 0 {
		t.Fatal(err, defects, raw)
	}
	return &care.Facts{ID: c.ID, Customer: c}
}

// drawMoment draws a moment of two years: any minute, or midnight somewhere.
func drawMoment(t *rapid.T, name string) time.Time {
	start := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	minutes := rapid.IntRange(0, 2*365*24*60).Draw(t, name)
	if rapid.Bool().Draw(t, name+" hour") {
		minutes -= minutes % 60
	}
	return start.Add(time.Duration(minutes) * time.Minute)
}

func described(list []*care.Occurrence) []string {
	out := lines(list)
	for i, o := range list {
		out[i] += " " + o.ID + " " + o.Expires.UTC().Format(time.RFC3339) + fmt.Sprint(o.Channels)
	}
	return out
}

// Two windows that meet give what one gives, for occurrences, releases and all gates but those that look at other messages.
func TestWindowsAddUp(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, testDealer(), everything()...)
	planned := 0
	rapid.Check(t, func(t *rapid.T) {
		f := decode(t, drawRecord(t))
		cuts := []time.Time{drawMoment(t, "a"), drawMoment(t, "b"), drawMoment(t, "c")}
		slices.SortFunc(cuts, time.Time.Compare)
		plan := func(from, to time.Time) []string { return described(p.Plan(f, Request{From: from, To: to})) }
		parts := append(plan(cuts[0], cuts[1]), plan(cuts[1], cuts[2])...)
		whole := plan(cuts[0], cuts[2])
		planned += len(whole)
		if diff := cmp.Diff(whole, parts); diff != "" {
			t.Fatalf("windows %v (-whole +parts):\n%s", cuts, diff)
		}
	})
	if planned < 500 {
		t.Errorf("only %d occurrences were planned", planned)
	}
}

// The order of vehicles, visits, readings, holds and programs never matters.
func TestOrderNeverMatters(t *testing.T) {
	t.Parallel()
	dealer := capped(map[string]int{"default": 2})
	programs := everything()
	for _, name := range []string{"maintenance", "insurance", "inspection"} {
		i := slices.IndexFunc(programs, func(p *care.Program) bool { return p.Program == name })
		programs[i].Merge = "workshop"
	}
	shuffled := slices.Clone(programs)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	p, q := newPlanner(t, dealer, programs...), newPlanner(t, dealer, shuffled...)
	rapid.Check(t, func(t *rapid.T) {
		record := drawRecord(t)
		f, g := decode(t, record), decode(t, record)
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		mix := func(n int, swap func(i, j int)) { rnd.Shuffle(n, swap) }
		c := g.Customer
		mix(len(c.Holds), func(i, j int) { c.Holds[i], c.Holds[j] = c.Holds[j], c.Holds[i] })
		mix(len(c.Vehicles), func(i, j int) { c.Vehicles[i], c.Vehicles[j] = c.Vehicles[j], c.Vehicles[i] })
		for k := range c.Vehicles {
			v := &c.Vehicles[k]
			mix(len(v.Visits), func(i, j int) { v.Visits[i], v.Visits[j] = v.Visits[j], v.Visits[i] })
			mix(len(v.Odometer), func(i, j int) { v.Odometer[i], v.Odometer[j] = v.Odometer[j], v.Odometer[i] })
		}
		from := drawMoment(t, "from")
		r := Request{From: from, To: from.AddDate(0, 3, 0)}
		if diff := cmp.Diff(described(p.Plan(f, r)), described(q.Plan(g, r))); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(described(p.Plan(f, r)), described(p.Plan(f, r))); diff != "" {
			t.Fatalf("the same plan twice: %s", diff)
		}
	})
}

// One more reason not to send never makes anything go that did not go without it.
func TestGatesAreMonotone(t *testing.T) {
	t.Parallel()
	p, problems := New(&care.Book{Dealers: []*care.Dealer{testDealer()}, Programs: everything()}, hashing)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	rapid.Check(t, func(t *rapid.T) {
		record := drawRecord(t)
		f, g := decode(t, record), decode(t, record)
		from := drawMoment(t, "from")
		r := Request{From: from, To: from.AddDate(1, 0, 0)}
		s := r
		g.Overlay = &care.Overlay{}
		scope := rapid.SampledFrom([]string{"*", "sms", "email", "service", "care", "sms/service", "insurance", "email/festival", "safety"}).Draw(t, "scope")
		switch rapid.IntRange(0, 7).Draw(t, "restriction") {
		case 0:
			since, _ := care.ParseDate(drawDate(t, "since"))
			g.Overlay.Holds = []care.Hold{{Reason: "complaint", Since: since, Until: since.AddDays(rapid.IntRange(0, 30).Draw(t, "days"))}}
		case 1:
			g.Overlay.Holds = []care.Hold{{Reason: rapid.SampledFrom([]string{"complaint", "deceased"}).Draw(t, "reason")}}
		case 2:
			g.Overlay.Stops = map[string]care.Stop{scope: {At: from}}
		case 3:
			g.Customer.Preferences.Off = []string{scope}
		case 4:
			s.Operator = &care.Operator{Programs: map[string]bool{"insurance": true}, Channels: map[care.Channel]bool{care.SMS: true}, Brakes: map[string]bool{"sh/cron": true}}
		case 5:
			no := false
			g.Customer.Consent = map[care.Channel]care.Consent{care.SMS: {Service: &no}, care.Email: {Service: &no}}
		case 6:
			g.Overlay.Suppressed = []care.Suppression{{Channel: care.Email, Hash: "#a@example.com"}}
		case 7:
			g.Customer.Closed = true
		}
		goes := map[string][]care.Channel{}
		for _, o := range p.Plan(f, r) {
			if o.Verdict == care.Send {
				goes[o.ID] = o.Channels
			}
		}
		for _, o := range p.Plan(g, s) {
			before, ok := goes[o.ID]
			if o.Verdict != care.Send || o.Scheduled.Before(r.From) {
				continue // what was put off into the window went before it otherwise
			}
			if !ok {
				t.Fatalf("%v goes because of a restriction", lines([]*care.Occurrence{o}))
			}
			for _, ch := range o.Channels {
				if !slices.Contains(before, ch) {
					t.Fatalf("%v may go by %s because of a restriction", lines([]*care.Occurrence{o}), ch)
				}
			}
		}
	})
}

// What the sweep queues is what the check lets go at its release, and applying a plan twice changes nothing.
func TestSweepAndCheckAgree(t *testing.T) {
	t.Parallel()
	p := newPlanner(t, capped(map[string]int{"default": 2}), everything()...)
	checked := 0
	rapid.Check(t, func(t *rapid.T) {
		f := decode(t, drawRecord(t))
		now := drawMoment(t, "now")
		if year := p.Plan(f, Request{From: now, To: now.AddDate(1, 0, 0)}); len(year) > 0 {
			// Around something that is due, before or after it.
			now = rapid.SampledFrom(year).Draw(t, "near").Release.Add(time.Duration(rapid.IntRange(-48, 48).Draw(t, "hours")) * time.Hour)
		}
		r := Request{From: now.Add(-p.LongestExpiry()), To: now.Add(Horizon), Now: now}
		change := p.Changes(f, p.Plan(f, r), r)
		if len(change.Move)+len(change.Drop) > 0 {
			t.Fatal("something is moved or dropped that was never queued")
		}
		f.Ledger = care.Ledger{}
		for _, o := range change.Add {
			f.Ledger[o.ID] = entryOf(o, care.StateDue)
		}
		if again := p.Changes(f, p.Plan(f, r), r); !again.Empty() {
			t.Fatalf("a second time: %+v", again)
		}
		for _, o := range change.Add {
			checked++
			at := care.Later(o.Release, now)
			got := p.Check(f, recordOf(o), Request{Now: at})
			if got.Verdict != care.Send || got.Release.After(at) || got.Channel != o.Channel {
				t.Fatalf("now %v: queued %v of %v, at sending %v %s %v", now, lines([]*care.Occurrence{o}), lines(p.Plan(decodeAgain(f), r)), got.Verdict, got.Reason, got.Release)
			}
			// It went: the ledger says so to the messages after it.
			e := f.Ledger[o.ID]
			e.State, e.At = care.StateSent, at
			f.Ledger[o.ID] = e
		}
	})
	if checked < 20 {
		t.Errorf("only %d messages were checked", checked)
	}
}

func decodeAgain(f *care.Facts) *care.Facts { g := *f; g.Ledger = nil; return &g }
