package templates

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/vanng822/go-premailer/premailer"
)

// page is a finished HTML document with marks and what is known of them.
type page struct {
	html   string
	places map[rune]place
	inside map[rune]int
	urls   map[int]bool
}

// compose makes the page of a mail: body in its layout, CSS inlined.
func compose(layout string, body string, content rune, t *tags, r *report) (*page, bool) {
	// Without a body element a tag at the very beginning would stand outside of the page.
	whole := "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body>\n" + body + "</body></html>"
	if layout != "" {
		whole = strings.Replace(layout, string(content), body, 1)
	}
	first := &walker{src: whole, tags: t, report: r, protect: true}
	if !first.walk() {
		return nil, false
	}
	mailer, err := premailer.NewPremailerFromString(first.out.String(), premailer.NewOptions(premailer.WithCssToAttributes(false)))
	if err == nil {
		whole, err = mailer.Transform()
	}
	if err != nil {
		r.fault(position{file: t.file()}, "html", "check the layout's HTML and CSS", "the layout cannot be read: %v", err)
		return nil, false
	}
	whole = tidy(outlookButtons(unprotect(whole)), t)
	second := &walker{src: whole, tags: t, report: r, places: map[rune]place{}, inside: map[rune]int{}, urls: map[int]bool{}}
	if !second.walk() {
		return nil, false
	}
	return &page{html: whole, places: second.places, inside: second.inside, urls: second.urls}, true
}

func (t *tags) file() string {
	if len(t.list) == 0 {
		return ""
	}
	return t.list[0].pos.file
}

// A control tag travels through the HTML parser as a comment: text between table rows would be moved out of the table.
const protectOpen, protectShut = "<!--carebell:", "-->"

func unprotect(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, protectOpen)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		s = s[i+len(protectOpen):]
		end := strings.Index(s, protectShut)
		b.WriteString(s[:end])
		s = s[end+len(protectShut):]
	}
}

var voidTag = regexp.MustCompile(`(<(?:area|br|col|hr|img|meta|source|track|wbr)\b[^<>]*?) ?/>`)

