package templates_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/templates"
)

var gatewayRules = map[string]care.GatewayRules{
	"kannel": {Plain: true},
	"named": {
		Code: regexp.MustCompile(`^SMS_\d+$`), Param: regexp.MustCompile(`^[A-Za-z]\w*$`), MaxValue: 12, NoLinks: true, MaxText: 100,
	},
	"numbered": {Numbered: true},
	"asking":   {Needs: []string{"name"}},
}

func TestApprovedTemplates(t *testing.T) {
	t.Parallel()
	const body = "Hello {{ customer.name }}, your {{ dealer.name }}{% if customer.salutation == 'Ms. Smith' %} wishes you well{% endif %}"
	const text = `text: "Hello ${name}, your ${dealer} wishes you well"`
	const params = `params: {name: "{{ customer.name }}", dealer: "{{ dealer.name }}"}`
	for name, tt := range map[string]struct {
		body, gateway string
		want          []string // rule and the beginning of each message, in the order of the file
	}{
		"the same":           {"Hi {{ customer.name }}!", `named: {template: SMS_1, params: {name: "{{ customer.name }}"}, text: "Hi ${name}!"}`, nil},
		"the same, signed":   {"Hi {{ customer.name }}!", `named: {template: SMS_1, params: {name: "{{ customer.name }}"}, text: "【Buick】Hi ${name}!\n"}`, nil},
		"the same, by count": {"Hi {{ customer.name }}, {{ dealer.name }}", `numbered: {template: "7", params: {b: "{{ customer.name }}", a: "{{ dealer.name }}"}, text: "Hi {1}, {2}"}`, nil},
		"counted wrongly":    {"Hi {{ customer.name }}, {{ dealer.name }}", `numbered: {template: "7", params: {a: "{{ dealer.name }}", b: "{{ customer.name }}"}, text: "Hi {1}, {2}"}`, []string{`gateway-drift: the text that numbered approved and ours part: ours says "Mary Smith, " where the approved one says "Pudong Buick"`}},
		"one word differs":   {"Hi {{ customer.name }}! Bye", `named: {template: SMS_1, params: {name: "{{ customer.name }}"}, text: "Hi ${name}! By"}`, []string{`gateway-drift: the text that named approved and ours part: ours says "e" where the approved one says "(its end)"`}},
		"a branch differs":   {body, "named: {template: SMS_1, " + params + ", " + text + "}", []string{`gateway-drift: the text that named approved and ours part when no branch of line 4 is taken: ours says "(its end)" where the approved one says " wishes you "`}},
		"no text":            {body, "named: {template: SMS_1, " + params + "}", []string{"gateway-text: without the text that named approved nobody can tell"}},
		"a code of others":   {"x", `named: {template: "12", text: x}`, []string{`gateway-template: "12" does not look like a template's code of named`}},
		"no parameter":       {"Hi!", `named: {template: SMS_1, text: "Hi${name}!"}`, []string{"gateway-params: the approved text has the variable ${name}, for which there is no parameter"}},
		"no such number":     {"Hi!", `numbered: {template: "1", text: "Hi{3}!"}`, []string{"gateway-params: the approved text has the variable {3}"}},
		"one too many":       {"Hi!", `named: {template: SMS_1, params: {a: x}, text: "Hi!"}`, []string{"gateway-params: the approved text has no place for the parameter a"}},
		"one number too many": {"Hi!", `numbered: {template: "1", params: {a: x}, text: "Hi!"}`, []string{
			"gateway-params: the approved text has no place for the parameter a: the gateway counts them",
		}},
		"a bad name":        {"x!", `named: {template: SMS_1, params: {1a: x}, text: "${1a}!"}`, []string{`gateway-params: named takes no parameter of the name "1a"`}},
		"a long value":      {"An owner's day!", `named: {template: SMS_1, params: {a: "An owner's day"}, text: "${a}!"}`, []string{"gateway-params: the parameter a has 14 characters for a sample customer; named takes 12"}},
		"a link":            {"See {{ links.odometer }}", `named: {template: SMS_1, params: {a: "{{ links.odometer }}"}, text: "See ${a}"}`, []string{"gateway-params: the parameter a is a link, which named refuses"}},
		"a long text":       {strings.Repeat("x", 101), `named: {template: SMS_1, text: ` + strings.Repeat("x", 101) + `}`, []string{"gateway-text: the text has 101 characters; named approves at most 100"}},
		"asked for by file": {"x", `asking: {template: x, text: x}`, []string{"gateway-params: the file of the gateway asking asks for the parameter name"}},
		"given to the file": {"x", `asking: {template: x, params: {name: y}, text: x}`, nil},
		"takes plain text":  {"x", `kannel: {template: x}`, []string{"gateway-plain: the gateway kannel takes text as it is"}},
		"a typing error":    {"x", `nemed: {template: x}`, []string{`unknown-gateway: there is no gateway "nemed"; did you mean named? If it is an account`}},
		"an account":        {"x", `north-east: {template: x, text: y}`, []string{`unknown-gateway: there is no gateway "north-east"; mend the name. If it is an account`, `gateway-drift: the text that north-east approved`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"x/en/sms.txt": "---\ngateway: {" + tt.gateway + "}\n---\n" + tt.body}
			book := lintBook(files, care.Care, care.OnBirthday)
			book.Programs[0].Channels = []string{"sms"}
			set, problems := templates.Load(book)
			if problem.Faults(problems) {
				t.Fatal(problems)
			}
			var got []string
			for _, p := range set.Lint(templates.LintOptions{Gateways: gatewayRules}) {
				if !strings.Contains(p.Rule, "gateway") {
					continue
				}
				got = append(got, p.Rule+": "+p.Message+"; "+p.Remedy)
				if p.Line != 2 || p.Column < 2 || p.Remedy == "" {
					t.Errorf("%+v", p)
				}
			}
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			// Without the rules nothing is held against them.
			for _, p := range set.Lint(templates.LintOptions{}) {
				if strings.Contains(p.Rule, "gateway") {
					t.Errorf("without rules: %v", p)
				}
			}
		})
	}
}

