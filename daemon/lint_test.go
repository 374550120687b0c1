package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/templates"
)

func TestTodaySaysWhoWouldGetWhat(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "people.jsonl")
	people := `{"id":"C1","phone":"13800138000","email":"c1@example.com","birthday":"--11-22"}
{"id":"C2","phone":"13800138001","birthday":"--11-22","consent":{"sms":{"service":false},"email":{"service":false}}}
{"id":"C3","phone":"13800138002","birthday":"--11-22","preferences":{"max_per_week":0}}
{"id":"C4","phone":"13800138003","birthday":"--11-23"}
`
	if err := os.WriteFile(file, []byte(people), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	env := &Env{Settings: &config.Settings{}, Now: func() time.Time { return now }}
	today, problems, err := env.Today(t.Context(), "", file)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	want := "today: 2 customers, 1 of them capped\n  birthday/wish: 1, 1 not (capped), 1 not (no_consent)\n"
	if got := today.String(); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestRenamedProgramsAndSteps(t *testing.T) {
	t.Parallel()
	checked, _, err := CheckBook(BookOptions{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	lost := map[step]int{}
	checked.lost(&care.Facts{Ledger: map[string]care.LedgerEntry{
		"1": {Program: "birthday", Step: "wish"}, "2": {Program: "birthday", Step: "greeting"},
		"3": {Program: "geburtstag", Step: "wish"}, "4": {Program: "geburtstag", Step: "wish"}, "5": {},
	}}, lost)
	var got []string
	for _, p := range renamed(checked.Book, lost) {
		if p.Severity != care.Warning || p.Remedy == "" {
			t.Errorf("%+v", p)
		}
		got = append(got, p.File+": "+p.Message)
	}
	want := "programs/birthday.yaml: the store knows 1 messages of the step greeting, which the program birthday does not have\n" +
		"programs: the store knows 2 messages of the program geburtstag, which this book does not have"
	if strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

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
			if care.Faults(problems) {
				t.Fatal(problems)
			}
			got := neverLeaves(book)
			if (len(got) == 1) != tt.warned {
				t.Errorf("%v", got)
			}
			if tt.warned && (got[0].Line != 4 || got[0].Severity != care.Warning) {
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
		_, problems, err := CheckBook(BookOptions{Files: book, Now: time.Now})
		var out []string
		for _, p := range problems {
			if strings.Contains(p.Rule, "gateway") {
				out = append(out, p.Error())
			}
		}
		if (err != nil) != care.Faults(problems) {
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
func TestCheckedBookKeepsNothingOfItsCheck(t *testing.T) {
	t.Parallel()
	checked, problems, err := CheckBook(BookOptions{Now: time.Now})
	if err != nil {
		t.Fatal(err, problems)
	}
	if checked.Book.Locate != nil {
		t.Error("the book keeps the syntax trees of its files")
	}
	if got := checked.Templates.Lint(templates.LintOptions{MaxSubject: 1, MaxBytes: 1}); slices.ContainsFunc(got, func(p care.Problem) bool { return p.Line > 1 }) {
		t.Errorf("the templates keep their sources: %v", got[0])
	}
}
