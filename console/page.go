package console

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/texts"
)

// Wording is the version of the words on the customers' pages; it is kept with each opt-out and opt-in as evidence of what was
// agreed to. Change it when the words change.
const Wording = "pages-2026-11"

//go:embed web
var web embed.FS

// sheet is the one style sheet, inline in every page: one request, and the policy names it by its hash.
var sheet = mustRead("web/style.css")

func mustRead(name string) string {
	raw, err := web.ReadFile(name)
	if err != nil {
		panic(err) // the file is in the binary
	}
	return strings.TrimSpace(string(raw))
}

// locale is one of the languages of our pages, with the templates that speak it: t "key" "name" value.
type locale struct {
	*texts.Language
	pages *template.Template
}

// locales are made once: the templates of each language have their own functions.
var locales = sync.OnceValue(func() map[*texts.Language]*locale {
	out := map[*texts.Language]*locale{}
	for _, l := range texts.All() {
		out[l] = newLocale(l)
	}
	return out
})

func newLocale(l *texts.Language) *locale {
	t := &locale{Language: l}
	t.pages = template.Must(template.New("").Funcs(template.FuncMap{
		"lang":  l.Tag,
		"sheet": func() template.CSS { return template.CSS(sheet) }, //nolint:gosec // our own file, not a customer's words
		"t":     l.T, "tel": tel, "plate": plate, "channel": t.channel, "moment": moment,
		"state": t.state, "lane": t.lane, "kind": t.kind, "n": texts.Number, "tone": tone, "customerURL": customerURL,
		"task": t.task, "since": l.Span,
	}).ParseFS(web, "web/*.html"))
	return t
}

// localeFor returns the language of a customer's locale.
func localeFor(tag string) *locale { return locales()[texts.For(tag)] }

// accepted returns the language a browser asks for.
func accepted(r *http.Request) *locale {
	return locales()[texts.Accepted(r.Header.Get("Accept-Language"))]
}

// moment writes an instant for the console, in UTC unless it carries a zone of its own.
func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format("2006-01-02 15:04")
}

func (t *locale) km(n int) string { return t.T("unit.km", "number", n) }

func (t *locale) channel(ch care.Channel) string { return t.Word("channel", string(ch)) }

func (t *locale) state(s care.State) string { return t.Word("state", string(s)) }

// lane writes the name of a lane in words.
func (t *locale) lane(name string) string {
	for _, l := range care.Lanes {
		switch {
		case l.String() != name:
		case l.Urgent:
			return t.T("lane.urgent", "channel", t.channel(l.Channel))
		default:
			return t.T("lane.rest", "channel", t.channel(l.Channel))
		}
	}
	return name
}

func (t *locale) kind(k string) string { return t.Word("kind", k) }

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

// plate shows enough of a number plate for its owner and too little for anybody else.
func plate(s string) string {
	r := []rune(strings.NewReplacer("·", "", " ", "", "-", "").Replace(s))
	switch n := len(r); {
	case n == 0:
		return ""
	case n < 5:
		return strings.Repeat("•", n)
	default:
		return string(r[:2]) + strings.Repeat("•", n-3) + string(r[n-1])
	}
}

// view is what every page shows.
type view struct {
	Title  string
	Dealer string
	Phone  string
	Tone   string // ok or warn: the colour of the page's head; "" = plain
	Lead   string // a sentence under the title
	Wide   bool   // of the console
}

// write sends a page, whole or not at all.
func write(w http.ResponseWriter, log *slog.Logger, t *locale, status int, page string, data any) {
	var b bytes.Buffer
	if err := t.pages.ExecuteTemplate(&b, page, data); err != nil {
		log.Error("a page could not be made", slog.String("page", page), slog.Any("error", err))
		plain(w, http.StatusInternalServerError, texts.Every("page.broken")+"\n")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", t.Tag())
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
