package daemon

import (
	"errors"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/config"
)

func previewEnv() *Env {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return &Env{Settings: &config.Settings{}, Now: func() time.Time { return now }}
}

func TestPreviewShowsEveryBranchWithItsPrice(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	opt := PreviewOptions{Template: "service-followup", Locale: "zh-CN", Channel: care.SMS, Branches: true}
	if err := previewEnv().Preview(t.Context(), opt, &b); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	for _, want := range []string{
		"── 2 part(s), ucs-2, 0.09 CNY\n", "── 1 part(s), ucs-2, 0.045 CNY\n", "【示例汽车】王先生", "sms.txt:6:74 none of the branches\n", "sms.txt:6:144 {% else %}\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	b.Reset()
	opt.Branches = false
	if err := previewEnv().Preview(t.Context(), opt, &b); err != nil || strings.Count(b.String(), "── sms") != 1 {
		t.Errorf("without branches: %v\n%s", err, b.String())
	}
}

func TestPreviewFramesAMailInFourWays(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "page.html")
	opt := PreviewOptions{Template: "maintenance", Locale: "en", Out: file, Frame: true}
	if err := previewEnv().Preview(t.Context(), opt, &strings.Builder{}); err != nil {
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
	opt.Out = "page.png"
	if err := previewEnv().Preview(t.Context(), opt, &strings.Builder{}); err == nil {
		t.Error("--frame was taken for a picture")
	}
}

func TestAPictureNeedsABrowser(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	opt := PreviewOptions{Template: "maintenance", Locale: "en", Out: filepath.Join(t.TempDir(), "mail.png")}
	if err := previewEnv().Preview(t.Context(), opt, &strings.Builder{}); !errors.Is(err, errNoBrowser) {
		t.Errorf("got %v", err)
	}
}
