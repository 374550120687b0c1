package config_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config"
)

var update = flag.Bool("update", false, "write what the busted books come to into their fixtures")

// good is a small book without a fault, as files that a test may change.
func good(t *testing.T) fstest.MapFS {
	t.Helper()
	book := fstest.MapFS{}
	root := os.DirFS("testdata/good")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, name)
		book[name] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func report(problems []problem.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s [%s]\n", p.Error(), p.Rule)
		if p.Excerpt != "" {
			b.WriteString(p.Excerpt + "\n")
		}
	}
	return b.String()
}

func TestGoodBook(t *testing.T) {
	t.Parallel()
	book, problems := config.ReadBook(good(t))
	if len(problems) > 0 {
		t.Fatalf("problems in the good book:\n%s", report(problems))
	}
	five, three, one := 5, 3, 1
	yes, no := true, false
	wantDealer := &care.Dealer{
		Dealer: "sh-pudong", Name: care.Text{"zh-CN": "浦东别克", "en": "Pudong Buick"}, TimeZone: "Asia/Shanghai", Locale: "zh-CN", Country: "CN",
		Phone: "+862150000000", Hours: care.Text{"": "Mon-Sun 08:30-18:00"}, BookingURL: "https://pudong.example/book",
		SMSSignature: care.Text{"": "浦东别克"}, From: care.Sender{Name: care.Text{"zh-CN": "浦东别克"}, Email: "care@pudong.example"},
		QuietHours:     map[string]care.Window{"default": {From: 22 * 60, To: 7 * 60}, "commercial": {From: 20 * 60, To: 9 * 60}},
		Caps:           map[string]care.Cap{"default": {PerWeek: &five}, "A": {PerWeek: &three}, "C": {PerWeek: &one}},
		ConsentDefault: care.Consent{Service: &yes, Commercial: &no}, LeapDay: "feb28", DefaultKMPerDay: 40,
		Intervals: []care.IntervalRule{{Make: "Buick", Model: "*", ServiceInterval: care.Interval{KM: 10000, Months: 12}, FirstService: care.Interval{KM: 5000, Months: 6}}},
		Advisors: []care.Advisor{
			{Advisor: "chen", Name: care.Text{"": "陈志强"}, Phone: "+8613900000000", Email: "chen@pudong.example", Left: true, StandIn: "lin"},
			{Advisor: "lin", Name: care.Text{"": "林晓燕"}, Phone: "139-0000-0001"},
		},
		MakeAliases: map[string]string{"别克": "Buick"},
	}
	opt := cmp.AllowUnexported(care.Window{}, care.Date{})
	if diff := cmp.Diff([]*care.Dealer{wantDealer}, book.Dealers, opt); diff != "" {
		t.Errorf("dealers (-want +got):\n%s", diff)
	}
	wantPrograms := []*care.Program{
		{
			Program: "maintenance", Title: care.Text{"en": "Maintenance due", "zh-CN": "定期保养提醒"}, Enabled: true, Class: care.Service,
			Trigger: care.Trigger{On: care.OnMaintenanceDue}, Schedule: "30 9 * * MON-SAT", Expires: care.Expiry{Hours: 168},
			Channels: []string{"preferred", "sms", "email"}, Audience: `grade in ["A","B"] and vehicle.make == "Buick"`, Priority: 60,
			Topic: "maintenance", Merge: "workshop", Uncertain: map[care.Channel]string{care.SMS: "resend"}, File: "programs/maintenance.yaml",
			Steps: []care.Step{
				{Step: "heads-up", Offset: care.Offset{Days: -14}, Template: "maintenance"},
				{Step: "due", Template: "maintenance"},
				{Step: "overdue", Offset: care.Offset{Days: 14}, Template: "maintenance-overdue", Unless: []string{"appointment"}},
			},
		},
		{
			Program: "thanks", Enabled: true, Class: care.Service, Trigger: care.Trigger{On: care.OnVisit}, Schedule: "0 9 * * *",
			Expires: care.Expiry{Hours: 72}, Channels: []string{"preferred", "sms", "email"}, Priority: 50, Topic: "thanks", File: "programs/thanks.yaml",
			Steps: []care.Step{{Step: "thanks", Offset: care.Offset{Days: 3}, Template: "thanks"}}, AgainAfter: new(care.Days(14)), Capped: new(false),
		},
	}
	if diff := cmp.Diff(wantPrograms, book.Programs, opt); diff != "" {
		t.Errorf("programs (-want +got):\n%s", diff)
	}
	if len(book.Events) != 1 || !book.Events[0].Enabled || book.Events[0].On != care.NewDate(2027, 5, 16) {
		t.Errorf("events: got %+v", book.Events)
	}
	if len(book.Bulletins) != 1 || !book.Bulletins[0].Enabled || book.Bulletins[0].Match[0].ModelYears[1] != 2024 {
		t.Errorf("bulletins: got %+v", book.Bulletins)
	}
	line, column, excerpt := book.Locate("programs/maintenance.yaml", "$.steps[2].offset")
	if line != 14 || column != 29 || !strings.HasSuffix(excerpt, "\n     |                             ^") {
		t.Errorf("Locate: got %d:%d\n%s", line, column, excerpt)
	}
	if line, column, _ := book.Locate("programs/none.yaml", "$"); line != 0 || column != 0 {
		t.Errorf("Locate in no file: got %d:%d", line, column)
	}
}

