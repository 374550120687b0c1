package templates

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/http/httpguts"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/templates/liquid"
	"github.com/carebell/carebell/templates/mail"
)

// compiler makes one template of one file.
type compiler struct {
	loader *loader
	file   string
	t      *template
	report report
	parser *liquid.Parser

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
	c.parser = &liquid.Parser{
		Language: dialect, Report: &c.report, Partial: c.partial, Defaults: map[string]*liquid.Template{}, Named: map[string]bool{},
	}
	c.t.tags, c.t.defaults = c.parser.Tags(), c.parser.Defaults
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
	case care.SMS, care.Task:
		c.sms()
	default:
		c.webhook()
	}
	if own != nil {
		c.unused(own)
	}
	if problem.Faults(c.report.problems) {
		return nil
	}
	c.t.shows = shownBy(c.parser.Named)
	return c.t
}

// partial finds a partial for the template's locale.
func (c *compiler) partial(name string, p liquid.Position) (string, string, bool) {
	for _, l := range append(append([]string{c.t.locale}, care.LocaleChain(c.t.locale)...), "") {
		file := strings.ReplaceAll(folder+"/_partials/"+l+"/"+name+".md", "//", "/")
		if _, err := fs.Stat(c.loader.fsys, file); err != nil {
			continue
		}
		text, ok := readText(c.loader.fsys, file, &c.report)
		return text, file, ok
	}
	c.report.Fault(p, "unknown-partial", fmt.Sprintf("write %s/_partials/%s/%s.md", folder, c.t.locale, name), "there is no partial %q", name)
	return "", "", false
}

// value compiles a value of the front matter.
func (c *compiler) value(text, path string, context liquid.EscapeContext) *liquid.Template {
	src := &c.t.src
	if c.over[strings.TrimPrefix(path, "$.")] {
		src = c.overSrc
	}
	return c.parser.Parse(text, src.where(path), context)
}

// plain compiles a text with placeholders that is sent as plain text.
func (c *compiler) plain(scanned string) *liquid.Template {
	t, _ := c.parser.Compile(scanned, liquid.Contexts{})
	return t
}

func (c *compiler) skips() {
	for i, name := range c.t.src.front.Skip {
		if _, ok := variables[name]; !ok {
			c.report.Fault(c.t.src.where(fmt.Sprintf("$.skip[%d]", i)), "unknown-variable", suggest(name, variableNames), "there is no variable %s", name)
		}
	}
}

func (c *compiler) defaults() {
	for _, item := range c.t.src.front.Defaults {
		name := item.Name
		at := c.t.src.where("$.defaults." + quotePath(name))
		if _, ok := variables[name]; !ok {
			c.report.Fault(at, "unknown-variable", suggest(name, variableNames), "there is no variable %s", name)
			continue
		}
		c.parser.Defaults[name] = c.parser.Parse(item.Value, at, liquid.InText)
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
		c.report.Fault(liquid.Start(c.file), "no-subject", `begin the file with --- , subject: "…" and ---`, "the mail has no subject")
	} else {
		c.t.subject = c.value(src.front.Subject, "$.subject", liquid.InLine)
	}
	if src.front.Preheader != "" {
		c.t.preheader = c.value(src.front.Preheader, "$.preheader", liquid.InLine)
	}
	before := c.report.faults
	body := c.parser.Scan(src.body, src.at, true)
	if line, what := mail.TooLarge(body); line > 0 {
		at := src.at
		at.Line, at.Column = at.Line+line-1, 1
		c.report.Fault(at, "too-large", "make it simpler", "%s", what)
	}
	if c.report.faults > before {
		return // where tags begin and end is not known
	}
	page, ok := c.compose(body)
	if !ok {
		c.plain(body) // whoever mends the page hears of the rest at once
		return
	}
	c.t.page = page.HTML
	if c.t.html, ok = c.parser.Compile(page.HTML, page.Contexts()); !ok {
		return // the text alternative would say it all again
	}
	colon := ": "
	if c.t.lang.chinese {
		colon = "："
	}
	alternative, err := mail.Text(page.HTML, colon, c.t.tags)
	if err != nil {
		c.report.Fault(src.at, "html", "check the layout's HTML", "the page cannot be read: %v", err)
		return
	}
	c.t.text = c.plain(alternative)
}

// compose makes the page of a mail's text with its placeholders.
func (c *compiler) compose(body string) (*mail.Page, bool) {
	src := &c.t.src
	made, err := mail.Markdown(body, c.t.tags, src.front.Skip)
	if err != nil {
		c.report.Fault(src.at, "markdown", "make it simpler", "the Markdown cannot be read: %v", err)
		return nil, false
	}
	layout, content, ok := c.layout()
	if !ok {
		return nil, false
	}
	return mail.Compose(layout, made, content, c.t.tags, &c.report)
}

