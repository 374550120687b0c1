package templates_test

import (
	"os"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates"
)

func TestDefaultBookLoads(t *testing.T) {
	t.Parallel()
	set, problems := templates.Load(&care.Book{Files: os.DirFS("../config/book")})
	for _, p := range problems {
		if p.Severity == care.Fault {
			t.Errorf("%v\n%s", p, p.Excerpt)
		}
	}
	if len(set.Names()) == 0 {
		t.Error("the default book has no templates")
	}
}
