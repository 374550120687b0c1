package mail

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/carebell/carebell/templates/liquid"
)

// scanned returns a text with its tags as placeholders.
func scanned(t testing.TB, src string) (string, *liquid.Tags) {
	t.Helper()
	var problems liquid.Problems
	p := liquid.Parser{Language: &liquid.Language{}, Report: &problems}
	marked := p.Scan(src, liquid.Start("x"), true)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return marked, p.Tags()
}

// TestContexts names what each tag of a page stands in, after the trip through the parser and the inliner.
func TestContexts(t *testing.T) {
	t.Parallel()
	const text, attribute, url = liquid.InHTML, liquid.InAttribute, liquid.InURL
	for body, want := range map[string][]liquid.EscapeContext{
		`<p>{{ a }} <b>{{ b }}</b></p>`:                                {text, text},
		`<p title="x {{ a }}">y</p>`:                                   {attribute},
		`<p title='"{{ a }}'>y</p>`:                                    {attribute},
		`<P TITLE="{{ a }}" title="z">y</P>`:                           {attribute},
		`<a href="{{ a }}" title="{{ b }}">{{ c }}</a>`:                {url, attribute, text},
		`<a title="{{ b }}" href="https://a.example/{{ a }}/{{ d }}">`: nil, // drawn up below: the order of attributes is the inliner's
		`<img src="https://a.example/{{ a }}" alt="{{ b }}"/>`:         nil,
		`<!-- a --><p>{{ a }}</p><!--> {{ b }} -->`:                    {text, text}, // <!--> is a whole comment
		`<![CDATA[ x > {{ a }}`:                                        {text},       // and so is <![CDATA[ x >
		`<textarea><b title="{{ a }}"></textarea>`:                     {text},
		`<a href="x>y{{ a }}">z</a>`:                                   {url},
		`<p>1 < 2 {{ a }} <3></p>`:                                     {text},
		`<table><tr><td>{{ a }}</td></tr></table>`:                     {text},
		`<b title="a/>{{ a }}"/>{{ b }}`:                               {attribute, text},
		`</ x>{{ a }}`:                                                 {text},
	} {
		marked, tags := scanned(t, body)
		var problems liquid.Problems
		page, ok := Compose("", marked, 0, tags, &problems)
		if !ok {
			t.Errorf("%s: %v", body, problems)
			continue
		}
		var got []liquid.EscapeContext
		contexts := page.Contexts()
		for i, r := range page.HTML {
			if !liquid.IsPlaceholder(r) {
				continue
			}
			got = append(got, contexts.At(i))
			if start := strings.LastIndexByte(page.HTML[:i], '"') + 1; contexts.At(i) == url && !contexts.URLs[start] {
				t.Errorf("%s: no URL begins at %d of %s", body, start, page.HTML)
			}
		}
		if want == nil {
			for i, r := range page.HTML {
				if liquid.IsPlaceholder(r) && (contexts.At(i) == url) != strings.ContainsAny(tags.Of(r).Args, "ad") {
					t.Errorf("%s: %s is in %d", body, tags.Of(r).Args, contexts.At(i))
				}
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", body, diff, page.HTML)
		}
	}
}

// TestRefused names the places in which no value can be escaped.
func TestRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`<p {{ a }}>x</p>`:                       "between the attributes of <p>",
		`<p{{ a }}>x</p>`:                        "between the attributes of <p>",
		`<p title="x" {{ a }}="y">x</p>`:         "between the attributes of <p>",
		`<p title={{ a }}>x</p>`:                 "in an attribute without quotes",
		`<p title= x{{ a }}>x</p>`:               "in an attribute without quotes",
		`<p title=x"{{ a }}">x</p>`:              "in an attribute without quotes",
		`<p style="color:{{ a }}">x</p>`:         "in CSS",
		`<p STYLE='color:{{ a }}'>x</p>`:         "in CSS",
		`<style>p{color:{{ a }}}</style>`:        "in CSS",
		`<style/>p{color:{{ a }}}</style>`:       "in CSS", // there is no empty style element in HTML
		`<p onclick="{{ a }}">x</p>`:             "in a script",
		`<img srcset="{{ a }} 2x">`:              "in srcset",
		`<!-- {{ a }} -->`:                       "in an HTML comment",
		`<!-- x --!> <!-- {{ a }}`:               "in an HTML comment",
		`<!DOCTYPE {{ a }}>`:                     "in a declaration",
		`<?xml {{ a }}?>`:                        "in a declaration",
		`</p {{ a }}>`:                           "in an end tag",
		`<p title="{{ a }}`:                      "in an HTML tag that is not closed",
		`<p style="color:&#xF0000;">{{ a }}</p>`: "in CSS",
		`<p &#xF0000;="x">{{ a }}</p>`:           "", // a name has no references
		`<script>{{ a }}</script>`:               "<script> cannot be used",
		`<b>{{ a }}</b><svg><a href="{{ b }}"/>`: "<svg> cannot be used",
	} {
		marked, tags := scanned(t, body)
		var problems liquid.Problems
		_, ok := Compose("@", marked, '@', tags, &problems)
		if ok != (want == "") || want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Message, want)) {
			t.Errorf("%s: got %v, want %q", body, problems, want)
		}
	}
}

// FuzzContexts holds that what the contexts are read of is what a parser reads: a value in its context changes no page.
func FuzzContexts(f *testing.F) {
	for _, body := range []string{
		`<p title="{{ a }}">{{ b }}</p>`, `<!--> {{ a }}`, `<textarea>{{ a }}</textarea>`, `<a href='https://a.example/?{{ a }}'>{{ b }}</a>`, `<b a=1 {{ a }}>`,
		`<title>{{ a }}</title>`, `<![CDATA[{{ a }}]]>`, `<noscript><p title="{{ a }}">`, `<math><mi>{{ a }}`, `<xmp>{{ a }}</xmp>`, `<select><option title="{{ a }}">`,
	} {
		f.Add(body, `"><img src=x>`)
		f.Add(body, `--></title></textarea></xmp><script>`)
	}
	f.Fuzz(func(t *testing.T, body, value string) {
		var problems liquid.Problems
		data := map[string]liquid.Value{"a": liquid.Literal(value), "b": liquid.Literal(value)}
		language := &liquid.Language{Variables: map[string]*liquid.Variable{}}
		for name := range data {
			language.Variables[name] = &liquid.Variable{Name: name, Kind: liquid.KindText, Get: func(s *liquid.State) liquid.Value {
				bound, _ := s.Data.(map[string]liquid.Value)
				return bound[name]
			}}
		}
		p := liquid.Parser{Language: language, Report: &problems}
		marked := p.Scan(body, liquid.Start("x"), true)
		page, ok := Compose("", marked, 0, p.Tags(), &problems)
		if !ok || len(problems) > 0 {
			return
		}
		tpl, ok := p.Compile(page.HTML, page.Contexts())
		if !ok {
			return
		}
		shapeOf := func(v string) string {
			data["a"], data["b"] = liquid.Literal(v), liquid.Literal(v)
			s := liquid.NewState(data)
			defer s.Release()
			out, err := s.Render(tpl)
			if err != nil {
				return ""
			}
			return shape(t, string(out))
		}
		plain, got := shapeOf("x"), shapeOf(value)
		if plain != "" && got != "" && strings.TrimSpace(value) != "" && plain != got {
			t.Errorf("%q in %q:\n%s\n%s", value, body, got, plain)
		}
	})
}

// shape lists the elements of a page with the names of their attributes.
func shape(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			b.WriteString("<" + n.Data)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key)
			}
		}
	}
	return b.String()
}
