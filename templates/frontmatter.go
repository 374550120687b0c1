package templates

import (
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates/liquid"
)

// pairs are the names and texts of a mapping, in the order of the file.
type pairs []pair

type pair struct {
	Name  string `yaml:",key"`
	Value string `yaml:",value"`
}

// frontMatter is what stands between the two lines of --- at the beginning of a template.
type frontMatter struct {
	Subject   string                  `yaml:"subject"`
	Preheader string                  `yaml:"preheader"`
	Layout    string                  `yaml:"layout"`
	Defaults  pairs                   `yaml:"defaults"`
	Skip      []string                `yaml:"skip"`
	Locked    []string                `yaml:"locked"`
	Gateway   map[string]frontGateway `yaml:"gateway"`
	Asks      string                  `yaml:"asks"`
	Method    string                  `yaml:"method"`
	Headers   pairs                   `yaml:"headers"`
}

type frontGateway struct {
	Template string `yaml:"template"`
	Params   pairs  `yaml:"params"`
	Text     string `yaml:"text"` // as it was approved, with ${name} or {1} for the parameters; only lint reads it
}

// allowedFront says which keys mean something on which channel.
var allowedFront = map[care.Channel][]string{
	care.Email:   {"subject", "preheader", "layout", "defaults", "skip", "locked"},
	care.SMS:     {"defaults", "skip", "gateway", "asks"},
	care.Webhook: {"defaults", "method", "headers"},
	care.Task:    {"defaults", "skip"},
}

// source is a template file as it was read.
type source struct {
	file  string
	front frontMatter
	yaml  string // the front matter's text
	body  string
	at    liquid.Position // where the body begins
	// locate finds the place of a value in the front matter; nil without one.
	locate func(path string) (line, column int, excerpt string)
}

// readSource divides a file into front matter and body. ok is false after a fault.
func readSource(decode care.FileDecoder, file, text string, ch care.Channel, r *report) (src source, ok bool) {
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
	return src, src.decode(decode, ch, r)
}

// maxFront bounds the front matter.
const maxFront = 16 << 10

func (src *source) decode(decode care.FileDecoder, ch care.Channel, r *report) bool {
	if len(src.yaml) > maxFront {
		r.Fault(liquid.Start(src.file), "front-matter", "make it simpler", "the front matter is too long")
		return false
	}
	if strings.TrimSpace(src.yaml) == "" {
		return true
	}
	if decode == nil {
		r.Fault(liquid.Start(src.file), "front-matter", "set Book.Decode", "the front matter cannot be read: the book has no decoder for YAML")
		return false
	}
	// The empty line stands for the one of ---, so that lines are those of the file.
	locate, problems := decode(src.file, []byte("\n"+src.yaml), &src.front)
	src.locate = locate
	readable := true
	for _, p := range problems {
		if p.Rule == "empty-file" {
			continue // nothing but comments
		}
		remedy := p.Remedy
		suggested := func(name string) bool { return remedy == "did you mean \""+name+"\"?" }
		if p.Rule == "unknown-field" && p.Column == 1 && !slices.ContainsFunc(allowedFront[ch], suggested) {
			remedy = "write only " + strings.Join(allowedFront[ch], ", ")
		}
		if remedy == "" {
			remedy = "compare it with a template of `carebell init`"
		}
		r.Fault(liquid.Position{File: src.file, Line: max(p.Line, 1), Column: max(p.Column, 1)}, "front-matter", remedy, "the front matter cannot be read: %s", p.Message)
		readable = false
	}
	return readable && src.onlyAllowed(ch, r)
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
	if src.locate == nil {
		return p
	}
	line, column, _ := src.locate(path)
	if line == 0 {
		return p
	}
	p.Line, p.Column = line, column
	if c := src.character(line, column); c == '"' || c == '\'' {
		p.Column++ // the text begins behind its quote
	}
	return p
}

// character returns a character of the front matter by its place in the file, or 0.
func (src *source) character(line, column int) rune {
	lines := strings.Split(src.yaml, "\n")
	if line < 2 || line-2 >= len(lines) {
		return 0
	}
	if text := []rune(lines[line-2]); column <= len(text) {
		return text[column-1]
	}
	return 0
}
