package templates

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	yamlast "github.com/goccy/go-yaml/ast"
	yamlparser "github.com/goccy/go-yaml/parser"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates/liquid"
	"github.com/carebell/carebell/templates/mail"
)

// frontMatter is what stands between the two lines of --- at the beginning of a template.
type frontMatter struct {
	Subject   string                  `yaml:"subject"`
	Preheader string                  `yaml:"preheader"`
	Layout    string                  `yaml:"layout"`
	Defaults  yaml.MapSlice           `yaml:"defaults"`
	Skip      []string                `yaml:"skip"`
	Locked    []string                `yaml:"locked"`
	Gateway   map[string]frontGateway `yaml:"gateway"`
	Asks      string                  `yaml:"asks"`
	Method    string                  `yaml:"method"`
	Headers   yaml.MapSlice           `yaml:"headers"`
}

type frontGateway struct {
	Template string        `yaml:"template"`
	Params   yaml.MapSlice `yaml:"params"`
	Text     string        `yaml:"text"` // as it was approved, with ${name} or {1} for the parameters; only lint reads it
}

// allowedFront says which keys mean something on which channel.
var allowedFront = map[care.Channel][]string{
	care.Email:   {"subject", "preheader", "layout", "defaults", "skip", "locked"},
	care.SMS:     {"defaults", "skip", "gateway", "asks"},
	care.Webhook: {"defaults", "method", "headers"},
}

// source is a template file as it was read.
type source struct {
	file  string
	front frontMatter
	yaml  string // the front matter's text
	body  string
	at    liquid.Position // where the body begins
	tree  *yamlast.File
}

// readSource divides a file into front matter and body. ok is false after a fault.
func readSource(file, text string, ch care.Channel, r *report) (src source, ok bool) {
	src = source{file: file, body: text, at: liquid.Start(file)}
	first, rest, found := strings.Cut(text, "\n")
	if strings.TrimRight(first, " \t\r") != "---" || !found {
		return src, true
	}
	end := -1
	for from := 0; from <= len(rest); {
		line, _, more := strings.Cut(rest[from:], "\n")
		if strings.TrimRight(line, " \t\r") == "---" {
			end = from
			break
		}
		if !more {
			break
		}
		from += len(line) + 1
	}
	if end < 0 {
		r.Fault(liquid.Start(file), "front-matter", "end it with a line of ---", "the front matter is never ended")
		return src, false
	}
	src.yaml = rest[:end]
	_, src.body, _ = strings.Cut(rest[end:], "\n")
	src.at = liquid.Position{File: file, Line: 2 + strings.Count(src.yaml, "\n") + 1, Column: 1}
	return src, src.decode(ch, r)
}

// maxFront bounds the front matter, whose parser takes long for deep nesting.
const maxFront = 16 << 10

// tooDeep reports whether YAML nests more than anything here needs.
func tooDeep(yaml string) bool {
	depth := 0
	for line := range strings.SplitSeq(yaml, "\n") {
		if strings.Count(line, "- ")+strings.Count(line, "? ") > mail.MaxNesting && strings.Trim(line, "-? ") == "" || strings.HasPrefix(line, strings.Repeat(" ", 2*mail.MaxNesting)) {
			return true
		}
		for i := range len(line) {
			switch line[i] {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if depth > mail.MaxNesting {
				return true
			}
		}
	}
	return false
}

func (src *source) decode(ch care.Channel, r *report) bool {
	if len(src.yaml) > maxFront || tooDeep(src.yaml) {
		r.Fault(liquid.Start(src.file), "front-matter", "make it simpler", "the front matter is too long or nested too deep")
		return false
	}
	// Tags may stand in plain YAML only between quotes: {{ begins a map.
	err := yaml.UnmarshalWithOptions([]byte(src.yaml), &src.front, yaml.Strict())
	if err != nil {
		p := liquid.Start(src.file)
		message := err.Error()
		if e, ok := errors.AsType[yaml.Error](err); ok {
			message = e.GetMessage()
			if token := e.GetToken(); token != nil && token.Position != nil {
				p.Line, p.Column = token.Position.Line+1, token.Position.Column
			}
		}
		remedy := "write only " + strings.Join(allowedFront[ch], ", ")
		if strings.Contains(src.yaml, ": {{") {
			remedy = `put quotes around values with tags: subject: "{{ … }}"`
		}
		r.Fault(p, "front-matter", remedy, "the front matter cannot be read: %s", message)
		return false
	}
	src.tree, err = yamlparser.ParseBytes([]byte(src.yaml), 0)
	if err != nil {
		r.Fault(liquid.Start(src.file), "front-matter", "correct the YAML", "the front matter cannot be read: %v", err)
		return false
	}
	return src.onlyAllowed(ch, r)
}

func (src *source) onlyAllowed(ch care.Channel, r *report) bool {
	set := map[string]bool{
		"subject": src.front.Subject != "", "preheader": src.front.Preheader != "", "layout": src.front.Layout != "",
		"defaults": len(src.front.Defaults) > 0, "skip": len(src.front.Skip) > 0, "locked": len(src.front.Locked) > 0, "gateway": len(src.front.Gateway) > 0, "asks": src.front.Asks != "", "method": src.front.Method != "", "headers": len(src.front.Headers) > 0,
	}
	for _, allowed := range allowedFront[ch] {
		delete(set, allowed)
	}
	ok := true
	for _, key := range []string{"subject", "preheader", "layout", "skip", "locked", "gateway", "asks", "method", "headers"} {
		if set[key] {
			r.Fault(src.where("$."+key), "front-matter", "write only "+strings.Join(allowedFront[ch], ", "), "%s means nothing for %s", key, ch)
			ok = false
		}
	}
	return ok
}

// where returns the place of a value of the front matter, by its YAML path.
func (src *source) where(path string) liquid.Position {
	p := liquid.Start(src.file)
	if src.tree == nil {
		return p
	}
	at, err := yaml.PathString(path)
	if err != nil {
		return p
	}
	n, err := at.FilterFile(src.tree)
	if err != nil || n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return p
	}
	token := n.GetToken()
	p.Line, p.Column = token.Position.Line+1, token.Position.Column
	if s := token.Origin; strings.HasPrefix(strings.TrimSpace(s), `"`) || strings.HasPrefix(strings.TrimSpace(s), "'") {
		p.Column++ // the text begins behind its quote
	}
	return p
}
