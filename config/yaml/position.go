package yaml

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"
	"golang.org/x/text/width"
)

// Locate finds the value at a YAML path such as $.steps[1].offset. Where there is none, the nearest value around it counts: that is
// where a missing field belongs. Line and column count from 1, the column in characters. Without a tree, or for a path that is none,
// they are 0.
func (d *Document) Locate(path string) (line, column int, excerpt string) {
	if d.root == nil || !strings.HasPrefix(path, "$") {
		return 0, 0, ""
	}
	line, column = position(d.walk(path, nil))
	return line, column, d.excerpt(line, column)
}

// Refused reports whether the value at the path, or one around it, could not be used: what is missing in it need not be said.
func (d *Document) Refused(path string) bool {
	refused := false
	if d.root != nil {
		d.walk(path, func(n *yaml.Node) { refused = refused || d.refused[n] })
	}
	return refused
}

// walk goes along a path as far as there are values, calls visit for each, and returns the last one.
func (d *Document) walk(path string, visit func(*yaml.Node)) *yaml.Node {
	n := d.root
	if visit != nil {
		visit(n)
	}
	for _, step := range steps(path) {
		next := child(n, step)
		if next == nil {
			break
		}
		if n = next; visit != nil {
			visit(n)
		}
	}
	return n
}

func child(n *yaml.Node, step string) *yaml.Node {
	switch n.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

// steps parts a path at its dots and brackets. A name with such characters in it stands in single quotes.
func steps(path string) []string {
	var all []string
	rest := strings.TrimPrefix(path, "$")
	for rest != "" {
		var step string
		switch {
		case rest[0] == '[':
			step, rest, _ = strings.Cut(rest[1:], "]")
		case strings.HasPrefix(rest, ".'"):
			end := 2
			for end < len(rest) && (rest[end] != '\'' || rest[end-1] == '\\') {
				end++
			}
			step, rest = strings.ReplaceAll(rest[2:end], `\'`, "'"), rest[min(end+1, len(rest)):]
		default:
			rest = strings.TrimPrefix(rest, ".")
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			step, rest = rest[:end], rest[end:]
		}
		all = append(all, step)
	}
	return all
}

// Key appends a field's name to a YAML path.
func Key(path, name string) string {
	if strings.ContainsAny(name, ".*[]$' ") {
		name = "'" + strings.ReplaceAll(name, "'", `\'`) + "'"
	}
	return path + "." + name
}

// Index appends a place in a list to a YAML path; the first is 0.
func Index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// position is where a reader sees the value begin, both counted from 1 and the column in characters.
func position(n *yaml.Node) (line, column int) { return n.Line, n.Column }

// widest is how many characters of a line are shown.
const widest = 160

// excerpt shows the line, the one before it, and a caret under the column.
func (d *Document) excerpt(line, column int) string {
	if line < 1 || line > len(d.lines) {
		return ""
	}
	var b strings.Builder
	if line > 1 {
		fmt.Fprintf(&b, "%4d | %s\n", line-1, clip(d.lines[line-2], widest))
	}
	shown := d.lines[line-1]
	if len(shown) > widest {
		shown, column = around(shown, column)
	}
	fmt.Fprintf(&b, "%4d | %s\n     | ", line, shown)
	for i, r := range []rune(shown) {
		if i >= column-1 {
			break
		}
		switch k := width.LookupRune(r).Kind(); {
		case r == '\t':
			b.WriteByte('\t')
		case k == width.EastAsianWide || k == width.EastAsianFullwidth:
			b.WriteString("  ")
		default:
			b.WriteByte(' ')
		}
	}
	b.WriteByte('^')
	return b.String()
}

// around returns the part of a long line around a column, and the column in it.
func around(l string, column int) (string, int) {
	from, skipped := 0, 0
	for skipped < column-1-widest/2 && from < len(l) {
		_, size := utf8.DecodeRuneInString(l[from:])
		from, skipped = from+size, skipped+1
	}
	to := from
	for shown := 0; shown < widest && to < len(l); shown++ {
		_, size := utf8.DecodeRuneInString(l[to:])
		to += size
	}
	part := l[from:to]
	if to < len(l) {
		part += "…"
	}
	if skipped == 0 {
		return part, column
	}
	return "…" + part, column - skipped + 1
}
