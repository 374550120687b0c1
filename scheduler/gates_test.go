package scheduler

import (
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/google/go-cmp/cmp"
)

// One message, due at 09:00 in Shanghai on 2026-11-20 (a Friday), that expires three days later, and what a single fact changes.
func TestGates(t *testing.T) {
	t.Parallel()
	day := func(s string) care.Date { d, _ := care.ParseDate(s); return d }
	when := func(s string) care.Stop { return care.Stop{At: at(t, s)} }
	for _, c := range []struct {
		name    string
		record  string
		overlay care.Overlay
		op      care.Operator
		can     Capabilities
		program func(*care.Program)
		want    string // channel or skip, reason, release
		over    bool
	}{
		{name: "nothing stops it", want: "sms 11-20 09:00"},
		{name: "appointment 30 days after", record: `"vehicles":[{"id":"V1","delivered_on":"2026-11-20","appointment_at":"2026-12-20T09:00:00+08:00"}]`, program: unless, want: "skip appointment 11-20 09:00", over: true},
		{name: "appointment later than that", record: `"vehicles":[{"id":"V1","delivered_on":"2026-11-20","appointment_at":"2026-12-20T09:01:00+08:00"}]`, program: unless, want: "sms 11-20 09:00"},
		{name: "appointment that is over", record: `"vehicles":[{"id":"V1","delivered_on":"2026-11-20","appointment_at":"2026-11-20T08:59:00+08:00"}]`, program: unless, want: "sms 11-20 09:00"},
		{name: "appointment, but the step does not ask", record: `"vehicles":[{"id":"V1","delivered_on":"2026-11-20","appointment_at":"2026-12-01T09:00:00+08:00"}]`, want: "sms 11-20 09:00"},
		{name: "erased", overlay: care.Overlay{Erased: true}, want: "skip erased 11-20 09:00", over: true},

		{name: "open hold", record: `"holds":[{"reason":"complaint"}],` + car, want: "skip hold:complaint 11-20 09:00"},
		{name: "hold that ends in time", record: `"holds":[{"reason":"complaint","since":"2026-11-01","until":"2026-11-21"}],` + car, want: "sms hold:complaint 11-22 08:00"},
		{name: "hold that ends too late", record: `"holds":[{"reason":"complaint","until":"2026-11-23"}],` + car, want: "skip hold:complaint 11-20 09:00"},
		{name: "hold that ended", record: `"holds":[{"reason":"complaint","until":"2026-11-19"}],` + car, want: "sms 11-20 09:00"},
		{name: "hold that begins later", record: `"holds":[{"reason":"accident","since":"2026-11-21"}],` + car, want: "sms 11-20 09:00"},
		{name: "hold in the overlay", overlay: care.Overlay{Holds: []care.Hold{{Reason: "mourning", Until: day("2026-11-20")}}}, want: "sms hold:mourning 11-21 08:00"},
		{name: "two holds, one after the other", record: `"holds":[{"reason":"a","until":"2026-11-20"},{"reason":"b","since":"2026-11-21","until":"2026-11-21"}],` + car, want: "sms hold:b 11-22 08:00"},
		{name: "safety passes a hold", record: `"holds":[{"reason":"complaint"}],` + car, program: class(care.Safety), want: "sms 11-20 09:00"},
		{name: "but not a death", record: `"holds":[{"reason":"deceased"}],` + car, program: class(care.Safety), want: "skip hold:deceased 11-20 09:00"},

		{name: "everything paused", op: care.Operator{All: true}, want: "skip paused 11-20 09:00"},
		{name: "program paused", op: care.Operator{Programs: map[string]bool{"p": true}}, want: "skip paused 11-20 09:00"},
		{name: "dealer paused", op: care.Operator{Dealers: map[string]bool{"sh": true}}, want: "skip paused 11-20 09:00"},
		{name: "channel paused", op: care.Operator{Channels: map[care.Channel]bool{care.SMS: true}}, want: "email 11-20 09:00"},
		{name: "both channels paused", op: care.Operator{Channels: map[care.Channel]bool{care.SMS: true, care.Email: true}}, want: "skip paused 11-20 09:00"},
		{name: "another program paused", op: care.Operator{Programs: map[string]bool{"q": true}}, want: "sms 11-20 09:00"},
		{name: "brake", op: care.Operator{Brakes: map[string]bool{"sh/p": true}}, want: "skip brake 11-20 09:00"},
		{name: "paused before brake", op: care.Operator{All: true, Brakes: map[string]bool{"sh/p": true}}, want: "skip paused 11-20 09:00"},
		{name: "brake let go", op: care.Operator{Brakes: map[string]bool{"sh/p": false}}, want: "sms 11-20 09:00"},

		{name: "not in the audience", program: audienceIs(`vehicle.make == "Audi"`), want: "skip not_in_audience 11-20 09:00"},
		{name: "in the audience", program: audienceIs(`vehicle.make == "Buick"`), want: "sms 11-20 09:00"},
		{name: "an audience that fails", program: audienceIs(`vehicle.visits[3].km > 5`), want: "skip not_in_audience 11-20 09:00"},
		{name: "topic off", record: `"preferences":{"off":["p"]},` + car, want: "skip topic_off 11-20 09:00"},
		{name: "class off", record: `"preferences":{"off":["service"]},` + car, want: "skip topic_off 11-20 09:00"},
		{name: "safety in spite of a topic", record: `"preferences":{"off":["p"]},` + car, program: class(care.Safety), want: "sms 11-20 09:00"},
		{name: "no safety for who wants none", record: `"preferences":{"off":["safety"]},` + car, program: class(care.Safety), want: "skip topic_off 11-20 09:00"},
		{name: "the overlay's topics are the whole list", record: `"preferences":{"off":["p"]},` + car, overlay: care.Overlay{Preferences: &care.Preferences{}}, want: "sms 11-20 09:00"},

		{name: "refused by SMS", record: `"consent":{"sms":{"service":false}},` + car, want: "email 11-20 09:00"},
		{name: "refused by both", record: `"consent":{"sms":{"service":false},"email":{"service":false}},` + car, want: "skip no_consent 11-20 09:00"},
		{name: "offers need a yes", program: class(care.Commercial), want: "skip no_consent 11-20 09:00"},
		{name: "a yes to offers", record: `"consent":{"email":{"commercial":true}},` + car, program: class(care.Commercial), want: "email 11-20 09:00"},
		{name: "care follows service", record: `"consent":{"sms":{"service":false},"email":{"service":false}},` + car, program: class(care.Care), want: "skip no_consent 11-20 09:00"},
		{name: "unless it is set", record: `"consent":{"sms":{"service":false,"care":true}},` + car, program: class(care.Care), want: "sms 11-20 09:00"},
		{name: "safety needs none", record: `"consent":{"sms":{"service":false},"email":{"service":false}},` + car, program: class(care.Safety), want: "sms 11-20 09:00"},
		{name: "an opt-in by name is consent", overlay: care.Overlay{Grants: map[string]care.Stop{"sms/commercial": when("2026-11-01")}}, program: class(care.Commercial), want: "sms 11-20 09:00"},
		{name: "START is none", overlay: care.Overlay{Grants: map[string]care.Stop{"sms": when("2026-11-01")}}, program: class(care.Commercial), want: "skip no_consent 11-20 09:00"},

		{name: "a stop wins over a yes in the record", record: `"consent":{"sms":{"service":true},"email":{"service":true}},` + car, overlay: care.Overlay{Stops: map[string]care.Stop{"*": when("2026-11-01")}}, want: "skip opted_out 11-20 09:00"},
		{name: "until the next opt-in", overlay: care.Overlay{Stops: map[string]care.Stop{"*": when("2026-11-01")}, Grants: map[string]care.Stop{"*": when("2026-11-02")}}, want: "sms 11-20 09:00"},
		{name: "a stop of one channel", overlay: care.Overlay{Stops: map[string]care.Stop{"sms": when("2026-11-01")}}, want: "email 11-20 09:00"},
		{name: "safety in spite of a stop of the topic", overlay: care.Overlay{Stops: map[string]care.Stop{"p": when("2026-11-01"), "service": when("2026-11-01")}}, program: class(care.Safety), want: "sms 11-20 09:00"},
		{name: "but not of a stop of everything", overlay: care.Overlay{Stops: map[string]care.Stop{"*": when("2026-11-01")}}, program: class(care.Safety), want: "skip opted_out 11-20 09:00"},
		{name: "no consent by one, opted out by the other: the last gate is named", record: `"consent":{"sms":{"service":false}},` + car, overlay: care.Overlay{Stops: map[string]care.Stop{"email": when("2026-11-01")}}, want: "skip opted_out 11-20 09:00"},

		{name: "a dead address", overlay: care.Overlay{Suppressed: []care.Suppression{{Channel: care.SMS, Hash: "#+8613800138000"}}}, can: hashing, want: "email 11-20 09:00"},
		{name: "a dead address of before", overlay: care.Overlay{Suppressed: []care.Suppression{{Channel: care.SMS, Hash: "#1"}}}, can: hashing, want: "sms 11-20 09:00"},
		{name: "both addresses dead", overlay: care.Overlay{Suppressed: []care.Suppression{{Channel: care.SMS, Hash: "#+8613800138000"}, {Channel: care.Email, Hash: "#a@example.com"}}}, can: hashing, want: "skip suppressed_address 11-20 09:00"},
		{name: "no address", record: `"email":"","phone":"",` + car, want: "skip no_channel 11-20 09:00"},
		{name: "an address that is none", can: Capabilities{Address: func(care.Channel, *care.Customer, *care.Dealer) (string, bool) { return "", false }}, want: "skip no_channel 11-20 09:00"},
		{name: "no template", can: Capabilities{Template: func(name string, ch care.Channel, _ []string) bool { return ch == care.Email && name == "p" }}, want: "email 11-20 09:00"},
		{name: "no gateway", can: Capabilities{Gateway: func(care.Channel, *care.Dealer, string) bool { return false }}, want: "skip no_channel 11-20 09:00"},
		{name: "the customer's order", record: `"preferences":{"channels":["email","sms"]},` + car, want: "email 11-20 09:00"},
		{name: "the program's order", record: `"preferences":{"channels":["email","sms"]},` + car, program: channelsAre("sms", "email"), want: "sms 11-20 09:00"},
		{name: "a wish the program has not", record: `"preferences":{"channels":["webhook"]},` + car, want: "webhook 11-20 09:00"},

		{name: "defective consent fails closed", record: `"consent":{"sms":{"service":"yes"}},` + car, want: "skip defective_record 11-20 09:00"},
		{name: "a defective hold too", record: `"holds":[{"reason":"complaint","until":"soon"}],` + car, program: class(care.Care), want: "skip hold:complaint 11-20 09:00"},
		{name: "safety goes", record: `"consent":{"sms":{"service":"yes"}},` + car, program: class(care.Safety), want: "sms 11-20 09:00"},
		{name: "webhooks need no consent", record: `"consent":{"sms":{"service":false}},` + car, overlay: care.Overlay{Stops: map[string]care.Stop{"*": when("2026-11-01")}}, program: channelsAre("webhook"), want: "webhook 11-20 09:00"},
		{name: "but keep to a topic that is off", record: `"preferences":{"off":["p"]},` + car, program: channelsAre("webhook"), want: "skip topic_off 11-20 09:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			prog := testProgram("p", care.OnDelivery)
			if c.program != nil {
				c.program(prog)
			}
			p, problems := New(&care.Book{Dealers: []*care.Dealer{testDealer()}, Programs: []*care.Program{prog}}, c.can)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			record := c.record
			if record == "" {
				record = car
			} else if !strings.Contains(record, "vehicles") {
				record += "," + car
			}
			if strings.Contains(record, `"delivered_on":"2026-11-20"`) && !strings.Contains(record, "make") {
				record = strings.Replace(record, `"id":"V1",`, `"id":"V1","make":"Buick",`, 1)
			}
			if !strings.Contains(record, `"email":`) || strings.Contains(record, `"email":{`) {
				record = `"email":"a@example.com","phone":"+8613800138000",` + record
			}
			f := facts(t, `{"id":"C1",`+record+`}`)
			f.Overlay = &c.overlay
			r := Request{From: at(t, "2026-11-20"), To: at(t, "2026-11-27"), Operator: &c.op}
			list := p.Plan(f, r)
			if len(list) != 1 {
				t.Fatalf("%d occurrences", len(list))
			}
			o := list[0]
			got := string(o.Channel)
			if o.Verdict == care.Skip {
				got = "skip"
			}
			got = strings.Join(strings.Fields(got+" "+o.Reason+" "+o.Release.Format("01-02 15:04")), " ")
			if got != c.want || o.Over != c.over {
				t.Errorf("got %q (over %v), want %q (over %v)", got, o.Over, c.want, c.over)
			}
			// Asked to explain, the plan says the same and names every gate in the order of the design.
			r.Explain = true
			explained := p.Plan(f, r)[0]
			if explained.Reason != o.Reason || explained.Verdict != o.Verdict || !explained.Release.Equal(o.Release) {
				t.Error("explaining changes the verdict")
			}
			checkExplanation(t, explained)
		})
	}
}

