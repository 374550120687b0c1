package templates_test

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/templates"
)

// TestProblems shows what a marketer is told: place, what is wrong, what to write instead.
func TestProblems(t *testing.T) {
	t.Parallel()
	mail := func(body string) map[string]string {
		return map[string]string{"x/en/email.md": "---\nsubject: x\n---\n" + body}
	}
	sms := func(body string) map[string]string { return map[string]string{"x/en/sms.txt": body} }
	tests := map[string]struct {
		files map[string]string
		want  string // the beginning of the first problem, without templates/x/en/
	}{
		"unknown variable":            {sms("Hi {{ custmer.name }}"), "sms.txt:1:7: there is no variable custmer.name; did you mean customer.name?"},
		"unknown field":               {sms("好好{{ vehicle.licence }}"), "sms.txt:1:6: there is no variable vehicle.licence; docs/templates.md"},
		"a method":                    {sms("{{ dealer.AdvisorFor }}"), "sms.txt:1:4: there is no variable dealer.AdvisorFor; "},
		"unknown field of a loop":     {sms("{% for i in also %}{{ i.titel }}{% endfor %}"), "sms.txt:1:23: there is no variable i.titel; did you mean i.title?"},
		"unknown filter":              {sms("a\n{{ due.on | date_locale }}"), "sms.txt:2:13: there is no filter date_locale; did you mean date_local?"},
		"refused filter":              {sms("{{ customer.name | escape }}"), "sms.txt:1:20: the filter escape cannot be used; remove it"},
		"filter arguments":            {sms("{{ customer.name | append }}"), `sms.txt:1:20: the filter append takes 1 argument, not 0; write append: "…"`},
		"unclosed value":              {sms("Hi {{ customer.name"), "sms.txt:1:4: the tag that begins here has no }}; close it with }}"},
		"unclosed value before a tag": {sms("{{ customer.name {% if a %}"), "sms.txt:1:1: the tag that begins here has no }}"},
		"unclosed tag":                {sms("{% if customer.name }x"), "sms.txt:1:1: the tag that begins here has no %}"},
		"unclosed if":                 {sms("a{% if customer.name %}x"), "sms.txt:1:2: {% if %} is never ended; add {% endif %}"},
		"unclosed raw":                {sms("{% raw %}x"), "sms.txt:1:1: {% raw %} is never ended"},
		"a wrong end":                 {sms("{% if customer.name %}x{% endfor %}{% endif %}"), "sms.txt:1:24: {% endfor %} stands here, but {% if %} is open"},
		"an end too many":             {sms("x{% endif %}"), "sms.txt:1:2: {% endif %} stands here, but nothing is open"},
		"else outside":                {sms("{% else %}"), "sms.txt:1:1: {% else %} stands outside of a block"},
		"break outside":               {sms("{% break %}"), "sms.txt:1:1: {% break %} stands outside of a loop"},
		"unknown tag":                 {sms("{% fi %}"), "sms.txt:1:1: there is no tag \"fi\""},
		"assign":                      {sms(`{% assign a = "x" %}`), "sms.txt:1:1: the tag assign cannot be used; write the value where it is needed"},
		"capture":                     {sms(`{% capture a %}`), "sms.txt:1:1: the tag capture cannot be used"},
		"increment":                   {sms(`{% increment a %}`), "sms.txt:1:1: the tag increment cannot be used"},
		"include":                     {sms(`{% include "a" %}`), "sms.txt:1:1: the tag include cannot be used; use {% partial"},
		"a range":                     {sms(`{% for i in (1..3) %}{% endfor %}`), "sms.txt:1:15: a range (a..b) cannot be used"},
		"one equals sign":             {sms(`{% if customer.grade = "A" %}{% endif %}`), `sms.txt:1:22: "=" cannot stand here; write == to compare`},
		"curly quotes":                {sms(`{{ customer.name | default: “x” }}`), `sms.txt:1:29: "“" cannot stand here; write straight quotes`},
		"full-width colon":            {sms(`{{ customer.name | default："x" }}`), `sms.txt:1:27: "：" cannot stand here; write it half-width`},
		"too much":                    {sms(`{{ customer.name customer.id }}`), `sms.txt:1:18: "customer" is too much here`},
		"empty braces":                {sms(`{{ }}`), "sms.txt:1:4: something is missing here; write a variable"},
		"no partial":                  {sms(`{% partial "x" %}`), `sms.txt:1:1: there is no partial "x"; write templates/_partials/en/x.md`},
		"empty text":                  {sms("---\n---\n \n"), "sms.txt:3:1: the text message is empty"},
		"no subject":                  {map[string]string{"x/en/email.md": "x"}, "email.md:1:1: the mail has no subject"},
		"unknown key":                 {sms("---\nsubjct: x\n---\nx"), "sms.txt:2:1: the front matter cannot be read: unknown field \"subjct\"; write only defaults, skip, gateway"},
		"a key for another channel":   {sms("---\nsubject: x\n---\nx"), "sms.txt:2:10: subject means nothing for sms"},
		"tags without quotes":         {map[string]string{"x/en/email.md": "---\nsubject: {{ customer.name }}\n---\nx"}, "email.md:2:"},
		"in the subject":              {map[string]string{"x/en/email.md": "---\nsubject: \"a {{ custmer.name }}\"\n---\nx"}, "email.md:2:16: there is no variable custmer.name"},
		"front matter without end":    {sms("---\ndefaults: {}\nx"), "sms.txt:1:1: the front matter is never ended"},
		"unknown default":             {sms("---\ndefaults: {advisor.nam: x}\n---\nx"), "sms.txt:2:25: there is no variable advisor.nam; did you mean advisor.name?"},
		"a bare tag":                  {sms("---\nskip: !x\n---\nHi"), "sms.txt:2:7: the front matter cannot be read: skip has a tag (!x); leave the tag out"},
		"a tag by mistake":            {sms("---\nskip: !important\n---\nHi"), "sms.txt:2:7: the front matter cannot be read: skip has a tag (!important)"},
		"a tag of the language":       {mailWith("locked: !!str"), "email.md:3:9: the front matter cannot be read: locked has a tag (!!str)"},
		"a bomb of aliases":           {sms("---\n" + bomb + "---\nHi"), "sms.txt:"},
		"front matter nested deeply":  {sms("---\nskip: " + strings.Repeat("[", 4<<10) + strings.Repeat("]", 4<<10) + "\n---\nHi"), "sms.txt:2:70: the front matter cannot be read: the file is nested more than 64 levels deep"},
		"a list for a parameter":      {sms("---\ngateway: {aliyun: {template: SMS_1, params: {a: [b]}}}\n---\nHi"), "sms.txt:2:49: the front matter cannot be read: params.a should be a text; compare"},
		"an open quote":               {mailWith("preheader: \"x"), "email.md:3:12: the front matter cannot be read: this is no YAML: the quoted text that begins here has no end; close the quotes"},
		"quotes of another line":      {mailWith("preheader: \"x\nlayout: \"y\""), "email.md:4:10: the front matter cannot be read: this is no YAML: the quoted text that begins on line 3 goes on behind its end"},
		"a key twice":                 {mailWith("subject: y"), "email.md:3:1: the front matter cannot be read: the field \"subject\" is there twice, first on line 2"},
		"unknown layout":              {map[string]string{"x/en/email.md": "---\nsubject: x\nlayout: nice\n---\nx"}, `email.md:3:9: there is no layout "nice"`},
		"a torn paragraph":            {mail("a {% if customer.name %}b\n\nc{% endif %} d"), "email.md:6:2: {% if %} begins in one place of the page (line 4) and {% endif %} stands in another"},
		"torn emphasis":               {mail("**a {% if customer.name %}b** c{% endif %} d"), "email.md:4:32: {% if %} begins in one place"},
		"a tag among attributes":      {map[string]string{"x/en/email.md": "---\nsubject: x\n---\nx", "_layouts/default.html": "<b {{ customer.name }}>{{ content }}</b>"}, "templates/_layouts/default.html:1:4: a tag cannot stand between the attributes of <b>"},
		"a tag in CSS":                {mail("<b style=\"color:{{ customer.name }}\">x</b>"), "email.md:4:17: a tag cannot stand in CSS"},
		"a tag in a comment":          {mail("<!-- {{ customer.name }} -->"), "email.md:4:6: a tag cannot stand in an HTML comment"},
		"a script":                    {mail("{{ customer.id }} <script>x</script>"), "email.md:4:1: <script> cannot be used in a mail"},
		"JSON":                        {map[string]string{"x/en/webhook.json": `{"a": 1,}`}, "webhook.json:1:8: from here on this is not JSON"},
		"JSON that ends":              {map[string]string{"x/en/webhook.json": "---\nmethod: PUT\n---\n{\"a\":\n 1"}, "webhook.json:5:3: from here on this is not JSON"},
		"JSON with a comment":         {map[string]string{"x/en/webhook.json": `{},{% comment %}x{% endcomment %}`}, "webhook.json:1:1: from here on this is not JSON"},
		"JSON and more":               {map[string]string{"x/en/webhook.json": `{} {}`}, "webhook.json:1:4: from here on this is not JSON"},
		"a reserved header":           {map[string]string{"x/en/webhook.json": "---\nheaders: {Webhook-Id: x}\n---\n{}"}, `webhook.json:2:23: the header "Webhook-Id" cannot be set`},
		"a method of HTTP":            {map[string]string{"x/en/webhook.json": "---\nmethod: GET\n---\n{}"}, "webhook.json:2:9: a webhook cannot use the method GET"},
		"a control character":         {sms("a\x01"), "sms.txt:1:2: the character U+0001 cannot stand in a template"},
		"not UTF-8":                   {sms("\xb4\xba"), "sms.txt: the file is not UTF-8; save it as UTF-8"},
		"a character of ours":         {sms("a\U000F0000"), "sms.txt:1:2: the character U+F0000 cannot stand"},
		"ours as an HTML reference":   {mail("x &#xF0005; y"), `email.md:1:1: "\U000f0005" cannot stand here`},
		"ours percent-encoded":        {mail("[x](https://a.example/%F3%B0%80%85)"), `email.md:1:1: "\U000f0005" cannot stand here`},
		"a file nobody reads":         {map[string]string{"x/en/mail.md": "x"}, "mail.md: warning: nothing reads this file; call it email.md"},
		"a gateway without code":      {sms("---\ngateway: {aliyun: {params: {a: b}}}\n---\nx"), "sms.txt:2:"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, problems := templates.Load(bookOf(tt.files))
			if len(problems) == 0 {
				t.Fatal("no problem was found")
			}
			got := strings.TrimPrefix(problems[0].Error(), "templates/x/en/")
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if problems[0].Remedy == "" || problems[0].Rule == "" {
				t.Errorf("no remedy or rule: %+v", problems[0])
			}
			if line := problems[0].Line; line > 0 && !strings.Contains(problems[0].Excerpt, "^") {
				t.Errorf("no excerpt: %+v", problems[0])
			}
			if problem.Faults(problems) && set.Has("x", care.SMS, []string{"en"}) {
				t.Error("a template with a fault is in the set")
			}
		})
	}
}