// TestADealersWordsDriftToo: the approved template is the brand's.
func TestADealersWordsDriftToo(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"x/en/sms.txt":            "---\ngateway: {named: {template: SMS_1, text: Hello}}\n---\n{% block hello %}Hello{% endblock %}",
		"_dealers/d/x/en/sms.txt": "{% block hello %}Howdy{% endblock %}",
	}
	set, problems := templates.Load(lintBook(files, care.Care, care.OnBirthday))
	if problem.Faults(problems) {
		t.Fatal(problems)
	}
	var got []string
	for _, p := range set.Lint(templates.LintOptions{Gateways: gatewayRules}) {
		if p.Rule == "gateway-drift" {
			got = append(got, p.Message)
		}
	}
	if len(got) != 1 || !strings.Contains(got[0], `ours says "owdy"`) {
		t.Errorf("got %q", got)
	}
}

func TestWithoutCode(t *testing.T) {
	t.Parallel()
	set, problems := templates.Load(lintBook(map[string]string{
		"x/en/sms.txt":    "---\ngateway: {named: {template: SMS_1}}\n---\nx",
		"x/zh-CN/sms.txt": "x",
		"y/en/sms.txt":    "nobody sends it",
	}, care.Care, care.OnBirthday))
	if problem.Faults(problems) {
		t.Fatal(problems)
	}
	for _, tt := range []struct{ gateways, want []string }{
		{[]string{"named"}, []string{"templates/x/zh-CN/sms.txt"}},
		{[]string{"north", "named"}, []string{"templates/x/zh-CN/sms.txt"}},
		{[]string{"numbered"}, []string{"templates/x/en/sms.txt", "templates/x/zh-CN/sms.txt"}},
	} {
		if got := set.WithoutCode(tt.gateways...); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.gateways, got, tt.want)
		}
	}
}
