package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/carebell/carebell/care/problem"
)

// document is one YAML file of a book with its syntax tree.
type document struct {
	file  string // below the book
	lines []string
	tree  *ast.File
	// faulty holds the YAML paths whose values could not be used.
	faulty map[string]bool
}

// locate finds the value at a YAML path such as $.steps[1].offset. Where there is none, the nearest value around it counts: that
// is where a missing field belongs. Without a tree, or for a path that is none, line and column are 0.
func (d *document) locate(path string) (line, column int, excerpt string) {
	for {
		if n := d.node(path); n != nil {
			line, column = position(n)
			return line, column, d.excerpt(line, column)
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut <= 0 {
			return 0, 0, ""
		}
		path = path[:cut]
	}
}

func (d *document) node(path string) ast.Node {
	if d.tree == nil || len(d.tree.Docs) == 0 || d.tree.Docs[0].Body == nil {
		return nil
	}
	if path == "$" {
		return d.tree.Docs[0].Body
	}
	p, err := yaml.PathString(path)
	if err != nil {
		return nil
	}
	n, err := p.FilterNode(d.tree.Docs[0].Body)
	if err != nil {
		return nil
	}
	return n
}

// position is where a reader sees the value begin, both counted from 1 and the column in characters.
func position(n ast.Node) (line, column int) {
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return position(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(v.Key)
	case *ast.AnchorNode:
		return position(v.Value)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line, t.Position.Column
	}
	return 0, 0
}

// refuse remembers a value that could not be used: what is missing in it need not be said.
func (d *document) refuse(n ast.Node) {
	if d.faulty == nil {
		d.faulty = map[string]bool{}
	}
	d.faulty[n.GetPath()] = true
}

// refused reports whether the value at the path, or one around it, could not be used.
func (d *document) refused(path string) bool {
	for {
		cut := strings.LastIndexAny(path, ".[")
		if d.faulty[path] || cut <= 0 {
			return d.faulty[path]
		}
		path = path[:cut]
	}
}

func (d *document) excerpt(line, column int) string { return problem.Excerpt(d.lines, line, column) }

// key appends a field's name to a YAML path, quoted where goccy/go-yaml asks for it.
func key(path, name string) string {
	if strings.ContainsAny(name, ".*[]$' ") {
		name = "'" + strings.ReplaceAll(name, "'", `\'`) + "'"
	}
	return path + "." + name
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
