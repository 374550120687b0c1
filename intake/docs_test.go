package intake_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/carebell/carebell/intake"
)

// TestDocs holds docs/import.md: its table of headers is what the import knows, and every reason a row may have is in it.
func TestDocs(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(raw)
	var columns bytes.Buffer
	if err := intake.PrintColumns(&columns); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(doc, "```text\n"+columns.String()+"```\n") {
		t.Error("docs/import.md: the headers are others: put there what carebell import --columns prints")
	}
	var reasons strings.Builder
	for _, name := range []string{"rows.go", "cell/doc.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		block, _, _ := strings.Cut(string(source), "// maxCell is")
		reasons.WriteString(block)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t\w+ += "(.+)"$`).FindAllStringSubmatch(reasons.String(), -1) {
		if !strings.Contains(doc, "`"+m[1]+"`") {
			t.Errorf("docs/import.md does not have the reason %q", m[1])
		}
	}
}
