package templates

import (
	"slices"
	"strings"
)

// builder makes a program of a text with marks.
type builder struct {
	tags   *tags
	report *report
	scope  *scope
	places func(r rune) place // nil = always
	always place
	inside map[rune]int // what a control tag stands in; opener, clauses and end must stand in the same
	urls   map[int]bool // bytes of the text at which a URL attribute begins
	prog   *program
	stack  []frame
	guards []string
	failed bool

	stopped bool // nested too deep: what follows is not read
}

// frame is a block that is open.
type frame struct {
	open   *tag
	mark   rune
	node   node
	bodies []*[]node // the last is being filled
	loop   bool
	guards int
}

// build compiles the text. After a fault the program is not to be used; the faults are in the report.
func (b *builder) build(src string) *program {
	b.prog = &program{}
	body := &b.prog.nodes
	into := func() *[]node {
		if len(b.stack) == 0 {
			return body
		}
		f := &b.stack[len(b.stack)-1]
		return f.bodies[len(f.bodies)-1]
	}
	from := 0
	flush := func(to int) {
		if to > from {
			*into() = append(*into(), textNode(src[from:to]))
		}
		from = to
	}
	for i, r := range src {
		if b.stopped {
			return b.prog
		}
		if b.urls[i] {
			flush(i)
			*into() = append(*into(), urlStart{})
		}
		if !isMark(r) {
			continue
		}
		flush(i)
		from = i + 4
		t := b.tags.at(r)
		if !t.control {
			b.output(r, t, into())
			continue
		}
		b.control(r, t, into)
	}
	flush(len(src))
	for _, f := range b.stack {
		b.fault(f.open.pos, "unclosed-tag", "add {% end"+f.open.name+" %} where it should end", "{%% %s %%} is never ended", f.open.name)
	}
	return b.prog
}

func (b *builder) fault(p position, rule, remedy, format string, args ...any) {
	b.failed = true
	b.report.fault(p, rule, remedy, format, args...)
}

// parse reads the tag's expression with read and reports what is wrong at its place in the file.
func (b *builder) parse(t *tag, src string, shift int, read func(p *parser) expression) expression {
	p := newParser(src, b.scope)
	e := read(p)
	p.finish()
	if p.failed != nil {
		at := t.pos.after(t.src[:min(len(t.src), t.argsAt+shift+p.failed.at)])
		b.fault(at, p.failed.rule, p.failed.remedy, "%s", p.failed.message)
		return literal{literalText("")}
	}
	return e
}

func (b *builder) output(r rune, t *tag, into *[]node) {
	e := b.parse(t, t.args, 0, (*parser).condition)
	b.note(e, t, false)
	where := b.always
	if b.places != nil {
		where = b.places(r)
	}
	*into = append(*into, &outputNode{of: e, place: where})
}

// note records which variables the expression needs.
func (b *builder) note(e expression, t *tag, guarded bool) {
	switch e := e.(type) {
	case *variable:
		g := guarded || e.instead != nil || slices.ContainsFunc(b.guards, func(guard string) bool { return comesWith(e.path, guard) })
		b.prog.uses = append(b.prog.uses, use{e.path, t.pos, g})
	case property:
		b.note(e.of, t, guarded)
	case index:
		b.note(e.of, t, guarded)
		b.note(e.at, t, guarded)
	case *filtered:
		guarded = guarded || e.filter != nil && e.filter.takesMissing
		b.note(e.in, t, guarded)
		for _, a := range e.args {
			b.note(a, t, false)
		}
	case comparison:
		b.note(e.a, t, true)
		b.note(e.b, t, true)
	case logic:
		b.note(e.a, t, true)
		b.note(e.b, t, true)
	}
}

// comesWith reports whether the variable is there whenever the guard is: they are the same, or both lack for the same reason, as
// all of a forecast does.
func comesWith(path, guard string) bool {
	if path == guard {
		return true
	}
	group, _, _ := strings.Cut(path, ".")
	if !strings.HasPrefix(guard, group+".") {
		return false
	}
	v, g := variables[path], variables[guard]
	return v != nil && g != nil && v.Maybe == g.Maybe && wholeGroup[v.Maybe]
}

// wholeGroup are the reasons for which all of a group is missing at once.
var wholeGroup = map[string]bool{"there is no forecast": true, "there was no visit": true}

// guardsOf returns the variables that are there whenever the condition is true.
func guardsOf(e expression) []string {
	switch e := e.(type) {
	case *variable:
		return []string{e.path}
	case property:
		return guardsOf(e.of)
	case *filtered:
		if e.filter != nil && !e.filter.takesMissing {
			return guardsOf(e.in)
		}
	case comparison:
		if e.op != "!=" && e.op != "<>" {
			if _, ok := e.b.(literal); ok {
				return guardsOf(e.a)
			}
		}
	case logic:
		if e.and {
			return append(guardsOf(e.a), guardsOf(e.b)...)
		}
	}
	return nil
}

