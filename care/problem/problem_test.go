package problem_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care/problem"
)

func TestProblem(t *testing.T) {
	t.Parallel()
	p := problem.Problem{Severity: problem.Fault, File: "programs/x.yaml", Line: 3, Column: 5, Message: "unknown field", Remedy: "leave it out"}
	if got := p.Error(); got != "programs/x.yaml:3:5: unknown field; leave it out" {
		t.Errorf("got %q", got)
	}
	p.Severity, p.Column, p.Remedy = problem.Warning, 0, ""
	if got := p.Error(); got != "programs/x.yaml:3: warning: unknown field" {
		t.Errorf("got %q", got)
	}
	if problem.Faults([]problem.Problem{{Severity: problem.Warning}}) || !problem.Faults([]problem.Problem{{Severity: problem.Warning}, {Severity: problem.Fault}}) {
		t.Error("faults and warnings are mixed up")
	}
	raw, err := json.Marshal(p)
	if err != nil || !strings.Contains(string(raw), `"line":3`) {
		t.Errorf("got %s, %v", raw, err)
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	lines := []string{"program: x", "name: {zh-CN: 保养, en: y}", "\toffset: 3d\r", "a\x1b[31mb", strings.Repeat("车", 200) + "!" + strings.Repeat("-", 200)}
	for name, tt := range map[string]struct {
		line, column int
		want         string
	}{
		"first line":     {1, 10, "   1 | program: x\n     |          ^"},
		"line before it": {2, 5, "   1 | program: x\n   2 | name: {zh-CN: 保养, en: y}\n     |     ^"},
		"wide":           {2, 19, "   1 | program: x\n   2 | name: {zh-CN: 保养, en: y}\n     | " + strings.Repeat(" ", 20) + "^"},
		"tab and CR":     {3, 2, "   2 | name: {zh-CN: 保养, en: y}\n   3 | \toffset: 3d\n     | \t^"},
		"behind the end": {1, 99, "   1 | program: x\n     |           ^"},
		"no column":      {1, 0, "   1 | program: x\n     | ^"},
		"control":        {4, 6, "   3 | \toffset: 3d\n   4 | a\ufffd[31mb\n     |      ^"},
		"long": {
			5, 201, "   4 | a\ufffd[31mb\n   5 | " + strings.Repeat("车", 59) + "!" + strings.Repeat("-", 60) + "\n     | " + strings.Repeat("  ", 59) + "^",
		},
		"no line":  {0, 1, ""},
		"too far":  {6, 1, ""},
		"negative": {-1, -1, ""},
	} {
		if got := problem.Excerpt(lines, tt.line, tt.column); got != tt.want {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}

// TestExcerptIsShortAndPoints: whatever the file, the excerpt is short and ends with a caret.
func TestExcerptIsShortAndPoints(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.OneOf(rapid.StringN(0, 20, -1), rapid.StringN(200, 400, -1)), 1, 3).Draw(t, "lines")
		line, column := rapid.IntRange(1, len(lines)).Draw(t, "line"), rapid.IntRange(-1, 500).Draw(t, "column")
		got := problem.Excerpt(lines, line, column)
		if !strings.HasSuffix(got, "^") || utf8.RuneCountInString(got) > 520 || strings.ContainsAny(got, "\x00\x1b\x07\r") {
			t.Fatalf("%d:%d of %q:\n%s", line, column, lines, got)
		}
	})
}

// TestCaretKnowsWideCharacters holds the table of what is wide against the Unicode Character Database, as x/text has it.
func TestCaretKnowsWideCharacters(t *testing.T) {
	t.Parallel()
	tables := []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Arabic, unicode.Thai, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul}
	for r := range rune(0x31350) {
		if unicode.IsMark(r) || !unicode.IsGraphic(r) || r > 0x16000 && r < 0x20000 || !unicode.In(r, tables...) && (r < 0x3000 || r > 0x303e) && (r < 0xff01 || r > 0xffee) {
			continue
		}
		k := width.LookupRune(r).Kind()
		if got, want := problem.Caret(string(r), 2) == "  ^", k == width.EastAsianWide || k == width.EastAsianFullwidth; got != want {
			t.Errorf("%U %c: wide %t, want %t", r, r, got, want)
		}
	}
	if problem.Caret("😀", 2) != "  ^" {
		t.Error("an emoji is wide")
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"maintenance", "birthday", "offset", "off", "km", "春节", "中秋"}
	for word, want := range map[string]string{
		"maintenence": "maintenance", "MAINTENANCE": "maintenance", "maintainance": "maintenance", "brithday": "birthday", "ofset": "offset", "of": "off", "kn": "km", "mk": "km",
		"春假": "春节", "clutch": "", "x": "", "": "", "sms": "", strings.Repeat("maintenance", 10): "",
	} {
		if got := problem.Nearest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	if got := problem.Nearest("ad", []string{"ab", "ac"}); got != "" {
		t.Errorf("two are as near: got %q", got)
	}
	if got := problem.Nearest("ad", []string{"ab", "ab"}); got != "ab" {
		t.Errorf("the same name twice: got %q", got)
	}
}

// TestNearestFindsOneMistake: of names that are far from each other, one with one letter wrong is found.
func TestNearestFindsOneMistake(t *testing.T) {
	t.Parallel()
	known := []string{"maintenance", "delivery_anniversary", "insurance", "seasonal", "warranty", "birthday"}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SampledFrom(known).Draw(t, "name")
		word := []rune(want)
		at := rapid.IntRange(0, len(word)-2).Draw(t, "at")
		switch rapid.IntRange(0, 3).Draw(t, "mistake") {
		case 0:
			word = slices.Delete(word, at, at+1)
		case 1:
			word = slices.Insert(word, at, 'q')
		case 2:
			word[at] = 'q'
		default:
			word[at], word[at+1] = word[at+1], word[at]
		}
		if got := problem.Nearest(string(word), known); got != want {
			t.Fatalf("%q: got %q, want %q", string(word), got, want)
		}
	})
}
