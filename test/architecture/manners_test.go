package architecture_test

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxLines is the length at which a file of the product must be split. The aim is 500.
const maxLines = 600

// vague are names that say nothing about what is inside, so that everything ends up there.
var vague = []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "shared", "base", "lib", "pkg"}

// unfinished finds marks of work left undone. What is left out belongs into an issue, not into the code.
var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

// checkComments holds that every package tells its reader what it promises, in at least one whole sentence.
func checkComments(all []source) []string {
	type pack struct {
		name, comment string
		code          bool // it has files that are not tests
	}
	packs := map[string]*pack{}
	for _, s := range all {
		if slices.Contains(s.tagged, "tools") {
			continue
		}
		p := packs[s.dir]
		if p == nil {
			p = &pack{}
			packs[s.dir] = p
		}
		if !s.test {
			p.code = true
		}
		if p.name == "" || !s.test {
			p.name = s.file.Name.Name
		}
	}
	for _, s := range all {
		// A comment in a test file is no documentation for a package that has code: go doc does not show it.
		if p := packs[s.dir]; p != nil && s.file.Doc != nil && (!s.test || !p.code) {
			p.comment += s.file.Doc.Text()
		}
	}
	var broken []string
	for _, dir := range slices.Sorted(maps.Keys(packs)) {
		p := packs[dir]
		want := "Package " + p.name + " "
		if p.name == "main" {
			want = "Command " + path.Base(dir) + " "
		}
		switch text := strings.TrimSpace(p.comment); {
		case text == "":
			broken = append(broken, fmt.Sprintf("%s has no package comment: say in doc.go what it promises and what not, beginning with %q", dir, want))
		case !strings.HasPrefix(strings.Join(strings.Fields(text), " ")+" ", want):
			broken = append(broken, fmt.Sprintf("%s: its package comment begins with %.40q, not with %q", dir, text, want))
		case len(strings.Fields(text)) < 6 || !strings.ContainsAny(text, ".:"):
			broken = append(broken, fmt.Sprintf("%s: its package comment %q is no sentence: say what the package promises and what not", dir, text))
		}
	}
	return broken
}

// checkNames holds that a package's name says what it is about.
func checkNames(all []source) []string {
	var broken []string
	seen := map[string]bool{}
	for _, s := range all {
		for _, name := range append(strings.Split(s.dir, "/"), strings.TrimSuffix(s.file.Name.Name, "_test")) {
			if slices.Contains(vague, name) && !seen[s.dir] {
				seen[s.dir] = true
				broken = append(broken, fmt.Sprintf("%s: a package named %q says nothing: name it after what it is, or move its parts to where they are used", s.dir, name))
			}
		}
	}
	return broken
}

// checkLength holds that no file of the product grows past what one reads in one go. Generated files are free.
func checkLength(all []source) []string {
	var broken []string
	for _, s := range all {
		if !s.test && !s.generated() && s.lines > maxLines {
			broken = append(broken, fmt.Sprintf("%s has %d lines, more than %d: split it by subject", s.name, s.lines, maxLines))
		}
	}
	return broken
}

// maxPackage is the length at which a package of the product must be split: more cannot be kept in mind. The daemon is the runtime only
// and has less.
const maxPackage = 4500

var packageLimits = map[string]int{
	"daemon": 2500, // the runtime alone
}

// checkSize holds that no package of the product grows past what one person knows by heart. Generated files are free.
func checkSize(all []source) []string {
	lines := map[string]int{}
	for _, s := range all {
		if !s.test && !s.generated() && folderOf(s.importPath()) != "test" {
			lines[s.dir] += s.lines
		}
	}
	var broken []string
	for _, dir := range slices.Sorted(maps.Keys(lines)) {
		limit, ok := packageLimits[dir]
		if !ok {
			limit = maxPackage
		}
		if lines[dir] > limit {
			broken = append(broken, fmt.Sprintf("%s has %d lines, more than %d: split it by subject", dir, lines[dir], limit))
		}
	}
	return broken
}

// checkUnfinished finds marks of unfinished work in comments.
func checkUnfinished(all []source) []string {
	var broken []string
	for _, s := range all {
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				if mark := unfinished.FindString(c.Text); mark != "" {
					broken = append(broken, fmt.Sprintf("%s: %s: finish it, or write an issue and say here in plain words what is not done", s.fset.Position(c.Pos()), mark))
				}
			}
		}
	}
	return broken
}

// clocks are the functions of package time that read the machine's clock.
var clocks = []string{"Now", "Since", "Until"}

// checkClock holds that time is handed in: only cmd and daemon read the machine's clock, so that the demo, plan and every
// test can set their own. Naming time.Now as the default of a clock that can be set is no reading of it.
func checkClock(all []source) []string {
	var broken []string
	for _, s := range all {
		in := layers[folderOf(s.importPath())]
		if s.test || in >= runtimeLayer {
			continue
		}
		for _, pos := range calls(s, "time", clocks...) {
			broken = append(broken, fmt.Sprintf("%s: take the time as a parameter (now time.Time), or read a clock that is handed in (a func() time.Time; time.Now may be its default)", pos))
		}
	}
	return broken
}

// calls finds the calls of a package's functions in a file: each with its place, as "file:line:column: package.Function".
func calls(s source, importPath string, functions ...string) []string {
	var found []string
	name := importName(s, importPath)
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || name == "" {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == name && slices.Contains(functions, sel.Sel.Name) {
			found = append(found, fmt.Sprintf("%s: %s.%s", s.fset.Position(sel.Pos()), path.Base(importPath), sel.Sel.Name))
		}
		return true
	})
	return found
}

// importName is the name under which a file knows the package at path, or nothing.
func importName(s source, importPath string) string {
	for _, imp := range s.file.Imports {
		if p, err := strconv.Unquote(imp.Path.Value); err != nil || p != importPath {
			continue
		}
		if imp.Name != nil {
			return imp.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	t.Parallel()
	report(t, checkComments(sources(t)))
}

func TestNamesSaySomething(t *testing.T) {
	t.Parallel()
	report(t, checkNames(sources(t)))
}

func TestFilesStayReadable(t *testing.T) {
	t.Parallel()
	report(t, checkLength(sources(t)))
}

func TestPackagesStayReadable(t *testing.T) {
	t.Parallel()
	report(t, checkSize(sources(t)))
}

func TestNothingIsLeftUnfinished(t *testing.T) {
	t.Parallel()
	report(t, checkUnfinished(sources(t)))
}

func TestTimeIsHandedIn(t *testing.T) {
	t.Parallel()
	report(t, checkClock(sources(t)))
}
