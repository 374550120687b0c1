package templates_test

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/templates"
)

// FuzzFrontMatter: whatever stands above a template, loading it ends, and each problem has its place inside the file.
func FuzzFrontMatter(f *testing.F) {
	for _, seed := range []string{
		"skip: !x", "locked: [a", "subject: {{ x }}", "defaults: {a: b, a: c}", "gateway: {a: {params: [x]}}", bomb, "headers: {a: *b}", "? x", "# only\n", "\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, front string) {
		text := "---\n" + front + "\n---\nHi"
		_, problems := templates.Load(bookOf(map[string]string{"x/en/sms.txt": text, "x/en/email.md": text, "x/en/webhook.json": text}))
		lines := strings.Count(text, "\n") + 1
		for _, p := range problems {
			if p.Line < 0 || p.Line > lines || p.Column < 0 || p.Message == "" {
				t.Errorf("of %d lines: %+v", lines, p)
			}
		}
	})
}
