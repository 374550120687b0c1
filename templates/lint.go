package templates

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/problem"
	"github.com/carebell/carebell/templates/liquid"
	"github.com/carebell/carebell/templates/mail"
)

// LintOptions are the budgets of Lint; zero values are the defaults.
type LintOptions struct {
	MaxSubject int // characters of a subject: 60
	MaxParts   int // parts of a text message: 2
	MaxBytes   int // of a mail's HTML: 100,000; Gmail cuts at 102 kB
	// Parts counts the parts of a text message as the recipient's country does. Without it parts are not checked.
	Parts func(text, signature, country string) int
	// Gateways says what each SMS gateway asks of the templates that it approves, by its name. Without it that is not checked.
	Gateways map[string]care.GatewayRules
}

// Lint says what is wrong with the templates or could be better, in words for the marketer who wrote them: the problems of Load
// and those that need the programs, the dealers and a sample customer. Ordered by file and line.
func (s *Set) Lint(opt LintOptions) []problem.Problem {
	opt.MaxSubject, opt.MaxParts, opt.MaxBytes = cmp.Or(opt.MaxSubject, 60), cmp.Or(opt.MaxParts, 2), cmp.Or(opt.MaxBytes, 100_000)
	l := &linter{set: s, opt: opt, report: report{lines: s.lines}, said: map[string]bool{}}
	l.programs()
	for _, name := range s.names {
		l.locales(name)
		for _, ch := range care.Channels {
			for _, locale := range s.Locales(name, ch) {
				l.template(s.templates[key{name, ch, strings.ToLower(locale), ""}])
				for _, dealer := range s.dealers() {
					if t := s.templates[key{name, ch, strings.ToLower(locale), dealer}]; t != nil {
						l.template(t)
					}
				}
			}
		}
	}
	all := append(slices.Clone(s.problems), l.report.problems...)
	slices.SortStableFunc(all, func(a, b problem.Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.CompactFunc(all, func(a, b problem.Problem) bool { return a.Error() == b.Error() })
}

// Forget gives back what Lint alone reads: a third of the memory of a book's templates, and more of the collector's work. Lint must not
// be called afterwards; everything else is as before.
func (s *Set) Forget() {
	for _, t := range s.templates {
		t.tags, t.page = nil, ""
		t.src = source{file: t.src.file}
	}
	s.problems, s.lines = nil, nil
}

type linter struct {
	set    *Set
	opt    LintOptions
	report report
	said   map[string]bool // about layouts and partials: once, not for each mail
}

// dealers lists the dealers who have words of their own.
func (s *Set) dealers() []string {
	set := map[string]bool{}
	for k := range s.templates {
		set[k.dealer] = true
	}
	delete(set, "")
	return sortedKeys(set)
}

// once reports whether the thing was not said yet.
func (l *linter) once(what string) bool {
	if l.said[what] {
		return false
	}
	l.said[what] = true
	return true
}

// usesOf lists the programs that use a template.
func (l *linter) usesOf(name string) []*care.Program {
	var all []*care.Program
	for _, p := range l.set.env.programs() {
		if slices.ContainsFunc(p.Steps, func(st care.Step) bool { return st.Template == name }) {
			all = append(all, p)
		}
	}
	return all
}

// programs checks that each step's template exists and can go by a channel of its program.
func (l *linter) programs() {
	book := l.set.env.book
	if book == nil {
		return
	}
	for _, p := range book.Programs {
		for i, st := range p.Steps {
			at := liquid.Position{File: p.File}
			if book.Locate != nil {
				at.Line, at.Column, _ = book.Locate(p.File, fmt.Sprintf("$.steps[%d].template", i))
			}
			if !slices.Contains(l.set.names, st.Template) {
				remedy := suggest(st.Template, l.set.names)
				if !strings.HasPrefix(remedy, "did you mean") {
					remedy = "write " + folder + "/" + st.Template + "/" + "zh-CN/sms.txt or email.md"
				}
				l.report.Fault(at, "missing-template", remedy, "there is no template %q, which the step %s uses", st.Template, st.Step)
				continue
			}
			var lacks []string
			has := false
			for _, ch := range care.Channels {
				if !slices.Contains(p.Channels, string(ch)) {
					continue
				}
				if len(l.set.Locales(st.Template, ch)) > 0 {
					has = true
				} else {
					lacks = append(lacks, files[ch])
				}
			}
			written := false
			for _, ch := range care.Channels {
				written = written || len(l.set.Locales(st.Template, ch)) > 0
			}
			switch {
			case !written && !l.broken(st.Template), written && !has && len(lacks) > 0 && !slices.Contains(p.Channels, "preferred"):
				l.report.Fault(at, "missing-channel", "write "+strings.Join(lacks, " or "), "the template %q has nothing for the channels of the program (%s): nobody would get it", st.Template, strings.Join(p.Channels, ", "))
			case has && len(lacks) > 0:
				l.report.Warn(at, "missing-channel", "write "+strings.Join(lacks, " and ")+", or take the channel out of channels", "the template %q has no %s although the program may use that channel", st.Template, strings.Join(lacks, " and no "))
			}
		}
	}
}

// broken reports whether a template has no file without a fault; then the faults say enough.
func (l *linter) broken(name string) bool {
	return slices.ContainsFunc(l.set.problems, func(p problem.Problem) bool {
		return p.Severity == problem.Fault && strings.HasPrefix(p.File, folder+"/"+name+"/")
	})
}

// locales checks that a template is written in the languages of the book's dealers.
func (l *linter) locales(name string) {
	book := l.set.env.book
	at := liquid.Position{File: folder + "/" + name}
	if book != nil && len(book.Programs) > 0 && len(l.usesOf(name)) == 0 {
		l.report.Warn(at, "unused-template", "use it in a step of a program, or remove the folder", "no program uses the template %q", name)
	}
	if book == nil || l.broken(name) {
		return
	}
	wanted := map[string]bool{}
	for _, d := range book.Dealers {
		wanted[d.Locale] = d.Locale != ""
	}
	for _, ch := range care.Channels {
		have := l.set.Locales(name, ch)
		if len(have) == 0 {
			continue
		}
		for _, locale := range sortedKeys(wanted) {
			served := !wanted[locale] || slices.ContainsFunc(care.LocaleChain(locale), func(f string) bool {
				return slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, f) })
			})
			if !served {
				l.report.Warn(at, "missing-locale", fmt.Sprintf("write %s/%s/%s/%s", folder, name, locale, files[ch]), "there is no %s in %s, the language of a dealer; customers get it in %s", files[ch], locale, strings.Join(have, " or "))
			}
		}
	}
}

