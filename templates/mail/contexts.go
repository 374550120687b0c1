package mail

import (
	"regexp"
	"strings"

	"golang.org/x/net/html"

	"github.com/carebell/carebell/templates/liquid"
)

// Page is a finished HTML document with placeholders and what each of them stands in.
type Page struct {
	HTML     string
	contexts map[int]liquid.EscapeContext // by the byte of the placeholder
	elements map[int]int
	urls     map[int]bool
}

// Contexts say how the values of the page are escaped. What nobody looked at is escaped most.
func (p *Page) Contexts() liquid.Contexts {
	return liquid.Contexts{Element: p.elements, URLs: p.urls, At: func(at int) liquid.EscapeContext {
		if context, ok := p.contexts[at]; ok {
			return context
		}
		return liquid.InAttribute
	}}
}

var voidElements = map[string]bool{
	"area": true, "base": true, "br": true, "col": true, "embed": true, "hr": true, "img": true, "input": true, "link": true,
	"meta": true, "source": true, "track": true, "wbr": true,
}

var urlAttributes = map[string]bool{
	"href": true, "src": true, "action": true, "formaction": true, "background": true, "cite": true, "poster": true, "longdesc": true, "data": true,
}

// refusedElements do nothing in a mail or do harm in it.
var refusedElements = map[string]string{
	"script": "remove it: no mail client runs scripts", "iframe": "link to the page instead", "object": "use a picture or a link",
	"embed": "use a picture or a link", "form": "link to a page with the form", "base": "write addresses in full", "frame": "link to the page instead",
	"input": "link to a page with the form", "button": "a link alone in its paragraph is shown as a button", "svg": "use a PNG picture",
	"video": "link to it with a picture", "audio": "link to it", "link": "write the CSS into <style>",
}

// reader reads HTML token by token, as the parser of the page does, and refuses tags where no value can be escaped.
type reader struct {
	*html.Tokenizer
	tags   *liquid.Tags
	report liquid.Reporter

	kind   html.TokenType
	raw    string // the token as it is written
	token  html.Token
	within string // the element whose text the token is, if that is read as text alone: title, style …
	at     int    // where the token begins
	next   int
	last   liquid.Position // of the tag before: near what is wrong with the page
	failed bool
}

func newReader(src string, t *liquid.Tags, r liquid.Reporter) *reader {
	return &reader{Tokenizer: html.NewTokenizer(strings.NewReader(src)), tags: t, report: r, last: liquid.Position{File: t.File()}}
}

// read takes the next token and checks it. It returns false behind the last token and after a fault.
func (r *reader) read() bool {
	if r.failed || r.next > 0 && r.kind == html.ErrorToken {
		return false
	}
	r.within = ""
	if r.kind == html.StartTagToken || r.kind == html.SelfClosingTagToken {
		r.within = r.token.Data
	}
	r.kind = r.Next()
	r.raw = string(r.Raw())
	r.token = html.Token{}
	r.at, r.next = r.next, r.next+len(r.raw)
	switch r.kind {
	case html.StartTagToken, html.SelfClosingTagToken:
		r.token = r.Token()
		r.startTag()
	case html.EndTagToken:
		r.token = r.Token()
		r.refuse(r.raw, "put it before or behind", "in an end tag")
	case html.TextToken:
		if r.within == "style" || r.within == "script" {
			r.refuse(r.raw, "style elements by class instead", "in CSS")
		}
	case html.CommentToken:
		if strings.HasPrefix(r.raw, "<!--") {
			r.refuse(r.raw, "put it outside of the comment", "in an HTML comment")
		} else {
			r.refuse(r.raw, "put it elsewhere", "in a declaration")
		}
	case html.DoctypeToken:
		r.refuse(r.raw, "put it elsewhere", "in a declaration")
	case html.ErrorToken: // the end, perhaps of a tag that is not closed
		r.refuse(r.raw, "close the HTML tag with >", "in an HTML tag that is not closed")
	}
	for _, c := range r.raw {
		if liquid.IsPlaceholder(c) {
			r.last = r.tags.Of(c).At
		}
	}
	return !r.failed && (r.kind != html.ErrorToken || r.raw != "")
}

func (r *reader) refuse(s, remedy, what string) {
	for _, c := range s {
		if liquid.IsPlaceholder(c) && !r.failed {
			r.report.Fault(r.tags.Of(c).At, "misplaced-tag", remedy, "a tag cannot stand %s", what)
			r.failed = true
		}
	}
}

