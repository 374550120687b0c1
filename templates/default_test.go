package templates_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/templates"
)

var update = flag.Bool("update", false, "write testdata/golden anew")

// defaultBook is the book the binary carries.
func defaultBook(t testing.TB) *care.Book {
	t.Helper()
	book, problems := config.ReadBook(os.DirFS("../config/book"))
	if problem.Faults(problems) {
		t.Fatalf("the default book has faults: %v", problems)
	}
	return book
}

func TestDefaultBookLoads(t *testing.T) {
	t.Parallel()
	set, problems := templates.Load(defaultBook(t))
	for _, p := range problems {
		t.Errorf("%v\n%s", p, p.Excerpt)
	}
	if len(set.Names()) < 20 {
		t.Errorf("the default book has %d templates", len(set.Names()))
	}
}

// TestDefaultBook holds every message of the default book, as a sample customer gets it, in both locales.
func TestDefaultBook(t *testing.T) {
	t.Parallel()
	set, _ := templates.Load(defaultBook(t))
	for _, name := range set.Names() {
		for _, ch := range care.Channels {
			for _, locale := range set.Locales(name, ch) {
				t.Run(name+"/"+locale+"/"+string(ch), func(t *testing.T) {
					m, err := set.Render(set.SampleFor(name, ch, locale))
					if err != nil {
						t.Fatal(err)
					}
					golden(t, filepath.Join("testdata/golden/default", name, locale, string(ch)+".txt"), shown(m))
				})
			}
		}
	}
}

// shown is a message as a golden file: its headers, then its parts. The HTML is that of the body only; the layout around it is the
// same for all.
func shown(m *care.Message) []byte {
	var b bytes.Buffer
	if m.Subject != "" {
		fmt.Fprintf(&b, "Subject: %s\nFrom: %s <%s>\nReply-To: %s <%s>\n\n", m.Subject, m.From.Name, m.From.Address, m.ReplyTo.Name, m.ReplyTo.Address)
	}
	if m.Signature != "" {
		fmt.Fprintf(&b, "【%s】", m.Signature)
	}
	b.Write(bytes.TrimRight(m.Text, "\n"))
	for _, k := range []string{"aliyun", "tencent"} {
		if g, ok := m.Gateways[k]; ok {
			fmt.Fprintf(&b, "\n%s %s %v %v", k, g.Template, g.Order, g.Params)
		}
	}
	if m.Method != "" {
		fmt.Fprintf(&b, "%s %v\n%s", m.Method, m.Headers, m.Body)
	}
	if len(m.HTML) > 0 {
		_, main, _ := strings.Cut(string(m.HTML), "<main>")
		main, _, _ = strings.Cut(main, "</main>")
		fmt.Fprintf(&b, "\n\n-- html --\n%s", strings.TrimSpace(main))
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); go test ./templates -update writes it anew:\n%s", file, diff)
	}
}

func TestDefaultBookIsClean(t *testing.T) {
	t.Parallel()
	set, _ := templates.Load(defaultBook(t))
	for _, p := range set.Lint(templates.LintOptions{}) {
		t.Errorf("%v\n%s", p, p.Excerpt)
	}
}
