package templates

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/carebell/carebell/care"
)

// compiler makes one template of one file.
type compiler struct {
	loader *loader
	file   string
	t      *template
	report report
	scope  *scope
	scan   *scanner

	override string          // a dealer's file, "" = none
	over     map[string]bool // keys of the front matter that it changed
	overSrc  *source
}

func (c *compiler) run() *template {
	text, ok := readText(c.loader.fsys, c.file, &c.report)
	if !ok {
		return nil
	}
	c.t.src, ok = readSource(c.loader.decode(), c.file, text, c.t.channel, &c.report)
	if !ok {
		return nil
	}
	c.scope = &scope{instead: map[string]*program{}}
	c.scan = &scanner{tags: c.t.tags, report: &c.report, partial: c.partial}
	c.over = map[string]bool{}
	var own *override
	if c.override != "" {
		if own, ok = readOverride(c.loader.decode(), c.loader.fsys, c.override, c.t.channel, &c.report); !ok {
			return nil
		}
		c.overSrc = &own.src
		c.apply(own)
	}
	c.skips()
	c.defaults()
	switch c.t.channel {
	case care.Email:
		c.email()
	case care.SMS:
		c.sms()
	default:
		c.webhook()
	}
	if own != nil {
		c.unused(own)
	}
	if care.Faults(c.report.problems) {
		return nil
	}
	c.t.shows = c.scope.shows
	return c.t
}

// partial finds a partial for the template's locale.
func (c *compiler) partial(name string, p position) (string, string, bool) {
	for _, l := range append(append([]string{c.t.locale}, care.LocaleChain(c.t.locale)...), "") {
		file := strings.ReplaceAll(folder+"/_partials/"+l+"/"+name+".md", "//", "/")
		if _, err := fs.Stat(c.loader.fsys, file); err != nil {
			continue
		}
		text, ok := readText(c.loader.fsys, file, &c.report)
		return text, file, ok
	}
	c.report.fault(p, "unknown-partial", fmt.Sprintf("write %s/_partials/%s/%s.md", folder, c.t.locale, name), "there is no partial %q", name)
	return "", "", false
}

// value compiles a value of the front matter.
func (c *compiler) value(text, path string, where place) *program {
	src := &c.t.src
	if c.over[strings.TrimPrefix(path, "$.")] {
		src = c.overSrc
	}
	marked := c.scan.scan(text, src.where(path))
	return c.build(marked, where)
}

func (c *compiler) build(marked string, where place) *program {
	b := &builder{tags: c.t.tags, report: &c.report, scope: c.scope, always: where}
	return b.build(marked)
}

func (c *compiler) skips() {
	for i, name := range c.t.src.front.Skip {
		if _, ok := variables[name]; !ok {
			c.report.fault(c.t.src.where(fmt.Sprintf("$.skip[%d]", i)), "unknown-variable", suggest(name, variableNames()), "there is no variable %s", name)
		}
	}
}

func (c *compiler) defaults() {
	for _, item := range c.t.src.front.Defaults {
		name := item.Name
		at := c.t.src.where("$.defaults." + quotePath(name))
		if _, ok := variables[name]; !ok {
			c.report.fault(at, "unknown-variable", suggest(name, variableNames()), "there is no variable %s", name)
			continue
		}
		c.scope.instead[name] = c.build(c.scan.scan(item.Value, at), inText)
	}
}

// quotePath writes a key with dots as one element of a YAML path.
func quotePath(key string) string {
	if strings.ContainsAny(key, ".-") {
		return "'" + key + "'"
	}
	return key
}

func (c *compiler) email() {
	src := &c.t.src
	if strings.TrimSpace(src.front.Subject) == "" {
		c.report.fault(position{c.file, 1, 1}, "no-subject", `begin the file with --- , subject: "…" and ---`, "the mail has no subject")
	} else {
		c.t.subject = c.value(src.front.Subject, "$.subject", inLine)
	}
	if src.front.Preheader != "" {
		c.t.preheader = c.value(src.front.Preheader, "$.preheader", inLine)
	}
	c.scan.inLines = true
	before := c.report.faults
	body := c.scan.scan(src.body, src.at)
	if line, what := tooLarge(body); line > 0 {
		c.report.fault(position{c.file, src.at.line + line - 1, 1}, "too-large", "make it simpler", "%s", what)
	}
	if c.report.faults > before {
		return // where tags begin and end is not known
	}
	page, ok := c.compose(body)
	if !ok {
		c.build(body, inText) // whoever mends the page hears of the rest at once
		return
	}
	c.t.page = page.html
	b := &builder{
		tags: c.t.tags, report: &c.report, scope: c.scope, inside: page.inside, urls: page.urls,
		places: func(r rune) place {
			if where, ok := page.places[r]; ok {
				return where
			}
			return inAttribute // what escapes most, should a mark ever stand where nobody looked
		},
	}
	c.t.html = b.build(page.html)
	if b.failed {
		return // the twin would say it all again
	}
	plain, err := twin(page.html, c.t.lang.chinese, c.t.tags)
	if err != nil {
		c.report.fault(src.at, "html", "check the layout's HTML", "the page cannot be read: %v", err)
		return
	}
	c.t.text = c.build(plain, inText)
}