var refusedTags = map[string]string{
	"assign":    "write the value where it is needed; templates have no variables of their own",
	"capture":   "write the text where it is needed; templates have no variables of their own",
	"increment": "use forloop.index in a loop", "decrement": "use forloop.rindex in a loop",
	"include": `use {% partial "name" %}`, "render": `use {% partial "name" %}`,
	"cycle": "use forloop.index", "tablerow": "use a list", "liquid": "write one tag for each step", "echo": "write {{ … }}",
}

var knownTags = []string{
	"if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase", "for", "endfor", "break", "continue",
	"comment", "endcomment", "raw", "endraw", "partial", "block", "endblock",
}

func (b *builder) control(r rune, t *tag, into func() *[]node) {
	switch t.name {
	case "if", "unless":
		if !b.push(r, t) {
			return
		}
		e := b.condition(t)
		n := &ifNode{decision: b.decision(t), branches: []branch{{when: e, not: t.name == "unless", tag: t.src}}}
		*b.outer() = append(*b.outer(), n)
		b.top().node = n
		b.top().bodies = []*[]node{&n.branches[0].body}
		if t.name == "if" {
			b.guards = append(b.guards, guardsOf(e)...)
		}
	case "elsif", "else", "when":
		b.clause(r, t)
	case "case":
		if !b.push(r, t) {
			return
		}
		e := b.condition(t)
		n := &caseNode{decision: b.decision(t), of: e}
		*b.outer() = append(*b.outer(), n)
		b.top().node = n
		b.top().bodies = []*[]node{new([]node)} // what stands before the first when is not shown
	case "for":
		b.loop(r, t)
	case "break", "continue":
		if !slices.ContainsFunc(b.stack, func(f frame) bool { return f.loop }) {
			b.fault(t.pos, "syntax", "remove it", "{%% %s %%} stands outside of a loop", t.name)
		}
		jump := breakLoop
		if t.name == "continue" {
			jump = continueLoop
		}
		*into() = append(*into(), jumpNode(jump))
	default:
		b.end(r, t)
	}
}

func (b *builder) condition(t *tag) expression {
	e := b.parse(t, t.args, 0, (*parser).condition)
	b.note(e, t, true)
	return e
}

// decision notes where a block stands, for preview; the frame of the block itself is already on the stack.
func (b *builder) decision(t *tag) decision {
	d := decision{at: t.pos}
	if t.made {
		d.at = position{} // taken with the loop it was made for
	}
	for i := range b.stack[:len(b.stack)-1] {
		f := &b.stack[i]
		if f.open.made {
			continue
		}
		switch n := f.node.(type) {
		case *ifNode:
			d.within = append(d.within, choice{n.at, len(f.bodies) - 1})
		case *caseNode:
			d.within = append(d.within, choice{n.at, len(f.bodies) - 2})
		}
	}
	return d
}

func (b *builder) top() *frame { return &b.stack[len(b.stack)-1] }

// outer is what the innermost open block itself stands in.
func (b *builder) outer() *[]node {
	if len(b.stack) == 1 {
		return &b.prog.nodes
	}
	f := &b.stack[len(b.stack)-2]
	return f.bodies[len(f.bodies)-1]
}

func (b *builder) push(r rune, t *tag) bool {
	if len(b.stack) == maxDepth {
		b.fault(t.pos, "too-deep", "make it simpler", "tags are nested more than %d deep", maxDepth)
		b.stopped = true
		return false
	}
	b.stack = append(b.stack, frame{open: t, mark: r, guards: len(b.guards), bodies: []*[]node{new([]node)}})
	return true
}

func (b *builder) clause(r rune, t *tag) {
	if len(b.stack) == 0 {
		b.fault(t.pos, "syntax", "begin with {% if … %}", "{%% %s %%} stands outside of a block", t.name)
		return
	}
	f := b.top()
	b.sameInside(r, t, f)
	b.guards = b.guards[:f.guards]
	switch n := f.node.(type) {
	case *ifNode:
		if t.name == "when" {
			b.fault(t.pos, "syntax", "write {% elsif … %}", "{%% when %%} belongs to {%% case %%}")
			return
		}
		one := branch{tag: t.src}
		if n.branches[len(n.branches)-1].when == nil {
			b.fault(t.pos, "syntax", "let {% else %} be the last", "something follows {%% else %%}")
		}
		if t.name == "elsif" {
			one.when = b.condition(t)
			b.guards = append(b.guards, guardsOf(one.when)...)
		} else if len(n.branches) == 1 && n.branches[0].not {
			b.guards = append(b.guards, guardsOf(n.branches[0].when)...)
		}
		body := new([]node)
		f.bodies = append(f.bodies, body)
		n.branches = append(n.branches, one)
	case *caseNode:
		w := when{tag: t.src}
		if t.name == "when" {
			w.values = b.alternatives(t)
		} else if t.name == "elsif" {
			b.fault(t.pos, "syntax", "write {% when … %}", "{%% elsif %%} belongs to {%% if %%}")
		}
		n.whens = append(n.whens, w)
		f.bodies = append(f.bodies, new([]node))
	case *forNode:
		if t.name != "else" || len(f.bodies) > 1 {
			b.fault(t.pos, "syntax", "remove it", "{%% %s %%} cannot stand here in a loop", t.name)
		}
		f.bodies = append(f.bodies, new([]node))
	}
}

