package liquid

import (
	"strings"
	"unicode/utf8"
)

// A tag stands in the text as a placeholder: one rune of plane 15, which Markdown takes for a letter, HTML for a character and CSS
// for nothing.
const (
	firstPlaceholder = 0xF0000
	lastPlaceholder  = 0xFFFFD
)

// PlaceholderSize is the length of a placeholder in bytes.
const PlaceholderSize = 4

// IsPlaceholder reports whether the rune stands for a tag. No text of an author or of the data may hold one.
func IsPlaceholder(r rune) bool { return r >= firstPlaceholder && r <= lastPlaceholder }

// Tag is a {{ value }} or a {% control %} of a text.
type Tag struct {
	At      Position
	Control bool
	Name    string // of a control tag
	Args    string // the expression, or what follows the control tag's name
	Made    bool   // not written by the author: made around a line or a list
	src     string // with its braces
	argsAt  int    // where Args begins in src, in bytes
}

// Opens returns 1 for a tag that begins a block, -1 for one that ends it and 0 for any other.
func (t *Tag) Opens() int {
	switch {
	case t.Name == "if" || t.Name == "unless" || t.Name == "case" || t.Name == "for":
		return 1
	case strings.HasPrefix(t.Name, "end"):
		return -1
	}
	return 0
}

// Position is a place in a file; columns count characters from 1.
type Position struct {
	File         string
	Line, Column int
}

// Start is the beginning of a file.
func Start(file string) Position { return Position{File: file, Line: 1, Column: 1} }

// After returns the position behind text that begins at p.
func (p Position) After(text string) Position {
	if n := strings.Count(text, "\n"); n > 0 {
		p.Line += n
		p.Column = 1
		text = text[strings.LastIndexByte(text, '\n')+1:]
	}
	p.Column += utf8.RuneCountInString(text)
	return p
}

// Tags are the tags of one message: the placeholders of all its texts share one numbering.
type Tags struct {
	list []Tag
	file string
}

func (t *Tags) add(one Tag) rune {
	t.list = append(t.list, one)
	return rune(firstPlaceholder + len(t.list) - 1)
}

// Of returns the tag that a placeholder stands for. One that Scan did not write, but an author by &#983045; of HTML or
// Markdown, stands for a tag that cannot be read.
func (t *Tags) Of(r rune) *Tag {
	if i := int(r - firstPlaceholder); i < len(t.list) {
		return &t.list[i]
	}
	return &Tag{At: Start(t.file), Args: string(r), src: string(r)}
}

// Make adds a tag that no author wrote and returns its placeholder.
func (t *Tags) Make(name, args string) string {
	return string(t.add(Tag{At: Position{File: t.file}, Control: true, Name: name, Args: args, Made: true}))
}

// File is the file of the first text.
func (t *Tags) File() string { return t.file }

// OnlyControl reports whether the text is one or more control tags and nothing else.
func (t *Tags) OnlyControl(text string) bool {
	for _, r := range text {
		if !IsPlaceholder(r) && r != ' ' || IsPlaceholder(r) && !t.Of(r).Control {
			return false
		}
	}
	return text != ""
}

// Standalone takes the line away around control tags that have it to themselves, as people expect of plain text.
func (t *Tags) Standalone(text string) string {
	if !strings.ContainsFunc(text, IsPlaceholder) {
		return text
	}
	var b strings.Builder
	for line := range strings.SplitAfterSeq(text, "\n") {
		if only := strings.TrimSpace(line); t.OnlyControl(only) {
			b.WriteString(only)
		} else {
			b.WriteString(line)
		}
	}
	return b.String()
}

// maxTags bounds the tags of one template.
const maxTags = 1000

// scan returns the text with every tag as its placeholder.
func (p *Parser) scan(text string, at Position) string {
	if p.size += len(text); p.size > MaxSource {
		p.Report.Fault(at, "too-large", "shorten it, or split it into several messages", "the template with its partials is larger than %d KiB", MaxSource>>10)
		return ""
	}
	var b strings.Builder
	b.Grow(len(text))
	trim := false // the tag before asked to trim what follows
	for text != "" {
		i := openBrace(text)
		if i < 0 {
			i = len(text)
		}
		plain := text[:i]
		text = text[i:]
		next := at.After(plain)
		if trim {
			plain = p.trimLeft(plain)
		}
		if strings.HasPrefix(text, "{{-") || strings.HasPrefix(text, "{%-") {
			plain = p.trimRight(plain)
		}
		b.WriteString(plain)
		at = next
		if text == "" {
			break
		}
		one, length := readTag(text, at)
		if length == 0 {
			closing := strings.NewReplacer("{{", "}}", "{%", "%}").Replace(text[:2])
			p.Report.Fault(at, "unclosed-tag", "close it with "+closing, "the tag that begins here has no %s", closing)
			return b.String()
		}
		trim = text[length-3] == '-'
		rest := text[length:]
		after := at.After(text[:length])
		if one.Control && (one.Name == "comment" || one.Name == "raw") {
			shown, skip := p.verbatim(one, rest, trim)
			if skip < 0 {
				return b.String()
			}
			b.WriteString(shown)
			trim = rest[skip-3] == '-'
			text, at = rest[skip:], after.After(rest[:skip])
			continue
		}
		if one.Control && one.Name == "block" {
			pasted, skip := p.block(one, rest, after)
			b.WriteString(pasted)
			text, at = rest[skip:], after.After(rest[:skip])
			continue
		}
		if one.Control && one.Name == "partial" {
			b.WriteString(p.paste(one))
		} else {
			if len(p.tags.list) == maxTags {
				p.Report.Fault(at, "too-large", "make it simpler", "the template with its partials and layout has more than %d tags", maxTags)
				return b.String()
			}
			b.WriteRune(p.tags.add(one))
		}
		text, at = rest, after
	}
	return b.String()
}

