package templates_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates"
)

// TestTextSaysWhatThePageSays compares the paragraphs of the page and of the plain text of every mail of the default book, in every branch
// and for customers of whom little is known.
func TestTextSaysWhatThePageSays(t *testing.T) {
	t.Parallel()
	set, _ := templates.Load(defaultBook(t))
	n := 0
	seen := map[string]bool{}
	for _, name := range set.Names() {
		for _, locale := range set.Locales(name, care.Email) {
			for _, lack := range lacking {
				d := set.Sample(locale)
				d.Occurrence.Template = name
				lack.of(d)
				all, err := set.Branches(d)
				if err != nil {
					t.Fatal(err)
				}
				for _, b := range all {
					if b.Err != nil { // the branch shows what the customer lacks
						continue
					}
					n++
					if seen[string(b.Message.HTML)+string(b.Message.Text)] {
						continue
					}
					seen[string(b.Message.HTML)+string(b.Message.Text)] = true
					if diff := cmp.Diff(blocksOfPage(t, b.Message.HTML), blocksOfText(b.Message.Text)); diff != "" {
						t.Errorf("%s/%s without %s, branch %q (-page +text):\n%s", name, locale, lack.name, b.Tag, diff)
					}
				}
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d messages", n)
	}
}

// lacking takes away what a record may lack.
var lacking = []struct {
	name string
	of   func(d *care.Draft)
}{
	{"nothing", func(*care.Draft) {}},
	{"an advisor", func(d *care.Draft) { d.Advisor = nil }},
	{"the advisor's phone", func(d *care.Draft) { d.Advisor.Phone = "" }},
	{"a visit", func(d *care.Draft) { d.Occurrence.Subject.Visit = nil }},
	{"readings", func(d *care.Draft) {
		f := *d.Occurrence.Subject.Forecast
		f.Readings = 0
		d.Occurrence.Subject.Forecast = &f
	}},
	{"a forecast", func(d *care.Draft) { d.Occurrence.Subject.Forecast = nil }},
	{"links", func(d *care.Draft) { d.Links = care.Links{} }},
	{"a vehicle", func(d *care.Draft) { d.Occurrence.Subject.Vehicle = nil }},
	{"dues that go with it", func(d *care.Draft) { d.Occurrence.Subject.Also = nil }},
	{"a name, plate, model and delivery", func(d *care.Draft) {
		d.Customer.Name, d.Customer.Salutation = "", ""
		v := d.Occurrence.Subject.Vehicle
		v.Plate, v.Model, v.DeliveredOn = "", "", care.Date{}
	}},
	{"anything", func(d *care.Draft) {
		d.Advisor, d.Links, d.Occurrence.Subject, d.Dealer.Phone, d.Dealer.Address = nil, care.Links{}, care.Subject{}, "", nil
	}},
}

// TestTextInAnyBranch does the same for made-up mails, whose paragraphs begin, end and are nothing but conditions.
func TestTextInAnyBranch(t *testing.T) {
	t.Parallel()
	const a, b = `{% if advisor.name %}`, `{% if visit.order %}`
	for _, body := range []string{
		"one\n\n" + a + "A{% endif %} two\n\nthree",
		"one\n\n" + a + "A{% else %}B{% endif %}\n\nthree",
		"one\n\n" + a + "A{% endif %}" + b + "B{% endif %}\n\nthree",
		"one\n\n" + a + b + "B{% else %}C{% endif %}{% else %}D{% endif %}, two\n\nthree",
		"one\n\n**" + a + "A{% else %}B{% endif %}**\\\n" + b + "C{% endif %} two\\\n" + a + "D{% endif %}\n\nthree",
		"one\n\n" + a + "\n\nA\n\n{% endif %}\n\n" + b + "\n\nB\n\n{% else %}\n\nC\n\n{% endif %}\n\nthree",
		"one\n\n{% case visit.kind %}{% when \"repair\" %}A{% when \"body\" %}B{% else %}C{% endcase %} two\n\nthree",
		"one\n\n- " + a + "A{% endif %} two\n- " + b + "B{% else %}C{% endif %}\n\nthree",
		"one\n\n" + a + "\n\n- A\n\n{% endif %}\n\n" + b + "\n\n- B\n\n{% endif %}\n\nthree",
		"one\n\n{% for x in visit.declined %}\n- {{ x }}\n{% endfor %}\n\nthree",
		"one\n\n{% for x in visit.declined %}" + a + "{{ x }}{% endif %}{% endfor %} two\n\nthree",
		"one\n\n> " + a + "A{% endif %} two\n\n> " + b + "B{% endif %} four\n\nthree",
		a + "A{% endif %}\n\n## " + b + "B{% endif %} two\n\nthree",
		"one\n\n" + a + "[A](https://a.example/){% else %}B{% endif %}\n\n" + b + "[C](https://a.example/){% endif %} three",
		"one\n\n1. x\n\n   " + a + "A{% endif %} y\n2. " + b + "B{% endif %}\n\nthree",
		"| " + a + "A{% endif %} | b |\n|---|---|\n| c | " + b + "D{% else %}E{% endif %} |\n\nthree",
	} {
		set := load(t, map[string]string{"x/en/email.md": "---\nsubject: x\n---\n" + body})
		for _, lack := range lacking[:4] {
			d := draft("x", care.Email, "en")
			lack.of(d)
			all, err := set.Branches(d)
			if err != nil {
				t.Fatal(err)
			}
			for _, branch := range all {
				if branch.Err != nil {
					continue
				}
				if diff := cmp.Diff(blocksOfPage(t, branch.Message.HTML), blocksOfText(branch.Message.Text)); diff != "" {
					t.Errorf("%s\nwithout %s, branch %q (-page +text):\n%s", body, lack.name, branch.Tag, diff)
				}
			}
		}
	}
}

// blocksOfPage lists the lines of a page, with an empty one between paragraphs, lists and headings.
func blocksOfPage(t *testing.T, page []byte) []string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(string(page)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		edge := ""
		switch {
		case n.Type == html.TextNode:
			b.WriteString(strings.Map(func(r rune) rune {
				if r == '\n' {
					return ' '
				}
				return r
			}, n.Data))
		case n.DataAtom == atom.Head || n.Type == html.ElementNode && hiddenNode(n):
			return
		case n.DataAtom == atom.Br:
			b.WriteString("\n")
		case n.DataAtom == atom.Td || n.DataAtom == atom.Th:
			defer b.WriteString(" ")
		case n.DataAtom == atom.Li || n.DataAtom == atom.Tr || n.DataAtom == atom.Div:
			edge = "\n"
		case n.DataAtom == atom.P || n.DataAtom == atom.Ul || n.DataAtom == atom.Ol || n.DataAtom == atom.H1 || n.DataAtom == atom.H2 || n.DataAtom == atom.Table:
			edge = "\n\n"
		}
		b.WriteString(edge)
		if edge == "\n" {
			edge = "" // the next one begins with it
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		b.WriteString(edge)
	}
	walk(doc)
	return linesOf(b.String())
}

func hiddenNode(n *html.Node) bool {
	for _, a := range n.Attr {
		if a.Key == "style" && strings.Contains(strings.ReplaceAll(a.Val, " ", ""), "display:none") {
			return true
		}
	}
	return false
}

var (
	address = regexp.MustCompile(` ?[（(][^（(]*?(?:https?|mailto):\S+ ?[）)]|(?:：|: )https?://\S+$`)
	bullet  = regexp.MustCompile(`^ *(?:> ?)*(?:- ?|\d+\. ?)?`)
)

// blocksOfText does the same for a text, without bullets and the addresses of links.
func blocksOfText(text []byte) []string {
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		lines[i] = address.ReplaceAllString(bullet.ReplaceAllString(line, ""), "")
	}
	return linesOf(strings.Join(lines, "\n"))
}

// linesOf cuts a text into lines without space at their edges and with at most one empty line between two.
func linesOf(s string) []string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.Join(strings.Fields(bullet.ReplaceAllString(line, "")), " ")
		if line != "" || len(out) > 0 && out[len(out)-1] != "" {
			out = append(out, line)
		}
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}