func (l *linter) template(t *template) {
	programs := l.usesOf(t.name)
	l.variables(t, programs)
	l.words(t, programs)
	l.gateways(t)
	d := l.set.SampleFor(t.name, t.channel, t.locale)
	if t.dealer != "" {
		d.Dealer.Dealer = t.dealer
	}
	m, err := l.set.Render(d)
	if err != nil {
		l.renderFault(t, err)
		return
	}
	switch t.channel {
	case care.Email:
		l.mail(t, m, programs)
	case care.SMS:
		l.sms(t, m)
		l.sameText(t, d)
	}
}

// renderFault reports that the sample cannot be rendered, at the tag that needs what is missing.
func (l *linter) renderFault(t *template, err error) {
	e, ok := errors.AsType[*care.Error](err)
	at := t.src.at
	message := err.Error()
	if ok {
		message = e.Err.Error()
		name, _, _ := strings.Cut(message, " ")
		for _, u := range t.uses() {
			if u.Name == name && !u.Guarded {
				at = u.At
			}
		}
		if e.Code == liquid.CodeMissing {
			if l.once(fmt.Sprint(t.name, t.channel, t.locale, name)) {
				l.report.Fault(at, "missing-variable", fmt.Sprintf(`write {%% if %s %%} around it, or defaults: {%s: "…"}`, name, name), "%s for a customer of this program: the message would be set aside", message)
			}
			return
		}
	}
	l.report.Fault(at, "render", "make it simpler", "a message for a sample customer cannot be written: %s", message)
}

// uses lists the variables of all the template's programs.
func (t *template) uses() []liquid.Use {
	var all []liquid.Use
	for _, p := range []*liquid.Template{t.subject, t.preheader, t.html, t.text} {
		if p != nil {
			all = append(all, p.Uses...)
		}
	}
	for _, g := range t.gateways {
		for _, p := range g.params {
			all = append(all, p.value.Uses...)
		}
	}
	for _, h := range t.headers {
		all = append(all, h.value.Uses...)
	}
	return all
}