// verbatim returns what {% raw %} or {% comment %} shows, and how much it takes of rest; -1 = it is not ended. trim says that its tag
// asked to trim what follows.
func (p *Parser) verbatim(one Tag, rest string, trim bool) (shown string, skip int) {
	body, skip := endOf(rest, one.Name)
	if skip < 0 {
		p.Report.Fault(one.At, "unclosed-tag", "add {% end"+one.Name+" %}", "{%% %s %%} is never ended", one.Name)
		return "", -1
	}
	if one.Name == "comment" {
		return "", skip
	}
	trimEnd := strings.HasPrefix(rest[len(body):], "{%-")
	if trim {
		body = p.trimLeft(body)
	}
	if trimEnd {
		body = p.trimRight(body)
	}
	return body, skip
}

func (p *Parser) trimLeft(text string) string {
	if p.keepLines {
		return strings.TrimLeft(text, " \t")
	}
	return strings.TrimLeft(text, " \t\r\n")
}

func (p *Parser) trimRight(text string) string {
	if p.keepLines {
		return strings.TrimRight(text, " \t")
	}
	return strings.TrimRight(text, " \t\r\n")
}

// maxPartials bounds how deep partials may paste partials; one that pastes itself runs into it.
const maxPartials = 8

func (p *Parser) paste(one Tag) string {
	name, ok := quoted(one.Args)
	if !ok {
		p.Report.Fault(one.At, "partial", `write {% partial "signature" %}`, "a partial is named by one quoted word")
		return ""
	}
	if p.Partial == nil {
		p.Report.Fault(one.At, "partial", "write its text here", "partials cannot be used in this place")
		return ""
	}
	if p.depth == maxPartials {
		p.Report.Fault(one.At, "partial", "does a partial paste itself?", "partials are nested more than %d deep", maxPartials)
		return ""
	}
	text, file, ok := p.Partial(name, one.At)
	if !ok {
		return ""
	}
	p.depth++
	defer func() { p.depth-- }()
	return p.scan(strings.TrimRight(text, " \t\r\n"), Start(file))
}

// openBrace returns where the first {{ or {% begins, or -1.
func openBrace(s string) int {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '{')
		if i < 0 || from+i+1 >= len(s) {
			return -1
		}
		switch c := s[from+i+1]; {
		case c == '{' && from+i+2 < len(s) && s[from+i+2] == '%': // {{% if … %}}: JSON's own brace before a tag
		case c == '{' || c == '%':
			return from + i
		}
		from += i + 1
	}
}

// readTag reads the tag that text begins with. A length of 0 says that it is not closed.
func readTag(text string, at Position) (Tag, int) {
	control := text[1] == '%'
	last := byte('}')
	if control {
		last = '%'
	}
	var quote byte
	for i := 2; i+1 < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{' && (text[i+1] == '{' || text[i+1] == '%'):
			return Tag{}, 0
		case c == last && text[i+1] == '}':
			return newTag(text[:i+2], control, at), i + 2
		}
	}
	return Tag{}, 0
}

func newTag(src string, control bool, at Position) Tag {
	from, to := 2, len(src)-2
	if from < to && src[from] == '-' {
		from++
	}
	if from < to && src[to-1] == '-' {
		to--
	}
	for from < to && isSpace(src[from]) {
		from++
	}
	for from < to && isSpace(src[to-1]) {
		to--
	}
	t := Tag{At: at, Control: control, src: src, argsAt: from, Args: src[from:to]}
	if control {
		n := 0
		for n < len(t.Args) && isWordByte(t.Args[n]) {
			n++
		}
		t.Name = t.Args[:n]
		rest := strings.TrimLeft(t.Args[n:], " \t\r\n")
		t.argsAt += len(t.Args) - len(rest)
		t.Args = rest
	}
	return t
}

// endOf finds {% endname %} and returns the text before it and how much both take; -1 if there is none.
func endOf(text, name string) (string, int) {
	for from := 0; ; {
		i := strings.Index(text[from:], "{%")
		if i < 0 {
			return "", -1
		}
		i += from
		if t, n := readTag(text[i:], Position{}); n > 0 && t.Name == "end"+name {
			return text[:i], i + n
		}
		from = i + 2
	}
}

func quoted(s string) (string, bool) {
	if len(s) < 3 || (s[0] != '"' && s[0] != '\'') || s[len(s)-1] != s[0] {
		return "", false
	}
	name := s[1 : len(s)-1]
	for i := range len(name) {
		if !isWordByte(name[i]) {
			return "", false
		}
	}
	return name, true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func isWordByte(c byte) bool {
	return c == '_' || c == '-' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
