package liquid

import (
	"cmp"
	"fmt"
	"strings"
)

// Limits of one message. Work is counted instead of timed, so that a template that passes today passes on a slow day: a mail of two
// screens takes some 1,000 units, and the dearest unit costs less than 100 ns, so the budget ends below 50 ms.
const (
	MaxSource = 64 << 10  // bytes of a text with what is pasted into it
	MaxOutput = 256 << 10 // bytes that a template may write
	MaxWork   = 200_000   // units
)

// Reporter takes what is wrong with a text, in words for its author.
type Reporter interface {
	// Fault reports what makes the text unusable.
	Fault(at Position, rule, remedy, format string, args ...any)
	// Warn reports what may not be meant.
	Warn(at Position, rule, remedy, format string, args ...any)
}

// Problem is one thing that is wrong with a text.
type Problem struct {
	At                    Position
	Warning               bool
	Rule, Message, Remedy string
}

// Error says where, what is wrong, and what to write instead.
func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s; %s", p.At.File, p.At.Line, p.At.Column, p.Message, p.Remedy)
}

// Problems is a Reporter that keeps what it is told.
type Problems []Problem

// Fault implements Reporter.
func (p *Problems) Fault(at Position, rule, remedy, format string, args ...any) {
	*p = append(*p, Problem{At: at, Rule: rule, Remedy: remedy, Message: fmt.Sprintf(format, args...)})
}

// Warn implements Reporter.
func (p *Problems) Warn(at Position, rule, remedy, format string, args ...any) {
	*p = append(*p, Problem{At: at, Warning: true, Rule: rule, Remedy: remedy, Message: fmt.Sprintf(format, args...)})
}

// Parser makes templates of the texts of one message. Parse is for a text as it is; Scan and Compile are its two halves, for a text
// that becomes something else in between, such as HTML. A Parser is for one goroutine.
type Parser struct {
	// Language says which variables and filters there are.
	Language *Language
	// Report takes what is wrong. A text with a fault has no template.
	Report Reporter
	// Partial finds the text of {% partial "name" %} and the file it is from, and reports if there is none. nil = there are none.
	Partial func(name string, at Position) (text, file string, ok bool)
	// Block returns what is written instead of {% block name %}, and where; nil = nothing ever is.
	Block func(name string, locked bool) (text string, at Position, replaced bool)
	// Defaults are shown in the place of variables that are missing, by their names.
	Defaults map[string]*Template
	// Named collects the variables that the texts name anywhere.
	Named map[string]bool

	tags      Tags
	keepLines bool // the text is Markdown, where lines have a meaning: trimming stops at the line's end
	depth     int  // of partials
	size      int  // of everything scanned so far
	loops     []openLoop
}

// Tags are the tags of all texts scanned so far.
func (p *Parser) Tags() *Tags { return &p.tags }

// Scan returns the text with every tag as its placeholder and every partial pasted. What is wrong is reported; the text is then not to
// be used. Of a text that keeps its lines, {{- and -}} take no line break away.
func (p *Parser) Scan(text string, at Position, keepLines bool) string {
	p.keepLines = keepLines
	p.tags.file = cmp.Or(p.tags.file, at.File)
	return p.scan(text, at)
}

// ScanLayout scans a text that goes around others: it has a limit of its own, nothing is written instead of its blocks, and it keeps
// its lines. content is the placeholder of {{ content }}, 0 if there is none.
func (p *Parser) ScanLayout(text string, at Position) (scanned string, content rune) {
	from := len(p.tags.list)
	size, block := p.size, p.Block
	p.size, p.Block = 0, nil
	scanned = p.Scan(text, at, true)
	p.size, p.Block = size, block
	for i := from; i < len(p.tags.list); i++ {
		if t := &p.tags.list[i]; !t.Control && t.Args == "content" {
			return scanned, rune(firstPlaceholder + i)
		}
	}
	return scanned, 0
}

// Parse makes a template of a text whose values all stand in the same context.
func (p *Parser) Parse(text string, at Position, context EscapeContext) *Template {
	t, _ := p.Compile(p.Scan(text, at, false), Contexts{Always: context})
	return t
}

// Parse makes a template of a single text. There is none if a problem is a fault.
func Parse(file, text string, language *Language, context EscapeContext) (*Template, Problems) {
	var problems Problems
	p := Parser{Language: language, Report: &problems}
	t := p.Parse(text, Start(file), context)
	for _, one := range problems {
		if !one.Warning {
			return nil, problems
		}
	}
	return t, problems
}

// block pastes a block: what is written instead of it, else its own text. It returns what it takes of rest.
func (p *Parser) block(one Tag, rest string, after Position) (string, int) {
	body, skip := endOf(rest, "block")
	if skip < 0 {
		p.Report.Fault(one.At, "unclosed-tag", "add {% endblock %}", "{%% block %%} is never ended")
		return "", len(rest)
	}
	name, option, _ := strings.Cut(one.Args, " ")
	locked := strings.TrimSpace(option) == "locked"
	switch {
	case name == "" || option != "" && !locked:
		p.Report.Fault(one.At, "block", "write {% block greeting %}, or {% block greeting locked %}", "a block has one name and may be locked")
	case strings.Contains(body, "{% block") || strings.Contains(body, "{%- block"):
		p.Report.Fault(one.At, "block", "end the one before the other begins", "a block stands within a block")
		return "", skip
	}
	if p.Block != nil {
		if text, at, replaced := p.Block(name, locked); replaced {
			return p.scan(text, at), skip
		}
	}
	return p.scan(body, after), skip
}

// Block is what a file writes instead of a block of another.
type Block struct {
	Name, Text string
	At         Position // of its text
	Tag        Position // of {% block %}
}

// ReadBlocks reads a text of blocks and nothing between them. stray is where something else stands, or a block that is not ended
// (unended); its Line is 0 if all is well.
func ReadBlocks(text string, at Position) (blocks []Block, stray Position, unended bool) {
	for {
		i := openBrace(text)
		if i < 0 {
			i = len(text)
		}
		if plain := strings.TrimLeft(text[:i], " \t\n"); plain != "" {
			return nil, at.After(text[:strings.Index(text, plain)]), false
		}
		at = at.After(text[:i])
		if text = text[i:]; text == "" {
			return blocks, Position{}, false
		}
		one, n := readTag(text, at)
		inner, skip := "", -1
		if n > 0 && one.Control && one.Name == "block" {
			inner, skip = endOf(text[n:], "block")
		}
		if skip < 0 {
			return nil, at, true
		}
		blocks = append(blocks, Block{Name: one.Args, Text: inner, At: at.After(text[:n]), Tag: at})
		at = at.After(text[:n+skip])
		text = text[n+skip:]
	}
}