// TestBusted holds the exact words for each way to get a book wrong: file:line:column, what is wrong, what to write, the line.
func TestBusted(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/busted_*.txtar")
	if err != nil || len(cases) < 80 {
		t.Fatalf("found %d fixtures: %v", len(cases), err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "busted_"), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			book, want := good(t), ""
			for _, f := range archive.Files {
				switch removed, ok := strings.CutPrefix(f.Name, "remove/"); {
				case f.Name == "want":
					want = string(f.Data)
				case ok:
					delete(book, removed)
				default:
					book[f.Name] = &fstest.MapFile{Data: f.Data}
				}
			}
			_, problems := config.ReadBook(book)
			got := report(problems)
			if got == "" {
				t.Fatal("nothing was found wrong")
			}
			if *update {
				archive.Files[len(archive.Files)-1].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			for _, p := range problems {
				if p.Severity != problem.Warning && p.Remedy == "" && p.Rule != "wrong-type" && p.Rule != "unknown-name" {
					t.Errorf("no remedy: %s", p.Error())
				}
			}
		})
	}
}

// TestNone holds that {default: none} is none for any class and no caps at all, unless the book names single ones.
func TestNone(t *testing.T) {
	t.Parallel()
	read := func(from, to string) *care.Dealer {
		files := good(t)
		text := string(files["dealers.yaml"].Data)
		if !strings.Contains(text, from) {
			t.Fatalf("no %s in the good book", from)
		}
		files["dealers.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(text, from, to, 1))}
		book, problems := config.ReadBook(files)
		if len(problems) > 0 {
			t.Fatal(report(problems))
		}
		return book.Dealers[0]
	}
	quiet, caps := `quiet_hours: {default: "22:00-07:00"}`, "caps: {default: {per_week: 5}}"
	opt := cmp.AllowUnexported(care.Window{})
	for text, want := range map[string]map[string]care.Window{
		"quiet_hours: {default: none}":                              {"default": {}},
		"quiet_hours: none":                                         {"default": {}},
		`quiet_hours: {commercial: "20:00-10:00", default: none}`:   {"default": {}, "commercial": {From: 1200, To: 600}},
		"quiet_hours: {commercial: none}":                           {"default": {From: 1260, To: 480}, "commercial": {}},
		"quiet_hours:":                                              {"default": {From: 1260, To: 480}, "commercial": {From: 1200, To: 540}},
		`quiet_hours: {default: "00:00-00:00", commercial: "none"}`: {"default": {}, "commercial": {}},
	} {
		if diff := cmp.Diff(want, read(quiet, text).QuietHours, opt); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	n := func(i int) care.Cap { return care.Cap{PerWeek: &i} }
	for text, want := range map[string]map[string]care.Cap{
		"caps: {default: none}": {"default": {}},
		"caps: none":            {"default": {}},
		"caps: {default: none, B: {per_week: 4}}": {"default": {}, "B": n(4)},
		"caps: {A: none}":                         {"default": n(2), "A": {}, "C": n(1)},
		"caps: {}":                                {"default": n(2), "A": n(3), "C": n(1)},
		"caps: {default: {per_week: 0}, C: {}}":   {"default": n(0), "A": n(3), "C": {}},
	} {
		if diff := cmp.Diff(want, read(caps, text).Caps); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestAnchors(t *testing.T) {
	t.Parallel()
	files := good(t)
	files["programs/thanks.yaml"] = &fstest.MapFile{Data: []byte("program: thanks\ntitle: &t {en: Thanks}\ntrigger: {on: visit}\nsteps:\n  - {step: a, template: &n thanks}\n  - {step: b, template: *n}\n")}
	book, problems := config.ReadBook(files)
	if len(problems) > 0 || book.Program("thanks").Steps[1].Template != "thanks" {
		t.Errorf("got %+v\n%s", book.Program("thanks"), report(problems))
	}
}

// TestVersion: any change of any file is another version; the same files are the same version wherever they lie.
func TestVersion(t *testing.T) {
	t.Parallel()
	version := func(f fs.FS) string {
		book, _ := config.ReadBook(f)
		return book.Version
	}
	want := version(good(t))
	if got := version(os.DirFS("testdata/good")); got != want || len(want) != 64 {
		t.Errorf("same files: got %s, want %s", got, want)
	}
	changed := good(t)
	changed["templates/maintenance/en/email.md"] = &fstest.MapFile{Data: []byte("x")}
	renamed := good(t)
	renamed["templates/maintenance/en/sms.txt"] = renamed["templates/maintenance/en/email.md"]
	delete(renamed, "templates/maintenance/en/email.md")
	for name, files := range map[string]fs.FS{"changed": changed, "renamed": renamed} {
		if version(files) == want {
			t.Errorf("%s: the version stayed", name)
		}
	}
}

// TestLinks reads a book as Kubernetes mounts it: every name a link through ..data.
func TestLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real := filepath.Join(dir, "..2026_11_22")
	if err := os.CopyFS(real, good(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..2026_11_22", filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dealers.yaml", "programs", "events", "bulletins", "templates"} {
		if err := os.Symlink("..data/"+name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	book, problems, err := config.OpenBook(dir)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v\n%s", err, report(problems))
	}
	plain, _ := config.ReadBook(good(t))
	if book.Version != plain.Version || len(book.Programs) != 2 || book.Default {
		t.Errorf("got %d programs, version %s, want %s", len(book.Programs), book.Version, plain.Version)
	}
}

func TestDefaultBook(t *testing.T) {
	t.Parallel()
	book, problems, err := config.OpenBook("")
	if err != nil || len(problems) > 0 {
		t.Fatalf("the default book: %v\n%s", err, report(problems))
	}
	if !book.Default || book.Dealer("example") == nil || len(book.Programs) == 0 {
		t.Errorf("default %t, %d dealers, %d programs", book.Default, len(book.Dealers), len(book.Programs))
	}
	dir := filepath.Join(t.TempDir(), "book")
	if err := config.WriteDefault(dir); err != nil {
		t.Fatal(err)
	}
	written, problems, err := config.OpenBook(dir)
	if err != nil || len(problems) > 0 || written.Version != book.Version || written.Default {
		t.Errorf("what was written differs: %v\n%s", err, report(problems))
	}
	if err := config.WriteDefault(dir); err == nil || !strings.Contains(err.Error(), "is not empty: name a new folder") {
		t.Errorf("wrote over a book: %v", err)
	}
}

func TestOpenBookRefuses(t *testing.T) {
	t.Parallel()
	if _, _, err := config.OpenBook(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "carebell init") {
		t.Errorf("no folder: got %v", err)
	}
	if _, _, err := config.OpenBook("book_test.go"); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("a file: got %v", err)
	}
}

// TestWindows reads a book as Notepad saves it.
func TestWindows(t *testing.T) {
	t.Parallel()
	files := good(t)
	for name, f := range files {
		files[name] = &fstest.MapFile{Data: []byte("\ufeff" + strings.ReplaceAll(string(f.Data), "\n", "\r\n"))}
	}
	book, problems := config.ReadBook(files)
	if len(problems) > 0 || len(book.Programs) != 2 {
		t.Fatal(report(problems))
	}
	if line, column, _ := book.Locate("programs/maintenance.yaml", "$.steps[2].offset"); line != 14 || column != 29 {
		t.Errorf("Locate: got %d:%d, want 14:29", line, column)
	}
}

// TestHostileBook: what a book is decoded into takes no more room than what is written.
// It measures the process and therefore runs alone.
func TestHostileBook(t *testing.T) {
	intervals := "    intervals: *i\n"
	for name, tt := range map[string]struct{ text, want string }{
		"dealers without a word": {"dealers:\n" + strings.Repeat("  - {}\n", 24_000), "the file comes to more than 120000 values"},
		"some of them":           {"dealers:\n" + strings.Repeat("  - {}\n", 2_000), "there are more faults than are reported at once"},
		"aliased intervals":      {"dealers:\n  - intervals: &i\n" + strings.Repeat("    - {}\n", 5_000) + strings.Repeat("  - dealer: d\n"+intervals, 2_500), "the file comes to more than 120000 values"},
	} {
		t.Run(name, func(t *testing.T) {
			files := good(t)
			files["dealers.yaml"] = &fstest.MapFile{Data: []byte(tt.text)}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, problems := config.ReadBook(files)
			runtime.ReadMemStats(&after)
			if !strings.Contains(report(problems), tt.want) || len(problems) > 300 {
				t.Errorf("%d problems, want one of %q", len(problems), tt.want)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 48<<20 {
				t.Errorf("took %d KiB", allocated>>10)
			}
		})
	}
}

// FuzzReadBook: whatever stands in a file, reading ends, and every problem has its place inside the file.
func FuzzReadBook(f *testing.F) {
	for _, seed := range []string{
		"program: x\ntrigger: {on: visit}\nsteps: [{step: a, template: b}]\n", "a: &a [*a]\n", "? a\n: b\n", "{", "<<: *x\n", "steps: [[[[", "a: |\n  x\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		files := fstest.MapFS{
			"dealers.yaml":    {Data: []byte(text)},
			"programs/x.yaml": {Data: []byte(text)},
		}
		_, problems := config.ReadBook(files)
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		for _, p := range problems {
			if p.Line > lines+1 {
				t.Errorf("line %d of %d: %s", p.Line, lines, p.Error())
			}
		}
	})
}

func BenchmarkReadBook(b *testing.B) {
	book := config.DefaultBook()
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := config.ReadBook(book); problem.Faults(problems) {
			b.Fatal(report(problems))
		}
	}
}
