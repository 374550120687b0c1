package templates_test

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates"
)

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