// layout returns the layout with its placeholders, and the one at which the body goes in.
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
		c.report.Fault(c.t.src.where("$.layout"), "unknown-layout", "write "+file+", or remove the line", "there is no layout %q", name)
		return "", 0, false
	}
	c.report.remember(file, text)
	before := c.report.faults
	scanned, content := c.parser.ScanLayout(text, liquid.Start(file))
	if content != 0 {
		return scanned, content, c.report.faults == before
	}
	c.report.Fault(liquid.Start(file), "no-content", "write {{ content }} where the mail's text belongs", "the layout has no place for the text")
	return "", 0, false
}

func (c *compiler) sms() {
	src := &c.t.src
	before := c.report.faults
	body := strings.TrimSpace(c.t.tags.Standalone(c.parser.Scan(src.body, src.at, false)))
	if body == "" && c.report.faults == before {
		c.report.Fault(src.at, "empty", "write the text below the front matter", "the text message is empty")
	}
	c.t.text = c.plain(liquid.Skips(src.front.Skip).Lines(body, c.t.tags))
	if c.t.asks = src.front.Asks; c.t.asks != "" && askedBy[c.t.asks] == "" {
		c.report.Fault(src.where("$.asks"), "asks", "write "+strings.Join(sortedKeys(askedBy), ", "), "%q is nothing that a text message can ask for", c.t.asks)
	}
	for _, name := range sortedKeys(src.front.Gateway) {
		g := src.front.Gateway[name]
		path := "$.gateway." + quotePath(name)
		if g.Template == "" {
			c.report.Fault(src.where(path), "gateway-template", "write template: SMS_123, the code the gateway gave you", "the gateway %s has no template code", name)
		}
		one := gateway{name: name, template: g.Template, text: g.Text}
		for _, p := range g.Params {
			one.params = append(one.params, header{p.Name, c.value(p.Value, path+".params."+quotePath(p.Name), liquid.InLine)})
		}
		c.t.gateways = append(c.t.gateways, one)
	}
}

func (c *compiler) webhook() {
	src := &c.t.src
	body := c.t.tags.Standalone(c.parser.Scan(src.body, src.at, false))
	contexts := jsonContexts(body)
	c.t.text, _ = c.parser.Compile(body, liquid.Contexts{At: func(at int) liquid.EscapeContext { return contexts[at] }})
	if at := notJSON(body); at >= 0 && !strings.ContainsFunc(body, liquid.IsPlaceholder) {
		where := src.at
		if body == src.body { // not so with a partial
			where = where.After(body[:at])
		}
		c.report.Fault(where, "json", "look for a comma or quote too many or too few", "from here on this is not JSON")
	}
	switch c.t.method = strings.ToUpper(src.front.Method); c.t.method {
	case "":
		c.t.method = http.MethodPost
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		c.report.Fault(src.where("$.method"), "method", "write POST, PUT or PATCH", "a webhook cannot use the method %s", c.t.method)
	}
	for _, h := range src.front.Headers {
		name := h.Name
		path := "$.headers." + quotePath(name)
		if !httpguts.ValidHeaderFieldName(name) || reservedHeader(name) {
			c.report.Fault(src.where(path), "header", "choose another name, such as X-Team", "the header %q cannot be set", name)
		}
		c.t.headers = append(c.t.headers, header{http.CanonicalHeaderKey(name), c.value(h.Value, path, liquid.InLine)})
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

// notJSON returns the byte from which a text is not one JSON value, -1 if it is one.
func notJSON(text string) int {
	d := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	err := d.SkipValue()
	if err == nil {
		if _, err = d.ReadToken(); err == io.EOF { //nolint:errorlint // the decoder's own, never wrapped
			return -1
		}
		if err == nil {
			return int(d.InputOffset()) - 1 // something behind the value
		}
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return min(int(e.ByteOffset), len(text))
	}
	return len(text) // it ends too early
}

// jsonContexts finds out which placeholders stand between the quotes of a string, by their bytes. No JSON decoder can: with its tags in
// place, as with {% if %}"a"{% else %}"b"{% endif %}, a template is not JSON yet.
func jsonContexts(src string) map[int]liquid.EscapeContext {
	contexts := map[int]liquid.EscapeContext{}
	inString, escaped := false, false
	for i, r := range src {
		switch {
		case liquid.IsPlaceholder(r) && inString:
			contexts[i] = liquid.InJSONString
		case liquid.IsPlaceholder(r):
			contexts[i] = liquid.InJSON
		case escaped:
			escaped = false
		case inString && r == '\\':
			escaped = true
		case r == '"':
			inString = !inString
		}
	}
	return contexts
}
