package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
	"github.com/carebell/carebell/service/feedback"
)

func TestSurvey(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		form   url.Values
		status int
		value  string
		hold   bool
	}{
		"good":              {url.Values{"promise": {"5"}, "standard": {"3"}}, 200, "promise=5 standard=3", false},
		"a two":             {url.Values{"attitude": {"2"}, "skill": {"5"}}, 200, "skill=5 attitude=2", true},
		"a complaint":       {url.Values{"promise": {"5"}, "text": {"刹车还是异响,没修好"}}, 200, "promise=5", true},
		"a complaint in en": {url.Values{"text": {"This is UNACCEPTABLE."}}, 200, "", true},
		"full-width":        {url.Values{"text": {"ｔｅｒｒｉｂｌｅ service"}}, 200, "", true},
		"praise":            {url.Values{"text": {"No complaints, well done. 没有投诉，挺好"}}, 200, "", false},
		"scores out of it":  {url.Values{"promise": {"0"}, "skill": {"6"}, "attitude": {"-1"}, "standard": {"5e0"}}, 422, "", false},
		"nothing":           {nil, 422, "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &memory{facts: facts("zh-CN")}
			h, path := handler(d), link(token.Survey, care.SMS)
			if w := post(t, h, path, tt.form); w.Code != tt.status {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			o := d.of("C1")
			if tt.status != 200 {
				if len(o.Answers)+len(d.events) > 0 {
					t.Errorf("kept %v %v", o.Answers, d.told())
				}
				return
			}
			if len(o.Answers) != 1 || o.Answers[0].Value != tt.value || o.Answers[0].About != "occ-1" {
				t.Errorf("answers %+v", o.Answers)
			}
			held := len(o.Holds) == 1 && o.Holds[0] == care.Hold{Reason: "complaint", Since: care.NewDate(2026, 11, 22)}
			task := len(d.events) == 2 && d.events[1].Kind == feedback.KindTask && d.events[1].Reason == "complaint" && d.events[1].Dealer == "sh-pudong"
			if held != tt.hold || task != tt.hold {
				t.Errorf("hold %v, events %v", o.Holds, d.told())
			}
			// One use: the second answer changes nothing.
			before := d.writes
			w := post(t, h, path, url.Values{"promise": {"1"}})
			if d.writes != before || w.Code != 200 || !strings.Contains(w.Body.String(), "您已经答过了") {
				t.Errorf("second answer: %d writes more, %d", d.writes-before, w.Code)
			}
		})
	}
	// A complaint that nobody could be told of is not thanked for.
	d := &memory{facts: facts("en"), mute: errDown}
	if w := post(t, handler(d), link(token.Survey, care.SMS), url.Values{"skill": {"1"}}); w.Code != http.StatusServiceUnavailable || d.writes != 0 {
		t.Errorf("%d, %d writes", w.Code, d.writes)
	}
}

// TestSurveyTwiceAtOnce keeps the first of two answers that were sent before either was on record.
func TestSurveyTwiceAtOnce(t *testing.T) {
	t.Parallel()
	d := &memory{facts: facts("en"), stale: true}
	h := handler(d)
	post(t, h, link(token.Survey, care.SMS), url.Values{"skill": {"5"}})
	post(t, h, link(token.Survey, care.SMS), url.Values{"skill": {"1"}})
	if a := d.of("C1").Answers; len(a) != 1 || a[0].Value != "skill=5" {
		t.Errorf("%+v", a)
	}
}

// TestFirstOptOutIsTheEvidence keeps when and how a customer first refused.
func TestFirstOptOutIsTheEvidence(t *testing.T) {
	t.Parallel()
	d := &memory{facts: facts("en")}
	first := care.Stop{At: now.Add(-24 * time.Hour), Source: "sms"}
	d.of("C1").Stops = map[string]care.Stop{"sms": first}
	post(t, handler(d), link(token.Unsubscribe, care.SMS), url.Values{"do": {"stop"}})
	if got := d.of("C1").Stops["sms"]; got != first {
		t.Errorf("%+v", got)
	}
}

func TestRSVP(t *testing.T) {
	t.Parallel()
	d := &memory{facts: facts("en")}
	h, path := handler(d), link(token.RSVP, care.Email)
	post(t, h, path, url.Values{"answer": {"yes"}, "guests": {"99"}})
	post(t, h, path, url.Values{"answer": {"no"}, "guests": {"3"}})
	want := []care.Answer{{Kind: "rsvp", About: "owners-day", Value: "no", At: now}}
	if diff := cmp.Diff(want, d.of("C1").Answers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"rsvp=owners-day yes+9", "rsvp=owners-day no"}, d.told()); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]func(*care.Event){
		"over":       func(e *care.Event) { e.On = care.NewDate(2026, 11, 21) },
		"too late":   func(e *care.Event) { e.RSVPUntil = care.NewDate(2026, 11, 21) },
		"called off": func(e *care.Event) { e.Enabled = false },
	} {
		d := &memory{facts: facts("en")}
		e := *d.facts.Event
		change(&e)
		d.facts.Event = &e
		w := post(t, handler(d), path, url.Values{"answer": {"yes"}})
		if d.writes != 0 || strings.Contains(w.Body.String(), "<form") {
			t.Errorf("%s: an answer was taken", name)
		}
	}
	d = &memory{facts: facts("en")}
	d.facts.Event = nil
	if w := get(t, handler(d), path); w.Code != http.StatusGone {
		t.Errorf("without an event: %d", w.Code)
	}
}