// variables reports what a program's trigger does not have, and what a record may lack.
func (l *linter) variables(t *template, programs []*care.Program) {
	for _, u := range t.uses() {
		v := variables[u.Name]
		if u.Guarded || v == nil {
			continue
		}
		if len(v.On) > 0 {
			lacking := slices.IndexFunc(programs, func(p *care.Program) bool { return !slices.Contains(v.On, p.Trigger.On) })
			if lacking >= 0 {
				p := programs[lacking]
				if l.once(fmt.Sprint(t.name, t.channel, t.locale, u.Name)) {
					l.report.Fault(u.At, "missing-variable", "use another variable, or write {% if "+u.Name+" %} around it",
						"%s exists only in programs on %s, and %s is on %s", u.Name, strings.Join(v.On, ", "), p.Program, p.Trigger.On)
				}
				continue
			}
		}
		if v.Maybe != "" && !l.everyDealerHas(v) && l.once(fmt.Sprint(u.At)) {
			l.report.Warn(u.At, "unguarded-variable", fmt.Sprintf(`write defaults: {%s: "…"} in the front matter, or {%% if %s %%} around it`, u.Name, u.Name),
				"%s can be missing (%s), and then the message is set aside", u.Name, v.Maybe)
		}
	}
}

// everyDealerHas reports whether the variable is one of the dealers and no dealer of the book lacks it.
func (l *linter) everyDealerHas(v *Variable) bool {
	book := l.set.env.book
	if book == nil || len(book.Dealers) == 0 || !strings.HasPrefix(v.Name, "dealer.") && v.Name != "links.booking" {
		return false
	}
	for _, d := range book.Dealers {
		b := &bindings{draft: &care.Draft{Dealer: d, Occurrence: &care.Occurrence{}}, env: l.set.env}
		if v.get(b).Kind() == liquid.KindMissing {
			return false
		}
	}
	return true
}

func (l *linter) sms(t *template, m *care.Message) {
	if l.opt.Parts == nil {
		return
	}
	country := ""
	if b := l.set.env.book; b != nil && len(b.Dealers) > 0 {
		country = b.Dealers[0].Country
	}
	if n := l.opt.Parts(string(m.Text), m.Signature, country); n > l.opt.MaxParts {
		l.report.Warn(t.src.at, "sms-parts", "shorten it"+l.dear(string(m.Text), t), "for a sample customer the text takes %d parts (%d characters); the budget is %d", n, utf8.RuneCount(m.Text), l.opt.MaxParts)
	}
}

// dear names a character that makes an English text count as Chinese.
func (l *linter) dear(text string, t *template) string {
	if !t.lang.english {
		return ""
	}
	for _, r := range text {
		if strings.ContainsRune("’‘“”–—…·", r) {
			return fmt.Sprintf("; the character %q alone makes a part 70 characters short instead of 160", string(r))
		}
	}
	return ""
}

func (l *linter) mail(t *template, m *care.Message, programs []*care.Program) {
	if n := utf8.RuneCountInString(m.Subject); n > l.opt.MaxSubject {
		l.report.Warn(t.src.where("$.subject"), "long-subject", "say it in fewer words; the preheader can say the rest", "the subject has %d characters for a sample customer; phones show some %d", n, l.opt.MaxSubject)
	}
	if len(m.HTML) > l.opt.MaxBytes {
		l.report.Warn(t.src.at, "heavy-mail", "shorten it; Gmail cuts mails off at 102 kB", "the mail has %d kB", len(m.HTML)/1000)
	}
	safety := len(programs) > 0 && !slices.ContainsFunc(programs, func(p *care.Program) bool { return p.Class != care.Safety })
	if !safety && !slices.ContainsFunc(t.html.Uses, func(u liquid.Use) bool { return u.Name == "links.unsubscribe" }) {
		l.report.Warn(t.src.at, "no-opt-out", "write [unsubscribe]({{ links.unsubscribe }}) into the mail or its layout", "the mail shows no way to opt out")
	}
	page := mail.Linter{
		Report: &l.report, Body: strings.Join(l.report.lines[t.src.file], "\n"), BodyAt: t.src.at, Layout: t.src.front.Layout, Once: l.once,
		Find: func(what string) liquid.Position { return l.find(t, what) },
	}
	if t.tags != nil { // else Forget gave it back
		page.Page(t.page, t.tags)
	}
}

// find returns where a text stands in the author's files: in the template, else in its layout.
func (l *linter) find(t *template, what string) liquid.Position {
	for _, file := range []string{t.src.file, folder + "/_layouts/" + cmp.Or(t.src.front.Layout, "default") + ".html"} {
		for i, line := range l.report.lines[file] {
			if before, _, ok := strings.Cut(line, what); ok {
				return liquid.Position{File: file, Line: i + 1, Column: 1}.After(before)
			}
		}
	}
	return t.src.at
}
