package architecture_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRulesBite shows each rule a small repository that breaks it, and one that does not: a rule that cannot fail holds nothing.
func TestRulesBite(t *testing.T) {
	t.Parallel()
	doc := "// Package x promises enough to be called a sentence.\n"
	tests := map[string]struct {
		check func([]source) []string
		files map[string]string // name → text
		want  []string          // the beginning of each complaint
	}{
		"down is allowed": {checkImports, map[string]string{
			"cmd/carebell/main.go":    code("main", module+"/daemon", module+"/care"),
			"daemon/daemon.go":        code("daemon", module+"/store", module+"/channels/email"),
			"store/store.go":          code("store", module+"/care", module+"/store/scripts"),
			"channels/email/email.go": code("email", module+"/channels", module+"/care", module+"/care/contact"),
			"delivery/loop_test.go":   code("delivery", module+"/store"),
			"test/sink/main.go":       code("main", module+"/channels/email"),
		}, nil},
		"neighbours": {
			checkImports,
			map[string]string{"delivery/loop.go": code("delivery", module+"/store")},
			[]string{"delivery/loop.go imports " + module + "/store: the middle row"},
		},
		"upwards": {
			checkImports,
			map[string]string{"care/x.go": code("care", module+"/config")},
			[]string{"care/x.go imports " + module + "/config: imports run downwards"},
		},
		"services between the daemon and the middle row": {
			checkImports,
			map[string]string{
				"web/api/x.go":         code("api", module+"/service/operate"),
				"service/operate/x.go": code("operate", module+"/service/insight", module+"/store", module+"/care"),
				"service/insight/x.go": code("insight", module+"/daemon"),
				"service/events/x.go":  code("events", module+"/web/api"),
				"store/x.go":           code("store", module+"/service/insight"),
			},
			[]string{
				"service/events/x.go imports " + module + "/web/api: imports run downwards",
				"service/insight/x.go imports " + module + "/daemon: imports run downwards",
				"store/x.go imports " + module + "/service/insight: imports run downwards",
			},
		},
		"stores are handed in": {
			checkStores,
			map[string]string{
				"cmd/bell/x.go":             "package main\n\nimport \"" + module + "/store\"\n\nvar s, _ = store.Open(nil, store.Options{})\n",
				"daemon/x.go":               "package daemon\n\nimport \"" + module + "/store\"\n\nvar s, _ = store.Open(nil, store.Options{})\n",
				"service/insight/x.go":      "package insight\n\nimport kept \"" + module + "/store\"\n\nvar s, _ = kept.Open(nil, kept.Options{})\n",
				"service/insight/y.go":      "package insight\n\nimport \"" + module + "/store\"\n\ntype asks struct{ store *store.Store }\n",
				"service/insight/x_test.go": "package insight\n\nimport \"" + module + "/store\"\n\nvar s, _ = store.Open(nil, store.Options{})\n",
			},
			[]string{"service/insight/x.go:5:12: store.Open"},
		},
		"daemon needs the binary": {
			checkImports,
			map[string]string{"daemon/x.go": code("daemon", module+"/cmd/carebell")},
			[]string{"daemon/x.go imports " + module + "/cmd/carebell: imports run downwards"},
		},
		"a channel knows another": {
			checkImports,
			map[string]string{"channels/sms/x.go": code("sms", module+"/channels/email")},
			[]string{"channels/sms/x.go imports " + module + "/channels/email: one channel"},
		},
		"a channel's own part": {
			checkImports, map[string]string{
				"channels/sms/x.go":        code("sms", module+"/channels/sms/kannel"),
				"channels/sms/kannel/x.go": code("kannel", module+"/channels/sms"),
			}, nil,
		},
		"channels knows its channels": {
			checkImports,
			map[string]string{"channels/x.go": code("channels", module+"/channels/email")},
			[]string{"channels/x.go imports " + module + "/channels/email: channels is what"},
		},
		"the product needs test code": {
			checkImports,
			map[string]string{"daemon/x.go": code("daemon", module+"/test/sink")},
			[]string{"daemon/x.go imports " + module + "/test/sink: code of the product"},
		},
		"a folder without a layer": {
			checkImports,
			map[string]string{"internal/x.go": code("internal")},
			[]string{`internal/x.go: the folder "internal" has no layer`},
		},
		"code in the root": {
			checkImports,
			map[string]string{"x.go": code("carebell"), "deps.go": "//go:build tools\n\n" + code("carebell", "github.com/redis/go-redis/v9")},
			[]string{"x.go: the root holds no code"},
		},
		"a file of another system": {
			checkImports,
			map[string]string{"delivery/loop_windows.go": "//go:build windows\n\n" + code("delivery", module+"/store")},
			[]string{"delivery/loop_windows.go imports"},
		},
		"care with a library": {
			checkCare,
			map[string]string{
				"care/x.go":         code("care", "github.com/nyaruka/phonenumbers", module+"/care/contact", "os", "time"),
				"care/x_test.go":    code("care", "pgregory.net/rapid", "os"),
				"care/contact/x.go": code("contact", "github.com/nyaruka/phonenumbers", module+"/care"),
				"care/record/x.go":  code("record", "github.com/go-json-experiment/json", module+"/care", "net"),
				"care/texts/x.go":   code("texts", "github.com/nicksnyder/go-i18n/v2/i18n", module+"/care"),
				"care/token/x.go":   code("token", module+"/care/record"),
			},
			[]string{
				"care/record/x.go imports net: the vocabulary does no I/O",
				"care/token/x.go imports " + module + "/care/record: care must stay",
				"care/x.go imports " + module + "/care/contact: care must stay", "care/x.go imports github.com/nyaruka/phonenumbers: care is standard", "care/x.go imports os: the vocabulary does no I/O",
			},
		},
		"an engine that knows care": {
			checkEngines,
			map[string]string{
				"templates/liquid/x.go": code("liquid", module+"/care", module+"/care/text"),
				"templates/mail/x.go":   code("mail", module+"/templates/liquid", module+"/templates"),
				"templates/x.go":        code("templates", module+"/care", module+"/templates/liquid"),
			},
			[]string{"templates/liquid/x.go imports " + module + "/care: this package", "templates/mail/x.go imports " + module + "/templates: this package"},
		},
		"libraries out of their place": {
			checkLibraries,
			map[string]string{
				"store/x.go":           code("store", "github.com/redis/go-redis/v9"),
				"cmd/carebell/demo.go": code("main", "github.com/alicebob/miniredis/v2"),
				"daemon/x.go":          code("daemon", "github.com/redis/go-redis/v9"),
				"scheduler/x.go":       code("scheduler", "github.com/alicebob/miniredis/v2/server", "testing"),
				"delivery/x_test.go":   code("delivery", "github.com/redis/go-redis/v9"),
				"test/e2e/e2e_test.go": "//go:build e2e\n\n" + code("e2e", "github.com/redis/go-redis/v9"),
			},
			[]string{"daemon/x.go imports github.com/redis", "scheduler/x.go imports github.com/alicebob", "scheduler/x.go imports testing"},
		},
		"comments": {
			checkComments,
			map[string]string{
				"good/x.go":         doc + code("x"),
				"cmd/bell/main.go":  "// Command bell rings as often as it is told.\n" + code("main"),
				"none/none.go":      code("none"),
				"none/none_test.go": "// Package none has its comment where go doc cannot see it.\n" + code("none"),
				"other/other.go":    doc + code("other"),
				"short/short.go":    "// Package short is short\n" + code("short"),
				"tests/tests_test.go": "// Package tests_test holds what a test package may say.\n" +
					code("tests_test"),
			},
			[]string{"none has no package comment", "other: its package comment begins", "short: its package comment"},
		},
		"vague names": {
			checkNames,
			map[string]string{"store/util/x.go": code("util"), "care/types/x.go": code("words"), "care/helpers.go": code("care")},
			[]string{`care/types: a package named "types"`, `store/util: a package named "util"`},
		},
		"long files": {
			checkLength,
			map[string]string{
				"a.go":      code("a") + strings.Repeat("\n", maxLines+1),
				"b.go":      code("b"),
				"c_test.go": code("c") + strings.Repeat("\n", maxLines+1),
				"d.go":      "// Code generated by hand. DO NOT EDIT.\n\n" + code("d") + strings.Repeat("\n", maxLines+1),
			},
			[]string{"a.go has "},
		},
		"large packages": {
			checkSize,
			map[string]string{
				"a/x.go":      code("a") + strings.Repeat("\n", maxPackage/2),
				"a/y.go":      code("a") + strings.Repeat("\n", maxPackage/2),
				"a/b/x.go":    code("b") + strings.Repeat("\n", maxPackage/2),
				"c/x_test.go": code("c") + strings.Repeat("\n", maxPackage+1),
				"test/x.go":   code("x") + strings.Repeat("\n", maxPackage+1),
				"daemon/x.go": code("daemon") + strings.Repeat("\n", packageLimits["daemon"]),
			},
			[]string{"a has ", "daemon has "},
		},
		"unfinished work": {
			checkUnfinished,
			map[string]string{"a.go": code("a") + "\n// TO" + "DO: later\n", "b.go": code("b") + "\nvar s = `TO" + "DO`\n"},
			[]string{"a.go:"},
		},
		"the machine's clock": {
			checkClock,
			map[string]string{
				"delivery/x.go":      "package delivery\n\nimport clock \"time\"\n\nvar f = clock.Now()\n",
				"store/y.go":         "package store\n\nimport \"time\"\n\ntype s struct{ now func() time.Time }\n\nvar f = s{now: time.Now}\n",
				"store/x.go":         "package store\n\nimport \"time\"\n\nfunc f(t time.Time) { _ = time.Since(t) }\n",
				"daemon/x.go":        "package daemon\n\nimport \"time\"\n\nvar f = time.Now()\n",
				"delivery/x_test.go": "package delivery\n\nimport \"time\"\n\nvar f = time.Now()\n",
			},
			[]string{"delivery/x.go:5:9: time.Now", "store/x.go:5:27: time.Since"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []source
			for file, text := range tt.files {
				s, err := parse(file, text)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
			got := tt.check(all)
			slices.Sort(got)
			if len(got) != len(tt.want) {
				t.Fatalf("complaints: got %q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("complaint %d: got %q, want it to begin with %q", i, got[i], want)
				}
			}
		})
	}
}

// code is a file of package name that imports what is listed.
func code(name string, imports ...string) string {
	var b strings.Builder
	b.WriteString("package " + name + "\n")
	for _, p := range imports {
		b.WriteString("\nimport _ \"" + p + "\"")
	}
	b.WriteString("\n")
	return b.String()
}

func TestReadSourcesStaysInTheModule(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n", "a/a.go": code("a"), "a/testdata/x.go": code("x"), "a/_old/x.go": code("x"),
		".git/x.go": code("x"), "own/go.mod": "module own\n", "own/x.go": code("x"), "a/b_test.go": code("a_test"),
	} {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := readSources(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		got = append(got, s.name)
	}
	if diff := cmp.Diff([]string{"a/a.go", "a/b_test.go"}, got); diff != "" {
		t.Errorf("files read (-want +got):\n%s", diff)
	}
}
