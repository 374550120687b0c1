package templates

import (
	"strings"

	"github.com/yuin/goldmark/ast"
)

// skips are the variables whose paragraph, list item or line is left out when they are missing (skip in the front matter).
type skips []string

// in returns the condition under which a piece of text is shown, "" for always.
func (k skips) in(text string, t *tags) string {
	var needs []string
	for _, path := range k {
		for _, r := range text {
			if isMark(r) && !t.at(r).control && mentions(t.at(r).args, path) {
				needs = append(needs, path)
				break
			}
		}
	}
	return strings.Join(needs, " and ")
}

// mentions reports whether an expression names a variable.
func mentions(expression, path string) bool {
	for from := 0; ; {
		i := strings.Index(expression[from:], path)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(path)
		if (i == 0 || expression[i-1] != '.' && !isWordByte(expression[i-1])) && (end == len(expression) || !isWordByte(expression[end])) {
			return true
		}
		from = end
	}
}

// lines puts a condition around each line that needs it, unless a block of tags begins or ends in it.
func (k skips) lines(text string, t *tags) string {
	if len(k) == 0 {
		return text
	}
	var b strings.Builder
	for line := range strings.SplitAfterSeq(text, "\n") {
		needs, torn := k.in(line, t), false
		depth := 0
		for _, r := range line {
			if isMark(r) && t.at(r).control {
				switch name := t.at(r).name; {
				case name == "if" || name == "unless" || name == "case" || name == "for":
					depth++
				case strings.HasPrefix(name, "end"):
					depth--
					torn = torn || depth < 0
				}
			}
		}
		if needs == "" || torn || depth != 0 {
			b.WriteString(line)
			continue
		}
		b.WriteString(t.made("if", needs) + line + t.made("endif", ""))
	}
	return b.String()
}

// made adds a tag that no author wrote.
func (t *tags) made(name, args string) string {
	return string(t.add(tag{pos: position{file: t.file()}, control: true, name: name, args: args, made: true}))
}

// skip puts a condition around a paragraph or heading, or around its list item if that is all the item has.
func (a *arranger) skip(p ast.Node, src []byte) {
	if len(a.skips) == 0 || p.Lines().Len() == 0 {
		return
	}
	needs := a.skips.in(string(p.Lines().Value(src)), a.tags)
	if needs == "" {
		return
	}
	around := p
	if item := p.Parent(); item.Kind() == ast.KindListItem && item.ChildCount() == 1 {
		around = item
	}
	parent := around.Parent()
	parent.InsertBefore(parent, around, &controlBlock{marks: a.tags.made("if", needs)})
	parent.InsertAfter(parent, around, &controlBlock{marks: a.tags.made("endif", "")})
}
