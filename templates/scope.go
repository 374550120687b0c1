package templates

import (
	"fmt"
	"slices"
	"strings"

	"github.com/carebell/carebell/care/problem"
)

// scope is what names mean in one template: the catalogue, its defaults and the loops that are open.
type scope struct {
	instead map[string]*program
	loops   []string
	opened  []expression // what each loop runs over, to know its fields
	shows   Shown
}

func (sc *scope) depth() int { return len(sc.loops) }

func (sc *scope) push(name string, over expression) {
	sc.loops = append(sc.loops, name)
	sc.opened = append(sc.opened, over)
}

func (sc *scope) pop() {
	sc.loops = sc.loops[:len(sc.loops)-1]
	sc.opened = sc.opened[:len(sc.opened)-1]
}

// lookup resolves a path; rest is what hangs on a list, a text or a loop's item. nil = there is no such variable.
func (sc *scope) lookup(words []string) (expression, []string) {
	for slot := len(sc.loops) - 1; slot >= 0; slot-- {
		if sc.loops[slot] != words[0] {
			continue
		}
		if len(words) > 1 && isAlso(sc.opened[slot]) && !alsoHas(words[1:]) {
			return nil, nil
		}
		return loopItem{words[0], slot}, words[1:]
	}
	if words[0] == "forloop" && len(sc.loops) > 0 && len(words) == 2 && slices.Contains(loopFields, words[1]) {
		return loopField{len(sc.loops) - 1, words[1]}, nil
	}
	for n := len(words); n > 0; n-- {
		path := strings.Join(words[:n], ".")
		if v, ok := variables[path]; ok && (n == len(words) || v.hasFields(words[n:])) {
			sc.shows.add(path)
			return &variable{path: path, get: v.get, instead: sc.instead[path]}, words[n:]
		}
	}
	return nil, nil
}

// isAlso reports whether the expression is the list of merged dues.
func isAlso(e expression) bool {
	switch e := e.(type) {
	case *variable:
		return e.path == "also"
	case *filtered:
		return e.filter != nil && e.filter.keepsItems && isAlso(e.in)
	}
	return false
}

func (sc *scope) suggest(path string) string {
	names := variableNames()
	for i, l := range sc.loops {
		names = append(names, l)
		if isAlso(sc.opened[i]) {
			for _, f := range alsoFields {
				names = append(names, l+"."+f.Name)
			}
		}
	}
	if len(sc.loops) > 0 {
		for _, f := range loopFields {
			names = append(names, "forloop."+f)
		}
	}
	return suggest(path, names)
}

// suggest says "did you mean" with the nearest of the names, or where to find them.
func suggest(word string, names []string) string {
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
	if best == "" {
		return "docs/templates.md lists what there is"
	}
	return fmt.Sprintf("did you mean %s?", best)
}