// tidy writes the page as people would: no space at the edges of lines, no empty lines, no line for a control tag alone, void
// elements as HTML has them. What is preformatted stays as it is.
func tidy(page string, t *tags) string {
	page = strings.ReplaceAll(voidTag.ReplaceAllString(page, "$1>"), `<style type="text/css">`, "<style>")
	var b strings.Builder
	b.Grow(len(page))
	kept := 0 // preformatted elements that are open
	for line := range strings.SplitAfterSeq(page, "\n") {
		before := kept
		kept += strings.Count(line, "<pre") - strings.Count(line, "</pre>")
		if before > 0 || kept > 0 {
			b.WriteString(line)
			continue
		}
		switch only := strings.TrimSpace(line); {
		case only == "":
		case onlyControl(only, t):
			b.WriteString(only)
		default:
			b.WriteString(only)
			if strings.HasSuffix(line, "\n") {
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// outlookButtons gives Outlook on Windows, which ignores the padding of links, a table cell around each button.
func outlookButtons(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "<a ")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		end := strings.Index(s[i:], ">")
		shut := strings.Index(s[i:], "</a>")
		if end < 0 || shut < 0 {
			b.WriteString(s)
			return b.String()
		}
		open := s[i : i+end+1]
		b.WriteString(s[:i])
		if background := declared(open, "background-color"); background != "" && strings.Contains(open, `class="button"`) {
			padding := declared(open, "padding")
			if padding == "" {
				padding = "12px 24px"
			}
			fmt.Fprintf(&b, `<!--[if mso]><table role="presentation" cellspacing="0" cellpadding="0"><tr><td bgcolor="%s" style="padding:%s"><![endif]-->`, background, padding)
			b.WriteString(s[i : i+shut+4])
			b.WriteString(`<!--[if mso]></td></tr></table><![endif]-->`)
		} else {
			b.WriteString(s[i : i+shut+4])
		}
		s = s[i+shut+4:]
	}
}

// declared returns the value of a CSS property in the style attribute of a start tag, if it is a plain one.
func declared(open, property string) string {
	_, style, ok := strings.Cut(open, `style="`)
	if !ok {
		return ""
	}
	style, _, _ = strings.Cut(style, `"`)
	for one := range strings.SplitSeq(style, ";") {
		name, v, _ := strings.Cut(one, ":")
		v = strings.TrimSpace(v)
		if strings.TrimSpace(name) == property && !strings.ContainsAny(v, `<>&'"`) {
			return v
		}
	}
	return ""
}

// walker reads HTML from left to right and knows at each mark what it stands in.
type walker struct {
	src    string
	at     int
	tags   *tags
	report *report
	ok     bool

	protect bool // write out with control marks in text as comments
	out     strings.Builder

	places map[rune]place
	inside map[rune]int
	urls   map[int]bool

	open   []openElement
	nextID int
}

type openElement struct {
	name string
	id   int
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

func (w *walker) walk() bool {
	w.ok = true
	for w.at < len(w.src) && w.ok {
		i := strings.IndexByte(w.src[w.at:], '<')
		if i < 0 {
			i = len(w.src) - w.at
		}
		w.text(w.src[w.at:w.at+i], inHTML)
		w.at += i
		if w.at < len(w.src) {
			w.markup()
		}
	}
	return w.ok
}

func (w *walker) copy(s string) {
	if w.protect {
		w.out.WriteString(s)
	}
}

// text handles what stands between tags. In a title, which knows no comments, marks stay as they are.
func (w *walker) text(s string, where place) {
	id := 0
	title := false
	if len(w.open) > 0 {
		top := w.open[len(w.open)-1]
		id, title = top.id, top.name == "title" || top.name == "textarea"
	}
	for i, r := range s {
		if !isMark(r) {
			continue
		}
		if w.places != nil {
			w.places[r], w.inside[r] = where, id
		}
		_ = i
	}
	if !w.protect {
		return
	}
	for _, r := range s {
		if isMark(r) && w.tags.at(r).control && !title {
			w.out.WriteString(protectOpen + string(r) + protectShut)
		} else {
			w.out.WriteRune(r)
		}
	}
}

func (w *walker) refuse(s, remedy, what string) {
	for _, r := range s {
		if isMark(r) {
			t := w.tags.at(r)
			w.report.fault(t.pos, "misplaced-tag", remedy, "a tag cannot stand %s", what)
			w.ok = false
			return
		}
	}
}

func (w *walker) markup() {
	s := w.src[w.at:]
	switch {
	case strings.HasPrefix(s, "<!--"):
		n := strings.Index(s[4:], "-->")
		if n < 0 {
			n = len(s) - 7
		}
		w.refuse(s[:n+7], "put it outside of the comment", "in an HTML comment")
		w.copy(s[:n+7])
		w.at += n + 7
	case strings.HasPrefix(s, "<!"), strings.HasPrefix(s, "<?"):
		n := strings.IndexByte(s, '>')
		if n < 0 {
			n = len(s) - 1
		}
		w.refuse(s[:n+1], "put it elsewhere", "in a declaration")
		w.copy(s[:n+1])
		w.at += n + 1
	case len(s) > 2 && s[1] == '/' && isLetter(s[2]):
		n := strings.IndexByte(s, '>')
		if n < 0 {
			n = len(s) - 1
		}
		w.refuse(s[:n+1], "put it before or behind", "in an end tag")
		w.close(strings.ToLower(strings.TrimSpace(s[2:n])))
		w.copy(s[:n+1])
		w.at += n + 1
	case len(s) > 1 && isLetter(s[1]):
		w.start()
	default:
		w.copy("<")
		w.at++
	}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func (w *walker) close(name string) {
	for i := len(w.open) - 1; i >= 0; i-- {
		if w.open[i].name == name {
			w.open = w.open[:i]
			return
		}
	}
}

// start reads a start tag with its attributes.
func (w *walker) start() {
	begin := w.at
	w.at++
	for w.at < len(w.src) && (isWordByte(w.src[w.at]) || w.src[w.at] == ':') {
		w.at++
	}
	name := strings.ToLower(w.src[begin+1 : w.at])
	if why, refused := refusedElements[name]; refused && w.protect {
		w.report.fault(w.near(begin), "refused-html", why, "<%s> cannot be used in a mail", name)
		w.ok = false
		return
	}
	selfClosing := false
	for w.at < len(w.src) && w.src[w.at] != '>' {
		c := w.src[w.at]
		if isSpace(c) || c == '/' {
			selfClosing = c == '/'
			w.at++
			continue
		}
		selfClosing = false
		w.attribute(name)
		if !w.ok {
			return
		}
	}
	if w.at < len(w.src) {
		w.at++
	}
	w.copy(w.src[begin:w.at])
	if voidElements[name] || selfClosing && w.protect {
		return
	}
	w.nextID++
	w.open = append(w.open, openElement{name, w.nextID})
	if name == "style" || name == "script" {
		n := strings.Index(strings.ToLower(w.src[w.at:]), "</"+name)
		if n < 0 {
			n = len(w.src) - w.at
		}
		w.refuse(w.src[w.at:w.at+n], "style elements by class instead", "in CSS")
		w.copy(w.src[w.at : w.at+n])
		w.at += n
	}
}

func (w *walker) attribute(element string) {
	from := w.at
	for w.at < len(w.src) && !isSpace(w.src[w.at]) && strings.IndexByte("=/>", w.src[w.at]) < 0 {
		w.at++
	}
	if w.at == from {
		w.at++ // a stray =
	}
	name := strings.ToLower(w.src[from:w.at])
	w.refuse(name, `put it into the quotes of an attribute: class="…"`, "between the attributes of <"+element+">")
	for w.at < len(w.src) && isSpace(w.src[w.at]) {
		w.at++
	}
	if w.at == len(w.src) || w.src[w.at] != '=' || !w.ok {
		return
	}
	w.at++
	for w.at < len(w.src) && isSpace(w.src[w.at]) {
		w.at++
	}
	if w.at == len(w.src) {
		return
	}
	quote := w.src[w.at]
	if quote != '"' && quote != '\'' {
		n := strings.IndexAny(w.src[w.at:], " \t\r\n>")
		if n < 0 {
			n = len(w.src) - w.at
		}
		w.refuse(w.src[w.at:w.at+n], "put quotes around the value", "in an attribute without quotes")
		w.at += n
		return
	}
	w.at++
	n := strings.IndexByte(w.src[w.at:], quote)
	if n < 0 {
		n = len(w.src) - w.at
	}
	w.attributeValue(name, w.src[w.at:w.at+n])
	w.at = min(w.at+n+1, len(w.src))
}

func (w *walker) attributeValue(name, v string) {
	switch {
	case name == "style":
		w.refuse(v, "use a class", "in CSS")
	case strings.HasPrefix(name, "on"):
		w.refuse(v, "remove it: no mail client runs scripts", "in a script")
	case name == "srcset":
		w.refuse(v, "use src", "in srcset")
	}
	if w.places == nil || !w.ok {
		return
	}
	where := inAttribute
	if urlAttributes[name] {
		where = inURL
		if strings.ContainsFunc(v, isMark) {
			w.urls[w.at] = true
		}
	}
	w.nextID++
	for _, r := range v {
		if isMark(r) {
			w.places[r], w.inside[r] = where, w.nextID
		}
	}
}

// near finds a place in the author's files for something in the composed page: that of the tag before it.
func (w *walker) near(at int) position {
	best := position{file: w.tags.file()}
	for i, r := range w.src {
		if i >= at {
			break
		}
		if isMark(r) {
			best = w.tags.at(r).pos
		}
	}
	return best
}
