package demo

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed dealers.yaml programs
var ownFiles embed.FS

// over lays the demo's own files (two dealers, a program that sends webhooks) over the default book.
type over struct{ base fs.FS }

// Open opens the demo's own file if there is one, else the default book's.
func (o over) Open(name string) (fs.File, error) {
	if f, err := ownFiles.Open(path.Clean(name)); err == nil {
		if info, err := f.Stat(); err == nil && !info.IsDir() {
			return f, nil
		}
		_ = f.Close()
	}
	return o.base.Open(name)
}

// ReadDir lists the default book's folder with the demo's own files in it. The default book's event is an example of its dealer's,
// which the demo does not have.
func (o over) ReadDir(name string) ([]fs.DirEntry, error) {
	if path.Clean(name) == "events" {
		return nil, nil
	}
	entries, err := fs.ReadDir(o.base, name)
	if err != nil {
		return nil, err
	}
	own, err := ownFiles.ReadDir(path.Clean(name))
	if err != nil {
		return entries, nil //nolint:nilerr // a folder that only the default book has
	}
	for _, e := range own {
		if !slices.ContainsFunc(entries, func(b fs.DirEntry) bool { return b.Name() == e.Name() }) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}