// bomb is a parameter of a hundred million texts.
const bomb = `gateway:
  aliyun:
    template: SMS_1
    params:
      a: &a [x, x, x, x, x, x, x, x, x, x]
      b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
      c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
      d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
      e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
      f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]
      g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]
      h: [*g, *g, *g, *g, *g, *g, *g, *g, *g, *g]
`

// mailWith is a mail with one more line of front matter.
func mailWith(line string) map[string]string {
	return map[string]string{"x/en/email.md": "---\nsubject: x\n" + line + "\n---\nx"}
}

func TestPartialProblemsNameTheirFile(t *testing.T) {
	t.Parallel()
	_, problems := templates.Load(bookOf(map[string]string{
		"x/en/sms.txt": "a\n{% partial \"p\" %}", "_partials/p.md": "ok\n{{ nobody }}",
	}))
	if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), "templates/_partials/p.md:2:4: there is no variable nobody") {
		t.Errorf("got %v", problems)
	}
}

// TestAllFaultsOfAFileAreSaid: who mends one fault must not meet the next at the next run.
func TestAllFaultsOfAFileAreSaid(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files map[string]string
		want  []string // beginnings, without templates/x/en/
	}{
		"subject, preheader and text": {
			map[string]string{"x/en/email.md": "---\nsubject: \"{{ a.b }}\"\npreheader: \"{{ c.d }}\"\n---\n{{ e.f }}\n\n[x]({{ g.h }})"},
			[]string{"email.md:2:14: there is no variable a.b", "email.md:3:16: there is no variable c.d", "email.md:5:4: there is no variable e.f", "email.md:7:8: there is no variable g.h"},
		},
		"no subject": {
			map[string]string{"x/en/email.md": "{{ e.f }}"},
			[]string{"email.md:1:1: the mail has no subject", "email.md:1:4: there is no variable e.f"},
		},
		"a page that cannot be": {
			map[string]string{"x/en/email.md": "---\nsubject: \"{{ a.b }}\"\n---\n<script>x</script>\n\n{{ e.f }}"},
			[]string{"email.md: <script> cannot be used in a mail", "email.md:2:14: there is no variable a.b", "email.md:6:4: there is no variable e.f"},
		},
		"no layout": {
			map[string]string{"x/en/email.md": "---\nsubject: \"{{ a.b }}\"\nlayout: nice\n---\n{{ e.f }}"},
			[]string{"email.md:2:14: there is no variable a.b", "email.md:3:9: there is no layout \"nice\"", "email.md:5:4: there is no variable e.f"},
		},
		"a layout's too": {
			map[string]string{"x/en/email.md": "---\nsubject: \"{{ a.b }}\"\n---\n{{ e.f }}", "_layouts/default.html": "<p>{{ i.j }}</p>{{ content }}"},
			[]string{"templates/_layouts/default.html:1:7: there is no variable i.j", "email.md:2:14: there is no variable a.b", "email.md:4:4: there is no variable e.f"},
		},
		"a tag without end": {
			map[string]string{"x/en/email.md": "---\nsubject: \"{{ a.b }}\"\n---\n{{ e.f"},
			[]string{"email.md:2:14: there is no variable a.b", "email.md:4:1: the tag that begins here has no }}"},
		},
		"a text message": {
			map[string]string{"x/en/sms.txt": "---\ndefaults: {advisor.nam: x}\ngateway: {aliyun: {template: S, params: {n: \"{{ a.b }}\"}}}\n---\n"},
			[]string{"sms.txt:2:25: there is no variable advisor.nam", "sms.txt:3:49: there is no variable a.b", "sms.txt:5:1: the text message is empty"},
		},
		"a webhook": {
			map[string]string{"x/en/webhook.json": "---\nheaders: {X-A: \"{{ a.b }}\"}\nmethod: GET\n---\n{\"a\": {{ e.f }}}"},
			[]string{"webhook.json:2:20: there is no variable a.b", "webhook.json:3:9: a webhook cannot use the method GET", "webhook.json:5:10: there is no variable e.f"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := templates.Load(bookOf(tt.files))
			for i, p := range problems {
				got := strings.TrimPrefix(p.Error(), "templates/x/en/")
				if i >= len(tt.want) || !strings.HasPrefix(got, tt.want[i]) {
					t.Errorf("problem %d: %s", i+1, got)
				}
			}
			if len(problems) != len(tt.want) {
				t.Errorf("%d problems, want %d", len(problems), len(tt.want))
			}
		})
	}
}
