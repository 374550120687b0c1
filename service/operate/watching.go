package operate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
)

// Folder imports the files that appear in a folder. A file is read when its size and time have stood still from one look to the next; then it is
// moved to done/ or, if nothing of it could be used, to failed/, with its report and its rejected rows beside it. A file that was not moved yet is
// imported again after a restart, which changes nothing.
type Folder struct {
	Service *Service
	Who     care.Principal
	Dir     string
	Every   time.Duration // between two looks
	Options ImportOptions // but for the files

	before map[string]fs.FileInfo // as the last look saw them
	stuck  map[string]fs.FileInfo // that could not be moved, and are not read again until they change
}

// FolderEvery is the usual time between two looks.
const FolderEvery = 10 * time.Second

// The folders in the folder.
const (
	doneDir   = "done"
	failedDir = "failed"
	workDir   = ".work" // what is being written
)

// Run looks until ctx ends. An error is of the folder itself.
func (f *Folder) Run(ctx context.Context) error {
	if err := f.prepare(); err != nil {
		return err
	}
	ticker := time.NewTicker(f.Every)
	defer ticker.Stop()
	for {
		if err := f.look(ctx); err != nil {
			f.Service.Log.Warn("the import folder", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (f *Folder) prepare() error {
	f.before, f.stuck = map[string]fs.FileInfo{}, map[string]fs.FileInfo{}
	if err := os.RemoveAll(filepath.Join(f.Dir, workDir)); err != nil {
		return err
	}
	for _, dir := range []string{doneDir, failedDir, workDir} {
		if err := os.MkdirAll(filepath.Join(f.Dir, dir), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// look imports the files that have stood still since the last look, in the order of their names.
func (f *Folder) look(ctx context.Context) error {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return err
	}
	now := map[string]fs.FileInfo{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || unfinished(e.Name()) {
			continue
		}
		now[e.Name()] = info
	}
	before := f.before
	f.before = now
	for _, e := range entries { // they are sorted
		info := now[e.Name()]
		if info == nil || !same(before[e.Name()], info) || same(f.stuck[e.Name()], info) {
			continue
		}
		if err := f.take(ctx, e.Name(), info); err != nil {
			return err
		}
	}
	return nil
}

// unfinished reports whether a name is of a file that is still being written, or of one of ours.
func unfinished(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~") || slices.ContainsFunc(
		[]string{".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", "~", ".rejected.csv", ".missing.csv", ".report.txt"},
		func(end string) bool { return strings.HasSuffix(lower, end) })
}

func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// take imports one file and moves it. A failure of Redis, the care book or the options leaves it where it is, for the next look.
func (f *Folder) take(ctx context.Context, name string, info fs.FileInfo) error {
	work := filepath.Join(f.Dir, workDir)
	opt := f.Options
	opt.Files, opt.Beside = []string{filepath.Join(f.Dir, name)}, work
	report, failed := f.Service.Import(ctx, f.Who, opt)
	if _, ours := errors.AsType[*StoreError](failed); ours || report == nil || ctx.Err() != nil {
		return fmt.Errorf("%s waits: %w", name, failed)
	}
	after, err := os.Lstat(opt.Files[0])
	if err != nil || !same(info, after) {
		return nil // it was taken away, or is being written anew: then it is read again
	}
	f.tell(name, report, failed)
	if err := f.move(name, report, failed); err != nil {
		f.stuck[name] = info
		return fmt.Errorf("%s was imported and cannot be moved: %w", name, err)
	}
	return nil
}

// tell writes one line about a file into the log.
func (f *Folder) tell(name string, report *ImportReport, failed error) {
	args := []any{slog.String("file", name)}
	if failed != nil {
		args = append(args, slog.Any("error", failed))
	}
	for _, r := range report.Files {
		args = append(args, slog.Int("rows", r.Stats.Rows), slog.Int("rejected", r.Stats.Rejected), slog.Int("new", r.Created), slog.Int("changed", r.Changed))
	}
	if failed != nil || report.Nothing() {
		f.Service.Log.Warn("a file of the import folder failed", args...)
		return
	}
	f.Service.Log.Info("a file of the import folder was imported", args...)
}

// move puts a file and what was written about it into done/ or failed/; the file itself goes last.
func (f *Folder) move(name string, report *ImportReport, failed error) error {
	into := filepath.Join(f.Dir, doneDir)
	if failed != nil || report.Nothing() {
		into = filepath.Join(f.Dir, failedDir)
	}
	stamp := f.Service.Now().UTC().Format("20060102-150405-")
	var text bytes.Buffer
	report.MissingFile = strings.Replace(report.MissingFile, filepath.Join(f.Dir, workDir)+string(filepath.Separator), stamp, 1)
	for i := range report.Files {
		report.Files[i].File, report.Files[i].Rejected = name, stamp+name
	}
	if err := report.Print(&text); err != nil {
		return err
	}
	if failed != nil {
		fmt.Fprintf(&text, "failed: %v\n", failed)
	}
	work := filepath.Join(f.Dir, workDir)
	if err := os.WriteFile(filepath.Join(work, name+".report.txt"), text.Bytes(), 0o600); err != nil {
		return err
	}
	written, err := os.ReadDir(work)
	if err != nil {
		return err
	}
	for _, w := range written {
		if err := os.Rename(filepath.Join(work, w.Name()), filepath.Join(into, stamp+w.Name())); err != nil {
			return err
		}
	}
	return os.Rename(filepath.Join(f.Dir, name), filepath.Join(into, stamp+name))
}
