package templates_test

import (
	"strings"
	"testing"

	"github.com/carebell/carebell/templates"
)

func TestAsks(t *testing.T) {
	t.Parallel()
	set, problems := templates.Load(bookOf(map[string]string{
		"said/en/sms.txt":    "---\nasks: survey\n---\nReply 1 to 5",
		"said/zh-CN/sms.txt": "{{ links.odometer }}",
		"linked/en/sms.txt":  "{% if links.rsvp %}{{ links.rsvp }}{% endif %}",
		"nothing/en/sms.txt": "links.survey",
		"wrong/en/sms.txt":   "---\nasks: money\n---\nx",
		"param/en/sms.txt":   "---\ngateway: {acme: {template: T, params: {l: \"{{ links.survey }}\"}}}\n---\nx",
	}))
	for name, want := range map[string]string{"said": "survey", "linked": "rsvp", "nothing": "", "none": "", "param": "survey"} {
		if got := set.Asks(name); got != want {
			t.Errorf("%s asks for %q, want %q", name, got, want)
		}
	}
	if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), `templates/wrong/en/sms.txt:2:7: "money" is nothing that a text message can ask for; write odometer, rsvp, survey`) {
		t.Errorf("problems: %v", problems)
	}
}
