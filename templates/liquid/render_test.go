package liquid_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/carebell/carebell/templates/liquid"
)

func TestRender(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"{{ name }} {{ day }} {{ count }}": "王小明 2026-12-02 10",
		"{{ list }}":                       "刹车片, 雨刮",
		"{{ car }} {{ car.size }}{% for c in cars %} {{ c }} {{ c.plate }}{% endfor %}": "Regal 5 Regal KTR4821",
		"{{ list[0] }} {{ list[-1] }} {{ list.size }}":                                  "刹车片 雨刮 2",
		"{% for i in list reversed %}{{ i }}{% endfor %}":                               "雨刮刹车片",
		"{% for i in gone %}x{% else %}none{% endfor %}":                                "none",
		`{{ gone | default: "x" }}{{ name | size }}`:                                    "x3",
		`{% if day > "2026-12-01" and day != gone %}x{% endif %}`:                       "x",
		"{% case count %}{% when 9, 10 %}a{% endcase %}":                                "a",
		"a {%- comment -%} {{ gone }} {% endcomment %} b":                               "a b",
		"{% raw %}{{ name }}{% endraw %}":                                               "{{ name }}",
	} {
		if diff := cmp.Diff(want, render(t, src, nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", src, diff)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	loop := "{% for i in list %}"
	for src, want := range map[string]*liquid.Error{
		"{{ gone }}":                  {Code: liquid.CodeMissing, Message: "gone has no value"},
		"{{ gone | append: name }}":   {Code: liquid.CodeMissing, Message: "gone has no value"},
		"{{ list[7] }}":               {Code: liquid.CodeMissing, Message: "list[…] has no value"},
		"{{ car.colour }}":            {Code: liquid.CodeMissing, Message: "car.colour has no value"},
		"{{ count | divided_by: 0 }}": {Code: liquid.CodeRender, Message: "a calculation has no result: a division by zero, or a number out of bounds"},
		strings.Repeat(loop, 20) + strings.Repeat("{% endfor %}", 20):                                        {Code: liquid.CodeTooSlow, Message: "the template works longer than a message may take; are loops nested?"},
		strings.Repeat(loop, 9) + strings.Repeat("x", 1000) + strings.Repeat("{% endfor %}", 9):              {Code: liquid.CodeTooLarge, Message: "the message is larger than 256 KiB"},
		`{{ "aaaaaaaaaa"` + strings.Repeat(` | replace: "a", "aaaaaaaaaa"`, 9) + " }}":                       {Code: liquid.CodeTooLarge, Message: "the filter replace made more than 256 KiB"},
		`{{ "a,a" | replace: "a", "` + strings.Repeat("b,", 999) + `" | split: "," | size }}{{ name }}` + "": {Code: liquid.CodeTooLarge, Message: "the filter split made more than 1000 items"},
	} {
		tpl, problems := liquid.Parse("x", src, withFields(), liquid.InText)
		if len(problems) > 0 {
			t.Errorf("%s: %v", src, problems)
			continue
		}
		s := liquid.NewState(standard())
		_, err := s.Render(tpl)
		got, _ := errors.AsType[*liquid.Error](err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.60s (-want +got):\n%s", src, diff)
		}
		s.Release()
	}
}

// withFields is the language in which car.colour is known as well.
func withFields() *liquid.Language {
	l := language(nil)
	car := l.Variables["car"]
	l.Variables["car.colour"] = &liquid.Variable{Name: "car.colour", Kind: liquid.KindText, Get: func(s *liquid.State) liquid.Value {
		car.Get(s)
		return liquid.Value{}
	}}
	return l
}

// TestProblems holds that what is wrong is said with its place and the words of the language.
func TestProblems(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"a\nb {{ nam }}":                        "x:2:6: there is no variable nam; did you mean name?",
		"{{ zzz }}":                             "x:1:4: there is no variable zzz; read the manual",
		"{{ name | upcas }}":                    "x:1:11: there is no filter upcas; did you mean upcase?",
		"{{ }}":                                 "x:1:4: something is missing here; write a variable, such as name",
		"{% for in list %}{% endfor %}":         "x:1:11: the word in is missing; write {% for in in list %}",
		"{{ name | }}":                          "x:1:10: no filter stands behind the |; name a filter, such as upcase",
		"{% for i in (1..3) %}{% endfor %}":     "x:1:15: a range (a..b) cannot be used; loop over a list, such as list",
		"{% if name %}":                         "x:1:1: {% if %} is never ended; add {% endif %} where it should end",
		"{% assign a = 1 %}":                    "x:1:1: the tag assign cannot be used; write the value where it is needed; templates have no variables of their own",
		`{% partial "a" %}`:                     "x:1:1: partials cannot be used in this place; write its text here",
		"{% block a %}{% block b %}{% endblock": "x:1:1: {% block %} is never ended; add {% endblock %}",
	} {
		tpl, problems := liquid.Parse("x", src, language(nil), liquid.InText)
		if tpl != nil || len(problems) != 1 || problems[0].Error() != want {
			t.Errorf("%s: got %v, want %s", src, problems, want)
		}
	}
}

// TestEscaping holds for any text that it cannot leave the context it stands in.
func TestEscaping(t *testing.T) {
	t.Parallel()
	compile := func(src string, context liquid.EscapeContext) *liquid.Template {
		tpl, problems := liquid.Parse("x", src, language(nil), context)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return tpl
	}
	line, page, inner, value := compile("{{ name }}", liquid.InLine), compile("{{ name }}", liquid.InAttribute), compile(`"{{ name }}"`, liquid.InJSONString), compile("{{ name }}", liquid.InJSON)
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`"\`, "\u2028\u202e", "a\r\nb", "</b>'", "\xff\xfe<"}), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(r, "name")
		write := func(tpl *liquid.Template) string {
			s := liquid.NewState(bindings{"name": liquid.Literal(name)})
			defer s.Release()
			out, err := s.Render(tpl)
			if err != nil {
				r.Fatal(err)
			}
			if !utf8.Valid(out) {
				r.Fatalf("%q became %q, which is not UTF-8", name, out)
			}
			return string(out)
		}
		if out := write(line); strings.ContainsAny(out, "\r\n\x00\u2028\u2029\u202e\u2066") {
			r.Fatalf("%q became %q", name, out)
		}
		if out := write(page); strings.ContainsAny(out, `<>"'`) {
			r.Fatalf("%q became %q", name, out)
		}
		for _, tpl := range []*liquid.Template{inner, value} {
			var s string
			if out := write(tpl); json.Unmarshal([]byte(out), &s) != nil {
				r.Fatalf("%q became %s, which is no JSON string", name, out)
			}
		}
	})
}

