package operate

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/service/carebook"
)

// A recall file becomes bulletins that lint takes, that are off, and that a second import leaves alone.
func TestRecallsBecomeBulletins(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "book")
	if err := config.WriteDefault(dir); err != nil {
		t.Fatal(err)
	}
	fields := make([]string, 29)
	fields[1], fields[2], fields[3], fields[4], fields[15] = "26V123000", "BUICK", "ENVISION", "2022", "20261102"
	fields[19], fields[20], fields[21] = `A hose: "may" leak.`, "Braking may take longer.", "Dealers replace it."
	file := filepath.Join(t.TempDir(), "recalls.txt")
	if err := os.WriteFile(file, []byte(strings.Join(fields, "\t")+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, _, err := config.OpenBook(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := ImportRecalls(dir, before, RecallOptions{Files: []string{file}}, io.Discard); err != nil {
		t.Fatal(err)
	}
	problems, err := carebook.Lint(carebook.Options{Dir: dir, Now: time.Now})
	if err != nil || problem.Faults(problems) {
		t.Fatalf("%v %v", err, problems)
	}
	book, _, err := config.OpenBook(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, b := range book.Bulletins {
		if b.Bulletin != "26v123000" {
			continue
		}
		found = true
		if b.Enabled || b.Kind != "recall" || b.Summary.In("en") != `A hose: "may" leak.` || b.PublishedOn != care.NewDate(2026, 11, 2) {
			t.Errorf("the bulletin says %+v", b)
		}
	}
	if !found {
		t.Fatal("no bulletin was written")
	}
	name := filepath.Join(dir, "bulletins", "26v123000.yaml")
	if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fresh, err := writeBulletin(dir, &care.Bulletin{Bulletin: "26v123000"}, false); fresh || err != nil {
		t.Errorf("an edited bulletin was overwritten (%v)", err)
	}
}
