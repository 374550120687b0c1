package carebook

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/carebell/carebell/care"
)

//go:embed preview.html
var previewPage string

// previewView is a way to look at a mail.
type previewView struct{ Name, Class string }

var previewViews = []previewView{
	{"phone, light", "phone light"},
	{"phone, dark", "phone dark"},
	{"desktop, light", "desktop light"},
	{"desktop, dark", "desktop dark"},
}

// Source is what a browser or a receiver gets.
func (p *Preview) Source() string {
	if p.Channel == care.Webhook {
		return string(p.Body)
	}
	return string(p.HTML)
}

// writeFrame writes one page with every message as phones and desktops show it, light and dark. It is one file without scripts, and
// loads nothing but what a mail itself loads.
func writeFrame(file, title string, shown []Preview) error {
	t, err := template.New("preview").Parse(previewPage)
	if err != nil {
		return err
	}
	pieces := make([]*Preview, len(shown))
	for i := range shown {
		pieces[i] = &shown[i]
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]any{"Title": title, "Pieces": pieces, "Views": previewViews}); err != nil {
		return err
	}
	return writeFile(file, b.Bytes())
}

// The picture of a message: a phone's width, in a page that tells how high it is.
const (
	phoneWidth   = 390
	maxHeight    = 16_000
	pictureFrame = `<!DOCTYPE html><meta charset="utf-8"><title>0</title><style>body{margin:0;background:#e9ecf0}iframe{border:0;width:%dpx;display:block;background:#fff}</style>` +
		`<iframe sandbox="allow-same-origin" srcdoc="%s" onload="var h=this.contentDocument.documentElement.scrollHeight;this.style.height=h+'px';document.title=h"></iframe>`
	bubblePage = `<!DOCTYPE html><html lang="%s"><meta charset="utf-8"><style>body{margin:16px;background:#fff;font:16px/1.5 system-ui,"Noto Sans CJK SC",sans-serif}` +
		`p{max-width:280px;background:#e9e9eb;border-radius:18px 18px 18px 4px;padding:10px 14px;white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 8px}small{color:#666}</style>` +
		`<p>%s</p><small>%d part(s), %s %s</small>`
)

var errNoBrowser = errors.New("a picture needs Chromium or Chrome, and there is none on the PATH: install chromium, or write --out FILE.html and open it in your browser")

// browsers are the names under which Chromium is installed.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

func browser() (string, error) {
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoBrowser
}

// writePicture has Chromium take a picture of the first mail or text message, whole and as wide as a phone.
func writePicture(ctx context.Context, file string, shown []Preview) error {
	program, err := browser()
	if err != nil {
		return err
	}
	source := ""
	for i := range shown {
		p := &shown[i]
		switch {
		case p.Err != nil || p.Channel == care.Webhook:
			continue
		case p.Channel == care.Email:
			source = string(p.HTML)
		default:
			source = fmt.Sprintf(bubblePage, template.HTMLEscapeString(p.Locale), template.HTMLEscapeString(p.Bubble()), p.Parts, p.Code, p.Cost)
		}
		break
	}
	if source == "" {
		return fmt.Errorf("--out %s: a picture is taken of a mail or a text message, and there is none", file)
	}
	dir, err := os.MkdirTemp("", "carebell-preview-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	page := filepath.Join(dir, "page.html")
	if err := os.WriteFile(page, fmt.Appendf(nil, pictureFrame, phoneWidth, template.HTMLEscapeString(source)), 0o600); err != nil {
		return err
	}
	height, err := pageHeight(ctx, program, dir, page)
	if err != nil {
		return err
	}
	out, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	size := fmt.Sprintf("--window-size=%d,%d", phoneWidth, height)
	if _, err := browse(ctx, program, dir, size, "--screenshot="+out, "file://"+page); err != nil {
		return err
	}
	if _, err := os.Stat(out); err != nil {
		return fmt.Errorf("%s took no picture: %w", program, err)
	}
	return nil
}

var titleNumber = regexp.MustCompile(`<title>(\d+)</title>`)

// pageHeight asks the browser how high the page is at a phone's width.
func pageHeight(ctx context.Context, program, dir, page string) (int, error) {
	dom, err := browse(ctx, program, dir, fmt.Sprintf("--window-size=%d,844", phoneWidth), "--dump-dom", "file://"+page)
	if err != nil {
		return 0, err
	}
	found := titleNumber.FindSubmatch(dom)
	if found == nil {
		return 0, fmt.Errorf("%s does not say how high the page is", program)
	}
	height, err := strconv.Atoi(string(found[1]))
	if err != nil || height == 0 {
		return 0, fmt.Errorf("%s does not say how high the page is", program)
	}
	return min(height, maxHeight), nil
}

// browse runs the browser once, with a profile of its own.
func browse(ctx context.Context, program, dir string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	flags := []string{
		"--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage",
		"--user-data-dir=" + filepath.Join(dir, "profile"),
	}
	if os.Geteuid() == 0 { // as root, such as in a container, its sandbox does not work
		flags = append(flags, "--no-sandbox")
	}
	out, err := exec.CommandContext(ctx, program, append(flags, args...)...).Output() //nolint:gosec // a browser found on the PATH
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	return out, nil
}
