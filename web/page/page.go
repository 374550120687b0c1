// Package page has what the customers' pages and the console share: the frame around a page, its style sheet, the languages, and the
// policy under which a browser shows it.
//
// What it promises: a page is sent whole or not at all, in a language that its reader asked for, and needs no script, no cookie and
// nothing from elsewhere. What stands on a page is known to web/public and web/console only.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
	"github.com/carebell/carebell/web/httpx"
)

//go:embed layout.html style.css
var files embed.FS

// sheet is the one style sheet, inline in every page: one request, and the policy names it by its hash.
var sheet = read("style.css")

func read(name string) string {
	raw, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the file is in the binary
	}
	return strings.TrimSpace(string(raw))
}

// Policy is the Content-Security-Policy of our pages: no script, nothing from elsewhere, and of styles only the one sheet that is in
// the page, named by its hash (CSP level 3, section 2.3.1).
var Policy = "default-src 'none'; style-src 'sha256-" + sheetHash() + "'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func sheetHash() string {
	sum := sha256.Sum256([]byte(sheet))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Set are the pages of one part of the web, in all languages.
type Set struct {
	byLanguage map[*texts.Language]*Locale
}

// Locale is one language of a Set. Its templates have the texts as t "key" "name" value.
type Locale struct {
	*texts.Language
	pages *template.Template
}

// New parses the templates of a folder beside the frame. They have the functions that are given besides those that every page has.
func New(pages fs.FS, pattern string, functions func(l *Locale) template.FuncMap) *Set {
	s := &Set{byLanguage: map[*texts.Language]*Locale{}}
	for _, language := range texts.All() {
		l := &Locale{Language: language}
		all := template.FuncMap{
			"lang": l.Tag, "t": l.T, "tel": tel, "n": texts.Number, "channel": l.Channel,
			"sheet": func() template.CSS { return template.CSS(sheet) }, //nolint:gosec // our own file, not a customer's words
		}
		maps.Copy(all, functions(l))
		l.pages = template.Must(template.New("").Funcs(all).ParseFS(files, "layout.html"))
		template.Must(l.pages.ParseFS(pages, pattern))
		s.byLanguage[language] = l
	}
	return s
}

// For returns the pages in the language of a customer's locale.
func (s *Set) For(locale string) *Locale { return s.byLanguage[texts.For(locale)] }

// Accepted returns the pages in the language that a browser asks for.
func (s *Set) Accepted(r *http.Request) *Locale {
	return s.byLanguage[texts.Accepted(r.Header.Get("Accept-Language"))]
}

// Channel names a channel.
func (l *Locale) Channel(ch care.Channel) string { return l.Word("channel", string(ch)) }

// Distance writes a mileage, in miles or in km.
func (l *Locale) Distance(km int, miles bool) string {
	if miles {
		return l.T("unit.mi", "number", int(math.Round(float64(km)/care.KMPerMile)))
	}
	return l.T("unit.km", "number", km)
}

// tel makes a link that phones dial. Only digits and a plus get through, so it is safe as a URL.
func tel(phone string) template.URL {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '+' {
			return r
		}
		return -1
	}, phone)
	return template.URL("tel:" + digits) //nolint:gosec // digits and a plus only
}

// View is what every page shows.
type View struct {
	Title  string
	Dealer string
	Phone  string
	Tone   string // ok or warn: the colour of the page's head; "" = plain
	Lead   string // a sentence under the title
	Wide   bool   // of the console
	Trial  bool   // the link came with a test: the page says so
}

// Write sends a page, whole or not at all.
func (l *Locale) Write(w http.ResponseWriter, log *slog.Logger, status int, name string, data any) {
	var b bytes.Buffer
	if err := l.pages.ExecuteTemplate(&b, name, data); err != nil {
		log.Error("a page could not be made", slog.String("page", name), slog.Any("error", err))
		httpx.Plain(w, http.StatusInternalServerError, texts.Every("page.broken")+"\n")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", l.Tag())
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
