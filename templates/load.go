package templates

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/templates/liquid"
)

// Options are what the engine cannot know by itself.
type Options struct {
	// Lunar writes a date of the Chinese calendar for the filter lunar_date; nil shows the Gregorian date.
	Lunar func(care.Date) string
}

// files maps each channel to its file in a template's folder.
var files = map[care.Channel]string{care.Email: "email.md", care.SMS: "sms.txt", care.Webhook: "webhook.json", care.Task: "task.txt"}

// environment is what all templates of a book share.
type environment struct {
	book  *care.Book
	lunar func(care.Date) string
}

func (e *environment) program(name string) *care.Program {
	if e.book == nil {
		return nil
	}
	return e.book.Program(name)
}

// Set is the templates of a book, ready to be rendered. It is never changed and may be used by any number of goroutines.
type Set struct {
	env       *environment
	templates map[key]*template
	spelled   map[key]*template // the same, by the locale as its folder is called: what nearly everybody asks for
	own       map[string]bool   // dealers that have words of their own
	names     []string
	problems  []problem.Problem
	lines     map[string][]string
}

// key names one file: template, channel, the locale in small letters, and the dealer whose words it has.
type key struct {
	name    string
	channel care.Channel
	locale  string
	dealer  string
}

// template is one file of the book, compiled.
type template struct {
	name    string
	dealer  string // "" = the brand's own words
	channel care.Channel
	locale  string // as its folder is called
	lang    language
	src     source
	tags    *liquid.Tags

	defaults map[string]*liquid.Template // by variable

	subject, preheader *liquid.Template
	html, text         *liquid.Template // text: also SMS and webhook
	page               string           // with placeholders, for lint
	gateways           []gateway
	asks               string // what a text message is to be answered with
	method             string
	headers            []header
	shows              Shown
}

type gateway struct {
	name, template string
	params         []header
	text           string // as it was approved
}

type header struct {
	name  string
	value *liquid.Template
}

// Load reads and compiles the templates of a book. A template with a fault is left out of the Set: Has says no and Render refuses
// it. Problems are ordered by file and line.
func Load(book *care.Book, opts ...Options) (*Set, []problem.Problem) {
	set := &Set{env: &environment{book: book}, templates: map[key]*template{}, spelled: map[key]*template{}, own: map[string]bool{}, lines: map[string][]string{}}
	for _, o := range opts {
		set.env.lunar = o.Lunar
	}
	if book == nil || book.Files == nil {
		return set, nil
	}
	l := loader{fsys: book.Files, layouts: map[string]string{}, set: set}
	l.run()
	slices.SortStableFunc(l.report.problems, func(a, b problem.Problem) int {
		return strings.Compare(fmt.Sprintf("%s\x00%06d\x00%06d", a.File, a.Line, a.Column), fmt.Sprintf("%s\x00%06d\x00%06d", b.File, b.Line, b.Column))
	})
	l.report.problems = slices.CompactFunc(l.report.problems, func(a, b problem.Problem) bool { return a.Error() == b.Error() })
	for k, t := range set.templates {
		k.locale = t.locale
		set.spelled[k], set.own[t.dealer] = t, true
	}
	set.problems, set.lines = l.report.problems, l.report.lines
	return set, slices.Clone(set.problems)
}

type loader struct {
	fsys    fs.FS
	layouts map[string]string
	set     *Set
	report  report
}

// decode is how the book's YAML is read; nil in a book that was not read from files.
func (l *loader) decode() care.FileDecoder { return l.set.env.book.Decode }

const folder = "templates"

func (l *loader) run() {
	entries, err := fs.ReadDir(l.fsys, folder)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.report.Fault(liquid.Position{File: folder}, "unreadable", "check the folder's permissions", "the templates cannot be read: %v", err)
		}
		return
	}
	for _, e := range entries {
		switch {
		case !e.IsDir():
			if !strings.HasPrefix(e.Name(), ".") {
				l.report.Warn(liquid.Position{File: path.Join(folder, e.Name())}, "stray-file", "put it into templates/<template>/<locale>/", "nothing reads this file")
			}
		case e.Name() == "_layouts":
			l.readLayouts()
		}
	}
	var jobs []func() (*template, *report)
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), "_") && !strings.HasPrefix(e.Name(), ".") {
			l.set.names = append(l.set.names, e.Name())
			jobs = append(jobs, l.folder(e.Name())...)
		}
	}
	l.compile(append(jobs, l.dealers()...))
}

func (l *loader) readLayouts() {
	entries, _ := fs.ReadDir(l.fsys, folder+"/_layouts")
	for _, e := range entries {
		file := folder + "/_layouts/" + e.Name()
		if text, ok := readText(l.fsys, file, &l.report); ok && strings.HasSuffix(e.Name(), ".html") {
			l.layouts[strings.TrimSuffix(e.Name(), ".html")] = text
		}
	}
}

