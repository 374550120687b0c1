package liquid_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/carebell/carebell/templates/liquid"
)

// bindings are values by the names of their variables.
type bindings map[string]liquid.Value

func texts(all ...string) liquid.Value {
	items := make([]liquid.Value, len(all))
	for i, s := range all {
		items[i] = liquid.Text(s)
	}
	return liquid.List(items)
}

// standard are bindings that most tests do with.
func standard() bindings {
	car := liquid.TextWithFields("Regal", func(name string) liquid.Value {
		if name == "plate" {
			return liquid.Text("KTR4821")
		}
		return liquid.Value{}
	})
	return bindings{
		"name": liquid.Text("王小明"), "list": texts("刹车片", "雨刮"), "day": liquid.Date(2026, 12, 2), "gone": {}, "count": liquid.Number(10),
		"car": car, "cars": liquid.List([]liquid.Value{car}),
	}
}

// language knows the variables of the bindings; nil = the standard ones.
func language(b bindings) *liquid.Language {
	if b == nil {
		b = standard()
	}
	l := &liquid.Language{
		Variables: map[string]*liquid.Variable{}, Names: slices.Sorted(maps.Keys(b)),
		Examples: liquid.Examples{Variable: "name", Filter: "upcase", List: "list", Reference: "read the manual"},
	}
	for name, v := range b {
		l.Variables[name] = &liquid.Variable{Name: name, Kind: v.Kind(), Get: func(s *liquid.State) liquid.Value {
			values, _ := s.Data.(bindings)
			return values[name]
		}}
	}
	return l
}

// render parses and renders a text that must not have a problem.
func render(t testing.TB, src string, b bindings) string {
	t.Helper()
	tpl, problems := liquid.Parse("x", src, language(b), liquid.InText)
	for _, p := range problems {
		if !p.Warning {
			t.Fatalf("%s: %v", src, p)
		}
	}
	if b == nil {
		b = standard()
	}
	s := liquid.NewState(b)
	defer s.Release()
	out, err := s.Render(tpl)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return string(out)
}
