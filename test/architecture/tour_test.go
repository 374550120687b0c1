package architecture_test

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tourLink is a name of docs/tour.md with the file that it leads to: [`Planner.Plan`](../scheduler/planner.go).
var tourLink = regexp.MustCompile("\\[`([A-Za-z.]+)`\\]\\(\\.\\./([a-z0-9_/]+\\.go)\\)")

// tourMost is how long the tour may be: it is read in one go.
const tourMost = 60

// checkTour holds that each function that a text names stands in the file that the link leads to.
func checkTour(text string, all []source) []string {
	declared := map[string]bool{}
	for _, s := range all {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				declared[s.name+" "+funcName(f)] = true
			}
		}
	}
	var broken []string
	for _, link := range tourLink.FindAllStringSubmatch(text, -1) {
		if name, file := link[1], link[2]; !declared[file+" "+name] {
			broken = append(broken, fmt.Sprintf("docs/tour.md: %s has no function %s: say where the message goes now", file, name))
		}
	}
	return broken
}

// funcName is a function's name, with its receiver's type before it: "Planner.Plan".
func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

func TestTheTourIsTrue(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "tour.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if n := len(tourLink.FindAllString(text, -1)); n < 15 {
		t.Errorf("docs/tour.md links to %d functions: is the pattern broken?", n)
	}
	if n := strings.Count(text, "\n"); n > tourMost {
		t.Errorf("docs/tour.md has %d lines, more than %d: nobody reads a long tour to its end", n, tourMost)
	}
	for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("..", "..", "docs", filepath.FromSlash(path.Clean(link[1])))); err != nil {
			t.Errorf("docs/tour.md leads nowhere: %s", link[1])
		}
	}
	report(t, checkTour(text, sources(t)))
}

func TestTheTourCanBeWrong(t *testing.T) {
	t.Parallel()
	s, err := parse("a/b.go", "package a\n\ntype T struct{}\n\nfunc (t *T) There() {}\n")
	if err != nil {
		t.Fatal(err)
	}
	text := "[`T.There`](../a/b.go) [`T.Gone`](../a/b.go) [`There`](../a/b.go)"
	if got := checkTour(text, []source{s}); len(got) != 2 {
		t.Errorf("complaints: %q", got)
	}
}
