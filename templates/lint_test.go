package templates_test

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates"
)

// lintBook is a book of one program of a class and trigger that uses the template x, and one dealer.
func lintBook(files map[string]string, class care.Class, on string) *care.Book {
	book := bookOf(files)
	book.Dealers = []*care.Dealer{{Dealer: "d", Locale: "en", Name: care.Text{"": "Pudong Buick"}, Country: "US", Phone: "+12125550100"}}
	book.Programs = []*care.Program{{
		Program: "p", Title: care.Text{"": "P"}, Class: class, Trigger: care.Trigger{On: on}, File: "programs/p.yaml",
		Channels: []string{"preferred", "sms", "email"}, Steps: []care.Step{{Step: "s", Template: "x"}},
	}}
	book.Locate = func(_, path string) (int, int, string) { return 7, len(path), "" }
	return book
}

func TestLint(t *testing.T) {
	t.Parallel()
	mail := func(body string) map[string]string {
		return map[string]string{
			"x/en/email.md": "---\nsubject: x\n---\n" + body, "x/en/sms.txt": "x",
			"_layouts/default.html": `<html><body>{{ content }}{% if links.unsubscribe %}<a style="color:#00f" href="{{ links.unsubscribe }}">out</a>{% endif %}</body></html>`,
		}
	}
	both := func(sms string) map[string]string {
		m := mail("x")
		m["x/en/sms.txt"] = sms
		return m
	}
	tests := map[string]struct {
		files map[string]string
		class care.Class
		on    string
		want  string // of a problem: file:line:column: message; "" = none
	}{
		"clean":                    {mail("Hello {{ dealer.name }}"), care.Care, care.OnBirthday, ""},
		"no template":              {map[string]string{"xmas/en/sms.txt": "x"}, care.Care, care.OnBirthday, `programs/p.yaml:7:19: there is no template "x", which the step s uses; write templates/x/`},
		"unused":                   {mapsWith(mail("x"), "y/en/sms.txt", "x"), care.Care, care.OnBirthday, `templates/y: warning: no program uses the template "y"`},
		"no channel":               {map[string]string{"x/en/sms.txt": "x"}, care.Care, care.OnBirthday, `programs/p.yaml:7:19: warning: the template "x" has no email.md although`},
		"no locale":                {map[string]string{"x/de/sms.txt": "x", "x/de/email.md": "---\nsubject: x\n---\nx"}, care.Care, care.OnBirthday, "templates/x: warning: there is no email.md in en, the language of a dealer; customers get it in de; write templates/x/en/email.md"},
		"not of the trigger":       {both("Your {{ vehicle.model }}"), care.Care, care.OnBirthday, "templates/x/en/sms.txt:1:6: vehicle.model exists only in programs on delivery"},
		"may be missing":           {both("{{ advisor.name }}"), care.Care, care.OnBirthday, "templates/x/en/sms.txt:1:1: warning: advisor.name can be missing (the customer has none)"},
		"guarded":                  {both("{% if advisor.name %}{{ advisor.name }}{% endif %}{{ advisor.phone | default: 'x' }}{% unless advisor.email %}{% else %}{{ advisor.email }}{% endunless %}"), care.Care, care.OnBirthday, ""},
		"guarded elsewhere":        {both("{% if advisor.name %}x{% else %}{{ advisor.name }}{% endif %}"), care.Care, care.OnBirthday, "templates/x/en/sms.txt:1:33: warning: advisor.name can be missing"},
		"no dealer has it":         {both("{{ dealer.hours }}"), care.Care, care.OnBirthday, "templates/x/en/sms.txt:1:1: warning: dealer.hours can be missing"},
		"every dealer has it":      {both("{{ dealer.phone }}"), care.Care, care.OnBirthday, ""},
		"commercial words":         {both("ab {{ dealer.name }} 本月8折优惠"), care.Care, care.OnBirthday, `templates/x/en/sms.txt:1:24: warning: "8折" sounds like an offer`},
		"commercial English":       {mail("Line\n\nGet 20% off"), care.Care, care.OnBirthday, `templates/x/en/email.md:6:5: warning: "20% off" sounds like an offer`},
		"commercial in commercial": {mail("Get 20% off"), care.Commercial, care.OnBirthday, ""},
		"shouting":                 {both("Come now!!"), care.Care, care.OnBirthday, `templates/x/en/sms.txt:1:9: warning: "!!" shouts`},
		"long subject":             {mapsWith(mail("x"), "x/en/email.md", "---\nsubject: \""+strings.Repeat("x", 61)+"\"\n---\nx"), care.Care, care.OnBirthday, "templates/x/en/email.md:2:11: warning: the subject has 61 characters"},
		"parts":                    {both(strings.Repeat("x", 310)), care.Care, care.OnBirthday, "templates/x/en/sms.txt:1:1: warning: for a sample customer the text takes 4 parts"},
		"no opt-out":               {map[string]string{"x/en/email.md": "---\nsubject: x\n---\nx", "x/en/sms.txt": "x"}, care.Care, care.OnBirthday, "templates/x/en/email.md:4:1: warning: the mail shows no way to opt out"},
		"no opt-out of safety":     {map[string]string{"x/en/email.md": "---\nsubject: x\n---\nx", "x/en/sms.txt": "x"}, care.Safety, care.OnBulletin, ""},
		"a relative link":          {mail("a\n[b](/book)"), care.Care, care.OnBirthday, `templates/x/en/email.md:5:5: the link "/book" does not begin with https://`},
		"a link to nowhere":        {mail("[b]()"), care.Care, care.OnBirthday, "templates/x/en/email.md:4:3: a link leads nowhere"},
		"a link without host":      {mail("[b](https://)"), care.Care, care.OnBirthday, `templates/x/en/email.md:4:5: the link "https://" has no host`},
		"a local link":             {mail("[b](https://localhost/x)"), care.Care, care.OnBirthday, `templates/x/en/email.md:4:5: the link "https://localhost/x" has no host that a customer could reach`},
		"a plain link":             {mail("[b](http://a.example/x)"), care.Care, care.OnBirthday, `templates/x/en/email.md:4:5: warning: the link "http://a.example/x" is not encrypted`},
		"a script link":            {mail(`<a href="ftp://a.example">x</a>`), care.Care, care.OnBirthday, "templates/x/en/email.md:4:10: mail clients do not follow ftp: links"},
		"a picture without words":  {mail("![](https://a.example/x.png)"), care.Care, care.OnBirthday, "templates/x/en/email.md:4:5: warning: a picture has no words"},
		"a relative picture":       {mail("![x](x.png)"), care.Care, care.OnBirthday, `templates/x/en/email.md:4:6: the picture "x.png" does not begin with https://`},
		"poor CSS":                 {mail(`<b style="position:absolute">x</b>`), care.Care, care.OnBirthday, `templates/x/en/email.md:4:11: warning: common mail clients do not know "position:absolute"`},
		"a poor element":           {mail("<details>x</details>"), care.Care, care.OnBirthday, "templates/x/en/email.md:4:1: warning: <details> is not shown by common mail clients"},
		"contrast":                 {mail(`<b style="color:#999">x</b>`), care.Care, care.OnBirthday, "templates/x/en/email.md:4:1: warning: in light mode the words of <b> can hardly be read: contrast 2.8 to 1"},
		"contrast in the dark": {
			mapsWith(mail("x"), "_layouts/default.html", `<html><head><style>@media (prefers-color-scheme: dark){body{background-color:#111 !important} .k{color:#333 !important}}</style></head><body style="color:#777;background-color:#fff">{{ content }}<p class="k">x</p>{% if links.unsubscribe %}<a style="color:#888" href="{{ links.unsubscribe }}">out</a>{% endif %}</body></html>`),
			care.Care, care.OnBirthday, "in dark mode the words of .k can hardly be read: contrast 1.5 to 1",
		},
		"heavy":         {mail(strings.Repeat(strings.Repeat("x", 99)+"\n\n", 600)), care.Care, care.OnBirthday, "templates/x/en/email.md:4:1: warning: the mail has 64 kB"},
		"gateway drift": {mapsWith(mapsWith(mail("x"), "x/en/sms.txt", "---\ngateway: {aliyun: {template: S1, params: {a: x}}}\n---\nx"), "x/zh-CN/sms.txt", "---\ngateway: {aliyun: {template: S1, params: {b: x}}}\n---\nx"), care.Care, care.OnBirthday, "the template S1 of aliyun has other parameters here than in templates/x/zh-CN/sms.txt"},
		"Load's own":    {both("{{ x }}"), care.Care, care.OnBirthday, "templates/x/en/sms.txt:1:4: there is no variable x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, _ := templates.Load(lintBook(tt.files, tt.class, tt.on))
			opt := templates.LintOptions{MaxBytes: 60_000, Parts: func(text, signature, country string) int {
				if country != "US" {
					t.Errorf("country %q", country)
				}
				return 1 + len(text)/100
			}}
			var all []string
			for _, p := range set.Lint(opt) {
				all = append(all, p.Error())
				if p.Remedy == "" || p.Rule == "" {
					t.Errorf("no remedy: %v", p)
				}
			}
			said := strings.Join(all, "\n")
			if tt.want == "" && said != "" || !strings.Contains(said, tt.want) {
				t.Errorf("got\n%s\nwant %s", said, tt.want)
			}
		})
	}
}

func mapsWith(m map[string]string, name, text string) map[string]string {
	m[name] = text
	return m
}