// FuzzParse holds that no text makes the engine panic or run away, and that the same text always ends the same way.
func FuzzParse(f *testing.F) {
	for _, src := range []string{
		"{{ name | append: 'x' }}", "{% if a and b or c %}{% elsif %}{% endif %}", "{% for i in list %}{{ forloop.index }}{% break %}{% endfor %}", "{% case day %}{% when 1, 2 or 3 %}{% endcase %}",
		"{%- raw -%}{{{% endraw %}", "{{ list[0][-1].size }}", "{% block a locked %}{% endblock %}", "{{ \"a\" | split: \",\" | map: 'x' }}", "{{{% if x %}", "\U000F0000",
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if strings.ContainsFunc(src, liquid.IsPlaceholder) {
			return // who reads files refuses them
		}
		tpl, problems := liquid.Parse("x", src, language(nil), liquid.InText)
		if tpl == nil && len(problems) == 0 {
			t.Fatal("no template and no problem")
		}
		if tpl == nil {
			return
		}
		var outs [2]string
		for i := range outs {
			s := liquid.NewState(standard())
			out, err := s.Render(tpl)
			if len(out) > liquid.MaxOutput {
				t.Errorf("%d bytes", len(out))
			}
			outs[i] = string(out)
			if err != nil {
				outs[i] = err.Error()
			}
			s.Release()
		}
		if outs[0] != outs[1] {
			t.Errorf("%q, then %q", outs[0], outs[1])
		}
	})
}
