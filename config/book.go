package config

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/config/yaml"
)

//go:embed all:book
var embedded embed.FS

// maxFile bounds a file of a book: nothing in one needs a mebibyte.
const maxFile = 1 << 20

// maxDepth bounds the folders of a book, so that a link to itself ends.
const maxDepth = 8

// folders are the folders of a book; those with YAML files of ours are read here, the others by who owns them.
var folders = []string{"programs", "events", "bulletins", "gateways", "templates"}

// DefaultBook returns the book that the binary carries.
func DefaultBook() fs.FS {
	book, err := fs.Sub(embedded, "book")
	if err != nil {
		panic(err) // the folder is embedded by this file
	}
	return book
}

// OpenBook reads the book in a folder, or for "" the one that the binary carries. The error says that there is no such folder;
// what is wrong in the book are Problems. A book with Faults must not be used.
func OpenBook(dir string) (*care.Book, []problem.Problem, error) {
	if dir == "" {
		book, problems := ReadBook(DefaultBook())
		book.Default = true
		return book, problems, nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("care book: %w; `carebell init %s` writes one to start from", err, dir)
	}
	if !info.IsDir() {
		return nil, nil, fmt.Errorf("care book: %s is a file: name the folder that has dealers.yaml in it", dir)
	}
	book, problems := ReadBook(os.DirFS(dir))
	return book, problems, nil
}

// WriteDefault writes the default book into a folder that is empty or not there yet.
func WriteDefault(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write the book: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("write the book: %s is not empty: name a new folder", dir)
	}
	book := DefaultBook()
	files, err := walk(book)
	if err != nil {
		return fmt.Errorf("write the book: %w", err)
	}
	for _, name := range files {
		text, err := fs.ReadFile(book, name)
		if err != nil {
			return fmt.Errorf("write the book: %w", err)
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // a book holds no secret, and a daemon of another user reads it
			return fmt.Errorf("write the book: %w", err)
		}
		if err := os.WriteFile(to, text, 0o644); err != nil { //nolint:gosec // as above
			return fmt.Errorf("write the book: %w", err)
		}
	}
	return nil
}

// reader reads one book.
type reader struct {
	files    fs.FS
	book     *care.Book
	docs     map[string]*yaml.Document
	problems []problem.Problem
	reported map[string]int // how many faults of each file
}

// maxFaults bounds the faults that are reported of one file: whoever corrects a hundred reads the book anew.
const maxFaults = 100