func checkExplanation(t *testing.T, o *care.Occurrence) {
	t.Helper()
	var names []string
	failed := ""
	for _, g := range o.Gates {
		if len(names) == 0 || names[len(names)-1] != g.Gate {
			names = append(names, g.Gate)
		}
		if !g.Pass && g.Channel == "" && failed == "" {
			failed = g.Reason
		}
	}
	want := strings.Fields("expired sold serviced appointment superseded again_after duplicate_household merged erased hold paused brake capacity capped " +
		"not_in_audience topic_off no_consent opted_out suppressed_address no_channel defective_record")
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if o.Verdict == care.Send && failed != "" {
		t.Errorf("it goes, but %s did not let it pass", failed)
	}
	if o.Verdict == care.Skip && failed == "" && !channelGateFailed(o) {
		t.Errorf("it is skipped for %s, but every gate let it pass", o.Reason)
	}
}

func channelGateFailed(o *care.Occurrence) bool {
	for _, g := range o.Gates {
		if g.Gate == o.Reason && !g.Pass {
			return true
		}
	}
	return false
}

func unless(p *care.Program) { p.Steps[0].Unless = []string{"appointment"} }

func class(c care.Class) func(*care.Program) {
	return func(p *care.Program) { p.Class = c }
}

func audienceIs(s string) func(*care.Program) { return func(p *care.Program) { p.Audience = s } }

