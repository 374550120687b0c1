package templates_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
)

func TestSMS(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body   string
		change func(d *care.Draft)
		want   string
	}{
		"plain":                 {"您好", nil, "您好"},
		"variables and filters": {"{{ customer.salutation }}，{{ vehicle.plate | mask }} {{ due.on | date_short }}", nil, "王先生，沪A·1***5 12月2日"},
		"lines are kept":        {"一\n二\n", nil, "一\n二"},
		"a tag alone takes its line along": {
			"一\n{% if vehicle.plate %}\n二\n{% else %}\n三\n{% endif %}\n四", nil, "一\n二\n四",
		},
		"guard": {
			"您好{% if advisor.name %}，{{ advisor.name }}{% endif %}", func(d *care.Draft) { d.Advisor = nil }, "您好",
		},
		"default": {`{{ advisor.name | default: "服务顾问" }}`, func(d *care.Draft) { d.Advisor = nil }, "服务顾问"},
		"loop":    {`{% for x in visit.declined %}{{ forloop.index }}{{ x }}{% unless forloop.last %}、{% endunless %}{% endfor %}`, nil, "1刹车片、2雨刮"},
		"a list":  {`{{ visit.declined }}`, nil, "刹车片、雨刮"},
		"the vehicle of a merged due": {
			`{% for i in also %}{{ i.vehicle }} {{ i.vehicle.plate | mask }} {{ i.vehicle.make }}{% endfor %}`, func(d *care.Draft) {
				d.Occurrence.Subject.Also = []*care.Occurrence{{Subject: care.Subject{Vehicle: &care.Vehicle{Model: "昂科威", Plate: "沪B67890", Make: "别克"}}}}
			}, "昂科威 沪B·6***0 别克",
		},
		"case": {`{% case forecast.winner %}{% when "date" %}日{% when "km", "x" %}里{% else %}无{% endcase %}`, nil, "里"},
		"trim": {"a  {{- due.days -}}  b", nil, "a10b"},
		"newlines of a value are spaces": {
			"{{ customer.name }}", func(d *care.Draft) { d.Customer.Name = "a\r\nb\u2028c\u202ed" }, "a b cd",
		},
		"commercial says how to stop": {"优惠", func(d *care.Draft) { d.Occurrence.Class = care.Commercial }, "优惠，拒收请回复R"},
		"but only once":               {"优惠，回T退订", func(d *care.Draft) { d.Occurrence.Class = care.Commercial }, "优惠，回T退订"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, map[string]string{"x/zh-CN/sms.txt": tt.body})
			d := draft("x", care.SMS, "zh-CN")
			if tt.change != nil {
				tt.change(d)
			}
			m, err := set.Render(d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(m.Text)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if m.Signature != "浦东别克" {
				t.Errorf("signature %q", m.Signature)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"a/zh-CN/sms.txt":  "{{ advisor.name }}",
		"b/zh-CN/sms.txt":  "{{ visit.technician | append: '!' }}",
		"c/zh-CN/email.md": "---\nsubject: x\n---\n[约]({{ links.rsvp }})",
		"e/zh-CN/sms.txt":  "---\ndefaults: {advisor.name: 服务顾问, advisor.phone: \"{{ dealer.phone }}\"}\n---\n{{ advisor.name }} {{ advisor.phone | phone }}",
	})
	for name, want := range map[string]string{"a": "advisor.name", "b": "visit.technician", "c": "links.rsvp"} {
		ch := care.SMS
		if name == "c" {
			ch = care.Email
		}
		d := draft(name, ch, "zh-CN")
		d.Advisor, d.Occurrence.Subject.Visit.Technician = nil, " "
		m, err := set.Render(d)
		e, ok := errors.AsType[*care.Error](err)
		if !ok || e.Kind != care.KindContent || e.Code != "missing_variable" || !strings.Contains(e.Error(), want) || m != nil {
			t.Errorf("%s: got %v, want missing_variable naming %s", name, err, want)
		}
	}
	d := draft("e", care.SMS, "zh-CN")
	d.Advisor = nil
	m, err := set.Render(d)
	if err != nil || string(m.Text) != "服务顾问 021-50000000" {
		t.Errorf("defaults: got %s, %v", m.Text, err)
	}
}

func TestLocales(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"x/zh-CN/sms.txt": "中", "x/en/sms.txt": "en", "y/de/sms.txt": "de",
	})
	for locale, want := range map[string]string{"zh-HK": "中", "zh-cn": "中", "en-GB": "en", "fr": "中"} {
		m, err := set.Render(draft("x", care.SMS, locale))
		if err != nil || string(m.Text) != want {
			t.Errorf("%s: got %v, %v; want %s", locale, m, err, want)
		}
	}
	if set.Has("x", care.Email, []string{"en"}) || !set.Has("x", care.SMS, []string{"fr"}) || set.Has("y", care.SMS, []string{"fr"}) || !set.Has("y", care.SMS, []string{"de-AT"}) {
		t.Error("Has does not follow the chain")
	}
	if diff := cmp.Diff([]string{"x", "y"}, set.Names()); diff != "" {
		t.Error(diff)
	}
	if _, err := set.Render(draft("y", care.SMS, "fr")); care.KindOf(err) != care.KindContent {
		t.Errorf("a template in no locale that serves: got %v", err)
	}
}

