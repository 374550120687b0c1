package yaml_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config/yaml"
)

// The most that reading a file of 1 MiB may take. The memory is all that was allocated in between, which is more than what was held
// at once.
const (
	mostTime   = time.Second
	mostMemory = 32 << 20
)

// target has a field of each kind that files are decoded into.
type target struct {
	Name    string             `yaml:"name"`
	Number  int                `yaml:"number"`
	Rate    float64            `yaml:"rate"`
	On      bool               `yaml:"on"`
	Title   care.Text          `yaml:"title"`
	Words   []string           `yaml:"words"`
	Dealers []*care.Dealer     `yaml:"dealers"`
	Names   map[string]string  `yaml:"names"`
	Nested  map[string]*target `yaml:"nested"`
	Pairs   pairs              `yaml:"pairs"`
}

type pairs []struct {
	Name  string `yaml:",key"`
	Value string `yaml:",value"`
}

// cost reads a text and returns what it took.
func cost(text []byte) (problems []problem.Problem, took time.Duration, allocated uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cpu()
	_, problems = yaml.Decode("x.yaml", text, new(target))
	took = cpu() - start
	runtime.ReadMemStats(&after)
	return problems, took, after.TotalAlloc - before.TotalAlloc
}

// TestHostile reads what would take a parser's breath away: it is refused, in time and in bounds.
// It measures the process and therefore runs alone.
func TestHostile(t *testing.T) {
	full := func(unit string) string { return strings.Repeat(unit, (1<<20)/len(unit)) }
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), c-1)
	}
	intervals := "names: &n {" + strings.Repeat("k: v, ", 100) + "}\nnested:\n"
	for i := range 20_000 {
		intervals += fmt.Sprintf("  a%d: {names: *n}\n", i)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"a bare tag":              {"name: !x", "x.yaml:1:7: name has a tag (!x); leave the tag out"},
		"a tag by mistake":        {"words: !important\n", "x.yaml:1:8: words has a tag (!important)"},
		"a tag of the language":   {"name: !!str", "x.yaml:1:7: name has a tag (!!str)"},
		"a binary":                {"name: !!binary x", "x.yaml:1:7: name has a tag (!!binary)"},
		"a tag on a list":         {"words: !x\n  - a\n", "x.yaml:1:8: words has a tag (!x)"},
		"a tag on a key":          {"!x name: a", "x.yaml:1:1: the name of a field has a tag (!x)"},
		"only an exclamation":     {"name: ! a", ""},
		"a bomb of aliases":       {bomb, "unknown field"},
		"a bomb for a value":      {bomb[:len(bomb)-1] + "\npairs: {p: *k}\n", "unknown field"},
		"many aliases":            {intervals, "x.yaml:"},
		"an alias of itself":      {"nested: &n {a: {nested: *n}}", "x.yaml:1:25: nested: &n stands within itself"},
		"64 KiB of nesting":       {"words: " + strings.Repeat("[", 64<<10), "x.yaml: the file is nested more than 64 levels deep"},
		"1 MiB of nesting":        {full("["), "x.yaml:1:100000: the file holds more than 100000 values"},
		"deep flow sequences":     {"words: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000), "x.yaml:1:71: the file is nested more than 64 levels deep"},
		"deep flow mappings":      {strings.Repeat("{a: ", 9000) + strings.Repeat("}", 9000), "nested more than 64 levels deep"},
		"deep dashes":             {strings.Repeat("- ", 5000) + "a", "nested more than 64 levels deep"},
		"deep questions":          {full("? "), "x.yaml:1:"},
		"deep blocks":             {deepBlocks(1400), "nested more than 64 levels deep"},
		"a huge key":              {full("k") + ": 1", "x.yaml: the file is larger than 1 MiB"},
		"a key of 1 MiB":          {strings.Repeat("k", 1<<20-10) + ": 1", "x.yaml:1:"},
		"a key in quotes":         {`? "` + strings.Repeat("k", 1<<20-20) + "\"\n: 1", `x.yaml:1:3: unknown field "kkk`},
		"a huge value":            {"number: " + strings.Repeat("1", 1<<20-20), "x.yaml:1:9: number should be a whole number"},
		"a list of nothing":       {"words: [" + strings.Repeat(",", 1<<20-20) + "]", "x.yaml:1:"},
		"a list of empty maps":    {"dealers: [" + strings.Repeat("{},", 1<<18) + "]", "x.yaml:1:"},
		"many values":             {"words:\n" + strings.Repeat("- a\n", 1<<18-10), "x.yaml:99999:1: the file holds more than 100000 values up to here"},
		"many in brackets":        {"words: [" + strings.Repeat("a,", 1<<19-10) + "]", "the file holds more than 100000 values"},
		"many names":              {"names: {" + strings.Repeat("a,", 1<<19-10) + "}", "the file holds more than 100000 values"},
		"many pairs in a list":    {"words: [" + strings.Repeat("a: b,", 1<<17) + "]", "the file holds more than 100000 values"},
		"pairs without blanks":    {"words: [" + strings.Repeat("a :b,", 1<<17) + "]", "the file holds more than 100000 values"},
		"many comments":           {full("#\n"), "the file holds more than 100000 values"},
		"comments between values": {"words:\n" + strings.Repeat("- a #b\n#\n\n", 90_000), "the file holds more than 100000 values"},
		"just as many comments":   {strings.Repeat("#\n", 16_000) + "name: a", ""},
		"many anchors":            {strings.Repeat("- &a\n", 1<<17), "the file holds more than 100000 values"},
		"anchors as many as may":  {strings.Repeat("- &a a\n", 90_000), "the file should have fields of its own"},
		"unknown aliases":         {"words:\n" + strings.Repeat("- *a\n", 90_000), "x.yaml:2:3: there is no &a above"},
		"each alias another":      {"words:\n" + eachAnother(40_000), "x.yaml:2:3: there is no &a0 above"},
		"faults by the thousand":  {"words:\n" + strings.Repeat("- [a]\n", 20_000), "x.yaml: there are more faults than are reported at once; correct these first"},
		"unknown fields":          {unknownFields(30_000), "there are more faults than are reported at once"},
		"the same field":          {strings.Repeat("name: a\n", 30_000), `the field "name" is there twice, first on line 1`},
		"dealers without a word":  {"dealers:\n" + strings.Repeat("- {}\n", 24_000), "the file comes to more than 120000 values"},
		"one long text":           {"name: |\n" + strings.Repeat("  b\n", 1<<18-10), ""},
		"a text of many lines":    {"name:\n" + strings.Repeat("  b\n", 1<<18-10), ""},
		"escapes":                 {`name: "` + strings.Repeat(`\n`, 1<<19-10) + `"`, ""},
		"blanks":                  {"name: a" + strings.Repeat(" ", 1<<20-10), ""},
		"empty lines":             {full("\n"), "x.yaml: the file is empty"},
		"colons":                  {full(":"), "x.yaml:1:"},
		"directives":              {full("%a\n"), "x.yaml:1:1: "},
		"documents":               {strings.Repeat("--- a\n", 90_000), "x.yaml:2:5: the file has a second document"},
		"brackets the wrong way":  {full("]"), "x.yaml:1:1: "},
		"quotes":                  {full(`"`), "x.yaml:1:"},
		"long lines of faults":    {"{" + strings.Repeat("zzzzzzzzzzzzzzzzzz: 1, ", 40_000) + "}", "x.yaml:1:"},
		"a merge":                 {"nested: {a: &x {name: a}, b: {<<: *x}}", "x.yaml:1:31: << is not understood here"},
		"a merge of a bomb":       {"a: &a {b: c}\nb: {<<: [*a, *a, *a]}\n", "unknown field"},
		"no UTF-8":                {"name: caf\xe9\n", "x.yaml:1:10: the file is not UTF-8 here; save it as UTF-8"},
		"half a character":        {"name: ok\ntitle: \xe6\xb5", "x.yaml:2:8: the file is not UTF-8 here"},
		"UTF-16":                  {"\xff\xfen\x00a\x00", "x.yaml:1:1: the file is not UTF-8 here"},
		"a NUL":                   {"name: a\x00b", "x.yaml:1:8: the invisible character U+0000 cannot stand here; remove it"},
		"an escape of a terminal": {"name: \x1b[31m", "x.yaml:1:7: the invisible character U+001B"},
		"a BOM in the middle":     {"name: a\n\ufeffnumber: 1\n", "x.yaml:2:1: the invisible character U+FEFF"},
		"a BOM at the beginning":  {"\ufeffname: a\n", ""},
		"a line of Unicode":       {"name: a\u2028number: 1\n", "x.yaml:1:8: the invisible character U+2028 ends a line for some programs"},
		"a tab":                   {"nested:\n\ta: {}\n", "x.yaml:2:1: this line is indented with a tab; indent with blanks"},
		"a tab behind blanks":     {"nested:\n  \ta: {}\n", "x.yaml:2:3: this line is indented with a tab"},
		"a full-width colon":      {"name：a", "x.yaml:1:1: the file should have fields of its own (field: value); write the colon of the Latin script and a blank behind it: name: a"},
		"one among others":        {"number: 1\nname：a\non: true\n", "x.yaml:2:5: this is no YAML: here stands a full-width colon"},
		"aliases in front":        {"words: [*a, &a b, *a]", "x.yaml:1:9: words, no. 1: there is no &a above"},
		"an alias in a quote":     {"name: '*a &b'\nwords: [*b]", "x.yaml:2:9: "},
		"a parser's undoing":      {"a: &a [*a]\n&b : *b\n? *a\n: *a", "x.yaml:"},
	} {
		t.Run(name, func(t *testing.T) {
			problems, took, allocated := cost([]byte(tt.text))
			var all []string
			for _, p := range problems {
				all = append(all, p.Error())
			}
			got := strings.Join(all, "\n")
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got  %.600s\nwant %s", got, tt.want)
			}
			if len(got) > 100_000 {
				t.Errorf("%d bytes of problems", len(got))
			}
			if took > slower*mostTime || allocated > mostMemory {
				t.Errorf("took %v and %d KiB", took, allocated>>10)
			}
		})
	}
}

func deepBlocks(levels int) string {
	var b strings.Builder
	for i := range levels {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func eachAnother(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "- *a%d\n", i)
	}
	return b.String()
}

func unknownFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "nam%d: a\n", i)
	}
	return b.String()
}
