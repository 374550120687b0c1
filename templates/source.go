package templates

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
)

// A tag stands in the text as one rune of plane 15, which Markdown takes for a letter, HTML for a character and CSS for nothing.
const (
	firstMark = 0xF0000
	lastMark  = 0xFFFFD
)

func isMark(r rune) bool { return r >= firstMark && r <= lastMark }

// tag is a {{ value }} or a {% control %} of a source file.
type tag struct {
	pos     position
	control bool
	name    string // of a control tag
	args    string // the expression, or what follows the control tag's name
	argsAt  int    // where args begins in src, in bytes
	src     string // with its braces
	made    bool   // not written by the author: made by the engine around a list in a loop
}

// position is a place in a file of the book; columns count characters from 1.
type position struct {
	file      string
	line, col int
}

// after returns the position behind text that begins at p.
func (p position) after(text string) position {
	if n := strings.Count(text, "\n"); n > 0 {
		p.line += n
		p.col = 1
		text = text[strings.LastIndexByte(text, '\n')+1:]
	}
	p.col += utf8.RuneCountInString(text)
	return p
}

// tags are the tags of one template: its front matter, body, partials and layout share one numbering.
type tags struct{ list []tag }

func (t *tags) add(one tag) rune {
	t.list = append(t.list, one)
	return rune(firstMark + len(t.list) - 1)
}

func (t *tags) at(r rune) *tag { return &t.list[r-firstMark] }

// report gathers what is wrong, with the line it stands in.
type report struct {
	problems []care.Problem
	faults   int                 // found, also those that are not said any more
	lines    map[string][]string // by file, for excerpts
}

func (r *report) remember(file, text string) {
	if r.lines == nil {
		r.lines = map[string][]string{}
	}
	r.lines[file] = strings.Split(text, "\n")
}

func (r *report) fault(p position, rule, remedy, format string, args ...any) {
	r.faults++
	r.add(care.Fault, p, rule, remedy, format, args...)
}

func (r *report) warn(p position, rule, remedy, format string, args ...any) {
	r.add(care.Warning, p, rule, remedy, format, args...)
}

// maxProblems bounds what is said of one file.
const maxProblems = 50

func (r *report) add(severity care.Severity, p position, rule, remedy, format string, args ...any) {
	if len(r.problems) >= maxProblems && severity != care.Fault || len(r.problems) >= 2*maxProblems {
		return
	}
	r.problems = append(r.problems, care.Problem{
		Severity: severity, Rule: rule, File: p.file, Line: p.line, Column: p.col,
		Message: fmt.Sprintf(format, args...), Remedy: remedy, Excerpt: problem.Excerpt(r.lines[p.file], p.line, p.col),
	})
}

// maxTags bounds the tags of one template.
const maxTags = 1000

// scanner replaces the tags of a text by marks.
type scanner struct {
	tags    *tags
	report  *report
	partial func(name string, p position) (text string, file string, ok bool)
	// inLines says that the text is Markdown, where lines have a meaning: trimming stops at the line's end.
	inLines bool
	pieces  map[string]*piece // blocks that a dealer wrote
	depth   int
	size    int // of everything pasted so far
}