func TestEmail(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"_layouts/default.html": `<!doctype html><html lang="{{ locale }}"><head><title>{{ subject }}</title><style>.button{background-color:#17635a;padding:1px 2px} p{margin:0} @media (max-width:600px){.button{display:block}}</style></head>` +
			`<body>{% if preheader %}<div style="display:none">{{ preheader }}</div>{% endif %}<table><tr><td>{{ content }}</td></tr>{% if dealer.address %}<tr><td>{{ dealer.address }}</td></tr>{% endif %}</table></body></html>`,
		"_partials/zh-CN/signature.md": "{{ advisor.name }} {{ advisor.phone | phone }}\n",
		"m/zh-CN/email.md": `---
subject: "{{ vehicle.model }}：{{ due.on | date_local }}前该保养了"
preheader: "{{ advisor.name }}为您留好了"
---
{{ customer.salutation }}，您好！

您的 **{{ vehicle.model }}**（{{ vehicle.plate | mask }}）该保养了。

{% if visit.declined %}
上次您提到：

{% for d in visit.declined %}
- {{ d }}
{% endfor %}
{% endif %}

- 一
{% if visit.km %}
- 二 {{ visit.km | km }}
{% endif %}
- 三

{% if event.title %}不该出现{% endif %}

[预约一个时间]({{ links.booking }})

{% partial "signature" %}
`,
	})
	m, err := set.Render(draft("m", care.Email, "zh-CN"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "君威：2026年12月2日前该保养了" {
		t.Errorf("subject %q", m.Subject)
	}
	text := `王先生，您好！

您的 君威（沪A·1***5）该保养了。

上次您提到：

- 刹车片
- 雨刮

- 一
- 二 31,000公里
- 三

预约一个时间：https://pudong.example/book?from=mail&x=1

陈志强 139 0000 0000

上海市浦东新区世纪大道1号
`
	if diff := cmp.Diff(text, string(m.Text)); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	html := string(m.HTML)
	for _, want := range []string{
		`<html lang="zh-CN">`, `<title>君威：2026年12月2日前该保养了</title>`, `您的 <strong>君威</strong>（沪A·1***5）`,
		`href="https://pudong.example/book?from=mail&amp;x=1"`, `class="button"`, "@media (max-width:600px)", `<!--[if mso]>`, `陈志强为您留好了</div>`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in\n%s", want, html)
		}
	}
	if strings.Count(html, "<ul>") != 2 || strings.Count(html, "</ul>") != 2 || strings.Contains(html, "<p style=\"margin:0\"></p>") {
		t.Errorf("lists or paragraphs are torn:\n%s", html)
	}
	want := &care.Message{From: care.Mailbox{Name: "浦东别克", Address: "care@pudong.example"}, ReplyTo: care.Mailbox{Name: "陈志强", Address: "chen@pudong.example"}, Unsubscribe: "https://care.example/u/abc"}
	if m.From != want.From || m.ReplyTo != want.ReplyTo || m.Unsubscribe != want.Unsubscribe || m.ID != "abcdefghijklmnopqrstuvwxy2" || m.Locale != "zh-CN" {
		t.Errorf("identity: %+v", m)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, html string }{
		"a bare address":            {"see https://a.example/?x={{ customer.id }}&y=1.", `<p>see <a href="https://a.example/?x=C1&amp;y=1">https://a.example/?x=C1&amp;y=1</a>.</p>`},
		"an address in brackets":    {"<https://a.example/{{ customer.id }}>", `<p><a href="https://a.example/C1">https://a.example/C1</a></p>`},
		"a reference":               {"[a][b]!\n\n[b]: https://a.example/{{ customer.id }}", `<p><a href="https://a.example/C1">a</a>!</p>`},
		"a picture":                 {"x ![{{ customer.id }}](https://a.example/{{ customer.id }}.png \"t {{ customer.id }}\")", `<p>x <img src="https://a.example/C1.png" alt="C1" title="t C1"></p>`},
		"emphasis beside Chinese":   {"中**{{ customer.id }}**文 a_{{ customer.id }}_b", `<p>中<strong>C1</strong>文 a_C1_b</p>`},
		"code":                      {"`{{ customer.id }}`", `<p><code>C1</code></p>`},
		"a code block":              {"```\n{{ customer.id }}\n\n  x\n```", "<pre><code>C1\n\n  x\n</code></pre>"},
		"a heading":                 {"## {{ customer.id }}", `<h2>C1</h2>`},
		"a table":                   {"| a |\n|---|\n| {{ customer.name | upcase }} |", "<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>王小明</td>\n</tr>\n</tbody>\n</table>"},
		"a quote":                   {"> {% if customer.id %}a{% endif %}\n> b", "<blockquote>\n<p>a\nb</p>\n</blockquote>"},
		"Chinese lines join":        {"一\n二", `<p>一二</p>`},
		"no paragraph for nothing":  {"{% if event.title %}x{% endif %}\n\n- {% if event.title %}x{% endif %}\n- y", "<ul>\n<li>y</li>\n</ul>"},
		"tags at the edges":         {"{% if customer.id %}a\n\nb{% else %}\nc\n\nd{% endif %}", "<p>a</p>\n<p>b</p>"},
		"no list for nothing":       {"{% for x in also %}\n- {{ x.title }}\n{% endfor %}\nend", "<p>end</p>"},
		"items between tags":        {"- a\n{% if customer.id %}\n- b\n{% else %}\n- c\n{% endif %}", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"},
		"a list in a condition":     {"{% if customer.id %}\n- a\n{% endif %}\n- b", "<ul>\n<li>a</li>\n</ul>\n<ul>\n<li>b</li>\n</ul>"},
		"tags in the table's HTML":  {"<table><tr><td>a</td></tr>{% if customer.id %}<tr><td>b</td></tr>{% endif %}</table>", "<table><tbody><tr><td>a</td></tr><tr><td>b</td></tr></tbody></table>"},
		"a value in a bare address": {"see https://a.example/?x={{ customer.name | append: \"a&b c\" }}", `<p>see <a href="https://a.example/?x=%E7%8E%8B%E5%B0%8F%E6%98%8Ea%26b%20c">https://a.example/?x=王小明a&amp;b c</a></p>`},
		"a button":                  {"[a](https://a.example/)", `<p><a class="button" href="https://a.example/">a</a></p>`},
		"a guarded button":          {"{% if customer.id %}[a](https://a.example/){% endif %}", `<p><a class="button" href="https://a.example/">a</a></p>`},
		"two links are no button":   {"[a](https://a.example/) [b](https://b.example/)", `<p><a href="https://a.example/">a</a> <a href="https://b.example/">b</a></p>`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, map[string]string{"x/en/email.md": "---\nsubject: x\n---\n" + tt.body})
			m, err := set.Render(draft("x", care.Email, "en"))
			if err != nil {
				t.Fatal(err)
			}
			_, got, _ := strings.Cut(string(m.HTML), "<body>")
			got = strings.TrimSpace(strings.TrimSuffix(got, "</body></html>"))
			if diff := cmp.Diff(tt.html, got); diff != "" {
				t.Errorf("HTML (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"w/zh-CN/webhook.json": "---\nmethod: put\nheaders: {X-Team: \"{{ dealer.name }}\"}\n---\n" +
			`{"name": "{{ customer.name }}", "km": {{ visit.km }}, "on": {{ due.on }}, "list": {{ visit.declined }}{% if advisor.name %}, "advisor": "{{ advisor.name }}"{% endif %}}`,
	})
	d := draft("w", care.Webhook, "zh-CN")
	d.Customer.Name = "\"},{\n\\"
	m, err := set.Render(d)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name": "\"},{\n\\", "km": 31000, "on": "2026-12-02", "list": ["刹车片","雨刮"], "advisor": "陈志强"}`
	if diff := cmp.Diff(want, string(m.Body)); diff != "" || m.Method != "PUT" || m.Headers["X-Team"] != "浦东别克" {
		t.Errorf("body (-want +got):\n%s\n%+v", diff, m)
	}
}

func TestWebhookBraces(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{"w/zh-CN/webhook.json": `{{% if customer.name %}"a":{"b":"{{ customer.name }}"}{% endif %}}`})
	m, err := set.Render(draft("w", care.Webhook, "zh-CN"))
	if err != nil || string(m.Body) != `{"a":{"b":"王小明"}}` {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestGatewayTemplate(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"g/zh-CN/sms.txt": "---\ngateway: {aliyun: {template: SMS_1, params: {z: \"{{ customer.name }}\", a: \"{{ due.on | date_short }}\"}}}\n---\n您好",
	})
	m, err := set.Render(draft("g", care.SMS, "zh-CN"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]care.GatewayTemplate{"aliyun": {Template: "SMS_1", Params: map[string]string{"z": "王小明", "a": "12月2日"}, Order: []string{"z", "a"}}}
	if diff := cmp.Diff(want, m.Gateways); diff != "" {
		t.Error(diff)
	}
}
