package daemon

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/operate"
	"github.com/fsnotify/fsnotify"
)

// A change of the book is taken up when its files have been quiet for bookQuiet, and after bookLatest even if they have not.
const (
	bookQuiet  = 300 * time.Millisecond
	bookLatest = 1200 * time.Millisecond
	bookDepth  = 8 // folders below the book's
)

// bookFolder returns the folder that is watched, "" if the book comes from elsewhere.
func (d *Daemon) bookFolder() string {
	if d.parts.Book.Files != nil || d.env.Settings.Book == "" {
		return ""
	}
	dir, err := filepath.Abs(d.env.Settings.Book)
	if err != nil {
		return ""
	}
	return dir
}

// follow reads the book anew whenever its files change, until ctx ends. Whole folders may be swapped beneath it: Kubernetes mounts a
// ConfigMap through the link ..data and replaces that, others replace the book's folder or a link to it.
func (d *Daemon) follow(ctx context.Context, dir string, w *fsnotify.Watcher) {
	defer func() { _ = w.Close() }()
	var quiet, latest <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.Events:
			if !ok {
				return
			}
			if !concerns(dir, e) {
				continue
			}
		case err := <-w.Errors: // such as an overflow: something may have been missed
			d.log.Debug("watching the care book", slog.Any("error", err))
		case <-quiet:
			quiet, latest = nil, nil
			w = d.taken(dir, w)
			continue
		case <-latest:
			quiet, latest = nil, nil
			w = d.taken(dir, w)
			continue
		}
		quiet = time.After(bookQuiet)
		if latest == nil {
			latest = time.After(bookLatest)
		}
	}
}

// imports is the folder whose files are taken in.
func (d *Daemon) imports(dir string) *operate.Folder {
	service := &operate.Service{Store: d.store, Book: func() (*carebook.Compiled, error) { return d.book.Load(), nil }, Now: d.env.Now, Log: d.log}
	return &operate.Folder{Service: service, Who: care.CommandLine(), Dir: dir, Every: operate.FolderEvery}
}

// taken reads the changed book. The folders are watched anew first: some may be new, others may be another folder under the old
// name, and what changes while the book is read is noticed.
func (d *Daemon) taken(dir string, old *fsnotify.Watcher) *fsnotify.Watcher {
	w, err := watchFolders(dir)
	if err == nil {
		_ = old.Close()
	} else {
		d.log.Warn("the care book's folders cannot be watched anew", slog.Any("error", err))
		w = old
	}
	if err := d.Reload(); err != nil {
		d.log.Error("reload", slog.Any("error", err))
	}
	return w
}

// concerns reports whether an event is about the book. Of the folder around it only the book's own name counts; hidden files are
// editors' and version control's, but for Kubernetes' link.
func concerns(dir string, e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	if filepath.Dir(e.Name) == filepath.Dir(dir) {
		return e.Name == dir
	}
	name := filepath.Base(e.Name)
	return !strings.HasPrefix(name, ".") || name == "..data"
}

// watchFolders watches a book's folder with all below it, through links, and the folder around it.
func watchFolders(dir string) (*fsnotify.Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(filepath.Dir(dir)); err != nil {
		_ = w.Close()
		return nil, err
	}
	// A folder that has just gone leaves its trace in the one around it.
	_ = addFolders(w, dir, bookDepth)
	return w, nil
}

func addFolders(w *fsnotify.Watcher, dir string, depth int) error {
	if err := w.Add(dir); err != nil {
		return err
	}
	if depth == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.Type()&(fs.ModeDir|fs.ModeSymlink) == 0 {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			_ = addFolders(w, path, depth-1)
		}
	}
	return nil
}

// startFollow begins to watch the book. Where that is not possible (some network file systems, a full table of watches) SIGHUP is
// left.
func (d *Daemon) startFollow() {
	dir := d.bookFolder()
	if dir == "" {
		return
	}
	w, err := watchFolders(dir)
	if err != nil {
		d.log.Warn("changes of the care book are not noticed by themselves: send SIGHUP after one", slog.Any("error", err))
		return
	}
	d.loop("book", func(ctx context.Context) { d.follow(ctx, dir, w) })
}