func TestCalendarFile(t *testing.T) {
	t.Parallel()
	d := &memory{facts: facts("zh-CN")}
	e := *d.facts.Event
	e.Title = care.Text{"zh-CN": strings.Repeat("春季车主交流会；", 12) + "a,b\\c"}
	d.facts.Event = &e
	w := get(t, handler(d), link(token.Calendar, care.Email))
	if ct := w.Header().Get("Content-Type"); ct != "text/calendar; charset=utf-8" || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, ct)
	}
	body := w.Body.String()
	for line := range strings.SplitSeq(strings.TrimSuffix(body, "\r\n"), "\r\n") {
		if len(line) > 75 || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") {
			t.Errorf("%d octets: %q", len(line), line)
		}
	}
	unfolded := strings.ReplaceAll(body, "\r\n ", "")
	for _, want := range []string{
		"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "SEQUENCE:7\r\n", "DTSTART:20270516T020000Z\r\n", "DTEND:20270516T070000Z\r\n", "DTSTAMP:20261122T020000Z\r\n",
		"SUMMARY:" + strings.Repeat("春季车主交流会；", 12) + `a\,b\\c` + "\r\n", "STATUS:CONFIRMED\r\n", "END:VEVENT\r\nEND:VCALENDAR\r\n",
	} {
		if !strings.Contains(unfolded, want) {
			t.Errorf("no %q in\n%s", want, unfolded)
		}
	}
	uid := regexp.MustCompile(`UID:([0-9a-f-]{36})\r\n`).FindStringSubmatch(body)
	d.facts.EventRevision, d.facts.Locale = 8, "en"
	again := get(t, handler(d), link(token.Calendar, care.SMS)).Body.String()
	if uid == nil || !strings.Contains(again, uid[0]) || !strings.Contains(again, "SEQUENCE:8\r\n") {
		t.Errorf("the entry would not replace the old one:\n%s", again)
	}
}

func TestOdometer(t *testing.T) {
	t.Parallel()
	key := carKey(t)
	tests := map[string]struct {
		form url.Values
		want int // km on record, 0 = none
		task bool
	}{
		"plain":              {url.Values{"km": {"36500"}}, 36500, false},
		"as people write it": {url.Values{"km": {" ３.６５ 万公里"}}, 36500, false},
		"lower, asked":       {url.Values{"km": {"3400"}}, 0, false},
		"lower, sure":        {url.Values{"km": {"3400"}, "sure": {"3400"}}, 3400, true},
		"sure of another":    {url.Values{"km": {"3400"}, "sure": {"3500"}}, 0, false},
		"too far, asked":     {url.Values{"km": {"999999"}}, 0, false},
		"no number":          {url.Values{"km": {"about 40k?"}}, 0, false},
		"too many":           {url.Values{"km": {"99999999999"}, "sure": {"99999999999"}}, 0, false},
		"another's car":      {url.Values{"km": {"36500"}, "car": {"LSGHXRT911E8RM77M"}}, 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &memory{facts: facts("zh-CN")}
			if !tt.form.Has("car") {
				tt.form.Set("car", key)
			}
			tt.form.Set("do", "report")
			h := handler(d)
			post(t, h, link(token.Odometer, care.Email), tt.form)
			post(t, h, link(token.Odometer, care.Email), tt.form) // twice is once
			got := d.of("C1").Readings
			if tt.want == 0 {
				if len(got)+len(d.events) > 0 {
					t.Errorf("kept %v", got)
				}
				return
			}
			want := []care.VehicleFact{{Vehicle: "LSGHXRT911E8RM77M", On: care.NewDate(2026, 11, 22), KM: tt.want, At: now}}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(care.Date{})); diff != "" {
				t.Error(diff)
			}
			if d.events[0].Vehicle != "LSGHXRT911E8RM77M" || (d.events[1].Kind == feedback.KindTask) != tt.task {
				t.Errorf("told %v", d.told())
			}
		})
	}
}

func TestSoldAndNotMe(t *testing.T) {
	t.Parallel()
	d := &memory{facts: facts("en")}
	h, path := handler(d), link(token.Odometer, care.SMS)
	car := url.Values{"car": {carKey(t)}, "do": {"sold"}}
	post(t, h, path, car)
	post(t, h, path, car)
	want := []care.VehicleFact{{Vehicle: "LSGHXRT911E8RM77M", On: care.NewDate(2026, 11, 22), At: now}}
	if diff := cmp.Diff(want, d.of("C1").Sold, cmp.AllowUnexported(care.Date{})); diff != "" {
		t.Error(diff)
	}
	if page := get(t, h, path).Body.String(); !strings.Contains(page, "the car is sold") {
		t.Error("the page still asks about a car that was sold")
	}
	car.Set("do", "kept")
	post(t, h, path, car)
	if got := d.of("C1").Sold; len(got) != 0 {
		t.Errorf("still sold: %v", got)
	}

	w := post(t, h, path, url.Values{"do": {"not_me"}})
	if got := d.of("C1").Suppressed; len(got) != 1 || got[0] != (care.Suppression{Channel: care.SMS, Hash: "hash-of-phone", Reason: "not_me", At: now}) {
		t.Errorf("suppressed %v", got)
	}
	if strings.Contains(w.Body.String(), "Regal") {
		t.Error("a stranger is shown the customer's car")
	}
	d = &memory{facts: facts("en")}
	d.facts.AddressHash = nil
	post(t, handler(d), path, url.Values{"do": {"not_me"}})
	if _, ok := d.of("C1").Stops["sms"]; !ok {
		t.Error("without a hash the channel is not stopped")
	}
}
