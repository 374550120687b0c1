package templates_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates"
)

func TestSkip(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"x/zh-CN/email.md": "---\nsubject: x\nskip: [visit.technician, event.place]\n---\n# {{ visit.technician }}\n\n一\n\n{{ visit.technician | append: \"！\" }} 给您修的\n\n- 二\n- 地点 {{ event.place }}\n- {{ dealer.name }}\n\n{% if visit.technician %}{{ visit.technician }}{% endif %} 三\n",
		"x/zh-CN/sms.txt":  "---\nskip: [visit.technician, event.place]\n---\n一\n{{ visit.technician }}给您修的\n{{ event.place }} {{ visit.technician }}\n{% if visit.km %}二{% endif %}",
	})
	for technician, want := range map[string][2]string{
		"李": {"李\n\n一\n\n李！ 给您修的\n\n- 二\n- 浦东别克\n\n李 三\n", "一\n李给您修的\n二"},
		"":  {"一\n\n- 二\n- 浦东别克\n", "一\n二"},
	} {
		for i, ch := range []care.Channel{care.Email, care.SMS} {
			d := draft("x", ch, "zh-CN")
			d.Occurrence.Subject.Visit.Technician = technician
			m, err := set.Render(d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[i], string(m.Text)); diff != "" {
				t.Errorf("%s, technician %q (-want +got):\n%s", ch, technician, diff)
			}
			if strings.Contains(string(m.HTML), "<p></p>") || strings.Contains(string(m.HTML), "<li></li>") {
				t.Errorf("an empty element in %s", m.HTML)
			}
		}
	}
	d := draft("x", care.Email, "zh-CN")
	d.Occurrence.Subject.Visit.Technician = ""
	all, err := set.Branches(d)
	if err != nil || len(all) > 3 {
		t.Errorf("conditions that nobody wrote are no branches: %+v, %v", all, err)
	}
}

func overrides() map[string]string {
	return map[string]string{
		"x/zh-CN/email.md":                    "---\nsubject: 主题\npreheader: 预览\nlocked: [preheader]\n---\n{% block greeting %}\n您好！\n{% endblock %}\n\n正文\n\n{% block legal locked %}声明{% endblock %}\n",
		"x/zh-CN/sms.txt":                     "{% block greeting %}您好！{% endblock %}正文",
		"_dealers/sh-pudong/x/zh-CN/email.md": "---\nsubject: \"{{ dealer.name }}的主题\"\n---\n{% block greeting %}\n{{ customer.salutation }}，浦东的朋友！\n{% endblock %}\n",
	}
}

func TestDealersOwnWords(t *testing.T) {
	t.Parallel()
	set := load(t, overrides())
	for dealer, want := range map[string][2]string{
		"sh-pudong": {"浦东别克的主题", "王先生，浦东的朋友！\n\n正文\n\n声明\n"},
		"sh-other":  {"主题", "您好！\n\n正文\n\n声明\n"},
	} {
		d := draft("x", care.Email, "zh-HK")
		d.Dealer.Dealer = dealer
		m, err := set.Render(d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, [2]string{m.Subject, string(m.Text)}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", dealer, diff)
		}
		d.Channel = care.SMS
		if m, err = set.Render(d); err != nil || string(m.Text) != "您好！正文" {
			t.Errorf("%s: sms %v, %v", dealer, m, err)
		}
	}
	if diff := cmp.Diff([]string{"x"}, set.Names()); diff != "" {
		t.Error(diff)
	}
}

func TestBrandLocksBlocks(t *testing.T) {
	t.Parallel()
	const file = "_dealers/sh-pudong/x/zh-CN/email.md"
	for name, tt := range map[string]struct{ file, text, want string }{
		"a locked block":   {file, "{% block legal %}x{% endblock %}", ":1:1: the block legal is locked by the brand; remove it"},
		"a locked key":     {file, "---\npreheader: x\n---\n", ":2:12: preheader is locked by the brand"},
		"an unknown block": {file, "\n{% block greetings %}x{% endblock %}", ":2:1: the template has no block greetings; look for {% block … %} in templates/x/zh-CN/email.md"},
		"text":             {file, "{% block greeting %}x{% endblock %}\n\n more", ":3:2: a dealer's file holds blocks and nothing between them"},
		"a value":          {file, "{{ customer.name }}", ":1:1: a dealer's file holds blocks, each with its end"},
		"no end":           {file, "{% block greeting %}", ":1:1: a dealer's file holds blocks"},
		"in the words":     {file, "{% block greeting %}\n{{ custmer.name }}{% endblock %}", ":2:4: there is no variable custmer.name"},
		"no template":      {"_dealers/sh-pudong/y/zh-CN/email.md", "x", ": there is no template for this file to change; write templates/y/zh-CN/email.md first"},
		"no dealer":        {"_dealers/sh-pudon/x/zh-CN/email.md", "x", `: there is no dealer "sh-pudon" in dealers.yaml; did you mean sh-pudong?`},
		"a stray file":     {"_dealers/sh-pudong/email.md", "x", ": warning: nothing reads this file"},
		"nested blocks":    {"x/zh-CN/email.md", "---\nsubject: x\n---\n{% block greeting %}{% block b %}x{% endblock %}{% endblock %}", ":4:1: a block stands within a block"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book := bookOf(mapsWith(overrides(), tt.file, tt.text))
			book.Dealers = []*care.Dealer{{Dealer: "sh-pudong"}, {Dealer: "sh-other"}}
			_, problems := templates.Load(book)
			found := false
			for _, p := range problems {
				found = found || strings.HasPrefix(p.Error(), "templates/"+tt.file+tt.want)
			}
			if !found {
				t.Errorf("got %v, want %s%s", problems, tt.file, tt.want)
			}
		})
	}
}