// startTag checks that tags stand only within the quotes of attributes that are shown or lead somewhere.
func (r *reader) startTag() {
	if !strings.ContainsFunc(r.raw, liquid.IsPlaceholder) {
		return
	}
	element := r.token.Data
	if i := strings.IndexFunc(element, liquid.IsPlaceholder); i >= 0 {
		element = element[:i]
	}
	between := "between the attributes of <" + element + ">"
	r.refuse(r.token.Data, `put it into the quotes of an attribute: class="…"`, between)
	for _, a := range r.token.Attr {
		r.refuse(a.Key, `put it into the quotes of an attribute: class="…"`, between)
		switch {
		case a.Key == "style":
			r.refuse(a.Val, "use a class", "in CSS")
		case strings.HasPrefix(a.Key, "on"):
			r.refuse(a.Val, "remove it: no mail client runs scripts", "in a script")
		case a.Key == "srcset":
			r.refuse(a.Val, "use src", "in srcset")
		}
	}
	for _, a := range startTag(anyPlaceholder.ReplaceAllString(r.raw, "x $0")).Attr {
		// A space ends a value without quotes, and the placeholder behind it is the name of another attribute.
		r.refuse(a.Key, "put quotes around the value", "in an attribute without quotes")
	}
}

var anyPlaceholder = regexp.MustCompile(`[\x{F0000}-\x{FFFFD}]`)

func startTag(raw string) html.Token {
	z := html.NewTokenizer(strings.NewReader(raw))
	z.Next()
	return z.Token()
}

// A control tag travels through the HTML parser as a comment: text between table rows would be moved out of the table.
const (
	protection     = "placeholder:"
	protectedOpen  = "<!--" + protection
	protectedClose = "-->"
)

var protected = regexp.MustCompile(protectedOpen + `([\x{F0000}-\x{FFFFD}])` + protectedClose)

func unprotect(s string) string { return protected.ReplaceAllString(s, "$1") }

// unbroken are values that a line should not end in: browsers part 2026年12月2日 behind 年.
var unbroken = regexp.MustCompile(`\|\s*(date_local|date_short|phone)\b`)

// protect returns the HTML with the control tags of its text as comments. What an author wrote (own) must not have refused elements.
func protect(src string, own bool, t *liquid.Tags, report liquid.Reporter) (string, bool) {
	r := newReader(src, t, report)
	var b strings.Builder
	b.Grow(len(src))
	for r.read() {
		if why, refused := refusedElements[r.token.Data]; own && refused && r.kind != html.EndTagToken {
			report.Fault(r.last, "refused-html", why, "<%s> cannot be used in a mail", r.token.Data)
			return "", false
		}
		if r.kind != html.TextToken || r.within == "title" || r.within == "textarea" { // these know no comments
			b.WriteString(r.raw)
			continue
		}
		for _, c := range r.raw {
			switch {
			case liquid.IsPlaceholder(c) && t.Of(c).Control:
				b.WriteString(protectedOpen + string(c) + protectedClose)
			case own && liquid.IsPlaceholder(c) && unbroken.MatchString(t.Of(c).Args):
				b.WriteString(`<span style="white-space:nowrap">` + string(c) + "</span>")
			default:
				b.WriteRune(c)
			}
		}
	}
	return b.String(), !r.failed
}

// protectAll protects a finished page for another trip through the HTML parser.
func protectAll(page string, t *liquid.Tags) string {
	out, ok := protect(page, false, t, new(liquid.Problems))
	if !ok {
		return page
	}
	return out
}

type openElement struct {
	name   string
	number int
}

// contextsOf reads a page as the HTML parser writes it: attributes in double quotes, each once.
func contextsOf(page string, t *liquid.Tags, report liquid.Reporter) (*Page, bool) {
	p := &Page{HTML: page, contexts: map[int]liquid.EscapeContext{}, elements: map[int]int{}, urls: map[int]bool{}}
	var open []openElement
	number := 0
	r := newReader(page, t, report)
	for r.read() {
		switch r.kind {
		case html.TextToken:
			within := 0
			if len(open) > 0 {
				within = open[len(open)-1].number
			}
			for _, i := range placeholders(r.raw) {
				p.contexts[r.at+i], p.elements[r.at+i] = liquid.InHTML, within
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			number = p.attributes(r, number) + 1
			if !voidElements[r.token.Data] {
				open = append(open, openElement{r.token.Data, number})
			}
		case html.EndTagToken:
			for i := len(open) - 1; i >= 0; i-- {
				if open[i].name == r.token.Data {
					open = open[:i]
					break
				}
			}
		}
	}
	return p, !r.failed
}

// attributes notes the placeholders of a start tag. number is the last that was given.
func (p *Page) attributes(r *reader, number int) int {
	at := placeholders(r.raw)
	for _, a := range r.token.Attr {
		number++
		n := len(placeholders(a.Val))
		if n == 0 {
			continue
		}
		context := liquid.InAttribute
		if urlAttributes[a.Key] {
			context = liquid.InURL
			p.urls[r.at+strings.LastIndexByte(r.raw[:at[0]], '"')+1] = true
		}
		for _, i := range at[:n] {
			p.contexts[r.at+i], p.elements[r.at+i] = context, number
		}
		at = at[n:]
	}
	return number
}

// placeholders returns the bytes at which placeholders begin.
func placeholders(s string) []int {
	var at []int
	for i, c := range s {
		if liquid.IsPlaceholder(c) {
			at = append(at, i)
		}
	}
	return at
}
