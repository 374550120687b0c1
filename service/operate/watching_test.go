package operate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carebell/carebell/care"
)

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// names lists the files of a folder, and of done/, failed/ and .work below it.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func folder(t *testing.T, s *Service) *Folder {
	t.Helper()
	f := &Folder{Service: s, Who: care.CommandLine(), Dir: t.TempDir(), Every: time.Second, Options: ImportOptions{MostMissing: 5}}
	if err := f.prepare(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *Folder) lookAt(t *testing.T) {
	t.Helper()
	if err := f.look(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestFolder: a file is read once it stands still, and moved with what there is to say about it.
func TestFolder(t *testing.T) {
	t.Parallel()
	s, redis := twoDealers(t)
	f := folder(t, s)
	put(t, f.Dir, "good.csv", "id,dealer,name\nW1,a,Will\nW2,a,Wanda\n")
	put(t, f.Dir, "half.csv", "id,dealer,na")
	put(t, f.Dir, "some.csv", "id,dealer,phone\nW3,a,12\nW4,a,\n")
	put(t, f.Dir, "none.csv", "nix\n1\n")
	put(t, f.Dir, "bad.csv", "id,dealer,phone\nW5,a,12\n")
	put(t, f.Dir, "up.csv.part", "id\nW6\n")
	put(t, f.Dir, ".hidden.csv", "id\nW6\n")
	f.lookAt(t)
	if n := redis.Exists(t.Context(), "care:customer:W1").Val(); n != 0 {
		t.Error("a file was read at the first look")
	}
	put(t, f.Dir, "half.csv", "id,dealer,name\nW7,a,Walt\n")
	f.lookAt(t)
	want := []string{
		".hidden.csv", "done/20261125-120000-good.csv", "done/20261125-120000-good.csv.report.txt", "done/20261125-120000-some.csv",
		"done/20261125-120000-some.csv.rejected.csv", "done/20261125-120000-some.csv.report.txt", "failed/20261125-120000-bad.csv",
		"failed/20261125-120000-bad.csv.rejected.csv", "failed/20261125-120000-bad.csv.report.txt", "failed/20261125-120000-none.csv",
		"failed/20261125-120000-none.csv.report.txt", "half.csv", "up.csv.part",
	}
	if diff := cmp.Diff(want, names(t, f.Dir)); diff != "" {
		t.Errorf("after the second look (-want +got):\n%s", diff)
	}
	f.lookAt(t)
	for id, want := range map[string]int64{"W1": 1, "W2": 1, "W3": 0, "W4": 1, "W5": 0, "W6": 0, "W7": 1} {
		if n := redis.Exists(t.Context(), "care:customer:"+id).Val(); n != want {
			t.Errorf("%s: %d records, want %d", id, n, want)
		}
	}
	for name, want := range map[string]string{
		"done/20261125-120000-some.csv.report.txt":   "some.csv: 2 rows, 1 customers with 0 vehicles: 1 new, 0 changed, 0 as they were\n  1 rows cannot be used: 20261125-120000-some.csv.rejected.csv has them",
		"failed/20261125-120000-none.csv.report.txt": "no column for the customer's id",
	} {
		if raw, err := os.ReadFile(filepath.Join(f.Dir, name)); err != nil || !strings.Contains(string(raw), want) {
			t.Errorf("%s: got %q, %v", name, raw, err)
		}
	}
}

// TestFolderWaits: while Redis does not answer a file waits, and what a crash left behind is cleared away.
func TestFolderWaits(t *testing.T) {
	t.Parallel()
	s, _ := twoDealers(t)
	f := folder(t, s)
	put(t, f.Dir, "x.csv", "id,dealer\nW1,a\n")
	put(t, f.Dir, filepath.Join(workDir, "x.csv.rejected.csv"), "left by a crash")
	if err := f.prepare(); err != nil {
		t.Fatal(err)
	}
	f.lookAt(t)
	s.Store.Close()
	if err := f.look(t.Context()); err == nil || !strings.Contains(err.Error(), "x.csv waits") {
		t.Errorf("without Redis: got %v", err)
	}
	if got := names(t, f.Dir); !slices.Equal(got, []string{"x.csv"}) {
		t.Errorf("got %v", got)
	}
}

// TestMissing: who is missing from a full export is told by dealer, and marked as gone below the share only.
func TestMissing(t *testing.T) {
	t.Parallel()
	s, redis := twoDealers(t)
	dir := t.TempDir()
	rows := "id,dealer,name\n"
	for _, c := range []string{"A1", "A2", "A3", "A4"} {
		rows += c + ",a,x\n"
	}
	put(t, dir, "all.csv", rows)
	put(t, dir, "three.csv", strings.Replace(rows, "A2,a,x\n", "", 1))
	put(t, dir, "unreadable.csv", strings.Replace(rows, "A2,a,x\n", ",a,x\n", 1))
	run := func(file string, opt ImportOptions) (*ImportReport, error) {
		opt.Files, opt.Full = []string{filepath.Join(dir, file)}, true
		return s.Import(t.Context(), care.CommandLine(), opt)
	}
	record := func(id string) string { return redis.Get(t.Context(), "care:customer:"+id).Val() }
	if report, err := run("all.csv", ImportOptions{RemoveMissing: true, MostMissing: 5}); err != nil || len(report.Missing) != 0 {
		t.Fatalf("nobody is missing: got %+v, %v", report, err)
	}
	if report, err := run("three.csv", ImportOptions{}); err != nil || len(report.Missing) != 1 || report.Missing[0].String() != "a: 1 of 4 customers are not in the files (25.0 %)" || report.Marked != 0 {
		t.Errorf("listed: got %+v, %v", report, err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "three.csv.missing.csv")); err != nil || string(raw) != "dealer,id\r\na,A2\r\n" {
		t.Errorf("the list: got %q, %v", raw, err)
	}
	if _, err := run("three.csv", ImportOptions{RemoveMissing: true, MostMissing: 5}); err == nil || !strings.Contains(err.Error(), "1 of 4 customers") || strings.Contains(record("A2"), "gone") {
		t.Errorf("too many: got %v, %s", err, record("A2"))
	}
	if _, err := run("unreadable.csv", ImportOptions{RemoveMissing: true, MostMissing: 50}); err == nil || !strings.Contains(err.Error(), "1 rows have no id") {
		t.Errorf("a row without an id: got %v", err)
	}
	if report, err := run("three.csv", ImportOptions{RemoveMissing: true, MostMissing: 50, DryRun: true}); err != nil || report.Marked != 1 || strings.Contains(record("A2"), "gone") {
		t.Errorf("a dry run: got %+v, %v, %s", report, err, record("A2"))
	}
	if report, err := run("three.csv", ImportOptions{RemoveMissing: true, MostMissing: 50}); err != nil || report.Marked != 1 || !strings.Contains(record("A2"), `"holds":[{"reason":"gone","since":"2026-11-25"}]`) {
		t.Errorf("marked: got %+v, %v, %s", report, err, record("A2"))
	}
	for id, dealer := range map[string]string{"B1": "another dealer", "X1": "a dealer that the book does not know"} {
		if strings.Contains(record(id), "gone") {
			t.Errorf("a customer of %s was marked: %s", dealer, record(id))
		}
	}
	if report, err := run("three.csv", ImportOptions{RemoveMissing: true, MostMissing: 5}); err != nil || len(report.Missing) != 0 {
		t.Errorf("who is gone is not counted again: got %+v, %v", report, err)
	}
	if _, err := run("all.csv", ImportOptions{}); err != nil || strings.Contains(record("A2"), "gone") {
		t.Errorf("back: got %v, %s", err, record("A2"))
	}
}