// folder lists the files of one template as work to do.
func (l *loader) folder(name string) []func() (*template, *report) {
	var jobs []func() (*template, *report)
	locales, err := fs.ReadDir(l.fsys, folder+"/"+name)
	if err != nil {
		l.report.Fault(liquid.Position{File: folder + "/" + name}, "unreadable", "check the folder's permissions", "the template cannot be read: %v", err)
	}
	for _, locale := range locales {
		at := path.Join(folder, name, locale.Name())
		if !locale.IsDir() {
			if !strings.HasPrefix(locale.Name(), ".") {
				l.report.Warn(liquid.Position{File: at}, "stray-file", "put it into a folder for its language, such as "+folder+"/"+name+"/en/", "nothing reads this file")
			}
			continue
		}
		inside, _ := fs.ReadDir(l.fsys, at)
		for _, f := range inside {
			file := path.Join(at, f.Name())
			ch := channelOf(f.Name())
			if ch == "" {
				if !strings.HasPrefix(f.Name(), ".") {
					l.report.Warn(liquid.Position{File: file}, "stray-file", "call it email.md, sms.txt, webhook.json or task.txt", "nothing reads this file")
				}
				continue
			}
			jobs = append(jobs, func() (*template, *report) {
				c := compiler{loader: l, file: file, t: &template{name: name, channel: ch, locale: locale.Name(), lang: languageOf(locale.Name())}}
				return c.run(), &c.report
			})
		}
	}
	return jobs
}

func channelOf(file string) care.Channel {
	for ch, f := range files {
		if f == file {
			return ch
		}
	}
	return ""
}

// compile does the work on two goroutines: inlining CSS takes milliseconds a mail.
func (l *loader) compile(jobs []func() (*template, *report)) {
	templates, reports := make([]*template, len(jobs)), make([]*report, len(jobs))
	var wait sync.WaitGroup
	const workers = 2
	for w := range workers {
		wait.Go(func() {
			for i := w; i < len(jobs); i += workers {
				templates[i], reports[i] = jobs[i]()
			}
		})
	}
	wait.Wait()
	if l.report.lines == nil {
		l.report.lines = map[string][]string{}
	}
	for i, t := range templates {
		l.report.problems = append(l.report.problems, reports[i].problems...)
		maps.Copy(l.report.lines, reports[i].lines)
		if t != nil {
			l.set.templates[key{t.name, t.channel, strings.ToLower(t.locale), t.dealer}] = t
		}
	}
}

// readText reads a file of at most 64 KiB of UTF-8 without control characters or characters that stand for tags.
func readText(fsys fs.FS, file string, r *report) (string, bool) {
	at := liquid.Position{File: file}
	info, err := fs.Stat(fsys, file)
	if err == nil && info.Size() > liquid.MaxSource {
		r.Fault(at, "too-large", "shorten it", "the file is larger than %d KiB", liquid.MaxSource>>10)
		return "", false
	}
	raw, err := fs.ReadFile(fsys, file)
	if err != nil {
		r.Fault(at, "unreadable", "check the file's permissions", "the file cannot be read: %v", err)
		return "", false
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(raw), "\ufeff"), "\r\n", "\n")
	r.remember(file, text)
	if !utf8.ValidString(text) {
		r.Fault(at, "encoding", "save it as UTF-8", "the file is not UTF-8")
		return "", false
	}
	for i, c := range text {
		if liquid.IsPlaceholder(c) || c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			p := liquid.Start(file).After(text[:i])
			r.Fault(p, "encoding", "remove it", "the character %U cannot stand in a template", c)
			return "", false
		}
	}
	return text, true
}

// Names lists the templates of the book, also those with faults, in order.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// Has reports whether a message on this channel can be written in one of the locales: the first of them with its fallbacks, then
// the next, at last en.
func (s *Set) Has(name string, ch care.Channel, locales []string) bool {
	return s.find("", name, ch, locales...) != nil
}

// find returns the template in the first of the locales that it has, in the dealer's own words if there are any.
func (s *Set) find(dealer, name string, ch care.Channel, locales ...string) *template {
	for _, locale := range locales {
		if t := s.in(dealer, name, ch, locale); t != nil {
			return t
		}
		for _, l := range care.LocaleChain(locale) {
			if t := s.in(dealer, name, ch, l); t != nil {
				return t
			}
		}
	}
	return s.in(dealer, name, ch, "en")
}

func (s *Set) in(dealer, name string, ch care.Channel, locale string) *template {
	if !s.own[dealer] {
		dealer = ""
	}
	k := key{name, ch, locale, dealer}
	if t := s.spelled[k]; t != nil {
		return t
	}
	k.locale = strings.ToLower(locale)
	if t := s.templates[k]; t != nil || dealer == "" {
		return t
	}
	k.dealer = ""
	return s.templates[k]
}

// Locales lists the locales in which a template is written for a channel, in order.
func (s *Set) Locales(name string, ch care.Channel) []string {
	var all []string
	for k, t := range s.templates {
		if k.name == name && k.channel == ch && k.dealer == "" {
			all = append(all, t.locale)
		}
	}
	slices.Sort(all)
	return all
}
