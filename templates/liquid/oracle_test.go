package liquid_test

import (
	"fmt"
	"strings"
	"testing"

	oracle "github.com/osteele/liquid"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/templates/liquid"
)

// TestAgreesWithLiquid writes random templates of what both know and compares with a Liquid engine in wide use, so that what
// people know of Liquid holds here. That engine cannot be used for messages: it names no missing variable, knows no escape contexts
// and has no limits. It reads and/or from left to right, and Shopify from right to left; the templates have one kind in a condition,
// where both agree, and TestLogicFromRightToLeft has the others.
func TestAgreesWithLiquid(t *testing.T) {
	t.Parallel()
	engine := oracle.NewEngine()
	theirs := map[string]any{
		"name": "王小明", "grade": "A", "km": 31000, "declined": []string{"刹车片", "雨刮"}, "days": 10, "title": nil,
		"customer": map[string]any{"name": "王小明"},
	}
	ours := bindings{
		"name": liquid.Text("王小明"), "grade": liquid.Text("A"), "km": liquid.Number(31000), "declined": texts("刹车片", "雨刮"), "days": liquid.Number(10),
		"title": {}, "customer.name": liquid.Text("王小明"),
	}
	rapid.Check(t, func(r *rapid.T) {
		src := "x" + template(r, 0)
		want, err := engine.ParseAndRenderString(src, theirs)
		if err != nil {
			r.Fatalf("%s: the other engine says %v", src, err)
		}
		tpl, problems := liquid.Parse("x", src, language(ours), liquid.InText)
		if len(problems) > 0 {
			r.Fatalf("%s: %v", src, problems)
		}
		s := liquid.NewState(ours)
		defer s.Release()
		got, rerr := s.Render(tpl)
		if rerr != nil {
			r.Fatalf("%s: %v", src, rerr)
		}
		if string(got) != want {
			r.Fatalf("%s\ngot  %q\nwant %q", src, got, want)
		}
	})
}

// TestLogicFromRightToLeft compares conditions of any length with their meaning.
func TestLogicFromRightToLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(r, "terms")
		condition, want := "", false
		for i := range n { // the last term first
			term := rapid.Bool().Draw(r, "term")
			switch {
			case i == 0:
				condition, want = fmt.Sprint(term), term
			case rapid.Bool().Draw(r, "and"):
				condition, want = fmt.Sprintf("%t and %s", term, condition), term && want
			default:
				condition, want = fmt.Sprintf("%t or %s", term, condition), term || want
			}
		}
		if got := render(t, "{% if "+condition+" %}true{% else %}false{% endif %}", nil); got != fmt.Sprint(want) {
			r.Fatalf("%s: got %s, want %t", condition, got, want)
		}
	})
}

// template draws a template of at most three levels. It has no {{- -}}: that engine trims through the ends of blocks, while Liquid's reference trims the text next to the tag, as we do.
func template(r *rapid.T, depth int) string {
	var b strings.Builder
	for range rapid.IntRange(1, 3).Draw(r, "parts") {
		kind := rapid.IntRange(0, 7).Draw(r, "kind")
		if depth > 2 {
			kind %= 3
		}
		inner := func() string { return template(r, depth+1) }
		switch kind {
		case 0:
			b.WriteString(rapid.SampledFrom([]string{"a", " b ", "您好，", "{ ", "} ", "% ", "| "}).Draw(r, "text"))
		case 1, 2:
			fmt.Fprintf(&b, "{{ %s }}", output(r))
		case 3:
			fmt.Fprintf(&b, "{%% if %s %%}%s{%% elsif %s %%}%s{%% else %%}%s{%% endif %%}", condition(r), inner(), condition(r), inner(), inner())
		case 4:
			fmt.Fprintf(&b, "{%% unless %s %%}%s{%% endunless %%}", condition(r), inner())
		case 5:
			fmt.Fprintf(&b, "{%% for i%d in declined %s %%}{{ forloop.index }}{{ i%d }}%s{%% if forloop.last %%}.{%% endif %%}{%% endfor %%}",
				depth, rapid.SampledFrom([]string{"", "reversed", "limit: 1", "offset: 1"}).Draw(r, "modifier"), depth, inner())
		case 6:
			fmt.Fprintf(&b, "{%% case grade %%}{%% when \"B\", \"C\" %%}%s{%% when \"A\" %%}%s{%% else %%}%s{%% endcase %%}", inner(), inner(), inner())
		case 7:
			b.WriteString("{% comment %}{{ x | y }} {% if %}{% endcomment %}{% raw %}{{ x }}{% endraw %}")
		}
	}
	return b.String()
}

func output(r *rapid.T) string {
	return rapid.SampledFrom([]string{
		"customer.name", "name", `"lit"`, "12", "km", `customer["name"]`, "declined[0]", "declined.first", "declined.size",
		`customer.name | append: "x"`, `customer.name | prepend: 'x' | append: "y"`, `"aBc" | upcase`, `"aBc" | downcase`, `"aBc d" | capitalize`,
		`" a " | strip | append: "|"`, `"a,b,c" | split: "," | join: "-"`, `"a,b,c" | split: "," | reverse | first`, `"abc" | replace: "b", "x"`,
		`"abab" | remove: "b"`, `"abab" | replace_first: "b", "x"`, `"abcdef" | slice: 1, 3`, `"abc" | size`, `days | plus: 5`, `days | minus: 15`,
		`days | times: 3`, `days | modulo: 3`, `2.5 | ceil`, `2.5 | floor`, `2.5 | round`, `-3 | abs`, `days | at_least: 12`, `days | at_most: 3`,
		`days | divided_by: 3`, `title | default: "none"`, `customer.name | default: "none"`, `"b,a,c" | split: "," | sort | join: ""`,
		`"b,a,b" | split: "," | uniq | join: ""`, `declined | last`, `"abcdefghij" | truncate: 5, ".."`,
	}).Draw(r, "output")
}

func condition(r *rapid.T) string {
	one := func() string {
		return rapid.SampledFrom([]string{
			"customer.name", "title", `grade == "A"`, `grade != "A"`, "km > 30000", "km <= 31000", "days < 3",
			`customer.name contains "王"`, `declined contains "雨刮"`, "declined.size == 2", "true", "false", "title == nil", "days >= 10.0",
		}).Draw(r, "condition")
	}
	switch rapid.IntRange(0, 3).Draw(r, "joined") {
	case 0:
		return one() + strings.Repeat(" and "+one(), rapid.IntRange(1, 3).Draw(r, "more"))
	case 1:
		return one() + " or " + one() + " or " + one()
	}
	return one()
}
