package templates_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/osteele/liquid"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates"
)

// TestAgreesWithLiquid writes random templates of what both know and compares with a Liquid engine in wide use, so that what
// people know of Liquid holds here. The engine itself cannot be used for messages: it names no missing variable, knows no places
// and has no limits.
func TestAgreesWithLiquid(t *testing.T) {
	t.Parallel()
	engine := liquid.NewEngine()
	bindings := map[string]any{
		"customer": map[string]any{"name": "王小明", "grade": "A", "id": "C1"},
		"vehicle":  map[string]any{"model_year": 2024, "plate": "沪A12345"},
		"visit":    map[string]any{"declined": []string{"刹车片", "雨刮"}, "km": 31000},
		"due":      map[string]any{"days": 10},
		"event":    map[string]any{"title": nil},
	}
	rapid.Check(t, func(r *rapid.T) {
		src := "x" + template(r, 0)
		want, err := engine.ParseAndRenderString(src, bindings)
		if err != nil {
			r.Fatalf("%s: the other engine says %v", src, err)
		}
		set, problems := templates.Load(bookOf(map[string]string{"x/en/sms.txt": src}))
		if len(problems) > 0 {
			r.Fatalf("%s: %v", src, problems)
		}
		d := draft("x", care.SMS, "en")
		d.Customer.Grade, d.Customer.ID = "A", "C1"
		m, rerr := set.Render(d)
		if rerr != nil {
			r.Fatalf("%s: %v", src, rerr)
		}
		if string(m.Text) != strings.TrimSpace(want) {
			r.Fatalf("%s\ngot  %q\nwant %q", src, m.Text, want)
		}
	})
}

// template draws a template of at most three levels. It has no line breaks, which a tag alone on its line would take with it here,
// and no {{- -}}: that engine trims through the ends of blocks, while Liquid's reference trims the text next to the tag, as we do.
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
			fmt.Fprintf(&b, "{%% for i%d in visit.declined %s %%}{{ forloop.index }}{{ i%d }}%s{%% if forloop.last %%}.{%% endif %%}{%% endfor %%}",
				depth, rapid.SampledFrom([]string{"", "reversed", "limit: 1", "offset: 1"}).Draw(r, "modifier"), depth, inner())
		case 6:
			fmt.Fprintf(&b, "{%% case customer.grade %%}{%% when \"B\", \"C\" %%}%s{%% when \"A\" %%}%s{%% else %%}%s{%% endcase %%}", inner(), inner(), inner())
		case 7:
			b.WriteString("{% comment %}{{ x | y }} {% if %}{% endcomment %}{% raw %}{{ x }}{% endraw %}")
		}
	}
	return b.String()
}

func output(r *rapid.T) string {
	return rapid.SampledFrom([]string{
		"customer.name", `"lit"`, "12", "visit.km", `customer["name"]`, "visit.declined[0]", "visit.declined.first", "visit.declined.size",
		`customer.name | append: "x"`, `customer.name | prepend: 'x' | append: "y"`, `"aBc" | upcase`, `"aBc" | downcase`, `"aBc d" | capitalize`,
		`" a " | strip | append: "|"`, `"a,b,c" | split: "," | join: "-"`, `"a,b,c" | split: "," | reverse | first`, `"abc" | replace: "b", "x"`,
		`"abab" | remove: "b"`, `"abab" | replace_first: "b", "x"`, `"abcdef" | slice: 1, 3`, `"abc" | size`, `due.days | plus: 5`, `due.days | minus: 15`,
		`due.days | times: 3`, `due.days | modulo: 3`, `2.5 | ceil`, `2.5 | floor`, `2.5 | round`, `-3 | abs`, `due.days | at_least: 12`, `due.days | at_most: 3`,
		`due.days | divided_by: 3`, `event.title | default: "none"`, `customer.name | default: "none"`, `"b,a,c" | split: "," | sort | join: ""`,
		`"b,a,b" | split: "," | uniq | join: ""`, `visit.declined | last`, `"abcdefghij" | truncate: 5, ".."`,
	}).Draw(r, "output")
}

func condition(r *rapid.T) string {
	one := func() string {
		return rapid.SampledFrom([]string{
			"customer.name", "event.title", `customer.grade == "A"`, `customer.grade != "A"`, "visit.km > 30000", "visit.km <= 31000", "due.days < 3",
			`customer.name contains "王"`, `visit.declined contains "雨刮"`, "visit.declined.size == 2", "true", "false", "event.title == nil", "due.days >= 10.0",
		}).Draw(r, "condition")
	}
	switch rapid.IntRange(0, 3).Draw(r, "joined") {
	case 0:
		return one() + " and " + one()
	case 1:
		return one() + " or " + one()
	}
	return one()
}

// FuzzRender holds that no template and no name makes the engine panic, run away or tear a page.
func FuzzRender(f *testing.F) {
	for _, body := range []string{
		"{{ customer.name }}", "{% if advisor.name %}x{% else %}y{% endif %}", "- {{ customer.name }}\n{% for d in visit.declined %}\n- {{ d }}\n{% endfor %}",
		"[x]({{ links.booking }})", "| a | {{ customer.id }} |\n|---|---|", "{% raw %}{{{% endraw %}", "> {% unless advisor.name %}\n> x\n{% endunless %}", "<b title='{{ customer.name }}'>x</b>",
		"{{ also[0].title | default: 'x' }}", "```\n{{ customer.name }}\n```", "{%- case due.days -%}{% when 10 %}a{% endcase %}",
	} {
		f.Add(body, "王小明")
		f.Add(body, `"><script>`)
	}
	f.Fuzz(func(t *testing.T, body, name string) {
		set, _ := templates.Load(bookOf(map[string]string{"x/en/sms.txt": body, "x/en/email.md": "---\nsubject: x\n---\n" + body, "x/en/webhook.json": body}))
		for _, ch := range care.Channels {
			d := draft("x", ch, "en")
			d.Customer.Name = name
			m, err := set.Render(d)
			if err != nil {
				if care.KindOf(err) != care.KindContent {
					t.Errorf("%v is of no kind", err)
				}
				continue
			}
			if len(m.HTML)+len(m.Text)+len(m.Body) > 3*256<<10 {
				t.Error("the message is too large")
			}
			if ch == care.Email && strings.Contains(string(m.HTML), "<script") {
				t.Errorf("a script in %s", m.HTML)
			}
		}
	})
}
