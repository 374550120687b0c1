package yaml_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/config/yaml"
)

var update = flag.Bool("update", false, "write what the broken files come to into testdata/broken.txtar")

// into returns what a file of a kind is decoded into.
func into(kind string) any {
	switch kind {
	case "dealers":
		return &struct {
			Dealers []*care.Dealer `yaml:"dealers"`
		}{}
	case "program":
		return new(care.Program)
	case "event":
		return new(care.Event)
	case "bulletin":
		return new(care.Bulletin)
	case "gateway":
		return new(sms.Spec)
	case "accounts":
		return new([]config.Account)
	default:
		return new(target)
	}
}

// TestBroken holds the place and the words of each way to get a file wrong. The files are sections of testdata/broken.txtar, named
// kind/case; what they come to is the section behind each.
func TestBroken(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/broken.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files) < 2*60 {
		t.Errorf("only %d broken files", len(archive.Files)/2)
	}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		kind, name, _ := strings.Cut(archive.Files[i].Name, "/")
		_, problems := yaml.Decode(kind, archive.Files[i].Data, into(kind))
		got := ""
		for _, p := range problems {
			got += fmt.Sprintf("%s [%s]\n", p.Error(), p.Rule)
			if p.Line > 0 && !strings.HasSuffix(p.Excerpt, "^") {
				t.Errorf("%s: no excerpt for %s", name, p.Error())
			}
		}
		if got == "" {
			t.Errorf("%s: nothing was found wrong", archive.Files[i].Name)
		}
		if *update {
			archive.Files[i+1] = txtar.File{Name: "want", Data: []byte(got)}
			continue
		}
		if diff := cmp.Diff(string(archive.Files[i+1].Data), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", archive.Files[i].Name, diff)
		}
	}
	if *update {
		if err := os.WriteFile("testdata/broken.txtar", txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDecode reads each kind of value, in the ways in which people write it.
func TestDecode(t *testing.T) {
	t.Parallel()
	const text = `
name: "0012"       # a comment
number: -3
rate: 1.50
on: true
title: {zh-CN: 保养, en: Care}
words:
- a
- 7
- "c, d"
- &s s
- *s
names: {x.y: 1.50, "k": true, none: }
pairs:
  second: "2"
  first: 1.0
nested:
  b:
    name: |
      two
      lines
    title: for all
`
	got := target{Words: []string{"a default"}, Names: map[string]string{"kept": "1"}}
	locate, problems := yaml.Decode("x.yaml", []byte(text), &got)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := target{
		Name: "0012", Number: -3, Rate: 1.5, On: true, Title: care.Text{"zh-CN": "保养", "en": "Care"},
		Words: []string{"a", "7", "c, d", "s", "s"}, Names: map[string]string{"x.y": "1.50", "k": "true", "none": "", "kept": "1"},
		Pairs: pairs{{Name: "second", Value: "2"}, {Name: "first", Value: "1.0"}},
	}
	want.Nested = map[string]*target{"b": {Name: "two\nlines\n", Title: care.Text{"": "for all"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for path, want := range map[string]string{
		"$": "2:1", "$.name": "2:7", "$.words[2]": "10:3", "$.names.'x.y'": "13:14", "$.pairs.first": "16:10", "$.nested.b.name": "19:11",
		"$.nested.b.none": "19:5", "$.words[9].x": "8:1", "$.title.en": "6:24", "name": "0:0",
	} {
		line, column, excerpt := locate(path)
		if at := fmt.Sprintf("%d:%d", line, column); at != want || line > 0 && !strings.HasSuffix(excerpt, "^") {
			t.Errorf("%s: at %s, want %s\n%s", path, at, want, excerpt)
		}
	}
}

// TestEncodeIsRead: what is written can be read again.
func TestEncodeIsRead(t *testing.T) {
	t.Parallel()
	type file struct {
		Name  string    `yaml:"name"`
		Title care.Text `yaml:"title"`
		Words []string  `yaml:"words"`
	}
	want := file{"a: b # c", care.Text{"en": "yes", "zh-CN": "“：”\n- x"}, []string{"1", "- a", "*x", "!y", "{{ z }}"}}
	text, err := yaml.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	var got file
	if _, problems := yaml.Decode("x.yaml", text, &got); len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, text)
	}
}

func TestLongLinesAreCut(t *testing.T) {
	t.Parallel()
	text := "words: [" + strings.Repeat("保养, ", 2000) + "{a: b}, " + strings.Repeat("x, ", 2000) + "x]"
	_, problems := yaml.Decode("x.yaml", []byte(text), new(target))
	if len(problems) != 1 || problems[0].Column != 8009 || len(problems[0].Excerpt) > 1200 || !strings.Contains(problems[0].Excerpt, "{a: b}") {
		t.Errorf("got %v\n%s", problems, problems[0].Excerpt)
	}
}

// FuzzDecode: whatever stands in a file, reading ends in time and in bounds, and each problem has its place inside the file.
func FuzzDecode(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/broken.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(archive.Files); i += 2 {
		f.Add(string(archive.Files[i].Data))
	}
	for _, seed := range []string{"a: &a [*a]\n", "? a\n: b\n", "{", "<<: *x\n", "[[[[", "a: |\n  x\n", "!x", "- ! \n", "\"\\x\"", "%YAML 1.1\n--- a\n...\n", "&a *a", "a: !!x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		problems, took, allocated := cost([]byte(text))
		if took > slower*mostTime || allocated > mostMemory {
			t.Errorf("took %v and %d KiB", took, allocated>>10)
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		for _, p := range problems {
			if p.Line > lines || p.Line < 0 || p.Column < 0 || p.Message == "" || p.Rule == "" {
				t.Errorf("of %d lines: %+v", lines, p)
			}
		}
		locate, _ := yaml.Decode("x.yaml", []byte(text), new(target))
		for _, path := range []string{"$", "$.words[0]", "$.nested.a.name", "$.'", "$[", "$..", "x"} {
			locate(path)
		}
	})
}
