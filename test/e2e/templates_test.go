//go:build e2e

package e2e

import (
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/scheduler/calendar"
	"github.com/carebell/carebell/templates"
)

// page is what the checkers look at.
type page struct {
	Name string `json:"name"`
	HTML string `json:"html"`
	Mail bool   `json:"mail"`
}

// mails are all e-mails of the default book in both languages; those in Chinese with all of their branches, which are the same blocks in
// English.
func mails(t *testing.T) (all, first []page) {
	t.Helper()
	book, problems := config.ReadBook(config.DefaultBook())
	if problem.Faults(problems) {
		t.Fatal(problems)
	}
	set, problems := templates.Load(book, templates.Options{Lunar: calendar.Words})
	if problem.Faults(problems) {
		t.Fatal(problems)
	}
	seen := map[string]bool{}
	for _, name := range set.Names() {
		for _, locale := range set.Locales(name, care.Email) {
			draft := set.SampleFor(name, care.Email, locale)
			branches, err := set.Branches(draft)
			if err != nil {
				t.Fatalf("%s %s: %v", name, locale, err)
			}
			if locale != "zh-CN" {
				branches = branches[:1]
			}
			for i, b := range branches {
				if b.Err != nil {
					continue // it needs a value that this sample lacks
				}
				if seen[string(b.Message.HTML)] {
					continue
				}
				seen[string(b.Message.HTML)] = true
				p := page{Name: strings.TrimSpace(name + " " + locale + " " + b.Tag), HTML: string(b.Message.HTML), Mail: true}
				if all = append(all, p); i == 0 {
					first = append(first, p)
				}
			}
		}
	}
	return all, first
}

// pages are the customers' pages and those of the console, as the tests of the console hold them.
func pages(t *testing.T) []page {
	t.Helper()
	files, err := filepath.Glob("../../web/testdata/*/*.html")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	sheet, err := os.ReadFile("../../web/page/style.css") // which is not in those files
	if err != nil {
		t.Fatal(err)
	}
	var all []page
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		html := strings.Replace(string(raw), "<style></style>", "<style>"+string(sheet)+"</style>", 1)
		all = append(all, page{Name: filepath.Base(f), HTML: html})
	}
	return all
}

// What a mail must do and a page must not: styles on the elements and tables with the attributes of old, and comments for Outlook, for the
// programs that read nothing else. Telephone numbers stand in a span that does not wrap, which keeps the blanks that people copy.
var forMailPrograms = []string{"no-inline-style", "no-deprecated-attr", "no-conditional-comment", "tel-non-breaking"}

// Every mail of the default book in both languages, every page that a customer sees, and those of the console, is sound HTML and can be used by everybody, in
// the light and in the dark.
func TestMailsAndPagesAreCleanHTML(t *testing.T) {
	dir := npm(t, "html-validate@10.17.0", "@axe-core/playwright@4.13.0", "playwright-core@1.65.1")
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not there: install chromium")
	}
	all, first := mails(t)
	t.Logf("%d mails in %d forms", len(first), len(all))
	if out := node(t, dir, "html.cjs", map[string]any{"pages": append(all, pages(t)...), "off": forMailPrograms}); out != "" {
		t.Errorf("html-validate:\n%s", out)
	}
	if out := node(t, dir, "axe.cjs", map[string]any{"browser": browser, "pages": append(first, pages(t)...)}); out != "" {
		t.Errorf("axe:\n%s", out)
	}
}

// Preview takes a picture of a mail and of a text message, as wide as a phone and as high as they are.
func TestPreviewTakesAPicture(t *testing.T) {
	dir := t.TempDir()
	heights := map[string]int{}
	for _, ch := range []string{"email", "sms"} {
		file := filepath.Join(dir, ch+".png")
		cmd := exec.CommandContext(t.Context(), binary, "preview", "maintenance", "--locale", "zh-CN", "--channel", ch, "--out", file)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "written: ") {
			t.Fatalf("%v\n%s", err, out)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.DecodeConfig(f)
		f.Close()
		if err != nil || picture.Width != 390 {
			t.Errorf("%s: %d × %d, %v", ch, picture.Width, picture.Height, err)
		}
		heights[ch] = picture.Height
	}
	if heights["email"] < 500 || heights["sms"] >= heights["email"] {
		t.Errorf("heights %v", heights)
	}
}
