package liquid_test

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/templates/liquid"
)

// TestLogicOfShopify holds and/or to what Shopify documents (shopify.dev, Liquid basics, operators, order of operations): "In tags with
// more than one and or or operator, operators are checked in order from right to left. You cannot change the order of operations using
// parentheses". The first two are the examples of that page.
func TestLogicOfShopify(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]bool{
		"true or false and false":                   true, // true or (false and false); from left to right it would be false
		"true and false and false or true":          false,
		"false and false or true":                   false, // false and (false or true); from left to right it would be true
		"false and true or true":                    false,
		"true and true or false":                    true,
		"true and false or true":                    true,
		"false or true and false":                   false,
		"false or false and true or true":           false,
		"true or true and false and nil":            true,
		`"a" == "a" or "b" == "c" and "d" == "e"`:   true,
		`"a" == "b" and "b" == "c" or "d" == "d"`:   false,
		`"ab" contains "a" and nil or 3 > 2 and ""`: true,
		"nil or nil or 1":                           true,
		"1 and 2 and nil":                           false,
	} {
		for src, yes := range map[string]string{
			"{% if " + condition + " %}yes{% else %}no{% endif %}":                                         "yes",
			"{% unless " + condition + " %}no{% else %}yes{% endunless %}":                                 "yes",
			"{% if false %}{% elsif " + condition + " %}yes{% else %}no{% endif %}":                        "yes",
			"{% if true %}{% if " + condition + " %}yes{% else %}no{% endif %}{% endif %}":                 "yes",
			"{% for i in list limit: 1 %}{% if " + condition + " %}yes{% else %}no{% endif %}{% endfor %}": "yes",
		} {
			got := render(t, src, nil)
			if (got == yes) != want {
				t.Errorf("%s: got %s, want %t", src, got, want)
			}
		}
	}
}

func TestNoParentheses(t *testing.T) {
	t.Parallel()
	for _, src := range []string{"{% if (true or false) and false %}x{% endif %}", "{{ (name) }}", "{% if true and (false) %}x{% endif %}"} {
		_, problems := liquid.Parse("x", src, language(nil), liquid.InText)
		if len(problems) != 1 || problems[0].Rule != "parentheses" || problems[0].At.Column != strings.IndexByte(src, '(')+1 {
			t.Errorf("%s: %v", src, problems)
		}
	}
}

// TestMixedLogicIsSaid holds that an author hears how a condition is read whose meaning depends on the order.
func TestMixedLogicIsSaid(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]int{
		"{% if true and false or true %}x{% endif %}":                       1,
		"{% unless name or true and nil or name %}x{% endunless %}":         1,
		"{% if name or nil and true %}x{% endif %}":                         0, // as everybody expects
		"{% if true and false and true %}x{% endif %}":                      0,
		"{% if true or false or true %}x{% elsif true or nil %}{% endif %}": 0,
		"{% if true %}x{% elsif name and name or name %}y{% endif %}":       1,
	} {
		tpl, problems := liquid.Parse("x", src, language(nil), liquid.InText)
		if tpl == nil || len(problems) != want || want > 0 && (!problems[0].Warning || problems[0].Rule != "mixed-and-or") {
			t.Errorf("%s: %v", src, problems)
		}
	}
}
