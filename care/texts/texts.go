package texts

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed *.json
var files embed.FS

// fallback is the language of whatever has no other.
const fallback = "en"

// Language is one of the languages that there is a catalogue of. It is safe for concurrent use.
type Language struct {
	tag       string
	localizer *i18n.Localizer
}

// catalogues are all languages, English first.
type catalogues struct {
	languages []*Language
	matcher   language.Matcher
}

// load reads the catalogues once. They are in the binary, so a fault in them is one of the build, which the tests find.
var load = sync.OnceValue(func() *catalogues {
	names, err := files.ReadDir(".")
	if err != nil {
		panic(err)
	}
	bundle := i18n.NewBundle(language.MustParse(fallback))
	out := new(catalogues)
	for _, name := range names {
		raw, err := files.ReadFile(name.Name())
		if err != nil {
			panic(err)
		}
		if _, err := bundle.ParseMessageFileBytes(raw, name.Name()); err != nil {
			panic(fmt.Sprintf("care/texts/%s: %v", name.Name(), err))
		}
		tag := strings.TrimSuffix(name.Name(), path.Ext(name.Name()))
		out.languages = append(out.languages, &Language{tag: tag, localizer: i18n.NewLocalizer(bundle, tag)})
	}
	slices.SortStableFunc(out.languages, func(a, b *Language) int { return rank(a.tag) - rank(b.tag) })
	tags := make([]language.Tag, len(out.languages))
	for i, l := range out.languages {
		// A browser that asks for zh-TW would rather have zh-CN than English: its region does not matter.
		base, _ := language.MustParse(l.tag).Base()
		tags[i] = language.MustParse(base.String())
	}
	out.matcher = language.NewMatcher(tags)
	return out
})

func rank(tag string) int {
	if tag == fallback {
		return 0
	}
	return 1
}

// All returns every language, English first.
func All() []*Language { return slices.Clone(load().languages) }

// For returns the language of a locale such as zh-CN: the very one, else one that differs in its region only, else English.
func For(locale string) *Language {
	all := load().languages
	for _, l := range all {
		if strings.EqualFold(l.tag, locale) {
			return l
		}
	}
	for _, l := range all {
		if strings.EqualFold(primary(l.tag), primary(locale)) {
			return l
		}
	}
	return all[0]
}

// primary is the language of a tag, without script and region (RFC 5646 section 2.2.1).
func primary(tag string) string {
	if i := strings.IndexAny(tag, "-_"); i >= 0 {
		return tag[:i]
	}
	return tag
}

// Accepted returns the language that fits a browser's Accept-Language best, English if none does.
func Accepted(header string) *Language {
	c := load()
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return c.languages[0]
	}
	_, i, _ := c.matcher.Match(tags...)
	return c.languages[i]
}

// Every returns a text in all languages, one behind the other, for those whose language is not known.
func Every(key string) string {
	var out []string
	for _, l := range load().languages {
		out = append(out, l.T(key))
	}
	return strings.Join(out, " ")
}

// Tag is the language's tag for the lang attribute and for Content-Language (RFC 5646).
func (l *Language) Tag() string { return l.tag }

// T returns the text of a key. What follows the key are names and values in turn: T("rsvp.late", "date", day). A value that is an int
// is written with a comma after every third digit; one that is called count also chooses the plural form.
func (l *Language) T(key string, args ...any) string {
	text, ok := l.find(key, args)
	if !ok {
		return key
	}
	return text
}

// Word returns the text of prefix.name or, where there is none, the name as it is: for states, kinds and reasons, of which newer
// versions and integrators have others.
func (l *Language) Word(prefix, name string) string {
	text, ok := l.find(prefix+"."+name, nil)
	if !ok {
		return name
	}
	return text
}

// find reports whether there is a text, in English if not in the language.
func (l *Language) find(key string, args []any) (string, bool) {
	values := make(map[string]any, len(args)/2)
	config := &i18n.LocalizeConfig{MessageID: key, TemplateData: values}
	for i := 0; i+1 < len(args); i += 2 {
		name, _ := args[i].(string)
		values[name] = args[i+1]
		if n, ok := args[i+1].(int); ok {
			values[name] = Number(n)
			if name == "count" {
				config.PluralCount = n
			}
		}
	}
	text, err := l.localizer.Localize(config)
	return text, err == nil || text != ""
}

// Number writes a number with a comma after every third digit.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
