package architecture_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	tree "text/template/parse"
	"unicode"
)

// catalogue are the texts of one language, by key; each has its plural forms, of which "other" is always there.
type catalogue map[string]map[string]string

// textUse is one place that asks for a text.
type textUse struct {
	where string
	key   string
	names []string // of the values that are handed in
	open  bool     // the names are not all known: they come from a variable
}

// textUses are all places that ask for texts.
type textUses struct {
	keys     []textUse
	prefixes []string // of words: state for state.sent
}

var (
	textKey     = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)+$`)
	placeholder = regexp.MustCompile(`\{\{\.(\w+)\}\}`)
)

// readCatalogue reads a file of care/texts.
func readCatalogue(raw []byte) (catalogue, error) {
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, err
	}
	out := catalogue{}
	for key, entry := range entries {
		var text string
		if json.Unmarshal(entry, &text) == nil {
			out[key] = map[string]string{"other": text}
			continue
		}
		var forms map[string]string
		if err := json.Unmarshal(entry, &forms); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out[key] = forms
	}
	return out, nil
}

// names are the values that a text names, in order.
func names(forms map[string]string) []string {
	found := map[string]bool{}
	for _, text := range forms {
		for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
			found[m[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// words reports whether a text has words of a language, besides the values and numbers in it.
func words(text string) bool {
	return strings.ContainsFunc(placeholder.ReplaceAllString(text, ""), unicode.IsLetter)
}

// checkTexts holds that every language has every text, in its own words and with the same values, and that all of them are asked for.
func checkTexts(catalogues map[string]catalogue, uses textUses) []string {
	var broken []string
	bad := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	all := map[string][]string{} // the values of each key, as English or else the first language names them
	for _, tag := range slices.Sorted(maps.Keys(catalogues)) {
		for key, forms := range catalogues[tag] {
			if _, known := all[key]; !known {
				all[key] = names(forms)
			}
		}
	}
	english := catalogues["en"]
	for _, tag := range slices.Sorted(maps.Keys(catalogues)) {
		for _, key := range slices.Sorted(maps.Keys(all)) {
			forms, there := catalogues[tag][key]
			switch other := forms["other"]; {
			case !there:
				bad("%s.json has no %s: translate it", tag, key)
			case other == "":
				bad("%s.json: %s has no form \"other\"", tag, key)
			case !slices.Equal(names(forms), all[key]):
				bad("%s.json: %s names the values %v, another language %v", tag, key, names(forms), all[key])
			case tag != "en" && other == english[key]["other"] && words(other):
				bad("%s.json: %s is English: translate it", tag, key)
			}
		}
	}
	used := map[string]bool{}
	for _, u := range uses.keys {
		used[u.key] = true
		want, there := all[u.key]
		switch {
		case !there:
			bad("%s asks for the text %s, which no catalogue has", u.where, u.key)
		case !u.open && !slices.Equal(slices.Sorted(slices.Values(u.names)), want):
			bad("%s hands %v to the text %s, which names %v", u.where, u.names, u.key, want)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !used[key] && !slices.ContainsFunc(uses.prefixes, func(p string) bool { return strings.HasPrefix(key, p+".") }) {
			bad("nothing asks for the text %s: take it out of care/texts", key)
		}
	}
	return broken
}

// goTexts finds what a Go file asks for: T("key", "name", value…), Word("prefix", name), Every("key"), and templates in its strings.
func goTexts(s source, uses *textUses) error {
	var failed error
	ast.Inspect(s.file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && strings.Contains(lit.Value, "{{") {
			if text, err := strconv.Unquote(lit.Value); err == nil && strings.Contains(text, `t "`) {
				failed = templateTexts(s.fset.Position(lit.Pos()).String(), text, uses)
			}
		}
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return failed == nil
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		first, ok := literal(call.Args[0])
		switch {
		case !ok:
		case sel.Sel.Name == "Word" && len(call.Args) == 2:
			uses.prefixes = append(uses.prefixes, first)
		case sel.Sel.Name == "Every" && textKey.MatchString(first), sel.Sel.Name == "T" && textKey.MatchString(first):
			u := textUse{where: s.fset.Position(call.Pos()).String(), key: first, open: call.Ellipsis.IsValid()}
			for i := 1; i < len(call.Args); i += 2 {
				name, ok := literal(call.Args[i])
				u.names, u.open = append(u.names, name), u.open || !ok
			}
			uses.keys = append(uses.keys, u)
		}
		return true
	})
	return failed
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// templateTexts finds what a page's templates ask for: {{t "key" "name" .Value}}.
func templateTexts(where, text string, uses *textUses) error {
	root := tree.New(where)
	root.Mode = tree.SkipFuncCheck
	trees := map[string]*tree.Tree{}
	if _, err := root.Parse(text, "", "", trees); err != nil {
		return err
	}
	for _, t := range trees {
		walkTemplate(t.Root, func(c *tree.CommandNode) {
			name, ok := c.Args[0].(*tree.IdentifierNode)
			if !ok || name.Ident != "t" || len(c.Args) < 2 {
				return
			}
			key, ok := c.Args[1].(*tree.StringNode)
			if !ok {
				return
			}
			u := textUse{where: where, key: key.Text}
			for i := 2; i < len(c.Args); i += 2 {
				name, ok := c.Args[i].(*tree.StringNode)
				if !ok {
					u.open = true
					continue
				}
				u.names = append(u.names, name.Text)
			}
			uses.keys = append(uses.keys, u)
		})
	}
	return nil
}

