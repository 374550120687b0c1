package templates_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/templates"
)

// hostile are values that mean something in one of the places a value can stand in.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='x`, `**bold** _em_ [a](javascript:alert(1)) # h`,
	"a\r\nBcc: evil@example.com", "a\rb", "a\x00b", "a\u2028b\u2029c", "\u202eevil\u202c", "\u2066x\u2069", `"},{"x":"`, `\u0022\`, "{{ customer.phone }}", "{% if x %}",
	"\U000F0000\U000F0001", "<!--carebell:x-->", "]]>", "</title></head>", "&lt;b&gt;", "%0d%0a", "javascript:alert(1)", "data:text/html,x", "\xff\xfe", "  ",
	"- item\n- item", "| a | b |\n|---|---|", "![x](http://x)", "\t\tcode", "http://evil.example/", "🎂👨‍👩‍👧",
}

func TestHostileValues(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"_layouts/default.html": `<!doctype html><html><head><title>{{ subject }}</title></head><body><p title="{{ customer.name }}">{{ content }}</p></body></html>`,
		"x/en/email.md":         "---\nsubject: \"Hi {{ customer.name }}\"\npreheader: \"{{ customer.name }}\"\n---\n{{ customer.name }}\n\n**{{ customer.name }}** `{{ customer.name }}` [x](https://a.example/?n={{ customer.name }}) [t](tel:{{ customer.name }}) ![{{ customer.name }}](https://a.example/{{ customer.name }}.png)\n\n- {{ customer.name }}\n\n<b title=\"{{ customer.name }}\">{{ customer.name }}</b>\n",
		"x/en/sms.txt":          "Hi {{ customer.name }}!",
		"x/en/webhook.json":     "---\nheaders: {X-Name: \"{{ customer.name }}\"}\n---\n{\"a\": \"{{ customer.name }}\", \"b\": {{ customer.name }}}",
	})
	plain := draft("x", care.Email, "en")
	plain.Customer.Name = "N"
	m, err := set.Render(plain)
	if err != nil {
		t.Fatal(err)
	}
	shape := elements(t, m.HTML)
	for _, v := range hostile {
		t.Run(fmt.Sprintf("%q", v), func(t *testing.T) {
			d := draft("x", care.Email, "en")
			d.Customer.Name = v
			m, err := set.Render(d)
			if strings.TrimSpace(v) == "" {
				if err == nil {
					t.Error("a blank name is a hole and was sent")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := elements(t, m.HTML); got != shape {
				t.Errorf("the value changed the page:\n%s\nwant\n%s\n%s", got, shape, m.HTML)
			}
			if strings.ContainsAny(m.Subject, "\r\n\x00\u2028\u2029\u202e\u2066") {
				t.Errorf("subject %q", m.Subject)
			}
			d.Channel = care.SMS
			if m, err = set.Render(d); err != nil || strings.ContainsAny(string(m.Text), "\r\n\x00\u2028\u202e") {
				t.Errorf("sms %q, %v", m.Text, err)
			}
			d.Channel = care.Webhook
			if m, err = set.Render(d); err != nil {
				t.Fatal(err)
			}
			var body map[string]string
			if err := json.Unmarshal(m.Body, &body); err != nil || len(body) != 2 {
				t.Errorf("body %s: %v", m.Body, err)
			}
			if strings.ContainsAny(m.Headers["X-Name"], "\r\n\x00") {
				t.Errorf("header %q", m.Headers["X-Name"])
			}
		})
	}
}

// elements is the skeleton of a page: its elements with the names of their attributes and the schemes of their links.
func elements(t *testing.T, page []byte) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(string(page)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.CommentNode {
			b.WriteString("!")
		}
		if n.Type != html.ElementNode {
			continue
		}
		b.WriteString("<" + n.Data)
		for _, a := range n.Attr {
			b.WriteString(" " + a.Key)
			if a.Key == "href" || a.Key == "src" {
				scheme, rest, _ := strings.Cut(a.Val, ":")
				host, _, _ := strings.Cut(strings.TrimPrefix(rest, "//"), "/")
				if scheme != "tel" {
					scheme += host
				}
				b.WriteString("=" + scheme)
			}
		}
		b.WriteString(">")
	}
	return b.String()
}

func TestLinksOfData(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{"x/en/email.md": "---\nsubject: x\n---\n[a]({{ bulletin.url }})\n\n{% if bulletin.url %}<a href=\"{% if bulletin.do_not_drive %}{{ links.booking }}{% else %}{{ bulletin.url }}{% endif %}\">b</a>{% endif %}"})
	for url, want := range map[string]string{
		"https://a.example/x?a=1&b=2":   `href="https://a.example/x?a=1&amp;b=2"`,
		"https://a.example/\"><script>": `href="https://a.example/%22%3E%3Cscript%3E"`,
		"HTTPS://a.example/中":           `href="HTTPS://a.example/%E4%B8%AD"`,
		"mailto:a@b.example":            `href="mailto:a@b.example"`,
		"javascript:alert(1)":           "", "data:text/html,x": "", " javascript:x": "", "JaVaScRiPt:x": "", "java\tscript:x": "", "//evil.example": "", "/relative": "", "x": "", "vbscript:x": "",
	} {
		d := draft("x", care.Email, "en")
		d.Occurrence.Subject.Bulletin = &care.Bulletin{URL: url}
		m, err := set.Render(d)
		if want == "" {
			if e, ok := errors.AsType[*care.Error](err); !ok || e.Code != "render" || !strings.Contains(e.Error(), "bulletin.url") || strings.Contains(e.Error(), "alert") {
				t.Errorf("%q: got %v, want an error that names the variable and not its value", url, err)
			}
			continue
		}
		if err != nil || strings.Count(string(m.HTML), want) != 2 {
			t.Errorf("%q: got %s, %v; want %s twice", url, m.HTML, err, want)
		}
	}
}

func mailOf(body string) map[string]string {
	return map[string]string{"x/en/email.md": "---\nsubject: x\n---\n" + body}
}

// TestBombs holds that they are refused by Load or by Render, in 100 ms and without taking the memory of the machine (reliability 31).
func TestBombs(t *testing.T) { //nolint:paralleltest // it measures time and memory
	big := strings.Repeat("x", 1000)
	nest := func(open, shut string, n int) string { return strings.Repeat(open, n) + "x" + strings.Repeat(shut, n) }
	loops := func(n int, body string) string {
		return strings.Repeat(`{% for x in visit.declined %}`, n) + body + strings.Repeat("{% endfor %}", n)
	}
	tests := map[string]struct {
		files map[string]string
		code  string // of Render; "" = Load refuses
	}{
		"too large":               {map[string]string{"x/en/sms.txt": strings.Repeat("x", 64<<10+1)}, ""},
		"nested ifs":              {map[string]string{"x/en/sms.txt": nest("{% if vehicle.id %}", "{% endif %}", 2000)}, ""},
		"nested ifs in Markdown":  {map[string]string{"x/en/email.md": "---\nsubject: x\n---\n" + nest("{% if vehicle.id %}\n", "\n{% endif %}", 1900)}, ""},
		"nested brackets":         {map[string]string{"x/en/sms.txt": "{{ " + nest("(", ")", 30000) + " }}"}, ""},
		"nested indexes":          {map[string]string{"x/en/sms.txt": "{{ also" + nest("[also", "]", 10000) + " }}"}, ""},
		"a long path":             {map[string]string{"x/en/sms.txt": "{{ also" + strings.Repeat("[0]", 20000) + " }}"}, ""},
		"many ands":               {map[string]string{"x/en/sms.txt": "{% if a" + strings.Repeat(" and a", 9000) + " %}x{% endif %}"}, ""},
		"many filters":            {map[string]string{"x/en/sms.txt": "{{ 'x'" + strings.Repeat(" | append: 'x'", 4000) + " }}"}, ""},
		"nested quotes":           {map[string]string{"x/en/email.md": "---\nsubject: x\n---\n" + strings.Repeat(">", 60000)}, ""},
		"nested lists":            {map[string]string{"x/en/email.md": "---\nsubject: x\n---\n" + strings.Repeat("- ", 30000)}, ""},
		"nested links":            {map[string]string{"x/en/email.md": "---\nsubject: x\n---\n" + strings.Repeat("[", 60000)}, ""},
		"emphasis":                {map[string]string{"x/en/email.md": "---\nsubject: x\n---\n" + strings.Repeat("*a_ ", 15000)}, ""},
		"a wide table":            {mailOf(strings.Repeat("|a", 15000) + "\n" + strings.Repeat("|-", 15000) + "\n" + strings.Repeat("|b\n", 300)), ""},
		"a table of many rows":    {mailOf(strings.Repeat("|a", 30) + "\n" + strings.Repeat("|-", 30) + "\n" + strings.Repeat("|b\n", 1900)), ""},
		"many lines":              {mailOf(strings.Repeat("- a\n", 15000)), ""},
		"many references":         {mailOf(strings.Repeat("[a]: x\n", 9000)), ""},
		"many tags":               {mailOf(strings.Repeat("{% if customer.id %}{% endif %}", 2000)), ""},
		"many elements":           {mailOf(strings.Repeat("<div>", 12000)), ""},
		"nested YAML lists":       {map[string]string{"x/en/sms.txt": "---\ndefaults: " + strings.Repeat("[", 30000) + "\n---\nx"}, ""},
		"nested YAML maps":        {map[string]string{"x/en/sms.txt": "---\ndefaults: " + strings.Repeat("{a: ", 4000) + "\n---\nx"}, ""},
		"nested YAML dashes":      {map[string]string{"x/en/sms.txt": "---\n" + strings.Repeat("- ", 30000) + "\n---\nx"}, ""},
		"a partial in itself":     {map[string]string{"x/en/sms.txt": `{% partial "a" %}`, "_partials/a.md": `{% partial "a" %}{% partial "a" %}`}, ""},
		"partials double":         {map[string]string{"x/en/sms.txt": `{% partial "a" %}`, "_partials/a.md": strings.Repeat(`{% partial "b" %}`, 100), "_partials/b.md": strings.Repeat(`{% partial "c" %}`, 100), "_partials/c.md": big}, ""},
		"a range":                 {map[string]string{"x/en/sms.txt": "{% for i in (1..100000000) %}x{% endfor %}"}, ""},
		"append doubles":          {map[string]string{"x/en/sms.txt": "{% assign a = 'x' %}" + strings.Repeat("{% assign a = a | append: a %}", 24) + "{{ a }}"}, ""},
		"yaml aliases":            {map[string]string{"x/en/sms.txt": "---\ndefaults:\n  a: &a [x,x,x,x,x,x,x,x,x]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n  d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n  e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n  f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n  g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n---\nx"}, ""},
		"nested loops":            {map[string]string{"x/en/sms.txt": loops(25, "x")}, "too_slow"},
		"nested loops that write": {map[string]string{"x/en/sms.txt": loops(12, big)}, "too_large"},
		"nested empty loops":      {map[string]string{"x/en/sms.txt": loops(30, "")}, "too_slow"},
		"replace doubles":         {map[string]string{"x/en/sms.txt": `{{ "aaaaaaaaaa"` + strings.Repeat(` | replace: "a", "aaaaaaaaaa"`, 12) + " }}"}, "too_large"},
		"split in a loop":         {map[string]string{"x/en/sms.txt": `{% assign x = 1 %}` + loops(3, "x")}, ""},
		"many items": {
			map[string]string{"x/en/sms.txt": `{% for a in "` + strings.Repeat("a,", 900) + `" | split: "," %}{% for b in "` + strings.Repeat("a,", 900) + `" | split: "," %}{% for c in "` + strings.Repeat("a,", 900) + `" | split: "," %}{% endfor %}{% endfor %}{% endfor %}`},
			"too_slow",
		},
		"a default of itself": {map[string]string{"x/en/sms.txt": "---\ndefaults: {advisor.name: \"{{ advisor.name }}{{ advisor.name }}\"}\n---\n{{ advisor.name }}"}, "missing_variable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := busy(t)
			set, problems := templates.Load(bookOf(tt.files))
			var err error
			if tt.code == "" {
				if !problem.Faults(problems) {
					t.Error("Load took it")
				}
				if len(problems) > 100 {
					t.Errorf("%d problems for one cause", len(problems))
				}
			} else {
				if problem.Faults(problems) {
					t.Fatalf("Load refused it: %v", problems)
				}
				d := draft("x", care.SMS, "en")
				d.Advisor = nil
				_, err = set.Render(d)
				if e, ok := errors.AsType[*care.Error](err); !ok || e.Code != tt.code || e.Kind != care.KindContent {
					t.Errorf("got %v, want %s", err, tt.code)
				}
			}
			took := busy(t) - start
			runtime.ReadMemStats(&after)
			if took > limit {
				t.Errorf("took %v", took)
			}
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
				t.Errorf("the heap grew by %d MB", grown>>20)
			}
			for _, p := range problems {
				if len(p.Error())+len(p.Excerpt) > 2000 {
					t.Errorf("a problem of %d bytes", len(p.Error())+len(p.Excerpt))
				}
			}
		})
	}
}

// busy is the processor time that the process has used: other work of the machine must not fail the test.
func busy(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLargeValues holds that data cannot make a message larger than a template can.
func TestLargeValues(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"x/en/email.md": "---\nsubject: x\n---\n{{ customer.name }}{{ customer.name }}", "x/en/sms.txt": "{{ customer.name | append: customer.name }}",
		"x/en/task.txt":     "{{ customer.name | append: customer.name }}",
		"x/en/webhook.json": "{\"a\": {{ customer.name }}, \"b\": \"{{ customer.name }}\"}",
	})
	for _, ch := range care.Channels {
		d := draft("x", ch, "en")
		d.Customer.Name = strings.Repeat("<王>", 40<<10)
		_, err := set.Render(d)
		if e, ok := errors.AsType[*care.Error](err); !ok || e.Code != "too_large" {
			t.Errorf("%s: got %v, want too_large", ch, err)
		}
	}
}

// TestLargeRecords holds that a record of thousands of entries costs no more time than a template may.
func TestLargeRecords(t *testing.T) { //nolint:paralleltest // it measures time
	set := load(t, map[string]string{
		"a/en/sms.txt": "{% for d in visit.declined %}{% if visit.declined.size == 1 %}x{% endif %}{% endfor %}ok",
		"b/en/sms.txt": "{% for d in visit.declined %}{% if customer.name.size == 1 %}x{% endif %}{% endfor %}ok",
		"c/en/sms.txt": "{% for d in visit.declined %}{% if customer.name == customer.grade %}{% endif %}{% if visit.declined contains d %}{% endif %}{% endfor %}ok",
		"d/en/sms.txt": "{% for d in visit.declined %}{{ visit.declined | sort | reverse | join | size }}{% endfor %}ok",
	})
	for _, name := range set.Names() {
		d := draft(name, care.SMS, "en")
		d.Customer.Name = strings.Repeat("x", 200<<10)
		d.Customer.Grade = d.Customer.Name + "y"
		d.Occurrence.Subject.Visit.Declined = strings.Fields(strings.Repeat("abcdefghi ", 20_000))
		start := busy(t)
		_, err := set.Render(d)
		if e, ok := errors.AsType[*care.Error](err); !ok || e.Code != "too_slow" && e.Code != "too_large" {
			t.Errorf("%s: got %v, want too_slow", name, err)
		}
		if took := busy(t) - start; took > limit {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// TestStatesAreClean holds that nothing of one message is left for the next, whatever happened to the first.
func TestStatesAreClean(t *testing.T) {
	t.Parallel()
	set := load(t, map[string]string{
		"a/en/email.md": "---\nsubject: \"{{ customer.name }}\"\npreheader: secret\n---\n{% for d in visit.declined %}{{ d | append: customer.name | append: advisor.name }}{% endfor %}",
		"b/en/email.md": "---\nsubject: plain\n---\n{% if preheader %}{{ preheader }}{% endif %}ok",
	})
	want, err := set.Render(draft("b", care.Email, "en"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		d := draft("a", care.Email, "en")
		if i%2 == 0 {
			d.Advisor = nil // fails within a loop and a filter
		}
		if _, err := set.Render(d); (err != nil) != (i%2 == 0) {
			t.Fatalf("round %d: %v", i, err)
		}
		got, err := set.Render(draft("b", care.Email, "en"))
		if err != nil || string(got.HTML) != string(want.HTML) || got.Subject != "plain" {
			t.Fatalf("round %d: got %+v, %v", i, got, err)
		}
	}
}

// TestAllocations holds the cost of the default book's messages: what is dear is found here before it is measured.
func TestAllocations(t *testing.T) { //nolint:paralleltest // it counts allocations of the whole process
	set, _ := templates.Load(defaultBook(t))
	for ch, limit := range map[care.Channel]float64{care.Email: 60, care.SMS: 10, care.Webhook: 10} {
		d := set.Sample("zh-CN")
		d.Channel, d.Occurrence.Template = ch, "maintenance"
		got := testing.AllocsPerRun(100, func() {
			if _, err := set.Render(d); err != nil {
				t.Fatal(err)
			}
		})
		if got > limit {
			t.Errorf("%s: %.0f allocations, want at most %.0f", ch, got, limit)
		}
	}
}