// compose makes the page of a mail's text with its marks.
func (c *compiler) compose(body string) (*page, bool) {
	src := &c.t.src
	made, err := markdown(body, c.t.tags, src.front.Skip)
	if err != nil {
		c.report.fault(src.at, "markdown", "make it simpler", "the Markdown cannot be read: %v", err)
		return nil, false
	}
	layout, content, ok := c.layout()
	if !ok {
		return nil, false
	}
	return compose(layout, made, content, c.t.tags, &c.report)
}

// layout returns the layout with its marks, and the mark at which the body goes in.
func (c *compiler) layout() (string, rune, bool) {
	name := c.t.src.front.Layout
	if name == "none" {
		return "", 0, true
	}
	if name == "" {
		name = "default"
	}
	text, ok := c.loader.layouts[name]
	if !ok && c.t.src.front.Layout == "" {
		return "", 0, true // a book may do without one
	}
	file := folder + "/_layouts/" + name + ".html"
	if !ok {
		c.report.fault(c.t.src.where("$.layout"), "unknown-layout", "write "+file+", or remove the line", "there is no layout %q", name)
		return "", 0, false
	}
	c.report.remember(file, text)
	from, before := len(c.t.tags.list), c.report.faults
	s := &scanner{tags: c.t.tags, report: &c.report, partial: c.partial, inLines: true}
	marked := s.scan(text, position{file, 1, 1})
	for i := from; i < len(c.t.tags.list); i++ {
		if t := &c.t.tags.list[i]; !t.control && t.args == "content" {
			return marked, rune(firstMark + i), c.report.faults == before
		}
	}
	c.report.fault(position{file, 1, 1}, "no-content", "write {{ content }} where the mail's text belongs", "the layout has no place for the text")
	return "", 0, false
}

func (c *compiler) sms() {
	src := &c.t.src
	before := c.report.faults
	body := strings.TrimSpace(standalone(c.scan.scan(src.body, src.at), c.t.tags))
	if body == "" && c.report.faults == before {
		c.report.fault(src.at, "empty", "write the text below the front matter", "the text message is empty")
	}
	c.t.text = c.build(skips(src.front.Skip).lines(body, c.t.tags), inText)
	if c.t.asks = src.front.Asks; c.t.asks != "" && askedBy[c.t.asks] == "" {
		c.report.fault(src.where("$.asks"), "asks", "write "+strings.Join(sortedKeys(askedBy), ", "), "%q is nothing that a text message can ask for", c.t.asks)
	}
	for _, name := range sortedKeys(src.front.Gateway) {
		g := src.front.Gateway[name]
		path := "$.gateway." + quotePath(name)
		if g.Template == "" {
			c.report.fault(src.where(path), "gateway-template", "write template: SMS_123, the code the gateway gave you", "the gateway %s has no template code", name)
		}
		one := gateway{name: name, template: g.Template, text: g.Text}
		for _, p := range g.Params {
			one.params = append(one.params, header{p.Name, c.value(p.Value, path+".params."+quotePath(p.Name), inLine)})
		}
		c.t.gateways = append(c.t.gateways, one)
	}
}

func (c *compiler) webhook() {
	src := &c.t.src
	body := standalone(c.scan.scan(src.body, src.at), c.t.tags)
	places := jsonPlaces(body)
	b := &builder{tags: c.t.tags, report: &c.report, scope: c.scope, places: func(r rune) place { return places[r] }}
	c.t.text = b.build(body)
	if !strings.ContainsFunc(body, isMark) && !json.Valid([]byte(body)) {
		c.report.fault(src.at, "json", "look for a missing comma or quote", "this is not JSON")
	}
	switch c.t.method = strings.ToUpper(src.front.Method); c.t.method {
	case "":
		c.t.method = http.MethodPost
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		c.report.fault(src.where("$.method"), "method", "write POST, PUT or PATCH", "a webhook cannot use the method %s", c.t.method)
	}
	for _, h := range src.front.Headers {
		name := h.Name
		path := "$.headers." + quotePath(name)
		if !httpguts.ValidHeaderFieldName(name) || reservedHeader(name) {
			c.report.fault(src.where(path), "header", "choose another name, such as X-Team", "the header %q cannot be set", name)
		}
		c.t.headers = append(c.t.headers, header{http.CanonicalHeaderKey(name), c.value(h.Value, path, inLine)})
	}
}

// reservedHeader names headers that the webhook channel sets itself (Standard Webhooks 1.0, HTTP).
func reservedHeader(name string) bool {
	switch lower := strings.ToLower(name); lower {
	case "host", "content-length", "content-type", "connection", "transfer-encoding", "trailer", "upgrade", "te", "idempotency-key":
		return true
	default:
		return strings.HasPrefix(lower, "webhook-") || strings.HasPrefix(lower, "x-carebell-")
	}
}

// jsonPlaces finds out which marks stand between the quotes of a string.
func jsonPlaces(src string) map[rune]place {
	places := map[rune]place{}
	inString, escaped := false, false
	for _, r := range src {
		switch {
		case isMark(r) && inString:
			places[r] = inJSONString
		case isMark(r):
			places[r] = inJSON
		case escaped:
			escaped = false
		case inString && r == '\\':
			escaped = true
		case r == '"':
			inString = !inString
		}
	}
	return places
}
