package yaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"

	"github.com/carebell/carebell/care/problem"
)

// The limits of a file. Each is several times what the book of a group with 300 dealers needs.
const (
	maxBytes  = 1 << 20
	maxValues = 100_000 // the parser needs some 220 bytes for each
	// maxSpent bounds what a file comes to, with what stands behind an alias counted for each use.
	maxSpent = maxValues * 6 / 5
	maxDepth = 64
	// maxFaults bounds what is reported of one file: whoever corrects a hundred faults reads it anew.
	maxFaults = 100
)

// Rules of Problems after which a file's value is of no use.
const (
	ruleSyntax = "yaml-syntax"
	ruleEmpty  = "empty-file"
)

// Document is one YAML file that was parsed.
type Document struct {
	file  string
	lines []string
	root  *yaml.Node // nil if the file is no YAML or holds nothing
	// missing holds where aliases stand that have no anchor, by line and column.
	missing map[[2]int]string
	// refused holds the values that could not be used.
	refused map[*yaml.Node]bool
	faults  []problem.Problem
}

// Parse reads the syntax of a file, whose name is only used in Problems. It always returns a Document; Decode reports what Parse
// found as well.
func Parse(file string, text []byte) *Document {
	// Windows and old Macs end lines their own way, and Notepad begins a file with a byte order mark.
	text = bytes.TrimPrefix(bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n")), []byte("\ufeff"))
	d := &Document{file: file, missing: map[[2]int]string{}, refused: map[*yaml.Node]bool{}}
	if len(text) > maxBytes {
		d.syntax(0, 0, "the file is larger than 1 MiB", "divide it, or leave out what nothing reads")
		return d
	}
	d.lines = strings.Split(string(text), "\n")
	if !d.readable() {
		return d
	}
	values, line, column := estimate(text)
	if values > maxValues {
		d.syntax(line, column, fmt.Sprintf("the file holds more than %d values up to here", maxValues), "divide it, or leave out what nothing reads")
		return d
	}
	if d.parse(text, values) && d.root != nil {
		if !d.shallow() {
			d.root = nil
			return d
		}
		d.doubled(d.root)
	}
	return d
}

// full reports whether nothing more is reported.
func (d *Document) full() bool { return len(d.faults) > maxFaults }

// add reports a fault at a place; 0 is the whole file.
func (d *Document) add(line, column int, rule, message, remedy string) {
	switch {
	case d.full():
		return
	case len(d.faults) == maxFaults:
		line, column, rule, message, remedy = 0, 0, "more-faults", "there are more faults than are reported at once", "correct these first"
	}
	d.faults = append(d.faults, problem.Problem{
		Severity: problem.Fault, Rule: rule, File: d.file, Line: line, Column: column, Message: clip(message, 400), Remedy: remedy,
		Excerpt: d.excerpt(line, column),
	})
}

func (d *Document) syntax(line, column int, message, remedy string) {
	d.add(line, column, ruleSyntax, message, remedy)
}

// clip shortens what a reader would not read to its end.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// readable refuses bytes that no editor shows, before the parser sees them.
func (d *Document) readable() bool {
	for n, l := range d.lines {
		column := 1
		for i := 0; i < len(l); column++ {
			r, size := utf8.DecodeRuneInString(l[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				d.syntax(n+1, column, "the file is not UTF-8 here", "save it as UTF-8")
				return false
			case r < ' ' && r != '\t', r >= 0x7f && r < 0xa0, r == '\ufeff', r == '\ufffe', r == '\uffff':
				d.syntax(n+1, column, fmt.Sprintf("the invisible character %U cannot stand here", r), "remove it")
				return false
			case r == '\u2028' || r == '\u2029':
				d.syntax(n+1, column, fmt.Sprintf("the invisible character %U ends a line for some programs and not for others", r), "end the line with Enter")
				return false
			}
			i += size
		}
		if indent := l[:len(l)-len(strings.TrimLeft(l, " \t"))]; strings.Contains(indent, "\t") && strings.TrimSpace(l) != "" {
			d.syntax(n+1, 1+strings.Index(indent, "\t"), "this line is indented with a tab", "indent with blanks")
			return false
		}
	}
	return true
}

// estimate says how many values the parser will make, up to where there are too many. It looks at indicators only and takes
// those inside of quotes for real, so that the estimate is rather too high. A comment counts for six values, which is what it costs.
func estimate(text []byte) (values, line, column int) {
	values, line, column = 1, 1, 0
	paired := true // paired: a colon was seen in this entry of a flow collection
	at := func(i int) byte {
		if i < 0 || i >= len(text) {
			return '\n'
		}
		return text[i]
	}
	blank := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }
	for i, c := range text {
		if utf8.RuneStart(c) {
			column++
		}
		switch c {
		case '\n':
			line, column = line+1, 0
		case '#':
			values += 6
		case '[', '{':
			values, paired = values+1, false
		case ',', ']', '}':
			if !paired {
				values += 2
			}
			paired = c != ','
		case ':':
			if next := at(i + 1); blank(next) || strings.IndexByte(",[]{}", next) >= 0 || strings.IndexByte(`"'`, at(i-1)) >= 0 {
				values, paired = values+2, true
			}
		case '-', '?':
			if blank(at(i + 1)) {
				values++
				if c == '?' { // it begins a mapping whose key and value may be missing
					values += 2
				}
			}
		}
		if values > maxValues {
			break
		}
	}
	return values, line, column
}

var errPanic = errors.New("the parser gave up")

// load parses the first document of a text and looks whether there is a second one.
func load(text []byte) (first, second *yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			first, second, err = nil, nil, errPanic
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	switch err := dec.Decode(&more); {
	case errors.Is(err, io.EOF):
		return &doc, nil, nil
	case err != nil:
		return nil, nil, err
	}
	return &doc, &more, nil
}

// parse makes the tree.
func (d *Document) parse(text []byte, values int) bool {
	first, second, err := load(text)
	if name, ok := unknownAnchor(err); ok {
		// That ended the parser, without a place. For the other faults, a text that is not large is read again with plain words there.
		changed, few := d.plain(text)
		if few && values < maxValues/4 {
			first, second, err = load(changed)
		}
		if err != nil {
			line, column := aliasOf(d.lines, name)
			d.syntax(line, column, fmt.Sprintf("there is no &%s above", clip(name, 60)), "write the value out")
			return false
		}
	}
	if err != nil {
		d.broken(err)
		return false
	}
	if second != nil {
		n := second
		if len(second.Content) > 0 {
			n = second.Content[0]
		}
		d.syntax(n.Line, n.Column, "the file has a second document behind a line of ---", "put it into a file of its own")
		return false
	}
	if first != nil && len(first.Content) > 0 && !isNull(first.Content[0]) {
		d.root = first.Content[0]
	}
	return true
}

// aliasWord finds what looks like an anchor or an alias.
var aliasWord = regexp.MustCompile(`(?:^|[ \t\[{,:-])([&*])([^\s,\[\]{}:]+)`)

// plain makes the aliases that have no anchor above them plain words of the same length, and notes their places. few is false if there are
// more than a person wants to read of.
func (d *Document) plain(text []byte) (changed []byte, few bool) {
	changed = bytes.Clone(text)
	at := 0
	above := map[string]bool{}
	for n, l := range d.lines {
		for _, m := range aliasWord.FindAllStringSubmatchIndex(l, -1) {
			name := l[m[4]:m[5]]
			switch {
			case l[m[2]] == '&':
				above[name] = true
			case !above[name]:
				if len(d.missing) == maxFaults {
					return nil, false
				}
				changed[at+m[2]] = 'x'
				d.missing[[2]int{n + 1, 1 + utf8.RuneCountInString(l[:m[2]])}] = name
			}
		}
		at += len(l) + 1
	}
	return changed, true
}

// aliasOf returns where an alias stands first.
func aliasOf(lines []string, name string) (line, column int) {
	for n, l := range lines {
		for _, m := range aliasWord.FindAllStringSubmatchIndex(l, -1) {
			if l[m[2]] == '*' && l[m[4]:m[5]] == name {
				return n + 1, 1 + utf8.RuneCountInString(l[:m[2]])
			}
		}
	}
	return 0, 0
}

// shallow refuses a tree that is nested more deeply than anything here needs.
func (d *Document) shallow() bool {
	var visit func(n *yaml.Node, depth int) *yaml.Node
	visit = func(n *yaml.Node, depth int) *yaml.Node {
		if depth > maxDepth {
			return n
		}
		for _, c := range n.Content {
			if deep := visit(c, depth+1); deep != nil {
				return deep
			}
		}
		return nil
	}
	if deep := visit(d.root, 1); deep != nil {
		d.syntax(deep.Line, deep.Column, fmt.Sprintf("the file is nested more than %d levels deep", maxDepth), "make it simpler")
		return false
	}
	return true
}

// doubled reports keys that a mapping has twice: a reader would not know which one counts.
func (d *Document) doubled(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		seen := make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode {
				continue
			}
			if first, ok := seen[k.Value]; ok {
				d.syntax(k.Line, k.Column, fmt.Sprintf("the field %q is there twice, first on line %d", clip(k.Value, 60), first), "keep one of them")
				continue
			}
			seen[k.Value] = k.Line
		}
	}
	for _, c := range n.Content {
		if d.full() {
			return
		}
		d.doubled(c)
	}
}
