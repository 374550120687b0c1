package architecture_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the import path of this repository, as go.mod says it.
const module = "github.com/carebell/carebell"

// source is one Go file, read once for all rules.
type source struct {
	name    string   // slash-separated, relative to the root of the module: "store/keys.go"
	dir     string   // its folder, "." for the root
	test    bool     // a _test.go file
	tagged  []string // the build tags of its constraint, if any
	imports []string
	lines   int
	fset    *token.FileSet
	file    *ast.File
}

// importPath is the path under which this file's package is imported.
func (s source) importPath() string {
	if s.dir == "." {
		return module
	}
	return module + "/" + s.dir
}

// generated reports whether a tool wrote this file, in the sense of https://go.dev/s/generatedcode.
func (s source) generated() bool { return ast.IsGenerated(s.file) }

// parse reads one file's text. The name is relative to the module's root.
func parse(name, text string) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, fmt.Errorf("%s does not parse: %w", name, err)
	}
	s := source{
		name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		lines: strings.Count(text, "\n"), fset: fset, file: file,
	}
	for _, imp := range file.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return source{}, fmt.Errorf("%s: import %s: %w", name, imp.Path.Value, err)
		}
		s.imports = append(s.imports, p)
	}
	s.tagged = buildTags(file)
	return s, nil
}

// buildTags lists the tags that the file's //go:build line names.
func buildTags(file *ast.File) []string {
	var tags []string
	for _, group := range file.Comments {
		if group.Pos() > file.Package {
			break
		}
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil {
				expr.Eval(func(tag string) bool { tags = append(tags, tag); return true })
			}
		}
	}
	return tags
}

// readSources reads every Go file of the module that starts at root, except what is not built with it: testdata, folders
// beginning with "." or "_", and modules of their own.
func readSources(root string) ([]source, error) {
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && outside(p, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		s, err := parse(rel, string(text))
		if err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	return all, err
}

// outside reports whether a folder does not belong to the module.
func outside(full, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	if slices.Contains([]string{"testdata", "vendor", "node_modules", "bin", "dist", "out"}, name) {
		return true
	}
	_, err := os.Stat(filepath.Join(full, "go.mod"))
	return err == nil
}

// sources reads this repository, and fails when it finds suspiciously little: a rule over no files holds always.
func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no go.mod in %s: the test must lie two folders below the module's root", root)
	}
	all, err := readSources(root)
	if err != nil {
		t.Fatal(err)
	}
	// The tests' module has the rules of this one: it is part of the same repository.
	tests, err := readSources(filepath.Join(root, "test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range tests {
		s.name, s.dir = path.Join("test", s.name), path.Join("test", s.dir)
		all = append(all, s)
	}
	if len(all) < 5 || len(tests) < 5 {
		t.Fatalf("only %d Go files found below %s: is the walk broken?", len(all), root)
	}
	return all
}

// report fails the test once for every broken rule.
func report(t *testing.T, broken []string) {
	t.Helper()
	for _, b := range broken {
		t.Error(b)
	}
}
