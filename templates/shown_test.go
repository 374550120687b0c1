package templates_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates"
)

// TestShowsIsEnough renders every message of the default book with all links and with those alone that it is said to show.
func TestShowsIsEnough(t *testing.T) {
	t.Parallel()
	set, _ := templates.Load(defaultBook(t))
	saved := 0
	for _, name := range set.Names() {
		for _, ch := range care.Channels {
			for _, locale := range set.Locales(name, ch) {
				all, few := set.SampleFor(name, ch, locale), set.SampleFor(name, ch, locale)
				few.Links = care.Links{Booking: all.Links.Booking}
				for _, l := range []struct {
					shown    bool
					from, to *string
				}{
					{set.Shows(few).Unsubscribe, &all.Links.Unsubscribe, &few.Links.Unsubscribe},
					{set.Shows(few).Survey, &all.Links.Survey, &few.Links.Survey},
					{set.Shows(few).RSVP, &all.Links.RSVP, &few.Links.RSVP},
					{set.Shows(few).Odometer, &all.Links.Odometer, &few.Links.Odometer},
				} {
					if *l.from == "" {
						t.Fatal("the sample lacks a link")
					}
					if l.shown {
						*l.to = *l.from
					} else {
						saved++
					}
				}
				want, err := set.Render(all)
				if err != nil {
					t.Fatal(err)
				}
				got, err := set.Render(few)
				if err != nil {
					t.Fatal(err)
				}
				if ch != care.Email { // only a mail has it in a header
					want.Unsubscribe, got.Unsubscribe = "", ""
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s/%s/%s (-all +few):\n%s", name, locale, ch, diff)
				}
			}
		}
	}
	if saved < 100 {
		t.Errorf("only %d links were not needed", saved)
	}
}

// TestShowsFindsLinksEverywhere names a link in every place where a template can have one.
func TestShowsFindsLinksEverywhere(t *testing.T) {
	t.Parallel()
	survey := templates.Shown{Survey: true}
	for name, files := range map[string]map[string]string{
		"nowhere":       {"x/en/sms.txt": "hello"},
		"the body":      {"x/en/sms.txt": "{{ links.survey }}"},
		"a branch":      {"x/en/sms.txt": "{% if customer.name == \"x\" %}{{ links.survey | upcase }}{% endif %}a"},
		"a condition":   {"x/en/sms.txt": "{% if links.survey %}a{% endif %}b"},
		"a when":        {"x/en/sms.txt": "{% case customer.name %}{% when links.survey %}a{% endcase %}b"},
		"an argument":   {"x/en/sms.txt": "{{ customer.name | append: links.survey }}"},
		"a size":        {"x/en/sms.txt": "{{ links.survey.size }}"},
		"a limit":       {"x/en/sms.txt": "{% for x in visit.declined limit: links.survey.size %}{{ x }}{% endfor %}a"},
		"a default":     {"x/en/sms.txt": "---\ndefaults:\n  advisor.name: \"{{ links.survey }}\"\n---\n{{ advisor.name }}"},
		"a partial":     {"x/en/sms.txt": `{% partial "p" %}`, "_partials/en/p.md": "{{ links.survey }}"},
		"a gateway":     {"x/en/sms.txt": "---\ngateway:\n  aliyun:\n    template: SMS_1\n    params:\n      link: \"{{ links.survey }}\"\n---\nhello"},
		"a header":      {"x/en/webhook.json": "---\nheaders:\n  X-Link: \"{{ links.survey }}\"\n---\n{}"},
		"a mail":        {"x/en/email.md": "---\nsubject: hello\n---\n[go]({{ links.survey }})"},
		"a subject":     {"x/en/email.md": "---\nsubject: \"{{ links.survey }}\"\n---\nhello"},
		"a layout":      {"x/en/email.md": "---\nsubject: hello\n---\nhello", "_layouts/default.html": "<p>{{ links.survey }}</p>{{ content }}"},
		"a dealer's":    {"x/en/sms.txt": "{% block b %}hello{% endblock %}", "_dealers/sh-pudong/x/en/sms.txt": "{% block b %}{{ links.survey }}{% endblock %}"},
		"another's own": {"x/en/sms.txt": "{% block b %}hello{% endblock %}", "_dealers/sh-other/x/en/sms.txt": "{% block b %}{{ links.survey }}{% endblock %}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, files)
			d := draft("x", care.SMS, "en")
			want := survey
			switch {
			case files["x/en/webhook.json"] != "":
				d.Channel = care.Webhook
			case files["x/en/email.md"] != "":
				d.Channel, want.Unsubscribe = care.Email, true
			}
			if name == "nowhere" || name == "another's own" {
				want = templates.Shown{}
			}
			if got := set.Shows(d); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}
