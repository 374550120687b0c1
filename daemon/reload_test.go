package daemon

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/carebell/carebell/config"
)

// soon is how long a test waits for a book at most, on a machine that does other things too. How long it takes is measured by the
// fault tests (reliability row 29).
const soon = time.Minute

// await waits for a condition.
func await(t *testing.T, within time.Duration, what string, is func() bool) {
	t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > within {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// counted reads a metric, of which label is the value of one label ("" = it has none).
func counted(t *testing.T, d *Daemon, name, label string) float64 {
	t.Helper()
	families, err := d.metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %s", name, label)
	return 0
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// taken changes the book's files and waits until the book is in force.
func taken(t *testing.T, d *Daemon, how string, change func()) {
	t.Helper()
	before := d.book.Load().Book.Version
	change()
	await(t, soon, how+" was not taken", func() bool { return d.book.Load().Book.Version != before })
}

func TestAChangedBookIsTakenByItself(t *testing.T) {
	t.Parallel()
	var dir string
	d, _ := house(t, func(s *config.Settings) { dir = s.Book })
	file := filepath.Join(dir, "programs", "birthday.yaml")
	good := read(t, file)
	taken(t, d, "a file that was written", func() { write(t, file, good+"\n# changed\n") })
	taken(t, d, "a file that was replaced", func() {
		write(t, file+"~", good+"\n# replaced\n")
		if err := os.Rename(file+"~", file); err != nil {
			t.Fatal(err)
		}
	})

	before, refused := d.book.Load(), counted(t, d, "carebell_book_reload_total", "error")
	write(t, file, good+"\nsteps: {{{\n")
	await(t, soon, "the broken book was not refused", func() bool {
		return counted(t, d, "carebell_book_reload_total", "error") > refused
	})
	if d.book.Load() != before {
		t.Error("a broken book was taken")
	}
	taken(t, d, "a mended file", func() { write(t, file, good+"\n# mended\n") })

	folder := filepath.Join(dir, "templates", "autumn-walk")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	taken(t, d, "a file in a new folder", func() {
		write(t, filepath.Join(folder, "en", "email.md"), "---\nsubject: A walk\n---\nCome with us.\n")
		write(t, filepath.Join(folder, "zh-CN", "email.md"), "---\nsubject: 秋游\n---\n一起来。\n")
	})
	taken(t, d, "a file in a folder that was new", func() {
		write(t, filepath.Join(folder, "en", "email.md"), "---\nsubject: A long walk\n---\nCome with us.\n")
	})
	taken(t, d, "a folder that took the place of the old one", func() {
		if err := os.Rename(dir, dir+"-old"); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(dir+"-old")); err != nil {
			t.Fatal(err)
		}
		write(t, file, good+"\n# in the new folder\n")
	})
}

// A ConfigMap is mounted as links through ..data, which is replaced as a whole; the folder it showed is removed afterwards.
func TestAConfigMapIsTakenAsAWhole(t *testing.T) {
	t.Parallel()
	mount := filepath.Join(t.TempDir(), "mount")
	var source string
	show := func(version, change string) {
		t.Helper()
		if err := os.CopyFS(filepath.Join(mount, version), os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(mount, version, "programs", "birthday.yaml")
		write(t, file, read(t, file)+change)
		if err := os.Symlink(version, filepath.Join(mount, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(version string) {
		if err := os.RemoveAll(filepath.Join(mount, version)); err != nil {
			t.Fatal(err)
		}
	}
	d, _ := house(t, func(s *config.Settings) {
		source, s.Book = s.Book, mount
		show("..2026_1", "\n# one\n")
		entries, err := os.ReadDir(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.Symlink(filepath.Join("..data", e.Name()), filepath.Join(mount, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	})
	taken(t, d, "the first swap", func() { show("..2026_2", "\n# two\n") })
	remove("..2026_1")
	taken(t, d, "the second swap", func() { show("..2026_3", "\n# three\n") })
	remove("..2026_2")
	before := d.book.Load()
	refused := counted(t, d, "carebell_book_reload_total", "error")
	show("..2026_4", "\nsteps: {{{\n")
	await(t, soon, "the broken book was not refused", func() bool {
		return counted(t, d, "carebell_book_reload_total", "error") > refused
	})
	if d.book.Load() != before {
		t.Error("a broken ConfigMap was taken")
	}
	taken(t, d, "the swap that mends it", func() { show("..2026_5", "\n# five\n") })
}

// The folder of CARE_IMPORT_DIR is looked at while the daemon runs, with the book that is in force.
func TestTheImportFolderIsTakenIn(t *testing.T) {
	t.Parallel()
	dir, second := filepath.Join(t.TempDir(), "import"), t.TempDir()
	d, st := house(t, func(s *config.Settings) { s.ImportDir = dir })
	is := func(pattern string) func() bool {
		return func() bool {
			found, _ := filepath.Glob(pattern)
			return len(found) == 1
		}
	}
	await(t, soon, "the daemon looks at its folder", is(filepath.Join(dir, "done")))
	folder := d.imports(second)
	folder.Every = 20 * time.Millisecond
	write(t, filepath.Join(second, "x.csv"), "id,name\nC77,Ann\n")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- folder.Run(ctx) }()
	await(t, soon, "the file is moved", is(filepath.Join(second, "done", "*x.csv")))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if facts, err := st.Customers(t.Context(), []string{"C77"}); err != nil || facts[0].Customer == nil || facts[0].Customer.Name != "Ann" {
		t.Errorf("got %+v, %v", facts, err)
	}
}
