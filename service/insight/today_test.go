package insight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
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
	service := fileService()
	service.Now = func() time.Time { return time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC) }
	today, problems, err := service.Today(t.Context(), care.CommandLine(), file)
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
	checked := defaultBook()
	lost := map[step]int{}
	countLost(checked, &care.Facts{Ledger: map[string]care.LedgerEntry{
		"1": {Program: "birthday", Step: "wish"}, "2": {Program: "birthday", Step: "greeting"},
		"3": {Program: "geburtstag", Step: "wish"}, "4": {Program: "geburtstag", Step: "wish"}, "5": {},
	}}, lost)
	var got []string
	for _, p := range renamed(checked.Book, lost) {
		if p.Severity != problem.Warning || p.Remedy == "" {
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