// alternatives reads the values of a when: "a", "b" or "c".
func (b *builder) alternatives(t *tag) []expression {
	var out []expression
	b.parse(t, t.args, 0, func(p *parser) expression {
		out = append(out, p.primary())
		for p.kind == ',' || p.kind == tokenWord && p.word == "or" {
			p.next()
			out = append(out, p.primary())
		}
		return nil
	})
	return out
}

// loop reads: name in list [reversed] [limit: n] [offset: n].
func (b *builder) loop(r rune, t *tag) {
	if !b.push(r, t) {
		return
	}
	f := b.top()
	f.loop = true
	n := &forNode{slot: b.scope.depth()}
	name := ""
	b.parse(t, t.args, 0, func(p *parser) expression {
		name = p.word
		if p.kind != tokenWord {
			p.fail(p.at, "syntax", "write {% for item in also %}", "a loop names its item first")
			return nil
		}
		p.next()
		if p.kind != tokenWord || p.word != "in" {
			p.fail(p.at, "syntax", "write {% for "+name+" in also %}", "the word in is missing")
			return nil
		}
		p.next()
		n.in = p.filters()
		for p.kind == tokenWord && p.failed == nil {
			word, at := p.word, p.at
			p.next()
			if word == "reversed" {
				n.reversed = true
				continue
			}
			if p.kind != ':' || word != "limit" && word != "offset" {
				p.fail(at, "syntax", "write reversed, limit: 3 or offset: 1", "%q cannot stand here", word)
				return nil
			}
			p.next()
			if word == "limit" {
				n.limit = p.primary()
			} else {
				n.offset = p.primary()
			}
		}
		return nil
	})
	if n.in == nil {
		n.in = literal{}
	}
	b.note(n.in, t, true)
	f.node = n
	*b.outer() = append(*b.outer(), n)
	b.guards = append(b.guards, guardsOf(n.in)...)
	b.scope.push(name, n.in)
}

func (b *builder) end(r rune, t *tag) {
	if why, ok := refusedTags[t.name]; ok {
		b.fault(t.pos, "refused-tag", why, "the tag %s cannot be used", t.name)
		return
	}
	opener, isEnd := strings.CutPrefix(t.name, "end")
	if !isEnd || !slices.Contains(knownTags, t.name) {
		b.fault(t.pos, "unknown-tag", suggest(t.name, knownTags), "there is no tag %q", t.name)
		return
	}
	if len(b.stack) == 0 || b.top().open.name != opener {
		what := "nothing is open"
		if len(b.stack) > 0 {
			what = "{% " + b.top().open.name + " %} is open"
		}
		b.fault(t.pos, "syntax", "look for a tag that is not ended, or ended twice", "{%% %s %%} stands here, but %s", t.name, what)
		return
	}
	f := b.top()
	b.sameInside(r, t, f)
	switch n := f.node.(type) {
	case *ifNode:
		for i := range n.branches {
			n.branches[i].body = *f.bodies[i]
		}
	case *caseNode:
		for i := range n.whens {
			n.whens[i].body = *f.bodies[i+1]
		}
	case *forNode:
		n.body = *f.bodies[0]
		if len(f.bodies) > 1 {
			n.or = *f.bodies[1]
		}
		b.scope.pop()
	}
	b.guards = b.guards[:f.guards]
	b.stack = b.stack[:len(b.stack)-1]
}

// sameInside refuses a block that begins within one paragraph or attribute and ends in another: leaving it out would tear the page.
func (b *builder) sameInside(r rune, t *tag, f *frame) {
	if b.inside == nil || t.made || b.inside[r] == b.inside[f.mark] {
		return
	}
	b.fault(t.pos, "torn-block", "put both on lines of their own, or both within one paragraph",
		"{%% %s %%} begins in one place of the page (line %d) and {%% %s %%} stands in another", f.open.name, f.open.pos.line, t.name)
}
