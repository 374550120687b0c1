package liquid

import (
	"maps"
	"slices"
	"strings"

	"github.com/carebell/carebell/care/problem"
)

// Language is what templates can name: variables, and filters besides those of every Liquid. It is made once and never changed.
type Language struct {
	// Variables by their names with dots, such as customer.name.
	Variables map[string]*Variable
	// Names of the variables, in the order in which they are suggested.
	Names []string
	// Filters that are not among the Filters of this package, or are used instead of them.
	Filters map[string]*Filter
	// Refused names filters that people may know from elsewhere, with what to do instead.
	Refused map[string]string
	// Examples are shown in remedies.
	Examples Examples
}

// Examples are the words of a language that remedies show.
type Examples struct {
	Variable, Filter, List string
	Reference              string // where the reader finds everything: "docs/templates.md lists what there is"
}

// Variable is one that a template can show.
type Variable struct {
	Name string
	// Kind says what it is when it is there; texts and lists have fields: size, first, last.
	Kind Kind
	// Items are the fields of a list's items, with dots; nil = not known.
	Items []string
	// Together names a group of variables that are all there or all missing; "" = none.
	Together string
	// Open is true of a text that has fields of whatever name.
	Open bool
	// Get reads it from what is rendered.
	Get func(s *State) Value
}

func (l *Language) filter(name string) *Filter {
	if f := l.Filters[name]; f != nil {
		return f
	}
	return Filters[name]
}

func (l *Language) filterNames() []string {
	all := maps.Clone(Filters)
	maps.Copy(all, l.Filters)
	return slices.Sorted(maps.Keys(all))
}

// suggest says "did you mean" with the nearest of the names, or where to find them.
func (l *Language) suggest(word string, names []string) string {
	if near := Nearest(word, names); near != "" {
		return "did you mean " + near + "?"
	}
	return l.Examples.Reference
}

// hasFields reports whether the words can hang on the variable.
func (v *Variable) hasFields(words []string) bool {
	switch v.Kind {
	case KindList:
		if words[0] == "size" {
			return len(words) == 1
		}
		return words[0] == "first" || words[0] == "last"
	case KindText:
		return len(words) == 1 && (v.Open || words[0] == "size")
	}
	return false
}

// openLoop is a loop around what is being compiled.
type openLoop struct {
	name string
	over expression // to know the fields of its items
}

// lookup resolves a path; rest is what hangs on a list, a text or a loop's item. nil = there is no such variable.
func (p *Parser) lookup(words []string) (expression, []string) {
	for slot := len(p.loops) - 1; slot >= 0; slot-- {
		if p.loops[slot].name != words[0] {
			continue
		}
		if items := p.itemsOf(p.loops[slot].over); len(words) > 1 && items != nil && !slices.Contains(items, strings.Join(words[1:], ".")) {
			return nil, nil
		}
		return loopItem{words[0], slot}, words[1:]
	}
	if words[0] == "forloop" && len(p.loops) > 0 && len(words) == 2 && slices.Contains(loopFields, words[1]) {
		return loopField{len(p.loops) - 1, words[1]}, nil
	}
	for n := len(words); n > 0; n-- {
		path := strings.Join(words[:n], ".")
		if v, ok := p.Language.Variables[path]; ok && (n == len(words) || v.hasFields(words[n:])) {
			if p.Named != nil {
				p.Named[path] = true
			}
			return &variable{path: path, get: v.Get, instead: p.Defaults[path]}, words[n:]
		}
	}
	return nil, nil
}

// itemsOf returns the fields of the items of a list, nil if they are not known.
func (p *Parser) itemsOf(e expression) []string {
	switch e := e.(type) {
	case *variable:
		if v := p.Language.Variables[e.path]; v != nil {
			return v.Items
		}
	case *filtered:
		if e.filter != nil && e.filter.KeepsItems {
			return p.itemsOf(e.in)
		}
	}
	return nil
}

func (p *Parser) suggestVariable(path string) string {
	names := slices.Clone(p.Language.Names)
	for _, l := range p.loops {
		names = append(names, l.name)
		for _, f := range p.itemsOf(l.over) {
			names = append(names, l.name+"."+f)
		}
	}
	if len(p.loops) > 0 {
		for _, f := range loopFields {
			names = append(names, "forloop."+f)
		}
	}
	return p.Language.suggest(path, names)
}

// Nearest returns the name that the word is most likely meant to be, "" if none is near.
func Nearest(word string, names []string) string {
	best := problem.Nearest(word, names)
	if best == "" && len(word) > 2 {
		// customer.firstname: the same last word elsewhere, or the same beginning
		last := word[strings.LastIndexByte(word, '.')+1:]
		for _, n := range names {
			if strings.HasSuffix(n, "."+last) {
				best = n
				break
			}
		}
	}
	return best
}
