package liquid

import (
	"slices"
	"strings"
)

// Contexts say what the values of a text stand in. The zero value is plain text of several lines.
type Contexts struct {
	// Always is the context of every value of a text that is of one kind.
	Always EscapeContext
	// At is asked for the context of the value whose placeholder begins at that byte; nil = Always.
	At func(at int) EscapeContext
	// Element numbers what a tag stands in, by the byte of its placeholder: a block must begin and end in the same; nil = do not ask.
	Element map[int]int
	// URLs are the bytes at which the value of an attribute begins that is a URL.
	URLs map[int]bool
}

// compiler makes a template of a text with placeholders.
type compiler struct {
	*Parser
	contexts Contexts
	out      *Template
	stack    []frame
	guards   []string
	failed   bool
	stopped  bool // nested too deep: what follows is not read
}

// frame is a block that is open.
type frame struct {
	open   *Tag
	at     int // of its placeholder
	node   node
	bodies []*[]node // the last is being filled
	loop   bool
	guards int
}

// Compile makes a template of a text that Scan returned, or of what became of it. ok is false after a fault; what is returned then is
// not to be used.
func (p *Parser) Compile(scanned string, contexts Contexts) (t *Template, ok bool) {
	c := &compiler{Parser: p, contexts: contexts, out: &Template{}}
	c.compile(scanned)
	p.loops = p.loops[:0] // of blocks that are not ended
	return c.out, !c.failed
}

func (c *compiler) compile(src string) {
	body := &c.out.nodes
	into := func() *[]node {
		if len(c.stack) == 0 {
			return body
		}
		f := &c.stack[len(c.stack)-1]
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
		if c.stopped {
			return
		}
		if c.contexts.URLs[i] {
			flush(i)
			*into() = append(*into(), urlStart{})
		}
		if !IsPlaceholder(r) {
			continue
		}
		flush(i)
		from = i + PlaceholderSize
		t := c.tags.Of(r)
		if !t.Control {
			c.output(i, t, into())
			continue
		}
		c.control(i, t, into)
	}
	flush(len(src))
	for _, f := range c.stack {
		c.fault(f.open.At, "unclosed-tag", "add {% end"+f.open.Name+" %} where it should end", "{%% %s %%} is never ended", f.open.Name)
	}
}

func (c *compiler) fault(p Position, rule, remedy, format string, args ...any) {
	c.failed = true
	c.Report.Fault(p, rule, remedy, format, args...)
}

// parse reads the tag's expression with read and reports what is wrong at its place in the file.
func (c *compiler) parse(t *Tag, read func(p *exprParser) expression) expression {
	p := newExprParser(t.Args, c.Parser)
	e := read(p)
	p.finish()
	at := func(i int) Position { return t.At.After(t.src[:min(len(t.src), t.argsAt+i)]) }
	if p.failed != nil {
		c.fault(at(p.failed.at), p.failed.rule, p.failed.remedy, "%s", p.failed.message)
		return literal{Literal("")}
	}
	if p.mixed {
		c.Report.Warn(at(p.mixedAt), "mixed-and-or", "if that is not meant, write one {% if %} within another",
			"and/or are read from right to left: “a and b or c” is “a and (b or c)”")
	}
	return e
}

func (c *compiler) output(at int, t *Tag, into *[]node) {
	e := c.parse(t, (*exprParser).condition)
	c.note(e, t, false)
	context := c.contexts.Always
	if c.contexts.At != nil {
		context = c.contexts.At(at)
	}
	*into = append(*into, &outputNode{of: e, context: context})
}

// note records which variables the expression needs.
func (c *compiler) note(e expression, t *Tag, guarded bool) {
	switch e := e.(type) {
	case *variable:
		g := guarded || e.instead != nil || slices.ContainsFunc(c.guards, func(guard string) bool { return c.comesWith(e.path, guard) })
		c.out.Uses = append(c.out.Uses, Use{e.path, t.At, g})
	case property:
		c.note(e.of, t, guarded)
	case index:
		c.note(e.of, t, guarded)
		c.note(e.at, t, guarded)
	case *filtered:
		guarded = guarded || e.filter != nil && e.filter.TakesMissing
		c.note(e.in, t, guarded)
		for _, a := range e.args {
			c.note(a, t, false)
		}
	case comparison:
		c.note(e.a, t, true)
		c.note(e.b, t, true)
	case logic:
		c.note(e.a, t, true)
		c.note(e.b, t, true)
	}
}