// scan returns the text with every tag as its mark. What is wrong is reported; the text is then not to be used.
func (s *scanner) scan(text string, at position) string {
	if s.size += len(text); s.size > maxSource {
		s.report.fault(at, "too-large", "shorten it, or split it into several messages", "the template with its partials is larger than %d KiB", maxSource>>10)
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
		next := at.after(plain)
		if trim {
			plain = s.trimLeft(plain)
		}
		if strings.HasPrefix(text, "{{-") || strings.HasPrefix(text, "{%-") {
			plain = s.trimRight(plain)
		}
		b.WriteString(plain)
		at = next
		if text == "" {
			break
		}
		one, length := readTag(text, at)
		if length == 0 {
			closing := "}}"
			if text[1] == '%' {
				closing = "%}"
			}
			s.report.fault(at, "unclosed-tag", "close it with "+closing, "the tag that begins here has no %s", closing)
			return b.String()
		}
		trim = text[length-3] == '-'
		rest := text[length:]
		after := at.after(text[:length])
		if one.control && (one.name == "comment" || one.name == "raw") {
			body, skip := endOf(rest, one.name)
			if skip < 0 {
				s.report.fault(at, "unclosed-tag", "add {% end"+one.name+" %}", "{%% %s %%} is never ended", one.name)
				return b.String()
			}
			if one.name == "raw" {
				b.WriteString(body)
			}
			text, at = rest[skip:], after.after(rest[:skip])
			continue
		}
		if one.control && one.name == "block" {
			pasted, skip := s.block(one, rest, after)
			b.WriteString(pasted)
			text, at = rest[skip:], after.after(rest[:skip])
			continue
		}
		if one.control && one.name == "partial" {
			b.WriteString(s.paste(one))
		} else {
			if len(s.tags.list) == maxTags {
				s.report.fault(at, "too-large", "make it simpler", "the template with its partials and layout has more than %d tags", maxTags)
				return b.String()
			}
			b.WriteRune(s.tags.add(one))
		}
		text, at = rest, after
	}
	return b.String()
}

func (s *scanner) trimLeft(text string) string {
	if s.inLines {
		return strings.TrimLeft(text, " \t")
	}
	return strings.TrimLeft(text, " \t\r\n")
}

func (s *scanner) trimRight(text string) string {
	if s.inLines {
		return strings.TrimRight(text, " \t")
	}
	return strings.TrimRight(text, " \t\r\n")
}

// maxPartials bounds how deep partials may paste partials; one that pastes itself runs into it.
const maxPartials = 8

func (s *scanner) paste(one tag) string {
	name, ok := quoted(one.args)
	if !ok {
		s.report.fault(one.pos, "partial", `write {% partial "signature" %}`, "a partial is named by one quoted word")
		return ""
	}
	if s.partial == nil {
		s.report.fault(one.pos, "partial", "write its text here", "partials cannot be used in this place")
		return ""
	}
	if s.depth == maxPartials {
		s.report.fault(one.pos, "partial", "does a partial paste itself?", "partials are nested more than %d deep", maxPartials)
		return ""
	}
	text, file, ok := s.partial(name, one.pos)
	if !ok {
		return ""
	}
	s.depth++
	defer func() { s.depth-- }()
	return s.scan(strings.TrimRight(text, " \t\r\n"), position{file, 1, 1})
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
func readTag(text string, at position) (tag, int) {
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
			return tag{}, 0
		case c == last && text[i+1] == '}':
			return newTag(text[:i+2], control, at), i + 2
		}
	}
	return tag{}, 0
}

func newTag(src string, control bool, at position) tag {
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
	t := tag{pos: at, control: control, src: src, argsAt: from, args: src[from:to]}
	if control {
		n := 0
		for n < len(t.args) && isWordByte(t.args[n]) {
			n++
		}
		t.name = t.args[:n]
		rest := strings.TrimLeft(t.args[n:], " \t\r\n")
		t.argsAt += len(t.args) - len(rest)
		t.args = rest
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
		if t, n := readTag(text[i:], position{}); n > 0 && t.name == "end"+name {
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

// standalone takes the line away around a control tag that has it to itself, as people expect of plain text.
func standalone(text string, t *tags) string {
	if !strings.ContainsFunc(text, isMark) {
		return text
	}
	var b strings.Builder
	for line := range strings.SplitAfterSeq(text, "\n") {
		if only := strings.TrimSpace(line); onlyControl(only, t) {
			b.WriteString(only)
		} else {
			b.WriteString(line)
		}
	}
	return b.String()
}

// onlyControl reports whether the text is one or more control tags and nothing else.
func onlyControl(s string, t *tags) bool {
	for _, r := range s {
		if !isMark(r) && r != ' ' || isMark(r) && !t.at(r).control {
			return false
		}
	}
	return s != ""
}
