package carebook

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/templates"
)

func TestWhatIsDueInTheNightAndExpiresWithTheDayNeverLeaves(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		class, schedule, expires, quiet, channels string
		warned                                    bool
	}{
		"late":               {"care", "30 21 * * *", "same_day", "", "[sms]", true},
		"early":              {"care", "30 7 * * *", "same_day", "", "[sms]", false}, // waits for eight, the same day
		"by day":             {"care", "0 20 * * *", "same_day", "", "[sms]", false},
		"an offer at eight":  {"commercial", "0 20 * * *", "same_day", "", "[sms]", true},
		"lasts a day":        {"care", "30 21 * * *", "1d", "", "[sms]", false},
		"safety":             {"safety", "30 21 * * *", "same_day", "", "[email]", false},
		"to systems":         {"care", "30 21 * * *", "same_day", "", "[webhook]", false},
		"no quiet hours":     {"care", "30 21 * * *", "same_day", "quiet_hours: {default: none}", "[sms]", false},
		"quiet at noon only": {"care", "30 12 * * *", "same_day", `quiet_hours: {default: "12:00-14:00"}`, "[sms]", false},
		"quiet from seven":   {"care", "30 19 * * *", "same_day", `quiet_hours: {default: "21:00-08:00", care: "19:00-08:00"}`, "[sms]", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{
				"dealers.yaml": {Data: []byte("dealers:\n  - {dealer: a, name: A, time_zone: Asia/Shanghai, locale: en, country: CN, phone: \"+862150000000\", from: {name: A, email: a@a.example}, sms_signature: A" +
					map[bool]string{true: "", false: ", " + tt.quiet}[tt.quiet == ""] + "}\n")},
				"programs/p.yaml": {Data: []byte("program: p\nclass: " + tt.class + "\ntrigger: {on: birthday}\nschedule: \"" + tt.schedule + "\"\nexpires: " + tt.expires +
					"\nchannels: " + tt.channels + "\nsteps: [{step: s, template: t}]\n")},
			}
			book, problems := config.ReadBook(files)
			if problem.Faults(problems) {
				t.Fatal(problems)
			}
			got := neverLeaves(book)
			if (len(got) == 1) != tt.warned {
				t.Errorf("%v", got)
			}
			if tt.warned && (got[0].Line != 4 || got[0].Severity != problem.Warning) {
				t.Errorf("%+v", got[0])
			}
		})
	}
}

// Commercial e-mail without CARE_PUBLIC_URL is named at its line; with the URL, by text or switched off it is not.
func TestCommercialMailNeedsAPublicURL(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		program, public string
		warned          bool
	}{
		"by mail":           {"class: commercial\nchannels: [email]\n", "", true},
		"as preferred":      {"class: commercial\n", "", true},
		"with the URL":      {"class: commercial\nchannels: [email]\n", "https://care.example", false},
		"by text":           {"class: commercial\nchannels: [sms]\n", "", false},
		"of care":           {"class: care\nchannels: [email]\n", "", false},
		"switched off":      {"class: commercial\nenabled: false\n", "", false},
		"by text, and mail": {"class: commercial\nchannels: [sms, email]\n", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{
				"dealers.yaml":    {Data: []byte("dealers: []\n")},
				"programs/p.yaml": {Data: []byte("program: p\n" + tt.program + "trigger: {on: birthday}\nsteps: [{step: s, template: t}]\n")},
			}
			problems, err := Lint(Options{Files: files, Now: time.Now, PublicURL: tt.public})
			if err != nil {
				t.Fatal(err)
			}
			book, _ := config.ReadBook(files)
			got := noOptOut(book, tt.public)
			if (len(got) == 1) != tt.warned {
				t.Errorf("%v; lint says %v", got, problems)
			}
			if tt.warned && (got[0].Line != 2 || got[0].Severity != problem.Warning) {
				t.Errorf("%+v", got[0])
			}
		})
	}
}

// TestGatewaysAreLinted with the rest of the book: their files, and the approved templates in front of texts.
func TestGatewaysAreLinted(t *testing.T) {
	t.Parallel()
	book := fstest.MapFS{
		"dealers.yaml":           {Data: []byte("dealers:\n  - {dealer: a, name: A, time_zone: Asia/Shanghai, locale: en, country: CN, phone: \"+862150000000\", from: {name: A, email: a@a.example}, sms_signature: A}\n")},
		"programs/p.yaml":        {Data: []byte("program: p\ntrigger: {on: birthday}\nchannels: [sms]\nsteps: [{step: s, template: t}]\n")},
		"gateways/acme.yaml":     {Data: []byte("url: \"https://sms.example/?to={to}&t={template}&n={param:name}\"\ntemplates: true\n")},
		"templates/t/en/sms.txt": {Data: []byte("---\ngateway: {acme: {template: T1}, aliyun: {template: SMS_1, text: Hallo}}\n---\nHello\n")},
	}
	said := func() string {
		_, problems, err := Check(Options{Files: book, Now: time.Now})
		var out []string
		for _, p := range problems {
			if strings.Contains(p.Rule, "gateway") {
				out = append(out, p.Error())
			}
		}
		if (err != nil) != problem.Faults(problems) {
			t.Errorf("%v with %v", err, problems)
		}
		return strings.Join(out, "\n")
	}
	for _, want := range []string{"templates/t/en/sms.txt:2:17: the file of the gateway acme asks for the parameter name", `ours says "ello" where the approved one says "allo"`} {
		if got := said(); !strings.Contains(got, want) {
			t.Errorf("lint says:\n%s\nwant %s", got, want)
		}
	}
	book["gateways/acme.yaml"] = &fstest.MapFile{Data: []byte("url: \"https://sms.example/?to={to}&text={text}\"\nanswer: {id: x}\n")}
	if got, want := said(), "gateways/acme.yaml:2:14: answer.id: a JSON pointer begins with /"; !strings.Contains(got, want) {
		t.Errorf("lint says:\n%s\nwant %s", got, want)
	}
}

// What is in force for months does not hold on to what was read to check it.
func TestCompiledBookKeepsNothingOfItsCheck(t *testing.T) {
	t.Parallel()
	checked, problems, err := Check(Options{Now: time.Now})
	if err != nil {
		t.Fatal(err, problems)
	}
	if checked.Book.Locate != nil {
		t.Error("the book keeps the syntax trees of its files")
	}
	if got := checked.Templates.Lint(templates.LintOptions{MaxSubject: 1, MaxBytes: 1}); slices.ContainsFunc(got, func(p problem.Problem) bool { return p.Line > 1 }) {
		t.Errorf("the templates keep their sources: %v", got[0])
	}
}