// comesWith reports whether the variable is there whenever the guard is.
func (c *compiler) comesWith(path, guard string) bool {
	if path == guard {
		return true
	}
	v, g := c.Language.Variables[path], c.Language.Variables[guard]
	return v != nil && g != nil && v.Together != "" && v.Together == g.Together
}

// guardsOf returns the variables that are there whenever the condition is true.
func guardsOf(e expression) []string {
	switch e := e.(type) {
	case *variable:
		return []string{e.path}
	case property:
		return guardsOf(e.of)
	case *filtered:
		if e.filter != nil && !e.filter.TakesMissing {
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

func (c *compiler) control(at int, t *Tag, into func() *[]node) {
	switch t.Name {
	case "if", "unless":
		if !c.push(at, t) {
			return
		}
		e := c.condition(t)
		n := &ifNode{decision: c.decision(t), branches: []branch{{when: e, not: t.Name == "unless", tag: t.src}}}
		*c.outer() = append(*c.outer(), n)
		c.top().node = n
		c.top().bodies = []*[]node{&n.branches[0].body}
		if t.Name == "if" {
			c.guards = append(c.guards, guardsOf(e)...)
		}
	case "elsif", "else", "when":
		c.clause(at, t)
	case "case":
		if !c.push(at, t) {
			return
		}
		e := c.condition(t)
		n := &caseNode{decision: c.decision(t), of: e}
		*c.outer() = append(*c.outer(), n)
		c.top().node = n
		c.top().bodies = []*[]node{new([]node)} // what stands before the first when is not shown
	case "for":
		c.loop(at, t)
	case "break", "continue":
		if !slices.ContainsFunc(c.stack, func(f frame) bool { return f.loop }) {
			c.fault(t.At, "syntax", "remove it", "{%% %s %%} stands outside of a loop", t.Name)
		}
		jump := breakLoop
		if t.Name == "continue" {
			jump = continueLoop
		}
		*into() = append(*into(), jumpNode(jump))
	default:
		c.end(at, t)
	}
}

func (c *compiler) condition(t *Tag) expression {
	e := c.parse(t, (*exprParser).condition)
	c.note(e, t, true)
	return e
}

// decision notes where a block stands, for preview; the frame of the block itself is already on the stack.
func (c *compiler) decision(t *Tag) decision {
	d := decision{at: t.At}
	if t.Made {
		d.at = Position{} // taken with the loop it was made for
	}
	for i := range c.stack[:len(c.stack)-1] {
		f := &c.stack[i]
		if f.open.Made {
			continue
		}
		switch n := f.node.(type) {
		case *ifNode:
			d.within = append(d.within, Choice{n.at, len(f.bodies) - 1})
		case *caseNode:
			d.within = append(d.within, Choice{n.at, len(f.bodies) - 2})
		}
	}
	return d
}

func (c *compiler) top() *frame { return &c.stack[len(c.stack)-1] }

// outer is what the innermost open block itself stands in.
func (c *compiler) outer() *[]node {
	if len(c.stack) == 1 {
		return &c.out.nodes
	}
	f := &c.stack[len(c.stack)-2]
	return f.bodies[len(f.bodies)-1]
}

func (c *compiler) push(at int, t *Tag) bool {
	if len(c.stack) == maxDepth {
		c.fault(t.At, "too-deep", "make it simpler", "tags are nested more than %d deep", maxDepth)
		c.stopped = true
		return false
	}
	c.stack = append(c.stack, frame{open: t, at: at, guards: len(c.guards), bodies: []*[]node{new([]node)}})
	return true
}

func (c *compiler) clause(at int, t *Tag) {
	if len(c.stack) == 0 {
		c.fault(t.At, "syntax", "begin with {% if … %}", "{%% %s %%} stands outside of a block", t.Name)
		return
	}
	f := c.top()
	c.sameInside(at, t, f)
	c.guards = c.guards[:f.guards]
	switch n := f.node.(type) {
	case *ifNode:
		if t.Name == "when" {
			c.fault(t.At, "syntax", "write {% elsif … %}", "{%% when %%} belongs to {%% case %%}")
			return
		}
		one := branch{tag: t.src}
		if n.branches[len(n.branches)-1].when == nil {
			c.fault(t.At, "syntax", "let {% else %} be the last", "something follows {%% else %%}")
		}
		if t.Name == "elsif" {
			one.when = c.condition(t)
			c.guards = append(c.guards, guardsOf(one.when)...)
		} else if len(n.branches) == 1 && n.branches[0].not {
			c.guards = append(c.guards, guardsOf(n.branches[0].when)...)
		}
		body := new([]node)
		f.bodies = append(f.bodies, body)
		n.branches = append(n.branches, one)
	case *caseNode:
		w := when{tag: t.src}
		if t.Name == "when" {
			w.values = c.alternatives(t)
		} else if t.Name == "elsif" {
			c.fault(t.At, "syntax", "write {% when … %}", "{%% elsif %%} belongs to {%% if %%}")
		}
		n.whens = append(n.whens, w)
		f.bodies = append(f.bodies, new([]node))
	case *forNode:
		if t.Name != "else" || len(f.bodies) > 1 {
			c.fault(t.At, "syntax", "remove it", "{%% %s %%} cannot stand here in a loop", t.Name)
		}
		f.bodies = append(f.bodies, new([]node))
	}
}

// alternatives reads the values of a when: "a", "b" or "c".
func (c *compiler) alternatives(t *Tag) []expression {
	var out []expression
	c.parse(t, func(p *exprParser) expression {
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
func (c *compiler) loop(at int, t *Tag) {
	if !c.push(at, t) {
		return
	}
	f := c.top()
	f.loop = true
	n := &forNode{slot: len(c.loops)}
	name := ""
	c.parse(t, func(p *exprParser) expression {
		name = p.word
		if p.kind != tokenWord {
			p.fail(p.at, "syntax", "write {% for item in "+c.Language.Examples.List+" %}", "a loop names its item first")
			return nil
		}
		p.next()
		if p.kind != tokenWord || p.word != "in" {
			p.fail(p.at, "syntax", "write {% for "+name+" in "+c.Language.Examples.List+" %}", "the word in is missing")
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
	c.note(n.in, t, true)
	f.node = n
	*c.outer() = append(*c.outer(), n)
	c.guards = append(c.guards, guardsOf(n.in)...)
	c.loops = append(c.loops, openLoop{name, n.in})
}

func (c *compiler) end(at int, t *Tag) {
	if why, ok := refusedTags[t.Name]; ok {
		c.fault(t.At, "refused-tag", why, "the tag %s cannot be used", t.Name)
		return
	}
	opener, isEnd := strings.CutPrefix(t.Name, "end")
	if !isEnd || !slices.Contains(knownTags, t.Name) {
		c.fault(t.At, "unknown-tag", c.Language.suggest(t.Name, knownTags), "there is no tag %q", t.Name)
		return
	}
	if len(c.stack) == 0 || c.top().open.Name != opener {
		what := "nothing is open"
		if len(c.stack) > 0 {
			what = "{% " + c.top().open.Name + " %} is open"
		}
		c.fault(t.At, "syntax", "look for a tag that is not ended, or ended twice", "{%% %s %%} stands here, but %s", t.Name, what)
		return
	}
	f := c.top()
	c.sameInside(at, t, f)
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
		c.loops = c.loops[:len(c.loops)-1]
	}
	c.guards = c.guards[:f.guards]
	c.stack = c.stack[:len(c.stack)-1]
}

// sameInside refuses a block that begins within one paragraph or attribute and ends in another: leaving it out would tear the page.
func (c *compiler) sameInside(at int, t *Tag, f *frame) {
	if c.contexts.Element == nil || t.Made || c.contexts.Element[at] == c.contexts.Element[f.at] {
		return
	}
	c.fault(t.At, "torn-block", "put both on lines of their own, or both within one paragraph",
		"{%% %s %%} begins in one place of the page (line %d) and {%% %s %%} stands in another", f.open.Name, f.open.At.Line, t.Name)
}
