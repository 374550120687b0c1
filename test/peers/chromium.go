package peers

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Browser is a headless Chromium with a profile of its own.
type Browser struct {
	t   testing.TB
	ctx context.Context
}

// Chromium starts the browser; it ends with the test.
func Chromium(t testing.TB) *Browser {
	t.Helper()
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program(t, "chromium", "chromium fonts-noto-cjk")),
		chromedp.UserDataDir(ownDir(t)),
		chromedp.Flag("headless", "new"),
	}
	for _, flag := range []string{
		"no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update",
		"disable-sync", "hide-scrollbars", "disable-dev-shm-usage",
	} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	alloc, end := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, closeTab := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		closeTab()
		end()
	})
	// The first Run starts the browser and must have no deadline of its own.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("peers: start Chromium: %v", err)
	}
	return &Browser{t: t, ctx: ctx}
}

// Context is the chromedp context of the browser's only tab, for tests that click and read.
func (b *Browser) Context() context.Context { return b.ctx }

// Screenshot loads a page, given by its URL or as a file, in a window of width × height CSS pixels, with prefers-color-scheme set to
// dark or light, and writes the whole page as PNG to out.
func (b *Browser) Screenshot(page string, width, height int, dark bool, out string) {
	b.t.Helper()
	if !strings.Contains(page, "://") {
		abs, err := filepath.Abs(page)
		if err != nil {
			b.t.Fatalf("peers: %v", err)
		}
		page = "file://" + abs
	}
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	err := chromedp.Do(ctx,
		chromedp.EmulateViewport(int64(width), int64(height)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}),
		chromedp.Navigate(page),
	)
	if err != nil {
		b.t.Fatalf("peers: load the page: %v", err)
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("peers: take the picture: %v", err)
	}
	if err := os.WriteFile(out, png, 0o644); err != nil {
		b.t.Fatalf("peers: %v", err)
	}
}