// ReadBook reads a book strictly: all problems, in the order of files and lines. It always returns a book, with what could be
// read. Texts, schedules and audiences are checked by the packages that run them.
func ReadBook(fsys fs.FS) (*care.Book, []problem.Problem) {
	r := &reader{files: fsys, book: &care.Book{Files: fsys, Decode: yaml.Decode}, docs: map[string]*yaml.Document{}, reported: map[string]int{}}
	r.book.Locate = func(file, at string) (int, int, string) {
		if doc := r.docs[file]; doc != nil {
			return doc.Locate(at)
		}
		return 0, 0, ""
	}
	names, err := walk(fsys)
	if err != nil {
		r.add("", "", "unknown-file", "the book cannot be read: "+err.Error(), "")
		return r.book, r.problems
	}
	r.read(names)
	r.checkDealers()
	r.checkPrograms()
	r.checkEvents()
	r.checkBulletins()
	slices.SortStableFunc(r.book.Programs, func(a, b *care.Program) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Program, b.Program))
	})
	slices.SortStableFunc(r.problems, func(a, b problem.Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.book, r.problems
}

func (r *reader) read(names []string) {
	sum := sha256.New()
	dealers := false
	for _, name := range names {
		text, err := readFile(r.files, name)
		if err != nil {
			r.add(name, "", "unknown-file", "the file cannot be read: "+err.Error(), "")
			continue
		}
		fmt.Fprintf(sum, "%s\x00%d\x00", name, len(text))
		sum.Write(text)
		folder, base := path.Split(name)
		switch {
		case name == "dealers.yaml":
			dealers = true
			var list struct {
				Dealers []*care.Dealer `yaml:"dealers"`
			}
			if r.decode(name, text, &list) && len(list.Dealers) == 0 {
				r.add(name, "$", "missing-field", "the book has no dealer", "write dealers: and below it at least one")
			}
			r.book.Dealers = list.Dealers
		case folder == "programs/" && r.yaml(name):
			p := defaultProgram()
			p.File = name
			if r.decode(name, text, p) {
				r.book.Programs = append(r.book.Programs, p)
			}
			if p.Topic == "" {
				p.Topic = p.Program
			}
		case folder == "events/" && r.yaml(name):
			e := &care.Event{Enabled: true, File: name}
			if r.decode(name, text, e) {
				r.book.Events = append(r.book.Events, e)
			}
		case folder == "bulletins/" && r.yaml(name):
			b := &care.Bulletin{Enabled: true, File: name}
			if r.decode(name, text, b) {
				r.book.Bulletins = append(r.book.Bulletins, b)
			}
		case folder == "" && !strings.EqualFold(path.Ext(base), ".md") && base != "LICENSE":
			r.warn(name, "unknown-file", "this file is not read", yaml.Suggest(base, []string{"dealers.yaml"}))
		case folder != "" && !slices.Contains(folders, topFolder(name)):
			r.warn(name, "unknown-file", fmt.Sprintf("nothing in the folder %s is read", topFolder(name)), yaml.Suggest(topFolder(name), folders))
		}
	}
	if !dealers {
		r.add("dealers.yaml", "", "missing-file", "the book has no dealers.yaml", "`carebell init DIR` writes one to start from")
	}
	r.book.Version = hex.EncodeToString(sum.Sum(nil))
}

// yaml reports whether the file is one of ours, and warns if it only seems so.
func (r *reader) yaml(name string) bool {
	switch path.Ext(name) {
	case ".yaml":
		return true
	case ".md", ".txt":
	default:
		r.warn(name, "unknown-file", "this file is not read", "give it a name that ends with .yaml")
	}
	return false
}

// decode reads one file and reports whether its value is worth checking: of a file that is no YAML, or empty, nothing is.
func (r *reader) decode(name string, text []byte, into any) bool {
	doc := yaml.Parse(name, text)
	r.docs[name] = doc
	problems := doc.Decode(into, func(item any) {
		if d, ok := item.(*care.Dealer); ok {
			*d = *defaultDealer()
		}
	})
	r.problems = append(r.problems, problems...)
	return yaml.Usable(problems)
}

// add reports a fault at a YAML path of a file; "" is the whole file.
func (r *reader) add(file, at, rule, message, remedy string) {
	if r.reported[file]++; r.reported[file] > maxFaults {
		if r.reported[file] > maxFaults+1 {
			return
		}
		at, rule, message, remedy = "", "more-faults", "there are more faults than are reported at once", "correct these first"
	}
	p := problem.Problem{Severity: problem.Fault, Rule: rule, File: file, Message: message, Remedy: remedy}
	if doc := r.docs[file]; doc != nil && at != "" {
		if rule == "missing-field" && doc.Refused(at) {
			return
		}
		p.Line, p.Column, p.Excerpt = doc.Locate(at)
	}
	r.problems = append(r.problems, p)
}

func (r *reader) warn(file, rule, message, remedy string) {
	r.problems = append(r.problems, problem.Problem{Severity: problem.Warning, Rule: rule, File: file, Message: message, Remedy: remedy})
}

func topFolder(name string) string {
	top, _, _ := strings.Cut(name, "/")
	return top
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errors.New("it is larger than 1 MiB")
	}
	return text, err
}

// walk lists the files of a book in order. It follows links, because Kubernetes mounts a ConfigMap as links into a folder that
// it swaps; names that begin with a dot and editors' copies are left out.
func walk(fsys fs.FS) ([]string, error) {
	var files []string
	var visit func(dir string, depth int) error
	visit = func(dir string, depth int) error {
		entries, err := fs.ReadDir(fsys, dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") {
				continue
			}
			info, err := fs.Stat(fsys, name)
			if err != nil {
				return err
			}
			switch {
			case info.IsDir() && depth == maxDepth:
				return fmt.Errorf("%s: folders are nested too deeply", name)
			case info.IsDir():
				if err := visit(name, depth+1); err != nil {
					return err
				}
			case info.Mode().IsRegular():
				files = append(files, name)
			}
		}
		return nil
	}
	err := visit(".", 1)
	slices.Sort(files)
	return files, err
}
