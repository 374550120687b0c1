package sms_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/config/yaml"
)

func lines(problems []problem.Problem) string {
	var out []string
	for _, p := range problems {
		out = append(out, p.Error())
	}
	return strings.Join(out, "\n")
}

func TestLintOfGatewayFiles(t *testing.T) {
	t.Parallel()
	const url = "url: https://sms.example/send?to={to}&text={text}\n"
	for name, tt := range map[string]struct {
		file, text, want string
	}{
		"well":                  {"acme.yaml", url, ""},
		"an unknown key":        {"acme.yaml", url + "methd: GET\n", `gateways/acme.yaml:2:1: unknown field "methd"; did you mean "method"?`},
		"an unknown class":      {"acme.yaml", url + "codes:\n  sucess: [\"0\"]\n", `gateways/acme.yaml:3:3: unknown field "sucess"`},
		"no YAML":               {"acme.yaml", url + "codes: [\n", "gateways/acme.yaml:2:8: "},
		"a bare tag":            {"acme.yaml", url + "codes:\n  retry: !x\n", "gateways/acme.yaml:3:10: retry has a tag (!x); leave the tag out"},
		"an unknown alias":      {"acme.yaml", url + "codes:\n  retry: *x\n", "gateways/acme.yaml:3:10: retry: there is no &x above"},
		"64 KiB of nesting":     {"acme.yaml", url + "codes: " + strings.Repeat("[", 64<<10), "gateways/acme.yaml: the file is nested more than 64 levels deep; make it simpler"},
		"two faults":            {"acme.yaml", url + "answer: {status: ok}\nmethd: GET\n", "gateways/acme.yaml:2:18: status should be a list; write [ok]\ngateways/acme.yaml:3:1: unknown field \"methd\"; did you mean \"method\"?"},
		"a word far from all":   {"acme.yaml", url + "xyzzy: GET\n", `gateways/acme.yaml:2:1: unknown field "xyzzy"; write the fields that docs/gateways.md lists`},
		"a bad pointer":         {"acme.yaml", url + "answer:\n  id: data.id\n", "gateways/acme.yaml:3:7: answer.id: a JSON pointer begins with /"},
		"a bad receipt pointer": {"acme.yaml", url + "receipts: {id: /a, status: b, delivered: [D], failed: [F]}\n", "gateways/acme.yaml:2:28: receipts.status: a JSON pointer"},
		"a missing field":       {"acme.yaml", url + "auth:\n  kind: header\n", "gateways/acme.yaml:3:3: auth.header: name the header"},
		"a code twice":          {"acme.yaml", url + "answer: {code: /c}\ncodes:\n  success: [\"0\"]\n  retry: [\"0\"]\n", `gateways/acme.yaml:5:10: codes.retry: "0" is there twice`},
		"template in the plain": {"acme.yaml", url + "body: '{template}'\nformat: text\nmethod: POST\n", "gateways/acme.yaml:2:7: body: {template} is empty in a gateway that takes plain text; write templates: true"},
		"no code of a template": {"acme.yaml", "url: https://sms.example/send?to={to}\ntemplates: true\n", "gateways/acme.yaml:1:1: body: the code of the approved template, {template}, is missing"},
		"XML as a text":         {"acme.yaml", url + "format: text\nbody: '<a>{to}</a>'\nmethod: POST\n", "gateways/acme.yaml:2:9: format: write xml; in a text nothing is escaped"},
		"XML by its header":     {"acme.yaml", url + "format: text\nbody: '{to}'\nheaders: {content-type: application/xml}\nmethod: POST\n", "gateways/acme.yaml:2:9: format: write xml"},
		"XML":                   {"acme.yaml", url + "format: xml\nbody: '<a b=\"{to}\">{text}</a>'\nmethod: POST\n", ""},
		"XML that is none":      {"acme.yaml", url + "format: xml\nbody: '<a>{to}</b>'\nmethod: POST\n", "gateways/acme.yaml:3:7: body: this is no XML"},
		"XML with CDATA":        {"acme.yaml", url + "format: xml\nbody: '<a><![CDATA[{to}]]></a>'\nmethod: POST\n", "gateways/acme.yaml:3:7: body: this is no XML"},
		"a built-in name":       {"twilio.yaml", url, "gateways/twilio.yaml: the gateway twilio is built in"},
		"a bad name":            {"Acme_SMS.yaml", url, `gateways/Acme_SMS.yaml: "Acme_SMS" is no name for a gateway; name the file with`},
		"another file":          {"acme.yml", url, "gateways/acme.yml: warning: nothing reads this file; call it <gateway>.yaml"},
		"a hidden one":          {".acme.yaml.swp", "\x00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := sms.Lint(fstest.MapFS{"gateways/" + tt.file: {Data: []byte(tt.text)}}, yaml.Decode)
			if got := lines(problems); got != tt.want && (tt.want == "" || !strings.HasPrefix(got, tt.want)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			for _, p := range problems {
				if p.Line > 0 && !strings.HasSuffix(p.Excerpt, "^") {
					t.Errorf("no excerpt: %q", p.Excerpt)
				}
			}
		})
	}
	if got := sms.Lint(fstest.MapFS{"dealers.yaml": {}}, yaml.Decode); len(got) > 0 {
		t.Errorf("a book without gateways: %s", lines(got))
	}
}

// TestEveryDefectIsToldAtOnce: whoever writes a gateway file wants to know all of it.
func TestEveryDefectIsToldAtOnce(t *testing.T) {
	t.Parallel()
	text := "url: https://sms.example/send?to={to}&text={text}&x={nothing}\nmethod: FETCH\nnumber: local\nanswer: {status: [404], id: x, parts: y}\n"
	problems := sms.Lint(book("acme", text), yaml.Decode)
	if len(problems) != 6 {
		t.Errorf("%d defects:\n%s", len(problems), lines(problems))
	}
	_, err := sms.ReadGateway(book("acme", text), yaml.Decode, "acme")
	for _, p := range problems {
		if p.Severity != problem.Fault || err == nil || !strings.Contains(err.Error(), strings.Fields(p.Message)[0]) {
			t.Errorf("%v is not in %v", p, err)
		}
	}
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"gateways/plain.yaml":  {Data: []byte("url: https://sms.example/?to={to}&text={text}")},
		"gateways/codes.yaml":  {Data: []byte("url: https://sms.example/?to={to}&t={template}&n={param:name}&c={param:car}\ntemplates: true")},
		"gateways/broken.yaml": {Data: []byte("x: y")},
	}
	all := sms.Approvals(files, yaml.Decode)
	for name, want := range map[string]string{
		"kannel": "true []", "twilio": "true []", "vonage": "true []", "aliyun": "false []", "tencent": "false []", "plain": "true []", "codes": "false [name car]",
	} {
		if got := fmt.Sprintf("%v %v", all[name].Plain, all[name].Needs); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if _, ok := all["broken"]; ok || len(all) != 15 {
		t.Errorf("%d gateways, the broken one among them: %v", len(all), ok)
	}
}

// TestTheFileInTheDocs is one that can be used as it stands there.
func TestTheFileInTheDocs(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/gateways.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), "```yaml\n# gateways/acme.yaml\n")
	text, _, ended := strings.Cut(rest, "```\n")
	if !ok || !ended {
		t.Fatal("docs/gateways.md shows no gateway file")
	}
	if got := lines(sms.Lint(book("acme", text), yaml.Decode)); got != "" {
		t.Error(got)
	}
}