// walkTemplate visits every command of a template.
func walkTemplate(n tree.Node, visit func(*tree.CommandNode)) {
	branch := func(b *tree.BranchNode) {
		walkTemplate(b.Pipe, visit)
		walkTemplate(b.List, visit)
		walkTemplate(b.ElseList, visit)
	}
	switch n := n.(type) {
	case *tree.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				walkTemplate(child, visit)
			}
		}
	case *tree.ActionNode:
		walkTemplate(n.Pipe, visit)
	case *tree.IfNode:
		branch(&n.BranchNode)
	case *tree.RangeNode:
		branch(&n.BranchNode)
	case *tree.WithNode:
		branch(&n.BranchNode)
	case *tree.TemplateNode:
		walkTemplate(n.Pipe, visit)
	case *tree.PipeNode:
		if n != nil {
			for _, c := range n.Cmds {
				walkTemplate(c, visit)
			}
		}
	case *tree.CommandNode:
		visit(n)
		for _, arg := range n.Args {
			walkTemplate(arg, visit)
		}
	}
}

// readTexts reads the catalogues and everything that asks for them: the Go files of the product and the pages' templates.
func readTexts(t *testing.T) (map[string]catalogue, textUses) {
	t.Helper()
	catalogues := map[string]catalogue{}
	files, err := filepath.Glob("../../care/texts/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := readCatalogue(raw)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		catalogues[strings.TrimSuffix(filepath.Base(file), ".json")] = c
	}
	var uses textUses
	for _, s := range sources(t) {
		if s.test || folderOf(s.importPath()) == "test" {
			continue
		}
		if err := goTexts(s, &uses); err != nil {
			t.Fatal(err)
		}
	}
	err = filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "deploy" || name != "../.." && strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".html":
			return nil
		}
		raw, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(raw), `{{define "`) {
			return err
		}
		return templateTexts(name, string(raw), &uses)
	})
	if err != nil {
		t.Fatal(err)
	}
	return catalogues, uses
}

func TestTextsAreThereAndAskedFor(t *testing.T) {
	t.Parallel()
	catalogues, uses := readTexts(t)
	if len(catalogues) < 2 || len(uses.keys) < 100 {
		t.Fatalf("%d catalogues, %d uses: what does this test look at?", len(catalogues), len(uses.keys))
	}
	report(t, checkTexts(catalogues, uses))
}

// TestTheTextsRuleBites shows the rule one fault of each kind.
func TestTheTextsRuleBites(t *testing.T) {
	t.Parallel()
	one := func(text string) map[string]string { return map[string]string{"other": text} }
	catalogues := map[string]catalogue{
		"en": {"a.fine": one("{{.n}} cars"), "a.values": one("Hello {{.name}}"), "a.english": one("Hello"), "a.missing": one("Here"), "a.unused": one("Nobody"), "a.form": one("x"), "state.sent": one("sent"), "a.go": one("Go")},
		"zh": {"a.fine": one("{{.n}}"), "a.values": one("你好"), "a.english": one("Hello"), "a.unused": one("没有"), "a.form": {"one": "一"}, "state.sent": one("已发"), "a.go": one("走")},
	}
	s, err := parse("web/x.go", "package web\n\nfunc f() { t.T(\"a.go\"); t.T(\"a.english\", \"n\", 1); t.Word(\"state\", s); t.T(\"a.form\", names...) }\n\nconst page = `{{t \"a.missing\"}}`\n")
	if err != nil {
		t.Fatal(err)
	}
	var uses textUses
	if err := goTexts(s, &uses); err != nil {
		t.Fatal(err)
	}
	if err := templateTexts("p.html", `{{define "x"}}{{if .A}}{{t "a.fine" "n" .N}}{{else}}{{printf "%s" (t "a.values" "name" .X)}}{{end}}{{with t "a.nowhere"}}{{end}}{{end}}`, &uses); err != nil {
		t.Fatal(err)
	}
	got := checkTexts(catalogues, uses)
	slices.Sort(got)
	want := []string{
		"nothing asks for the text a.unused",
		"p.html asks for the text a.nowhere",
		"web/x.go:3:25 hands [n] to the text a.english",
		`zh.json has no a.missing`,
		"zh.json: a.english is English",
		`zh.json: a.form has no form "other"`,
		"zh.json: a.values names the values [], another language [name]",
	}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want it to begin with %q", got[i], want[i])
		}
	}
}
