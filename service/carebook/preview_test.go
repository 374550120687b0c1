package carebook

import (
	"errors"
	"html"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
)

// defaultBook is the book that comes with carebell, read once: with the race detector that takes seconds.
var defaultBook = sync.OnceValue(func() *Compiled {
	compiled, err := Open(Options{Now: time.Now})
	if err != nil {
		panic(err)
	}
	return compiled
})

var previewNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func preview(t *testing.T, opt PreviewOptions) []Preview {
	t.Helper()
	opt.Now = previewNow
	shown, err := defaultBook().Preview(opt)
	if err != nil {
		t.Fatal(err)
	}
	return shown
}

func TestPreviewShowsEveryBranchWithItsPrice(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	opt := PreviewOptions{Template: "how-to", Locale: "zh-CN", Channel: care.SMS, Branches: true}
	Describe(&b, preview(t, opt))
	out := b.String()
	for _, want := range []string{
		"── 2 part(s), ucs-2, 0.09 CNY\n", "── 1 part(s), ucs-2, 0.045 CNY\n", "【示例汽车】王先生", "sms.txt:6:54 none of the branches\n", "sms.txt:6:184 {% else %}\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	b.Reset()
	opt.Branches = false
	if Describe(&b, preview(t, opt)); strings.Count(b.String(), "── sms") != 1 {
		t.Errorf("without branches:\n%s", b.String())
	}
}

func TestPreviewFramesAMailInFourWays(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "page.html")
	shown := preview(t, PreviewOptions{Template: "maintenance", Locale: "en"})
	out := PreviewFile{Name: file, Frame: true}
	if err := out.Write(t.Context(), "maintenance", shown); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	if n := strings.Count(page, `sandbox="" srcdoc="`); n != 4 {
		t.Errorf("%d frames, want 4", n)
	}
	_, mail, _ := strings.Cut(page, `srcdoc="`)
	mail, _, _ = strings.Cut(mail, `"`)
	if got := html.UnescapeString(mail); !strings.HasPrefix(got, "<!DOCTYPE html>") || !strings.Contains(got, "Ms. Smith") {
		t.Errorf("the frame holds %.200q", got)
	}
	if strings.Contains(page, "<script") || !strings.Contains(page, `class="bubble dark"`) {
		t.Error("the page has a script, or no bubble for the text message")
	}
	out.Name = "page.png"
	if err := out.Write(t.Context(), "maintenance", shown); err == nil {
		t.Error("--frame was taken for a picture")
	}
}

func TestAPictureNeedsABrowser(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	shown := preview(t, PreviewOptions{Template: "maintenance", Locale: "en"})
	out := PreviewFile{Name: filepath.Join(t.TempDir(), "mail.png")}
	if err := out.Write(t.Context(), "maintenance", shown); !errors.Is(err, errNoBrowser) {
		t.Errorf("got %v", err)
	}
}
