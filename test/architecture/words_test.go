package architecture_test

import (
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// privateWords are words that meant something to the authors alone. docs/glossary.md has the field's words instead.
var privateWords = map[string]string{
	"hand": "lease batch; to send", "hands": "lease batches; workers", "flight": "InFlight is fine: write it in flight", "aloft": "in flight",
	"slot": "bucket", "slots": "buckets", "settle": "complete", "settled": "completed", "credit": "permit", "credits": "permits",
	"herald": "publisher", "clerk": "task maker", "inquirer": "status poller", "postbox": "bounce poller", "desk": "service",
	"tongue": "locale", "tongues": "locales", "allowance": "attempt context", "letter": "MIME message", "letters": "MIME messages",
	"twin": "text alternative", "twins": "text alternatives", "house": "architecture", "bury": "erase", "entomb": "erase", "unsay": "erase",
	"unsaid": "erased", "shelf": "say it plainly", "shelves": "say it plainly", "hunger": "say it plainly", "told": "published", "untold": "unpublished",
	"stands": "say it plainly", "tellings": "say it plainly", "mark": "watermark; placeholder", "marks": "watermarks; placeholders",
}

// allowedPairs are two words that are the field's own although one of them is refused alone.
var allowedPairs = []string{"in flight", "credit card", "water mark"}

// checkWords refuses private words in the names that other packages and readers of a folder see: exported identifiers,
// fields, methods, packages and files.
func checkWords(all []source) []string {
	var broken []string
	for _, s := range all {
		if s.test || folderOf(s.importPath()) == "test" {
			continue
		}
		complain := func(where, name string) {
			if word := privateWord(name); word != "" {
				broken = append(broken, fmt.Sprintf("%s: the name %s has the private word %q: write %s (docs/glossary.md)", where, name, word, privateWords[word]))
			}
		}
		complain(s.name, strings.TrimSuffix(path.Base(s.name), ".go"))
		complain(s.name, s.file.Name.Name)
		ast.Inspect(s.file, func(n ast.Node) bool {
			for _, id := range declared(n) {
				if id.IsExported() {
					complain(s.fset.Position(id.Pos()).String(), id.Name)
				}
			}
			_, body := n.(*ast.BlockStmt)
			return !body // what a function declares inside is its own
		})
	}
	return broken
}

// declared lists the names that a node declares.
func declared(n ast.Node) []*ast.Ident {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return []*ast.Ident{n.Name}
	case *ast.TypeSpec:
		return []*ast.Ident{n.Name}
	case *ast.ValueSpec:
		return n.Names
	case *ast.StructType:
		return fieldNames(n.Fields)
	case *ast.InterfaceType:
		return fieldNames(n.Methods)
	}
	return nil
}

func fieldNames(list *ast.FieldList) []*ast.Ident {
	var names []*ast.Ident
	for _, f := range list.List {
		names = append(names, f.Names...)
	}
	return names
}

// privateWord returns the first private word in a name, or nothing.
func privateWord(name string) string {
	words := wordsOf(name)
	for i, w := range words {
		if privateWords[w] == "" {
			continue
		}
		if i > 0 && slices.Contains(allowedPairs, words[i-1]+" "+w) {
			continue
		}
		return w
	}
	return ""
}

// wordsOf splits a name at underscores, digits and capitals: "InFlight" is in, flight.
func wordsOf(name string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, string(word))
			word = word[:0]
		}
	}
	for _, r := range name {
		switch {
		case unicode.IsUpper(r):
			end()
			word = append(word, unicode.ToLower(r))
		case unicode.IsLower(r):
			word = append(word, r)
		default:
			end()
		}
	}
	end()
	return words
}

func TestNamesAreTheFieldsWords(t *testing.T) {
	t.Parallel()
	report(t, checkWords(sources(t)))
}

// TestGlossaryHasTheRefusedWords holds the list above and the glossary's last table together.
func TestGlossaryHasTheRefusedWords(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "glossary.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "## Words that are not used")
	if !found {
		t.Fatal("docs/glossary.md has no chapter \"Words that are not used\"")
	}
	for _, word := range slices.Sorted(maps.Keys(privateWords)) {
		if stem := strings.TrimSuffix(word, "s"); !strings.Contains(table, stem[:min(len(stem), 5)]) {
			t.Errorf("docs/glossary.md does not say what to write instead of %q", word)
		}
	}
}