func channelsAre(names ...string) func(*care.Program) {
	return func(p *care.Program) { p.Channels = names }
}

var hashing = Capabilities{HashAddress: func(a string) string { return "#" + a }}

func TestQuietHours(t *testing.T) {
	t.Parallel()
	quiet := func(windows ...string) map[string]care.Window {
		out := map[string]care.Window{}
		for i := 0; i < len(windows); i += 2 {
			w, ok := care.ParseWindow(windows[i+1])
			if !ok {
				t.Fatal(windows)
			}
			out[windows[i]] = w
		}
		return out
	}
	for _, c := range []struct {
		name     string
		schedule string
		class    care.Class
		dealer   map[string]care.Window
		own      string
		channels []string
		expires  care.Expiry
		want     string
	}{
		{name: "outside", schedule: "0 20 * * *", want: "sms 20 20:00"},
		{name: "the default of service ends at eight", schedule: "0 21 * * *", want: "sms 21 08:00"},
		{name: "the end itself is free", schedule: "0 8 * * *", want: "sms 20 08:00"},
		{name: "before it", schedule: "59 7 * * *", want: "sms 20 08:00"},
		{name: "offers have longer ones", schedule: "0 20 * * *", class: care.Commercial, want: "sms 21 09:00"},
		{name: "the customer's replace the dealer's", schedule: "30 7 * * *", own: "22:00-07:00", want: "sms 20 07:30"},
		{name: "for offers both count", schedule: "30 7 * * *", own: "22:00-07:00", class: care.Commercial, want: "sms 20 09:00"},
		{name: "one after the other", schedule: "30 7 * * *", own: "08:30-10:15", class: care.Commercial, want: "sms 20 10:15"},
		{name: "safety by e-mail goes at night", schedule: "0 23 * * *", class: care.Safety, channels: []string{"email"}, want: "email 20 23:00"},
		{name: "by SMS it waits", schedule: "0 23 * * *", class: care.Safety, channels: []string{"sms"}, want: "sms 21 08:00"},
		{name: "webhooks too go at night", schedule: "0 23 * * *", channels: []string{"webhook"}, want: "webhook 20 23:00"},
		{name: "none at all", schedule: "0 23 * * *", dealer: quiet("default", "none"), want: "sms 20 23:00"},
		{name: "none for any class", schedule: "0 23 * * *", class: care.Commercial, dealer: quiet("default", "none"), want: "sms 20 23:00"},
		{name: "another default leaves offers theirs", schedule: "30 20 * * *", class: care.Commercial, dealer: quiet("default", "22:00-07:00"), want: "sms 21 09:00"},
		{name: "by class", schedule: "30 20 * * *", class: care.Care, dealer: quiet("default", "none", "care", "20:00-10:00"), want: "sms 21 10:00"},
		{name: "same day: what falls into the night is over", schedule: "0 21 * * *", expires: care.Expiry{SameDay: true}, want: "skip expired 20 21:00"},
		{name: "expiry counts from before quiet hours", schedule: "0 21 * * *", expires: care.Expiry{Hours: 11}, want: "skip expired 20 21:00"},
		{name: "an hour more is enough", schedule: "0 21 * * *", expires: care.Expiry{Hours: 12}, want: "sms 21 08:00"},
		{name: "up to midnight", schedule: "0 23 * * *", own: "22:00-24:00", want: "sms 21 00:00"},
		{name: "no time is left", schedule: "0 9 * * *", class: care.Commercial, own: "09:00-20:00", want: "skip expired 20 09:00"},
	} {
		d := testDealer()
		d.QuietHours = c.dealer
		d.ConsentDefault.Commercial = new(true)
		prog := testProgram("p", care.OnDelivery)
		prog.Schedule, prog.Class, prog.Channels = c.schedule, c.class, c.channels
		if c.expires != (care.Expiry{}) {
			prog.Expires = c.expires
		}
		f := withCar(t, `"delivered_on":"2026-11-20"`)
		f.Customer.Preferences.Quiet, _ = care.ParseWindow(c.own)
		list := newPlanner(t, d, prog).Plan(f, Request{From: at(t, "2026-11-20"), To: at(t, "2026-11-27")})
		got := ""
		for _, o := range list {
			got = string(o.Channel) + " " + o.Release.Format("02 15:04")
			if o.Verdict == care.Skip {
				got = "skip " + o.Reason + " " + o.Release.Format("02 15:04")
			}
			if base := at(t, "2026-11-20"); o.Scheduled.Before(base) || !o.Scheduled.Before(base.AddDate(0, 0, 1)) {
				t.Errorf("%s: scheduled for %v", c.name, o.Scheduled)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// Steps of one round: those before the latest that is out and alive are superseded, whatever happened to them.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	prog := testProgram("insurance", care.OnInsuranceEnd)
	prog.Expires = care.Expiry{Hours: 24 * 30}
	prog.Steps = []care.Step{
		{Step: "month", Offset: care.Offset{Days: -30}, Template: "t"},
		{Step: "week", Offset: care.Offset{Days: -7}, Template: "t"},
		{Step: "end", Template: "t"},
	}
	p := newPlanner(t, testDealer(), prog)
	f := withCar(t, `"insurance_until":"2026-12-01"`)
	// In a plan of the days to come each goes in its turn.
	expect(
		t, p.Plan(f, Request{From: at(t, "2026-10-01"), To: at(t, "2027-01-01")}),
		"2026-11-01 09:00 V1 insurance/month 2026-12-01 sms", "2026-11-24 09:00 V1 insurance/week 2026-12-01 sms",
		"2026-12-01 09:00 V1 insurance/end 2026-12-01 sms",
	)
	sweep := func(now string) []*care.Occurrence {
		n := at(t, now)
		return p.Plan(f, Request{From: n.Add(-p.LongestExpiry()), To: n.Add(48 * time.Hour), Now: n})
	}
	// After days of silence only the latest goes; a customer who is new to us gets one message, not three.
	expect(t, sweep("2026-11-25 10:00"), "2026-11-01 09:00 V1 insurance/month 2026-12-01 skip superseded", "2026-11-24 09:00 V1 insurance/week 2026-12-01 sms")
	expect(t, sweep("2026-12-02 10:00"), "2026-11-24 09:00 V1 insurance/week 2026-12-01 skip superseded", "2026-12-01 09:00 V1 insurance/end 2026-12-01 sms")
	// And after their expiry none does: a million old customers make no flood.
	expect(t, sweep("2027-01-02 10:00"))
	// A hold that ends after the next step is out leaves only that one.
	f.Customer.Holds = []care.Hold{{Reason: "complaint", Until: care.NewDate(2026, 11, 25)}}
	expect(
		t, p.Plan(f, Request{From: at(t, "2026-10-01"), To: at(t, "2027-01-01")}),
		"2026-11-26 08:00 V1 insurance/month 2026-12-01 skip superseded", "2026-11-26 08:00 V1 insurance/week 2026-12-01 sms hold:complaint",
		"2026-12-01 09:00 V1 insurance/end 2026-12-01 sms",
	)
}

func TestGreetingNeverFallsOnADayForTheDead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ birthday, locale, want string }{
		{"--04-05", "zh-CN", "2026-04-04 09:00 p/due 2026 sms"}, // 清明
		{"--04-05", "", "2026-04-04 09:00 p/due 2026 sms"},      // the dealer's locale is Chinese
		{"--04-05", "en", "2026-04-05 09:00 p/due 2026 sms"},
		{"--08-27", "zh-TW", "2026-08-26 09:00 p/due 2026 sms"},      // 中元
		{"--11-09", "zh-Hant-HK", "2026-11-08 09:00 p/due 2026 sms"}, // 寒衣
		{"--11-10", "zh", "2026-11-10 09:00 p/due 2026 sms"},
	} {
		prog := testProgram("p", care.OnBirthday)
		prog.Greeting = true
		prog.Expires = care.Expiry{SameDay: true}
		p := newPlanner(t, testDealer(), prog)
		f := facts(t, `{"id":"C1","phone":"1","locale":"`+c.locale+`","birthday":"`+c.birthday+`"}`)
		list := p.Plan(f, years(t, 2026, 2026))
		expect(t, list, c.want)
		if len(list) == 1 && list[0].On.String()[5:] != c.birthday[2:] {
			t.Errorf("the step's date moved to %v", list[0].On)
		}
	}
	// Put off into such a day it waits for the next.
	prog := testProgram("p", care.OnBirthday)
	prog.Greeting = true
	p := newPlanner(t, testDealer(), prog)
	f := facts(t, `{"id":"C1","phone":"1","birthday":"--04-04","holds":[{"reason":"complaint","until":"2026-04-04"}]}`)
	expect(t, p.Plan(f, years(t, 2026, 2026)), "2026-04-06 08:00 p/due 2026 sms hold:complaint")
}
